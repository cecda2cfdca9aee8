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
//! this file.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

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
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
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

/// A mail user. In the file either only the password or a map.
#[derive(Clone, Default, PartialEq, Serialize)]
pub struct Account {
    /// The password in plain text, or an argon2 hash (`$argon2id$…`). Nobody can log in where it
    /// is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Addresses that get a copy of each message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forward: Vec<String>,
    /// Whether a forwarded message is kept here as well.
    pub keep: bool,
    /// An answer to each sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_reply: Option<AutoReply>,
    /// Text put below each message that the user sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The most that the account may hold, in bytes; `limits.quota` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<u64>,
    /// Faults for lessons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

impl Account {
    /// An account with that password and nothing else.
    pub fn with_password(password: impl Into<String>) -> Self {
        Self { password: Some(password.into()), keep: true, ..Self::default() }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("forward", &self.forward)
            .field("keep", &self.keep)
            .field("auto_reply", &self.auto_reply)
            .field("quota", &self.quota)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// The long form of an account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountMap {
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    forward: Vec<String>,
    #[serde(default = "yes")]
    keep: bool,
    #[serde(default)]
    auto_reply: Option<AutoReply>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    quota: Option<u64>,
    #[serde(default)]
    faults: Vec<Fault>,
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Account;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a password, or a map with `password` and the account's settings")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Account, E> {
                Ok(Account::with_password(text))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Account, E> {
                Ok(Account::with_password(number.to_string()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Account, E> {
                Ok(Account::with_password(number.to_string()))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Account, E> {
                Ok(Account { keep: true, ..Account::default() })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Account, A::Error> {
                let map = AccountMap::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Account {
                    password: map.password,
                    forward: map.forward,
                    keep: map.keep,
                    auto_reply: map.auto_reply,
                    signature: map.signature,
                    quota: map.quota,
                    faults: map.faults,
                })
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// An automatic answer (RFC 3834).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoReply {
    /// The subject; `Auto: ` and the message's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The text.
    pub text: String,
    /// The same sender is answered again only after so many seconds.
    #[serde(default = "one_week")]
    pub every_s: u64,
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

/// What is asked of clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Whether passwords are accepted on connections without TLS. The sheets' POP3 and SMTP need
    /// it; switch it off to show why one should.
    pub plain_passwords: bool,
    /// Whether port 25 offers AUTH as well.
    pub auth_on_smtp: bool,
    /// Whether 587 and 465 take mail without a login from `relay.networks`.
    pub submission_without_auth: bool,
    /// Whether a user may only send as an address of the own account.
    pub own_sender_only: bool,
    /// CRAM-MD5 and APOP. They need the passwords in plain text on the server's disk.
    pub cram_md5: bool,
    /// Whether VRFY says who exists (252 for all otherwise).
    pub vrfy: bool,
    /// The character that begins the detail of `user+detail@domain`; none where absent.
    pub plus: Option<char>,
    /// Whether SPF, DKIM and DMARC of mail from outside are checked and written into
    /// Authentication-Results.
    pub verify: bool,
    /// Whether mail that DMARC tells to reject is refused (else only marked).
    pub dmarc_reject: bool,
    /// Whether bare CR and LF are taken for CRLF (to show what smuggling was) instead of refused.
    pub lenient_newlines: bool,
    /// Whether local parts such as `451`, `550`, `delay5`, `drop` of own domains answer with that
    /// fault.
    pub fault_addresses: bool,
    /// Whether the transcript shows passwords.
    pub show_secrets: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            plain_passwords: true,
            auth_on_smtp: true,
            submission_without_auth: false,
            own_sender_only: false,
            cram_md5: false,
            vrfy: false,
            plus: Some('+'),
            verify: false,
            dmarc_reject: false,
            lenient_newlines: false,
            fault_addresses: false,
            show_secrets: false,
        }
    }
}

/// Mail to other domains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Relay {
    /// Whether such mail is sent on at all.
    pub enabled: bool,
    /// Networks whose hosts may send to other domains without a login.
    pub networks: Vec<IpNet>,
    /// The server that takes everything; MX look-up where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smarthost: Option<Smarthost>,
    /// The port of other servers.
    pub port: u16,
    /// Whether the certificate of another server must be good. Between servers it usually is not
    /// asked for (RFC 7435).
    pub verify_certificates: bool,
    /// File with the authorities (PEM) trusted for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<PathBuf>,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            enabled: true,
            networks: Vec::new(),
            smarthost: None,
            port: 25,
            verify_certificates: false,
            trust: None,
        }
    }
}

/// A server that takes all mail to other domains.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smarthost {
    /// Name or address.
    pub host: String,
    /// Port.
    #[serde(default = "submission_port")]
    pub port: u16,
    /// User for AUTH; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password for AUTH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: RelayTls,
}

impl fmt::Debug for Smarthost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smarthost({}:{}, {:?})", self.host, self.port, self.tls)
    }
}

/// How a connection to another server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayTls {
    /// STARTTLS where offered.
    #[default]
    Opportunistic,
    /// STARTTLS or nothing.
    Starttls,
    /// From the first byte.
    Tls,
    /// Never.
    None,
}

/// A certificate on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, PEM.
    pub cert: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
}

/// Bounds; each keeps one client from harming the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of one message (EHLO SIZE).
    pub message: u64,
    /// Bytes of the header of one message.
    pub header: u64,
    /// Bytes of one line of a message, CRLF included (RFC 5321, 4.5.3.1.6).
    pub text_line: usize,
    /// Bytes of one command, CRLF included.
    pub command_line: usize,
    /// Recipients of one message.
    pub recipients: usize,
    /// Errors after which a connection is closed (421).
    pub errors: u32,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
    /// Seconds without a byte after which a connection is closed.
    pub idle_s: u64,
    /// Received lines at which a message counts as looping.
    pub hops: usize,
    /// Bytes of one account.
    pub quota: u64,
    /// Lines kept of all dialogues.
    pub transcript: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 50 << 20,
            header: 256 << 10,
            text_line: 1000,
            command_line: 2048,
            recipients: 1000,
            errors: 10,
            connections: 500,
            connections_per_address: 200,
            idle_s: 600,
            hops: 50,
            quota: 1 << 30,
            transcript: 4000,
        }
    }
}

/// Times of the queue, in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// Waits before each further try; the last one repeats.
    pub retry_s: Vec<u64>,
    /// Age at which the sender is told about the delay.
    pub warn_s: u64,
    /// Age at which a message is given up.
    pub expire_s: u64,
    /// Deliveries at once.
    pub parallel: usize,
    /// Time allowed for connecting and for each reply.
    pub timeout_s: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            retry_s: vec![15, 60, 300, 900, 1800, 3600],
            warn_s: 4 * 3600,
            expire_s: 2 * 86_400,
            parallel: 20,
            timeout_s: 60,
        }
    }
}

/// Where in a dialogue a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Instead of the greeting.
    Connect,
    /// EHLO and HELO.
    Helo,
    /// AUTH, USER/PASS, LOGIN.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA and BDAT.
    Data,
    /// After the message.
    Message,
    /// RETR and FETCH.
    Fetch,
}

/// A fault for a lesson.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Where it strikes.
    pub stage: Stage,
    /// The reply instead of the true one, such as `451 4.3.0 come back later`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// Waits so long first, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// Closes the connection without a reply.
    #[serde(default)]
    pub drop: bool,
    /// How often it strikes: 0.0 never, 1.0 always.
    #[serde(default = "always")]
    pub probability: f64,
    /// Strikes only so many times, then never again; always where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
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
        text.parse().map(Self).map_err(|_| {
            format!("`{text}` is not a DNS server: write an address or address:port")
        })
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

impl Fault {
    /// Refuses values that mean nothing.
    pub fn check(&self) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(Error::Invalid(format!(
                "the probability of a fault is {}, it must be from 0 to 1",
                self.probability
            )));
        }
        Ok(())
    }
}

fn any_address() -> IpAddr {
    IpAddr::V4(Ipv4Addr::UNSPECIFIED)
}

fn yes() -> bool {
    true
}

fn always() -> f64 {
    1.0
}

fn one_week() -> u64 {
    7 * 86_400
}

fn submission_port() -> u16 {
    587
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sheets_short_form_is_enough() {
        let config = Config::parse(
            "hostname: mail.com\ndomains: [{name: mail.com}]\naccounts: {client1: admin, client2: 1234}\nstate: /tmp/x\n",
        )
        .unwrap();
        assert_eq!(config.accounts["client1"].password.as_deref(), Some("admin"));
        assert_eq!(config.accounts["client2"].password.as_deref(), Some("1234"));
        assert!(config.accounts["client1"].keep);
        assert_eq!(config.port(Protocol::Pop3s), 995);
        assert!(config.is_on(Protocol::Imap));
    }

    #[test]
    fn the_long_form_says_everything() {
        let config = Config::parse(
            r#"
hostname: mx.a.test
domains:
  - { name: a.test, aliases: [b.test], catch_all: u1 }
protocols:
  smtp: { port: 2525 }
  imap: { on: false }
accounts:
  u1:
    password: geheim
    forward: [u2@c.test]
    keep: false
    auto_reply: { text: away }
    faults: [ { stage: rcpt, reply: "451 4.3.0 later", probability: 0.5 } ]
relay: { networks: [10.0.0.0/8], smarthost: { host: out.test, user: x, password: y, tls: starttls } }
dns: [ 127.0.0.1, "127.0.0.1:5300" ]
limits: { message: 1000 }
state: /tmp/x
"#,
        )
        .unwrap();
        assert!(!config.is_on(Protocol::Imap));
        assert_eq!(config.port(Protocol::Smtp), 2525);
        assert_eq!(config.dns[1].0.port(), 5300);
        assert!(!format!("{config:?}").contains("geheim"));
    }

    #[test]
    fn what_is_unknown_or_senseless_is_refused() {
        for (text, words) in [
            ("hostname: a\ndomains: [{name: a}]\nstate: x\nport: 3\n", "port"),
            ("hostname: a\ndomains: []\nstate: x\n", "domains"),
            (
                "hostname: a\ndomains: [{name: a}]\nstate: x\naccounts: {u: {faults: [{stage: rcpt, probability: 2}]}}\n",
                "probability",
            ),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
