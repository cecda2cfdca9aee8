//! From the root servers, or the closest servers known, down to the answer.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use dnswire::{Flags, Message, Name, Record, RecordType, rdata};

use super::{Resolved, Resolver, Work, end_of_chain, sets};
use crate::cache::{Known, Rank};
use crate::query::code;
use crate::service::now_ms;

/// Referrals followed for one name.
const REFERRALS: usize = 24;

/// Names of servers resolved on the way, one inside the other.
const DEPTH: usize = 5;

/// Servers of one zone that are asked.
const SERVERS: usize = 6;

/// The servers of a zone.
struct Servers {
    zone: Name,
    names: Vec<Name>,
    addresses: Vec<IpAddr>,
}

/// What a message of a zone's server is.
enum Reading {
    Answer,
    Referral(Servers),
    Lame,
}

impl Resolver {
    pub(super) fn iterate<'a>(
        &'a self,
        name: &'a Name,
        kind: RecordType,
        work: &'a Work,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Resolved> + Send + 'a>> {
        Box::pin(async move {
            let mut servers = self.closest(name, kind, work);
            for _ in 0..REFERRALS {
                let Some((message, reading)) =
                    self.ask_servers(&mut servers, name, kind, work, depth).await
                else {
                    return Resolved::failed();
                };
                match reading {
                    Reading::Referral(next) => {
                        self.keep_referral(&message, &next, &servers.zone);
                        servers = next;
                    }
                    _ => {
                        self.keep(&message, name, kind, &servers.zone);
                        return resolved(message, name, kind, &servers.zone);
                    }
                }
            }
            Resolved::failed()
        })
    }

    /// The closest servers known for a name: from the cache, a delegation of our own, or the hints.
    /// A DS is the parent's to answer.
    fn closest(&self, name: &Name, kind: RecordType, work: &Work) -> Servers {
        let now = now_ms();
        let start = if kind == RecordType::DS { name.parent() } else { Some(name.clone()) };
        let mut zone = start;
        while let Some(here) = zone {
            if here.is_root() {
                break;
            }
            if let Some(servers) = own_cut(work, &here) {
                return servers;
            }
            let known = self.cache().get(&here, RecordType::NS, Rank::Hint, now);
            if let Some(Known::Records(records)) = known {
                let names: Vec<_> =
                    records.iter().filter_map(|r| rdata::target(r.kind, &r.data)).collect();
                let addresses = names.iter().flat_map(|name| self.addresses_known(name)).collect();
                return Servers { zone: here, names, addresses };
            }
            zone = here.parent();
        }
        Servers {
            zone: Name::root(),
            names: self.roots.iter().map(|(name, _)| name.clone()).collect(),
            addresses: self.roots.iter().flat_map(|(_, addresses)| addresses.clone()).collect(),
        }
    }

    fn addresses_known(&self, name: &Name) -> Vec<IpAddr> {
        match self.cache().get(name, RecordType::A, Rank::Hint, now_ms()) {
            Some(Known::Records(records)) => addresses(&records),
            _ => Vec::new(),
        }
    }

    /// Asks the servers of a zone in turn until one says something of use.
    async fn ask_servers(
        &self,
        servers: &mut Servers,
        name: &Name,
        kind: RecordType,
        work: &Work,
        depth: usize,
    ) -> Option<(Message, Reading)> {
        let mut asked = 0;
        let mut unresolved = servers.names.clone();
        loop {
            let at: Vec<_> =
                servers.addresses.drain(..).map(|ip| SocketAddr::new(ip, self.port)).collect();
            for server in self.by_life(&at) {
                if asked >= SERVERS {
                    return None;
                }
                asked += 1;
                let Some(message) = self.ask(name, kind, server, false, work).await else {
                    continue;
                };
                match read(&message, name, kind, &servers.zone) {
                    Reading::Lame => {}
                    reading => return Some((message, reading)),
                }
            }
            // The next server whose address is not known yet: its name is resolved first. A name
            // below the very zone without glue cannot be.
            let next = loop {
                let candidate = unresolved.pop()?;
                if depth < DEPTH && (at.is_empty() || self.addresses_known(&candidate).is_empty()) {
                    break candidate;
                }
            };
            if next.is_within(&servers.zone) && !servers.zone.is_root() {
                continue;
            }
            let found = Box::pin(self.follow(next, RecordType::A, work, depth + 1)).await;
            servers.addresses = addresses(&found.answers);
        }
    }

    /// Keeps the servers of a referral and their glue, as far as the referring zone may speak of them.
    fn keep_referral(&self, message: &Message, next: &Servers, zone: &Name) {
        let now = now_ms();
        let mut cache = self.cache();
        let cut: Vec<_> = message
            .authority
            .iter()
            .filter(|r| r.kind == RecordType::NS && r.name == next.zone)
            .cloned()
            .collect();
        cache.put(&next.zone, RecordType::NS, cut, Rank::Hint, now);
        for set in sets(&message.additional, zone) {
            let (owner, kind) = (set[0].name.clone(), set[0].kind);
            if kind == RecordType::A && next.names.contains(&owner) {
                cache.put(&owner, kind, set, Rank::Hint, now);
            }
        }
    }
}

fn addresses(records: &[Record]) -> Vec<IpAddr> {
    let a = records.iter().filter(|record| record.kind == RecordType::A);
    a.filter_map(|record| <[u8; 4]>::try_from(&record.data[..]).ok().map(IpAddr::from)).collect()
}

/// A delegation in one of our own zones.
fn own_cut(work: &Work, name: &Name) -> Option<Servers> {
    let lower = name.lower();
    let zone = work.authority.closest(lower.wire())?.zone.clone()?;
    let node = zone.node(lower.wire()).filter(|node| node.place == crate::zone::Place::Cut)?;
    let set = node.set(RecordType::NS)?;
    let names: Vec<_> =
        set.data.iter().filter_map(|data| rdata::target(RecordType::NS, data)).collect();
    let glue =
        names.iter().filter_map(|name| zone.node(name.lower().wire())?.set(RecordType::A).cloned());
    let addresses = glue
        .flat_map(|set| set.data)
        .filter_map(|data| <[u8; 4]>::try_from(&data[..]).ok().map(IpAddr::from))
        .collect();
    Some(Servers { zone: name.clone(), names, addresses })
}

/// What a message from a server of `zone` means (RFC 2308 section 2.2 tells referral from denial).
fn read(message: &Message, name: &Name, kind: RecordType, zone: &Name) -> Reading {
    if !matches!(message.rcode, code::NOERROR | code::NXDOMAIN) {
        return Reading::Lame;
    }
    let useful = message.answers.iter().any(|record| {
        record.name == *name
            && (record.kind == kind || record.kind == RecordType::CNAME || kind == RecordType::ANY)
    });
    if useful || message.rcode == code::NXDOMAIN {
        return Reading::Answer;
    }
    let cut = message.authority.iter().find(|record| {
        // Only down: deeper than the zone that refers, and on the way to the name.
        record.kind == RecordType::NS
            && name.is_within(&record.name)
            && record.name.is_within(zone)
            && record.name.count() > zone.count()
    });
    let soa = message.authority.iter().any(|record| record.kind == RecordType::SOA);
    match cut {
        Some(cut) if !soa => {
            let next = cut.name.clone();
            let of_cut =
                message.authority.iter().filter(|r| r.kind == RecordType::NS && r.name == next);
            let names: Vec<_> = of_cut.filter_map(|r| rdata::target(r.kind, &r.data)).collect();
            let glue: Vec<_> = message
                .additional
                .iter()
                .filter(|r| names.contains(&r.name) && r.name.is_within(zone))
                .cloned()
                .collect();
            Reading::Referral(Servers { zone: next, names, addresses: addresses(&glue) })
        }
        _ if soa || message.flags.has(Flags::AA) => Reading::Answer,
        _ => Reading::Lame,
    }
}

/// The part of an answer that its server may speak of.
fn resolved(message: Message, name: &Name, kind: RecordType, zone: &Name) -> Resolved {
    let answers: Vec<_> = message
        .answers
        .into_iter()
        .filter(|record| record.name.is_within(zone) && record.class == 1)
        .collect();
    let end = end_of_chain(&answers, name, kind);
    // A denial of a name outside the zone is another server's to make.
    let outside = end.as_ref().is_some_and(|end| !end.is_within(zone));
    let soa = |r: &Record| r.kind == RecordType::SOA && r.class == 1 && r.name.is_within(zone);
    let authority = message.authority.into_iter().filter(soa);
    if outside {
        return Resolved { rcode: code::NOERROR, answers, authority: Vec::new() };
    }
    Resolved { rcode: message.rcode, answers, authority: authority.collect() }
}
