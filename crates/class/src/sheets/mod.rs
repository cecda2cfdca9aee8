//! A class's results in the forms that people and programs take: one file a form.

mod html;
mod table;
mod workbook;

pub use html::html;
pub use table::{csv, moodle};
pub use workbook::xlsx;

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use crate::grade::Grades;

/// As JSON.
pub fn json(grades: &Grades) -> String {
    serde_json::to_string_pretty(grades).unwrap_or_default()
}

/// As JUnit XML: a suite a student.
pub fn junit(grades: &Grades) -> String {
    let mut all = Junit::new(grades.class.clone());
    for row in &grades.rows {
        let mut suite = TestSuite::new(row.student.id.clone());
        if let Some(error) = &row.error {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(error.clone());
            suite.add_test_case(TestCase::new("the lab can be graded", status));
        }
        for outcome in row.report.iter().flat_map(|report| &report.outcomes) {
            let status = match outcome.verdict {
                checks::Verdict::Pass => TestCaseStatus::success(),
                checks::Verdict::Blocked => TestCaseStatus::skipped(),
                verdict => {
                    let kind = if verdict == checks::Verdict::Error {
                        NonSuccessKind::Error
                    } else {
                        NonSuccessKind::Failure
                    };
                    let mut status = TestCaseStatus::non_success(kind);
                    status.set_message(outcome.message.clone());
                    status
                }
            };
            let mut case = TestCase::new(outcome.name.clone(), status);
            case.set_time(std::time::Duration::from_secs_f64(outcome.seconds.max(0.0)));
            suite.add_test_case(case);
        }
        all.add_test_suite(suite);
    }
    all.to_string().unwrap_or_default()
}

/// A cell that a spreadsheet must not take for a formula: such text gets an apostrophe in front.
pub(crate) fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err() {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// Points without needless zeros.
pub(crate) fn points(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::grade::Row;
    use crate::roster;

    /// Two students: one graded, one whose lab broke.
    pub fn sample() -> Grades {
        let students = roster::parse(
            "id,name,email\nanna,=Anna,anna@x.test\nben,Ben <b>,ben@x.test\n".as_bytes(),
        )
        .unwrap();
        let report: checks::Report = serde_json::from_value(serde_json::json!({
            "schema": 1, "lab": "lab06", "title": "Lab", "instance": "lab06-anna",
            "started": "2026-01-01T00:00:00Z", "seconds": 1.0, "earned": 1.0, "points": 3.0,
            "interrupted": false,
            "outcomes": [outcome("pings", 1.0, "pass"), outcome("mails", 2.0, "fail")],
        }))
        .unwrap();
        let mut students = students.into_iter();
        let anna = Row {
            student: students.next().unwrap(),
            instance: "lab06-anna".into(),
            report: Some(report),
            error: None,
        };
        let ben = Row {
            student: students.next().unwrap(),
            instance: "lab06-ben".into(),
            report: None,
            error: Some("the agent of pc0 gave no answer".into()),
        };
        Grades { schema: 1, class: "lab06".into(), rows: vec![anna, ben], interrupted: false }
    }

    fn outcome(name: &str, points: f64, verdict: &str) -> serde_json::Value {
        serde_json::json!({
            "name": name, "group": null, "kind": "ping", "points": points,
            "earned": if verdict == "pass" { points } else { 0.0 },
            "verdict": verdict, "seconds": 0.5, "attempts": 1, "message": "as seen", "line": 1,
            "explanation": null, "hint": null, "steps": [],
        })
    }

    #[test]
    fn a_broken_lab_is_an_error_and_no_zero() {
        let grades = sample();
        let csv = csv(&grades);
        assert!(csv.contains("'=Anna"), "{csv}");
        assert!(csv.contains("anna,'=Anna,anna@x.test,1,3,graded,"), "{csv}");
        assert!(csv.lines().nth(2).unwrap().contains("ben,Ben <b>,ben@x.test,,3,error,"), "{csv}");
        let moodle = moodle(&grades);
        assert!(moodle.contains("anna,anna@x.test,1"), "{moodle}");
        assert!(!moodle.contains("ben"), "no grade is uploaded for an error: {moodle}");
        assert!(junit(&grades).contains("errors=\"1\""));
        let page = html(&grades);
        assert!(page.contains("Ben &lt;b&gt;") && !page.contains("Ben <b>"), "{page}");
        assert_eq!(grades.points(), 3.0);
        assert!(xlsx(&grades).unwrap().starts_with(b"PK"));
    }
}
