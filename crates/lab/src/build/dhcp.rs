//! DHCP servers: pools with what follows from their network.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Builder;
use crate::decode::suggestion;
use crate::diagnostic::Problem;
use crate::file::{self, Maybe, Range};
use crate::plan::{Dhcp, Pool};

impl Builder<'_> {
    pub(super) fn dhcp(&mut self) {
        for at in 0..self.plan.nodes.len() {
            let name = self.plan.nodes[at].name.clone();
            let mut server =
                self.services(at).and_then(|services| services.dhcp.clone()).map(|dhcp| {
                    let dhcp = dhcp.0;
                    let pools = dhcp
                        .pools
                        .iter()
                        .filter_map(|(pool, said)| self.pool(at, pool, said))
                        .collect();
                    let relay = dhcp
                        .relay
                        .iter()
                        .map(|(network, servers)| (network.clone(), servers.to_vec()))
                        .collect();
                    Dhcp { enabled: dhcp.enabled, pools, relay }
                });
            if let Some(config) = self.ios.get(&name) {
                let relay: Vec<_> = config
                    .interfaces
                    .iter()
                    .filter(|interface| !interface.helpers.is_empty())
                    .filter_map(|interface| {
                        let link =
                            self.plan.nodes[at].links.iter().find(|l| l.name == interface.name)?;
                        Some((link.network.clone(), interface.helpers.clone()))
                    })
                    .collect();
                let mut pools: Vec<_> =
                    config.dhcp.pools.iter().filter_map(|pool| ios_pool(config, pool)).collect();
                // Pools of one host go before those of its subnet.
                pools.sort_by_key(|pool| pool.reservations.is_empty());
                if !pools.is_empty() || !relay.is_empty() {
                    let server = server.get_or_insert_with(|| Dhcp {
                        enabled: !config.dhcp.off,
                        pools: Vec::new(),
                        relay: Vec::new(),
                    });
                    server.pools.extend(pools);
                    server.relay.extend(relay);
                }
            }
            self.plan.nodes[at].services.dhcp = server;
        }
    }

    fn pool(&mut self, at: usize, name: &str, said: &file::Pool) -> Option<Pool> {
        let node = &self.plan.nodes[at];
        let path: Vec<&str> =
            match self.tree.at(&["nodes", &node.name, "services", "dhcp", "pools", name]) {
                Some(_) => vec!["nodes", &node.name, "services", "dhcp", "pools", name],
                None => vec!["nodes", &node.name, "services", "dhcp"],
            };
        let place = |field: &'static str| {
            let mut path = path.clone();
            path.push(field);
            self.tree.span_of(&path)
        };
        let subnet = match &said.network {
            Some(network) => match self
                .plan
                .network(network)
                .map(|n| n.subnet)
                .or_else(|| network.parse::<Ipv4Net>().ok().map(|n| n.trunc()))
            {
                Some(subnet) => subnet,
                None => {
                    let span = place("network");
                    self.problems.push(
                        Problem::error(
                            "net::unknown-network",
                            span,
                            format!("there is no network `{network}`"),
                        )
                        .help(suggestion(network, self.file.networks.names())),
                    );
                    return None;
                }
            },
            None => match node.links.iter().find_map(|l| self.plan.network(&l.network)) {
                Some(network) => network.subnet,
                None => {
                    let span = self.tree.span_of(&path);
                    self.problems.push(
                        Problem::error(
                            "dhcp::no-network",
                            span,
                            "the server is on no network, so the pool has none",
                        )
                        .help("add `network:`"),
                    );
                    return None;
                }
            },
        };
        let network = self.plan.networks.iter().find(|n| n.subnet == subnet);
        // What the author did not reserve for DHCP stays with those who have it.
        let mut exclude = said.exclude.to_vec();
        if said.range.is_empty() {
            let taken = self.plan.nodes.iter().flat_map(|n| n.addresses()).map(|net| net.addr());
            let mut taken: Vec<_> = taken.filter(|address| subnet.contains(address)).collect();
            taken.sort();
            taken.dedup();
            exclude
                .extend(taken.into_iter().map(|address| Range { first: address, last: address }));
        }
        let router = match &said.router {
            Some(Maybe::None) => None,
            Some(Maybe::Is(address)) => Some(*address),
            None => network.and_then(|n| n.gateway),
        };
        let dns = match &said.dns {
            Some(Maybe::None) => Vec::new(),
            Some(Maybe::Is(list)) => list.to_vec(),
            None => self.usual_resolver(&node.name).into_iter().collect(),
        };
        let mut reservations = Vec::new();
        for (whose, address) in said.reservations.iter() {
            let mac = match self.plan.node(whose) {
                Some(node) => network.and_then(|n| node.link(&n.name)).map(|link| link.mac.clone()),
                None => is_mac(whose).then(|| whose.clone()),
            };
            match mac {
                Some(mac) => reservations.push((mac, *address, whose.clone())),
                None => {
                    let span = place("reservations");
                    self.problems.push(
                        Problem::error(
                            "net::unknown-node",
                            span,
                            format!("there is no node `{whose}` on the pool's network"),
                        )
                        .help(suggestion(whose, self.file.nodes.names())),
                    );
                }
            }
        }
        let mut options = std::collections::BTreeMap::new();
        for (number, value) in said.options.iter() {
            match number.parse::<u8>() {
                Ok(number) if (1..255).contains(&number) => {
                    options.insert(number, value.clone());
                }
                _ => {
                    let span = place("options");
                    self.problems.push(
                        Problem::error(
                            "dhcp::option",
                            span,
                            format!("`{number}` is not the number of a DHCP option"),
                        )
                        .help("1 to 254"),
                    );
                }
            }
        }
        Some(Pool {
            name: name.to_owned(),
            subnet,
            ranges: said.range.to_vec(),
            exclude,
            router,
            dns,
            domain: said.domain.clone(),
            lease: said.lease.map_or(86_400, |lease| lease.0),
            options,
            reservations,
            ios: false,
        })
    }
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    parts.len() == 6 && parts.iter().all(|p| p.len() == 2 && u8::from_str_radix(p, 16).is_ok())
}

/// A pool of an `ios:` block; one of a single host is a reservation with all else left out.
fn ios_pool(config: &ios::RouterConfig, pool: &ios::config::DhcpPool) -> Option<Pool> {
    let mut reservations = Vec::new();
    let (subnet, exclude) = match (pool.network, pool.host) {
        (Some(net), _) => {
            let subnet = net.trunc();
            let inside = |(first, last): &&(Ipv4Addr, Ipv4Addr)| {
                *first <= subnet.broadcast() && *last >= subnet.network()
            };
            let ranges = config.dhcp.excluded.iter().filter(inside);
            (subnet, ranges.map(|(first, last)| Range { first: *first, last: *last }).collect())
        }
        (None, Some(host)) => {
            let subnet = host.trunc();
            let owner = pool.hardware_address.clone().or_else(|| pool.client_identifier.clone())?;
            reservations.push((owner, host.addr(), pool.client_name.clone().unwrap_or_default()));
            (subnet, vec![Range { first: subnet.network(), last: subnet.broadcast() }])
        }
        (None, None) => return None,
    };
    let mut options: std::collections::BTreeMap<u8, String> =
        pool.options.iter().cloned().collect();
    if pool.default_router.len() > 1 {
        // Further routers stand in option 3 as a list.
        let all: Vec<String> = pool.default_router.iter().map(ToString::to_string).collect();
        options.insert(3, format!("ip:{}", all.join(",")));
    }
    Some(Pool {
        name: pool.name.clone(),
        subnet,
        ranges: Vec::new(),
        exclude,
        router: pool.default_router.first().copied(),
        dns: pool.dns_server.clone(),
        domain: pool.domain_name.clone(),
        lease: pool.lease.unwrap_or(86_400),
        options,
        reservations,
        ios: true,
    })
}
