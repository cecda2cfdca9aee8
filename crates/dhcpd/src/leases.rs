//! Who holds which address: the book of one server, in memory, with its indices.
//!
//! A change that clients may rely on (bound, released, declined) is also a [`Record`] for the
//! database on disk; an offer is not, it is only held for a moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

/// Seconds since 1970.
pub type Seconds = u64;

/// A lease without end.
pub const FOREVER: u32 = u32::MAX;

/// Who a client is: its identifier where it sends one, else its hardware address (RFC 2131
/// section 4.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClientKey {
    /// Option 61.
    Id(Vec<u8>),
    /// Hardware type and address.
    Hardware(u8, Vec<u8>),
}

/// What an address is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Held for a client that was offered it, until then.
    Offered(Seconds),
    /// A client's, until then.
    Bound(Seconds),
    /// Given back, since then.
    Released(Seconds),
    /// Taken by someone who is no client, until then.
    Quarantined(Seconds),
}

/// One address of the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// What it is doing.
    pub state: State,
    /// Whose it is or was.
    pub client: ClientKey,
    /// The client's hardware address.
    pub chaddr: Vec<u8>,
    /// The client's host name.
    pub hostname: Option<String>,
    /// When it was last given.
    pub since: Seconds,
}

impl Lease {
    /// Whether someone relies on it at this time.
    pub fn is_held(&self, now: Seconds) -> bool {
        match self.state {
            State::Offered(until) | State::Bound(until) | State::Quarantined(until) => until > now,
            State::Released(_) => false,
        }
    }

    /// Whether it is a client's own, rather than offered or quarantined.
    pub fn is_bound(&self, now: Seconds) -> bool {
        matches!(self.state, State::Bound(until) if until > now)
    }

    /// Since when nobody holds it, for the order of reuse.
    fn free_since(&self) -> Seconds {
        match self.state {
            State::Offered(at)
            | State::Bound(at)
            | State::Quarantined(at)
            | State::Released(at) => at,
        }
    }
}

/// A change of the book that must be on disk before a client hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The address is now this.
    Put(Lease),
    /// Nothing is known of it any more.
    Forget(Ipv4Addr),
}

/// The book.
#[derive(Debug, Default)]
pub struct Book {
    leases: BTreeMap<u32, Lease>,
    by_client: HashMap<ClientKey, Vec<u32>>,
    bound_by_hardware: HashMap<Vec<u8>, u32>,
    by_age: BTreeSet<(Seconds, u32)>,
    offers: BTreeSet<(Seconds, u32)>,
    records: Vec<Record>,
}

impl Book {
    /// A book with what a database held.
    pub fn restored(leases: impl IntoIterator<Item = Lease>) -> Self {
        let mut book = Self::default();
        for lease in leases {
            book.put(lease);
        }
        book.records.clear();
        book
    }

    /// The address's entry.
    pub fn get(&self, address: Ipv4Addr) -> Option<&Lease> {
        self.leases.get(&u32::from(address))
    }

    /// Every entry, by address.
    pub fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values()
    }

    /// The entries of one subnet, by address.
    pub fn within(&self, subnet: ipnet::Ipv4Net) -> impl Iterator<Item = &Lease> {
        let range = u32::from(subnet.network())..=u32::from(subnet.broadcast());
        self.leases.range(range).map(|(_, lease)| lease)
    }

    /// A client's entries.
    pub fn of_client(&self, client: &ClientKey) -> impl Iterator<Item = &Lease> {
        let addresses = self.by_client.get(client).map_or(&[][..], Vec::as_slice);
        addresses.iter().filter_map(|address| self.leases.get(address))
    }

    /// How many addresses this hardware address has bound; expired ones count until reused.
    pub fn bound_to(&self, chaddr: &[u8]) -> u32 {
        self.bound_by_hardware.get(chaddr).copied().unwrap_or(0)
    }

    /// The entries that nobody holds, longest free first.
    pub fn reusable(&self, now: Seconds) -> impl Iterator<Item = &Lease> {
        let oldest = self.by_age.range(..=(now, u32::MAX));
        oldest.filter_map(|(_, address)| self.leases.get(address)).filter(move |l| !l.is_held(now))
    }

    /// Offers that nobody took in time.
    pub fn stale_offers(&self, now: Seconds) -> Vec<Ipv4Addr> {
        self.offers.range(..=(now, u32::MAX)).map(|(_, address)| Ipv4Addr::from(*address)).collect()
    }

    /// Whether nobody holds the address, or only this client does.
    pub fn is_free_for(&self, address: Ipv4Addr, client: &ClientKey, now: Seconds) -> bool {
        self.get(address).is_none_or(|lease| {
            !lease.is_held(now)
                || (lease.client == *client && !matches!(lease.state, State::Quarantined(_)))
        })
    }

    /// Writes an entry, over what was there.
    pub fn put(&mut self, lease: Lease) {
        let address = u32::from(lease.address);
        self.unlink(address);
        self.by_client.entry(lease.client.clone()).or_default().push(address);
        self.by_age.insert((lease.free_since(), address));
        if matches!(lease.state, State::Bound(_)) {
            *self.bound_by_hardware.entry(lease.chaddr.clone()).or_default() += 1;
        }
        match lease.state {
            State::Offered(until) => drop(self.offers.insert((until, address))),
            _ => self.records.push(Record::Put(lease.clone())),
        }
        self.leases.insert(address, lease);
    }

    /// Drops an entry; tells whether there was one.
    pub fn forget(&mut self, address: Ipv4Addr) -> bool {
        match self.unlink(u32::from(address)) {
            Some(lease) => {
                if !matches!(lease.state, State::Offered(_)) {
                    self.records.push(Record::Forget(address));
                }
                true
            }
            None => false,
        }
    }

    /// The changes since the last call, for the database.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    fn unlink(&mut self, address: u32) -> Option<Lease> {
        let old = self.leases.remove(&address)?;
        self.by_age.remove(&(old.free_since(), address));
        if let State::Offered(until) = old.state {
            self.offers.remove(&(until, address));
        }
        if let Some(addresses) = self.by_client.get_mut(&old.client) {
            addresses.retain(|other| *other != address);
            if addresses.is_empty() {
                self.by_client.remove(&old.client);
            }
        }
        if matches!(old.state, State::Bound(_))
            && let Some(count) = self.bound_by_hardware.get_mut(&old.chaddr)
        {
            *count -= 1;
            if *count == 0 {
                self.bound_by_hardware.remove(&old.chaddr);
            }
        }
        Some(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(last: u8, client: u8, state: State) -> Lease {
        Lease {
            address: Ipv4Addr::new(10, 0, 0, last),
            state,
            client: ClientKey::Id(vec![client]),
            chaddr: vec![client; 6],
            hostname: None,
            since: 0,
        }
    }

    #[test]
    fn indices_follow_every_change() {
        let mut book = Book::default();
        book.put(lease(1, 1, State::Bound(100)));
        book.put(lease(1, 2, State::Bound(200)));
        assert_eq!(book.of_client(&ClientKey::Id(vec![1])).count(), 0);
        assert_eq!((book.bound_to(&[1; 6]), book.bound_to(&[2; 6])), (0, 1));
        book.put(lease(2, 3, State::Bound(50)));
        let order: Vec<_> = book.reusable(300).map(|l| l.address.octets()[3]).collect();
        assert_eq!(order, [2, 1]);
        assert_eq!(book.reusable(100).count(), 1);
        assert!(book.forget(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(book.take_records().len(), 4);
    }

    #[test]
    fn an_offer_is_held_but_never_recorded() {
        let mut book = Book::default();
        book.put(lease(1, 1, State::Offered(100)));
        assert!(book.take_records().is_empty());
        assert!(!book.is_free_for(Ipv4Addr::new(10, 0, 0, 1), &ClientKey::Id(vec![2]), 99));
        assert!(book.is_free_for(Ipv4Addr::new(10, 0, 0, 1), &ClientKey::Id(vec![2]), 100));
    }
}
