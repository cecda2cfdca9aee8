//! `mailsrv.yaml`: everything the server is told at start.
//!
//! The smallest useful file:
//!
//! ```yaml
//! hostname: mail.com
//! domains: [ { name: mail.com } ]
//! accounts: { client1: admin, client2: admin }
//! state: /var/lib/labctl/mail
//! ```
//!
//! What is changed at run time through the admin socket is kept in the state folder and wins over
//! this file until this file changes.

mod account;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use account::{Account, AutoReply, Fault, Stage};
pub use settings::{Limits, Policy, Queue, Relay, RelayTls, Smarthost, Tls};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("cannot read {path}: {error}; give a readable file with --config")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is not a configuration.
    #[error("{path} is not a configuration of mailsrv: {error}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: String,
    },
    /// A value contradicts another one.
    #[error("{0}")]
    Invalid(String),
}

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The name that the server greets with and writes into Received lines.
    pub hostname: String,
    /// The address that all protocols listen on.
    #[serde(default = "any_address")]
    pub listen: IpAddr,
    /// Port and state of each protocol; one that is absent is on, on its usual port.
    #[serde(default)]
    pub protocols: BTreeMap<Protocol, Listener>,
    /// The domains whose mail ends here.
    pub domains: Vec<Domain>,
    /// Mail users: local part (then in the first domain) or whole address.
    #[serde(default)]
    pub accounts: BTreeMap<String, Account>,
    /// Other names of accounts or addresses: local part or address to its targets.
    #[serde(default)]
    pub aliases: BTreeMap<String, Vec<String>>,
    /// Distribution lists: local part or address.
    #[serde(default)]
    pub lists: BTreeMap<String, List>,
    /// Keys that sign outgoing mail, by domain.
    #[serde(default)]
    pub dkim: Vec<Dkim>,
    /// What is asked of clients.
    #[serde(default)]
    pub policy: Policy,
    /// Mail to other domains.
    #[serde(default)]
    pub relay: Relay,
    /// DNS servers, `address` or `address:port`; those of `/etc/resolv.conf` where empty.
    #[serde(default)]
    pub dns: Vec<DnsServer>,
    /// The certificate; where absent, one of an own authority is made in the state folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
    /// Times of the queue.
    #[serde(default)]
    pub queue: Queue,
    /// The folder for messages, queue and what was changed at run time.
    pub state: PathBuf,
    /// The admin socket; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<PathBuf>,
}

/// A protocol with a port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Mail from other servers (25), and from programs without a login.
    Smtp,
    /// Mail from users, STARTTLS (587).
    Submission,
    /// Mail from users, TLS from the first byte (465).
    Submissions,
    /// POP3 (110).
    Pop3,
    /// POP3, TLS from the first byte (995).
    Pop3s,
    /// IMAP (143).
    Imap,
    /// IMAP, TLS from the first byte (993).
    Imaps,
}

impl Protocol {
    /// Every protocol, in the order of `status`.
    pub const ALL: [Self; 7] = [
        Self::Smtp,
        Self::Submission,
        Self::Submissions,
        Self::Pop3,
        Self::Pop3s,
        Self::Imap,
        Self::Imaps,
    ];

    /// Its name in files, requests and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
            Self::Imap => "imap",
            Self::Imaps => "imaps",
        }
    }

    /// The port that IANA gave it.
    pub fn usual_port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Submission => 587,
            Self::Submissions => 465,
            Self::Pop3 => 110,
            Self::Pop3s => 995,
            Self::Imap => 143,
            Self::Imaps => 993,
        }
    }

    /// Whether TLS begins with the first byte.
    pub fn implicit_tls(self) -> bool {
        matches!(self, Self::Submissions | Self::Pop3s | Self::Imaps)
    }

    /// The protocol of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One protocol's port and state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Whether it accepts connections.
    #[serde(default = "yes")]
    pub on: bool,
    /// Its port; the usual one where absent. 0 lets the system choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl Default for Listener {
    fn default() -> Self {
        Self { on: true, port: None }
    }
}

/// A domain whose mail ends here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// Other names of it: `x@alias` is `x@name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Who gets mail for unknown users of it; they are refused where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_all: Option<String>,
}

impl Domain {
    /// A domain without aliases.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), aliases: Vec::new(), catch_all: None }
    }
}

/// A distribution list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Who gets each message.
    pub members: Vec<String>,
    /// Who may write to it.
    #[serde(default)]
    pub from: ListFrom,
}

/// Who may write to a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListFrom {
    /// Everybody.
    #[default]
    Anyone,
    /// Its members.
    Members,
    /// Users who have logged in.
    Users,
}

/// A key that signs the mail of one domain (RFC 6376).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dkim {
    /// The domain.
    pub domain: String,
    /// The selector: the public key is asked for at `selector._domainkey.domain`.
    pub selector: String,
    /// File with the private key (PEM, PKCS 8, RSA or Ed25519).
    pub key: PathBuf,
}

/// A DNS server: `address` or `address:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsServer(pub SocketAddr);

impl TryFrom<String> for DnsServer {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(SocketAddr::new(address, 53)));
        }
        text.parse()
            .map(Self)
            .map_err(|_| format!("`{text}` is not a DNS server: write an address or address:port"))
    }
}

impl From<DnsServer> for String {
    fn from(server: DnsServer) -> String {
        if server.0.port() == 53 { server.0.ip().to_string() } else { server.0.to_string() }
    }
}

impl Config {
    /// A configuration with every default.
    pub fn new(hostname: impl Into<String>, state: impl Into<PathBuf>) -> Self {
        let hostname = hostname.into();
        Self {
            domains: vec![Domain::new(hostname.clone())],
            hostname,
            listen: any_address(),
            protocols: BTreeMap::new(),
            accounts: BTreeMap::new(),
            aliases: BTreeMap::new(),
            lists: BTreeMap::new(),
            dkim: Vec::new(),
            policy: Policy::default(),
            relay: Relay::default(),
            dns: Vec::new(),
            tls: None,
            limits: Limits::default(),
            queue: Queue::default(),
            state: state.into(),
            admin: None,
        }
    }

    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::Read { path: path.into(), error })?;
        Self::parse(&text).map_err(|error| match error {
            Error::Parse { error, .. } => Error::Parse { path: path.into(), error },
            other => other,
        })
    }

    /// Reads and checks a text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let config: Self = serde_saphyr::from_str(text).map_err(|error| Error::Parse {
            path: "the configuration".into(),
            error: error.to_string(),
        })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        if self.domains.is_empty() {
            return Err(Error::Invalid(
                "`domains` is empty: name at least one domain whose mail ends here".into(),
            ));
        }
        if self.hostname.is_empty() || self.hostname.contains(char::is_whitespace) {
            return Err(Error::Invalid("`hostname` must be one word, such as mail.com".into()));
        }
        let faults = self.accounts.values().flat_map(|account| &account.faults);
        for fault in faults {
            fault.check()?;
        }
        if self.queue.retry_s.is_empty() {
            return Err(Error::Invalid("`queue.retry_s` needs at least one time".into()));
        }
        Ok(())
    }

    /// The port of a protocol.
    pub fn port(&self, protocol: Protocol) -> u16 {
        self.protocols
            .get(&protocol)
            .and_then(|listener| listener.port)
            .unwrap_or(protocol.usual_port())
    }

    /// Whether a protocol is on at the first start.
    pub fn is_on(&self, protocol: Protocol) -> bool {
        self.protocols.get(&protocol).is_none_or(|listener| listener.on)
    }
}

fn any_address() -> IpAddr {
    IpAddr::V4(Ipv4Addr::UNSPECIFIED)
}

fn yes() -> bool {
    true
}
