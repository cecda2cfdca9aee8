//! One self-contained HTML page: the drawing, the verdicts, the explanations. No script, nothing
//! fetched.

use std::fmt::Write;

use super::table::summary;
use super::{points, seconds};
use crate::verdict::{Outcome, Report, Verdict};

const STYLE: &str = include_str!("report.css");

/// The page; `topology_svg` is put in as it is (crate `pictures` escapes what it draws).
pub fn html(report: &Report, topology_svg: &str) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n\
         <p class=\"sub\">{} · {} · {}</p>\n<p class=\"score {}\"><b>{} / {}</b> points<br>{}</p>\n</header>\n",
        escape(&report.lab),
        escape(&report.instance),
        escape(&report.started),
        if report.passed() { "pass" } else { "fail" },
        points(report.earned),
        points(report.points),
        escape(&summary(report)),
        title = escape(&report.title),
    );
    if !topology_svg.is_empty() {
        let _ = writeln!(page, "<figure>{topology_svg}</figure>");
    }
    page.push_str("<main>\n");
    let mut group = None;
    for outcome in &report.outcomes {
        if outcome.group != group {
            if let Some(name) = &outcome.group {
                let _ = writeln!(page, "<h2>{}</h2>", escape(name));
            }
            group.clone_from(&outcome.group);
        }
        entry(&mut page, outcome);
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn entry(page: &mut String, outcome: &Outcome) {
    let word = outcome.verdict.word();
    let score = if outcome.points > 0.0 {
        format!("{} / {}", points(outcome.earned), points(outcome.points))
    } else {
        String::new()
    };
    // What did not pass is open from the start.
    let open = if outcome.verdict == Verdict::Pass { "" } else { " open" };
    let _ = writeln!(
        page,
        "<details class=\"check {word}\"{open}><summary><span class=\"verdict\">{word}</span> \
         <span class=\"name\">{}</span><span class=\"score\">{score}</span>\
         <span class=\"time\">{}</span></summary>\n<p>{}</p>",
        escape(&outcome.name),
        seconds(outcome.seconds),
        escape(&outcome.message)
    );
    if let Some(explanation) = &outcome.explanation {
        page.push_str("<ol class=\"layers\">\n");
        for rung in &explanation.walked {
            let class = if rung.ok { "ok" } else { "broken" };
            let _ = writeln!(
                page,
                "<li class=\"{class}\"><b>{}</b> {}</li>",
                rung.layer.word(),
                escape(&rung.says)
            );
        }
        page.push_str("</ol>\n");
        if !explanation.evidence.is_empty() {
            let lines: Vec<String> = explanation.evidence.iter().map(|line| escape(line)).collect();
            let _ = writeln!(page, "<pre>{}</pre>", lines.join("\n"));
        }
        if let Some(help) = &explanation.help {
            let _ = writeln!(page, "<p class=\"help\">{}</p>", escape(help));
        }
    }
    if let Some(hint) = &outcome.hint {
        let _ = writeln!(page, "<p class=\"hint\">Hint: {}</p>", escape(hint));
    }
    if !outcome.steps.is_empty() {
        page.push_str("<ol class=\"steps\">\n");
        for step in &outcome.steps {
            let word = step.verdict.word();
            let _ = writeln!(
                page,
                "<li class=\"{word}\"><span class=\"verdict\">{word}</span> {} \
                 <span class=\"time\">{}</span><br>{}</li>",
                escape(&step.name),
                seconds(step.seconds),
                escape(&step.message)
            );
        }
        page.push_str("</ol>\n");
    }
    page.push_str("</details>\n");
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => escaped.push('\u{fffd}'),
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
    fn nothing_in_a_report_is_markup_and_nothing_is_fetched() {
        let mut evil = outcome("<img src=x onerror=alert(1)>", Verdict::Fail, 1.0);
        evil.message = "\"><script>alert(1)</script>".into();
        evil.hint = Some("<b>".into());
        let page = html(&report(vec![evil]), "<svg></svg>");
        assert!(!page.contains("<img") && !page.contains("<script") && !page.contains("<b>\n"));
        assert!(!page.contains("http://") && !page.contains("https://"));
        assert!(page.contains("<figure><svg></svg></figure>"));
        assert!(page.contains("<details class=\"check fail\" open>"));
    }
}
