//! Networks, nodes, links, gateways, resolvers.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sha2::{Digest, Sha256};

use super::Builder;
use crate::decode::suggestion;
use crate::diagnostic::Problem;
use crate::file::{self, Interface, Maybe, NodeKind, Routing};
use crate::plan::{Address, Link, Network, Node, Services};

/// A MAC address of a node's link: the same in every copy of the lab. `02` says "locally given".
pub(crate) fn mac(lab: &str, node: &str, network: &str) -> String {
    let hash = Sha256::digest(format!("{lab}\0{node}\0{network}"));
    format!("02:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", hash[0], hash[1], hash[2], hash[3], hash[4])
}

/// A network's name as the name of an interface: at most 15 characters.
pub(crate) fn interface_name(network: &str) -> String {
    network.chars().take(15).collect()
}

/// What a node is when its author did not say.
fn kind(node: &file::Node) -> NodeKind {
    let services = &node.services;
    node.kind.unwrap_or_else(|| {
        if node.ios.is_some() || node.routing.is_some() {
            NodeKind::Router
        } else if services.dns.is_some()
            || services.dhcp.is_some()
            || services.mail.is_some()
            || services.web.is_some()
        {
            NodeKind::Server
        } else {
            NodeKind::Pc
        }
    })
}

impl Builder<'_> {
    pub(super) fn networks_and_nodes(&mut self) {
        let file = self.file;
        for (name, network) in file.networks.iter() {
            self.plan.networks.push(Network {
                name: name.clone(),
                subnet: network.subnet,
                gateway: network.gateway,
                title: network.title.clone(),
            });
        }
        for (name, node) in file.nodes.iter() {
            let kind = kind(node);
            let names: Vec<String> = node.interfaces.names().map(interface_name).collect();
            if let Some(text) = &node.ios {
                self.read_ios(name, text, &names);
            }
            let mut links = Vec::new();
            for ((network, interface), link) in node.interfaces.iter().zip(&names) {
                let Some(subnet) = file.networks.get(network).map(|n| n.subnet) else {
                    // A network that could not be read is told as that.
                    if self.tree.at(&["networks", network]).is_some() {
                        continue;
                    }
                    let span = self.tree.key_span(&["nodes", name, "interfaces", network]);
                    self.problems.push(
                        Problem::error(
                            "net::unknown-network",
                            span,
                            format!("there is no network `{network}`"),
                        )
                        .help(suggestion(network, file.networks.names())),
                    );
                    continue;
                };
                let ios = self.ios.get(name).and_then(|config| config.interface(link));
                let address = match (interface, ios) {
                    (Interface::Static(address, prefix), _) => {
                        let prefix = prefix.unwrap_or(subnet.prefix_len());
                        Ipv4Net::new(*address, prefix).map_or(Address::None, Address::Static)
                    }
                    (Interface::None, Some(ios)) if ios.address.is_some() => {
                        ios.address.map_or(Address::None, Address::Static)
                    }
                    (Interface::None, Some(ios)) if ios.dhcp => Address::Dhcp,
                    (Interface::None, _) => Address::None,
                    (Interface::Dhcp, _) => Address::Dhcp,
                };
                links.push(Link {
                    network: network.clone(),
                    name: link.clone(),
                    mac: mac(&file.name, name, network),
                    address,
                });
            }
            let ios = self.ios.get(name);
            let routing = (kind == NodeKind::Router).then(|| {
                node.routing.unwrap_or(match ios {
                    Some(config) if config.rip.is_some() => Routing::Rip,
                    Some(config) if !config.routes.is_empty() => Routing::Static,
                    _ => Routing::Auto,
                })
            });
            self.plan.nodes.push(Node {
                name: name.clone(),
                kind,
                title: node.title.clone(),
                links,
                gateway: None,
                routes: Vec::new(),
                routing,
                dns: Vec::new(),
                dns_derived: false,
                search: node.search.to_vec(),
                hosts: node.hosts.iter().map(|(name, address)| (name.clone(), *address)).collect(),
                services: Services::default(),
                mail: None,
                router: None,
                firewall: node.firewall.to_vec(),
                image: node.image.clone(),
                command: node.command.to_vec(),
                env: node.env.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
                limits: node.limits.clone(),
            });
        }
    }

    /// The gateway of each network (its first router), then of each host.
    pub(super) fn gateways(&mut self) {
        for at in 0..self.plan.networks.len() {
            if self.plan.networks[at].gateway.is_none() {
                let name = self.plan.networks[at].name.clone();
                let mut routers = self
                    .plan
                    .nodes
                    .iter()
                    .filter(|n| n.is_router())
                    .filter_map(|node| Some(node.link(&name)?.address.fixed()?.addr()));
                // Any of several will do: it sends on to the others.
                self.plan.networks[at].gateway = routers.next();
            }
        }
        for at in 0..self.plan.nodes.len() {
            let node = &self.plan.nodes[at];
            let said = self.file.nodes.0.get(at).and_then(|(_, n)| n.gateway.clone());
            let gateway = match said {
                Some(Maybe::None) => None,
                Some(Maybe::Is(address)) => Some(address),
                // A router has its routes; a host with a lease is told.
                None if node.is_router() || node.uses_dhcp() => None,
                None => node
                    .links
                    .iter()
                    .filter(|link| link.address.fixed().is_some())
                    .find_map(|link| self.plan.network(&link.network)?.gateway),
            };
            self.plan.nodes[at].gateway = gateway;
        }
    }

    /// The DNS servers of each node: its own, or the lab's only one.
    pub(super) fn resolvers(&mut self) {
        for at in 0..self.plan.nodes.len() {
            let usual = self.usual_resolver(&self.plan.nodes[at].name);
            let said = self.file.nodes.0.get(at).and_then(|(_, node)| node.dns.clone());
            let node = &mut self.plan.nodes[at];
            match said {
                Some(Maybe::None) => {}
                Some(Maybe::Is(list)) => node.dns = list.0,
                None if node.uses_dhcp() => {}
                None => {
                    node.dns = usual.into_iter().collect();
                    node.dns_derived = !node.dns.is_empty();
                }
            }
        }
    }

    /// The DNS server that a node means where it says nothing: its own, or the lab's only one.
    pub(super) fn usual_resolver(&self, node: &str) -> Option<Ipv4Addr> {
        let servers = self.dns_servers();
        let own = servers.iter().find(|(name, _)| *name == node);
        let only = match servers.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        own.or(only).map(|(_, address)| *address)
    }

    /// Reads an `ios:` block; what is not understood becomes problems at their lines.
    fn read_ios(&mut self, name: &str, text: &str, links: &[String]) {
        /// More than any sheet has.
        const MOST: usize = 2_000;
        let lines = text.lines().count();
        if lines > MOST {
            let span = self.tree.span_of(&["nodes", name, "ios"]);
            let what = format!("the block has {lines} lines, and {MOST} at most");
            self.problems.push(Problem::error("ios::line", span, what));
            self.ios.insert(name.to_owned(), ios::RouterConfig::default());
            return;
        }
        match crate::router::parse(text, links) {
            Ok(config) => {
                self.ios.insert(name.to_owned(), config);
            }
            Err(wrong) => {
                let span = self.tree.span_of(&["nodes", name, "ios"]);
                let source = self.sources.parsed(span.file);
                // The first few tell it; a block of something else has thousands.
                for line in wrong.into_iter().take(20) {
                    let place = crate::router::place(source, span, text, line.line, line.column)
                        .unwrap_or(span);
                    let mut problem = Problem::error("ios::line", place, line.message);
                    if let Some(near) = line.nearest {
                        problem = problem.help(format!("did you mean `{near}`?"));
                    }
                    self.problems.push(problem);
                }
                // The rest of the lab is checked as if the block were empty.
                self.ios.insert(name.to_owned(), ios::RouterConfig::default());
            }
        }
    }
}
