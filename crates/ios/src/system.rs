//! The live data behind the show commands: what the console asks the router it runs on.

use std::net::Ipv4Addr;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::config::RouterConfig;

/// One interface as it is now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InterfaceState {
    /// Its name in the node.
    pub name: String,
    /// Its address.
    pub address: Option<Ipv4Net>,
    /// Whether the address came by DHCP.
    pub dhcp: bool,
    /// Administratively up.
    pub enabled: bool,
    /// The cable is plugged in.
    pub carrier: bool,
    /// Its MAC address, `02:…`.
    pub mac: String,
    /// Its largest packet.
    pub mtu: u32,
    /// Packets received.
    pub packets_in: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Errors while receiving.
    pub errors_in: u64,
    /// Packets sent.
    pub packets_out: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Errors while sending.
    pub errors_out: u64,
}

/// Where a route came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// An interface's own network.
    Connected,
    /// `ip route`, or the lab's.
    Static,
    /// RIP.
    Rip,
    /// A DHCP lease.
    Dhcp,
}

/// One route in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteState {
    /// Where to.
    pub to: Ipv4Net,
    /// The next hop.
    pub via: Option<Ipv4Addr>,
    /// The interface's name in the node; `None` for `Null0`.
    pub interface: Option<String>,
    /// Where it came from.
    pub source: Source,
    /// Administrative distance.
    pub distance: u32,
    /// Metric; RIP's hops.
    pub metric: u32,
    /// Since when it was last heard of.
    pub age: Option<Duration>,
}

/// One entry of the ARP table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArpEntry {
    /// The address.
    pub address: Ipv4Addr,
    /// The hardware address, where it is known.
    pub mac: Option<String>,
    /// Minutes since it was confirmed; `None` for the router's own.
    pub age: Option<u64>,
    /// The interface's name in the node.
    pub interface: String,
}

/// One DHCP binding: what the admin op `bindings` of dhcpd tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The address.
    pub address: Ipv4Addr,
    /// The client's hardware address.
    pub mac: String,
    /// `bound`, `offered`, `released`, `expired`, `quarantined`, `reserved`.
    pub state: String,
    /// When it ends, in seconds since 1970; `None` for ever.
    #[serde(default)]
    pub expires: Option<u64>,
    /// Whether it is reserved.
    pub manual: bool,
    /// The pool.
    #[serde(default)]
    pub pool: String,
}

/// One DHCP pool: what the admin op `pools` of dhcpd tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolState {
    /// Its name.
    pub name: String,
    /// The first address of the subnet.
    pub first: Ipv4Addr,
    /// The last.
    pub last: Ipv4Addr,
    /// The next to be given.
    #[serde(default)]
    pub next: Option<Ipv4Addr>,
    /// Hosts of the subnet.
    pub total: u64,
    /// Addresses not given out.
    pub excluded: u64,
    /// Addresses bound.
    pub leased: u64,
    /// Whether a new client would find none.
    #[serde(default)]
    pub exhausted: bool,
}

/// One network in RIP's table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RipEntry {
    /// Where to.
    pub to: Ipv4Net,
    /// The next hop; `None` for the router's own.
    pub via: Option<Ipv4Addr>,
    /// The interface's name in the node.
    pub interface: Option<String>,
    /// RIP's metric (own networks 1, unreachable 16).
    pub metric: u8,
    /// Since when it was not repeated.
    pub age: Duration,
}

/// One translated connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TranslationState {
    /// `tcp`, `udp`, `icmp`.
    pub protocol: String,
    /// The inside host as the outside sees it, with port.
    pub inside_global: String,
    /// The inside host, with port.
    pub inside_local: String,
    /// The outside host as the inside sees it, with port.
    pub outside_local: String,
    /// The outside host, with port.
    pub outside_global: String,
}

/// What became of one echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// A reply after this time.
    Reply(Duration),
    /// Silence.
    Timeout,
    /// Someone said "unreachable".
    Unreachable,
}

/// One hop of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Who answered.
    pub address: Option<Ipv4Addr>,
    /// After which times; `None` for silence.
    pub times: Vec<Option<Duration>>,
}

/// What `clear` can clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clear {
    /// DHCP bindings: one, or all.
    Bindings(Option<Ipv4Addr>),
    /// DHCP conflicts: one, or all.
    Conflicts(Option<Ipv4Addr>),
    /// The ARP table.
    Arp,
    /// Counters of access lists: one, or all.
    Counters(Option<String>),
    /// Translations.
    Translations,
    /// Learnt routes.
    Routes,
}

/// The router that a console is on.
#[async_trait]
pub trait System: Send + Sync {
    /// Its interfaces.
    async fn interfaces(&self) -> Vec<InterfaceState>;
    /// Its routes in use.
    async fn routes(&self) -> Vec<RouteState>;
    /// Its ARP table.
    async fn arp(&self) -> Vec<ArpEntry>;
    /// Its DHCP bindings.
    async fn bindings(&self) -> Vec<Binding>;
    /// Its DHCP pools.
    async fn pools(&self) -> Vec<PoolState>;
    /// RIP's table.
    async fn rip(&self) -> Vec<RipEntry>;
    /// Packets that matched each rule of an access list, in the order of its rules.
    async fn counters(&self, list: &str) -> Vec<u64>;
    /// Translations in use.
    async fn translations(&self) -> Vec<TranslationState>;
    /// Sends echo requests of so many bytes (the IP packet).
    async fn ping(&self, to: Ipv4Addr, count: u32, size: u32) -> Vec<Echo>;
    /// Traces a route.
    async fn traceroute(&self, to: Ipv4Addr) -> Vec<Hop>;
    /// Looks a name up.
    async fn resolve(&self, name: &str) -> Option<Ipv4Addr>;
    /// Makes the router what the configuration says; an error is a sentence.
    async fn apply(&self, config: &RouterConfig) -> Result<(), String>;
    /// Keeps the configuration for the next start.
    async fn save(&self, config: &RouterConfig) -> Result<(), String>;
    /// Clears something; an error is a sentence.
    async fn clear(&self, what: Clear) -> Result<(), String>;
    /// The time, in seconds since 1970.
    fn now(&self) -> u64;
    /// Seconds since the router started.
    fn uptime(&self) -> u64;
}
