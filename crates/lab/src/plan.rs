//! A lab with every default and derived value worked out. Nothing after the plan reads YAML.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::check::{Check, Scenario, Wrong};
use crate::file::{self, MailProtocol, Range};
use crate::todo::Work;

/// Everything that is known of a lab before it runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// The lab's name.
    pub lab: String,
    /// Its title; the name where the author gave none.
    pub title: String,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The networks in the order of the file.
    pub networks: Vec<Network>,
    /// The nodes in the order of the file.
    pub nodes: Vec<Node>,
    /// Every mail account.
    pub accounts: Vec<Account>,
    /// What must hold.
    pub checks: Vec<Check>,
    /// Ordered steps.
    pub scenarios: Vec<Scenario>,
    /// Wrong variants, for `labctl test-lab`.
    pub wrong: Vec<Wrong>,
    /// What is the student's work in an exercise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub todo: Vec<Work>,
    /// The lab's own templates by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<String, String>,
    /// Whether programs give away the keys of their TLS connections.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keylog: bool,
}

impl Plan {
    /// A node by name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// A network by name.
    pub fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// The node that has an address.
    pub fn node_of(&self, address: Ipv4Addr) -> Option<&Node> {
        self.nodes.iter().find(|node| node.addresses().any(|own| own.addr() == address))
    }

    /// An account by its address.
    pub fn account(&self, address: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.address.eq_ignore_ascii_case(address))
    }

    /// The points of all checks and scenarios.
    pub fn points(&self) -> f64 {
        let checks: f64 = self.checks.iter().map(|check| check.points).sum();
        checks + self.scenarios.iter().map(|scenario| scenario.points).sum::<f64>()
    }

    /// As JSON, in the order of the fields.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// A network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its subnet.
    pub subnet: Ipv4Net,
    /// The default gateway of its hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Ipv4Addr>,
    /// A word for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: file::NodeKind,
    /// A word for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its links in the order of the file.
    pub links: Vec<Link>,
    /// Its default gateway, where it is not brought by DHCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Ipv4Addr>,
    /// Its static routes, the default route among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Where a router's routes come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<file::Routing>,
    /// Its DNS servers, where they are not brought by DHCP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<Ipv4Addr>,
    /// Whether the DNS servers were worked out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dns_derived: bool,
    /// Search domains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Its hosts file: name and address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<(String, Ipv4Addr)>,
    /// What it serves.
    #[serde(default)]
    pub services: Services,
    /// Its mail program's settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<node::config::MailClient>,
    /// A router's configuration (`ios::RouterConfig`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<serde_json::Value>,
    /// Its packet filter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firewall: Vec<String>,
    /// A foreign image beside the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Its command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<file::Limits>,
}

impl Node {
    /// Its static addresses.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Net> + '_ {
        self.links.iter().filter_map(|link| link.address.fixed())
    }

    /// Its first static address.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.addresses().next().map(|net| net.addr())
    }

    /// Its link on a network.
    pub fn link(&self, network: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.network == network)
    }

    /// Whether an interface of it asks for a lease.
    pub fn uses_dhcp(&self) -> bool {
        self.links.iter().any(|link| link.address == Address::Dhcp)
    }

    /// Whether it forwards packets.
    pub fn is_router(&self) -> bool {
        self.kind == file::NodeKind::Router
    }
}

/// A link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The network.
    pub network: String,
    /// The interface's name in the node.
    pub name: String,
    /// Its MAC address.
    pub mac: String,
    /// Its address.
    pub address: Address,
}

/// An interface's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Address {
    /// This one.
    Static(Ipv4Net),
    /// From a DHCP server.
    Dhcp,
    /// None.
    None,
}

impl Address {
    /// The address, where it is static.
    pub const fn fixed(self) -> Option<Ipv4Net> {
        match self {
            Self::Static(net) => Some(net),
            _ => None,
        }
    }
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub to: Ipv4Net,
    /// The next hop.
    pub via: Ipv4Addr,
    /// Administrative distance.
    pub metric: u32,
    /// Whether labctl worked it out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
}

/// What a node serves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Services {
    /// DHCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<Dhcp>,
    /// DNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Dns>,
    /// Mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
    /// Web.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<Web>,
}

/// A DHCP server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dhcp {
    /// Whether it runs from the start.
    pub enabled: bool,
    /// Its pools.
    pub pools: Vec<Pool>,
    /// Relayed interfaces: network and servers.
    #[serde(default)]
    pub relay: Vec<(String, Vec<Ipv4Addr>)>,
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its subnet.
    pub subnet: Ipv4Net,
    /// What may be given out; the whole subnet where empty.
    #[serde(default)]
    pub ranges: Vec<Range>,
    /// What may not.
    #[serde(default)]
    pub exclude: Vec<Range>,
    /// Default gateway.
    #[serde(default)]
    pub router: Option<Ipv4Addr>,
    /// DNS servers.
    #[serde(default)]
    pub dns: Vec<Ipv4Addr>,
    /// Domain.
    #[serde(default)]
    pub domain: Option<String>,
    /// Lease time in seconds.
    pub lease: u32,
    /// Options by number.
    #[serde(default)]
    pub options: BTreeMap<u8, String>,
    /// MAC address, address, host name.
    #[serde(default)]
    pub reservations: Vec<(String, Ipv4Addr, String)>,
    /// Whether the router's `ios:` block has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ios: bool,
}

/// A DNS server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dns {
    /// Whether it runs from the start.
    pub enabled: bool,
    /// Its zones.
    pub zones: Vec<Zone>,
    /// Zone and the servers asked for it.
    #[serde(default)]
    pub forward: Vec<(String, Vec<Ipv4Addr>)>,
    /// Root servers: name and addresses.
    #[serde(default)]
    pub root_hints: Vec<(String, Vec<Ipv4Addr>)>,
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    /// Its name, without the final dot; `.` for the root.
    pub name: String,
    /// Its records, SOA first.
    pub records: Vec<Record>,
    /// Copied from these servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub primaries: Vec<Ipv4Addr>,
    /// Who may copy it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_transfer: Vec<String>,
    /// Who is told about changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Ipv4Addr>,
    /// Whether it is signed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dnssec: bool,
    /// Whether labctl made the whole zone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its owner, with final dot.
    pub name: String,
    /// Seconds to live.
    pub ttl: u32,
    /// `A`, `MX`, …
    pub r#type: String,
    /// Its data as in a master file, names with final dot.
    pub data: String,
    /// Whether labctl added it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// Whether it runs from the start.
    pub enabled: bool,
    /// The name it greets with.
    pub hostname: String,
    /// Its domains.
    pub domains: Vec<file::MailDomain>,
    /// Its protocols with port and state.
    pub protocols: Vec<Protocol>,
    /// What the author said, whole.
    pub settings: file::Mail,
}

/// A protocol of a mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// Which.
    pub protocol: MailProtocol,
    /// Its port.
    pub port: u16,
    /// Whether it is on from the start.
    pub on: bool,
}

/// A web server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Web {
    /// Whether it runs from the start.
    pub enabled: bool,
    /// Whether HTTPS is served.
    pub tls: bool,
    /// Its sites.
    pub sites: Vec<Site>,
}

/// A site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Its names.
    pub names: Vec<String>,
    /// Files of its folder: relative path to text.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Pages given in the lab.
    #[serde(default)]
    pub pages: BTreeMap<String, String>,
    /// What templates may use.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// A mail account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its address.
    pub address: String,
    /// The name for the login.
    pub user: String,
    /// The password.
    pub password: String,
    /// The node that keeps it.
    pub node: String,
}
