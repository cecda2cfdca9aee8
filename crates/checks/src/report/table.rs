//! The rows of the table on a terminal, and the explanation below it.

use super::{points, seconds};
use crate::verdict::{Outcome, Report, Verdict};

/// One row; the caller draws it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Verdict, for a mark and a colour.
    pub verdict: Verdict,
    /// 0 for a check, 1 for a step of a scenario.
    pub depth: usize,
    /// The check's name.
    pub name: String,
    /// Its group; empty where it has none.
    pub group: String,
    /// `1/2`; empty where nothing is to be had.
    pub points: String,
    /// The time to its verdict.
    pub time: String,
    /// What was seen.
    pub message: String,
}

/// The rows of a report, steps below their scenario.
pub fn table(report: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    for outcome in &report.outcomes {
        rows.push(row(outcome, 0));
        rows.extend(outcome.steps.iter().map(|step| row(step, 1)));
    }
    rows
}

fn row(outcome: &Outcome, depth: usize) -> Row {
    Row {
        verdict: outcome.verdict,
        depth,
        name: outcome.name.clone(),
        group: outcome.group.clone().unwrap_or_default(),
        points: if outcome.points > 0.0 {
            format!("{}/{}", points(outcome.earned), points(outcome.points))
        } else {
            String::new()
        },
        time: seconds(outcome.seconds),
        message: outcome.message.clone(),
    }
}

/// One line about all of it: `3 of 4 checks passed, 5 of 6 points, 1.2 s`.
pub fn summary(report: &Report) -> String {
    let total = report.outcomes.len();
    let mut text = format!(
        "{} of {total} checks passed, {} of {} points, {}",
        report.count(Verdict::Pass),
        points(report.earned),
        points(report.points),
        seconds(report.seconds)
    );
    for (verdict, word) in
        [(Verdict::Fail, "failed"), (Verdict::Blocked, "blocked"), (Verdict::Error, "errors")]
    {
        match report.count(verdict) {
            0 => {}
            count => text.push_str(&format!(", {count} {word}")),
        }
    }
    if report.interrupted {
        text.push_str(", interrupted");
    }
    text
}

/// The lines that explain an outcome: the first broken layer, what shows it, what to do. Empty for
/// what passed.
pub fn details(outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    if outcome.verdict == Verdict::Pass {
        return lines;
    }
    match &outcome.explanation {
        Some(explanation) => {
            for rung in explanation.walked.iter().filter(|rung| rung.ok) {
                lines.push(format!("{:<8} ok      {}", rung.layer, rung.says));
            }
            lines.push(format!("{:<8} BROKEN  {}", explanation.layer, explanation.says));
            lines.extend(explanation.evidence.iter().map(|line| format!("         {line}")));
            lines.extend(explanation.help.iter().map(|help| format!("to do:   {help}")));
        }
        None => lines.push(outcome.message.clone()),
    }
    lines.extend(outcome.hint.iter().map(|hint| format!("hint:    {hint}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::{outcome, report};

    #[test]
    fn steps_stand_below_their_scenario_and_the_summary_counts() {
        let mut scenario = outcome("faults", Verdict::Fail, 2.0);
        scenario.steps.push(outcome("off", Verdict::Pass, 0.0));
        let report = report(vec![outcome("ping", Verdict::Pass, 1.5), scenario]);
        let rows = table(&report);
        assert_eq!(rows.iter().map(|row| row.depth).collect::<Vec<_>>(), [0, 0, 1]);
        assert_eq!(rows[0].points, "1.5/1.5");
        assert_eq!(rows[2].points, "");
        assert_eq!(summary(&report), "1 of 2 checks passed, 1.5 of 3.5 points, 1.50 s, 1 failed");
    }
}
