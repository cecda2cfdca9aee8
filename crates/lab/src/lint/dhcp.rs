//! DHCP servers, relays and clients.

use std::collections::HashMap;

use super::Lint;
use crate::diagnostic::Problem;
use crate::plan::{Address, Pool};

impl Lint<'_> {
    pub(super) fn dhcp(&mut self) {
        // Who serves each network: with a pool for it, on it or over a relay.
        let mut serving: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut relays: Vec<(&str, &str)> = Vec::new();
        for node in &self.plan.nodes {
            let Some(dhcp) = &node.services.dhcp else { continue };
            for pool in &dhcp.pools {
                if let Some(network) = self.plan.networks.iter().find(|n| n.subnet == pool.subnet) {
                    serving.entry(&network.name).or_default().push(&node.name);
                }
                self.pool(&node.name, pool);
            }
            for (network, servers) in &dhcp.relay {
                relays.push((&node.name, network));
                for server in servers {
                    let good = self
                        .facts
                        .owner(*server)
                        .is_some_and(|n| n.services.dhcp.is_some() || n.image.is_some());
                    if !good {
                        let span = self
                            .place(&["nodes", &node.name, "services", "dhcp", "relay", network]);
                        let span = if self
                            .tree
                            .at(&["nodes", &node.name, "services", "dhcp", "relay"])
                            .is_some()
                        {
                            span
                        } else {
                            self.place(&["nodes", &node.name, "ios"])
                        };
                        self.warn(
                            "dhcp::relay",
                            span,
                            format!("{server} is no DHCP server of the lab"),
                            "name the address of a node with a `dhcp:` service",
                        );
                    }
                }
            }
        }
        for (network, servers) in &serving {
            let near: Vec<&&str> = servers
                .iter()
                .filter(|name| self.facts.node(name).is_some_and(|n| n.link(network).is_some()))
                .collect();
            let mut names: Vec<&str> = near.into_iter().copied().collect();
            names.dedup();
            if let [first, second, ..] = names.as_slice() {
                let here = self.dhcp_place(second);
                let there = self.dhcp_place(first);
                self.problems.push(
                    Problem::warning("dhcp::two-servers", here, format!("{first} and {second} both give out addresses on `{network}`"))
                        .help("clients take the first offer; keep one server, unless the lab is about that")
                        .and(there, "the other server"),
                );
            }
        }
        for node in &self.plan.nodes {
            for link in node.links.iter().filter(|l| l.address == Address::Dhcp) {
                let network = link.network.as_str();
                let near = serving.get(network).is_some_and(|servers| {
                    servers.iter().any(|name| {
                        self.facts.node(name).is_some_and(|n| n.link(network).is_some())
                    })
                });
                let relayed = serving.contains_key(network)
                    && relays.iter().any(|(_, relayed)| *relayed == network);
                let foreign =
                    self.plan.nodes.iter().any(|n| n.image.is_some() && n.link(network).is_some());
                if !near && !relayed && !foreign {
                    let span = self.place(&["nodes", &node.name, "interfaces", network]);
                    let (message, help) = if serving.contains_key(network) {
                        (
                            format!(
                                "the DHCP server for `{network}` is on another network, and no router relays"
                            ),
                            "give the router `relay:` (or `ip helper-address`)",
                        )
                    } else {
                        (
                            format!(
                                "{} asks for an address, but no DHCP server serves `{network}`",
                                node.name
                            ),
                            "add a `dhcp:` service to a node, or give an address",
                        )
                    };
                    self.error("dhcp::no-server", span, message, help);
                }
            }
        }
    }

    fn dhcp_place(&self, node: &str) -> crate::diagnostic::Span {
        match self.tree.at(&["nodes", node, "services", "dhcp"]) {
            Some(_) => self.key(&["nodes", node, "services", "dhcp"]),
            None => self.key(&["nodes", node, "ios"]),
        }
    }

    fn pool(&mut self, node: &str, pool: &Pool) {
        let mut base = vec!["nodes", node, "services", "dhcp"];
        if pool.ios {
            base = vec!["nodes", node, "ios"];
        } else if self.tree.at(&["nodes", node, "services", "dhcp", "pools", &pool.name]).is_some()
        {
            base.extend(["pools", &pool.name]);
        }
        let field = |name: &'static str| -> Vec<&str> {
            base.iter().copied().chain((!pool.ios).then_some(name)).collect()
        };
        let subnet = pool.subnet;
        if subnet.prefix_len() > 30 || subnet.prefix_len() < 8 {
            let span = self.place(&base);
            self.error(
                "dhcp::range-outside",
                span,
                format!("{subnet} is no subnet for a pool"),
                "a pool's subnet is from /8 to /30",
            );
            return;
        }
        for (index, range) in pool.ranges.iter().enumerate() {
            let index = index.to_string();
            let mut path = field("range");
            path.push(&index);
            let span = self.place(&path);
            if !subnet.contains(&range.first) || !subnet.contains(&range.last) {
                self.error(
                    "dhcp::range-outside",
                    span,
                    format!("the range {range} is not in {subnet}"),
                    "clients could not use these addresses on their network",
                );
                continue;
            }
            let mut taken: Vec<_> =
                self.facts.owners.iter().filter(|(address, _)| range.contains(**address)).collect();
            taken.sort();
            let free = |address| pool.exclude.iter().any(|e| e.contains(address));
            if let Some((address, owners)) = taken.into_iter().find(|(address, _)| !free(**address))
            {
                let owner = owners
                    .first()
                    .and_then(|at| self.plan.nodes.get(*at))
                    .map_or("a node", |n| &n.name);
                self.error(
                    "dhcp::range-over-static",
                    span,
                    format!("the range {range} holds {address}, the address of {owner}"),
                    format!("leave it out with `exclude: {address}`, or choose another range"),
                );
            }
        }
        if pool.ios && pool.reservations.is_empty() {
            let mut owners: Vec<_> = self
                .facts
                .owners
                .iter()
                .filter(|(address, _)| subnet.contains(*address))
                .map(|(a, o)| (*a, o.clone()))
                .collect();
            owners.sort();
            for (address, owners) in owners {
                // A server does not give out its own addresses.
                let owner =
                    owners.first().and_then(|at| self.plan.nodes.get(*at)).map_or("", |n| &n.name);
                if owner != node && !pool.exclude.iter().any(|e| e.contains(address)) {
                    let span = self.place(&base);
                    self.warn(
                        "dhcp::range-over-static",
                        span,
                        format!("the pool {} holds {address}, the address of {owner}", pool.name),
                        format!("add `ip dhcp excluded-address {address}`"),
                    );
                }
            }
        }
        if let Some(router) = pool.router
            && !subnet.contains(&router)
        {
            let span = self.place(&field("router"));
            self.error(
                "dhcp::router-outside",
                span,
                format!("the default router {router} is not in {subnet}"),
                "clients could not reach it",
            );
        }
        for server in &pool.dns {
            let known = self
                .facts
                .owner(*server)
                .is_none_or(|n| n.services.dns.is_some() || n.image.is_some());
            if !known
                || self.facts.owner(*server).is_none()
                    && self.plan.nodes.iter().all(|n| n.image.is_none())
            {
                let span = self.place(&field("dns"));
                self.warn(
                    "net::resolver",
                    span,
                    format!("the pool {} hands out {server}, which is no DNS server", pool.name),
                    "name the address of a node with a `dns:` service",
                );
            }
        }
        let mut kept: HashMap<std::net::Ipv4Addr, &str> = HashMap::new();
        for (_, address, whose) in &pool.reservations {
            let mut path = field("reservations");
            path.push(whose);
            let span = self.place(&path);
            if !subnet.contains(address) {
                self.error(
                    "dhcp::range-outside",
                    span,
                    format!("the reserved address {address} is not in {subnet}"),
                    "clients could not use it on their network",
                );
            }
            if let Some(other) = kept.insert(*address, whose) {
                self.error(
                    "net::duplicate-address",
                    span,
                    format!("{address} is reserved for {other} and {whose}"),
                    "reserve it once",
                );
            } else if let Some(owner) = self.facts.owner(*address) {
                let message = format!("the reserved address {address} belongs to {}", owner.name);
                self.error("net::duplicate-address", span, message, "reserve another one");
            }
        }
    }
}
