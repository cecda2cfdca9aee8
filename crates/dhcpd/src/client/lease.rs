//! A lease as a client holds it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::wire::{self, Packet, option};

/// An address and what came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address with its prefix.
    pub address: Ipv4Net,
    /// Who gave it.
    pub server: Ipv4Addr,
    /// Default gateway.
    pub router: Option<Ipv4Addr>,
    /// DNS servers.
    pub dns: Vec<Ipv4Addr>,
    /// Domain name.
    pub domain: Option<String>,
    /// Host name that the server gave.
    pub hostname: Option<String>,
    /// Time servers.
    pub ntp: Vec<Ipv4Addr>,
    /// Routes but the default one (option 121, else 33).
    pub routes: Vec<(Ipv4Net, Ipv4Addr)>,
    /// Seconds it was given for; `u32::MAX` for ever.
    pub seconds: u32,
    /// Seconds after which it is renewed.
    pub t1: u32,
    /// Seconds after which any server is asked.
    pub t2: u32,
    /// Every option by number.
    pub options: BTreeMap<u8, Vec<u8>>,
}

impl Lease {
    /// Reads an ACK; `None` where it lacks what a lease needs.
    pub fn read(ack: &Packet) -> Option<Self> {
        let server = ack.address(option::SERVER_ID)?;
        let seconds = ack.u32(option::LEASE_TIME)?;
        if ack.yiaddr.is_unspecified() || ack.yiaddr.is_broadcast() || ack.yiaddr.is_multicast() {
            return None;
        }
        let mask = ack.address(option::SUBNET_MASK).unwrap_or_else(|| classful_mask(ack.yiaddr));
        let address = Ipv4Net::with_netmask(ack.yiaddr, mask).ok()?;
        let t2 = ack.u32(option::T2).filter(|t2| *t2 <= seconds);
        let t2 = t2.unwrap_or((u64::from(seconds) * 7 / 8) as u32);
        let t1 = ack.u32(option::T1).filter(|t1| *t1 <= t2).unwrap_or(seconds / 2).min(t2);
        let mut router = ack.addresses(option::ROUTER).first().copied();
        let mut routes = Vec::new();
        if let Some(bytes) = ack.options.get(&option::CLASSLESS_ROUTES) {
            // RFC 3442: option 121 stands instead of options 3 and 33.
            routes = wire::read_classless_routes(bytes);
            router = routes.iter().find(|(to, _)| to.prefix_len() == 0).map(|(_, via)| *via);
            routes.retain(|(to, _)| to.prefix_len() != 0);
        } else {
            for pair in ack.addresses(option::STATIC_ROUTES).as_chunks::<2>().0 {
                if !pair[0].is_unspecified() {
                    routes.push((Ipv4Net::from(pair[0]), pair[1]));
                }
            }
        }
        Some(Self {
            address,
            server,
            router,
            dns: ack.addresses(option::DNS),
            domain: ack.text(option::DOMAIN),
            hostname: ack.text(option::HOSTNAME),
            ntp: ack.addresses(option::NTP),
            routes,
            seconds,
            t1,
            t2,
            options: ack.options.clone(),
        })
    }

    /// An option as text, in the form its number calls for; hex where it is not known.
    pub fn option_text(&self, number: u8) -> Option<String> {
        let bytes = self.options.get(&number)?;
        let list = |separator: &str| {
            let addresses = bytes.as_chunks::<4>().0;
            let texts: Vec<String> =
                addresses.iter().map(|a| Ipv4Addr::from(*a).to_string()).collect();
            texts.join(separator)
        };
        Some(match (number, bytes.len()) {
            (1 | 3 | 4 | 5 | 6 | 28 | 42 | 44 | 50 | 54 | 150, n)
                if n > 0 && n.is_multiple_of(4) =>
            {
                list(", ")
            }
            (2 | 24 | 35 | 38 | 51 | 58 | 59, 4) => {
                u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).to_string()
            }
            (13 | 22 | 26 | 57, 2) => u16::from_be_bytes([bytes[0], bytes[1]]).to_string(),
            (19 | 20 | 23 | 53, 1) => bytes[0].to_string(),
            (option::CLASSLESS_ROUTES, _) => {
                let routes = wire::read_classless_routes(bytes);
                let texts: Vec<String> =
                    routes.iter().map(|(to, via)| format!("{to} via {via}")).collect();
                texts.join(", ")
            }
            (12 | 14 | 15 | 17 | 56 | 60 | 66 | 67 | 114, _)
                if bytes.iter().all(|byte| (32..127).contains(byte)) =>
            {
                String::from_utf8_lossy(bytes).into_owned()
            }
            _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }
}

/// The mask of the address's class, for servers that send none.
fn classful_mask(address: Ipv4Addr) -> Ipv4Addr {
    match address.octets()[0] {
        0..=127 => Ipv4Addr::new(255, 0, 0, 0),
        128..=191 => Ipv4Addr::new(255, 255, 0, 0),
        _ => Ipv4Addr::new(255, 255, 255, 0),
    }
}
