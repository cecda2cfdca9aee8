//! What is in a frame, layer by layer, field by field.
//!
//! Total: any bytes give a [`Dissection`]; what is cut off or malformed ends the layers with one
//! that says so. Checksums are told but never judged: veth leaves them undone.

mod application;
mod dhcp;
mod dns;
mod reader;
mod rip;
mod tls;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use application::{Application, by_port, shown};
pub use dhcp::Dhcp;
pub use dns::Dns;
use reader::{Reader, Short};
pub use tls::hello as tls_hello;

/// A layer with its fields, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// `Ethernet`, `IPv4`, `TCP`, …
    pub name: String,
    /// Name and value, in the order of the wire.
    pub fields: Vec<(String, String)>,
}

impl Layer {
    fn new(name: &str) -> Self {
        Self { name: name.into(), fields: Vec::new() }
    }

    fn add(&mut self, name: &str, value: impl ToString) {
        self.fields.push((name.into(), value.to_string()));
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
}

impl Dissection {
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

/// Reads a frame that begins with its Ethernet header.
pub fn dissect(data: &[u8]) -> Dissection {
    let mut found = Dissection::default();
    if ethernet(data, &mut found).is_err() {
        let mut layer = Layer::new("Cut off");
        layer.add("note", "the frame ends within the next layer");
        found.layers.push(layer);
        if found.info.is_empty() {
            found.info = "cut off".into();
        }
    }
    if found.protocol.is_empty() {
        found.protocol = "ethernet".into();
    }
    found
}

fn ethernet(data: &[u8], found: &mut Dissection) -> Result<(), Short> {
    let mut r = Reader::new(data, 0);
    let destination = Mac(r.array()?);
    let source = Mac(r.array()?);
    let mut kind = r.u16()?;
    let mut layer = Layer::new("Ethernet");
    layer.add("destination", destination);
    layer.add("source", source);
    found.macs = Some((source, destination));
    let mut tags = 0;
    while matches!(kind, 0x8100 | 0x88a8) && tags < 4 {
        let tag = r.u16()?;
        layer.add("VLAN", tag & 0x0fff);
        kind = r.u16()?;
        tags += 1;
    }
    layer.add("type", format!("0x{kind:04x} ({})", ether_type(kind)));
    found.layers.push(layer);
    match kind {
        0x0800 => ipv4(r, found),
        0x0806 => arp(r, found),
        0x86dd => ipv6(r, found),
        _ => {
            found.protocol = ether_type(kind).to_ascii_lowercase();
            found.info = format!("{} bytes", data.len());
            Ok(())
        }
    }
}

fn ether_type(kind: u16) -> &'static str {
    match kind {
        0x0800 => "IPv4",
        0x0806 => "ARP",
        0x86dd => "IPv6",
        0x88cc => "LLDP",
        0..=1500 => "LLC",
        _ => "Ethernet",
    }
}

fn arp(mut r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
    found.protocol = "arp".into();
    let hardware = r.u16()?;
    let protocol = r.u16()?;
    let sizes = r.u16()?;
    let operation = r.u16()?;
    let mut layer = Layer::new("ARP");
    layer.add(
        "operation",
        match operation {
            1 => "1 (request)".to_owned(),
            2 => "2 (reply)".to_owned(),
            n => n.to_string(),
        },
    );
    if (hardware, protocol, sizes) != (1, 0x0800, 0x0604) {
        layer.add("note", "not for Ethernet and IPv4");
        found.layers.push(layer);
        return Ok(());
    }
    let sender = (Mac(r.array()?), Ipv4Addr::from(r.array()?));
    let target = (Mac(r.array()?), Ipv4Addr::from(r.array()?));
    layer.add("sender MAC", sender.0);
    layer.add("sender IP", sender.1);
    layer.add("target MAC", target.0);
    layer.add("target IP", target.1);
    found.layers.push(layer);
    found.info = if operation != 1 {
        format!("{} is at {}", sender.1, sender.0)
    } else if sender.1 == target.1 {
        format!("{} announces itself", sender.1)
    } else if sender.1.is_unspecified() {
        format!("is {} taken?", target.1)
    } else {
        format!("who has {}? tell {}", target.1, sender.1)
    };
    found.arp = Some(Arp { request: operation == 1, sender, target });
    Ok(())
}

fn ipv4(mut r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
    found.protocol = "ipv4".into();
    let start = r.at();
    let first = r.u8()?;
    let header = usize::from(first & 15) * 4;
    let tos = r.u8()?;
    let total = usize::from(r.u16()?);
    let id = r.u16()?;
    let fragment = r.u16()?;
    let ttl = r.u8()?;
    let protocol = r.u8()?;
    let checksum = r.u16()?;
    let source = Ipv4Addr::from(r.array()?);
    let destination = Ipv4Addr::from(r.array()?);
    let mut layer = Layer::new("IPv4");
    layer.add("header length", format!("{header} bytes"));
    layer.add("type of service", format!("0x{tos:02x}"));
    layer.add("total length", format!("{total} bytes"));
    layer.add("identification", id);
    let offset = (fragment & 0x1fff) * 8;
    let more = fragment & 0x2000 != 0;
    layer.add("don't fragment", fragment & 0x4000 != 0);
    if more || offset > 0 {
        layer.add(
            "fragment",
            format!("at byte {offset}{}", if more { ", more follow" } else { ", the last" }),
        );
    }
    layer.add("time to live", ttl);
    layer.add("protocol", format!("{protocol} ({})", ip_protocol(protocol)));
    layer.add("header checksum", format!("0x{checksum:04x}"));
    layer.add("source", source);
    layer.add("destination", destination);
    found.layers.push(layer);
    found.ip = Some(Ip {
        source: source.into(),
        destination: destination.into(),
        ttl,
        id,
        protocol,
        fragment: offset,
    });
    found.info = format!("{source} to {destination}, {}", ip_protocol(protocol));
    if first >> 4 != 4 || header < 20 {
        return Err(Short);
    }
    r.skip_to(start + header)?;
    // Padding up to the least frame length is not the packet's. A total length of 0 is what
    // segmentation offload leaves.
    if total >= header {
        r.end_at(start + total);
    }
    if offset > 0 {
        found.info = format!("a later fragment, byte {offset}");
        return Ok(());
    }
    transport(protocol, r, found)
}

fn ipv6(mut r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
    found.protocol = "ipv6".into();
    let first = r.u32()?;
    let length = usize::from(r.u16()?);
    let mut next = r.u8()?;
    let ttl = r.u8()?;
    let source = Ipv6Addr::from(r.array::<16>()?);
    let destination = Ipv6Addr::from(r.array::<16>()?);
    let mut layer = Layer::new("IPv6");
    layer.add("traffic class", (first >> 20) & 0xff);
    layer.add("flow label", first & 0x000f_ffff);
    layer.add("payload length", format!("{length} bytes"));
    layer.add("next header", format!("{next} ({})", ip_protocol(next)));
    layer.add("hop limit", ttl);
    layer.add("source", source);
    layer.add("destination", destination);
    found.layers.push(layer);
    r.end_at(r.at() + length);
    // Extension headers that are passed over: hop-by-hop, routing, destination options.
    let mut steps = 0;
    while matches!(next, 0 | 43 | 60) && steps < 8 {
        next = r.u8()?;
        let rest = usize::from(r.u8()?) * 8 + 6;
        r.skip_to(r.at() + rest)?;
        steps += 1;
    }
    found.ip = Some(Ip {
        source: source.into(),
        destination: destination.into(),
        ttl,
        id: 0,
        protocol: next,
        fragment: 0,
    });
    found.info = format!("{source} to {destination}, {}", ip_protocol(next));
    transport(next, r, found)
}

fn ip_protocol(protocol: u8) -> &'static str {
    match protocol {
        1 => "ICMP",
        2 => "IGMP",
        6 => "TCP",
        17 => "UDP",
        58 => "ICMPv6",
        89 => "OSPF",
        _ => "another protocol",
    }
}

fn transport(protocol: u8, r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
    match protocol {
        1 => icmp(r, found),
        6 => tcp(r, found),
        17 => udp(r, found),
        58 => {
            found.protocol = "icmpv6".into();
            icmpv6(r, found)
        }
        2 => {
            found.protocol = "igmp".into();
            Ok(())
        }
        _ => Ok(()),
    }
}

fn icmp(mut r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
    found.protocol = "icmp".into();
    let (kind, code) = (r.u8()?, r.u8()?);
    let checksum = r.u16()?;
    let (a, b) = (r.u16()?, r.u16()?);
    let mut layer = Layer::new("ICMP");
    let word = match (kind, code) {
        (0, _) => "echo reply",
        (3, 0) => "network unreachable",
        (3, 1) => "host unreachable",
        (3, 2) => "protocol unreachable",
        (3, 3) => "port unreachable",
        (3, 4) => "fragmentation needed",
        (3, 9 | 10 | 13) => "forbidden by a filter",
        (3, _) => "unreachable",
        (5, _) => "redirect",
        (8, _) => "echo request",
        (11, 0) => "time to live exceeded",
        (11, _) => "reassembly time exceeded",
        _ => "ICMP",
    };
    layer.add("type", format!("{kind} ({word})"));
    layer.add("code", code);
    layer.add("checksum", format!("0x{checksum:04x}"));
    let mut about = None;
    if matches!(kind, 0 | 8) {
        layer.add("identifier", a);
        layer.add("sequence", b);
        found.info = format!("{word}, sequence {b}");
    } else {
        found.info = word.to_owned();
        if matches!(kind, 3 | 5 | 11)
            && r.skip_to(r.at() + 16).is_ok()
            && let Ok(address) = r.array::<4>()
        {
            let address = Ipv4Addr::from(address);
            layer.add("about a packet to", address);
            found.info = format!("{word}, about a packet to {address}");
            about = Some(address);
        }
    }
    found.layers.push(layer);
    found.icmp = Some(Icmp { kind, code, echo: (a, b), about });
    Ok(())
}

fn icmpv6(mut r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
    let (kind, code) = (r.u8()?, r.u8()?);
    let word = match kind {
        1 => "unreachable",
        3 => "hop limit exceeded",
        128 => "echo request",
        129 => "echo reply",
        133 => "router solicitation",
        134 => "router advertisement",
        135 => "neighbour solicitation",
        136 => "neighbour advertisement",
        143 => "multicast listener report",
        _ => "ICMPv6",
    };
    let mut layer = Layer::new("ICMPv6");
    layer.add("type", format!("{kind} ({word})"));
    layer.add("code", code);
    found.layers.push(layer);
    found.info = word.into();
    Ok(())
}

fn udp(mut r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
    found.protocol = "udp".into();
    let (source, destination) = (r.u16()?, r.u16()?);
    let length = r.u16()?;
    let checksum = r.u16()?;
    let mut layer = Layer::new("UDP");
    layer.add("source port", source);
    layer.add("destination port", destination);
    layer.add("length", format!("{length} bytes"));
    layer.add("checksum", format!("0x{checksum:04x}"));
    found.layers.push(layer);
    if usize::from(length) >= 8 {
        r.end_at(r.at() + usize::from(length) - 8);
    }
    let payload = r.at()..r.at() + r.rest().len();
    found.info = format!("port {source} to port {destination}, {} bytes", payload.len());
    found.udp = Some(Udp { source, destination, payload });
    let bytes = r.rest();
    match (source, destination) {
        (53 | 5353, _) | (_, 53 | 5353) => dns::read(bytes, found),
        (67 | 68, 67 | 68) => dhcp::read(bytes, found),
        (520, _) | (_, 520) => rip::read(bytes, found),
        _ => {}
    }
    Ok(())
}

fn tcp(mut r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
    found.protocol = "tcp".into();
    let start = r.at();
    let (source, destination) = (r.u16()?, r.u16()?);
    let sequence = r.u32()?;
    let acknowledgment = r.u32()?;
    let offset = usize::from(r.u8()? >> 4) * 4;
    let flags = r.u8()?;
    let window = r.u16()?;
    let checksum = r.u16()?;
    let urgent = r.u16()?;
    let names: Vec<&str> = [
        (1, "FIN"),
        (2, "SYN"),
        (4, "RST"),
        (8, "PSH"),
        (16, "ACK"),
        (32, "URG"),
        (64, "ECE"),
        (128, "CWR"),
    ]
    .into_iter()
    .filter(|(bit, _)| flags & bit != 0)
    .map(|(_, name)| name)
    .collect();
    let names = names.join(", ");
    let mut layer = Layer::new("TCP");
    layer.add("source port", source);
    layer.add("destination port", destination);
    layer.add("sequence number", sequence);
    layer.add("acknowledgment number", acknowledgment);
    layer.add("header length", format!("{offset} bytes"));
    layer.add("flags", &names);
    layer.add("window", window);
    layer.add("checksum", format!("0x{checksum:04x}"));
    if flags & 32 != 0 {
        layer.add("urgent pointer", urgent);
    }
    if offset < 20 {
        found.layers.push(layer);
        return Err(Short);
    }
    let options_end = start + offset;
    tcp_options(&mut r, options_end, &mut layer);
    found.layers.push(layer);
    r.skip_to(options_end)?;
    let payload = r.at()..r.at() + r.rest().len();
    let length = r.promised();
    found.info = format!("port {source} to port {destination}, {names}, {length} bytes");
    let bytes = r.rest();
    found.tcp = Some(Tcp { source, destination, sequence, acknowledgment, flags, payload, length });
    if !bytes.is_empty() {
        application::read(bytes, source, destination, found);
    }
    Ok(())
}

fn tcp_options(r: &mut Reader<'_>, end: usize, layer: &mut Layer) {
    while r.at() < end {
        let Ok(kind) = r.u8() else { return };
        match kind {
            0 => return,
            1 => continue,
            _ => {}
        }
        let Ok(length) = r.u8() else { return };
        let next = r.at() + usize::from(length.saturating_sub(2));
        if length < 2 || next > end {
            return;
        }
        match (kind, length) {
            (2, 4) => layer.add("maximum segment size", r.u16().unwrap_or_default()),
            (3, 3) => layer.add("window scale", r.u8().unwrap_or_default()),
            (4, 2) => layer.add("selective acknowledgment", "permitted"),
            (8, 10) => layer.add("timestamp", r.u32().unwrap_or_default()),
            _ => {}
        }
        if r.skip_to(next).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = dissect(&data);
        }

        #[test]
        fn any_payload_is_read(port in prop_oneof![Just(53u16), Just(67), Just(520), Just(25), Just(443), Just(80), Just(143)],
            tcp in any::<bool>(), payload in proptest::collection::vec(any::<u8>(), 0..300))
        {
            let mut frame = vec![2; 12];
            frame.extend([8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, if tcp { 6 } else { 17 }, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
            frame.extend(port.to_be_bytes());
            frame.extend(port.to_be_bytes());
            if tcp {
                frame.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 24, 0, 0, 0, 0, 0, 0]);
            } else {
                frame.extend([0, 0, 0, 0]);
            }
            frame.extend(payload);
            let _ = dissect(&frame);
        }
    }

    #[test]
    fn padding_is_not_payload() {
        let mut frame = vec![2; 12];
        frame.extend([8, 0, 0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0, 25, 0xc0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x12, 0, 0, 0, 0, 0, 0]);
        frame.extend([0; 6]);
        let found = dissect(&frame);
        let tcp = found.tcp.unwrap();
        assert_eq!((tcp.source, tcp.length, tcp.flags), (25, 0, Tcp::SYN | Tcp::ACK));
        assert_eq!(found.info, "port 25 to port 49152, SYN, ACK, 0 bytes");
    }

    #[test]
    fn arp_tells_what_it_asks() {
        let mut frame = vec![0xff; 6];
        frame.extend([
            2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0,
            0, 0, 0, 10, 0, 0, 2,
        ]);
        assert_eq!(dissect(&frame).info, "who has 10.0.0.2? tell 10.0.0.1");
    }
}
