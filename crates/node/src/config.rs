//! What a node is told: one JSON document, the same on every engine.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// What a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A workstation.
    #[default]
    Pc,
    /// A host with services.
    Server,
    /// A host that forwards packets.
    Router,
}

/// The whole configuration of one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The lab's name.
    pub lab: String,
    /// The node's name, unique in the lab; also its host name.
    pub node: String,
    /// What it is.
    pub kind: Kind,
    /// Its interfaces, in the order of the lab file.
    pub links: Vec<Link>,
    /// Static routes, the default route among them.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Whether it forwards IPv4 packets between its interfaces.
    #[serde(default)]
    pub forwarding: bool,
    /// Name resolution.
    #[serde(default)]
    pub resolver: Resolver,
    /// The services that the agent starts and supervises.
    #[serde(default)]
    pub services: Vec<Service>,
    /// Files that the agent writes before it starts anything: absolute path to content.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// A router's configuration, in the form of the crate `ios` (`ios::RouterConfig`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<serde_json::Value>,
    /// Packet filter of a host, one rule a line, in the notation of `docs/lab-file.md`.
    #[serde(default)]
    pub firewall: Vec<String>,
    /// The mail program's settings ("Configure Mail").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<MailClient>,
    /// Certificates (PEM) that the node's clients trust.
    #[serde(default)]
    pub trust: Vec<String>,
    /// Whether the node's own clients write the secrets of their TLS connections to
    /// [`crate::paths::KEYLOG`], and captures carry what is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keylog: bool,
}

/// One interface of a node on one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The network (switch) it is plugged into.
    pub network: String,
    /// The interface's name in the node, at most 15 characters.
    pub name: String,
    /// Its MAC address, `02:…`, the same in every copy of the lab.
    pub mac: String,
    /// How it gets its address.
    pub address: Address,
    /// The address the engine gave the interface, by which the agent finds it. Filled in by the
    /// engine; `None` where the engine has named the interface already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Ipv4Addr>,
}

/// How an interface gets its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Address {
    /// This one, with its prefix length.
    Static(Ipv4Net),
    /// From a DHCP server.
    Dhcp,
    /// None: the interface is only up.
    None,
}

/// A static route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Where to; `0.0.0.0/0` is the default route.
    pub to: Ipv4Net,
    /// The next hop.
    pub via: Ipv4Addr,
    /// Administrative distance; lower wins.
    #[serde(default = "one")]
    pub metric: u32,
}

fn one() -> u32 {
    1
}

/// Name resolution of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolver {
    /// DNS servers in order; empty where DHCP brings them.
    #[serde(default)]
    pub servers: Vec<IpAddr>,
    /// Search domains.
    #[serde(default)]
    pub search: Vec<String>,
    /// Entries of `/etc/hosts` beside the node's own.
    #[serde(default)]
    pub hosts: Vec<(IpAddr, Vec<String>)>,
}

/// One service that the agent runs and supervises.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// `dhcp`, `dns`, `mail` or `web`; also the name of its admin socket.
    pub name: String,
    /// The command of the node that runs it: `dhcpd`, `dnsd`, `mailsrv`, `webd`.
    pub program: String,
    /// Its configuration file, one of [`Config::files`].
    pub config: String,
    /// Whether it runs from the start.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The ports that must accept before the service counts as ready.
    #[serde(default)]
    pub ports: Vec<Port>,
}

fn yes() -> bool {
    true
}

/// A port of a service, with the protocol spoken there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// `smtp`, `pop3`, `dns`, …
    pub protocol: String,
    /// `tcp` or `udp`.
    pub transport: Transport,
    /// Its number.
    pub port: u16,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// How a node's mail program is set up: Packet Tracer's "Configure Mail".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailClient {
    /// "Your Name"; the account's name where the author gave none.
    #[serde(default)]
    pub name: String,
    /// "Email Address".
    pub address: String,
    /// "User Name"; the part before the `@` where the author gave none.
    pub user: String,
    /// "Password".
    pub password: String,
    /// "Outgoing Mail Server".
    pub outgoing: String,
    /// "Incoming Mail Server".
    pub incoming: String,
    /// How it sends.
    #[serde(default)]
    pub security: Security,
    /// How it fetches when nothing else is said.
    #[serde(default)]
    pub fetch: Fetch,
}

/// How a mail connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Not at all (ports 25, 110, 143).
    #[default]
    Plain,
    /// STARTTLS (587, 110, 143).
    Starttls,
    /// TLS from the first byte (465, 995, 993).
    Tls,
}

/// The protocol by which mail is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fetch {
    /// POP3.
    #[default]
    Pop3,
    /// IMAP.
    Imap,
}
