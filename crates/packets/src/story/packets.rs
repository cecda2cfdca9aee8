//! Follows packets across switches and routers: the same packet on each link is one [`Packet`], also
//! where a router rewrites its addresses (NAT).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use crate::dissect::Dissection;
use crate::frame::Sighting;

use super::Hop;
use super::addresses::Addresses;
use super::fragments::Seen;

/// A packet is on its way no longer than this, in nanoseconds.
const MAX_WAY_NS: u64 = 5_000_000_000;

/// An address and a port; port 0 where the protocol has none.
pub type End = (IpAddr, u16);

/// A packet with its way.
#[derive(Debug)]
pub struct Packet<'a> {
    /// The first frame it was seen in.
    pub sighting: &'a Sighting,
    /// What was in it.
    pub found: &'a Dissection,
    /// The bytes that `found` is of.
    data: &'a [u8],
    /// Its way.
    pub hops: Vec<Hop>,
    /// The node it comes from.
    pub from: String,
    /// The node it goes to; `*` is everybody.
    pub to: String,
    /// Where it really comes from and goes to: its source on the first link and its destination on
    /// the last. With them both directions of a connection meet, whatever NAT made of them between.
    pub ends: Option<(End, End)>,
}

impl Packet<'_> {
    /// Its frames, by number.
    pub fn frames(&self) -> Vec<usize> {
        let hops = self.hops.iter();
        hops.flat_map(|hop| hop.fragments.iter().copied().chain([hop.frame])).collect()
    }

    /// Its payload of TCP or UDP.
    pub fn payload(&self) -> &[u8] {
        let range = match (&self.found.tcp, &self.found.udp) {
            (Some(tcp), _) => tcp.payload.clone(),
            (_, Some(udp)) => udp.payload.clone(),
            _ => return &[],
        };
        self.data.get(range).unwrap_or_default()
    }

    /// Its ports at both ends.
    pub fn ports(&self) -> Option<(u16, u16)> {
        let (from, to) = self.ends.filter(|_| self.found.ports().is_some())?;
        Some((from.1, to.1))
    }
}

/// What stays the same on the way: all but the MAC addresses, TTL and checksums.
type Key = (IpAddr, IpAddr, u8, u16, u64);
/// What stays the same where addresses, ports and the identifier of an echo are rewritten.
type Inner = (u8, u16, u64);

fn keys(seen: &Seen<'_>) -> Option<(Key, Inner)> {
    let found = &seen.found;
    let ip = found.ip.as_ref()?;
    let mut inner = DefaultHasher::new();
    if let Some(tcp) = &found.tcp {
        (tcp.sequence, tcp.acknowledgment, tcp.flags).hash(&mut inner);
        seen.data.get(tcp.payload.clone()).hash(&mut inner);
    } else if let Some(udp) = &found.udp {
        seen.data.get(udp.payload.clone()).hash(&mut inner);
    } else if let Some(icmp) = &found.icmp {
        (icmp.kind, icmp.code).hash(&mut inner);
        if matches!(icmp.kind, 0 | 8) {
            icmp.echo.1.hash(&mut inner);
        }
    }
    let mut hasher = inner.clone();
    found.ports().hash(&mut hasher);
    found.icmp.map(|icmp| (icmp.echo, icmp.about)).hash(&mut hasher);
    let key = (ip.source, ip.destination, ip.protocol, ip.id, hasher.finish());
    Some((key, (ip.protocol, ip.id, inner.finish())))
}

fn ends(found: &Dissection) -> Option<(End, End)> {
    let ip = found.ip?;
    let (from, to) = found.ports().unwrap_or_default();
    Some(((ip.source, from), (ip.destination, to)))
}

/// Joins frames to packets, in the order in which the packets set out. A fragment by itself is none.
pub fn follow<'a>(frames: &'a [Seen<'a>], addresses: &Addresses<'_>) -> Vec<Packet<'a>> {
    let mut packets: Vec<Packet<'a>> = Vec::new();
    // By all that stays the same: the packet, and its ends on the last link.
    let mut on_the_way: HashMap<Key, usize> = HashMap::new();
    let mut rewritten: HashMap<Inner, usize> = HashMap::new();
    let mut last_ends: Vec<Option<(End, End)>> = Vec::new();
    for seen in frames {
        if seen.found.ip.is_some_and(|ip| ip.is_fragment()) {
            continue;
        }
        let (sighting, found) = (seen.sighting, &seen.found);
        let mut hop = hop(seen, addresses);
        let keys = keys(seen);
        let now = ends(found);
        if let Some((key, inner)) = keys {
            let goes_on = |at: &usize| {
                let packet: &Packet<'_> = &packets[*at];
                let last = packet.hops.last().map_or(0, |hop| hop.ttl);
                hop.ttl < last
                    && packet.hops.iter().all(|before| before.network != hop.network)
                    && sighting.at_ns.saturating_sub(packet.sighting.at_ns) < MAX_WAY_NS
            };
            let same = on_the_way.get(&key).copied().filter(goes_on);
            let nat = || {
                // The node that took the packet is the one that sends it on.
                let here =
                    |at: &usize| packets[*at].hops.last().is_some_and(|last| last.to == hop.from);
                rewritten.get(&inner).copied().filter(goes_on).filter(here)
            };
            if let Some(at) = same.or_else(nat) {
                let packet = &mut packets[at];
                if let (Some(before), Some(now)) = (last_ends[at], now) {
                    hop.rewritten = changes(before, now, found.ports().is_some());
                    if before.1 != now.1 {
                        packet.to = addresses.ip(now.1.0);
                        packet.ends = packet.ends.map(|(from, _)| (from, now.1));
                    }
                }
                packet.hops.push(hop);
                last_ends[at] = now;
                on_the_way.insert(key, at);
                continue;
            }
            on_the_way.insert(key, packets.len());
            rewritten.insert(inner, packets.len());
        }
        let (from, to) = match (&found.ip, &found.arp) {
            (Some(ip), _) => {
                let unspecified = ip.source.is_unspecified();
                let from = if unspecified { hop.from.clone() } else { addresses.ip(ip.source) };
                let to = addresses.ip(ip.destination);
                let broadcast = found.macs.is_some_and(|(_, to)| to.is_group());
                (from, if broadcast { "*".to_owned() } else { to })
            }
            _ => (hop.from.clone(), hop.to.clone()),
        };
        packets.push(Packet {
            sighting,
            found,
            data: &seen.data,
            hops: vec![hop],
            from,
            to,
            ends: now,
        });
        last_ends.push(now);
    }
    packets
}

/// What a router made of a packet's ends.
fn changes(before: (End, End), now: (End, End), ports: bool) -> Vec<String> {
    let shown = |end: End| match (ports, end.0) {
        (true, IpAddr::V4(address)) => format!("{address}:{}", end.1),
        (true, IpAddr::V6(address)) => format!("[{address}]:{}", end.1),
        (false, address) => address.to_string(),
    };
    [("source", before.0, now.0), ("destination", before.1, now.1)]
        .into_iter()
        .filter(|(_, before, now)| before != now)
        .map(|(what, before, now)| format!("{what} rewritten {} → {}", shown(before), shown(now)))
        .collect()
}

/// One link of a packet's way.
pub fn hop(seen: &Seen<'_>, addresses: &Addresses<'_>) -> Hop {
    let (sighting, found) = (seen.sighting, &seen.found);
    let (source, destination) = found.macs.unwrap_or_default();
    let from = sighting.sender.clone().or_else(|| addresses.mac(source).map(str::to_owned));
    let to = if destination.is_group() {
        "*".to_owned()
    } else {
        match addresses.mac(destination) {
            Some(name) => name.to_owned(),
            None => sighting.receivers.first().cloned().unwrap_or_else(|| destination.to_string()),
        }
    };
    Hop {
        frame: sighting.number,
        network: sighting.network.clone(),
        from: from.unwrap_or_else(|| source.to_string()),
        to,
        from_mac: source.to_string(),
        to_mac: destination.to_string(),
        ttl: found.ip.map_or(0, |ip| ip.ttl),
        fragments: seen.fragments.clone(),
        rewritten: Vec::new(),
    }
}
