//! `arp`: an address is answered by the right hardware, and by it alone.

use std::net::Ipv4Addr;

use lab::check::Arp;
use probes::{Layer, Probe, arp};

use super::Seen;
use crate::trial::{Absence, Failure, Unasked};
use crate::world::World;

pub async fn attempt(world: &World<'_>, check: &Arp) -> Seen {
    let target = world.target(&check.from, &check.to).await?;
    let address: Ipv4Addr = target
        .host
        .parse()
        .map_err(|_| Unasked::Trouble(format!("{} is no node and no address", check.to)))?;
    let request = arp::Request { address, ..arp::Request::default() };
    let outcome: arp::Outcome = world.probe(&check.from, Probe::Arp(request)).await?;
    let owner = check.is.clone().or(target.node);
    let right: Vec<String> = owner
        .as_ref()
        .and_then(|name| world.plan.node(name))
        .map(|node| node.links.iter().map(|link| link.mac.to_ascii_lowercase()).collect())
        .unwrap_or_default();
    let mut failure = match outcome.macs.as_slice() {
        [] => Failure {
            absence: Some(Absence::Silent),
            ..Failure::on(Layer::Arp, format!("nobody on {} has {address}", outcome.interface))
        },
        [mac] if right.is_empty() || right.contains(&mac.to_ascii_lowercase()) => {
            return Ok(format!("{address} is at {mac}"));
        }
        [mac] => Failure::on(
            Layer::Arp,
            format!("{address} is at {mac}, which is not {}", owner.unwrap_or_default()),
        ),
        several => Failure::on(
            Layer::Arp,
            format!("{address} is there {} times: two nodes have one address", several.len()),
        ),
    };
    failure.evidence.extend(outcome.macs.iter().map(|mac| {
        let owner = world
            .plan
            .nodes
            .iter()
            .find(|node| node.links.iter().any(|link| link.mac.eq_ignore_ascii_case(mac)));
        format!(
            "{address} is at {mac}{}",
            owner.map_or(String::new(), |node| format!(" ({})", node.name))
        )
    }));
    Err(failure.who(&check.from).into())
}
