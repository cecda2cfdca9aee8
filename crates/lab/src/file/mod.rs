//! The types of a lab file, field by field as an author writes them.
//!
//! The doc comments are the descriptions in the JSON Schema, which editors show.
//!
//! | in a lab file | here |
//! | --- | --- |
//! | the top, `networks:` | this file |
//! | `nodes:`, `services:` | [`node`] |
//! | `dhcp:` `dns:` `web:` | [`dhcp`], [`dns`], [`web`] |
//! | a node's `mail:` and the service `mail:` | [`mail`] |
//! | addresses, subnets, ranges, sizes, lease times | [`values`] |
//! | `checks:` `scenarios:` `wrong:` | [`crate::check`] |

mod dhcp;
mod dns;
mod mail;
mod node;
mod values;
mod web;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

pub use dhcp::{Dhcp, DhcpServer, Pool};
pub use dns::{Dns, Forward, Zone};
pub use mail::{
    Account, AutoReply, Fault, FetchBy, ListFrom, Mail, MailClient, MailDomain, MailList,
    MailProtocol, Policy, Relay, RelayTls, Smarthost, Stage,
};
pub use node::{Limits, Node, NodeKind, Routing, Services};
pub use values::{Interface, LeaseTime, Maybe, Range, Size};
pub use web::{Site, Web};

use crate::check::{Check, Scenario, Wrong};
use crate::decode::{List, Map, record};
use crate::todo::Todo;

record! {
    /// A network lab: networks (switches), nodes (PCs, servers, routers) and what must hold.
    pub struct File {
        /// The lab's name: lower-case letters, digits and dashes.
        pub name: String,
        /// A title for people.
        #[serde(default)] pub title: Option<String>,
        /// What the lab is about, for people.
        #[serde(default)] pub description: Option<String>,
        /// Values for `{{ … }}` in this file; `--set key=value` overrides them.
        #[serde(default)] pub vars: Option<serde_json::Value>,
        /// Other lab files whose networks, nodes and checks belong to this lab.
        #[serde(default)] pub include: List<String>,
        /// The networks: name to subnet.
        #[serde(default)] pub networks: Map<Network>,
        /// The nodes by name; a name is also the node's host name.
        #[serde(default)] pub nodes: Map<Node>,
        /// What must hold. Without it the obvious is checked.
        #[serde(default)] pub checks: Option<List<Check>>,
        /// Ordered steps of actions and checks.
        #[serde(default)] pub scenarios: List<Scenario>,
        /// Wrong variants of the lab and what labctl must find in each: tests of the lab.
        #[serde(default)] pub wrong: List<Wrong>,
        /// What is the student's work: parts that are absent, or wrong, when the lab is started as an exercise.
        #[serde(default)] pub todo: List<Todo>,
        /// The lab's own templates instead of labctl's: `zone: ./my.zone.j2`.
        #[serde(default)] pub templates: Map<String>,
        /// TLS in the whole lab.
        #[serde(default)] pub tls: Option<Tls>,
    }
}

record! {
    /// TLS in the whole lab.
    pub struct Tls {
        /// Whether servers and clients give away their keys, so that `capture` and `trace` read TLS.
        #[serde(default)] pub keylog: bool = false,
    }
}

record! {
    /// A network: one switch.
    pub struct Network {
        /// Its subnet, such as 192.168.1.0/24.
        #[schemars(with = "String")] pub subnet: Ipv4Net,
        /// The default gateway of its hosts; the network's first router where left out.
        #[serde(default)] pub gateway: Option<Ipv4Addr>,
        /// A word for people.
        #[serde(default)] pub title: Option<String>,
    }
    short(node, decoder) { Some(Self { subnet: Ipv4Net::decode(node, decoder)?, gateway: None, title: None }) }
}

fn yes() -> bool {
    true
}
