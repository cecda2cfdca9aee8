//! `labctl class grade`: running copies, or hand-ins that are brought up one after the other.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use class::copies::{self, Copy};
use class::grade::{self, Grades, Row};
use class::handin::{self, HandIn};
use class::roster::Student;
use class::{sheets, start};
use engine::Limits;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{chosen, find, hand_in, now};
use crate::args::Isolation;
use crate::args::LabFile;
use crate::args::class::Grading;
use crate::context::{Context, Shared};
use crate::failure::{ENGINE, Failure, Outcome};
use crate::verbs::lab;
use crate::{interrupt, output};

/// How long hand-ins that are graded may be forgotten by a killed labctl, in seconds.
const FORGOTTEN: i64 = 3600;

/// Grades the copies that run.
pub async fn running(context: &Context, class: Option<&str>, grading: &Grading) -> Outcome {
    known_forms(&grading.report)?;
    let (engine, copies) = find(context, class).await?;
    let copies = chosen(copies, &grading.student)?;
    let class = copies.first().map(|copy| copy.class.clone()).unwrap_or_default();
    let journal =
        crate::state::folder().map(|folder| folder.join("class").join(format!("{class}.jsonl")));
    if let (Some(path), true) = (&journal, grading.again) {
        let _ = std::fs::remove_file(path);
    }
    let options = grade::Options { journal, ..options(grading, interrupt::token())? };
    let teller = Teller::new(context, copies.len());
    let grades =
        grade::grade(engine.as_ref(), &class, copies, &options, &|row| teller.tell(row)).await;
    finish(context, &grades, grading)
}

/// Grades hand-ins: each is brought up, graded and taken down, a few at once. One that is damaged
/// is an error of that student alone.
pub async fn archives(
    context: &Context,
    class: Option<&str>,
    folder: &Path,
    author: Option<&LabFile>,
    grading: &Grading,
) -> Outcome {
    known_forms(&grading.report)?;
    let engine = context.isolated(Isolation::Pod).await?;
    let cancel = interrupt::token();
    let options = options(grading, cancel.clone())?;
    let wanted = |path: &PathBuf| {
        grading.student.is_empty()
            || grading.student.iter().any(|id| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let own = class::roster::named(std::slice::from_ref(id)).ok();
                own.is_some_and(|own| name == format!("{}{}", own[0].slug, handin::SUFFIX))
            })
    };
    let paths: Vec<PathBuf> = hand_in::archives(folder)?.into_iter().filter(wanted).collect();
    if paths.is_empty() {
        return Err(Failure::usage(format!(
            "{} has no hand-in of {}",
            folder.display(),
            grading.student.join(", ")
        )));
    }
    let teller = Teller::new(context, paths.len());
    let mut rows: Vec<Row> = futures::stream::iter(&paths)
        .map(|path| {
            let (engine, options, teller) = (&engine, &options, &teller);
            async move {
                if options.cancel.is_cancelled() {
                    return None;
                }
                let row = one(engine, class, path, author, options).await;
                let whole = !row.report.as_ref().is_some_and(|report| report.interrupted);
                whole.then(|| {
                    teller.tell(&row);
                    row
                })
            }
        })
        .buffer_unordered(grading.parallel.max(1))
        .filter_map(std::future::ready)
        .collect()
        .await;
    rows.sort_by(|a, b| (a.student.number, &a.student.id).cmp(&(b.student.number, &b.student.id)));
    let class = match (class, rows.iter().find_map(|row| row.report.as_ref())) {
        (Some(class), _) => class.to_owned(),
        (None, Some(report)) => report.lab.clone(),
        (None, None) => "class".to_owned(),
    };
    let grades = Grades { schema: 1, class, rows, interrupted: cancel.is_cancelled() };
    finish(context, &grades, grading)
}

/// Brings one hand-in up, grades it and takes it down, whatever happens.
async fn one(
    engine: &Shared,
    class: Option<&str>,
    path: &Path,
    author: Option<&LabFile>,
    options: &grade::Options,
) -> Row {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let id = name.trim_end_matches(handin::SUFFIX).to_owned();
    let unread = |error: String| Row {
        student: Student {
            slug: id.clone(),
            id: id.clone(),
            number: usize::MAX,
            fields: Default::default(),
        },
        instance: id.clone(),
        report: None,
        error: Some(error),
    };
    let mut handin = match HandIn::read(path) {
        Ok(handin) => handin,
        Err(error) => return unread(error),
    };
    let student = handin.student.clone();
    let lab = handin.document.plan.lab.clone();
    let failed = |instance: &str, error: String| Row {
        student: student.clone(),
        instance: instance.to_owned(),
        report: None,
        error: Some(error),
    };
    if let Some(file) = author
        && let Err(error) = judge(&mut handin, class.unwrap_or(&lab), file)
    {
        return failed("", error);
    }
    // Beside the copy that the student may have running here.
    let class = format!("{}-hand-in", class.unwrap_or(&lab));
    let how = start::Options {
        class: class.clone(),
        expires: Some(now() + FORGOTTEN),
        limits: Limits::default(),
        parallel: 1,
        wait: Duration::from_secs(60),
        exercise: handin.document.exercise,
    };
    let instance = copies::instance_name(&class, &student);
    let row = match handin::restore(engine.as_ref(), &handin, &how).await {
        Ok(name) => {
            let instance = engine::Instance { name, ..engine::Instance::default() };
            let copy = Copy { student: student.clone(), class, instance, expires: None };
            grade::grade_one(engine.as_ref(), copy, options).await
        }
        Err(error) => failed(&instance, error),
    };
    match engine.remove(&instance, &|_| {}).await {
        Ok(_) => row,
        Err(error) => {
            output::complain(&format!("{}: what graded it is left: {error}", student.id));
            row
        }
    }
}

/// The author's lab in the place of the one in the archive.
fn judge(handin: &mut HandIn, class: &str, file: &LabFile) -> Result<(), String> {
    let mut vars = lab::vars(&file.set).map_err(|failure| failure.message)?;
    vars.extend(handin.student.variables(class));
    let lab = ::lab::load(&file.file, &vars).map_err(|report| report.to_string())?;
    handin.judged_by(lab.plan)
}

fn options(grading: &Grading, cancel: CancellationToken) -> Result<grade::Options, Failure> {
    Ok(grade::Options {
        only: grading.only.clone(),
        scenarios: !grading.no_scenarios,
        parallel: grading.parallel,
        journal: None,
        since: grading.since.as_deref().map(since).transpose()?,
        cancel,
    })
}

/// A time ago (`2h`, `30m`, `1d`), or a moment (`2026-05-04T10:00`, UTC where no zone is given).
fn since(text: &str) -> Result<i64, Failure> {
    if let Some(seconds) = ago(text) {
        return Ok(now() - seconds);
    }
    // Where no zone is given it is UTC, where no time, the day's first second.
    let forms = [text.to_owned(), format!("{text}Z"), format!("{text}T00:00Z")];
    if let Some(moment) = forms.iter().find_map(|form| form.parse::<jiff::Timestamp>().ok()) {
        return Ok(moment.as_second());
    }
    Err(Failure::usage(format!("--since: `{text}` is no time"))
        .help("a time ago such as 2h, 30m or 1d, or a moment such as 2026-05-04T10:00 (UTC)"))
}

fn ago(text: &str) -> Option<i64> {
    let unit = match text.chars().next_back()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let number: i64 = text[..text.len() - 1].parse().ok()?;
    (number >= 0).then(|| number.saturating_mul(unit))
}

/// Tells each result as it comes.
struct Teller {
    silent: bool,
    total: usize,
    done: AtomicUsize,
}

impl Teller {
    fn new(context: &Context, total: usize) -> Self {
        let silent = context.global.quiet || context.json();
        Self { silent, total, done: AtomicUsize::new(0) }
    }

    fn tell(&self, row: &Row) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.silent {
            return;
        }
        let text = match (&row.error, &row.report) {
            (Some(error), _) => format!("error: {error}"),
            (None, Some(report)) => format!("{} of {} points", report.earned, report.points),
            (None, None) => String::new(),
        };
        output::tell(&format!("[{done}/{}] {}  {text}", self.total, row.student.id));
    }
}

fn finish(context: &Context, grades: &Grades, grading: &Grading) -> Outcome {
    for path in &grading.report {
        write(path, grades)?;
    }
    show(context, grades)?;
    Ok(grades.exit_code())
}

fn show(context: &Context, grades: &Grades) -> Result<(), Failure> {
    if context.json() {
        return output::json(grades);
    }
    let rows: Vec<Vec<String>> = grades
        .rows
        .iter()
        .map(|row| {
            let (points, failed) = match (&row.report, row.earned()) {
                (Some(report), Some(earned)) => {
                    let failed =
                        report.outcomes.iter().filter(|o| o.verdict != checks::Verdict::Pass);
                    let names: Vec<&str> = failed.map(|outcome| outcome.name.as_str()).collect();
                    (format!("{earned}/{}", report.points), names.join(", "))
                }
                _ => ("error".to_owned(), row.error.clone().unwrap_or_default()),
            };
            vec![row.student.id.clone(), row.student.title().to_owned(), points, failed]
        })
        .collect();
    output::say(&output::table(&["STUDENT", "NAME", "POINTS", "FAILED"], &rows));
    Ok(())
}

/// A form that is not known is told before an hour of grading.
fn known_forms(paths: &[PathBuf]) -> Result<(), Failure> {
    for path in paths {
        let name = path.to_string_lossy().to_lowercase();
        if ![".csv", ".json", ".xml", ".html", ".xlsx"].iter().any(|form| name.ends_with(form)) {
            return Err(unknown_form(path));
        }
    }
    Ok(())
}

fn unknown_form(path: &Path) -> Failure {
    Failure::usage(format!("the form of {} is not known", path.display()))
        .help(".csv, moodle.csv (Moodle's gradebook), .xlsx, .json, .xml (JUnit) and .html are")
}

fn write(path: &Path, grades: &Grades) -> Result<(), Failure> {
    let name =
        path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let bytes = match name.rsplit('.').next() {
        Some("csv") if name.contains("moodle") => sheets::moodle(grades).into_bytes(),
        Some("csv") => sheets::csv(grades).into_bytes(),
        Some("json") => sheets::json(grades).into_bytes(),
        Some("xml") => sheets::junit(grades).into_bytes(),
        Some("html") => sheets::html(grades).into_bytes(),
        Some("xlsx") => sheets::xlsx(grades)
            .map_err(|error| Failure::new(ENGINE, format!("make {}: {error}", path.display())))?,
        _ => return Err(unknown_form(path)),
    };
    std::fs::write(path, bytes)
        .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ago_or_a_moment() {
        assert!((now() - since("2h").unwrap() - 7200).abs() <= 1);
        assert_eq!(since("2026-05-04T10:00").unwrap(), since("2026-05-04T10:00:00Z").unwrap());
        assert_eq!(since("2026-05-04T12:00:00+02:00").unwrap(), since("2026-05-04T10:00").unwrap());
        for wrong in ["", "h", "-2h", "yesterday", "2 weeks", "ü"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
