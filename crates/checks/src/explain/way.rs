//! Route and ARP: whether there is a way to a node and somebody at its end.

use std::net::Ipv4Addr;

use probes::{Layer, Probe, arp, facts, ping, trace};

use super::{Broken, Step, Walk, named, routes};

impl Walk<'_, '_> {
    /// The way from the asker to a node of the plan.
    pub async fn way(&mut self, facts: &facts::Outcome, node: &str) -> Step {
        let asker = self.needs.asker.clone();
        let Ok(target) = self.world.target(&asker, node).await else { return Ok(()) };
        let Ok(address) = target.host.parse::<Ipv4Addr>() else { return Ok(()) };
        if facts.owns(address) {
            return Ok(());
        }
        if facts.link_of(address).is_some() {
            return self.neighbour(&asker, node, address).await;
        }
        self.gateway(facts, &asker, node, address)?;
        let Some(route) = facts.route_to(address) else {
            let mut broken =
                Broken::new(Layer::Route, format!("{asker} has no route to {node} ({address})"));
            broken.evidence = routes(facts);
            return Err(broken.help(format!("give {asker} a default gateway")));
        };
        if let Some(via) = route.via {
            self.neighbour(&asker, &named(self.world, via), via).await?;
        }
        self.end_of(&asker, node, address).await
    }

    /// The asker's default gateway is that of the plan.
    fn gateway(&mut self, facts: &facts::Outcome, asker: &str, node: &str, to: Ipv4Addr) -> Step {
        let plan = self.world.plan.node(asker);
        let wanted = plan.and_then(|plan| plan.gateway).or_else(|| {
            let link = plan?.links.first()?;
            self.world.plan.network(&link.network)?.gateway
        });
        let is_router = plan.is_some_and(lab::plan::Node::is_router);
        let seen = facts.routes.iter().find(|route| route.to.prefix_len() == 0);
        let seen = seen.and_then(|route| route.via);
        match (wanted, seen) {
            (Some(wanted), Some(seen)) if wanted != seen && !is_router => {
                let mut broken = Broken::new(
                    Layer::Route,
                    format!("{asker} has the wrong gateway: {seen}, and should have {wanted}"),
                )
                .help(format!("set {asker}'s default gateway to {wanted}"));
                broken.evidence = routes(facts);
                Err(broken)
            }
            (Some(wanted), None) if facts.route_to(to).is_none() => {
                let mut broken = Broken::new(
                    Layer::Route,
                    format!(
                        "{asker} has no gateway, and should have {wanted} to reach {node} ({to})"
                    ),
                )
                .help(format!("set {asker}'s default gateway to {wanted}"));
                broken.evidence = routes(facts);
                Err(broken)
            }
            (_, Some(seen)) => {
                self.fine(Layer::Route, format!("{asker}'s gateway is {seen}"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Somebody on the link answers for an address, and it is the right one alone.
    async fn neighbour(&mut self, asker: &str, node: &str, address: Ipv4Addr) -> Step {
        let request = arp::Request { address, timeout_ms: 1800, ..arp::Request::default() };
        let Ok(outcome) = self.world.probe::<arp::Outcome>(asker, Probe::Arp(request)).await else {
            return Ok(());
        };
        let right: Vec<String> = self
            .world
            .plan
            .node_of(address)
            .or_else(|| self.world.plan.node(node))
            .map(|node| node.links.iter().map(|link| link.mac.clone()).collect())
            .unwrap_or_default();
        match outcome.macs.as_slice() {
            [] => Err(Broken::new(
                Layer::Arp,
                format!("nobody on {} has the address {address} ({node})", outcome.interface),
            )
            .help(format!("look at {node}'s address and at the switch it is plugged into"))),
            [mac] if right.is_empty() || right.iter().any(|own| own.eq_ignore_ascii_case(mac)) => {
                self.fine(Layer::Arp, format!("{address} ({node}) is at {mac}"));
                Ok(())
            }
            [mac] => Err(Broken::new(
                Layer::Arp,
                format!("the address {address} is answered by another node than {node}"),
            )
            .evidence(format!("{address} is at {mac}"))),
            several => Err(self.doubled(address, several)),
        }
    }

    /// Packets arrive at the other side of the routers.
    async fn end_of(&mut self, asker: &str, node: &str, address: Ipv4Addr) -> Step {
        let request = ping::Request {
            to: address.to_string(),
            count: 2,
            interval_ms: 100,
            ..ping::Request::default()
        };
        if let Ok(outcome) = self.world.probe::<ping::Outcome>(asker, Probe::Ping(request)).await
            && outcome.received > 0
        {
            self.fine(Layer::Route, format!("{node} ({address}) answers {asker}"));
            return Ok(());
        }
        let request = trace::Request {
            to: address.to_string(),
            max_hops: 12,
            timeout_ms: 600,
            ..trace::Request::default()
        };
        let Ok(outcome) = self.world.probe::<trace::Outcome>(asker, Probe::Trace(request)).await
        else {
            return Ok(());
        };
        if outcome.reached {
            self.fine(Layer::Route, format!("{node} ({address}) is reached"));
            return Ok(());
        }
        let hops: Vec<_> =
            outcome.hops.iter().filter_map(|hop| hop.answers.iter().flatten().next()).collect();
        let shown: Vec<String> = hops.iter().map(|hop| named(self.world, hop.from)).collect();
        let last = shown.last().cloned();
        if hops.last().is_some_and(|hop| hop.mark.as_deref() == Some("!X")) {
            return Err(Broken::new(
                Layer::Port,
                format!("{} forbids the way to {node}", last.unwrap_or_default()),
            )
            .help("look at its access list"));
        }
        let says = match last {
            Some(last) => format!("the way from {asker} to {node} ({address}) ends behind {last}"),
            None => format!("no router answers on the way from {asker} to {node} ({address})"),
        };
        // The way there may be right and the way back wrong.
        let mut broken = Broken::new(Layer::Route, says)
            .help("look at the routes of the routers on the way, there and back");
        if !shown.is_empty() {
            broken = broken.evidence(format!("the way: {}", shown.join(" -> ")));
        }
        for router in self.world.plan.nodes.iter().filter(|node| node.is_router()) {
            match self.world.facts(&router.name).await {
                Ok(facts) => {
                    for link in facts.links.iter().filter(|link| !link.up || !link.carrier) {
                        broken = broken
                            .evidence(format!("{}'s link {} is down", router.name, link.name));
                    }
                    if !facts.owns(address) && facts.route_to(address).is_none() {
                        broken =
                            broken.evidence(format!("{} has no route to {address}", router.name));
                    }
                }
                Err(crate::trial::Unasked::Broken(failure)) => {
                    broken = broken.evidence(failure.message);
                }
                Err(crate::trial::Unasked::Trouble(_)) => {}
            }
        }
        Err(broken)
    }
}
