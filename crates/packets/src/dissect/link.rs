//! Ethernet with VLAN tags, and ARP (RFC 826).

use std::net::Ipv4Addr;

use super::reader::{Reader, Short};
use super::{Arp, Dissection, Mac, ip};

/// Reads a frame.
pub fn ethernet(data: &[u8], found: &mut Dissection) -> Result<(), Short> {
    let mut r = Reader::new(data, 0);
    let destination = Mac(r.array()?);
    let source = Mac(r.array()?);
    let mut kind = r.u16()?;
    let mut layer = found.layer("Ethernet");
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
    layer.add("type", format_args!("0x{kind:04x} ({})", ether_type(kind)));
    found.layers.push(layer);
    match kind {
        0x0800 => ip::v4(r, found),
        0x0806 => arp(r, found),
        0x86dd => ip::v6(r, found),
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
    let mut layer = found.layer("ARP");
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
