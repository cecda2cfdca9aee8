//! One page: a wall of students by checks. Self-contained; nothing is fetched.

use std::fmt::Write;

use checks::Verdict;

use super::points;
use super::table::word;
use crate::grade::Grades;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:1.5rem;color:#1d2733;background:#fff}\
h1{font-size:1.35rem;margin:0 0 .3rem}p{margin:.2rem 0 1rem;color:#4a5868}\
.wall{overflow-x:auto}table{border-collapse:collapse}\
th,td{border:1px solid #d7dde4;padding:.25rem .5rem;text-align:left;white-space:nowrap}\
thead th{vertical-align:bottom;font-weight:600;background:#f4f6f8}\
thead th.check{height:16rem;padding:0;min-width:2rem}\
thead th.check div{writing-mode:vertical-rl;transform:rotate(180deg);max-height:15.5rem;overflow:hidden;\
text-overflow:ellipsis;padding:.4rem .3rem;font-weight:500}\
tbody th,thead th:first-child{position:sticky;left:0;z-index:1;max-width:min(22rem,38vw);overflow:hidden;text-overflow:ellipsis}\
tbody th{background:#fff}td.v{text-align:center;cursor:default}\
.pass{background:#c9ebd3}.fail{background:#f6cccc}.blocked,.error{background:#fbe8c0}\
td.n{text-align:right;font-variant-numeric:tabular-nums}\
details{margin:.3rem 0}summary{cursor:pointer}li{margin:.15rem 0}\
@media(prefers-color-scheme:dark){body,tbody th{background:#14191f;color:#e3e8ee}thead th{background:#1d242c}\
th,td{border-color:#323c47}p{color:#9fb0c0}.pass{background:#1f5a38}.fail{background:#7a2a2a}\
.blocked,.error{background:#6b5320}}";

/// Draws the wall.
pub fn html(grades: &Grades) -> String {
    let checks = grades.checks();
    let count =
        |test: fn(&crate::grade::Row) -> bool| grades.rows.iter().filter(|row| test(row)).count();
    let mut out = String::new();
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{0}</title><style>{STYLE}</style>\n<h1>{0}</h1>\
         <p>{1} students, {2} with all points, {3} could not be graded{4}.</p>\n<div class=\"wall\"><table><thead><tr>\
         <th>Student<th>Points",
        escape(&grades.class),
        grades.rows.len(),
        count(|row| row
            .report
            .as_ref()
            .is_some_and(|r| row.error.is_none() && r.earned >= r.points)),
        count(|row| row.error.is_some()),
        if grades.interrupted { "; interrupted" } else { "" },
    );
    for (name, worth) in &checks {
        let _ = write!(
            out,
            "<th class=\"check\" title=\"{0}, {1} points\"><div>{0}</div>",
            escape(name),
            points(*worth)
        );
    }
    out.push_str("</thead>\n<tbody>\n");
    for row in &grades.rows {
        let earned = row.earned().map_or_else(|| "—".to_owned(), points);
        let of = row.report.as_ref().map_or(grades.points(), |report| report.points);
        let _ = write!(
            out,
            "<tr><th title=\"{}\">{}<td class=\"n\">{earned} / {}",
            escape(&row.student.id),
            escape(row.student.title()),
            points(of)
        );
        if let (Some(error), None) = (&row.error, &row.report) {
            let _ = write!(
                out,
                "<td class=\"error\" colspan=\"{}\">{}",
                checks.len().max(1),
                escape(error)
            );
        } else {
            for (name, _) in &checks {
                let outcome = row.report.iter().flat_map(|r| &r.outcomes).find(|o| o.name == *name);
                match outcome {
                    None => out.push_str("<td>"),
                    Some(outcome) => {
                        let sign = match outcome.verdict {
                            Verdict::Pass => "✓",
                            Verdict::Fail => "✗",
                            Verdict::Blocked => "·",
                            Verdict::Error => "!",
                        };
                        let why =
                            outcome.explanation.as_ref().map_or(&outcome.message, |e| &e.says);
                        let _ = write!(
                            out,
                            "<td class=\"v {0}\" title=\"{1}: {0} — {2}\">{sign}",
                            word(outcome.verdict),
                            escape(name),
                            escape(why)
                        );
                    }
                }
            }
        }
        out.push('\n');
    }
    out.push_str("</table></div>\n");
    failed(&mut out, grades);
    out
}

/// What failed, student by student, for reading.
fn failed(out: &mut String, grades: &Grades) {
    for row in &grades.rows {
        let bad: Vec<_> = row
            .report
            .iter()
            .flat_map(|report| &report.outcomes)
            .filter(|outcome| outcome.verdict != Verdict::Pass)
            .collect();
        if bad.is_empty() && row.error.is_none() {
            continue;
        }
        let _ = write!(
            out,
            "<details><summary>{} ({} to look at)</summary><ul>",
            escape(row.student.title()),
            bad.len().max(1)
        );
        if let Some(error) = &row.error {
            let _ = write!(out, "<li>could not be graded: {}", escape(error));
        }
        for outcome in bad {
            let why = match &outcome.explanation {
                Some(explanation) => format!("{}: {}", explanation.layer, explanation.says),
                None => outcome.message.clone(),
            };
            let _ = write!(out, "<li><b>{}</b> {}", escape(&outcome.name), escape(&why));
        }
        out.push_str("</ul></details>\n");
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
