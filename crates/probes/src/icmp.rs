//! ICMP messages and the raw socket for them (RFC 792), shared by ping and trace.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::{Error, Layer};

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

/// A raw ICMP socket; receives every ICMP message of the node.
pub struct IcmpSocket(AsyncFd<Socket>);

impl IcmpSocket {
    /// Opens it.
    pub fn open() -> Result<Self, Error> {
        let open = || -> io::Result<Self> {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
            socket.set_recv_buffer_size(256 << 10)?;
            Ok(Self(crate::raw::watch(socket)?))
        };
        open().map_err(|error| {
            Error::new(
                Layer::Probe,
                format!("no raw ICMP socket: {error}: the process needs the capability NET_RAW"),
            )
        })
    }

    /// Time to live of what is sent from now on.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.get_ref().set_ttl_v4(ttl)
    }

    /// Sends one ICMP message.
    pub fn send(&self, message: &[u8], to: Ipv4Addr) -> io::Result<()> {
        let to = SockAddr::from(SocketAddr::V4(SocketAddrV4::new(to, 0)));
        self.0.get_ref().send_to(message, &to).map(|_| ())
    }

    /// The next message that can be read; others are skipped.
    pub async fn receive(&self) -> io::Result<Message> {
        loop {
            if let Some(message) = parse(&crate::raw::receive(&self.0, 4096).await?) {
                return Ok(message);
            }
        }
    }
}

/// A received ICMP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sent it.
    pub from: Ipv4Addr,
    /// Time to live left.
    pub ttl: u8,
    /// Bytes of ICMP.
    pub bytes: usize,
    /// What it says.
    pub body: Body,
}

/// What an ICMP message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// An echo reply.
    Reply {
        /// Identifier.
        id: u16,
        /// Sequence number.
        seq: u16,
        /// Payload.
        payload: Vec<u8>,
    },
    /// An error about a packet that the node sent.
    Error {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
        /// Where that packet went.
        to: Ipv4Addr,
        /// Its protocol: 1 ICMP, 17 UDP.
        protocol: u8,
        /// The first eight bytes of its transport header.
        head: [u8; 8],
    },
}

impl Body {
    /// Identifier and sequence number of the echo request that an error is about.
    pub fn about_echo(&self) -> Option<(u16, u16)> {
        match self {
            Self::Error { protocol: 1, head: [ECHO_REQUEST, _, _, _, a, b, c, d], .. } => {
                Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
            }
            _ => None,
        }
    }

    /// Source and destination port of the datagram that an error is about.
    pub fn about_udp(&self) -> Option<(u16, u16)> {
        match self {
            Self::Error { protocol: 17, head: [a, b, c, d, ..], .. } => {
                Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
            }
            _ => None,
        }
    }
}

/// What `ping` says of an error.
pub fn describe(kind: u8, code: u8) -> String {
    match (kind, code) {
        (UNREACHABLE, 0) => "Destination Net Unreachable".into(),
        (UNREACHABLE, 1) => "Destination Host Unreachable".into(),
        (UNREACHABLE, 2) => "Destination Protocol Unreachable".into(),
        (UNREACHABLE, 3) => "Destination Port Unreachable".into(),
        (UNREACHABLE, 4) => "Frag needed and DF set".into(),
        (UNREACHABLE, 9) => "Destination Net Prohibited".into(),
        (UNREACHABLE, 10) => "Destination Host Prohibited".into(),
        (UNREACHABLE, 13) => "Packet filtered".into(),
        (UNREACHABLE, code) => format!("Destination Unreachable, code {code}"),
        (TIME_EXCEEDED, 0) => "Time to live exceeded".into(),
        (TIME_EXCEEDED, _) => "Frag reassembly time exceeded".into(),
        (PARAMETER_PROBLEM, _) => "Parameter problem".into(),
        (kind, code) => format!("ICMP type {kind} code {code}"),
    }
}

/// What `traceroute` prints behind a time; `None` where the hop is fine.
pub fn mark(kind: u8, code: u8) -> Option<&'static str> {
    match (kind, code) {
        (UNREACHABLE, 0) => Some("!N"),
        (UNREACHABLE, 1) => Some("!H"),
        (UNREACHABLE, 2) => Some("!P"),
        (UNREACHABLE, 4) => Some("!F"),
        (UNREACHABLE, 9 | 10 | 13) => Some("!X"),
        _ => None,
    }
}

/// Whether an error means that the packet ran out of hops.
pub const fn is_time_exceeded(kind: u8) -> bool {
    kind == TIME_EXCEEDED
}

/// An echo request.
pub fn echo_request(id: u16, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![ECHO_REQUEST, 0, 0, 0];
    message.extend(id.to_be_bytes());
    message.extend(seq.to_be_bytes());
    message.extend(payload);
    let sum = checksum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    message
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// An IPv4 packet's source, TTL, protocol, destination and payload.
fn ipv4(packet: &[u8]) -> Option<(Ipv4Addr, u8, u8, Ipv4Addr, &[u8])> {
    let first = *packet.first()?;
    if first >> 4 != 4 {
        return None;
    }
    let head = packet.get(..20)?;
    let address = |at: usize| Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]);
    let payload = packet.get(usize::from(first & 15) * 4..)?;
    Some((address(12), head[8], head[9], address(16), payload))
}

/// Reads an IPv4 packet with ICMP in it; `None` for what is of no use here.
pub fn parse(packet: &[u8]) -> Option<Message> {
    let (from, ttl, protocol, _, icmp) = ipv4(packet)?;
    if protocol != 1 {
        return None;
    }
    let [kind, code, _, _, a, b, c, d] = *icmp.first_chunk::<8>()?;
    let body = match kind {
        ECHO_REPLY => Body::Reply {
            id: u16::from_be_bytes([a, b]),
            seq: u16::from_be_bytes([c, d]),
            payload: icmp[8..].to_vec(),
        },
        UNREACHABLE | TIME_EXCEEDED | PARAMETER_PROBLEM => {
            let (_, _, protocol, to, inner) = ipv4(&icmp[8..])?;
            Body::Error { kind, code, to, protocol, head: *inner.first_chunk::<8>()? }
        }
        _ => return None,
    };
    Some(Message { from, ttl, bytes: icmp.len(), body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(from: [u8; 4], to: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 63, protocol, 0, 0];
        packet.extend(from);
        packet.extend(to);
        packet.extend(payload);
        packet
    }

    #[test]
    fn the_checksum_of_a_checked_message_is_zero() {
        for size in 0..9 {
            let message = echo_request(0xbeef, 7, &vec![0xa5; size]);
            assert_eq!(checksum(&message), 0);
        }
    }

    #[test]
    fn replies_and_errors_are_read() {
        let mut reply = echo_request(5, 6, b"nonce");
        reply[0] = 0;
        let message = parse(&packet([10, 0, 0, 1], [10, 0, 0, 2], 1, &reply)).unwrap();
        assert_eq!(message.body, Body::Reply { id: 5, seq: 6, payload: b"nonce".to_vec() });
        assert_eq!((message.ttl, message.bytes), (63, 13));

        let asked = packet([10, 0, 0, 2], [10, 9, 9, 9], 1, &echo_request(5, 6, b"nonce"));
        let mut error = vec![3, 1, 0, 0, 0, 0, 0, 0];
        error.extend(&asked);
        let message = parse(&packet([10, 0, 0, 254], [10, 0, 0, 2], 1, &error)).unwrap();
        assert_eq!(message.body.about_echo(), Some((5, 6)));
        assert_eq!(message.body.about_udp(), None);
        assert_eq!(describe(3, 1), "Destination Host Unreachable");
    }

    #[test]
    fn no_bytes_of_any_kind_stop_it() {
        let mut whole = vec![11, 0, 0, 0, 0, 0, 0, 0];
        whole.extend(packet([1; 4], [2; 4], 17, &[0; 8]));
        let whole = packet([3; 4], [4; 4], 1, &whole);
        for cut in 0..whole.len() {
            for value in [0, 0x4f, 0xff] {
                let mut bytes = whole[..cut].to_vec();
                let _ = parse(&bytes);
                if let Some(last) = bytes.last_mut() {
                    *last = value;
                }
                let _ = parse(&bytes);
            }
        }
    }
}
