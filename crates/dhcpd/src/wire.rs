//! DHCP messages as bytes (RFC 2131 section 2, RFC 2132, RFC 3396).
//!
//! Options stay bytes by number, because a server must give some of them back exactly as they
//! came (option 82, RFC 3046; option 61, RFC 6842) and one odd option must not hide the others.
//! Decoding is total: whatever arrives is a packet or [`Malformed`].

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The port of servers and relay agents.
pub const SERVER_PORT: u16 = 67;
/// The port of clients.
pub const CLIENT_PORT: u16 = 68;
/// The least bytes of a message: what BOOTP had, and some relays still expect.
const MIN_LENGTH: usize = 300;
/// The fixed part: header, magic cookie.
const HEADER: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// The most bytes of a message that this crate builds or reads.
pub const MAX_LENGTH: usize = 1472;
const BROADCAST_FLAG: u16 = 0x8000;

/// Option numbers (RFC 2132 and later).
pub mod option {
    #![allow(missing_docs)]
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DNS: u8 = 6;
    pub const HOSTNAME: u8 = 12;
    pub const DOMAIN: u8 = 15;
    pub const BROADCAST: u8 = 28;
    pub const STATIC_ROUTES: u8 = 33;
    pub const NTP: u8 = 42;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_ID: u8 = 54;
    pub const PARAMETERS: u8 = 55;
    pub const MESSAGE: u8 = 56;
    pub const MAX_SIZE: u8 = 57;
    pub const T1: u8 = 58;
    pub const T2: u8 = 59;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_ID: u8 = 61;
    pub const RELAY_INFO: u8 = 82;
    pub const SUBNET_SELECTION: u8 = 118;
    pub const CLASSLESS_ROUTES: u8 = 121;
}

/// Why bytes are not a DHCP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than the fixed part.
    #[error("the message is shorter than its fixed part of 240 bytes")]
    Short,
    /// Not a request and not a reply.
    #[error("the message is neither request nor reply")]
    Operation,
    /// BOOTP without the magic cookie, or something else.
    #[error("the message lacks the DHCP magic cookie")]
    Cookie,
    /// A hardware address of more than 16 bytes.
    #[error("the hardware address is longer than its field")]
    Hardware,
}

/// What a message is (option 53).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Who has an address for me?
    Discover,
    /// I have this one.
    Offer,
    /// I take it, or: may I keep it?
    Request,
    /// It is taken by someone else.
    Decline,
    /// Yes.
    Ack,
    /// No.
    Nak,
    /// I do not need it any more.
    Release,
    /// I have an address; tell me the rest.
    Inform,
}

impl Kind {
    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            Kind::Discover => 1,
            Kind::Offer => 2,
            Kind::Request => 3,
            Kind::Decline => 4,
            Kind::Ack => 5,
            Kind::Nak => 6,
            Kind::Release => 7,
            Kind::Inform => 8,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Kind::Discover,
            2 => Kind::Offer,
            3 => Kind::Request,
            4 => Kind::Decline,
            5 => Kind::Ack,
            6 => Kind::Nak,
            7 => Kind::Release,
            8 => Kind::Inform,
            _ => return None,
        })
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// From a client (BOOTREQUEST) rather than from a server.
    pub request: bool,
    /// Hardware type; 1 is Ethernet.
    pub htype: u8,
    /// Relay agents passed.
    pub hops: u8,
    /// Transaction id.
    pub xid: u32,
    /// Seconds since the client began.
    pub secs: u16,
    /// Whether the client can only receive broadcasts yet.
    pub broadcast: bool,
    /// The client's address, where it has one.
    pub ciaddr: Ipv4Addr,
    /// "Your" address.
    pub yiaddr: Ipv4Addr,
    /// The next server of a boot.
    pub siaddr: Ipv4Addr,
    /// The relay agent.
    pub giaddr: Ipv4Addr,
    /// The client's hardware address.
    pub chaddr: Vec<u8>,
    /// Options by number.
    pub options: BTreeMap<u8, Vec<u8>>,
}

impl Packet {
    /// An empty request of an Ethernet client.
    pub fn request(kind: Kind, xid: u32, mac: [u8; 6]) -> Self {
        let mut packet = Self {
            request: true,
            htype: 1,
            hops: 0,
            xid,
            secs: 0,
            broadcast: false,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr: mac.to_vec(),
            options: BTreeMap::new(),
        };
        packet.set_kind(kind);
        packet
    }

    /// An empty reply to a request: what RFC 2131 table 3 copies.
    pub fn reply(to: &Packet, kind: Kind) -> Self {
        let mut packet = Self {
            request: false,
            htype: to.htype,
            hops: 0,
            xid: to.xid,
            secs: 0,
            broadcast: to.broadcast,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: to.giaddr,
            chaddr: to.chaddr.clone(),
            options: BTreeMap::new(),
        };
        packet.set_kind(kind);
        packet
    }

    /// What it is; `None` for BOOTP and unknown numbers.
    pub fn kind(&self) -> Option<Kind> {
        match self.options.get(&option::MESSAGE_TYPE)?.as_slice() {
            [number] => Kind::from_number(*number),
            _ => None,
        }
    }

    /// Sets what it is.
    pub fn set_kind(&mut self, kind: Kind) {
        self.options.insert(option::MESSAGE_TYPE, vec![kind.number()]);
    }

    /// An option that is one address.
    pub fn address(&self, number: u8) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.options.get(&number)?.as_slice().try_into().ok()?;
        Some(Ipv4Addr::from(octets))
    }

    /// An option that is a list of addresses; a partial one at its end is dropped.
    pub fn addresses(&self, number: u8) -> Vec<Ipv4Addr> {
        let bytes = self.options.get(&number).map_or(&[][..], Vec::as_slice);
        bytes.as_chunks::<4>().0.iter().map(|octets| Ipv4Addr::from(*octets)).collect()
    }

    /// An option that is a number of four bytes.
    pub fn u32(&self, number: u8) -> Option<u32> {
        let bytes: [u8; 4] = self.options.get(&number)?.as_slice().try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    /// An option that is text; NULs at its end are dropped, other odd bytes replaced.
    pub fn text(&self, number: u8) -> Option<String> {
        let bytes = self.options.get(&number)?;
        let text = String::from_utf8_lossy(bytes);
        let text: String =
            text.trim_end_matches('\0').chars().filter(|c| !c.is_control()).collect();
        (!text.is_empty()).then_some(text)
    }

    /// Sets an option that is one address.
    pub fn set_address(&mut self, number: u8, address: Ipv4Addr) {
        self.options.insert(number, address.octets().to_vec());
    }

    /// Sets an option that is a list of addresses; nothing where the list is empty.
    pub fn set_addresses(&mut self, number: u8, addresses: &[Ipv4Addr]) {
        if !addresses.is_empty() {
            let bytes = addresses.iter().flat_map(Ipv4Addr::octets).collect();
            self.options.insert(number, bytes);
        }
    }

    /// Sets an option that is a number of four bytes.
    pub fn set_u32(&mut self, number: u8, value: u32) {
        self.options.insert(number, value.to_be_bytes().to_vec());
    }

    /// The client identifier; an empty one counts as absent, or all who send it would collide.
    pub fn client_id(&self) -> Option<&[u8]> {
        self.options.get(&option::CLIENT_ID).map(Vec::as_slice).filter(|id| !id.is_empty())
    }

    /// Reads a message.
    ///
    /// # Errors
    /// Where the bytes are no DHCP message. A broken option ends the options, it is no error.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let Some((head, tail)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(Malformed::Short);
        };
        let request = match head[0] {
            1 => true,
            2 => false,
            _ => return Err(Malformed::Operation),
        };
        if head[236..] != COOKIE {
            return Err(Malformed::Cookie);
        }
        let hlen = usize::from(head[2]);
        if hlen > 16 {
            return Err(Malformed::Hardware);
        }
        let address = |at: usize| Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]);
        let mut options = BTreeMap::new();
        read_options(tail, &mut options);
        // RFC 2132 section 9.3: the fields for names may carry options as well.
        let overload = match options.remove(&option::OVERLOAD).as_deref() {
            Some([which]) => *which,
            _ => 0,
        };
        if overload & 1 != 0 {
            read_options(&head[108..236], &mut options);
        }
        if overload & 2 != 0 {
            read_options(&head[44..108], &mut options);
        }
        options.remove(&option::OVERLOAD);
        Ok(Self {
            request,
            htype: head[1],
            hops: head[3],
            xid: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            secs: u16::from_be_bytes([head[8], head[9]]),
            broadcast: u16::from_be_bytes([head[10], head[11]]) & BROADCAST_FLAG != 0,
            ciaddr: address(12),
            yiaddr: address(16),
            siaddr: address(20),
            giaddr: address(24),
            chaddr: head[28..28 + hlen].to_vec(),
            options,
        })
    }

    /// Writes a message: the type first, relay information last (RFC 3046 section 2.1), long
    /// options in pieces (RFC 3396). Options that do not fit into `limit` bytes are left out,
    /// those of `order` being put in first, so that what a client asked for survives.
    pub fn encode(&self, order: &[u8], limit: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(MIN_LENGTH.max(HEADER + 120));
        out.extend([if self.request { 1 } else { 2 }, self.htype]);
        let chaddr = &self.chaddr[..self.chaddr.len().min(16)];
        out.extend([chaddr.len() as u8, self.hops]);
        out.extend(self.xid.to_be_bytes());
        out.extend(self.secs.to_be_bytes());
        out.extend(if self.broadcast { BROADCAST_FLAG } else { 0 }.to_be_bytes());
        for address in [self.ciaddr, self.yiaddr, self.siaddr, self.giaddr] {
            out.extend(address.octets());
        }
        out.extend(chaddr);
        out.resize(236, 0);
        out.extend(COOKIE);

        const FIRST: [u8; 7] = [
            option::MESSAGE_TYPE,
            option::SERVER_ID,
            option::LEASE_TIME,
            option::T1,
            option::T2,
            option::SUBNET_MASK,
            option::CLIENT_ID,
        ];
        let limit = limit.clamp(HEADER + 68, MAX_LENGTH);
        let last = self.options.get(&option::RELAY_INFO);
        let room = limit - 1 - last.map_or(0, |bytes| encoded_length(bytes.len()));
        let mut done = [false; 256];
        done[usize::from(option::RELAY_INFO)] = true;
        let every = FIRST.iter().chain(order).copied().chain(self.options.keys().copied());
        for number in every {
            if std::mem::replace(&mut done[usize::from(number)], true) {
                continue;
            }
            if let Some(bytes) = self.options.get(&number)
                && out.len() + encoded_length(bytes.len()) <= room
            {
                put_option(&mut out, number, bytes);
            }
        }
        if let Some(bytes) = last {
            put_option(&mut out, option::RELAY_INFO, bytes);
        }
        out.push(255);
        if out.len() < MIN_LENGTH {
            out.resize(MIN_LENGTH, 0);
        }
        out
    }
}

fn encoded_length(length: usize) -> usize {
    length + 2 * length.div_ceil(255).max(1)
}

fn put_option(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    if bytes.is_empty() {
        out.extend([number, 0]);
    }
    for piece in bytes.chunks(255) {
        out.extend([number, piece.len() as u8]);
        out.extend(piece);
    }
}

/// Reads options until the end mark or the first that runs over the end; pieces of one number
/// are joined (RFC 3396 section 7).
fn read_options(mut bytes: &[u8], into: &mut BTreeMap<u8, Vec<u8>>) {
    while let Some((&number, rest)) = bytes.split_first() {
        match number {
            0 => bytes = rest,
            255 => return,
            _ => {
                let Some((&length, rest)) = rest.split_first() else { return };
                let Some((value, rest)) = rest.split_at_checked(usize::from(length)) else {
                    return;
                };
                into.entry(number).or_default().extend_from_slice(value);
                bytes = rest;
            }
        }
    }
}

/// Routes as option 121 writes them (RFC 3442).
pub fn classless_routes(routes: &[(ipnet::Ipv4Net, Ipv4Addr)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (to, via) in routes {
        let significant = usize::from(to.prefix_len().div_ceil(8));
        bytes.push(to.prefix_len());
        bytes.extend(&to.network().octets()[..significant]);
        bytes.extend(via.octets());
    }
    bytes
}

/// Reads option 121; what is broken ends the list.
pub fn read_classless_routes(mut bytes: &[u8]) -> Vec<(ipnet::Ipv4Net, Ipv4Addr)> {
    let mut routes = Vec::new();
    while let Some((&prefix, rest)) = bytes.split_first() {
        if prefix > 32 {
            break;
        }
        let significant = usize::from(prefix.div_ceil(8));
        let Some((network, rest)) = rest.split_at_checked(significant) else { break };
        let Some((via, rest)) = rest.split_first_chunk::<4>() else { break };
        let mut octets = [0; 4];
        octets[..significant].copy_from_slice(network);
        if let Ok(to) = ipnet::Ipv4Net::new(octets.into(), prefix) {
            routes.push((to.trunc(), Ipv4Addr::from(*via)));
        }
        bytes = rest;
    }
    routes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    #[test]
    fn a_message_survives_the_wire_with_long_options_and_82_last() {
        let mut packet = Packet::request(Kind::Discover, 7, MAC);
        packet.options.insert(43, vec![9; 600]);
        packet.options.insert(option::RELAY_INFO, vec![1, 2, 3, 4]);
        packet.options.insert(150, vec![1, 2, 3, 4]);
        let bytes = packet.encode(&[], MAX_LENGTH);
        assert_eq!(Packet::decode(&bytes).unwrap(), packet);
        assert_eq!(bytes[240..243], [53, 1, 1]);
        assert_eq!(bytes[bytes.len() - 7..], [82, 4, 1, 2, 3, 4, 255]);
    }

    #[test]
    fn what_a_client_asked_for_survives_a_small_limit() {
        let mut packet = Packet::request(Kind::Ack, 7, MAC);
        packet.options.insert(43, vec![9; 200]);
        packet.options.insert(150, vec![1; 100]);
        let bytes = packet.encode(&[150], 400);
        let small = Packet::decode(&bytes).unwrap();
        assert!(small.options.contains_key(&150) && !small.options.contains_key(&43));
        assert!(bytes.len() <= 400);
    }

    #[test]
    fn options_in_the_name_fields_are_read() {
        let mut bytes = Packet::request(Kind::Discover, 7, MAC).encode(&[], MAX_LENGTH);
        bytes[243..246].copy_from_slice(&[52, 1, 3]);
        bytes[246] = 255;
        bytes[44..47].copy_from_slice(&[12, 1, b'a']);
        bytes[108..111].copy_from_slice(&[15, 1, b'b']);
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!(packet.text(12).as_deref(), Some("a"));
        assert_eq!(packet.text(15).as_deref(), Some("b"));
    }

    #[test]
    fn routes_survive_option_121() {
        let routes = [
            ("0.0.0.0/0".parse().unwrap(), Ipv4Addr::new(10, 0, 0, 1)),
            ("10.17.0.0/20".parse().unwrap(), Ipv4Addr::new(10, 0, 0, 2)),
        ];
        assert_eq!(read_classless_routes(&classless_routes(&routes)), routes);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            let _ = Packet::decode(&bytes);
            let _ = read_classless_routes(&bytes);
        }

        #[test]
        fn any_options_survive(tail in proptest::collection::vec(any::<u8>(), 0..400), xid: u32) {
            let mut bytes = Packet::request(Kind::Discover, xid, MAC).encode(&[], MAX_LENGTH);
            bytes.truncate(243);
            bytes.extend(tail);
            let first = Packet::decode(&bytes).unwrap();
            let again = Packet::decode(&first.encode(&[], MAX_LENGTH)).unwrap();
            prop_assert_eq!(&first, &again);
        }

        // dhcproto is the second opinion, not the reader: it panics on some options of a wrong
        // length and on hardware addresses longer than their field.
        #[test]
        fn an_independent_reader_agrees(
            numbers in proptest::collection::btree_map(224u8..254, proptest::collection::vec(any::<u8>(), 1..60), 0..6),
            xid: u32, name in "[a-z]{1,20}",
        ) {
            use dhcproto::{Decodable, v4};
            let mut packet = Packet::request(Kind::Request, xid, MAC);
            packet.options.extend(numbers.clone());
            packet.options.insert(option::HOSTNAME, name.clone().into_bytes());
            packet.set_address(option::REQUESTED_ADDRESS, Ipv4Addr::new(10, 1, 2, 3));
            let bytes = packet.encode(&[], MAX_LENGTH);
            let other = v4::Message::decode(&mut dhcproto::Decoder::new(&bytes)).unwrap();
            prop_assert_eq!((other.xid(), other.chaddr()), (xid, &MAC[..]));
            prop_assert_eq!(other.opts().msg_type(), Some(v4::MessageType::Request));
            prop_assert_eq!(other.opts().get(v4::OptionCode::Hostname), Some(&v4::DhcpOption::Hostname(name)));
            prop_assert_eq!(other.opts().len(), packet.options.len());
            for (number, value) in numbers {
                match other.opts().get(v4::OptionCode::from(number)) {
                    Some(v4::DhcpOption::Unknown(unknown)) => prop_assert_eq!(unknown.data(), &value[..]),
                    found => prop_assert!(false, "option {} became {:?}", number, found),
                }
            }
        }
    }
}
