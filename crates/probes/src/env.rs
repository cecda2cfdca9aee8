//! What a node's clients know about their surroundings.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The surroundings of a probe: the node's resolver, its trust and its mail settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Env {
    /// The node's name, used where a protocol asks who is calling.
    #[serde(default)]
    pub node: String,
    /// DNS servers in order.
    #[serde(default)]
    pub servers: Vec<IpAddr>,
    /// Search domains.
    #[serde(default)]
    pub search: Vec<String>,
    /// Entries of `/etc/hosts`.
    #[serde(default)]
    pub hosts: Vec<(IpAddr, Vec<String>)>,
    /// Certificates (PEM) of the authorities that the node trusts; no others are trusted.
    #[serde(default)]
    pub trust: Vec<String>,
    /// The mail program's settings.
    #[serde(default)]
    pub mail: Option<MailSettings>,
}

/// "Configure Mail": how a node's mail program is set up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MailSettings {
    /// "Your Name".
    #[serde(default)]
    pub name: String,
    /// "Email Address".
    pub address: String,
    /// "User Name".
    pub user: String,
    /// "Password".
    pub password: String,
    /// "Outgoing Mail Server".
    pub outgoing: String,
    /// "Incoming Mail Server".
    pub incoming: String,
    /// How connections are protected.
    #[serde(default)]
    pub security: crate::mail::Security,
    /// How mail is fetched where nothing else is said.
    #[serde(default)]
    pub fetch: crate::mail::Protocol,
}

/// A time by which a probe must have ended.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(tokio::time::Instant);

impl Deadline {
    /// So long from now.
    pub fn after(duration: Duration) -> Self {
        Self(tokio::time::Instant::now() + duration)
    }

    /// The time itself.
    pub fn at(self) -> tokio::time::Instant {
        self.0
    }

    /// What is left; zero when it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(tokio::time::Instant::now())
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        self.left().is_zero()
    }

    /// The earlier of this one and `duration` from now.
    pub fn within(self, duration: Duration) -> Self {
        Self(self.0.min(tokio::time::Instant::now() + duration))
    }
}
