//! Names: the asker's DNS servers, what they say, and the mail program's servers.

use std::net::{IpAddr, Ipv4Addr};

use probes::{Layer, Probe, dns, facts};

use super::{Broken, Step, Walk, named, unasked};
use crate::trial::Unasked;

impl Walk<'_, '_> {
    /// A name resolves to the address of the plan, by the DNS servers of the plan.
    pub async fn name(&mut self, facts: &facts::Outcome, name: &str) -> Step {
        let asker = self.needs.asker.clone();
        let known = facts.hosts.iter().any(|(_, names)| {
            names.iter().any(|known| known.eq_ignore_ascii_case(name.trim_end_matches('.')))
        });
        if known {
            return Ok(());
        }
        self.resolvers(facts, &asker)?;
        let request = dns::Request {
            name: name.into(),
            record: "A".into(),
            timeout_ms: 1500,
            ..dns::Request::default()
        };
        let outcome = match self.world.probe::<dns::Outcome>(&asker, Probe::Dns(request)).await {
            Ok(outcome) => outcome,
            Err(Unasked::Trouble(_)) => return Ok(()),
            Err(Unasked::Broken(failure)) => return Err(self.silent(facts, failure).await),
        };
        let server = outcome
            .server
            .parse::<Ipv4Addr>()
            .map_or_else(|_| outcome.server.clone(), |address| named(self.world, address));
        let planned = self.world.planned_addresses(name);
        let seen: Vec<Ipv4Addr> = outcome
            .records
            .iter()
            .filter(|record| record.record == "A")
            .filter_map(|record| record.data.parse().ok())
            .collect();
        let list = |addresses: &[Ipv4Addr]| {
            addresses
                .iter()
                .map(|address| named(self.world, *address))
                .collect::<Vec<_>>()
                .join(", ")
        };
        if seen.is_empty() && !planned.is_empty() {
            let says = match outcome.code.as_str() {
                "NXDOMAIN" => format!("the DNS server {server} does not know the name {name}"),
                "NOERROR" => format!("the DNS server {server} has no address for {name}"),
                code => format!("the DNS server {server} says {code} to {name}"),
            };
            return Err(Broken::new(Layer::Name, says)
                .help(format!("the record should be: {name}. A {}", list(&planned))));
        }
        if !planned.is_empty()
            && !self.world.is_renamed()
            && !seen.iter().any(|a| planned.contains(a))
        {
            return Err(Broken::new(
                Layer::Name,
                format!(
                    "the name {name} leads to {}, and should lead to {}",
                    list(&seen),
                    list(&planned)
                ),
            )
            .evidence(format!("said by the DNS server {server}"))
            .help(format!("correct the record of {name} on the DNS server")));
        }
        self.fine(Layer::Name, format!("{name} is {}", list(&seen)));
        Ok(())
    }

    /// The DNS servers that the asker uses.
    fn resolvers(&mut self, facts: &facts::Outcome, asker: &str) -> Step {
        let wanted: Vec<IpAddr> = self
            .world
            .plan
            .node(asker)
            .map(|node| node.dns.iter().map(|server| IpAddr::V4(*server)).collect())
            .unwrap_or_default();
        let list = |servers: &[IpAddr]| {
            servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        if facts.resolvers.is_empty() {
            let mut broken = Broken::new(Layer::Name, format!("{asker} has no DNS server"));
            if !wanted.is_empty() {
                broken = broken.help(format!("set {asker}'s DNS server to {}", list(&wanted)));
            }
            return Err(broken);
        }
        if !wanted.is_empty() && facts.resolvers != wanted {
            let (seen, wanted) = (list(&facts.resolvers), list(&wanted));
            return Err(Broken::new(
                Layer::Name,
                format!("{asker} has the wrong DNS server: {seen}, and should have {wanted}"),
            )
            .help(format!("set {asker}'s DNS server to {wanted}")));
        }
        self.fine(Layer::Name, format!("{asker}'s DNS server is {}", list(&facts.resolvers)));
        Ok(())
    }

    /// A DNS server that gives no answer: whether its service is off.
    async fn silent(&self, facts: &facts::Outcome, failure: crate::trial::Failure) -> Broken {
        let mut broken = Broken::new(Layer::Name, failure.message.clone());
        broken.evidence.clone_from(&failure.evidence);
        for server in &facts.resolvers {
            let IpAddr::V4(address) = server else { continue };
            let Some(node) = self.world.plan.node_of(*address) else { continue };
            match self.world.status(&node.name).await {
                Ok(status) => {
                    let service = status.services.iter().find(|service| service.name == "dns");
                    let on = service.is_some_and(|service| {
                        service.running && service.protocols.iter().all(|protocol| protocol.on)
                    });
                    if on {
                        broken = broken
                            .evidence(format!("the DNS service of {} is on", node.name))
                            .help(format!(
                                "look for a packet filter between here and {}",
                                node.name
                            ));
                    } else {
                        broken.says =
                            format!("the DNS service of {} ({address}) is off", node.name);
                        broken = broken.help(format!("`labctl service {} dns on`", node.name));
                    }
                }
                Err(error) => {
                    if let Some(dead) = unasked(error) {
                        broken = broken.evidence(dead.says);
                    }
                }
            }
        }
        broken
    }

    /// The mail program names the servers and the user of the plan.
    pub fn settings(&mut self, facts: &facts::Outcome) -> Step {
        let asker = &self.needs.asker;
        let Some(wanted) = self.world.plan.node(asker).and_then(|node| node.mail.as_ref()) else {
            return Ok(());
        };
        let Some(seen) = &facts.mail else {
            return Err(Broken::new(Layer::Login, format!("{asker}'s mail program is not set up"))
                .help(format!(
                    "its address is {}, its servers {}",
                    wanted.address, wanted.outgoing
                )));
        };
        let servers = [
            ("outgoing", &seen.outgoing, &wanted.outgoing),
            ("incoming", &seen.incoming, &wanted.incoming),
        ];
        for (which, seen, wanted) in servers {
            if !seen.eq_ignore_ascii_case(wanted) {
                return Err(Broken::new(
                    Layer::Name,
                    format!("{asker} has the wrong {which} mail server: {seen}, and should have {wanted}"),
                )
                .help(format!("set {asker}'s {which} mail server to {wanted}")));
            }
        }
        Ok(())
    }
}
