//! IPv4 (RFC 791) and IPv6 (RFC 8200) with the extension headers that are passed over.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::reader::{Reader, Short};
use super::{Dissection, Ip, icmp, transport};

/// Reads an IPv4 packet.
pub fn v4(mut r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
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
    let mut layer = found.layer("IPv4");
    layer.add("header length", format_args!("{header} bytes"));
    layer.add("type of service", format_args!("0x{tos:02x}"));
    layer.add("total length", format_args!("{total} bytes"));
    layer.add("identification", id);
    let offset = (fragment & 0x1fff) * 8;
    let more = fragment & 0x2000 != 0;
    layer.add("don't fragment", fragment & 0x4000 != 0);
    if more || offset > 0 {
        layer.add(
            "fragment",
            format_args!("at byte {offset}{}", if more { ", more follow" } else { ", the last" }),
        );
    }
    layer.add("time to live", ttl);
    layer.add("protocol", format_args!("{protocol} ({})", ip_protocol(protocol)));
    layer.add("header checksum", format_args!("0x{checksum:04x}"));
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
        more,
        header: start,
        begin: start + header,
        // A total length of 0 is what segmentation offload leaves.
        end: if total >= header { start + total } else { r.at() + r.rest().len() },
    });
    found.info = format!("{source} to {destination}, {}", ip_protocol(protocol));
    if first >> 4 != 4 || header < 20 {
        return Err(Short);
    }
    r.skip_to(start + header)?;
    // Padding up to the least frame length is not the packet's.
    if total >= header {
        r.end_at(start + total);
    }
    if offset > 0 {
        found.info = format!("a later fragment, byte {offset}");
        return Ok(());
    }
    if more {
        // The ports are here; what they carry is not whole.
        above(protocol, r, found)?;
        found.protocol = "ipv4".into();
        found.info = format!("the first fragment of a packet of {}", ip_protocol(protocol));
        return Ok(());
    }
    above(protocol, r, found)
}

/// Reads an IPv6 packet.
pub fn v6(mut r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
    found.protocol = "ipv6".into();
    let start = r.at();
    let first = r.u32()?;
    let length = usize::from(r.u16()?);
    let mut next = r.u8()?;
    let ttl = r.u8()?;
    let source = Ipv6Addr::from(r.array::<16>()?);
    let destination = Ipv6Addr::from(r.array::<16>()?);
    let mut layer = found.layer("IPv6");
    layer.add("traffic class", (first >> 20) & 0xff);
    layer.add("flow label", first & 0x000f_ffff);
    layer.add("payload length", format_args!("{length} bytes"));
    layer.add("next header", format_args!("{next} ({})", ip_protocol(next)));
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
        more: false,
        header: start,
        begin: r.at(),
        end: r.at() + r.promised(),
    });
    found.info = format!("{source} to {destination}, {}", ip_protocol(next));
    above(next, r, found)
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

fn above(protocol: u8, r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
    match protocol {
        1 => icmp::v4(r, found),
        6 => transport::tcp(r, found),
        17 => transport::udp(r, found),
        58 => {
            found.protocol = "icmpv6".into();
            icmp::v6(r, found)
        }
        2 => {
            found.protocol = "igmp".into();
            Ok(())
        }
        _ => Ok(()),
    }
}
