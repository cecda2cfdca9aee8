//! Replies: which options they carry and where they go.

use std::net::Ipv4Addr;

use crate::config;
use crate::leases::FOREVER;
use crate::wire::{self, Kind, Packet, option};

/// Where a reply goes (RFC 2131 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// To a relay agent's port 67.
    Relay(Ipv4Addr),
    /// To a client that has this address.
    Client(Ipv4Addr),
    /// To everyone on the link.
    Broadcast,
    /// In a frame to this hardware address: the client does not answer ARP for its address yet.
    Frame([u8; 6], Ipv4Addr),
}

/// One reply, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Where to.
    pub to: To,
    /// The index of the interface it leaves by.
    pub interface: u32,
    /// The server's own address there.
    pub source: Ipv4Addr,
    /// The message.
    pub bytes: Vec<u8>,
}

/// Works out where the reply to a request goes.
pub fn destination(request: &Packet, reply: &Packet) -> To {
    if !request.giaddr.is_unspecified() {
        return To::Relay(request.giaddr);
    }
    if reply.kind() == Some(Kind::Nak) {
        return To::Broadcast;
    }
    if !request.ciaddr.is_unspecified() {
        return To::Client(request.ciaddr);
    }
    frame_or_broadcast(request.broadcast, request.htype, &reply.chaddr, reply.yiaddr)
}

/// A frame to a client that can take one, a broadcast to all others.
pub fn frame_or_broadcast(broadcast: bool, htype: u8, chaddr: &[u8], yiaddr: Ipv4Addr) -> To {
    match <[u8; 6]>::try_from(chaddr) {
        Ok(mac) if !broadcast && htype == 1 && mac != [0; 6] && !yiaddr.is_unspecified() => {
            To::Frame(mac, yiaddr)
        }
        _ => To::Broadcast,
    }
}

/// The order in which the client wants its options.
pub fn order(request: &Packet) -> &[u8] {
    request.options.get(&option::PARAMETERS).map_or(&[], Vec::as_slice)
}

/// The largest message the client takes (option 57), 548 where it does not say.
pub fn limit(request: &Packet) -> usize {
    match request.options.get(&option::MAX_SIZE).map(Vec::as_slice) {
        // The option counts the IP and UDP headers as well.
        Some([a, b]) => usize::from(u16::from_be_bytes([*a, *b])).max(576) - 28,
        _ => 548,
    }
}

/// Gives back what a server must give back: options 61 (RFC 6842) and 82 (RFC 3046).
pub fn echo(request: &Packet, reply: &mut Packet) {
    if let Some(id) = request.client_id() {
        reply.options.insert(option::CLIENT_ID, id.to_vec());
    }
    if let Some(info) = request.options.get(&option::RELAY_INFO) {
        reply.options.insert(option::RELAY_INFO, info.clone());
    }
}

/// Puts in everything a pool says.
pub fn pool_options(pool: &config::Pool, request: &Packet, reply: &mut Packet) {
    reply.set_address(option::SUBNET_MASK, pool.subnet.netmask());
    reply.set_address(option::BROADCAST, pool.broadcast.unwrap_or(pool.subnet.broadcast()));
    if let Some(router) = pool.router {
        reply.set_address(option::ROUTER, router);
    }
    reply.set_addresses(option::DNS, &pool.dns);
    reply.set_addresses(option::NTP, &pool.ntp);
    if let Some(domain) = &pool.domain {
        reply.options.insert(option::DOMAIN, domain.as_bytes().to_vec());
    }
    if !pool.routes.is_empty() {
        let mut routes: Vec<_> = pool.routes.iter().map(|r| (r.to.trunc(), r.via)).collect();
        // RFC 3442: who reads option 121 ignores option 3, so the default route stands here too.
        if let Some(router) = pool.router
            && !routes.iter().any(|(to, _)| to.prefix_len() == 0)
        {
            routes.insert(0, (ipnet::Ipv4Net::default(), router));
        }
        reply.options.insert(option::CLASSLESS_ROUTES, wire::classless_routes(&routes));
        // Option 33 knows no masks: only routes to single hosts survive it.
        if order(request).contains(&option::STATIC_ROUTES) {
            let hosts = routes.iter().filter(|(to, _)| to.prefix_len() == 32);
            let bytes: Vec<u8> =
                hosts.flat_map(|(to, via)| [to.addr().octets(), via.octets()].concat()).collect();
            if !bytes.is_empty() {
                reply.options.insert(option::STATIC_ROUTES, bytes);
            }
        }
    }
    for (number, value) in &pool.options {
        reply.options.insert(*number, value.bytes.clone());
    }
}

/// How long a client gets its address: what it asked for, but never more than the pool gives.
pub fn lease_time(pool: &config::Pool, request: &Packet) -> u32 {
    match request.u32(option::LEASE_TIME) {
        // A client that asks for a second would renew for ever.
        Some(asked) => asked.max(30).min(pool.lease),
        None => pool.lease,
    }
}

/// Puts in the times of a lease (options 51, 58, 59).
pub fn times(pool: &config::Pool, lease: u32, reply: &mut Packet) {
    reply.set_u32(option::LEASE_TIME, lease);
    if lease == FOREVER {
        return;
    }
    let own = |t: Option<u32>| t.filter(|_| lease == pool.lease);
    let t2 = own(pool.t2).unwrap_or((u64::from(lease) * 7 / 8) as u32);
    let t1 = own(pool.t1).unwrap_or(lease / 2).min(t2);
    reply.set_u32(option::T1, t1);
    reply.set_u32(option::T2, t2);
}
