//! `trace` (`path`): packets go this way.

use std::net::Ipv4Addr;

use lab::check::Trace;
use probes::{Layer, Probe, trace};

use super::Seen;
use crate::trial::{Absence, Failure, Unasked};
use crate::world::World;

pub async fn attempt(world: &World<'_>, check: &Trace) -> Seen {
    let target = world.target(&check.from, &check.to).await?;
    let request = trace::Request {
        to: target.host.clone(),
        max_hops: 16,
        probes: 2,
        timeout_ms: 700,
        icmp: false,
    };
    let outcome: trace::Outcome = world.probe(&check.from, Probe::Trace(request)).await?;
    target.verify(outcome.address, world).map_err(|failure| failure.who(&check.from))?;
    let hops: Vec<Option<Ipv4Addr>> = outcome
        .hops
        .iter()
        .map(|hop| hop.answers.iter().flatten().next().map(|answer| answer.from))
        .collect();
    let shown: Vec<String> = hops.iter().map(|hop| named(world, *hop)).collect();
    let way = shown.join(" -> ");
    let broken = |message: String| {
        let failure = Failure::on(Layer::Route, message).evidence(format!("the way: {way}"));
        Err(Unasked::from(failure.who(&check.from)))
    };
    if !outcome.reached {
        let last = hops.iter().flatten().last().copied();
        let mut failure = Failure::on(
            Layer::Route,
            format!("the way to {} ends behind {}", check.to, named(world, last)),
        )
        .evidence(format!("the way: {way}"))
        .who(&check.from);
        failure.absence = Some(Absence::Unreachable);
        return Err(failure.into());
    }
    let is = |hop: Option<Ipv4Addr>, text: &str| -> bool {
        let Some(hop) = hop else { return false };
        match text.parse::<Ipv4Addr>() {
            Ok(address) => address == hop,
            Err(_) => world.plan.node_of(hop).is_some_and(|node| node.name == text),
        }
    };
    let mut rest = hops.iter();
    for wanted in check.through.iter() {
        if !rest.any(|hop| is(*hop, wanted)) {
            return broken(format!(
                "the way to {} does not go through {wanted} as wanted",
                check.to
            ));
        }
    }
    for unwanted in check.avoid.iter() {
        if hops.iter().any(|hop| is(*hop, unwanted)) {
            return broken(format!("the way to {} goes through {unwanted}", check.to));
        }
    }
    if let Some(wanted) = check.hops
        && hops.len() != usize::from(wanted)
    {
        return broken(format!("the way has {} hops, and should have {wanted}", hops.len()));
    }
    Ok(way)
}

/// An address with the name of its node.
fn named(world: &World<'_>, hop: Option<Ipv4Addr>) -> String {
    match hop {
        None => "*".into(),
        Some(hop) => world
            .plan
            .node_of(hop)
            .map_or_else(|| hop.to_string(), |node| format!("{} ({hop})", node.name)),
    }
}
