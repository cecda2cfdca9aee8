//! A TCP or UDP port.

use std::net::Ipv4Addr;

use node::config::Transport;
use serde::{Deserialize, Serialize};

use crate::{Env, Error};

/// Which port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Address or name.
    pub to: String,
    /// Its number.
    pub port: u16,
    /// TCP or UDP.
    pub transport: Transport,
    /// Milliseconds to wait for an answer.
    pub timeout_ms: u64,
    /// What to send: to TCP after connecting, to UDP as the datagram (empty where absent).
    pub send: Option<String>,
    /// Wait for the first line (TCP) or an answer.
    pub banner: bool,
    /// Speak TLS first, trusting the node's certificates.
    pub tls: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            to: String::new(),
            port: 0,
            transport: Transport::Tcp,
            timeout_ms: 1000,
            send: None,
            banner: false,
            tls: false,
        }
    }
}

/// What a port does with who knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Accepts; for UDP: answered, or nobody said it is closed.
    Open,
    /// Says that nobody listens (reset, port unreachable).
    Refused,
    /// Says nothing: a packet filter, or no host.
    Silent,
    /// A router or the own host says that there is no way.
    Unreachable,
    /// Somebody says that it is forbidden (administratively prohibited).
    Prohibited,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The address that was tried.
    pub address: Ipv4Addr,
    /// What it did.
    pub state: State,
    /// The first line or the answer, where asked for and given; at most 512 bytes.
    #[serde(default)]
    pub banner: Option<String>,
    /// Milliseconds until it was known.
    pub ms: f64,
    /// What the system said.
    #[serde(default)]
    pub detail: String,
}

/// Runs it.
pub async fn run(_request: &Request, _env: &Env) -> Result<Outcome, Error> {
    Err(Error::new(crate::Layer::Probe, "this probe is being written"))
}
