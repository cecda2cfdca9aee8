//! Markdown, for a merge request or a course page.

use super::table::{details, summary, table};
use crate::verdict::{Report, Verdict};

/// A heading, a table, and the explanation of what did not pass.
pub fn markdown(report: &Report) -> String {
    let mut text = format!(
        "# {}\n\n{} · {}\n\n**{}**\n\n| | Check | Points | Time | Seen |\n| --- | --- | --- | --- | --- |\n",
        escape(&report.title),
        escape(&report.instance),
        report.started,
        summary(report)
    );
    for row in table(report) {
        let indent = if row.depth > 0 { "· " } else { "" };
        text.push_str(&format!(
            "| {} | {indent}{} | {} | {} | {} |\n",
            mark(row.verdict),
            escape(&row.name),
            row.points,
            row.time,
            escape(&row.message)
        ));
    }
    for outcome in report.outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Fail) {
        text.push_str(&format!("\n## {}\n\n```text\n", escape(&outcome.name)));
        for line in details(outcome) {
            // A fence in the evidence would end the block.
            text.push_str(&line.replace("```", "'''"));
            text.push('\n');
        }
        text.push_str("```\n");
    }
    text
}

/// The verdict's mark.
fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "**FAIL**",
        Verdict::Blocked => "blocked",
        Verdict::Error => "*error*",
    }
}

/// A text that is nothing but text in a cell.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => escaped.push(' '),
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '#' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::tests::{outcome, report};

    #[test]
    fn a_row_stays_a_row() {
        let mut odd = outcome("a | b", Verdict::Fail, 1.0);
        odd.message = "one\ntwo <script>".into();
        let text = markdown(&report(vec![odd]));
        assert!(
            text.contains("| **FAIL** | a \\| b | 0/1 | 0.25 s | one two &lt;script&gt; |"),
            "{text}"
        );
        assert!(text.starts_with("# Email &lt;protocols&gt;"));
    }
}
