//! Policy, relay, bounds and times.

use std::fmt;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

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
    /// Where the secrets of TLS connections are written, in the form of `SSLKEYLOGFILE`: for
    /// teaching, so that a capture can be read. Nowhere where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keylog: Option<PathBuf>,
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
            errors: 20,
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

fn submission_port() -> u16 {
    587
}
