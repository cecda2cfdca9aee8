//! Names, subnets, addresses, gateways, resolvers, ports.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::{Lint, is_host_name};
use crate::decode::suggestion;
use crate::diagnostic::Problem;
use crate::file::{Interface, Maybe};
use crate::plan::Address;

impl Lint<'_> {
    pub(super) fn addresses(&mut self) {
        self.lab_and_networks();
        let mut seen: HashMap<Ipv4Addr, (String, String)> = HashMap::new();
        for (at, node) in self.plan.nodes.iter().enumerate() {
            let name = node.name.as_str();
            if !is_host_name(name) {
                let span = self.key(&["nodes", name]);
                self.error(
                    "net::node-name",
                    span,
                    format!("`{name}` cannot be a host name"),
                    "letters, digits and dashes, at most 63, no dash at an end",
                );
            }
            if node.links.is_empty() {
                let span = self.key(&["nodes", name]);
                self.warn(
                    "net::unconnected",
                    span,
                    format!("`{name}` is on no network"),
                    format!(
                        "add `interfaces: {{ {}: … }}`",
                        self.plan.networks.first().map_or("lan", |n| &n.name)
                    ),
                );
            }
            let mut interfaces: HashMap<&str, &str> = HashMap::new();
            for link in &node.links {
                let path = ["nodes", name, "interfaces", link.network.as_str()];
                if let Some(other) = interfaces.insert(&link.name, &link.network) {
                    let span = self.key(&path);
                    let message = format!(
                        "`{}` and `{other}` are both called `{}` in {name}",
                        link.network, link.name
                    );
                    self.error("net::interface-name", span, message, "an interface has the first 15 characters of its network's name: give the networks names that differ there");
                }
                let Address::Static(own) = link.address else { continue };
                let Some(subnet) = self.plan.network(&link.network).map(|n| n.subnet) else {
                    continue;
                };
                let address = own.addr();
                let written = matches!(
                    self.file.nodes.0.get(at).and_then(|(_, n)| n.interfaces.get(&link.network)),
                    Some(Interface::Static(..))
                );
                let span =
                    if written { self.place(&path) } else { self.place(&["nodes", name, "ios"]) };
                if !subnet.contains(&address) {
                    let other = self.plan.networks.iter().find(|n| n.subnet.contains(&address));
                    let help = match other {
                        Some(other) => {
                            format!("it is an address of `{}` ({})", other.name, other.subnet)
                        }
                        None => format!(
                            "{} has the addresses {} to {}",
                            link.network,
                            subnet.hosts().next().unwrap_or(subnet.addr()),
                            subnet.hosts().last().unwrap_or(subnet.broadcast())
                        ),
                    };
                    self.error(
                        "net::outside-subnet",
                        span,
                        format!("{address} is not in {subnet}, the subnet of `{}`", link.network),
                        help,
                    );
                } else if subnet.prefix_len() < 31 && address == subnet.network() {
                    self.error(
                        "net::network-address",
                        span,
                        format!("{address} is the address of the network {subnet} itself"),
                        "give the node another one",
                    );
                } else if subnet.prefix_len() < 31 && address == subnet.broadcast() {
                    self.error(
                        "net::broadcast-address",
                        span,
                        format!("{address} is the broadcast address of {subnet}"),
                        "give the node another one",
                    );
                } else if own.prefix_len() != subnet.prefix_len() {
                    self.warn(
                        "net::prefix-differs",
                        span,
                        format!(
                            "{own} has another prefix length than `{}` ({subnet})",
                            link.network
                        ),
                        "leave the prefix length out, unless the lab wants a wrong mask",
                    );
                }
                if let Some((other, network)) =
                    seen.insert(address, (name.to_owned(), link.network.clone()))
                {
                    let first = self.place(&["nodes", &other, "interfaces", &network]);
                    self.problems.push(
                        Problem::error(
                            "net::duplicate-address",
                            span,
                            format!("{name} and {other} both have {address}"),
                        )
                        .help("give one of them another address")
                        .and(first, format!("{other} has it")),
                    );
                }
            }
            self.ports(at);
        }
    }

    fn lab_and_networks(&mut self) {
        let good = |name: &str| {
            name.len() <= 40 && is_host_name(name) && name.bytes().all(|b| !b.is_ascii_uppercase())
        };
        if !good(&self.file.name) {
            let span = self.place(&["name"]);
            self.error(
                "lab::name",
                span,
                format!("`{}` cannot be a lab's name", self.file.name),
                "lower-case letters, digits and dashes, at most 40",
            );
        }
        if self.plan.nodes.is_empty() {
            let span = self.place(&["nodes"]);
            self.error(
                "lab::empty",
                span,
                "the lab has no nodes".to_owned(),
                "add `nodes: { pc0: { interfaces: { lan: 192.168.1.4 } } }`",
            );
        }
        for (at, network) in self.plan.networks.iter().enumerate() {
            let span = self.key(&["networks", &network.name]);
            if !is_host_name(&network.name) {
                self.error(
                    "net::network-name",
                    span,
                    format!("`{}` cannot be a network's name", network.name),
                    "letters, digits and dashes",
                );
            }
            for other in self.plan.networks.iter().take(at) {
                if other.subnet.contains(&network.subnet) || network.subnet.contains(&other.subnet)
                {
                    let (here, first) = (
                        self.place(&["networks", &network.name]),
                        self.place(&["networks", &other.name]),
                    );
                    self.problems.push(
                        Problem::error(
                            "net::overlap",
                            here,
                            format!(
                                "{} overlaps with `{}` ({})",
                                network.subnet, other.name, other.subnet
                            ),
                        )
                        .help("routers cannot tell overlapping networks apart")
                        .and(first, "the other one"),
                    );
                }
            }
            if let Some(gateway) = self.file.networks.get(&network.name).and_then(|n| n.gateway)
                && !network.subnet.contains(&gateway)
            {
                let span = self.place(&["networks", &network.name, "gateway"]);
                self.error(
                    "net::gateway-outside",
                    span,
                    format!("the gateway {gateway} is not in {}", network.subnet),
                    "a gateway is a router's address on the same network",
                );
            }
        }
        let used: std::collections::HashSet<&str> =
            self.plan.nodes.iter().flat_map(|n| &n.links).map(|l| l.network.as_str()).collect();
        for network in &self.plan.networks {
            if !used.contains(network.name.as_str()) {
                let span = self.key(&["networks", &network.name]);
                self.warn(
                    "net::unused-network",
                    span,
                    format!("nothing is on the network `{}`", network.name),
                    "plug a node in, or remove it",
                );
            }
        }
    }

    /// Two services of a node, or two protocols of one, on the same port.
    fn ports(&mut self, at: usize) {
        let Some(node) = self.plan.nodes.get(at) else { return };
        let services = &node.services;
        let mut ports: Vec<(u16, String)> = Vec::new();
        if services.dns.is_some() {
            ports.push((53, "dns".to_owned()));
        }
        if let Some(web) = &services.web {
            ports.push((80, "http".to_owned()));
            if web.tls {
                ports.push((443, "https".to_owned()));
            }
        }
        for protocol in services.mail.iter().flat_map(|mail| &mail.protocols) {
            let word = protocol.protocol.word();
            if let Some((_, other)) = ports.iter().find(|(port, _)| *port == protocol.port) {
                let span = self.place(&["nodes", &node.name, "services", "mail", "ports", word]);
                let message =
                    format!("{word} and {other} of {} both want port {}", node.name, protocol.port);
                self.error(
                    "net::port-clash",
                    span,
                    message,
                    "give one of them another port under `ports:`",
                );
            }
            ports.push((protocol.port, word.to_owned()));
        }
        if let Some((_, said)) = self.file.nodes.0.get(at)
            && let Some(mail) = &said.services.mail
        {
            for (word, _) in mail.ports.iter() {
                let words = crate::file::MailProtocol::WORDS;
                if !words.contains(&word.as_str()) {
                    let span = self.key(&["nodes", &node.name, "services", "mail", "ports", word]);
                    self.error(
                        "yaml::unknown-field",
                        span,
                        format!("`{word}` is not a mail protocol"),
                        suggestion(word, words.iter().copied()),
                    );
                }
            }
        }
    }

    pub(super) fn gateways_and_resolvers(&mut self) {
        let foreign = self.plan.nodes.iter().any(|node| node.image.is_some());
        for (node, said) in self.plan.nodes.iter().zip(self.file.nodes.values()) {
            let name = node.name.as_str();
            if let Some(Maybe::Is(gateway)) = &said.gateway {
                let span = self.place(&["nodes", name, "gateway"]);
                let near = node.links.iter().any(|link| match link.address {
                    Address::Static(net) => net.contains(gateway),
                    _ => {
                        self.plan.network(&link.network).is_some_and(|n| n.subnet.contains(gateway))
                    }
                });
                if !near {
                    self.error(
                        "net::gateway-outside",
                        span,
                        format!("the gateway {gateway} is on no network of {name}"),
                        "a gateway is a router's address on the same network",
                    );
                } else {
                    match self.facts.owner(*gateway) {
                        None => self.warn(
                            "net::gateway-nobody",
                            span,
                            format!("nobody has the gateway's address {gateway}"),
                            "name a router's address on this network",
                        ),
                        Some(other) if !other.is_router() => {
                            let help = format!(
                                "`{}` has it: give it `kind: router`, or name a router",
                                other.name
                            );
                            self.warn(
                                "net::gateway-nobody",
                                span,
                                format!("the gateway {gateway} is no router"),
                                help,
                            );
                        }
                        Some(_) => {}
                    }
                }
            }
            for (to, via) in said.routes.iter() {
                let near = node.links.iter().any(|link| {
                    self.plan.network(&link.network).is_some_and(|n| n.subnet.contains(via))
                });
                if !near {
                    let span = self.place(&["nodes", name, "routes", to]);
                    self.error(
                        "net::next-hop",
                        span,
                        format!("the next hop {via} is on no network of {name}"),
                        "a next hop is a router's address on the same network",
                    );
                }
            }
            if let Some(Maybe::Is(servers)) = &said.dns {
                for (index, server) in servers.iter().enumerate() {
                    let span = self.place(&["nodes", name, "dns", &index.to_string()]);
                    match self.facts.owner(*server) {
                        Some(owner) if owner.services.dns.is_some() => {
                            if let Some(why) = self.facts.unreachable(node, *server) {
                                self.warn(
                                    "net::resolver-unreachable",
                                    span,
                                    format!("{name} does not reach its DNS server {server}"),
                                    why,
                                );
                            }
                        }
                        Some(owner) if owner.image.is_some() => {}
                        Some(owner) => {
                            let help = format!(
                                "give {} a `dns:` service, or name another server",
                                owner.name
                            );
                            self.warn(
                                "net::resolver",
                                span,
                                format!("{server} is {}, which is no DNS server", owner.name),
                                help,
                            );
                        }
                        None if foreign => {}
                        None => self.warn(
                            "net::resolver",
                            span,
                            format!("nobody has the DNS server's address {server}"),
                            self.dns_help(),
                        ),
                    }
                }
            }
            for (index, rule) in node.firewall.iter().enumerate() {
                if let Err(why) = firewall_rule(rule) {
                    let span = self.place(&["nodes", name, "firewall", &index.to_string()]);
                    self.error(
                        "net::firewall",
                        span,
                        why,
                        "for example `drop in tcp 25`, `reject out udp 53 to 10.0.0.1`",
                    );
                }
            }
            if node.is_router() {
                continue;
            }
            let misplaced = [("ios", said.ios.is_some()), ("routing", said.routing.is_some())];
            for (field, _) in misplaced.into_iter().filter(|(_, there)| *there) {
                let span = self.key(&["nodes", name, field]);
                self.error(
                    "net::not-a-router",
                    span,
                    format!("`{field}` belongs to a router, {name} is a {}", node.kind),
                    "give it `kind: router`",
                );
            }
        }
    }

    fn dns_help(&self) -> String {
        let servers: Vec<String> = self
            .plan
            .nodes
            .iter()
            .filter(|n| n.services.dns.is_some())
            .filter_map(|n| Some(format!("{} ({})", n.address()?, n.name)))
            .collect();
        if servers.is_empty() {
            "the lab has no DNS server".to_owned()
        } else {
            format!("DNS servers of the lab: {}", servers.join(", "))
        }
    }
}

/// `ACTION DIRECTION [PROTOCOL [PORT[-PORT]]] [from NET] [to NET]`.
fn firewall_rule(rule: &str) -> Result<(), String> {
    let mut words = rule.split_whitespace();
    match words.next() {
        Some("drop" | "reject" | "accept") => {}
        other => {
            return Err(format!(
                "a rule begins with drop, reject or accept, not `{}`",
                other.unwrap_or("")
            ));
        }
    }
    match words.next() {
        Some("in" | "out" | "forward") => {}
        other => {
            return Err(format!(
                "after the action stands in, out or forward, not `{}`",
                other.unwrap_or("")
            ));
        }
    }
    let mut rest: Vec<&str> = words.collect();
    if let Some(first) = rest.first().copied()
        && !matches!(first, "from" | "to")
    {
        if !matches!(first, "tcp" | "udp" | "icmp" | "any") {
            return Err(format!("`{first}` is not a protocol: tcp, udp, icmp or any"));
        }
        rest.remove(0);
        if let Some(port) = rest.first().copied()
            && !matches!(port, "from" | "to")
        {
            let (low, high) = port.split_once('-').unwrap_or((port, port));
            let good = matches!((low.parse::<u16>(), high.parse::<u16>()), (Ok(a), Ok(b)) if a > 0 && a <= b);
            if !good || !matches!(first, "tcp" | "udp") {
                return Err(format!("`{port}` is not a port of {first}"));
            }
            rest.remove(0);
        }
    }
    for pair in rest.chunks(2) {
        match pair {
            ["from" | "to", net]
                if net.parse::<ipnet::Ipv4Net>().is_ok() || net.parse::<Ipv4Addr>().is_ok() => {}
            ["from" | "to", net] => return Err(format!("`{net}` is not an address or subnet")),
            other => return Err(format!("`{}` is not understood", other.join(" "))),
        }
    }
    Ok(())
}
