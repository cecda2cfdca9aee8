//! DHCP (RFC 2131, 2132).

use std::net::Ipv4Addr;

use super::reader::{Reader, Short};
use super::{Dissection, Mac};

/// The options of one packet at most.
const MAX_OPTIONS: usize = 200;

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dhcp {
    /// `DISCOVER`, `OFFER`, `REQUEST`, `ACK`, …
    pub kind: String,
    /// Transaction id.
    pub xid: u32,
    /// The client's MAC address.
    pub client: String,
    /// The address that is given.
    pub your: Option<Ipv4Addr>,
    /// The address that is asked for.
    pub requested: Option<Ipv4Addr>,
    /// The server.
    pub server: Option<Ipv4Addr>,
    /// The relay it went through.
    pub relay: Option<Ipv4Addr>,
}

/// Reads a message into the dissection.
pub fn read(bytes: &[u8], found: &mut Dissection) {
    found.protocol = "dhcp".into();
    if message(bytes, found).is_err() {
        found.info = "a malformed DHCP message".into();
    }
}

fn message(bytes: &[u8], found: &mut Dissection) -> Result<(), Short> {
    let mut r = Reader::new(bytes, 0);
    let mut layer = found.layer("DHCP");
    let operation = r.u8()?;
    let (_, hardware_length, hops) = (r.u8()?, r.u8()?, r.u8()?);
    let xid = r.u32()?;
    let seconds = r.u16()?;
    let flags = r.u16()?;
    let addresses: [Ipv4Addr; 4] =
        [r.array()?, r.array()?, r.array()?, r.array()?].map(Ipv4Addr::from);
    let [client, your, _, relay] = addresses;
    let mac = Mac(r.array()?);
    layer.add(
        "operation",
        if operation == 1 { "1 (request)".into() } else { format!("{operation} (reply)") },
    );
    layer.add("hops", hops);
    layer.add("transaction id", format_args!("0x{xid:08x}"));
    layer.add("seconds", seconds);
    layer.add("broadcast", flags & 0x8000 != 0);
    for (name, address) in
        ["client address", "your address", "next server", "relay"].iter().zip(addresses)
    {
        layer.add(name, address);
    }
    if hardware_length == 6 {
        layer.add("client MAC", mac);
    }
    let given = |address: Ipv4Addr| (!address.is_unspecified()).then_some(address);
    let mut dhcp = Dhcp {
        xid,
        client: mac.to_string(),
        your: given(your),
        relay: given(relay),
        kind: "BOOTP".into(),
        ..Dhcp::default()
    };
    r.skip_to(236)?;
    if r.u32()? == 0x6382_5363 {
        for _ in 0..MAX_OPTIONS {
            let Ok(code) = r.u8() else { break };
            match code {
                0 => continue,
                255 => break,
                _ => {}
            }
            let length = usize::from(r.u8()?);
            let value = r.bytes(length)?;
            let (name, text) = option(code, value);
            layer.add(&format!("option {code} ({name})"), &text);
            match code {
                53 => dhcp.kind = kind(value.first().copied().unwrap_or(0)).into(),
                50 => dhcp.requested = address(value),
                54 => dhcp.server = address(value),
                _ => {}
            }
        }
    }
    found.layers.push(layer);
    found.info = match dhcp.kind.as_str() {
        "DISCOVER" => format!("DISCOVER: who gives {mac} an address?"),
        "OFFER" => format!("OFFER: {your} is free"),
        "REQUEST" => match dhcp.requested {
            Some(wanted) => format!("REQUEST: I take {wanted}"),
            None => format!("REQUEST: I go on with {client}"),
        },
        "ACK" if your.is_unspecified() => "ACK".into(),
        "ACK" => format!("ACK: {your} is yours"),
        other => other.to_owned(),
    };
    found.dhcp = Some(dhcp);
    Ok(())
}

fn address(value: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from)
}

fn kind(number: u8) -> &'static str {
    match number {
        1 => "DISCOVER",
        2 => "OFFER",
        3 => "REQUEST",
        4 => "DECLINE",
        5 => "ACK",
        6 => "NAK",
        7 => "RELEASE",
        8 => "INFORM",
        _ => "DHCP",
    }
}

fn option(code: u8, value: &[u8]) -> (&'static str, String) {
    let addresses = || {
        let all = value.chunks_exact(4).filter_map(address).map(|a| a.to_string());
        all.collect::<Vec<_>>().join(", ")
    };
    let text =
        || String::from_utf8_lossy(value).chars().filter(|c| !c.is_control()).collect::<String>();
    let seconds = || match <[u8; 4]>::try_from(value) {
        Ok(bytes) => format!("{} s", u32::from_be_bytes(bytes)),
        Err(_) => hex(value),
    };
    match code {
        1 => ("subnet mask", addresses()),
        3 => ("router", addresses()),
        6 => ("DNS servers", addresses()),
        12 => ("host name", text()),
        15 => ("domain name", text()),
        28 => ("broadcast address", addresses()),
        42 => ("NTP servers", addresses()),
        50 => ("requested address", addresses()),
        51 => ("lease time", seconds()),
        53 => ("message type", kind(value.first().copied().unwrap_or(0)).into()),
        54 => ("server", addresses()),
        55 => ("wanted options", value.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")),
        56 => ("message", text()),
        57 => ("maximum size", hex(value)),
        58 => ("renewal time", seconds()),
        59 => ("rebinding time", seconds()),
        61 => ("client id", hex(value)),
        82 => ("relay information", hex(value)),
        121 => ("classless routes", hex(value)),
        _ => ("option", hex(value)),
    }
}

fn hex(value: &[u8]) -> String {
    value.iter().take(64).map(|byte| format!("{byte:02x}")).collect()
}
