//! What a server tells of itself at run time, and what it can be told.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::config::{Reservation, parse_hex, parse_mac};
use crate::leases::{ClientKey, Lease, Seconds, State};
use crate::server::{Server, hardware};

/// One binding, as `bindings` and the console show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The address.
    pub address: Ipv4Addr,
    /// The client's hardware address, `02:…`.
    pub mac: String,
    /// Its client identifier in hex, where it sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Its host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The pool.
    pub pool: String,
    /// `bound`, `offered`, `released`, `expired`, `quarantined`, `reserved`.
    pub state: String,
    /// When it ends, seconds since 1970; `None` for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Seconds>,
    /// Whether it is reserved for the client.
    pub manual: bool,
}

/// One pool, as `pools` and the console show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolReport {
    /// Its name.
    pub name: String,
    /// Its subnet.
    pub subnet: ipnet::Ipv4Net,
    /// The first address of the subnet that a host may have.
    pub first: Ipv4Addr,
    /// The last.
    pub last: Ipv4Addr,
    /// The address that is next to be given, where one was never used.
    pub next: Option<Ipv4Addr>,
    /// Hosts the subnet has room for.
    pub total: u64,
    /// Addresses that may be given out.
    pub usable: u64,
    /// Addresses that may not.
    pub excluded: u64,
    /// Addresses bound now.
    pub leased: u64,
    /// Addresses offered now.
    pub offered: u64,
    /// Addresses kept back after a conflict.
    pub quarantined: u64,
    /// Whether a new client would find none.
    pub exhausted: bool,
    /// Requests that found none since the start.
    pub refused: u64,
}

/// Why something cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such lease.
    #[error("{0} is no lease: see `bindings`")]
    NoLease(Ipv4Addr),
    /// No pool holds the address.
    #[error("no pool holds {0}: see `pools`")]
    NoPool(Ipv4Addr),
    /// The owner cannot be read.
    #[error(
        "the owner of {0} is missing or wrong: give `mac` (02:00:00:00:00:01) or `client_id` (hex)"
    )]
    Owner(Ipv4Addr),
}

impl Server {
    /// Every binding and reservation, by address.
    pub fn bindings(&self, now: Seconds) -> Vec<Binding> {
        let mut bindings: Vec<Binding> =
            self.book.iter().map(|lease| self.binding(lease, now)).collect();
        for pool in &self.pools {
            for reservation in &pool.config.reservations {
                if self.book.get(reservation.address).is_none() {
                    bindings.push(Binding {
                        address: reservation.address,
                        mac: reservation.mac.clone().unwrap_or_default(),
                        client_id: reservation.client_id.clone(),
                        hostname: reservation.hostname.clone(),
                        pool: pool.config.name.clone(),
                        state: "reserved".into(),
                        expires: None,
                        manual: true,
                    });
                }
            }
        }
        bindings.sort_by_key(|binding| binding.address);
        bindings
    }

    fn binding(&self, lease: &Lease, now: Seconds) -> Binding {
        let pool = self.pools.iter().find(|pool| pool.config.subnet.contains(&lease.address));
        let (state, until) = match lease.state {
            State::Bound(until) if until > now => ("bound", Some(until)),
            State::Bound(until) => ("expired", Some(until)),
            State::Offered(until) => ("offered", Some(until)),
            State::Released(at) => ("released", Some(at)),
            State::Quarantined(until) => ("quarantined", Some(until)),
        };
        Binding {
            address: lease.address,
            mac: hardware(&lease.chaddr),
            client_id: match &lease.client {
                ClientKey::Id(id) => Some(id.iter().map(|byte| format!("{byte:02x}")).collect()),
                ClientKey::Hardware(..) => None,
            },
            hostname: lease.hostname.clone(),
            pool: pool.map(|pool| pool.config.name.clone()).unwrap_or_default(),
            state: state.into(),
            expires: until.filter(|until| *until != Seconds::MAX),
            manual: pool.is_some_and(|pool| pool.is_reserved(lease.address)),
        }
    }

    /// Every pool with its figures.
    pub fn pool_reports(&mut self, now: Seconds) -> Vec<PoolReport> {
        let book = &self.book;
        let report = |pool: &mut crate::pools::Pool| {
            let subnet = pool.config.subnet;
            let (mut leased, mut offered, mut quarantined, mut dynamic) = (0, 0, 0, 0);
            for lease in book.within(subnet).filter(|lease| lease.is_held(now)) {
                match lease.state {
                    State::Bound(_) => leased += 1,
                    State::Offered(_) => offered += 1,
                    _ => quarantined += 1,
                }
                dynamic += u64::from(pool.is_dynamic(lease.address));
            }
            let (total, usable) = (pool.hosts(), pool.size());
            PoolReport {
                name: pool.config.name.clone(),
                subnet,
                first: Ipv4Addr::from(u32::from(subnet.network()) + 1),
                last: Ipv4Addr::from(u32::from(subnet.broadcast()) - 1),
                next: pool.first_unused(book, |_| false),
                total,
                usable,
                excluded: total - usable,
                leased,
                offered,
                quarantined,
                exhausted: dynamic >= usable,
                refused: pool.exhausted,
            }
        };
        self.pools.iter_mut().map(report).collect()
    }

    /// Ends a lease, as if the client had released it.
    ///
    /// # Errors
    /// Where there is none.
    pub fn release_address(&mut self, address: Ipv4Addr, now: Seconds) -> Result<(), Refusal> {
        let lease = self.book.get(address).cloned().ok_or(Refusal::NoLease(address))?;
        if matches!(lease.state, State::Bound(_)) {
            self.book.put(Lease { state: State::Released(now), ..lease });
        } else {
            self.forget(address);
        }
        Ok(())
    }

    /// Forgets one address, or everything.
    ///
    /// # Errors
    /// Where the one is not known.
    pub fn clear(&mut self, address: Option<Ipv4Addr>) -> Result<usize, Refusal> {
        let addresses: Vec<Ipv4Addr> = match address {
            Some(address) if self.book.get(address).is_none() => {
                return Err(Refusal::NoLease(address));
            }
            Some(address) => vec![address],
            None => self.book.iter().map(|lease| lease.address).collect(),
        };
        for address in &addresses {
            self.forget(*address);
        }
        Ok(addresses.len())
    }

    /// Forgets what is quarantined.
    pub fn clear_conflicts(&mut self, address: Option<Ipv4Addr>) -> usize {
        let quarantined = |lease: &&Lease| matches!(lease.state, State::Quarantined(_));
        let addresses: Vec<Ipv4Addr> = self
            .book
            .iter()
            .filter(quarantined)
            .map(|lease| lease.address)
            .filter(|other| address.is_none_or(|address| address == *other))
            .collect();
        for address in &addresses {
            self.forget(*address);
        }
        addresses.len()
    }

    /// Reserves an address for a client, from now on.
    ///
    /// # Errors
    /// Where no pool holds the address or the owner is not given.
    pub fn reserve(&mut self, reservation: Reservation) -> Result<(), Refusal> {
        let address = reservation.address;
        let mac = reservation.mac.as_deref();
        let id = reservation.client_id.as_deref();
        let wrong = mac.is_some_and(|mac| parse_mac(mac).is_none())
            || id.is_some_and(|id| parse_hex(id).is_none_or(|id| id.is_empty()));
        if wrong || (mac.is_none() && id.is_none()) {
            return Err(Refusal::Owner(address));
        }
        let pool = self.pools.iter_mut().find(|pool| pool.config.subnet.contains(&address));
        pool.ok_or(Refusal::NoPool(address))?.reserve(reservation);
        Ok(())
    }
}
