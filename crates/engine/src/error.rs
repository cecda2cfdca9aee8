//! Why an engine could not.

/// The result of an engine's action.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an engine could not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine does not answer or may not be used.
    #[error("{message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// What to do.
        help: String,
    },
    /// The lab needs what this engine does not have.
    #[error("{message}")]
    Unsupported {
        /// The node and what it needs.
        message: String,
        /// What to do.
        help: String,
    },
    /// No such instance or node.
    #[error("{0}")]
    NotFound(String),
    /// An action failed.
    #[error("{what}: {why}")]
    Failed {
        /// What was tried.
        what: String,
        /// What the engine said.
        why: String,
    },
    /// Several things failed; the rest was done.
    #[error("{} things failed: {}", .0.len(), .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Many(Vec<Error>),
    /// An agent's answer.
    #[error(transparent)]
    Agent(#[from] node::Error),
}

impl Error {
    /// An action failed.
    pub fn failed(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Failed { what: what.into(), why: why.to_string() }
    }

    /// What to do about it, where there is something to say.
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Unavailable { help, .. } | Self::Unsupported { help, .. } => Some(help),
            Self::Agent(error) => error.help.as_deref(),
            _ => None,
        }
    }

    /// One error out of several; `Ok` out of none.
    pub fn collect(mut errors: Vec<Error>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Many(errors)),
        }
    }
}
