//! CSV: for spreadsheets, and for Moodle's gradebook import.

use checks::Verdict;

use super::{harmless, points};
use crate::grade::Grades;

/// The further columns of the roster, in one order for all.
pub(super) fn columns(grades: &Grades) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in grades.rows.iter().flat_map(|row| row.student.fields.keys()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names.sort_by_key(|name| (name != "name", name != "email", name.clone()));
    names
}

fn write(rows: Vec<Vec<String>>) -> String {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for row in rows {
        // Into memory: it cannot fail.
        let _ = writer.write_record(&row);
    }
    writer
        .into_inner()
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// One row a student, one column a check.
pub fn csv(grades: &Grades) -> String {
    let columns = columns(grades);
    let checks = grades.checks();
    let mut head: Vec<String> = vec!["id".into()];
    head.extend(columns.iter().map(|name| harmless(name)));
    head.extend(["earned", "points", "state", "reason"].map(String::from));
    head.extend(checks.iter().map(|(name, _)| harmless(name)));
    let mut rows = vec![head];
    for row in &grades.rows {
        let mut line = vec![harmless(&row.student.id)];
        for name in &columns {
            line.push(harmless(row.student.fields.get(name).map_or("", String::as_str)));
        }
        line.push(row.earned().map(points).unwrap_or_default());
        line.push(points(row.report.as_ref().map_or(grades.points(), |report| report.points)));
        line.push(if row.error.is_some() { "error".into() } else { "graded".into() });
        line.push(harmless(row.error.as_deref().unwrap_or_default()));
        for (name, _) in &checks {
            let outcome = row
                .report
                .iter()
                .flat_map(|report| &report.outcomes)
                .find(|outcome| outcome.name == *name);
            line.push(outcome.map(|outcome| word(outcome.verdict).to_owned()).unwrap_or_default());
        }
        rows.push(line);
    }
    write(rows)
}

/// What Moodle's gradebook imports: whom, and how many points. A lab that could not be graded is
/// left out, so that nobody gets a zero for it.
pub fn moodle(grades: &Grades) -> String {
    let mut rows = vec![vec!["ID number".into(), "Email address".into(), grades.class.clone()]];
    for row in &grades.rows {
        if let Some(earned) = row.earned() {
            let email = row.student.fields.get("email").cloned().unwrap_or_default();
            rows.push(vec![harmless(&row.student.id), harmless(&email), points(earned)]);
        }
    }
    write(rows)
}

pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Blocked => "blocked",
        Verdict::Error => "error",
    }
}
