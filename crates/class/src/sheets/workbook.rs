//! A workbook: the sheets Class, Checks and Failed.

use checks::Verdict;
use rust_xlsxwriter::{Color, Format, Workbook, XlsxError};

use super::table::{columns, word};
use crate::grade::Grades;

/// The workbook's bytes. Text is written as text, so no cell can become a formula.
///
/// # Errors
/// What the writer says.
pub fn xlsx(grades: &Grades) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let bold = Format::new().set_bold();
    let colour = |rgb: u32| Format::new().set_background_color(Color::RGB(rgb));
    let (good, bad, other) = (colour(0xc9_ebd3), colour(0xf6_cccc), colour(0xfb_e8c0));
    let of = |verdict| match verdict {
        Verdict::Pass => &good,
        Verdict::Fail => &bad,
        Verdict::Blocked | Verdict::Error => &other,
    };

    let sheet = book.add_worksheet().set_name("Class")?;
    let columns = columns(grades);
    let mut heads = vec!["id"];
    heads.extend(columns.iter().map(String::as_str));
    heads.extend(["earned", "points", "state", "reason"]);
    for (column, head) in heads.iter().enumerate() {
        sheet.write_string_with_format(0, column as u16, *head, &bold)?;
    }
    for (index, row) in grades.rows.iter().enumerate() {
        let line = index as u32 + 1;
        sheet.write_string(line, 0, &row.student.id)?;
        for (column, name) in columns.iter().enumerate() {
            let text = row.student.fields.get(name).map_or("", String::as_str);
            sheet.write_string(line, column as u16 + 1, text)?;
        }
        let at = columns.len() as u16 + 1;
        if let Some(earned) = row.earned() {
            sheet.write_number(line, at, earned)?;
        }
        let points = row.report.as_ref().map_or(grades.points(), |report| report.points);
        sheet.write_number(line, at + 1, points)?;
        match &row.error {
            Some(error) => {
                sheet.write_string_with_format(line, at + 2, "error", &other)?;
                sheet.write_string(line, at + 3, error)?;
            }
            None => {
                sheet.write_string(line, at + 2, "graded")?;
            }
        }
    }
    sheet.set_freeze_panes(1, 1)?;
    sheet.autofit();

    let checks = grades.checks();
    let sheet = book.add_worksheet().set_name("Checks")?;
    sheet.write_string_with_format(0, 0, "id", &bold)?;
    for (column, (name, points)) in checks.iter().enumerate() {
        let head = format!("{name} ({})", super::points(*points));
        sheet.write_string_with_format(0, column as u16 + 1, head, &bold)?;
    }
    for (index, row) in grades.rows.iter().enumerate() {
        let line = index as u32 + 1;
        sheet.write_string(line, 0, &row.student.id)?;
        for outcome in row.report.iter().flat_map(|report| &report.outcomes) {
            if let Some(column) = checks.iter().position(|(name, _)| *name == outcome.name) {
                let (verdict, at) = (outcome.verdict, column as u16 + 1);
                sheet.write_string_with_format(line, at, word(verdict), of(verdict))?;
            }
        }
    }
    sheet.set_freeze_panes(1, 1)?;
    sheet.autofit();

    let sheet = book.add_worksheet().set_name("Failed")?;
    for (column, head) in
        ["id", "check", "verdict", "what was seen", "broken", "why"].iter().enumerate()
    {
        sheet.write_string_with_format(0, column as u16, *head, &bold)?;
    }
    let mut line = 1;
    for row in &grades.rows {
        for outcome in row.report.iter().flat_map(|report| &report.outcomes) {
            if outcome.verdict == Verdict::Pass {
                continue;
            }
            sheet.write_string(line, 0, &row.student.id)?;
            sheet.write_string(line, 1, &outcome.name)?;
            sheet.write_string_with_format(line, 2, word(outcome.verdict), of(outcome.verdict))?;
            sheet.write_string(line, 3, &outcome.message)?;
            if let Some(explanation) = &outcome.explanation {
                sheet.write_string(line, 4, explanation.layer.to_string())?;
                sheet.write_string(line, 5, &explanation.says)?;
            }
            line += 1;
        }
    }
    sheet.set_freeze_panes(1, 0)?;
    sheet.autofit();
    book.save_to_buffer()
}
