//! Ports that are bound in a network namespace, by sock_diag(7).
//!
//! `/proc/net/tcp` tells the same, but to read it the kernel walks its table of all connections of
//! the whole machine (some milliseconds); asked for listening sockets only, it does not.

use std::collections::BTreeSet;
use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};

use crate::{Error, Result};

/// `SOCK_DIAG_BY_FAMILY` (linux/sock_diag.h).
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The bit of `TCP_LISTEN` among states.
const LISTEN: u32 = 1 << 10;
/// A netlink header, and `struct inet_diag_req_v2` after it.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;

/// Ports that answer: TCP ones that are listened on, UDP ones that are bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// TCP.
    pub tcp: BTreeSet<u16>,
    /// UDP.
    pub udp: BTreeSet<u16>,
}

/// The ports of the calling thread's network namespace, IPv4 and IPv6 together. Blocks for less
/// than a millisecond.
///
/// # Errors
/// When the kernel gives no such socket, or knows the question for TCP or UDP not.
pub fn bound_ports() -> Result<Ports> {
    let failed = |source| Error::Io { doing: "asking for bound ports".into(), source };
    let open = || -> io::Result<Socket> {
        let socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(socket)
    };
    let socket = open().map_err(failed)?;
    let mut ports = Ports::default();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for (protocol, states, found) in [
            (libc::IPPROTO_TCP, LISTEN, &mut ports.tcp),
            (libc::IPPROTO_UDP, u32::MAX, &mut ports.udp),
        ] {
            socket.send(&request(family as u8, protocol as u8, states), 0).map_err(failed)?;
            while receive(&socket, found).map_err(failed)? {}
        }
    }
    Ok(ports)
}

fn request(family: u8, protocol: u8, states: u32) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    bytes[..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    bytes[HEADER] = family;
    bytes[HEADER + 1] = protocol;
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&states.to_ne_bytes());
    bytes
}

/// Takes one datagram of the answer; whether there is more.
fn receive(socket: &Socket, found: &mut BTreeSet<u16>) -> io::Result<bool> {
    let (bytes, _) = socket.recv_from_full()?;
    if bytes.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    read(&bytes, found)
}

fn read(mut bytes: &[u8], found: &mut BTreeSet<u16>) -> io::Result<bool> {
    while let Some((head, _)) = bytes.split_first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(body) = bytes.get(HEADER..length) else { break };
        match u16::from_ne_bytes([head[4], head[5]]) {
            DONE => return Ok(false),
            ERROR => {
                let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                return Err(io::Error::from_raw_os_error(code.saturating_neg()));
            }
            // `struct inet_diag_msg`: four bytes, then the own port in network order.
            _ => found.extend(body.get(4..6).map(|port| u16::from_be_bytes([port[0], port[1]]))),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bound_here_is_found_and_connections_are_not() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let six = std::net::TcpListener::bind("[::1]:0");
        let (tcp_port, udp_port) =
            (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
        let client = std::net::TcpStream::connect(("127.0.0.1", tcp_port)).unwrap();
        let ports = match bound_ports() {
            Ok(ports) => ports,
            Err(error) => return println!("SKIPPED: this kernel has no sock_diag: {error}"),
        };
        assert!(ports.tcp.contains(&tcp_port) && ports.udp.contains(&udp_port), "{ports:?}");
        assert!(!ports.tcp.contains(&client.local_addr().unwrap().port()), "{ports:?}");
        if let Ok(six) = six {
            assert!(ports.tcp.contains(&six.local_addr().unwrap().port()), "{ports:?}");
        }
        drop((tcp, udp));
        let ports = bound_ports().unwrap();
        assert!(!ports.tcp.contains(&tcp_port) && !ports.udp.contains(&udp_port));
    }

    #[test]
    fn an_answer_may_be_cut_off_anywhere_or_say_no() {
        let mut whole = request(2, 6, 0).to_vec();
        whole[HEADER + 4..HEADER + 6].copy_from_slice(&25u16.to_be_bytes());
        for end in 0..whole.len() {
            let mut found = BTreeSet::new();
            assert!(read(&whole[..end], &mut found).unwrap());
            assert!(found.is_empty());
        }
        let mut found = BTreeSet::new();
        read(&whole, &mut found).unwrap();
        assert_eq!(found, [25].into());
        let mut refused = 20u32.to_ne_bytes().to_vec();
        refused.extend(ERROR.to_ne_bytes());
        refused.extend([0; 10]);
        refused.extend((-libc::ENOENT).to_ne_bytes());
        let error = read(&refused, &mut found).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        // A length of nothing must not be read for ever.
        assert!(read(&[0; 16], &mut found).unwrap());
    }
}
