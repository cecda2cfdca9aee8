//! All that labctl prints: data on standard output, everything else on standard error.
//!
//! anstream takes the colours away where they are not wanted (a pipe, NO_COLOR, TERM=dumb).

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Begins a failure.
pub const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
/// Begins a success.
pub const GREEN: anstyle::Style = anstyle::AnsiColor::Green.on_default();
/// Begins a warning.
pub const YELLOW: anstyle::Style = anstyle::AnsiColor::Yellow.on_default();
/// Begins help.
pub const CYAN: anstyle::Style = anstyle::AnsiColor::Cyan.on_default();
/// What is less important.
pub const DIM: anstyle::Style = anstyle::Style::new().dimmed();
/// A heading.
pub const BOLD: anstyle::Style = anstyle::Style::new().bold();
/// Ends any of them.
pub const PLAIN: anstyle::Reset = anstyle::Reset;

/// Whether standard error is a terminal that shows live progress.
pub fn live() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A line of data. What nodes say, their students say: of control characters only line ends,
/// tabulators and colours reach the terminal.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stdout().lock(), "{}", harmless(text));
}

/// The text with a replacement character for what would move a terminal's cursor or change its state.
/// A line that ends as on the wire ends as here.
fn harmless(text: &str) -> Cow<'_, str> {
    let bad = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains("\r\n") {
        return Cow::Owned(harmless(&text.replace("\r\n", "\n")).into_owned());
    }
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(bad) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        // A colour (SGR, ECMA-48 section 8.3.117): ESC [ numbers m.
        let numbers = |c: char| c.is_ascii_digit() || c == ';';
        let colour = from
            .strip_prefix("\x1b[")
            .and_then(|body| body.trim_start_matches(numbers).strip_prefix('m'))
            .map(|after| from.len() - after.len());
        let taken = match colour {
            Some(length) => {
                plain.push_str(&from[..length]);
                length
            }
            None => {
                plain.push('\u{fffd}');
                from.chars().next().map_or(0, char::len_utf8)
            }
        };
        rest = &from[taken..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Data as it stands.
pub fn put(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// A line for the person, not for the pipe; harmless as well.
pub fn tell(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{}", harmless(text));
}

/// A line about something that went wrong.
pub fn complain(text: &str) {
    tell(text);
}

/// `1 node`, `2 nodes`.
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// One document of data.
pub fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    say(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// One line of a stream of data.
pub fn json_line<T: Serialize>(value: &T) -> Result<(), Failure> {
    say(&serde_json::to_string(value)?);
    Ok(())
}

/// A table without lines: heads in capitals, columns two blanks apart. Styles do not count as
/// width.
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    use comfy_table::{Cell, ColumnConstraint, Table, Width, presets};
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(heads.iter().map(Cell::new));
    for row in rows {
        table.add_row(row.iter().map(Cell::new));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
        column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(80)));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn colours_pass_and_nothing_that_paints_over_a_verdict() {
        assert_eq!(harmless("\x1b[32mPASS\x1b[0m\ta\nb é"), "\x1b[32mPASS\x1b[0m\ta\nb é");
        assert_eq!(harmless("x\x1b[1A\x1b[2KPASS\r"), "x\u{fffd}[1A\u{fffd}[2KPASS\u{fffd}");
        assert_eq!(
            harmless("\x1b]0;title\x07\u{9b}m\x1b["),
            "\u{fffd}]0;title\u{fffd}\u{fffd}m\u{fffd}["
        );
        assert_eq!(harmless("Subject: x\r\n\ra\r\n"), "Subject: x\n\u{fffd}a\n");
    }
}
