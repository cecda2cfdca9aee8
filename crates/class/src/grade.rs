//! Grading: every copy verified, a bounded number at once; results streamed as they come, kept in a
//! journal until all are there, so that an interrupted grading goes on where it stopped.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use checks::{Report, Verdict};
use deploy::Document;
use engine::Engine;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::copies::Copy;
use crate::roster::Student;

/// One student's result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Who.
    pub student: Student,
    /// Which instance.
    pub instance: String,
    /// The verdicts, where the lab could be graded.
    #[serde(default)]
    pub report: Option<Report>,
    /// Why it could not be graded: labctl's or the machine's trouble, never a zero.
    #[serde(default)]
    pub error: Option<String>,
}

impl Row {
    /// The points earned; `None` where it could not be graded.
    pub fn earned(&self) -> Option<f64> {
        if self.error.is_some() { None } else { self.report.as_ref().map(|report| report.earned) }
    }
}

/// The results of a class.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Grades {
    /// The form of this document.
    pub schema: u32,
    /// The class.
    pub class: String,
    /// One row a student, in the order of the roster.
    pub rows: Vec<Row>,
    /// Whether it was stopped before all were graded.
    pub interrupted: bool,
}

impl Grades {
    /// The names of all checks, in the order in which they first appear, with their points.
    pub fn checks(&self) -> Vec<(String, f64)> {
        let mut seen: Vec<(String, f64)> = Vec::new();
        for outcome in
            self.rows.iter().filter_map(|row| row.report.as_ref()).flat_map(|r| &r.outcomes)
        {
            if !seen.iter().any(|(name, _)| *name == outcome.name) {
                seen.push((outcome.name.clone(), outcome.points));
            }
        }
        seen
    }

    /// The points to be had: the most that any student's lab offers.
    pub fn points(&self) -> f64 {
        let each =
            self.rows.iter().filter_map(|row| row.report.as_ref()).map(|report| report.points);
        each.fold(0.0, f64::max)
    }

    /// 0 when all passed, 1 when a check failed, 3 when a lab could not be graded, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        let bad = |row: &Row| row.report.as_ref().is_some_and(|report| report.exit_code() == 1);
        if self.interrupted {
            130
        } else if self.rows.is_empty() {
            4
        } else if self.rows.iter().any(|row| row.error.is_some()) {
            3
        } else {
            u8::from(self.rows.iter().any(bad))
        }
    }
}

/// How it is graded.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only checks of these names or groups.
    pub only: Vec<String>,
    /// With scenarios.
    pub scenarios: bool,
    /// Copies graded at once.
    pub parallel: usize,
    /// Where results are kept until all are there; nowhere where absent.
    pub journal: Option<PathBuf>,
    /// Stops it.
    pub cancel: CancellationToken,
}

/// Grades copies; `tell` sees each row as it comes.
pub async fn grade(
    engine: &dyn Engine,
    class: &str,
    copies: Vec<Copy>,
    options: &Options,
    tell: &(dyn Fn(&Row) + Send + Sync),
) -> Grades {
    let mut done: BTreeMap<String, Row> = BTreeMap::new();
    if let Some(path) = &options.journal {
        for row in read_journal(path) {
            // Graded already by the run that was interrupted, and the copy is still the same one.
            if copies.iter().any(|copy| copy.instance.name == row.instance && row.error.is_none()) {
                tell(&row);
                done.insert(row.instance.clone(), row);
            }
        }
    }
    let order: Vec<String> = copies.iter().map(|copy| copy.instance.name.clone()).collect();
    let todo: Vec<Copy> =
        copies.into_iter().filter(|copy| !done.contains_key(&copy.instance.name)).collect();
    let mut work = futures::stream::iter(todo)
        .map(|copy| async move { grade_one(engine, copy, options).await })
        .buffer_unordered(options.parallel.max(1));
    let mut interrupted = false;
    loop {
        let row = tokio::select! {
            biased;
            row = work.next() => row,
            () = options.cancel.cancelled(), if !interrupted => {
                // Each running verification sees the same token, puts its lab back and ends.
                interrupted = true;
                continue;
            }
        };
        let Some(row) = row else { break };
        if row.report.as_ref().is_some_and(|report| report.interrupted) {
            interrupted = true;
            continue;
        }
        tell(&row);
        if let Some(path) = &options.journal {
            append_journal(path, &row);
        }
        done.insert(row.instance.clone(), row);
    }
    if let (false, Some(path)) = (interrupted, &options.journal) {
        let _ = std::fs::remove_file(path);
    }
    let rows = order.iter().filter_map(|name| done.remove(name)).collect();
    Grades { schema: 1, class: class.to_owned(), rows, interrupted }
}

async fn grade_one(engine: &dyn Engine, copy: Copy, options: &Options) -> Row {
    let instance = copy.instance.name.clone();
    let student = copy.student;
    let plan = match Document::of(engine, &instance).await {
        Ok(document) => document.plan,
        Err(error) => {
            return Row { student, instance, report: None, error: Some(error.to_string()) };
        }
    };
    let how = checks::Options {
        only: options.only.clone(),
        scenarios: options.scenarios,
        cancel: options.cancel.clone(),
        ..checks::Options::default()
    };
    let report = checks::verify(&plan, engine, &instance, &how, &|_| {}).await;
    let error = report
        .outcomes
        .iter()
        .find(|outcome| outcome.verdict == Verdict::Error)
        .map(|outcome| format!("{}: {}", outcome.name, outcome.message));
    Row { student, instance, report: Some(report), error }
}

fn read_journal(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // A line cut off in the middle is what an interruption leaves.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn append_journal(path: &Path, row: &Row) {
    let Ok(line) = serde_json::to_string(row) else { return };
    if let Some(folder) = path.parent() {
        let _ = std::fs::create_dir_all(folder);
    }
    if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path) {
        let _ = writeln!(file, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_survives_a_cut_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/class.jsonl");
        let student = crate::roster::counted(1).remove(0);
        let row = Row { student, instance: "x-s01".into(), report: None, error: Some("no".into()) };
        append_journal(&path, &row);
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        write!(file, "{{\"student\":").unwrap();
        let rows = read_journal(&path);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].earned(), None);
        let grades = Grades { rows, schema: 1, class: "x".into(), interrupted: false };
        assert_eq!(grades.exit_code(), 3);
    }
}
