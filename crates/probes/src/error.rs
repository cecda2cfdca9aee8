//! Where a probe ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The layers of a node's way to a service, from the bottom up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The node runs and its agent answers.
    Node,
    /// Its interface is up.
    Link,
    /// It has the right address and mask.
    Address,
    /// It has a way to the other.
    Route,
    /// The other answers on the link, and only one does.
    Arp,
    /// The name resolves to the right address.
    Name,
    /// The port accepts.
    Port,
    /// The service greets, TLS included.
    Banner,
    /// The service knows the user.
    Login,
    /// The service does what it is asked.
    Reply,
    /// The message is where it should be.
    Mailbox,
    /// None of them: the probe itself could not run.
    Probe,
}

impl Layer {
    /// All, from the bottom up.
    pub const ALL: [Self; 12] = [
        Self::Node,
        Self::Link,
        Self::Address,
        Self::Route,
        Self::Arp,
        Self::Name,
        Self::Port,
        Self::Banner,
        Self::Login,
        Self::Reply,
        Self::Mailbox,
        Self::Probe,
    ];

    /// Its word in lab files and reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Link => "link",
            Self::Address => "address",
            Self::Route => "route",
            Self::Arp => "arp",
            Self::Name => "name",
            Self::Port => "port",
            Self::Banner => "banner",
            Self::Login => "login",
            Self::Reply => "reply",
            Self::Mailbox => "mailbox",
            Self::Probe => "probe",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl std::str::FromStr for Layer {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|layer| layer.word() == word)
            .ok_or_else(|| format!("`{word}` is not a layer"))
    }
}

/// Why a probe ended before it had its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The layer on which it ended.
    pub layer: Layer,
    /// What it was doing, in the protocol's own word where there is one: `connect`, `banner`,
    /// `MAIL`, `USER`, …; empty where the layer says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stage: String,
    /// A short stable word for programs: `refused`, `silent`, `unreachable`, `nxdomain`, …
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// What happened and where, one sentence.
    pub message: String,
    /// What was seen: reply lines, addresses, a transcript. Never a password.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

impl Error {
    /// An error on a layer.
    pub fn new(layer: Layer, message: impl fmt::Display) -> Self {
        Self {
            layer,
            stage: String::new(),
            code: String::new(),
            message: message.to_string(),
            evidence: Vec::new(),
        }
    }

    /// The same with the stage.
    #[must_use]
    pub fn stage(mut self, stage: impl Into<String>) -> Self {
        self.stage = stage.into();
        self
    }

    /// The same with the word for programs.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = code.into();
        self
    }

    /// The same with one more line of evidence.
    #[must_use]
    pub fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    /// Why a connection to `to` failed: refused and silent are the port's, unreachable the route's.
    pub fn connect(to: impl fmt::Display, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let (layer, code, what) = match error.kind() {
            Kind::ConnectionRefused => (Layer::Port, "refused", "refuses the connection"),
            Kind::TimedOut => (Layer::Port, "silent", "does not answer"),
            Kind::HostUnreachable => {
                (Layer::Arp, "unreachable", "cannot be reached: no host there")
            }
            Kind::NetworkUnreachable => (Layer::Route, "no-route", "cannot be reached: no route"),
            Kind::ConnectionReset => (Layer::Banner, "reset", "cut the connection"),
            _ => (Layer::Port, "failed", "cannot be connected to"),
        };
        Self::new(layer, format!("{to} {what}"))
            .stage("connect")
            .code(code)
            .evidence(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
