//! Grading: every copy verified, a bounded number at once; results streamed as they come, kept in a
//! journal until all are there, so that an interrupted grading goes on where it stopped.

use std::collections::BTreeMap;
use std::path::PathBuf;

use checks::{Report, Verdict};
use deploy::Document;
use engine::Engine;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::copies::Copy;
use crate::journal::Journal;
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
    /// Where results are kept; nowhere where absent.
    pub journal: Option<PathBuf>,
    /// Results that are not older than this second (since the epoch) are taken over from an
    /// earlier grading instead of graded again.
    pub since: Option<i64>,
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
    let journal = options.journal.as_ref().map(|path| Journal::open(path, &options.how()));
    let mut done: BTreeMap<String, Row> = BTreeMap::new();
    for copy in &copies {
        let kept = journal.as_ref().and_then(|journal| journal.row(&copy.instance, options.since));
        if let Some(row) = kept {
            tell(&row);
            done.insert(row.instance.clone(), row);
        }
    }
    let order: Vec<String> = copies.iter().map(|copy| copy.instance.name.clone()).collect();
    let todo: Vec<Copy> =
        copies.into_iter().filter(|copy| !done.contains_key(&copy.instance.name)).collect();
    let mut work = futures::stream::iter(todo)
        .map(|copy| async move {
            let created = copy.instance.created;
            (created, grade_one(engine, copy, options).await)
        })
        .buffer_unordered(options.parallel.max(1));
    let mut interrupted = false;
    loop {
        let next = tokio::select! {
            biased;
            next = work.next() => next,
            () = options.cancel.cancelled(), if !interrupted => {
                // Each running verification sees the same token, puts its lab back and ends.
                interrupted = true;
                continue;
            }
        };
        let Some((created, row)) = next else { break };
        if row.report.as_ref().is_some_and(|report| report.interrupted) {
            interrupted = true;
            continue;
        }
        tell(&row);
        if let Some(journal) = &journal {
            journal.add(created, &row);
        }
        done.insert(row.instance.clone(), row);
    }
    if let (false, Some(journal)) = (interrupted, &journal) {
        journal.close(&order);
    }
    let rows = order.iter().filter_map(|name| done.remove(name)).collect();
    Grades { schema: 1, class: class.to_owned(), rows, interrupted }
}

impl Options {
    /// What of the options decides about a result: one of another kind is none.
    fn how(&self) -> String {
        format!("{}|{}", self.scenarios, self.only.join("|"))
    }
}

/// Grades one copy.
pub async fn grade_one(engine: &dyn Engine, copy: Copy, options: &Options) -> Row {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_no_zero() {
        let student = crate::roster::counted(1).remove(0);
        let row = Row { student, instance: "x-s01".into(), report: None, error: Some("no".into()) };
        assert_eq!(row.earned(), None);
        let grades = Grades { rows: vec![row], schema: 1, class: "x".into(), interrupted: false };
        assert_eq!(grades.exit_code(), 3);
    }
}
