//! `route`: a node has a route, by the right next hop.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use lab::check::Route;
use probes::Layer;

use super::Seen;
use crate::trial::{Failure, Unasked};
use crate::world::World;

pub async fn attempt(world: &World<'_>, check: &Route) -> Seen {
    let node = &check.node;
    let to: Ipv4Net = match (check.to.as_str(), world.plan.network(&check.to)) {
        ("default", _) => Ipv4Net::default(),
        (_, Some(network)) => network.subnet,
        (text, None) => text
            .parse()
            .map_err(|_| Unasked::Trouble(format!("{text:?} is no subnet and no network")))?,
    };
    let facts = world.facts(node).await?;
    let found: Vec<_> = facts.routes.iter().filter(|route| route.to == to.trunc()).collect();
    let known: Vec<String> = facts
        .routes
        .iter()
        .map(|route| match route.via {
            Some(via) => {
                format!("{} via {via} dev {} ({})", route.to, route.interface, route.protocol)
            }
            None => format!("{} dev {} ({})", route.to, route.interface, route.protocol),
        })
        .collect();
    let broken = |message: String| {
        let mut failure = Failure::on(Layer::Route, message).who(node);
        failure.evidence.clone_from(&known);
        Err(Unasked::from(failure))
    };
    if !check.present {
        return match found.first() {
            Some(route) => broken(format!("{node} has a route to {to} by {}", route.interface)),
            None => Ok(format!("no route to {to}")),
        };
    }
    let Some(first) = found.first() else { return broken(format!("{node} has no route to {to}")) };
    let Some(via) = &check.via else { return Ok(format!("{to} by {}", first.interface)) };
    let right: Vec<Ipv4Addr> = match via.parse() {
        Ok(address) => vec![address],
        Err(_) => world.node(via)?.addresses().map(|net| net.addr()).collect(),
    };
    match found.iter().find(|route| route.via.is_some_and(|via| right.contains(&via))) {
        Some(route) => Ok(format!("{to} via {}", route.via.unwrap_or(Ipv4Addr::UNSPECIFIED))),
        None => {
            let seen = first.via.map_or("no next hop".into(), |via| via.to_string());
            broken(format!("{node}'s route to {to} goes by {seen}, and should go by {via}"))
        }
    }
}
