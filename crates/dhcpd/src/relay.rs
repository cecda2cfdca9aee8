//! The relay agent's mind (RFC 1542, RFC 3046): `ip helper-address`.

use std::net::Ipv4Addr;

use crate::config;
use crate::reply::{self, To};
use crate::wire::{Packet, option};

/// Relay agents a request may pass before it is thought to go round in circles.
const MAX_HOPS: u8 = 16;

/// What to do with a client's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The message for the servers.
    pub bytes: Vec<u8>,
    /// The relay's own address, to send from.
    pub source: Ipv4Addr,
    /// The servers.
    pub servers: Vec<Ipv4Addr>,
}

/// What to do with a server's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliver {
    /// Where to.
    pub to: To,
    /// The message for the client.
    pub bytes: Vec<u8>,
}

/// Prepares a client's request that came in on a relayed interface with this own address.
/// `None` where it must not be relayed.
pub fn forward(relay: &config::Relay, own: Ipv4Addr, mut packet: Packet) -> Option<Forward> {
    if !packet.request || packet.hops >= MAX_HOPS {
        return None;
    }
    packet.hops += 1;
    if packet.giaddr.is_unspecified() {
        // RFC 3046 section 2.1.1: a client has no business with option 82.
        if packet.options.contains_key(&option::RELAY_INFO) {
            return None;
        }
        packet.giaddr = own;
        if relay.option82 {
            // Sub-option 1, the circuit id: the interface's name.
            let name = &relay.interface.as_bytes()[..relay.interface.len().min(64)];
            let mut info = vec![1, name.len() as u8];
            info.extend(name);
            packet.options.insert(option::RELAY_INFO, info);
        }
    }
    let bytes = packet.encode(&[], usize::MAX);
    Some(Forward { bytes, source: own, servers: relay.servers.clone() })
}

/// Prepares a server's reply for the client on the interface of `giaddr`.
pub fn deliver(mut packet: Packet) -> Option<Deliver> {
    if packet.request || packet.giaddr.is_unspecified() {
        return None;
    }
    packet.options.remove(&option::RELAY_INFO);
    let to = if !packet.ciaddr.is_unspecified() && !packet.broadcast {
        To::Client(packet.ciaddr)
    } else {
        reply::frame_or_broadcast(packet.broadcast, packet.htype, &packet.chaddr, packet.yiaddr)
    };
    let order: Vec<u8> = packet.options.keys().copied().collect();
    Some(Deliver { to, bytes: packet.encode(&order, usize::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Kind;

    fn relay() -> config::Relay {
        config::Relay {
            interface: "lan".into(),
            servers: vec![Ipv4Addr::new(10, 9, 9, 9)],
            option82: true,
        }
    }

    fn own() -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, 1)
    }

    #[test]
    fn a_request_carries_the_relay_and_its_reply_loses_it() {
        let request = Packet::request(Kind::Discover, 1, [2, 0, 0, 0, 0, 1]);
        let forward = forward(&relay(), own(), request.clone()).unwrap();
        let sent = Packet::decode(&forward.bytes).unwrap();
        assert_eq!((sent.giaddr, sent.hops), (own(), 1));
        assert_eq!(sent.options[&option::RELAY_INFO], b"\x01\x03lan");
        let mut reply = Packet::reply(&sent, Kind::Offer);
        reply.yiaddr = Ipv4Addr::new(10, 0, 0, 5);
        reply::echo(&sent, &mut reply);
        let deliver = deliver(reply).unwrap();
        assert_eq!(deliver.to, To::Frame([2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 0, 0, 5)));
        assert!(!Packet::decode(&deliver.bytes).unwrap().options.contains_key(&82));
    }

    #[test]
    fn circles_and_forged_relay_information_end_here() {
        let mut request = Packet::request(Kind::Discover, 1, [2, 0, 0, 0, 0, 1]);
        request.hops = 16;
        assert_eq!(forward(&relay(), own(), request.clone()), None);
        request.hops = 0;
        request.options.insert(option::RELAY_INFO, vec![1, 1, 1]);
        assert_eq!(forward(&relay(), own(), request.clone()), None);
        request.giaddr = Ipv4Addr::new(10, 5, 5, 5);
        let sent = Packet::decode(&forward(&relay(), own(), request).unwrap().bytes).unwrap();
        assert_eq!(sent.giaddr, Ipv4Addr::new(10, 5, 5, 5));
    }
}
