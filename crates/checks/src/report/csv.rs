//! CSV, one line a check: for spreadsheets, which must not take a text for a formula.

use super::points;
use crate::verdict::Report;

/// The reports below each other, with a head.
pub fn csv(reports: &[Report]) -> String {
    // Memory can always be written to.
    write(reports).unwrap_or_default()
}

fn write(reports: &[Report]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "lab",
        "instance",
        "group",
        "check",
        "kind",
        "verdict",
        "earned",
        "points",
        "seconds",
        "attempts",
        "layer",
        "message",
        "explanation",
        "hint",
    ])?;
    for report in reports {
        for outcome in &report.outcomes {
            let explanation = outcome.explanation.as_ref();
            writer.write_record([
                safe(&report.lab),
                safe(&report.instance),
                safe(outcome.group.as_deref().unwrap_or_default()),
                safe(&outcome.name),
                safe(&outcome.kind),
                outcome.verdict.word().to_owned(),
                points(outcome.earned),
                points(outcome.points),
                format!("{:.3}", outcome.seconds),
                outcome.attempts.to_string(),
                explanation.map_or("", |e| e.layer.word()).to_owned(),
                safe(&outcome.message),
                safe(explanation.map_or("", |e| &e.says)),
                safe(outcome.hint.as_deref().unwrap_or_default()),
            ])?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A text that no spreadsheet takes for a formula: what begins like one gets an apostrophe.
fn safe(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;
    use crate::verdict::tests::{outcome, report};

    #[test]
    fn a_text_is_never_a_formula() {
        let mut evil = outcome("=HYPERLINK(\"x\")", Verdict::Fail, 1.0);
        evil.message = "a \"quoted\", split\nline".into();
        let text = csv(&[report(vec![evil])]);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(&rows[0][3], "'=HYPERLINK(\"x\")");
        assert_eq!(&rows[0][11], "a \"quoted\", split\nline");
    }
}
