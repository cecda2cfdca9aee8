//! The link layer: interfaces, packet sockets, frames.
//!
//! A client without an address and a server that answers one both need frames that the kernel's
//! IP would not send or deliver; ARP probes need them too.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;

use etherparse::PacketBuilder;
use ipnet::Ipv4Net;
use nix::ifaddrs::getifaddrs;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::wire::CLIENT_PORT;

const ETHERTYPE_IP: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;

/// One interface of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its Ethernet address.
    pub mac: Option<[u8; 6]>,
    /// Its IPv4 addresses with their prefixes.
    pub addresses: Vec<Ipv4Net>,
}

/// Every interface of this network namespace but the loopback.
///
/// # Errors
/// Where the kernel does not tell.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in getifaddrs()? {
        if entry.flags.contains(nix::net::if_::InterfaceFlags::IFF_LOOPBACK) {
            continue;
        }
        let name = entry.interface_name;
        let interface = match found.entry(name.clone()) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(vacant) => {
                let Ok(index) = nix::net::if_::if_nametoindex(name.as_str()) else { continue };
                vacant.insert(Interface { name, index, mac: None, addresses: Vec::new() })
            }
        };
        let Some(address) = entry.address else { continue };
        if let Some(mac) = address.as_link_addr().and_then(|link| link.addr()) {
            interface.mac = Some(mac);
        }
        if let Some(address) = address.as_sockaddr_in() {
            let mask = entry.netmask.and_then(|mask| mask.as_sockaddr_in().map(|m| m.ip()));
            let net = Ipv4Net::with_netmask(address.ip(), mask.unwrap_or(Ipv4Addr::BROADCAST));
            interface.addresses.extend(net);
        }
    }
    Ok(found.into_values().collect())
}

/// A socket that sends IP packets in frames and receives nothing.
///
/// # Errors
/// Without the capability NET_RAW.
pub fn frame_sender() -> io::Result<Socket> {
    // Protocol 0 receives nothing, so its queue never fills.
    let socket = Socket::new(Domain::PACKET, Type::DGRAM.nonblocking(), None)?;
    Ok(socket)
}

/// A socket that sends and receives ARP on every interface.
///
/// # Errors
/// Without the capability NET_RAW.
pub fn arp_socket() -> io::Result<Socket> {
    let protocol = Protocol::from(i32::from(ETHERTYPE_ARP.to_be()));
    Socket::new(Domain::PACKET, Type::DGRAM.nonblocking(), Some(protocol))
}

/// A socket that receives what arrives for UDP port 68 on one interface, whatever its address.
///
/// # Errors
/// Without the capability NET_RAW, or where there is no such interface.
pub fn client_socket(interface: u32) -> io::Result<Socket> {
    let filter = |code: u32, jt, jf, k| socket2::SockFilter::new(code as u16, jt, jf, k);
    use libc::{
        BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX,
        BPF_MSH, BPF_RET,
    };
    let program = [
        filter(BPF_LD | BPF_B | BPF_ABS, 0, 0, 9), // protocol
        filter(BPF_JMP | BPF_JEQ | BPF_K, 0, 6, 17),
        filter(BPF_LD | BPF_H | BPF_ABS, 0, 0, 6), // no fragments
        filter(BPF_JMP | BPF_JSET | BPF_K, 4, 0, 0x1fff),
        filter(BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0),
        filter(BPF_LD | BPF_H | BPF_IND, 0, 0, 2), // destination port
        filter(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, u32::from(CLIENT_PORT)),
        filter(BPF_RET | BPF_K, 0, 0, 0xffff),
        filter(BPF_RET | BPF_K, 0, 0, 0),
    ];
    // Made deaf, filtered, then bound: nothing unfiltered ever waits in its queue.
    let socket = Socket::new(Domain::PACKET, Type::DGRAM.nonblocking(), None)?;
    socket.attach_filter(&program)?;
    socket.bind(&address(interface, ETHERTYPE_IP, [0; 6]))?;
    Ok(socket)
}

/// The link-layer address of a station on an interface.
#[allow(unsafe_code)]
fn address(interface: u32, protocol: u16, mac: [u8; 6]) -> SockAddr {
    let mut hardware = [0; 8];
    hardware[..6].copy_from_slice(&mac);
    let link = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol.to_be(),
        sll_ifindex: interface as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: hardware,
    };
    let mut storage = socket2::SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is a socket address that fits into the storage, is plain data, and
    // its length is what is told; neither nix nor socket2 can make one safely.
    unsafe {
        *storage.view_as::<libc::sockaddr_ll>() = link;
        SockAddr::new(storage, std::mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t)
    }
}

/// Where a UDP packet in a frame comes from and goes to.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The interface's index.
    pub interface: u32,
    /// The station.
    pub mac: [u8; 6],
    /// From.
    pub source: (Ipv4Addr, u16),
    /// To.
    pub destination: (Ipv4Addr, u16),
}

/// Everyone on a link.
pub const EVERYONE: [u8; 6] = [0xff; 6];

/// Sends a UDP packet in a frame.
///
/// # Errors
/// Where the interface is down or gone.
pub fn send_udp(socket: &Socket, route: Route, payload: &[u8]) -> io::Result<()> {
    let builder = PacketBuilder::ipv4(route.source.0.octets(), route.destination.0.octets(), 64)
        .udp(route.source.1, route.destination.1);
    let mut packet = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut packet, payload).map_err(|error| io::Error::other(error.to_string()))?;
    socket.send_to(&packet, &address(route.interface, ETHERTYPE_IP, route.mac)).map(drop)
}

/// The source and the payload of a UDP packet to port 68 as a packet socket delivers it. The
/// checksum is not looked at: virtual links leave it undone.
pub fn read_udp(packet: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let head = packet.first_chunk::<20>()?;
    let length = usize::from(head[0] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if head[0] >> 4 != 4 || head[9] != 17 || length < 20 {
        return None;
    }
    let udp = packet.get(length..total.min(packet.len()))?;
    let udp_head = udp.first_chunk::<8>()?;
    if u16::from_be_bytes([udp_head[2], udp_head[3]]) != CLIENT_PORT {
        return None;
    }
    let end = usize::from(u16::from_be_bytes([udp_head[4], udp_head[5]])).min(udp.len());
    Some((Ipv4Addr::new(head[12], head[13], head[14], head[15]), udp.get(8..end)?))
}

/// One ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// An answer rather than a question.
    pub reply: bool,
    /// The sender.
    pub sender: ([u8; 6], Ipv4Addr),
    /// Who is asked or answered.
    pub target: ([u8; 6], Ipv4Addr),
}

/// Reads an ARP packet.
pub fn read_arp(bytes: &[u8]) -> Option<Arp> {
    let b = bytes.first_chunk::<28>()?;
    if b[..6] != [0, 1, 8, 0, 6, 4] || b[6] != 0 || !matches!(b[7], 1 | 2) {
        return None;
    }
    let mac = |at: usize| [b[at], b[at + 1], b[at + 2], b[at + 3], b[at + 4], b[at + 5]];
    let ip = |at: usize| Ipv4Addr::new(b[at], b[at + 1], b[at + 2], b[at + 3]);
    Some(Arp { reply: b[7] == 2, sender: (mac(8), ip(14)), target: (mac(18), ip(24)) })
}

/// Asks everyone on a link who has an address. `source` 0.0.0.0 is a probe that fills no table
/// (RFC 5227).
///
/// # Errors
/// Where the interface is down or gone.
pub fn send_arp(
    socket: &Socket,
    interface: u32,
    mac: [u8; 6],
    source: Ipv4Addr,
    target: Ipv4Addr,
) -> io::Result<()> {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1];
    packet.extend(mac);
    packet.extend(source.octets());
    packet.extend([0; 6]);
    packet.extend(target.octets());
    socket.send_to(&packet, &address(interface, ETHERTYPE_ARP, EVERYONE)).map(drop)
}

/// A socket that the runtime watches.
///
/// # Errors
/// Where the runtime cannot.
#[allow(unsafe_code)]
pub fn watched(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: a `Socket` owns its descriptor, gives the same one for its whole life, and closes
    // it only when the `AsyncFd` that owns it is dropped.
    Ok(unsafe { AsyncFd::register(socket) }?)
}

/// Receives one packet and tells which station sent it.
///
/// # Errors
/// `WouldBlock` where none waits, or what the socket says.
pub fn receive_from(socket: &Socket, buffer: &mut [u8]) -> io::Result<(usize, Option<[u8; 6]>)> {
    use std::os::fd::AsRawFd;
    let (length, from) =
        nix::sys::socket::recvfrom::<nix::sys::socket::LinkAddr>(socket.as_raw_fd(), buffer)?;
    Ok((length, from.and_then(|from| from.addr())))
}

/// Receives one packet into a buffer that the caller keeps.
///
/// # Errors
/// `WouldBlock` where none waits, or what the socket says.
pub fn receive<'a>(mut socket: &Socket, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let length = io::Read::read(&mut socket, buffer)?;
    Ok(&buffer[..length])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_built_packet_is_read_back() {
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 9], 64).udp(67, 68);
        let mut packet = Vec::new();
        builder.write(&mut packet, b"hello").unwrap();
        packet.extend([0; 10]); // padding of the frame
        assert_eq!(read_udp(&packet), Some((Ipv4Addr::new(10, 0, 0, 1), &b"hello"[..])));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read_udp(&bytes);
            let _ = read_arp(&bytes);
        }
    }
}
