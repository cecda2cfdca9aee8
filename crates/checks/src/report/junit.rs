//! JUnit XML, as CI systems read it.

use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::table::details;
use crate::verdict::{Outcome, Report, Verdict};

/// One suite, one case a check. `fail` is a failure, `error` an error, `blocked` skipped.
pub fn junit(report: &Report) -> String {
    junit_all(std::slice::from_ref(report))
}

/// The same for several instances, a suite each.
pub fn junit_all(reports: &[Report]) -> String {
    let mut whole = quick_junit::Report::new("labctl");
    for report in reports {
        let mut suite = TestSuite::new(clean(&report.instance));
        suite.set_time(time(report.seconds));
        for outcome in &report.outcomes {
            suite.add_test_case(case(report, outcome));
        }
        whole.add_test_suite(suite);
    }
    // Only characters that XML does not have could stop it, and `clean` lets none through.
    whole.to_string().unwrap_or_default()
}

fn case(report: &Report, outcome: &Outcome) -> TestCase {
    let mut status = match outcome.verdict {
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
        Verdict::Blocked => TestCaseStatus::skipped(),
    };
    if outcome.verdict != Verdict::Pass {
        status.set_message(clean(&outcome.message));
        status.set_description(clean(&details(outcome).join("\n")));
    }
    if let (TestCaseStatus::NonSuccess { .. }, Some(explanation)) = (&status, &outcome.explanation)
    {
        status.set_type(explanation.layer.word());
    }
    let mut case = TestCase::new(clean(&outcome.name), status);
    case.set_classname(clean(outcome.group.as_deref().unwrap_or(&report.lab)));
    case.set_time(time(outcome.seconds));
    if !outcome.steps.is_empty() {
        let steps: Vec<String> = outcome
            .steps
            .iter()
            .map(|step| format!("{} {}: {}", step.verdict.word(), step.name, step.message))
            .collect();
        case.set_system_out(clean(&steps.join("\n")));
    }
    case
}

fn time(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()
}

/// Without the characters that XML 1.0 does not allow.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::{outcome, report};

    #[test]
    fn each_verdict_has_its_element() {
        let mut evil = outcome("a <b> & \u{1} ]]>", Verdict::Fail, 1.0);
        evil.message = "x \u{0} \"y\"".into();
        let xml = junit(&report(vec![
            outcome("fine", Verdict::Pass, 1.0),
            evil,
            outcome("later", Verdict::Blocked, 1.0),
            outcome("ours", Verdict::Error, 1.0),
        ]));
        assert!(xml.contains("tests=\"4\"") && xml.contains("failures=\"1\""), "{xml}");
        assert!(xml.contains("<failure") && xml.contains("<skipped") && xml.contains("<error"));
        assert!(!xml.contains('\u{0}') && !xml.contains("<b>"));
    }
}
