//! What labctl may ask an agent.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request to an agent. The answer is one JSON value; where a request streams, items come
/// before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The node's state now: [`Status`].
    Status,
    /// Items: a [`Status`] at each change. Ends with the first one that is ready, or with an
    /// [`Error`] of code `not-ready` that says what was still missing after `timeout_ms`.
    Ready {
        /// How long to wait, in milliseconds.
        timeout_ms: u64,
    },
    /// Runs one probe (`probes::Probe` as JSON); the answer is its outcome.
    Probe(Value),
    /// Switches a service, or one protocol of it, off or on: [`Switch`] tells the state after.
    Service {
        /// `mail`, `dns`, `dhcp`, `web`.
        service: String,
        /// One protocol of it, such as `smtp`; all where absent.
        #[serde(default)]
        protocol: Option<String>,
        /// What to do; only tell where absent.
        #[serde(default)]
        on: Option<bool>,
    },
    /// Hands a request to a service's admin socket; its items and its answer come back.
    Admin {
        /// `mail`, `dns`, `dhcp`, `web`, and the agent's own `dhcp-client`, `rip`.
        service: String,
        /// The request in the service's own form.
        request: Value,
    },
    /// Changes an interface.
    Link {
        /// The network it is on.
        network: String,
        /// What to do.
        action: LinkAction,
    },
    /// Changes how a host is set up, as in a PC's "IP Configuration" and "Configure Mail": [`Host`]
    /// as it is after. What is changed lasts over a restart of the node.
    Configure(HostChange),
    /// Runs a command in the node without a terminal: [`Output`].
    Exec {
        /// The command and its arguments.
        command: Vec<String>,
        /// Ends it after so many milliseconds.
        timeout_ms: u64,
    },
    /// One line for the router's console: [`Output`].
    Console {
        /// The line, as typed.
        line: String,
    },
    /// Opens a TCP connection from the node and turns the channel into its byte stream.
    Connect {
        /// Address or name.
        host: String,
        /// Port.
        port: u16,
    },
    /// Captures frames; each item is a batch (`packets::Batch` as JSON) until cancelled.
    Capture {
        /// Networks whose interfaces are listened on; all where empty.
        networks: Vec<String>,
        /// Bytes kept of each frame.
        snaplen: u32,
    },
    /// The node's changed state as a gzipped tar in base64 (`{"archive": "…"}`).
    Snapshot,
    /// Puts a [`Request::Snapshot`] back and restarts the services.
    Restore {
        /// The archive, base64.
        archive: String,
    },
}

/// What is to change of a host; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostChange {
    /// The default gateway.
    pub gateway: Option<Gateway>,
    /// The DNS servers in order.
    pub dns: Option<Vec<std::net::IpAddr>>,
    /// The search domains.
    pub search: Option<Vec<String>>,
    /// The mail program's settings, all of them.
    pub mail: Option<crate::config::MailClient>,
}

/// A host's default gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gateway {
    /// None.
    None,
    /// This one.
    Via(std::net::Ipv4Addr),
}

/// How a host is set up now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// The default gateways of its routes.
    pub gateways: Vec<std::net::Ipv4Addr>,
    /// DNS servers in use.
    pub dns: Vec<std::net::IpAddr>,
    /// Search domains in use.
    pub search: Vec<String>,
    /// The mail program's settings.
    pub mail: Option<crate::config::MailClient>,
    /// Its interfaces.
    pub links: Vec<LinkStatus>,
}

/// What can be done to an interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LinkAction {
    /// Plugs the cable in.
    Up,
    /// Pulls the cable.
    Down,
    /// Makes the link bad; all `None` makes it good again.
    Impair {
        /// Share of frames lost, 0 to 1.
        loss: Option<f64>,
        /// Delay in milliseconds.
        delay_ms: Option<u64>,
        /// Rate in bits a second.
        rate_bps: Option<u64>,
    },
    /// Gives it another address.
    Address(crate::config::Address),
    /// Only tells.
    Show,
}

/// A node's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Whether everything the node was configured with is there.
    pub ready: bool,
    /// What is still missing, in words; empty when ready.
    #[serde(default)]
    pub waiting_for: Vec<String>,
    /// Its interfaces.
    #[serde(default)]
    pub links: Vec<LinkStatus>,
    /// Its services.
    #[serde(default)]
    pub services: Vec<ServiceStatus>,
    /// DNS servers in use.
    #[serde(default)]
    pub resolvers: Vec<std::net::IpAddr>,
    /// Seconds since the agent started.
    #[serde(default)]
    pub uptime_s: f64,
    /// The version of labctl that the agent is.
    #[serde(default)]
    pub version: String,
}

/// An interface's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The network it is on.
    pub network: String,
    /// Its name in the node.
    pub name: String,
    /// Its MAC address.
    pub mac: String,
    /// Administratively up and not pulled.
    pub up: bool,
    /// Its address with prefix, if it has one.
    #[serde(default)]
    pub address: Option<String>,
    /// `static`, `dhcp` or `none`.
    #[serde(default)]
    pub method: String,
    /// The lease, where it has one.
    #[serde(default)]
    pub lease: Option<Lease>,
}

/// A DHCP lease as the client holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// The address with its prefix.
    pub address: String,
    /// Who gave it.
    pub server: std::net::Ipv4Addr,
    /// Default gateway.
    #[serde(default)]
    pub router: Option<std::net::Ipv4Addr>,
    /// DNS servers.
    #[serde(default)]
    pub dns: Vec<std::net::Ipv4Addr>,
    /// Domain name.
    #[serde(default)]
    pub domain: Option<String>,
    /// Seconds it was given for.
    pub seconds: u32,
    /// Seconds left.
    pub left: u32,
    /// Every option of the ACK by number, as text.
    #[serde(default)]
    pub options: std::collections::BTreeMap<u8, String>,
}

/// A service's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// `mail`, `dns`, `dhcp`, `web`.
    pub name: String,
    /// Whether its process runs.
    pub running: bool,
    /// Its protocols and whether each is switched on and accepts.
    #[serde(default)]
    pub protocols: Vec<Switch>,
    /// How often it was restarted after a crash.
    #[serde(default)]
    pub restarts: u32,
    /// Why it does not run, from its last lines.
    #[serde(default)]
    pub error: Option<String>,
}

/// A protocol of a service, and whether it is on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Switch {
    /// `smtp`, `pop3`, `dns`, …
    pub protocol: String,
    /// On or off.
    pub on: bool,
}

/// What a command printed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Exit code; 124 when it ran out of time, 128 + signal when killed.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Why a request failed: a stable code, a sentence, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// Stable, lower case, with dashes: `not-ready`, `no-such-service`, `bad-request`, …
    pub code: String,
    /// What happened, one sentence.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Error {
    /// An error without help.
    pub fn new(code: &str, message: impl fmt::Display) -> Self {
        Self { code: code.into(), message: message.to_string(), help: None }
    }

    /// The same with a line of help.
    #[must_use]
    pub fn help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
