//! RIP version 2 (RFC 2453).

use std::net::Ipv4Addr;

use super::Dissection;
use super::reader::{Reader, Short};

/// Entries of one packet.
const MAX_ENTRIES: usize = 25;

/// Reads a message into the dissection.
pub fn read(bytes: &[u8], found: &mut Dissection) {
    found.protocol = "rip".into();
    if message(bytes, found).is_err() {
        found.info = "a malformed RIP message".into();
    }
}

fn message(bytes: &[u8], found: &mut Dissection) -> Result<(), Short> {
    let mut r = Reader::new(bytes, 0);
    let command = r.u8()?;
    let version = r.u8()?;
    r.u16()?;
    let mut layer = found.layer("RIP");
    layer.add(
        "command",
        if command == 1 { "1 (request)".into() } else { format!("{command} (response)") },
    );
    layer.add("version", version);
    let mut routes = Vec::new();
    let mut whole_table = false;
    for _ in 0..MAX_ENTRIES {
        if r.rest().len() < 20 {
            break;
        }
        let family = r.u16()?;
        let _tag = r.u16()?;
        let address = Ipv4Addr::from(r.array()?);
        let mask = u32::from_be_bytes(r.array()?);
        let next = Ipv4Addr::from(r.array()?);
        let metric = r.u32()?;
        if family == 0xffff {
            layer.add("authentication", "present");
            continue;
        }
        if command == 1 && family == 0 {
            // RFC 2453, 3.9.1.
            layer.add("route", "all of them");
            whole_table = true;
            continue;
        }
        let text = format!("{address}/{} metric {metric}", mask.leading_ones());
        let via = if next.is_unspecified() { String::new() } else { format!(" via {next}") };
        layer.add("route", format_args!("{text}{via}"));
        let lost = if command != 1 && metric >= 16 { " (no way)" } else { "" };
        routes.push(format!("{address}/{}{lost}", mask.leading_ones()));
    }
    found.layers.push(layer);
    found.info = match (command, whole_table) {
        (1, true) => "tell me your routes".into(),
        (1, false) => format!("how far is it to {}?", routes.join(", ")),
        _ => format!("my routes: {}", routes.join(", ")),
    };
    Ok(())
}
