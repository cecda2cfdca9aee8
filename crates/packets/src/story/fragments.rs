//! Puts fragmented IPv4 packets together again (RFC 791, 3.2), with bounded memory.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::dissect::{Dissection, Ip, Layer, dissect};
use crate::frame::Sighting;

/// Packets whose fragments are waited for at once.
const MAX_PENDING: usize = 64;
/// Fragments of one packet.
const MAX_FRAGMENTS: usize = 1_000;
/// The longest packet, in bytes.
const MAX_PACKET: usize = 65_535;
/// Fragments that are further apart are of different packets, in nanoseconds.
const PATIENCE_NS: u64 = 30_000_000_000;

/// A frame with what is in it.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The frame.
    pub sighting: &'a Sighting,
    /// What is in it; where it completes a packet of fragments, what is in that packet.
    pub found: Dissection,
    /// The bytes that `found` is of.
    pub data: Cow<'a, [u8]>,
    /// The frames with the other fragments, by number.
    pub fragments: Vec<usize>,
}

/// A network's packet: fragments are put together on each link by itself.
type Key<'a> = (&'a str, IpAddr, IpAddr, u8, u16);

#[derive(Debug, Default)]
struct Pending {
    begun_ns: u64,
    /// The head of the first fragment's frame, up to the IP header's end.
    head: Vec<u8>,
    pieces: BTreeMap<usize, Vec<u8>>,
    total: Option<usize>,
    frames: Vec<usize>,
    /// Fragments overlap, or bytes of one were not kept: it is never told.
    spoilt: bool,
}

/// Reads all frames; a fragmented packet is in the frame that completes it.
pub fn read(sightings: &[Sighting]) -> Vec<Seen<'_>> {
    let mut pending: HashMap<Key<'_>, Pending> = HashMap::new();
    sightings
        .iter()
        .map(|sighting| {
            let found = dissect(&sighting.data);
            let data = Cow::Borrowed(sighting.data.as_slice());
            let seen = Seen { sighting, found, data, fragments: Vec::new() };
            match seen.found.ip {
                Some(ip) if ip.is_fragment() => join(seen, &ip, &mut pending),
                _ => seen,
            }
        })
        .collect()
}

fn join<'a>(seen: Seen<'a>, ip: &Ip, pending: &mut HashMap<Key<'a>, Pending>) -> Seen<'a> {
    let sighting = seen.sighting;
    let key = (sighting.network.as_str(), ip.source, ip.destination, ip.protocol, ip.id);
    let now = sighting.at_ns;
    if pending.len() >= MAX_PENDING && !pending.contains_key(&key) {
        pending.retain(|_, one| now.saturating_sub(one.begun_ns) < PATIENCE_NS);
        let oldest = pending.iter().min_by_key(|(_, one)| one.begun_ns).map(|(key, _)| *key);
        if let Some(oldest) = oldest.filter(|_| pending.len() >= MAX_PENDING) {
            pending.remove(&oldest);
        }
    }
    let one = pending.entry(key).or_default();
    if now.saturating_sub(one.begun_ns) >= PATIENCE_NS {
        *one = Pending { begun_ns: now, ..Pending::default() };
    }
    one.add(sighting, ip);
    let Some(whole) = one.whole(ip) else { return seen };
    let mut fragments = std::mem::take(&mut one.frames);
    pending.remove(&key);
    fragments.retain(|number| *number != sighting.number);
    let mut found = dissect(&whole);
    let mut layer = Layer::new("Reassembled");
    let numbers: Vec<String> = fragments.iter().map(usize::to_string).collect();
    layer.add("fragments", format!("frames {} and this one", numbers.join(", ")));
    layer.add("length", format!("{} bytes", whole.len().saturating_sub(ip.begin)));
    // Behind the IP layer, which is this frame's own.
    let mut own = seen.found.layers;
    let ip_at = own.iter().position(|layer| layer.name == "IPv4").map_or(own.len(), |at| at + 1);
    own.truncate(ip_at);
    let above = found.layers.split_off(ip_at.min(found.layers.len()));
    own.push(layer);
    own.extend(above);
    found.layers = own;
    Seen { sighting, found, data: Cow::Owned(whole), fragments }
}

impl Pending {
    fn add(&mut self, sighting: &Sighting, ip: &Ip) {
        if self.frames.len() >= MAX_FRAGMENTS {
            self.spoilt = true;
            return;
        }
        self.frames.push(sighting.number);
        let Some(bytes) = sighting.data.get(ip.begin..ip.end) else {
            self.spoilt = true;
            return;
        };
        let (at, end) = (usize::from(ip.fragment), usize::from(ip.fragment) + bytes.len());
        if self.pieces.get(&at).is_some_and(|known| known == bytes) {
            // Sent again.
            return;
        }
        let before = self.pieces.range(..at).next_back().is_some_and(|(a, b)| a + b.len() > at);
        let after = self.pieces.range(at..).next().is_some_and(|(a, _)| *a < end);
        let beyond = self.total.is_some_and(|total| end > total || !ip.more && end != total);
        if before || after || beyond || end > MAX_PACKET || bytes.is_empty() {
            // Fragments that overlap are an attack, not a packet (RFC 1858, RFC 5722).
            self.spoilt = true;
            return;
        }
        if !ip.more {
            self.total = Some(end);
        }
        if at == 0 {
            self.head = sighting.data.get(..ip.begin).unwrap_or_default().to_vec();
        }
        self.pieces.insert(at, bytes.to_vec());
    }

    /// The frame as it would have been in one piece.
    fn whole(&self, ip: &Ip) -> Option<Vec<u8>> {
        let total = self.total?;
        let there: usize = self.pieces.values().map(Vec::len).sum();
        if self.spoilt || there != total || self.head.is_empty() {
            return None;
        }
        let mut frame = self.head.clone();
        let long = (frame.len() - ip.header.min(frame.len()) + total).try_into().unwrap_or(0_u16);
        frame.get_mut(ip.header + 2..ip.header + 4)?.copy_from_slice(&long.to_be_bytes());
        frame.get_mut(ip.header + 6..ip.header + 8)?.copy_from_slice(&[0, 0]);
        for piece in self.pieces.values() {
            frame.extend_from_slice(piece);
        }
        Some(frame)
    }
}
