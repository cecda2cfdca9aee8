//! The node's links, addresses, routes and neighbours, as the kernel has them.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::{Env, Error};

/// Nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {}

/// The node as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its interfaces, the loopback left out.
    pub links: Vec<Link>,
    /// Its IPv4 routes, the local table left out.
    pub routes: Vec<Route>,
    /// Its neighbours.
    pub neighbours: Vec<Neighbour>,
    /// DNS servers in use.
    pub resolvers: Vec<std::net::IpAddr>,
    /// Search domains.
    pub search: Vec<String>,
    /// Whether it forwards packets.
    pub forwarding: bool,
}

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its MAC address.
    pub mac: String,
    /// Administratively up.
    pub up: bool,
    /// The cable is plugged in.
    pub carrier: bool,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Its IPv4 addresses.
    pub addresses: Vec<Ipv4Net>,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub to: Ipv4Net,
    /// The next hop; absent where the network is directly connected.
    pub via: Option<Ipv4Addr>,
    /// The interface.
    pub interface: String,
    /// Metric.
    pub metric: u32,
    /// `kernel`, `static`, `rip`, `dhcp`, …
    pub protocol: String,
}

/// One neighbour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its MAC address, where known.
    pub mac: Option<String>,
    /// The interface.
    pub interface: String,
    /// `reachable`, `stale`, `failed`, …
    pub state: String,
}

/// Runs it.
pub async fn run(_request: &Request, _env: &Env) -> Result<Outcome, Error> {
    Err(Error::new(crate::Layer::Probe, "this probe is being written"))
}
