//! A router's configuration, as typed on its console or written in a lab file's `ios:` block.
//!
//! The agent of a router carries it out; [`crate::parse`] reads it, [`crate::running`] prints it.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// Everything a router is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouterConfig {
    /// The prompt's name.
    pub hostname: String,
    /// The interfaces that are configured.
    pub interfaces: Vec<Interface>,
    /// Static routes.
    pub routes: Vec<StaticRoute>,
    /// RIP, where it runs.
    pub rip: Option<Rip>,
    /// The DHCP server.
    pub dhcp: Dhcp,
    /// Access lists, in the order they were begun.
    pub access_lists: Vec<AccessList>,
    /// Address translation.
    pub nat: Nat,
    /// Keys for authentication.
    pub key_chains: Vec<KeyChain>,
    /// DNS servers of the router itself (`ip name-server`).
    pub name_servers: Vec<Ipv4Addr>,
    /// Its domain (`ip domain-name`).
    pub domain: Option<String>,
    /// Lines that are remembered and shown but change nothing in a lab, with their mode's line.
    pub remembered: Vec<Remembered>,
}

/// A line without effect in a lab, such as `service timestamps` or what stands under `line vty`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Remembered {
    /// The line that opened the mode, such as `line vty 0 4`; empty in global mode.
    pub under: String,
    /// The line itself; empty for the mode alone.
    pub line: String,
}

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Interface {
    /// The name in the node (the network's, cut to 15 characters), or as typed where the links
    /// were not known.
    pub name: String,
    /// The name that the console shows: `FastEthernet0/0`.
    pub label: String,
    /// `description`.
    pub description: Option<String>,
    /// `ip address A M`.
    pub address: Option<Ipv4Net>,
    /// `ip address dhcp`.
    pub dhcp: bool,
    /// `shutdown`.
    pub shutdown: bool,
    /// `ip helper-address`: the servers that its clients' DHCP requests are relayed to.
    pub helpers: Vec<Ipv4Addr>,
    /// `ip access-group X in`.
    pub access_in: Option<String>,
    /// `ip access-group X out`.
    pub access_out: Option<String>,
    /// `ip nat inside` or `outside`.
    pub nat: Option<NatSide>,
    /// `ip rip authentication key-chain X`.
    pub rip_key_chain: Option<String>,
    /// `ip rip authentication mode md5`.
    pub rip_md5: bool,
    /// `no ip split-horizon`.
    pub no_split_horizon: bool,
}

/// Which side of the address translation an interface is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NatSide {
    /// The private side.
    Inside,
    /// The public side.
    Outside,
}

/// `ip route TO MASK VIA [DISTANCE]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticRoute {
    /// Where to.
    pub to: Ipv4Net,
    /// How.
    pub via: NextHop,
    /// Administrative distance, 1 to 255.
    pub distance: u8,
}

/// How a static route leads on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NextHop {
    /// Over this router.
    Address(Ipv4Addr),
    /// Out of this interface (its name in the node).
    Interface(String),
    /// Nowhere (`Null0`).
    Discard,
}

/// `router rip`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rip {
    /// `version`: 2, or 1 as typed (labctl speaks version 2 in either case).
    pub version: u8,
    /// `network`: interfaces with an address in these (classful) networks take part.
    pub networks: Vec<Ipv4Addr>,
    /// `passive-interface`: listens but does not speak.
    pub passive: Vec<String>,
    /// `passive-interface default`.
    pub passive_default: bool,
    /// `no passive-interface X` under `passive-interface default`.
    pub active: Vec<String>,
    /// `no auto-summary`.
    pub no_auto_summary: bool,
    /// `default-information originate`.
    pub default_originate: bool,
    /// `redistribute connected`.
    pub redistribute_connected: bool,
    /// `redistribute static`.
    pub redistribute_static: bool,
    /// `timers basic`: update, invalid, holddown, flush, in seconds.
    pub timers: Option<[u32; 4]>,
}

impl Rip {
    /// Whether an interface with this address takes part: a `network` line names its class A, B
    /// or C network.
    pub fn covers(&self, address: Ipv4Addr) -> bool {
        self.networks.iter().any(|network| {
            *network == Ipv4Addr::UNSPECIFIED || classful(*network).contains(&address)
        })
    }

    /// Whether it only listens on this interface.
    pub fn is_passive(&self, interface: &str) -> bool {
        if self.passive_default {
            !self.active.iter().any(|name| name == interface)
        } else {
            self.passive.iter().any(|name| name == interface)
        }
    }
}

/// The class A, B or C network of an address; the host itself beyond class C.
pub fn classful(address: Ipv4Addr) -> Ipv4Net {
    let prefix = match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        192..=223 => 24,
        _ => 32,
    };
    Ipv4Net::new_assert(address, prefix).trunc()
}

/// The DHCP server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dhcp {
    /// `no service dhcp`.
    pub off: bool,
    /// `ip dhcp excluded-address FIRST [LAST]`.
    pub excluded: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// `ip dhcp pool`.
    pub pools: Vec<DhcpPool>,
    /// `ip dhcp ping timeout`, in milliseconds.
    pub ping_timeout: Option<u32>,
}

/// `ip dhcp pool NAME`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DhcpPool {
    /// Its name.
    pub name: String,
    /// `network A M`.
    pub network: Option<Ipv4Net>,
    /// `host A M`: a pool of one address, for one client.
    pub host: Option<Ipv4Net>,
    /// `hardware-address`, six bytes in colons.
    pub hardware_address: Option<String>,
    /// `client-identifier`, in hex with colons.
    pub client_identifier: Option<String>,
    /// `client-name`.
    pub client_name: Option<String>,
    /// `default-router`.
    pub default_router: Vec<Ipv4Addr>,
    /// `dns-server`.
    pub dns_server: Vec<Ipv4Addr>,
    /// `domain-name`.
    pub domain_name: Option<String>,
    /// `lease D [H [M]]` in seconds, `u32::MAX` for `infinite`; a day where absent.
    pub lease: Option<u32>,
    /// `option N …`: the number and the value in the notation of `dhcpd::config::OptionValue`
    /// (`ip:…`, `hex:…`, or text).
    pub options: Vec<(u8, String)>,
}

/// Permit or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Let it pass.
    Permit,
    /// Drop it and say so (ICMP administratively prohibited).
    Deny,
}

/// An access list: the first rule that fits decides, and what fits none is denied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessList {
    /// Its number or name.
    pub name: String,
    /// Whether it knows more than the source address.
    pub extended: bool,
    /// Its rules in order.
    pub rules: Vec<Rule>,
}

/// One rule of an access list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its sequence number, 10, 20, …
    pub sequence: u32,
    /// What happens to what fits; `None` for a remark.
    pub verdict: Option<Verdict>,
    /// The remark's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// The IP protocol's number (6 tcp, 17 udp, 1 icmp); any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u8>,
    /// From.
    pub source: Addresses,
    /// From port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_port: Option<Ports>,
    /// To.
    pub destination: Addresses,
    /// To port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<Ports>,
    /// The ICMP type and code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<(u8, Option<u8>)>,
    /// Only TCP packets with ACK or RST.
    #[serde(default)]
    pub established: bool,
    /// Logged.
    #[serde(default)]
    pub log: bool,
}

/// Addresses that equal `address` in the bits where `wildcard` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    /// The address.
    pub address: Ipv4Addr,
    /// Bits that do not matter are 1.
    pub wildcard: Ipv4Addr,
}

impl Addresses {
    /// Every address.
    pub const ANY: Self = Self { address: Ipv4Addr::UNSPECIFIED, wildcard: Ipv4Addr::BROADCAST };

    /// One address.
    pub fn host(address: Ipv4Addr) -> Self {
        Self { address, wildcard: Ipv4Addr::UNSPECIFIED }
    }

    /// Whether every address fits.
    pub fn is_any(&self) -> bool {
        self.wildcard == Ipv4Addr::BROADCAST
    }

    /// Whether this address fits.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let care = !u32::from(self.wildcard);
        u32::from(address) & care == u32::from(self.address) & care
    }

    /// The mask whose 1 bits must equal: the wildcard turned round.
    pub fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from(!u32::from(self.wildcard))
    }
}

/// A match on a port, both ends in; `Not` fits every other port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ports {
    /// `eq`, `gt`, `lt` and `range`.
    Between(u16, u16),
    /// `neq`.
    Not(u16),
}

impl Ports {
    /// Whether this port fits.
    pub fn contains(&self, port: u16) -> bool {
        match *self {
            Ports::Between(first, last) => (first..=last).contains(&port),
            Ports::Not(other) => port != other,
        }
    }
}

/// Address translation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nat {
    /// `ip nat pool NAME FIRST LAST netmask M`.
    pub pools: Vec<NatPool>,
    /// The rules in order.
    pub rules: Vec<NatRule>,
}

/// Public addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatPool {
    /// Its name.
    pub name: String,
    /// The first.
    pub first: Ipv4Addr,
    /// The last.
    pub last: Ipv4Addr,
    /// The prefix length of `netmask` or `prefix-length`.
    pub prefix: u8,
}

/// One rule of the address translation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NatRule {
    /// `ip nat inside source list L interface I overload`: masquerade.
    Masquerade {
        /// The access list of the inside sources.
        list: String,
        /// The outside interface.
        interface: String,
    },
    /// `ip nat inside source list L pool P [overload]`.
    Pool {
        /// The access list of the inside sources.
        list: String,
        /// The pool of public addresses.
        pool: String,
        /// Many inside hosts on one address.
        overload: bool,
    },
    /// `ip nat inside source static INSIDE OUTSIDE`: one to one.
    Static {
        /// The private address.
        inside: Ipv4Addr,
        /// The public address.
        outside: Ipv4Addr,
    },
    /// `ip nat inside source static tcp INSIDE PORT OUTSIDE PORT`: a forwarded port.
    Forward {
        /// 6 (tcp) or 17 (udp).
        protocol: u8,
        /// The private address.
        inside: Ipv4Addr,
        /// The private port.
        inside_port: u16,
        /// The public side.
        outside: NatOutside,
        /// The public port.
        outside_port: u16,
    },
}

/// The public side of a forwarded port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NatOutside {
    /// This address.
    Address(Ipv4Addr),
    /// Whatever address this interface has.
    Interface(String),
}

/// `key chain NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyChain {
    /// Its name.
    pub name: String,
    /// Its keys: number and secret.
    pub keys: Vec<(u8, String)>,
}

impl RouterConfig {
    /// The interface of this name in the node.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == name)
    }

    /// The access list of this name.
    pub fn access_list(&self, name: &str) -> Option<&AccessList> {
        self.access_lists.iter().find(|list| list.name == name)
    }

    /// The first key of the chain that this interface's RIP uses, where it uses MD5.
    pub fn rip_key(&self, interface: &Interface) -> Option<(u8, &str)> {
        let chain = interface.rip_key_chain.as_ref().filter(|_| interface.rip_md5)?;
        let chain = self.key_chains.iter().find(|c| c.name == *chain)?;
        chain.keys.first().map(|(id, secret)| (*id, secret.as_str()))
    }
}
