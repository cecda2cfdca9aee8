//! What a dissection consists of.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Dhcp, Dns};

/// A layer with its fields, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// `Ethernet`, `IPv4`, `TCP`, …
    pub name: String,
    /// Name and value, in the order of the wire.
    pub fields: Vec<(String, String)>,
    /// Whether the fields are left out.
    #[serde(skip)]
    pub(crate) brief: bool,
}

impl Layer {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), fields: Vec::new(), brief: false }
    }

    pub(crate) fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        if !self.brief {
            self.fields.push((name.into(), value.to_string()));
        }
    }
}

/// A MAC address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Whether it means everybody.
    pub fn is_broadcast(self) -> bool {
        self.0 == [0xff; 6]
    }

    /// Whether it means more than one.
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// ARP (RFC 826).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Whether it asks.
    pub request: bool,
    /// Who speaks.
    pub sender: (Mac, Ipv4Addr),
    /// Who is asked for or spoken to.
    pub target: (Mac, Ipv4Addr),
}

/// The part of an IP header that following a packet needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Source.
    pub source: IpAddr,
    /// Destination.
    pub destination: IpAddr,
    /// Time to live.
    pub ttl: u8,
    /// Identification (IPv4).
    pub id: u16,
    /// The protocol above.
    pub protocol: u8,
    /// Offset of this fragment, in bytes.
    pub fragment: u16,
    /// Whether more fragments follow.
    pub more: bool,
    /// Where the header begins in the frame.
    pub header: usize,
    /// Where what it carries begins in the frame.
    pub begin: usize,
    /// Where that ends on the wire; beyond the frame where it was cut off.
    pub end: usize,
}

impl Ip {
    /// Whether this is only a part of a packet.
    pub fn is_fragment(&self) -> bool {
        self.more || self.fragment > 0
    }
}

/// TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// Flags, FIN being bit 0.
    pub flags: u8,
    /// Where the payload lies in the frame.
    pub payload: Range<usize>,
    /// How long the payload is on the wire, also where it was cut off.
    pub length: usize,
}

impl Tcp {
    /// FIN.
    pub const FIN: u8 = 1;
    /// SYN.
    pub const SYN: u8 = 2;
    /// RST.
    pub const RST: u8 = 4;
    /// ACK.
    pub const ACK: u8 = 16;

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Where the payload lies in the frame.
    pub payload: Range<usize>,
}

/// ICMP (RFC 792).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Identifier and sequence number of an echo.
    pub echo: (u16, u16),
    /// Destination of the packet that an error is about.
    pub about: Option<Ipv4Addr>,
}

/// What is in a frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dissection {
    /// Every layer, outermost first.
    pub layers: Vec<Layer>,
    /// Source and destination on the link.
    pub macs: Option<(Mac, Mac)>,
    /// ARP.
    pub arp: Option<Arp>,
    /// IPv4 or IPv6.
    pub ip: Option<Ip>,
    /// TCP.
    pub tcp: Option<Tcp>,
    /// UDP.
    pub udp: Option<Udp>,
    /// ICMP.
    pub icmp: Option<Icmp>,
    /// DNS.
    pub dns: Option<Dns>,
    /// DHCP.
    pub dhcp: Option<Dhcp>,
    /// The innermost protocol, lower case: `arp`, `dns`, `smtp`, …
    pub protocol: String,
    /// One line about it.
    pub info: String,
    /// Whether the layers' fields are left out.
    pub(crate) brief: bool,
}

impl Dissection {
    pub(crate) fn layer(&self, name: &str) -> Layer {
        Layer { brief: self.brief, ..Layer::new(name) }
    }

    /// Source and destination as Wireshark's columns show them.
    pub fn ends(&self) -> (String, String) {
        if let Some(ip) = &self.ip {
            return (ip.source.to_string(), ip.destination.to_string());
        }
        match self.macs {
            Some((source, destination)) => (source.to_string(), destination.to_string()),
            None => Default::default(),
        }
    }

    /// Source and destination port.
    pub fn ports(&self) -> Option<(u16, u16)> {
        if let Some(tcp) = &self.tcp {
            return Some((tcp.source, tcp.destination));
        }
        self.udp.as_ref().map(|udp| (udp.source, udp.destination))
    }
}
