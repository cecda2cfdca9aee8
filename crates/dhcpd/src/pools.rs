//! One pool at work: what may be given out of it, and what is free.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::config::{self, parse_hex, parse_mac};
use crate::leases::Book;
use crate::wire::Packet;

/// A pool with its addresses worked out.
#[derive(Debug)]
pub struct Pool {
    /// As configured.
    pub config: config::Pool,
    /// What may be given out, first and last, rising.
    spans: Vec<(u32, u32)>,
    /// Below it no address was never used.
    cursor: u32,
    by_mac: HashMap<Vec<u8>, usize>,
    by_id: HashMap<Vec<u8>, usize>,
    by_address: HashMap<Ipv4Addr, usize>,
    /// Requests that found no address since the start.
    pub exhausted: u64,
}

impl Pool {
    /// Works a pool out.
    pub fn new(config: config::Pool) -> Self {
        let mut pool = Self {
            spans: spans(&config),
            cursor: 0,
            by_mac: HashMap::new(),
            by_id: HashMap::new(),
            by_address: HashMap::new(),
            exhausted: 0,
            config,
        };
        pool.index();
        pool
    }

    /// Adds a reservation; one for the same address or client is replaced.
    pub fn reserve(&mut self, reservation: config::Reservation) {
        self.config.reservations.retain(|old| {
            old.address != reservation.address
                && (reservation.mac.is_none() || old.mac != reservation.mac)
                && (reservation.client_id.is_none() || old.client_id != reservation.client_id)
        });
        self.config.reservations.push(reservation);
        self.cursor = 0;
        self.index();
    }

    fn index(&mut self) {
        self.by_mac.clear();
        self.by_id.clear();
        self.by_address.clear();
        for (at, reservation) in self.config.reservations.iter().enumerate() {
            if let Some(mac) = reservation.mac.as_deref().and_then(parse_mac) {
                self.by_mac.insert(mac.to_vec(), at);
            }
            if let Some(id) = reservation.client_id.as_deref().and_then(parse_hex) {
                self.by_id.insert(id, at);
            }
            self.by_address.insert(reservation.address, at);
        }
    }

    /// What is reserved for the sender of this packet.
    pub fn reservation_for(&self, packet: &Packet) -> Option<&config::Reservation> {
        let by_id = packet.client_id().and_then(|id| self.by_id.get(id));
        let at = by_id.or_else(|| self.by_mac.get(&packet.chaddr))?;
        self.config.reservations.get(*at)
    }

    /// Whether the address belongs to one client.
    pub fn is_reserved(&self, address: Ipv4Addr) -> bool {
        self.by_address.contains_key(&address)
    }

    /// Whether the address may be given to any client.
    pub fn is_dynamic(&self, address: Ipv4Addr) -> bool {
        let address_number = u32::from(address);
        !self.is_reserved(address)
            && self.spans.iter().any(|(a, b)| (*a..=*b).contains(&address_number))
    }

    /// Whether the sender of this packet may have the address.
    pub fn may_have(&self, packet: &Packet, address: Ipv4Addr) -> bool {
        match self.reservation_for(packet) {
            Some(reservation) => reservation.address == address,
            None => self.is_dynamic(address),
        }
    }

    /// How many addresses may be given out.
    pub fn size(&self) -> u64 {
        self.spans.iter().map(|(a, b)| u64::from(b - a) + 1).sum()
    }

    /// How many hosts the subnet has room for.
    pub fn hosts(&self) -> u64 {
        (1u64 << (32 - self.config.subnet.prefix_len())) - 2
    }

    /// The first that may be given out and the last.
    pub fn bounds(&self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        Some((self.spans.first()?.0.into(), self.spans.last()?.1.into()))
    }

    /// The first address that was never used; `skip` tells which must not be given.
    pub fn first_unused(
        &mut self,
        book: &Book,
        skip: impl Fn(Ipv4Addr) -> bool,
    ) -> Option<Ipv4Addr> {
        for at in 0..self.spans.len() {
            let (first, last) = self.spans[at];
            let mut number = first.max(self.cursor);
            while number <= last {
                let address = Ipv4Addr::from(number);
                if book.get(address).is_none() && !self.is_reserved(address) && !skip(address) {
                    self.cursor = number;
                    return Some(address);
                }
                number += 1;
            }
            self.cursor = self.cursor.max(last.saturating_add(1));
        }
        None
    }

    /// An address of it is unused again.
    pub fn unused_again(&mut self, address: Ipv4Addr) {
        self.cursor = self.cursor.min(u32::from(address));
    }
}

/// The configured ranges without the excluded addresses and the router's.
fn spans(config: &config::Pool) -> Vec<(u32, u32)> {
    let subnet = config.subnet;
    let (lowest, highest) = (u32::from(subnet.network()) + 1, u32::from(subnet.broadcast()) - 1);
    let mut spans: Vec<(u32, u32)> = if config.ranges.is_empty() {
        vec![(lowest, highest)]
    } else {
        let clamp =
            |r: &config::Range| (u32::from(r.first).max(lowest), u32::from(r.last).min(highest));
        config.ranges.iter().map(clamp).filter(|(a, b)| a <= b).collect()
    };
    spans.sort_unstable();
    // Ranges that overlap must not count twice.
    let mut merged: Vec<(u32, u32)> = Vec::new();
    for (a, b) in spans {
        match merged.last_mut() {
            Some((_, end)) if a <= end.saturating_add(1) => *end = (*end).max(b),
            _ => merged.push((a, b)),
        }
    }
    let router = config.router.map(|router| (u32::from(router), u32::from(router)));
    let excluded = config.excluded.iter().map(|r| (u32::from(r.first), u32::from(r.last)));
    for (from, to) in excluded.chain(router) {
        merged = merged
            .into_iter()
            .flat_map(|(a, b)| {
                if to < a || b < from {
                    return [Some((a, b)), None];
                }
                [(a < from).then(|| (a, from - 1)), (to < b).then(|| (to + 1, b))]
            })
            .flatten()
            .collect();
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_sheets_exclusion_leaves_51_to_254() {
        let mut config = config::Pool::new("R1_DHCP", "192.168.0.0/24".parse().unwrap());
        config.excluded.push("192.168.0.1-192.168.0.50".parse().unwrap());
        config.router = Some(Ipv4Addr::new(192, 168, 0, 1));
        let mut pool = Pool::new(config);
        assert_eq!(pool.size(), 204);
        let first = pool.first_unused(&Book::default(), |_| false);
        assert_eq!(first, Some(Ipv4Addr::new(192, 168, 0, 51)));
    }

    proptest! {
        #[test]
        fn spans_hold_exactly_what_is_in_range_and_not_excluded(
            ranges in proptest::collection::vec((1u8..255, 1u8..255), 0..4),
            excluded in proptest::collection::vec((0u8..=255, 0u8..=255), 0..4),
        ) {
            let range = |(a, b): (u8, u8)| config::Range {
                first: Ipv4Addr::new(10, 0, 0, a.min(b)),
                last: Ipv4Addr::new(10, 0, 0, a.max(b)),
            };
            let mut config = config::Pool::new("P", "10.0.0.0/24".parse().unwrap());
            config.ranges = ranges.into_iter().map(range).collect();
            config.excluded = excluded.into_iter().map(range).collect();
            let pool = Pool::new(config.clone());
            let mut count = 0;
            for last in 1..255 {
                let address = Ipv4Addr::new(10, 0, 0, last);
                let inside = config.ranges.is_empty() || config.ranges.iter().any(|r| r.contains(address));
                let free = inside && !config.excluded.iter().any(|r| r.contains(address));
                prop_assert_eq!(pool.is_dynamic(address), free);
                count += u64::from(free);
            }
            prop_assert_eq!(pool.size(), count);
        }
    }
}
