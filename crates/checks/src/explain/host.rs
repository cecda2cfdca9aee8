//! Node, link and address: whether a node is what the plan says.

use ipnet::Ipv4Net;
use lab::plan::Address;
use node::request::{LinkStatus, Status};
use probes::{Layer, Probe, arp, facts};

use super::{Broken, Step, Walk, unasked};

impl Walk<'_, '_> {
    /// A node runs, its links are up, its addresses are those of the plan.
    pub async fn host(&mut self, name: &str) -> Step {
        let status = match self.world.status(name).await {
            Ok(status) => status,
            Err(error) => return unasked(error).map_or(Ok(()), Err),
        };
        self.fine(Layer::Node, format!("{name} runs"));
        let Some(plan) = self.world.plan.node(name) else { return Ok(()) };
        for link in &plan.links {
            let Some(seen) = status.links.iter().find(|seen| seen.network == link.network) else {
                return Err(Broken::new(
                    Layer::Link,
                    format!("{name} is not plugged into {}", link.network),
                )
                .help(format!("give {name} an interface on {}", link.network)));
            };
            if !seen.up {
                return Err(Broken::new(
                    Layer::Link,
                    format!("{name}'s link to {} is down", link.network),
                )
                .help(format!("plug it in: `labctl link {name}:{} up`", link.network)));
            }
            self.fine(Layer::Link, format!("{name}'s link to {} is up", link.network));
            match link.address {
                Address::Static(net) => self.fixed(name, seen, net)?,
                Address::Dhcp => self.leased(name, seen, &status).await?,
                Address::None => {}
            }
        }
        Ok(())
    }

    fn fixed(&mut self, name: &str, seen: &LinkStatus, right: Ipv4Net) -> Step {
        let network = &seen.network;
        let Some(has) = seen.address.as_deref().and_then(|text| text.parse::<Ipv4Net>().ok())
        else {
            return Err(Broken::new(
                Layer::Address,
                format!("{name} has no address on {network}, and should have {right}"),
            )
            .help(format!("set {name}'s address to {right}")));
        };
        if has == right {
            self.fine(Layer::Address, format!("{name} has {has} on {network}"));
            return Ok(());
        }
        let other = self.world.plan.node_of(has.addr()).filter(|other| other.name != name);
        if let Some(other) = other {
            return Err(Broken::new(
                Layer::Arp,
                format!(
                    "{name} has the address of {}: {} is there twice, and {name} should have {right}",
                    other.name,
                    has.addr()
                ),
            )
            .help(format!("set {name}'s address to {right}")));
        }
        let says = if has.addr() == right.addr() {
            format!(
                "{name} has the wrong mask on {network}: {} (/{}), and should have {} (/{})",
                has.netmask(),
                has.prefix_len(),
                right.netmask(),
                right.prefix_len()
            )
        } else {
            format!("{name} has the wrong address on {network}: {has}, and should have {right}")
        };
        Err(Broken::new(Layer::Address, says).help(format!("set {name}'s address to {right}")))
    }

    async fn leased(&mut self, name: &str, seen: &LinkStatus, status: &Status) -> Step {
        let network = &seen.network;
        if let Some(lease) = seen.lease.as_ref() {
            let subnet = self.world.plan.network(network).map(|network| network.subnet);
            let net = lease.address.parse::<Ipv4Net>().ok();
            if let (Some(subnet), Some(net)) = (subnet, net)
                && !subnet.contains(&net.addr())
            {
                return Err(Broken::new(
                    Layer::Address,
                    format!("{name}'s lease {net} is not in {network}'s subnet {subnet}"),
                )
                .evidence(format!("given by {}", super::named(self.world, lease.server)))
                .help("correct the network of the DHCP pool"));
            }
            if let Some(other) = self.foreign_server(network, lease.server) {
                return Err(other.evidence(format!("{name} holds {}", lease.address)));
            }
            self.fine(
                Layer::Address,
                format!("{name} holds {} from {}", lease.address, lease.server),
            );
            return Ok(());
        }
        if let Some(address) = &seen.address {
            self.fine(Layer::Address, format!("{name} has {address} on {network}"));
            return Ok(());
        }
        let waits = status.waiting_for.join("; ");
        let mut broken = Broken::new(
            Layer::Address,
            format!("{name} has no address on {network}: no DHCP server gave one"),
        );
        if !waits.is_empty() {
            broken = broken.evidence(format!("{name} waits for: {waits}"));
        }
        for server in self.dhcp_servers(network) {
            match self.world.status(&server).await {
                Ok(state) => {
                    let service = state.services.iter().find(|service| service.name == "dhcp");
                    let on = service.is_some_and(|service| {
                        service.running && service.protocols.iter().all(|protocol| protocol.on)
                    });
                    let word = if on { "on" } else { "off" };
                    broken = broken.evidence(format!("the DHCP service of {server} is {word}"));
                    if !on {
                        broken.says = format!("{} ({server}'s DHCP service is off)", broken.says);
                        broken = broken.help(format!("`labctl service {server} dhcp on`"));
                    }
                }
                Err(error) => {
                    if let Some(dead) = unasked(error) {
                        broken = broken.evidence(dead.says);
                    }
                }
            }
        }
        Err(broken)
    }

    /// The plan's nodes that give or relay addresses on a network.
    fn dhcp_servers(&self, network: &str) -> Vec<String> {
        let subnet = self.world.plan.network(network).map(|network| network.subnet);
        self.world
            .plan
            .nodes
            .iter()
            .filter(|node| {
                node.services.dhcp.as_ref().is_some_and(|dhcp| {
                    dhcp.pools.iter().any(|pool| Some(pool.subnet) == subnet)
                        || dhcp.relay.iter().any(|(relayed, _)| relayed == network)
                })
            })
            .map(|node| node.name.clone())
            .collect()
    }

    /// A lease of a server that the plan does not know for this network.
    fn foreign_server(&self, network: &str, server: std::net::Ipv4Addr) -> Option<Broken> {
        let right = self.dhcp_servers(network);
        if right.is_empty() {
            return None;
        }
        let node = self.world.plan.node_of(server).map(|node| node.name.clone());
        if node.as_ref().is_some_and(|node| right.contains(node)) {
            return None;
        }
        let whose = node.unwrap_or_else(|| "no node of the lab".into());
        Some(
            Broken::new(
                Layer::Address,
                format!("a wrong DHCP server gives addresses on {network}: {server} ({whose})"),
            )
            .help(format!("switch it off; the right one is {}", right.join(", "))),
        )
    }

    /// Nobody else may have the asker's own address.
    pub async fn twice(&mut self, name: &str, facts: &facts::Outcome) -> Step {
        for link in &facts.links {
            for net in &link.addresses {
                let request = arp::Request {
                    address: net.addr(),
                    interface: Some(link.name.clone()),
                    timeout_ms: 900,
                    ..arp::Request::default()
                };
                let Ok(outcome) = self.world.probe::<arp::Outcome>(name, Probe::Arp(request)).await
                else {
                    continue;
                };
                let other = outcome.macs.iter().find(|mac| !mac.eq_ignore_ascii_case(&link.mac));
                if let Some(other) = other {
                    return Err(self.doubled(net.addr(), &[link.mac.clone(), other.clone()]));
                }
            }
        }
        Ok(())
    }

    /// An address that two have.
    pub fn doubled(&self, address: std::net::Ipv4Addr, macs: &[String]) -> Broken {
        let mut broken = Broken::new(
            Layer::Arp,
            format!("the address {address} is there twice: two nodes have it"),
        )
        .help("give one of them its own address");
        for mac in macs {
            let owner = self
                .world
                .plan
                .nodes
                .iter()
                .find(|node| node.links.iter().any(|link| link.mac.eq_ignore_ascii_case(mac)));
            let owner = owner.map_or("an unknown node", |node| node.name.as_str());
            broken = broken.evidence(format!("{address} is at {mac}, which is {owner}"));
        }
        broken
    }
}
