//! The student's work: parts of a lab that start absent, or wrong, in an exercise.
//!
//! A part is named by its place in the lab file (`pc0.dns`, `dns.services.dns.records.mail.com. A`).
//! What it means for a node is worked out with the plan ([`Change`]), so that nothing else follows
//! from a part that is absent: with the mail server's address as the student's work, the DNS server
//! still has the record of that address, and all checks are those of the whole lab.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::decode::{List, record};
use crate::file::Routing;
use crate::plan::{Address, Node, Plan, Record, Route};

record! {
    /// A part of the lab that is the student's work.
    pub struct Todo {
        /// Where it stands below `nodes:`, such as `pc0.interfaces.lan` or `mail.services.mail.pop3`.
        pub part: String,
        /// What it is at the start instead, where it is not just absent.
        #[serde(default)] pub start: List<String>,
    }
    short(node, decoder) { Some(Self { part: String::decode(node, decoder)?, start: List::default() }) }
}

/// A part that is the student's work, worked out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// The part as the author wrote it.
    pub part: String,
    /// The node.
    pub node: String,
    /// What it is in an exercise.
    pub change: Change,
    /// The line of the lab file.
    #[serde(default)]
    pub line: usize,
}

/// What is otherwise at the start of an exercise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The address of the interface on a network.
    Address {
        /// The network.
        network: String,
        /// What it has at the start.
        start: Address,
    },
    /// The default gateway.
    Gateway(Option<Ipv4Addr>),
    /// The DNS servers.
    Dns(Vec<Ipv4Addr>),
    /// The mail program is not set up at all.
    Mail,
    /// A field of the mail program's settings; empty where it is absent.
    MailField {
        /// `address`, `user`, `password`, `outgoing`, `incoming`, `name`.
        field: String,
        /// What it is at the start.
        start: String,
    },
    /// A service is off.
    Service(String),
    /// A protocol of the mail server is off.
    Protocol(String),
    /// A mail account is absent, or has another password.
    Account {
        /// The user as in the lab file.
        user: String,
        /// The password at the start; no account where absent.
        start: Option<String>,
    },
    /// The author's records of a name and type, or all of them; what is there instead.
    Records {
        /// The name with its final dot, and the type in capitals; all records where absent.
        only: Option<(String, Option<String>)>,
        /// Data of the records at the start.
        start: Vec<String>,
    },
    /// A static route, or all of them.
    Routes {
        /// Where to; all where absent.
        to: Option<Ipv4Net>,
        /// The next hop at the start; no route where absent.
        start: Option<Ipv4Addr>,
    },
    /// A router's console configuration (`ios::RouterConfig`) without some of its lines.
    Router {
        /// The configuration.
        config: serde_json::Value,
        /// Whether routes that labctl worked out, and RIP, are gone as well.
        routing: bool,
    },
}

impl Plan {
    /// The lab as a student finds it. Checks, networks and everything that is no student's work
    /// are those of the whole lab.
    #[must_use]
    pub fn exercise(&self) -> Self {
        let mut plan = self.clone();
        for work in &self.todo {
            if let Some(node) = plan.nodes.iter_mut().find(|node| node.name == work.node) {
                work.change.apply(node);
            }
        }
        plan
    }

    /// Nodes that may never get ready before the student has done the work: those that wait for a
    /// lease of a server that is not set up yet.
    pub fn waits_for_student(&self) -> Vec<&str> {
        let leases = |work: &Work| match &work.change {
            Change::Service(service) => service == "dhcp",
            // A relay or a server that cannot be reached gives no leases either.
            Change::Router { .. } | Change::Address { .. } | Change::Routes { .. } => true,
            _ => false,
        };
        if !self.todo.iter().any(leases) {
            return Vec::new();
        }
        let waiting = self.nodes.iter().filter(|node| node.uses_dhcp());
        waiting.map(|node| node.name.as_str()).collect()
    }
}

impl Change {
    fn apply(&self, node: &mut Node) {
        match self {
            Self::Address { network, start } => {
                let Some(link) = node.links.iter_mut().find(|link| link.network == *network) else {
                    return;
                };
                link.address = *start;
                let name = link.name.clone();
                router(node, |config| {
                    if let Some(own) = config.interfaces.iter_mut().find(|i| i.name == name) {
                        own.address = start.fixed();
                        own.dhcp = *start == Address::Dhcp;
                    }
                });
            }
            Self::Gateway(start) => {
                node.gateway = *start;
                node.routes.retain(|route| route.to != DEFAULT);
                node.routes.extend(start.map(|via| route(DEFAULT, via)));
            }
            Self::Dns(start) => node.dns.clone_from(start),
            Self::Mail => node.mail = None,
            Self::MailField { field, start } => {
                if let Some(own) = node.mail.as_mut().and_then(|mail| mail_field(mail, field)) {
                    own.clone_from(start);
                }
            }
            Self::Service(service) => {
                let services = &mut node.services;
                let enabled = match service.as_str() {
                    "dhcp" => services.dhcp.as_mut().map(|own| &mut own.enabled),
                    "dns" => services.dns.as_mut().map(|own| &mut own.enabled),
                    "mail" => services.mail.as_mut().map(|own| &mut own.enabled),
                    _ => services.web.as_mut().map(|own| &mut own.enabled),
                };
                if let Some(enabled) = enabled {
                    *enabled = false;
                }
            }
            Self::Protocol(word) => {
                let protocols = node.services.mail.iter_mut().flat_map(|mail| &mut mail.protocols);
                for own in protocols.filter(|own| own.protocol.word() == word) {
                    own.on = false;
                }
            }
            Self::Account { user, start } => {
                let Some(mail) = &mut node.services.mail else { return };
                let accounts = &mut mail.settings.accounts.0;
                match start {
                    None => accounts.retain(|(name, _)| name != user),
                    Some(password) => {
                        for (_, account) in accounts.iter_mut().filter(|(name, _)| name == user) {
                            account.password = Some(password.clone());
                        }
                    }
                }
            }
            Self::Records { only, start } => records(node, only.as_ref(), start),
            Self::Routes { to, start } => {
                node.routes.retain(|route| to.is_some_and(|to| route.to != to));
                node.routes.extend(to.zip(*start).map(|(to, via)| route(to, via)));
            }
            Self::Router { config, routing } => {
                let before = node.router.replace(config.clone());
                if *routing {
                    node.routing = Some(Routing::Static);
                    node.routes.retain(|route| !route.derived);
                }
                let Ok(config) = serde_json::from_value::<ios::RouterConfig>(config.clone()) else {
                    return;
                };
                let before = before.and_then(|config| serde_json::from_value(config).ok());
                let before: ios::RouterConfig = before.unwrap_or_default();
                let helps = |config: &ios::RouterConfig, network: &str| {
                    let link = node.links.iter().find(|link| link.network == network);
                    let own = link.and_then(|link| config.interface(&link.name));
                    own.is_some_and(|own| !own.helpers.is_empty())
                };
                if let Some(dhcp) = &mut node.services.dhcp {
                    dhcp.relay
                        .retain(|(network, _)| !helps(&before, network) || helps(&config, network));
                    let served =
                        |name: &str| config.dhcp.pools.iter().any(|pool| pool.name == name);
                    dhcp.pools.retain(|pool| !pool.ios || served(&pool.name));
                    if dhcp.pools.is_empty() && dhcp.relay.is_empty() {
                        node.services.dhcp = None;
                    }
                }
                for link in &mut node.links {
                    let Some(own) = config.interface(&link.name) else { continue };
                    link.address = match (own.address, own.dhcp) {
                        (Some(net), _) => Address::Static(net),
                        (None, true) => Address::Dhcp,
                        (None, false) => Address::None,
                    };
                }
            }
        }
    }
}

const DEFAULT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);

fn route(to: Ipv4Net, via: Ipv4Addr) -> Route {
    Route { to, via, metric: 1, derived: false }
}

fn router(node: &mut Node, change: impl FnOnce(&mut ios::RouterConfig)) {
    let config = node.router.clone().and_then(|config| serde_json::from_value(config).ok());
    if let Some(mut config) = config {
        change(&mut config);
        node.router = serde_json::to_value(config).ok();
    }
}

/// The fields of a mail program's settings that are texts.
pub(crate) const MAIL_FIELDS: &[&str] =
    &["address", "user", "password", "outgoing", "incoming", "name"];

fn mail_field<'a>(mail: &'a mut node::config::MailClient, name: &str) -> Option<&'a mut String> {
    Some(match name {
        "address" => &mut mail.address,
        "user" => &mut mail.user,
        "password" => &mut mail.password,
        "outgoing" => &mut mail.outgoing,
        "incoming" => &mut mail.incoming,
        "name" => &mut mail.name,
        _ => return None,
    })
}

/// Takes records out of a node's zones, those that labctl added among them; what every zone needs
/// (SOA and NS) stays. Records of the start stand where the first one was.
fn records(node: &mut Node, only: Option<&(String, Option<String>)>, start: &[String]) {
    let Some(dns) = &mut node.services.dns else { return };
    for zone in &mut dns.zones {
        let apex = format!("{}.", zone.name);
        let gone = |record: &Record| match only {
            Some((name, kind)) => {
                record.name.eq_ignore_ascii_case(name)
                    && kind.as_ref().is_none_or(|kind| record.r#type == *kind)
                    && record.r#type != "SOA"
            }
            None => {
                let needed = record.r#type == "SOA" || record.r#type == "NS" && record.name == apex;
                !needed && !zone.derived
            }
        };
        let Some(at) = zone.records.iter().position(gone) else { continue };
        let first = zone.records[at].clone();
        zone.records.retain(|record| !gone(record));
        let made =
            start.iter().map(|data| Record { data: data.clone(), derived: false, ..first.clone() });
        let at = at.min(zone.records.len());
        zone.records.splice(at..at, made);
    }
}
