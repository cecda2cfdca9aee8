//! One message that still has to go to other servers.

use serde::{Deserialize, Serialize};

/// A message in the queue with everything that its deliveries need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Its number.
    pub id: u64,
    /// The message file.
    pub file: u64,
    /// Its size in bytes.
    pub size: u32,
    /// The reverse path; empty for notices, which are never answered.
    pub sender: String,
    /// Who still has to get it, and who got it or never will.
    pub recipients: Vec<Recipient>,
    /// When it came, seconds since 1970.
    pub created: i64,
    /// When it is tried next.
    pub next: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether it waits until somebody releases it.
    #[serde(default)]
    pub held: bool,
    /// Whether the sender was told of the delay.
    #[serde(default)]
    pub warned: bool,
    /// Whether only the header comes back in notices (RET=HDRS, RFC 3461).
    #[serde(default)]
    pub headers_only: bool,
    /// The sender's own name of the message (ENVID, RFC 3461).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envid: Option<String>,
    /// Whether it needs SMTPUTF8 (RFC 6531).
    #[serde(default)]
    pub utf8: bool,
    /// Whether it has bytes above 127.
    #[serde(default)]
    pub eight_bit: bool,
}

/// One recipient of a message in the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// The forward path.
    pub address: String,
    /// Where it stands.
    pub state: State,
    /// When the sender wants to be told (NOTIFY, RFC 3461).
    #[serde(default)]
    pub notify: Notify,
    /// The recipient as the sender wrote it (ORCPT, RFC 3461).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orcpt: Option<String>,
    /// The last reply or reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// Who said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// Where a recipient stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not yet.
    #[default]
    Waiting,
    /// Another server took it.
    Delivered,
    /// It never will.
    Failed,
}

/// When a sender wants to be told about a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// When it was delivered.
    pub success: bool,
    /// When it failed.
    pub failure: bool,
    /// When it is late.
    pub delay: bool,
}

impl Default for Notify {
    /// What holds without NOTIFY.
    fn default() -> Self {
        Self { success: false, failure: true, delay: true }
    }
}

impl Notify {
    /// NOTIFY=NEVER.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };
}
