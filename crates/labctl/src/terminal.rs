//! The user's terminal while a command in a node has it.

use nix::sys::termios::{self, SetArg, Termios};

/// Puts the terminal into raw mode; back when dropped.
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// Raw mode, where standard input is a terminal.
    pub fn enter() -> Option<Self> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&stdin, SetArg::TCSANOW, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

/// The terminal's size, where there is one.
pub fn size() -> Option<engine::TerminalSize> {
    terminal_size::terminal_size()
        .map(|(width, height)| engine::TerminalSize { columns: width.0, rows: height.0 })
}
