//! UDP (RFC 768) and TCP (RFC 9293).

use super::reader::{Reader, Short};
use super::{Dissection, Layer, Tcp, Udp, application, dhcp, dns, rip};

/// Reads a datagram.
pub fn udp(mut r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
    found.protocol = "udp".into();
    let (source, destination) = (r.u16()?, r.u16()?);
    let length = r.u16()?;
    let checksum = r.u16()?;
    let mut layer = found.layer("UDP");
    layer.add("source port", source);
    layer.add("destination port", destination);
    layer.add("length", format_args!("{length} bytes"));
    layer.add("checksum", format_args!("0x{checksum:04x}"));
    found.layers.push(layer);
    if usize::from(length) >= 8 {
        r.end_at(r.at() + usize::from(length) - 8);
    }
    let payload = r.at()..r.at() + r.rest().len();
    found.info = format!("port {source} to port {destination}, {} bytes", payload.len());
    found.udp = Some(Udp { source, destination, payload });
    if found.ip.is_some_and(|ip| ip.is_fragment()) {
        return Ok(());
    }
    let bytes = r.rest();
    match (source, destination) {
        (53 | 5353, _) | (_, 53 | 5353) => dns::read(bytes, found),
        (67 | 68, 67 | 68) => dhcp::read(bytes, found),
        (520, _) | (_, 520) => rip::read(bytes, found),
        _ => {}
    }
    Ok(())
}

/// Reads a segment.
pub fn tcp(mut r: Reader<'_>, found: &mut Dissection) -> Result<(), Short> {
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
    let mut layer = found.layer("TCP");
    layer.add("source port", source);
    layer.add("destination port", destination);
    layer.add("sequence number", sequence);
    layer.add("acknowledgment number", acknowledgment);
    layer.add("header length", format_args!("{offset} bytes"));
    layer.add("flags", &names);
    layer.add("window", window);
    layer.add("checksum", format_args!("0x{checksum:04x}"));
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
    if !bytes.is_empty() && !found.ip.is_some_and(|ip| ip.is_fragment()) {
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
