//! What goes wrong with netlink.

use std::io;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the kernel's network configuration could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused.
    #[error("{doing}: {}", io::Error::from_raw_os_error(*errno))]
    Refused {
        /// What was tried, as "setting … ".
        doing: String,
        /// The kernel's error number, positive.
        errno: i32,
    },
    /// An interface does not exist.
    #[error("there is no interface {0}")]
    NoLink(String),
    /// The operating system failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// Its error.
        source: io::Error,
    },
    /// The kernel answered what is not understood.
    #[error("{doing}: the kernel's answer is not understood: {what}")]
    Answer {
        /// What was tried.
        doing: String,
        /// What came.
        what: String,
    },
}

impl Error {
    /// The error of one netlink request.
    pub(crate) fn netlink(doing: impl Into<String>, error: rtnetlink::Error) -> Self {
        let doing = doing.into();
        match error {
            rtnetlink::Error::NetlinkError(message) => {
                Error::Refused { doing, errno: message.raw_code().abs() }
            }
            other => Error::Answer { doing, what: other.to_string() },
        }
    }

    /// The operating system's error number, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Refused { errno, .. } => Some(*errno),
            Error::Io { source, .. } => source.raw_os_error(),
            Error::NoLink(_) => Some(libc::ENODEV),
            Error::Answer { .. } => None,
        }
    }

    /// Whether the kernel lacks what was asked for, rather than refusing this use of it.
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self.errno(),
            Some(libc::EOPNOTSUPP | libc::ENOENT | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT)
        )
    }
}

/// The outcome of removing something: that it was gone already is no error.
pub(crate) fn ignoring(result: Result<()>, errnos: &[i32]) -> Result<()> {
    match result {
        Err(error) if error.errno().is_some_and(|errno| errnos.contains(&errno)) => Ok(()),
        other => other,
    }
}
