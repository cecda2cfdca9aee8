//! ICMP (RFC 792) and ICMPv6 (RFC 4443).

use std::net::Ipv4Addr;

use super::reader::{Reader, Short};
use super::{Dissection, Icmp};

/// Reads an ICMP message.
pub fn v4(mut r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
    found.protocol = "icmp".into();
    let (kind, code) = (r.u8()?, r.u8()?);
    let checksum = r.u16()?;
    let (a, b) = (r.u16()?, r.u16()?);
    let mut layer = found.layer("ICMP");
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
    layer.add("type", format_args!("{kind} ({word})"));
    layer.add("code", code);
    layer.add("checksum", format_args!("0x{checksum:04x}"));
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

/// Reads an ICMPv6 message.
pub fn v6(mut r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
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
    let mut layer = found.layer("ICMPv6");
    layer.add("type", format_args!("{kind} ({word})"));
    layer.add("code", code);
    found.layers.push(layer);
    found.info = word.into();
    Ok(())
}
