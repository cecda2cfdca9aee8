//! DHCPDISCOVER: which pool, which address, and how long it is held (RFC 2131 section 4.3.1).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::*;

impl Server {
    pub(super) fn discover(
        &mut self,
        packet: &Packet,
        meta: &Meta,
        now: Seconds,
    ) -> Option<Action> {
        let key = key_of(packet);
        // A probe for this very client is under way: its outcome will answer.
        let waiting = |lease: &Lease| self.pending.contains_key(&lease.address);
        if self.book.of_client(&key).any(waiting) {
            return None;
        }
        let candidates = self.pools_for(packet, meta);
        if candidates.is_empty() {
            self.log.push(format!("no pool serves {}: DISCOVER unanswered", whence(packet, meta)));
            return None;
        }
        let known = candidates
            .iter()
            .find_map(|at| Some((*at, self.known_address(*at, packet, &key, now)?)));
        if let Some((at, address)) = known {
            return Some(self.offer(at, address, packet, meta, now));
        }
        if self.book.bound_to(&packet.chaddr) >= self.per_client {
            self.log.push(format!(
                "{} holds {} leases already: DISCOVER unanswered (leases_per_client)",
                hardware(&packet.chaddr),
                self.per_client
            ));
            return None;
        }
        let Some((at, address)) =
            candidates.iter().find_map(|at| Some((*at, self.new_address(*at, packet, &key, now)?)))
        else {
            for at in candidates {
                self.pools[at].exhausted += 1;
                self.log.push(format!(
                    "pool {} is exhausted: all {} addresses are taken, DISCOVER of {} unanswered",
                    self.pools[at].config.name,
                    self.pools[at].size(),
                    hardware(&packet.chaddr)
                ));
            }
            return None;
        };
        if !self.probing {
            return Some(self.offer(at, address, packet, meta, now));
        }
        self.hold(address, key, packet, now);
        self.pending.insert(address, Pending { packet: packet.clone(), meta: meta.clone() });
        let on_link = meta.networks.iter().any(|network| network.contains(&address));
        let interface = on_link.then_some(meta.interface);
        Some(Action::Probe { address, interface, source: meta.local })
    }

    /// The address that the client has, had or has reserved here.
    pub(super) fn known_address(
        &self,
        at: usize,
        packet: &Packet,
        key: &ClientKey,
        now: Seconds,
    ) -> Option<Ipv4Addr> {
        let pool = &self.pools[at];
        if let Some(reservation) = pool.reservation_for(packet) {
            let address = reservation.address;
            return self.book.is_free_for(address, key, now).then_some(address);
        }
        let mut own: Vec<&Lease> = self.book.of_client(key).collect();
        // The one it has goes before the one it had.
        own.sort_by_key(|lease| (!lease.is_held(now), std::cmp::Reverse(lease.since)));
        own.into_iter()
            .filter(|lease| !matches!(lease.state, State::Quarantined(_)))
            .map(|lease| lease.address)
            .find(|address| pool.may_have(packet, *address) && !self.own.contains(address))
    }

    /// An address that the client never had here.
    pub(super) fn new_address(
        &mut self,
        at: usize,
        packet: &Packet,
        key: &ClientKey,
        now: Seconds,
    ) -> Option<Ipv4Addr> {
        let pool = &mut self.pools[at];
        if pool.reservation_for(packet).is_some() {
            return None; // Its own address is taken by someone; nothing else is its.
        }
        let own = &self.own;
        if let Some(wanted) = packet.address(option::REQUESTED_ADDRESS)
            && pool.is_dynamic(wanted)
            && !own.contains(&wanted)
            && self.book.is_free_for(wanted, key, now)
        {
            return Some(wanted);
        }
        pool.first_unused(&self.book, |address| own.contains(&address)).or_else(|| {
            let usable = |address: &Ipv4Addr| pool.is_dynamic(*address) && !own.contains(address);
            self.book.reusable(now).map(|lease| lease.address).find(usable)
        })
    }

    pub(super) fn offer(
        &mut self,
        at: usize,
        address: Ipv4Addr,
        packet: &Packet,
        meta: &Meta,
        now: Seconds,
    ) -> Action {
        self.hold(address, key_of(packet), packet, now);
        self.lease_reply(Kind::Offer, at, address, packet, meta)
    }

    /// Holds an address for a client that is offered it, unless it has it anyway.
    pub(super) fn hold(
        &mut self,
        address: Ipv4Addr,
        key: ClientKey,
        packet: &Packet,
        now: Seconds,
    ) {
        if self.book.get(address).is_some_and(|l| l.is_bound(now) && l.client == key) {
            return;
        }
        self.book.put(Lease {
            address,
            state: State::Offered(now + OFFER_HOLD),
            client: key,
            chaddr: packet.chaddr.clone(),
            hostname: packet.text(option::HOSTNAME),
            since: now,
        });
    }

    /// The pools of the network that a request comes from (RFC 3527, RFC 3011, RFC 2131).
    pub(super) fn pools_for(&self, packet: &Packet, meta: &Meta) -> Vec<usize> {
        let relayed = (!packet.giaddr.is_unspecified()).then_some(packet.giaddr);
        let link = link_selection(packet).or(packet.address(option::SUBNET_SELECTION)).or(relayed);
        let holding = |test: &dyn Fn(&Ipv4Net) -> bool| -> Vec<usize> {
            (0..self.pools.len()).filter(|at| test(&self.pools[*at].config.subnet)).collect()
        };
        if let Some(address) = link {
            return holding(&|subnet| subnet.contains(&address));
        }
        let mut found =
            holding(&|subnet| meta.networks.iter().any(|network| subnet.contains(&network.addr())));
        // A unicast renewal comes over routers and names its network by its own address.
        if !packet.ciaddr.is_unspecified()
            && !meta.networks.iter().any(|network| network.contains(&packet.ciaddr))
        {
            let routed = holding(&|subnet| subnet.contains(&packet.ciaddr));
            if !routed.is_empty() {
                found = routed;
            }
        }
        found
    }
}
