//! `lease`: an interface holds a lease from the right server, with the right content.

use ipnet::Ipv4Net;
use lab::check::Lease;
use probes::Layer;

use super::{Seen, inside};
use crate::trial::{Failure, Unasked};
use crate::world::World;

pub async fn attempt(world: &World<'_>, check: &Lease) -> Seen {
    let node = &check.node;
    let broken = |message: String| Unasked::from(Failure::on(Layer::Address, message).who(node));
    let status = world.status(node).await?;
    let mut links = status
        .links
        .iter()
        .filter(|link| check.network.as_ref().is_none_or(|network| *network == link.network));
    let link = links
        .clone()
        .find(|link| link.lease.is_some())
        .or_else(|| links.next())
        .ok_or_else(|| broken(format!("{node} has no such interface")))?;
    let lease = link.lease.as_ref().ok_or_else(|| {
        broken(format!("{node} holds no lease on {}: no DHCP server gave one", link.network))
    })?;
    let net: Ipv4Net = lease.address.parse().map_err(|_| {
        Unasked::Trouble(format!("{node} says that its lease is {:?}", lease.address))
    })?;
    let facts = vec![
        format!("lease {} from {} for {} s", lease.address, lease.server, lease.seconds),
        format!("router {:?}, DNS {:?}, domain {:?}", lease.router, lease.dns, lease.domain),
    ];
    let differs = |what: &str, seen: String, wanted: String| {
        let mut failure = Failure::on(
            Layer::Address,
            format!("{node}'s lease has {what} {seen}, and should have {wanted}"),
        );
        failure.evidence.clone_from(&facts);
        Err(Unasked::from(failure.who(node)))
    };
    if let Some(from) = &check.from {
        let right = match from.parse() {
            Ok(address) => vec![address],
            Err(_) => world.node(from)?.addresses().map(|net| net.addr()).collect::<Vec<_>>(),
        };
        if !right.contains(&lease.server) {
            let whose = world.plan.node_of(lease.server);
            let seen = whose.map_or_else(
                || format!("{} (no node of the lab)", lease.server),
                |node| format!("{} ({})", lease.server, node.name),
            );
            return differs("the server", seen, from.clone());
        }
    }
    if let Some(pool) = &check.pool {
        let within = inside(pool, net.addr())
            .ok_or_else(|| Unasked::Trouble(format!("{pool:?} is no subnet and no range")))?;
        if !within {
            return differs("the address", net.addr().to_string(), format!("one in {pool}"));
        }
    }
    let shown = |value: Option<String>| value.unwrap_or_else(|| "none".into());
    if let Some(wanted) = &check.router {
        let wanted = world.target(node, wanted).await?.host;
        let seen = lease.router.map(|router| router.to_string());
        if seen.as_ref() != Some(&wanted) {
            return differs("the router", shown(seen), wanted);
        }
    }
    if !check.dns.is_empty() {
        let seen: Vec<_> = lease.dns.iter().map(ToString::to_string).collect();
        let mut wanted = Vec::new();
        for server in check.dns.iter() {
            wanted.push(world.target(node, server).await?.host);
        }
        if seen != wanted {
            return differs("the DNS servers", seen.join(", "), wanted.join(", "));
        }
    }
    if let Some(wanted) = &check.domain
        && !lease.domain.as_ref().is_some_and(|seen| seen.eq_ignore_ascii_case(wanted))
    {
        return differs("the domain", shown(lease.domain.clone()), wanted.clone());
    }
    if let Some(wanted) = check.seconds
        && lease.seconds != wanted
    {
        return differs("the duration", format!("{} s", lease.seconds), format!("{wanted} s"));
    }
    for (number, wanted) in check.options.iter() {
        let seen = number.parse::<u8>().ok().and_then(|number| lease.options.get(&number)).cloned();
        if seen.as_ref() != Some(wanted) {
            return differs(&format!("option {number}"), shown(seen), wanted.clone());
        }
    }
    Ok(format!("{} from {}", lease.address, lease.server))
}
