//! Why a verb ended badly, and the exit codes.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | done; every check passed |
//! | 1 | a check failed |
//! | 2 | the lab or the command line is wrong; nothing was touched |
//! | 3 | the engine, or labctl itself, failed |
//! | 4 | nothing to run |
//! | 5 | a part was done: some of a class have what was asked for, others not |
//! | 130 | interrupted |

use std::fmt::Write as _;

/// A check failed.
pub const FAILED: u8 = 1;
/// The lab or the command line is wrong.
pub const INVALID: u8 = 2;
/// The engine failed.
pub const ENGINE: u8 = 3;
/// There was nothing to run.
pub const NOTHING: u8 = 4;
/// Done for some of a class, not for all.
pub const PARTLY: u8 = 5;
/// Interrupted.
pub const INTERRUPTED: u8 = 130;

/// Why a verb ended badly.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What happened, one sentence or several lines.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Printed as it stands, without a prefix.
    pub rendered: bool,
}

/// The result of a verb: its exit code.
pub type Outcome = Result<u8, Failure>;

impl Failure {
    /// A failure with an exit code.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, rendered: false }
    }

    /// What the user asked for makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(INVALID, message)
    }

    /// The same with a line of help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Prints it and gives the exit code.
    pub fn show(self) -> u8 {
        let mut text = String::new();
        if self.rendered {
            text.push_str(self.message.trim_end());
        } else {
            let _ = write!(
                text,
                "{}error:{} {}",
                crate::output::RED,
                crate::output::PLAIN,
                self.message
            );
        }
        if let Some(help) = &self.help {
            let _ = write!(text, "\n{} help:{} {help}", crate::output::CYAN, crate::output::PLAIN);
        }
        if !text.is_empty() {
            crate::output::complain(&text);
        }
        self.code
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        let code = match &error {
            engine::Error::NotFound(_) | engine::Error::Unsupported { .. } => INVALID,
            _ => ENGINE,
        };
        let help = error.help().map(str::to_owned);
        let message = match &error {
            engine::Error::Many(errors) => {
                let mut text = format!("{} things failed:", errors.len());
                for error in errors {
                    let _ = write!(text, "\n  - {error}");
                }
                text
            }
            error => error.to_string(),
        };
        Self { code, message, help, rendered: false }
    }
}

impl From<deploy::Error> for Failure {
    fn from(error: deploy::Error) -> Self {
        match error {
            deploy::Error::Engine(error) => error.into(),
            error @ (deploy::Error::Secrets(_) | deploy::Error::Write(_)) => {
                Self::new(ENGINE, error.to_string())
            }
            error => Self::new(INVALID, error.to_string()),
        }
    }
}

impl From<node::Error> for Failure {
    fn from(error: node::Error) -> Self {
        Self { code: ENGINE, message: error.message, help: error.help, rendered: false }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(ENGINE, error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::new(ENGINE, format!("JSON: {error}"))
    }
}
