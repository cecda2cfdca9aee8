//! The hops to a host (traceroute).

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{Env, Error};

/// Whom to trace and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Address or name.
    pub to: String,
    /// Hops tried.
    pub max_hops: u8,
    /// Probes for each hop.
    pub probes: u8,
    /// Milliseconds to wait for each answer.
    pub timeout_ms: u64,
    /// Send ICMP echo instead of UDP.
    pub icmp: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self { to: String::new(), max_hops: 30, probes: 1, timeout_ms: 1000, icmp: false }
    }
}

/// The way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The address that was traced.
    pub address: Ipv4Addr,
    /// The hops in order.
    pub hops: Vec<Hop>,
    /// Whether the last hop is the address itself.
    pub reached: bool,
}

/// One hop; one answer for each probe, `None` where none came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// Its number, from 1.
    pub ttl: u8,
    /// The answers.
    pub answers: Vec<Option<HopAnswer>>,
}

/// One answer of a hop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HopAnswer {
    /// Who answered.
    pub from: Ipv4Addr,
    /// Round trip in milliseconds.
    pub ms: f64,
    /// `!H`, `!N`, `!X`, as traceroute prints them; absent where all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
}

/// Runs it.
pub async fn run(_request: &Request, _env: &Env) -> Result<Outcome, Error> {
    Err(Error::new(crate::Layer::Probe, "this probe is being written"))
}
