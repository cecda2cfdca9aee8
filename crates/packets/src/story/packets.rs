//! Follows packets across switches and routers: the same packet on each link is one [`Packet`].

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use crate::dissect::Dissection;
use crate::frame::Sighting;

use super::Hop;
use super::addresses::Addresses;

/// A packet is on its way no longer than this, in nanoseconds.
const MAX_WAY_NS: u64 = 5_000_000_000;

/// A packet with its way.
#[derive(Debug)]
pub struct Packet<'a> {
    /// The first frame it was seen in.
    pub sighting: &'a Sighting,
    /// What was in it.
    pub found: &'a Dissection,
    /// Its way.
    pub hops: Vec<Hop>,
    /// The node it comes from.
    pub from: String,
    /// The node it goes to; `*` is everybody.
    pub to: String,
}

impl Packet<'_> {
    /// Its frames, by number.
    pub fn frames(&self) -> Vec<usize> {
        self.hops.iter().map(|hop| hop.frame).collect()
    }

    /// Its payload of TCP or UDP.
    pub fn payload(&self) -> &[u8] {
        let range = match (&self.found.tcp, &self.found.udp) {
            (Some(tcp), _) => tcp.payload.clone(),
            (_, Some(udp)) => udp.payload.clone(),
            _ => return &[],
        };
        self.sighting.data.get(range).unwrap_or_default()
    }
}

/// What stays the same on the way: all but the MAC addresses, TTL and checksums.
type Key = (IpAddr, IpAddr, u8, u16, u64);

fn key(sighting: &Sighting, found: &Dissection) -> Option<Key> {
    let ip = found.ip.as_ref()?;
    let mut hasher = DefaultHasher::new();
    found.ports().hash(&mut hasher);
    ip.fragment.hash(&mut hasher);
    if let Some(tcp) = &found.tcp {
        (tcp.sequence, tcp.acknowledgment, tcp.flags).hash(&mut hasher);
        sighting.data.get(tcp.payload.clone()).hash(&mut hasher);
    } else if let Some(udp) = &found.udp {
        sighting.data.get(udp.payload.clone()).hash(&mut hasher);
    } else if let Some(icmp) = &found.icmp {
        (icmp.kind, icmp.code, icmp.echo, icmp.about).hash(&mut hasher);
    }
    Some((ip.source, ip.destination, ip.protocol, ip.id, hasher.finish()))
}

/// Joins frames to packets, in the order in which the packets set out.
pub fn follow<'a>(
    frames: &'a [(&'a Sighting, Dissection)],
    addresses: &Addresses<'_>,
) -> Vec<Packet<'a>> {
    let mut packets: Vec<Packet<'a>> = Vec::new();
    let mut on_the_way: HashMap<Key, usize> = HashMap::new();
    for (sighting, found) in frames {
        let hop = hop(sighting, found, addresses);
        let key = key(sighting, found);
        if let Some(at) = key.and_then(|key| on_the_way.get(&key).copied()) {
            let packet = &mut packets[at];
            let last = packet.hops.last().map_or(0, |hop| hop.ttl);
            let goes_on = hop.ttl < last
                && packet.hops.iter().all(|before| before.network != hop.network)
                && sighting.at_ns.saturating_sub(packet.sighting.at_ns) < MAX_WAY_NS;
            if goes_on {
                packet.hops.push(hop);
                continue;
            }
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
        if let Some(key) = key {
            on_the_way.insert(key, packets.len());
        }
        packets.push(Packet { sighting, found, hops: vec![hop], from, to });
    }
    packets
}

/// One link of a packet's way.
pub fn hop(sighting: &Sighting, found: &Dissection, addresses: &Addresses<'_>) -> Hop {
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
    }
}
