//! One attempt of a check: what was seen, before anybody judges it.

use lab::check::Way;
use probes::Layer;

/// What an attempt saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Trial {
    /// It works; what was seen.
    Works(String),
    /// It does not.
    Broken(Failure),
    /// labctl could not try.
    Trouble(String),
}

/// The part of a check that broke.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Asking, connecting, sending.
    #[default]
    First,
    /// Fetching what was sent.
    Fetch,
}

/// How it broke.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failure {
    /// Which part.
    pub phase: Phase,
    /// The layer on which it ended, as far as the attempt itself can tell.
    pub layer: Option<Layer>,
    /// The way it was refused, where it was.
    pub way: Option<Way>,
    /// The code of an SMTP or HTTP reply.
    pub code: Option<u16>,
    /// Whether there was no answer at all, or no way.
    pub absence: Option<Absence>,
    /// What was seen, one sentence.
    pub message: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// The node that was asked, where the trouble is with it.
    pub who: Option<String>,
}

/// The failures that prove nothing by themselves: a dead node looks the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// No answer.
    Silent,
    /// Somebody says, or the node itself knows, that there is no way.
    Unreachable,
}

impl Failure {
    /// A failure on a layer.
    pub fn on(layer: Layer, message: impl Into<String>) -> Self {
        Self { layer: Some(layer), message: message.into(), ..Self::default() }
    }

    /// A value that is not as wanted.
    pub fn wrong(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// The same with a line of evidence.
    #[must_use]
    pub fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// The same with who has the trouble.
    #[must_use]
    pub fn who(mut self, node: &str) -> Self {
        self.who.get_or_insert_with(|| node.to_owned());
        self
    }
}

impl From<Failure> for Trial {
    fn from(failure: Failure) -> Self {
        Self::Broken(failure)
    }
}

impl From<probes::Error> for Failure {
    fn from(error: probes::Error) -> Self {
        let (way, absence) = match (error.layer, error.code.as_str()) {
            (_, "silent") if error.layer != Layer::Name => (None, Some(Absence::Silent)),
            (_, "no-route" | "unreachable") => (None, Some(Absence::Unreachable)),
            (Layer::Port, "refused") | (_, "reset") => (Some(Way::Connection), None),
            (Layer::Banner, "certificate") => (Some(Way::Certificate), None),
            (Layer::Name, "nxdomain" | "no-data") => (Some(Way::Name), None),
            (Layer::Name, "silent") => (Some(Way::Name), Some(Absence::Silent)),
            (Layer::Name, _) => (Some(Way::Name), None),
            (Layer::Login, _) => (Some(Way::Login), None),
            _ => (None, None),
        };
        Self {
            layer: Some(error.layer),
            way,
            absence,
            message: error.message,
            evidence: error.evidence,
            ..Self::default()
        }
    }
}

/// Why a node could not be asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Unasked {
    /// The node is the trouble, or what it met.
    Broken(Failure),
    /// labctl or the engine is.
    Trouble(String),
}

impl From<Unasked> for Trial {
    fn from(unasked: Unasked) -> Self {
        match unasked {
            Unasked::Broken(failure) => Self::Broken(failure),
            Unasked::Trouble(why) => Self::Trouble(why),
        }
    }
}

impl From<Failure> for Unasked {
    fn from(failure: Failure) -> Self {
        Self::Broken(failure)
    }
}
