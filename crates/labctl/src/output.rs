//! All that labctl prints: data on standard output, everything else on standard error.
//!
//! anstream takes the colours away where they are not wanted (a pipe, NO_COLOR, TERM=dumb).

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

/// A line of data.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stdout().lock(), "{text}");
}

/// Data as it stands.
pub fn put(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// A line for the person, not for the pipe.
pub fn tell(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// A line about something that went wrong.
pub fn complain(text: &str) {
    tell(text);
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
