//! `address`: an interface has the right address, gateway and DNS servers.

use std::net::IpAddr;

use ipnet::Ipv4Net;
use lab::check::Address;
use probes::Layer;

use super::{Seen, inside};
use crate::trial::{Failure, Unasked};
use crate::world::World;

pub async fn attempt(world: &World<'_>, check: &Address) -> Seen {
    let node = &check.node;
    let broken = |layer, message: String| Unasked::from(Failure::on(layer, message).who(node));
    let status = world.status(node).await?;
    let link = status
        .links
        .iter()
        .find(|link| check.network.as_ref().is_none_or(|network| *network == link.network))
        .ok_or_else(|| broken(Layer::Link, format!("{node} has no such interface")))?;
    let text = link.address.as_deref().ok_or_else(|| {
        broken(Layer::Address, format!("{node} has no address on {}", link.network))
    })?;
    let seen: Ipv4Net = text
        .parse()
        .map_err(|_| Unasked::Trouble(format!("{node} says that its address is {text:?}")))?;
    let planned = world.node(node)?.link(&link.network).and_then(|link| link.address.fixed());
    let wanted = match (&check.is, planned) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(net)) if check.inside.is_none() => Some(net.to_string()),
        _ => None,
    };
    if let Some(wanted) = wanted {
        let same = match wanted.parse::<Ipv4Net>() {
            Ok(net) => net == seen,
            Err(_) => inside(&wanted, seen.addr()).unwrap_or(false),
        };
        if !same {
            let message = format!("{node} has the address {seen}, and should have {wanted}");
            return Err(broken(Layer::Address, message));
        }
    }
    if let Some(area) = &check.inside {
        let within = inside(area, seen.addr())
            .ok_or_else(|| Unasked::Trouble(format!("{area:?} is no subnet and no range")))?;
        if !within {
            let message = format!("{node} has the address {seen}, which is not in {area}");
            return Err(broken(Layer::Address, message));
        }
    }
    if check.gateway.is_none() && check.dns.is_empty() {
        return Ok(seen.to_string());
    }
    let facts = world.facts(node).await?;
    if let Some(wanted) = &check.gateway {
        let wanted = world.target(node, wanted).await?.host;
        let gateway = facts.routes.iter().find(|route| route.to.prefix_len() == 0);
        let seen = gateway.and_then(|route| route.via).map(|via| via.to_string());
        if seen.as_ref() != Some(&wanted) {
            let seen =
                seen.map_or("no default gateway".into(), |seen| format!("the gateway {seen}"));
            let message = format!("{node} has {seen}, and should have {wanted}");
            return Err(broken(Layer::Route, message));
        }
    }
    if !check.dns.is_empty() {
        let seen: Vec<String> = facts.resolvers.iter().map(IpAddr::to_string).collect();
        let mut wanted = Vec::new();
        for server in check.dns.iter() {
            wanted.push(world.target(node, server).await?.host);
        }
        if seen != wanted {
            let seen = if seen.is_empty() { "none".into() } else { seen.join(", ") };
            let message =
                format!("{node}'s DNS servers are {seen}, and should be {}", wanted.join(", "));
            return Err(broken(Layer::Name, message));
        }
    }
    Ok(seen.to_string())
}
