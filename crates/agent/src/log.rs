//! The node's log: plain lines on standard output.

use std::fmt::Display;
use std::io::Write;

/// Writes a line of the agent's own.
pub(crate) fn say(text: impl Display) {
    line("agent", text);
}

/// Writes a line of `who`. A log that nobody takes is no reason to end.
pub(crate) fn line(who: &str, text: impl Display) {
    let line = format!("{who}: {text}\n");
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}
