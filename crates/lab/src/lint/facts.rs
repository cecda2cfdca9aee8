//! What the lint looks up often: who has an address, what a name resolves to, who reaches whom.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::build::{shortest_ways, within};
use crate::file::Routing;
use crate::plan::{Address, Node, Plan, Pool, Record};

/// Looked-up facts of a plan.
pub(super) struct Facts<'a> {
    plan: &'a Plan,
    /// Node by name: its place in the plan.
    pub nodes: HashMap<&'a str, usize>,
    /// Network by name: its place in the plan.
    pub networks: HashMap<&'a str, usize>,
    /// Who has an address: places in the plan.
    pub owners: HashMap<Ipv4Addr, Vec<usize>>,
    /// Records by owner name.
    records: HashMap<&'a str, Vec<&'a Record>>,
    ways: HashMap<usize, Vec<(Ipv4Net, Ipv4Addr)>>,
    /// Whether a router translates addresses, so that answers need no way to the asker itself.
    pub translates: bool,
}

impl<'a> Facts<'a> {
    pub fn of(plan: &'a Plan) -> Self {
        let nodes =
            plan.nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect();
        let networks =
            plan.networks.iter().enumerate().map(|(at, n)| (n.name.as_str(), at)).collect();
        let mut owners: HashMap<Ipv4Addr, Vec<usize>> = HashMap::new();
        for (at, node) in plan.nodes.iter().enumerate() {
            for net in node.addresses() {
                owners.entry(net.addr()).or_default().push(at);
            }
        }
        let mut records: HashMap<&str, Vec<&Record>> = HashMap::new();
        for zone in
            plan.nodes.iter().filter_map(|n| n.services.dns.as_ref()).flat_map(|dns| &dns.zones)
        {
            for record in &zone.records {
                records.entry(&record.name).or_default().push(record);
            }
        }
        // RIP routers find the same ways; static ones only have their own.
        let ways = if plan.nodes.iter().any(|n| n.routing == Some(Routing::Rip)) {
            shortest_ways(plan)
        } else {
            HashMap::new()
        };
        let rules = |n: &Node| {
            n.router.as_ref()?.get("nat")?.get("rules")?.as_array().map(|rules| !rules.is_empty())
        };
        let translates = plan.nodes.iter().any(|node| rules(node) == Some(true));
        Self { plan, nodes, networks, owners, records, ways, translates }
    }

    pub fn node(&self, name: &str) -> Option<&'a Node> {
        self.nodes.get(name).and_then(|at| self.plan.nodes.get(*at))
    }

    pub fn owner(&self, address: Ipv4Addr) -> Option<&'a Node> {
        self.owners
            .get(&address)
            .and_then(|list| list.first())
            .and_then(|at| self.plan.nodes.get(*at))
    }

    /// The records of a name and type, in any zone of the lab; wildcards count.
    pub fn lookup(&self, name: &str, kind: &str) -> Vec<&'a Record> {
        let name = format!("{}.", name.trim_end_matches('.').to_ascii_lowercase());
        let of = |owner: &str| -> Vec<&'a Record> {
            self.records
                .get(owner)
                .into_iter()
                .flatten()
                .filter(|r| r.r#type == kind)
                .copied()
                .collect()
        };
        let own = of(&name);
        if !own.is_empty() || self.records.contains_key(name.as_str()) {
            return own;
        }
        let mut rest = name.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            let found = of(&format!("*.{parent}"));
            if !found.is_empty() || parent.is_empty() {
                return found;
            }
            rest = parent;
        }
        Vec::new()
    }

    /// The addresses of a name, over aliases.
    pub fn addresses(&self, name: &str) -> BTreeSet<Ipv4Addr> {
        let mut name = name.to_owned();
        for _ in 0..8 {
            if let Some(alias) = self.lookup(&name, "CNAME").first() {
                name.clone_from(&alias.data);
                continue;
            }
            return self.lookup(&name, "A").iter().filter_map(|r| r.data.parse().ok()).collect();
        }
        BTreeSet::new()
    }

    /// Whether a zone of the lab covers a name (or somebody forwards or recurses).
    pub fn covered(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.plan.nodes.iter().filter_map(|n| n.services.dns.as_ref()).any(|dns| {
            !dns.root_hints.is_empty()
                || !dns.forward.is_empty()
                || dns.zones.iter().any(|zone| zone.name == "." || within(&name, &zone.name))
        })
    }

    /// The pools that a node's lease may come from.
    fn pools(&self, node: &Node) -> impl Iterator<Item = &'a Pool> {
        let link = node.links.iter().find(|link| link.address == Address::Dhcp);
        let subnet = link.and_then(|l| self.plan.network(&l.network)).map(|n| n.subnet);
        let servers = self.plan.nodes.iter().filter_map(|n| n.services.dhcp.as_ref());
        servers.flat_map(|dhcp| &dhcp.pools).filter(move |pool| Some(pool.subnet) == subnet)
    }

    /// The default gateway of a node: its own, or what its pool brings.
    fn gateway(&self, node: &Node) -> Option<Ipv4Addr> {
        node.gateway.or_else(|| self.pools(node).find_map(|pool| pool.router))
    }

    /// Whether a node can ask somebody for a name: a DNS server, or its own hosts file.
    pub fn resolves(&self, node: &Node, name: &str) -> bool {
        let hosts = node.hosts.iter().any(|(own, _)| own == name);
        // A pool of a foreign image or of a console is not known.
        let leased = node.uses_dhcp()
            && (self.pools(node).next().is_none()
                || self.pools(node).any(|pool| !pool.dns.is_empty()));
        hosts || leased || !node.dns.is_empty() || node.image.is_some()
    }

    /// Why packets from a node do not reach an address; `None` where they do, as far as can be told.
    pub fn unreachable(&self, from: &Node, to: Ipv4Addr) -> Option<String> {
        let mut at = from;
        for _ in 0..32 {
            if at.addresses().any(|own| own.addr() == to) {
                return None;
            }
            let direct = at.links.iter().any(|link| match link.address {
                Address::Static(net) => net.contains(&to),
                Address::Dhcp => {
                    self.plan.network(&link.network).is_some_and(|n| n.subnet.contains(&to))
                }
                Address::None => false,
            });
            if direct {
                return None;
            }
            let place = self.nodes.get(at.name.as_str());
            let learnt = place
                .filter(|_| at.routing == Some(Routing::Rip))
                .and_then(|place| self.ways.get(place));
            let learnt = learnt.into_iter().flatten().copied();
            let typed = at.router.as_ref().and_then(|r| r.get("routes")).and_then(|r| r.as_array());
            let typed = typed.into_iter().flatten().filter_map(|route| {
                let to = route.get("to")?.as_str()?.parse::<Ipv4Net>().ok()?;
                let via = route.get("via")?.get("address")?.as_str()?.parse::<Ipv4Addr>().ok()?;
                Some((to, via))
            });
            let routes =
                at.routes.iter().map(|route| (route.to, route.via)).chain(learnt).chain(typed);
            let best =
                routes.filter(|(net, _)| net.contains(&to)).max_by_key(|(net, _)| net.prefix_len());
            let Some(via) = best.map(|(_, via)| via).or_else(|| self.gateway(at)) else {
                return Some(format!("{} has no route to {to}", at.name));
            };
            let Some(next) = self.owner(via) else {
                return Some(format!("{} sends to {via}, and nobody has that address", at.name));
            };
            if !next.is_router() {
                return Some(format!("{} sends to {}, which is no router", at.name, next.name));
            }
            at = next;
        }
        Some("the packets go round in circles".to_owned())
    }
}
