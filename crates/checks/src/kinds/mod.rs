//! One file for each kind of check: a single attempt, and what it saw.

mod address;
mod arp;
mod dns;
mod exec;
mod http;
mod imap;
mod lease;
mod link;
mod mail;
mod ping;
mod pop3;
mod port;
mod ports;
mod queue;
mod route;
mod trace;
mod transcript;

use futures::future::BoxFuture;
use lab::check::{Expect, Kind};

use crate::trial::{Trial, Unasked};
use crate::world::World;

/// What an attempt knows of the check around it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Unguessable and of this attempt only: whatever carries it is new.
    pub nonce: String,
    /// What counts as passing.
    pub expect: Expect,
}

impl Attempt {
    /// A new one.
    pub fn new(expect: &Expect) -> Self {
        Self { nonce: format!("labctl-{:016x}", rand::random::<u64>()), expect: expect.clone() }
    }
}

/// What a kind's attempt gives: what was seen, or where it broke.
pub(crate) type Seen = Result<String, Unasked>;

/// Tries once.
pub fn attempt<'a>(
    world: &'a World<'_>,
    kind: &'a Kind,
    attempt: &'a Attempt,
) -> BoxFuture<'a, Trial> {
    Box::pin(async move {
        let seen = match kind {
            Kind::Link(check) => link::attempt(world, check).await,
            Kind::Address(check) => address::attempt(world, check).await,
            Kind::Lease(check) => lease::attempt(world, check).await,
            Kind::Ping(check) => ping::attempt(world, check).await,
            Kind::Route(check) => route::attempt(world, check).await,
            Kind::Trace(check) => trace::attempt(world, check).await,
            Kind::Arp(check) => arp::attempt(world, check).await,
            Kind::Dns(check) => dns::attempt(world, check).await,
            Kind::Port(check) => port::attempt(world, check).await,
            Kind::Http(check) => http::attempt(world, check).await,
            Kind::Mail(check) => mail::attempt(world, check, attempt).await,
            Kind::Imap(check) => imap::attempt(world, check, attempt).await,
            Kind::Pop3(check) => pop3::attempt(world, check, attempt).await,
            Kind::Queue(check) => queue::attempt(world, check).await,
            Kind::Transcript(check) => transcript::attempt(world, check).await,
            Kind::Ports(check) => ports::attempt(world, check, attempt).await,
            Kind::Exec(check) => exec::attempt(world, check).await,
        };
        seen.map_or_else(Trial::from, Trial::Works)
    })
}

/// The node that tries, where a kind has one.
pub fn asker(kind: &Kind) -> Option<&str> {
    Some(match kind {
        Kind::Link(check) => &check.node,
        Kind::Address(check) => &check.node,
        Kind::Lease(check) => &check.node,
        Kind::Ping(check) => &check.from,
        Kind::Route(check) => &check.node,
        Kind::Trace(check) => &check.from,
        Kind::Arp(check) => &check.from,
        Kind::Dns(check) => &check.from,
        Kind::Port(check) => &check.from,
        Kind::Http(check) => &check.from,
        Kind::Mail(check) => &check.from,
        Kind::Imap(check) => check.devices.first()?,
        Kind::Pop3(check) => &check.node,
        Kind::Queue(check) => &check.node,
        Kind::Transcript(check) => &check.node,
        Kind::Ports(check) => return asker(&check.during),
        Kind::Exec(check) => &check.node,
    })
}

/// Whether a text of addresses holds one: a subnet, a range `A - B`, or the address itself.
pub(crate) fn inside(area: &str, address: std::net::Ipv4Addr) -> Option<bool> {
    if let Ok(net) = area.parse::<ipnet::Ipv4Net>() {
        return Some(net.contains(&address));
    }
    if let Some((first, last)) = area.split_once('-') {
        let first: std::net::Ipv4Addr = first.trim().parse().ok()?;
        let last: std::net::Ipv4Addr = last.trim().parse().ok()?;
        return Some((first..=last).contains(&address));
    }
    area.trim().parse::<std::net::Ipv4Addr>().ok().map(|only| only == address)
}

#[cfg(test)]
mod tests {
    #[test]
    fn subnets_ranges_and_single_addresses() {
        let inside = |area: &str, address: &str| super::inside(area, address.parse().unwrap());
        assert_eq!(inside("10.0.0.0/24", "10.0.0.7"), Some(true));
        assert_eq!(inside("10.0.0.51 - 10.0.0.60", "10.0.0.50"), Some(false));
        assert_eq!(inside("10.0.0.51-10.0.0.60", "10.0.0.60"), Some(true));
        assert_eq!(inside("10.0.0.1", "10.0.0.1"), Some(true));
        assert_eq!(inside("pool", "10.0.0.1"), None);
    }
}
