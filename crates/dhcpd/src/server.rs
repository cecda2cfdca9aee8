//! The server's mind: a request and the time go in, replies and probes come out.
//!
//! Nothing here touches a socket, a file or a clock. The driver writes [`Server::take_records`]
//! to the disk before it sends what [`Server::answer`] returned.

mod offers;

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::config::{self, Config};
use crate::leases::{Book, ClientKey, FOREVER, Lease, Record, Seconds, State};
use crate::pools::Pool;
use crate::reply::{self, Reply};
use crate::wire::{Kind, Packet, option};

/// How long an offer is held, in seconds.
const OFFER_HOLD: Seconds = 60;
/// Relay agents that a request may have passed.
const MAX_HOPS: u8 = 16;

/// How a request arrived.
#[derive(Clone, Debug)]
pub struct Meta {
    /// The index of the interface.
    pub interface: u32,
    /// The server's own address there (or the one the request was sent to).
    pub local: Ipv4Addr,
    /// The networks that the interface is on.
    pub networks: Vec<Ipv4Net>,
}

/// What the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this, after the records are on the disk.
    Send(Reply),
    /// Find out whether someone uses the address, then call [`Server::probed`].
    Probe {
        /// The address.
        address: Ipv4Addr,
        /// The interface, where the address is on its link; else only a ping reaches it.
        interface: Option<u32>,
        /// The server's own address to ask from.
        source: Ipv4Addr,
    },
}

/// A DISCOVER that waits for its probe.
#[derive(Debug)]
struct Pending {
    packet: Packet,
    meta: Meta,
}

/// A DHCP server.
#[derive(Debug)]
pub struct Server {
    /// Its pools.
    pub(crate) pools: Vec<Pool>,
    /// Its leases.
    pub(crate) book: Book,
    authoritative: bool,
    probing: bool,
    quarantine: Seconds,
    per_client: u32,
    /// The host's own addresses: never given out, and what "our" server identifiers are.
    own: Vec<Ipv4Addr>,
    pending: HashMap<Ipv4Addr, Pending>,
    log: Vec<String>,
}

impl Server {
    /// A server with what its database held.
    pub fn new(config: &Config, leases: impl IntoIterator<Item = Lease>) -> Self {
        Self {
            pools: config.pools.iter().cloned().map(Pool::new).collect(),
            book: Book::restored(leases),
            authoritative: config.authoritative,
            probing: config.probe_ms > 0,
            quarantine: config.quarantine.into(),
            per_client: config.leases_per_client,
            own: Vec::new(),
            pending: HashMap::new(),
            log: Vec::new(),
        }
    }

    /// Takes another configuration; leases stay.
    pub fn configure(&mut self, config: &Config) {
        let leases: Vec<Lease> = self.book.iter().cloned().collect();
        let own = std::mem::take(&mut self.own);
        *self = Self { own, ..Self::new(config, leases) };
    }

    /// Tells the host's own addresses.
    pub fn set_own(&mut self, own: Vec<Ipv4Addr>) {
        self.own = own;
    }

    /// The changes to write to the disk.
    pub fn take_records(&mut self) -> Vec<Record> {
        self.book.take_records()
    }

    /// What happened, one line each.
    pub fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Answers one request.
    pub fn answer(&mut self, packet: &Packet, meta: &Meta, now: Seconds) -> Vec<Action> {
        if !packet.request || packet.hops > MAX_HOPS || packet.chaddr.is_empty() {
            return Vec::new();
        }
        for address in self.book.stale_offers(now) {
            self.forget(address);
        }
        let action = match packet.kind() {
            Some(Kind::Discover) => self.discover(packet, meta, now),
            Some(Kind::Request) => self.request(packet, meta, now),
            Some(Kind::Decline) => self.decline(packet, meta, now),
            Some(Kind::Release) => self.release(packet, now),
            Some(Kind::Inform) => self.inform(packet, meta),
            _ => None,
        };
        action.into_iter().collect()
    }

    /// Takes the outcome of a probe.
    pub fn probed(&mut self, address: Ipv4Addr, taken: bool, now: Seconds) -> Vec<Action> {
        let Some(Pending { packet, meta }) = self.pending.remove(&address) else {
            return Vec::new();
        };
        let key = key_of(&packet);
        if taken {
            self.log.push(format!(
                "{address} answers already: kept back for {} s, another is looked for",
                self.quarantine
            ));
            self.quarantine(address, key, &packet.chaddr, now);
            return self.answer(&packet, &meta, now);
        }
        let at = self.pools_for(&packet, &meta).into_iter().find(|at| {
            let offered = self.book.get(address).is_some_and(|lease| lease.client == key);
            offered && self.pools[*at].config.subnet.contains(&address)
        });
        at.map(|at| self.offer(at, address, &packet, &meta, now)).into_iter().collect()
    }

    fn request(&mut self, packet: &Packet, meta: &Meta, now: Seconds) -> Option<Action> {
        let key = key_of(packet);
        let server = packet.address(option::SERVER_ID);
        if let Some(server) = server
            && server != meta.local
            && !self.own.contains(&server)
        {
            // It took another server's offer.
            self.withdraw(&key);
            return None;
        }
        let renewing = !packet.ciaddr.is_unspecified();
        let address = packet
            .address(option::REQUESTED_ADDRESS)
            .filter(|_| !renewing || server.is_some())
            .or(renewing.then_some(packet.ciaddr))?;
        let candidates = self.pools_for(packet, meta);
        let at = candidates.iter().copied().find(|at| {
            let pool = &self.pools[*at];
            pool.config.subnet.contains(&address) && pool.may_have(packet, address)
        });
        let Some(at) = at else {
            // Nothing is known of the client's network: others may answer.
            let mut names = candidates.iter().map(|at| self.pools[*at].config.name.as_str());
            let name = names.next()?.to_owned();
            return self.refuse(
                packet,
                meta,
                address,
                &format!("pool {name} does not give it to this client"),
            );
        };
        let lease = self.book.get(address);
        let its_own = lease.is_some_and(|lease| {
            lease.client == key && !matches!(lease.state, State::Quarantined(_))
        });
        if !self.book.is_free_for(address, &key, now) || self.own.contains(&address) {
            return self.refuse(packet, meta, address, "it is taken");
        }
        if !its_own {
            // INIT-REBOOT of a client without a record here: RFC 2131 section 4.3.2 wants silence,
            // unless it has another address here, which makes this one wrong.
            if server.is_none() && !renewing {
                if self.book.of_client(&key).any(|lease| lease.is_bound(now)) {
                    return self.refuse(packet, meta, address, "the client has another");
                }
                return None;
            }
            // After a restart between OFFER and REQUEST, or with a lost database, the client's
            // word stands where the address is free.
            if server.is_none() && !self.authoritative {
                return None;
            }
            if self.book.bound_to(&packet.chaddr) >= self.per_client {
                return self.refuse(
                    packet,
                    meta,
                    address,
                    "the client holds too many (leases_per_client)",
                );
            }
        }
        Some(self.bind(at, address, key, packet, meta, now))
    }

    fn bind(
        &mut self,
        at: usize,
        address: Ipv4Addr,
        key: ClientKey,
        packet: &Packet,
        meta: &Meta,
        now: Seconds,
    ) -> Action {
        let seconds = reply::lease_time(&self.pools[at].config, packet);
        let until = if seconds == FOREVER { Seconds::MAX } else { now + Seconds::from(seconds) };
        let old = self.book.get(address).filter(|old| old.client == key);
        let hostname = packet.text(option::HOSTNAME).or_else(|| old?.hostname.clone());
        let first = old.is_none_or(|old| !old.is_bound(now));
        let since = old.filter(|_| !first).map_or(now, |old| old.since);
        let name = hostname.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
        self.log.push(format!(
            "{address} {} {}{name} from pool {} for {seconds} s",
            if first { "leased to" } else { "kept by" },
            hardware(&packet.chaddr),
            self.pools[at].config.name
        ));
        // A client has one address on a link: what it had before on this one is free.
        let subnet = self.pools[at].config.subnet;
        let others: Vec<Lease> = self
            .book
            .of_client(&key)
            .filter(|lease| lease.address != address && subnet.contains(&lease.address))
            .filter(|lease| matches!(lease.state, State::Offered(_) | State::Bound(_)))
            .cloned()
            .collect();
        for lease in others {
            match lease.state {
                State::Bound(_) => self.book.put(Lease { state: State::Released(now), ..lease }),
                _ => self.forget(lease.address),
            }
        }
        let chaddr = packet.chaddr.clone();
        self.book.put(Lease {
            address,
            state: State::Bound(until),
            client: key,
            chaddr,
            hostname,
            since,
        });
        self.lease_reply(Kind::Ack, at, address, packet, meta)
    }

    fn lease_reply(
        &self,
        kind: Kind,
        at: usize,
        address: Ipv4Addr,
        packet: &Packet,
        meta: &Meta,
    ) -> Action {
        let pool = &self.pools[at];
        let mut answer = Packet::reply(packet, kind);
        answer.yiaddr = address;
        if kind == Kind::Ack {
            answer.ciaddr = packet.ciaddr;
        }
        reply::pool_options(&pool.config, packet, &mut answer);
        reply::times(&pool.config, reply::lease_time(&pool.config, packet), &mut answer);
        let reservation = pool.reservation_for(packet);
        if let Some(name) = reservation.and_then(|reservation| reservation.hostname.as_ref()) {
            answer.options.insert(option::HOSTNAME, name.as_bytes().to_vec());
        }
        self.seal(answer, packet, meta)
    }

    /// Signs a reply and addresses it.
    fn seal(&self, mut answer: Packet, packet: &Packet, meta: &Meta) -> Action {
        answer.set_address(option::SERVER_ID, meta.local);
        reply::echo(packet, &mut answer);
        Action::Send(Reply {
            to: reply::destination(packet, &answer),
            interface: meta.interface,
            source: meta.local,
            bytes: answer.encode(reply::order(packet), reply::limit(packet)),
        })
    }

    /// Says no, where this server has a say.
    fn refuse(
        &mut self,
        packet: &Packet,
        meta: &Meta,
        address: Ipv4Addr,
        why: &str,
    ) -> Option<Action> {
        if !self.authoritative {
            return None;
        }
        self.log.push(format!("{address} refused to {}: {why}", hardware(&packet.chaddr)));
        let mut answer = Packet::reply(packet, Kind::Nak);
        // RFC 2131 section 4.3.2: behind a relay the client cannot be reached by its address.
        answer.broadcast = packet.broadcast || !packet.giaddr.is_unspecified();
        answer.options.insert(option::MESSAGE, format!("{address}: {why}").into_bytes());
        Some(self.seal(answer, packet, meta))
    }

    fn decline(&mut self, packet: &Packet, meta: &Meta, now: Seconds) -> Option<Action> {
        let address = packet.address(option::REQUESTED_ADDRESS)?;
        let server = packet.address(option::SERVER_ID)?;
        let key = key_of(packet);
        let ours = server == meta.local || self.own.contains(&server);
        // Only who was given it may decline it, or one client could close a whole pool.
        if !ours || self.book.get(address).is_none_or(|l| l.client != key || !l.is_held(now)) {
            return None;
        }
        self.log.push(format!(
            "{address} declined by {}: someone else uses it; kept back for {} s",
            hardware(&packet.chaddr),
            self.quarantine
        ));
        self.quarantine(address, key, &packet.chaddr, now);
        None
    }

    fn quarantine(&mut self, address: Ipv4Addr, client: ClientKey, chaddr: &[u8], now: Seconds) {
        self.book.put(Lease {
            address,
            state: State::Quarantined(now + self.quarantine),
            client,
            chaddr: chaddr.to_vec(),
            hostname: None,
            since: now,
        });
    }

    fn release(&mut self, packet: &Packet, now: Seconds) -> Option<Action> {
        let address = packet.ciaddr;
        let lease = self.book.get(address)?;
        if lease.client == key_of(packet) && lease.is_bound(now) {
            let lease = Lease { state: State::Released(now), ..lease.clone() };
            self.log.push(format!("{address} released by {}", hardware(&packet.chaddr)));
            self.book.put(lease);
        }
        None
    }

    fn inform(&mut self, packet: &Packet, meta: &Meta) -> Option<Action> {
        if packet.ciaddr.is_unspecified() {
            return None;
        }
        let candidates = self.pools_for(packet, meta);
        let holds = |at: &usize| self.pools[*at].config.subnet.contains(&packet.ciaddr);
        let at = candidates.iter().copied().find(holds).or(candidates.first().copied())?;
        let mut answer = Packet::reply(packet, Kind::Ack);
        answer.ciaddr = packet.ciaddr;
        answer.giaddr = Ipv4Addr::UNSPECIFIED;
        reply::pool_options(&self.pools[at].config, packet, &mut answer);
        let Action::Send(mut reply) = self.seal(answer, packet, meta) else { return None };
        // RFC 2131 section 4.3.5: to the client itself, never by the relay.
        reply.to = reply::To::Client(packet.ciaddr);
        Some(Action::Send(reply))
    }

    /// Drops the offers of a client that went elsewhere.
    fn withdraw(&mut self, key: &ClientKey) {
        let offered: Vec<Ipv4Addr> = self
            .book
            .of_client(key)
            .filter(|lease| matches!(lease.state, State::Offered(_)))
            .map(|lease| lease.address)
            .collect();
        for address in offered {
            self.forget(address);
        }
    }

    pub(crate) fn forget(&mut self, address: Ipv4Addr) {
        self.pending.remove(&address);
        if self.book.forget(address) {
            for pool in &mut self.pools {
                if pool.config.subnet.contains(&address) {
                    pool.unused_again(address);
                }
            }
        }
    }

    /// The configured pools.
    pub fn pool_configs(&self) -> impl Iterator<Item = &config::Pool> {
        self.pools.iter().map(|pool| &pool.config)
    }
}

/// Who the sender is.
fn key_of(packet: &Packet) -> ClientKey {
    match packet.client_id() {
        Some(id) => ClientKey::Id(id.to_vec()),
        None => ClientKey::Hardware(packet.htype, packet.chaddr.clone()),
    }
}

/// Sub-option 5 of option 82 (RFC 3527).
fn link_selection(packet: &Packet) -> Option<Ipv4Addr> {
    let mut bytes = packet.options.get(&option::RELAY_INFO)?.as_slice();
    while let [number, length, rest @ ..] = bytes {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        if *number == 5 {
            return <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from);
        }
        bytes = rest;
    }
    None
}

/// A hardware address as text.
pub fn hardware(chaddr: &[u8]) -> String {
    chaddr.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

fn whence(packet: &Packet, meta: &Meta) -> String {
    if packet.giaddr.is_unspecified() {
        let networks: Vec<String> = meta.networks.iter().map(|n| n.trunc().to_string()).collect();
        format!("the network {} of {}", networks.join(", "), hardware(&packet.chaddr))
    } else {
        format!("the relay {} of {}", packet.giaddr, hardware(&packet.chaddr))
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
