//! Who has an address on a link (RFC 826).

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{Env, Error};

/// What to ask, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// The address asked for.
    pub address: Ipv4Addr,
    /// The interface; the one whose network holds the address where absent.
    pub interface: Option<String>,
    /// Milliseconds during which answers count.
    pub timeout_ms: u64,
    /// Ask as somebody who has no address yet (a probe, RFC 5227).
    pub probe: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self { address: Ipv4Addr::UNSPECIFIED, interface: None, timeout_ms: 500, probe: false }
    }
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The interface on which it was asked.
    pub interface: String,
    /// Each MAC address that claims it, once, in the order they answered. Two are one too many.
    /// The node's own, where the address is its own.
    pub macs: Vec<String>,
    /// Whether the asking node holds the address itself.
    pub own: bool,
}

/// Runs it.
pub async fn run(_request: &Request, _env: &Env) -> Result<Outcome, Error> {
    Err(Error::new(crate::Layer::Probe, "this probe is being written"))
}
