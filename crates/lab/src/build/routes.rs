//! Routes: default gateways, the author's own, and the shortest ways across the routers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Builder;
use crate::decode::suggestion;
use crate::diagnostic::Problem;
use crate::file::Routing;
use crate::plan::{Plan, Route};

const DEFAULT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);

impl Builder<'_> {
    pub(super) fn routes(&mut self) {
        let ways = shortest_ways(&self.plan);
        for at in 0..self.plan.nodes.len() {
            let name = self.plan.nodes[at].name.clone();
            let mut routes = self.own_routes(at, &name);
            let node = &self.plan.nodes[at];
            if let Some(gateway) = node.gateway
                && !routes.iter().any(|route| route.to == DEFAULT)
            {
                let said = self.file.nodes.0.get(at).is_some_and(|(_, n)| n.gateway.is_some());
                routes.push(Route { to: DEFAULT, via: gateway, metric: 1, derived: !said });
            }
            if node.routing == Some(Routing::Auto) {
                for (to, via) in ways.get(&at).into_iter().flatten() {
                    if !routes.iter().any(|route| route.to == *to) {
                        routes.push(Route { to: *to, via: *via, metric: 1, derived: true });
                    }
                }
            }
            self.plan.nodes[at].routes = routes;
        }
    }

    /// What stands under `routes:`.
    fn own_routes(&mut self, at: usize, name: &str) -> Vec<Route> {
        let Some((_, node)) = self.file.nodes.0.get(at) else { return Vec::new() };
        let mut routes = Vec::new();
        for (to, via) in node.routes.iter() {
            let subnet = match to.as_str() {
                "default" => Some(DEFAULT),
                to => {
                    self.plan.network(to).map(|n| n.subnet).or_else(|| to.parse::<Ipv4Net>().ok())
                }
            };
            match subnet {
                Some(to) => {
                    routes.push(Route { to: to.trunc(), via: *via, metric: 1, derived: false })
                }
                None => {
                    let span = self.tree.key_span(&["nodes", name, "routes", to]);
                    let known = self.file.networks.names().chain(["default"]);
                    self.problems.push(
                        Problem::error("net::route", span, format!("`{to}` is not a destination"))
                            .help(format!(
                                "a subnet such as 192.168.30.0/24, a network or `default`; {}",
                                suggestion(to, known)
                            )),
                    );
                }
            }
        }
        routes
    }

    /// The configuration that a router's console shows and its agent carries out.
    pub(super) fn routers(&mut self) {
        for at in 0..self.plan.nodes.len() {
            if self.plan.nodes[at].is_router() {
                let name = self.plan.nodes[at].name.clone();
                let parsed = self.ios.get(&name).cloned();
                let config = crate::router::complete(parsed, &self.plan.nodes[at]);
                self.plan.nodes[at].router = serde_json::to_value(config).ok();
            }
        }
    }
}

/// For each router (by its place) the networks it is not on, with the next hop of a shortest
/// way. Of equal ways the one over the router named first in the file wins.
pub(crate) fn shortest_ways(plan: &Plan) -> HashMap<usize, Vec<(Ipv4Net, Ipv4Addr)>> {
    let routers: Vec<usize> =
        (0..plan.nodes.len()).filter(|at| plan.nodes[*at].is_router()).collect();
    // The routers on each network, with their address there.
    let mut on: BTreeMap<&str, Vec<(usize, Ipv4Addr)>> = BTreeMap::new();
    for at in &routers {
        for link in &plan.nodes[*at].links {
            if let Some(net) = link.address.fixed() {
                on.entry(&link.network).or_default().push((*at, net.addr()));
            }
        }
    }
    let mut ways = HashMap::new();
    for start in &routers {
        // Breadth first over routers; each remembers the first hop that led to it.
        let mut first: HashMap<usize, Option<Ipv4Addr>> = HashMap::from([(*start, None)]);
        let mut waiting = VecDeque::from([*start]);
        let mut found: Vec<(Ipv4Net, Ipv4Addr)> = Vec::new();
        let own: Vec<&str> = plan.nodes[*start].links.iter().map(|l| l.network.as_str()).collect();
        while let Some(router) = waiting.pop_front() {
            let hop = first.get(&router).copied().flatten();
            for link in &plan.nodes[router].links {
                let network = link.network.as_str();
                if let Some(hop) = hop
                    && !own.contains(&network)
                    && let Some(net) = plan.network(network)
                    && !found.iter().any(|(to, _)| *to == net.subnet)
                {
                    found.push((net.subnet, hop));
                }
                if link.address.fixed().is_none() {
                    continue;
                }
                for (next, address) in on.get(network).into_iter().flatten() {
                    if !first.contains_key(next) {
                        first.insert(*next, Some(hop.unwrap_or(*address)));
                        waiting.push_back(*next);
                    }
                }
            }
        }
        found.sort_by_key(|(to, _)| *to);
        ways.insert(*start, found);
    }
    ways
}
