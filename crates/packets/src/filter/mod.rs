//! Filter expressions for captures, in the words of tcpdump (pcap-filter): `tcp port 25 and host
//! 192.168.1.2`, `not arp`; and `node`, `network` and the protocols of applications beside them.
//!
//! ```text
//! expression = term { ("or" | "||") term }
//! term       = factor { ["and" | "&&"] factor }
//! factor     = ("not" | "!") factor | "(" expression ")" | primitive
//! primitive  = arp | ip | ip6 | tcp | udp | icmp | icmp6 | vlan | broadcast | multicast
//!            | dns | dhcp | rip | smtp | pop3 | imap | http | tls
//!            | [ip|ip6|arp|tcp|udp] [src|dst] ( [host] ADDRESS | net PREFIX | port PORT | portrange A-B )
//!            | ether [src|dst|host] MAC | ip proto N | less LENGTH | greater LENGTH
//!            | node NAME | network NAME
//! ```
//!
//! As with tcpdump a value alone takes over the words before it: `port 25 or 110`.

mod parse;

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use crate::dissect::{Dissection, by_port};
use crate::frame::Sighting;

/// Why an expression is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the filter `{expression}` is not understood at word {word}: {reason}")]
pub struct Error {
    /// The expression.
    pub expression: String,
    /// The word's number, from 1.
    pub word: usize,
    /// Why.
    pub reason: String,
}

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Everything.
    All,
    /// One of them.
    Or(Vec<Filter>),
    /// All of them.
    And(Vec<Filter>),
    /// Not it.
    Not(Box<Filter>),
    /// A protocol on any layer.
    Protocol(String),
    /// Ports, of TCP and UDP.
    Port(Side, RangeInclusive<u16>),
    /// Addresses, of IP and ARP.
    Net(Side, IpNet),
    /// A MAC address.
    Mac(Side, String),
    /// To more than one; only to everybody where it is said.
    Group {
        /// Whether only broadcasts are meant.
        broadcast: bool,
    },
    /// The protocol's number in the IP header.
    Number(u8),
    /// So long on the wire, in bytes.
    Length(RangeInclusive<u32>),
    /// A node that sent or received it.
    Node(String),
    /// A network.
    Network(String),
}

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Either.
    Any,
    /// The sender's.
    Source,
    /// The receiver's.
    Destination,
}

impl Filter {
    /// Reads an expression; the empty one is everything.
    ///
    /// # Errors
    /// At which word it is not understood, and why.
    pub fn parse(expression: &str) -> Result<Self, Error> {
        parse::parse(expression)
    }

    /// Whether a frame passes.
    pub fn passes(&self, sighting: &Sighting, found: &Dissection) -> bool {
        match self {
            Self::All => true,
            Self::Or(filters) => filters.iter().any(|filter| filter.passes(sighting, found)),
            Self::And(filters) => filters.iter().all(|filter| filter.passes(sighting, found)),
            Self::Not(filter) => !filter.passes(sighting, found),
            Self::Protocol(name) => protocol(name, found),
            // As with tcpdump a later fragment has no ports.
            Self::Port(side, ports) => found
                .ports()
                .is_some_and(|(s, d)| side.either(ports.contains(&s), ports.contains(&d))),
            Self::Net(side, net) => {
                let ends: Option<(IpAddr, IpAddr)> = match (&found.ip, &found.arp) {
                    (Some(ip), _) => Some((ip.source, ip.destination)),
                    (None, Some(arp)) => Some((arp.sender.1.into(), arp.target.1.into())),
                    _ => None,
                };
                ends.is_some_and(|(s, d)| side.either(net.contains(&s), net.contains(&d)))
            }
            Self::Mac(side, mac) => found
                .macs
                .is_some_and(|(s, d)| side.either(s.to_string() == *mac, d.to_string() == *mac)),
            Self::Group { broadcast: true } => found.macs.is_some_and(|(_, d)| d.is_broadcast()),
            Self::Group { broadcast: false } => found.macs.is_some_and(|(_, d)| d.is_group()),
            Self::Number(number) => {
                found.ip.is_some_and(|ip| ip.source.is_ipv4() && ip.protocol == *number)
            }
            Self::Length(lengths) => lengths.contains(&sighting.length),
            Self::Node(name) => {
                sighting.sender.as_deref() == Some(name.as_str())
                    || sighting.receivers.iter().any(|one| one == name)
            }
            Self::Network(name) => sighting.network == *name,
        }
    }
}

fn protocol(name: &str, found: &Dissection) -> bool {
    let number = |n: u8| found.ip.is_some_and(|ip| ip.protocol == n);
    match name {
        "ip" => found.ip.is_some_and(|ip| ip.source.is_ipv4()),
        "ip6" => found.ip.is_some_and(|ip| ip.source.is_ipv6()),
        "tcp" => number(6),
        "udp" => number(17),
        "icmp" => number(1) && found.ip.is_some_and(|ip| ip.source.is_ipv4()),
        "icmp6" => number(58),
        "arp" => found.arp.is_some() || found.protocol == "arp",
        "vlan" => found
            .layers
            .first()
            .is_some_and(|layer| layer.fields.iter().any(|(name, _)| name == "VLAN")),
        name => {
            let usual = |port| by_port(port).is_some_and(|app| app.name == name);
            found.protocol == *name
                || found.tcp.as_ref().is_some_and(|tcp| usual(tcp.source) || usual(tcp.destination))
        }
    }
}

impl Side {
    fn either(self, source: bool, destination: bool) -> bool {
        match self {
            Self::Any => source || destination,
            Self::Source => source,
            Self::Destination => destination,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read() {
        assert_eq!(Filter::parse(" ").unwrap(), Filter::All);
        let filter = Filter::parse("tcp port 25 and not (host 10.0.0.1 or !arp)").unwrap();
        assert!(matches!(filter, Filter::And(ref all) if all.len() == 2), "{filter:?}");
        assert!(Filter::parse("tcp dst port 110").is_ok());
        assert!(Filter::parse("src net 10.0.0.0/8 || node pc0").is_ok());
        // A value alone takes over the words before it; two factors side by side are both meant.
        assert_eq!(
            Filter::parse("tcp dst port 25 or 110"),
            Filter::parse("tcp dst port 25 or tcp dst port 110")
        );
        assert_eq!(Filter::parse("arp broadcast"), Filter::parse("arp and broadcast"));
        assert_eq!(Filter::parse("port smtp"), Filter::parse("port 25"));
    }

    #[test]
    fn mistakes_say_where() {
        for (text, word) in [
            ("port x", 2),
            ("foo", 1),
            ("( arp", 3),
            ("host", 2),
            ("arp and", 3),
            ("tcp src", 3),
            ("tcp host pc0", 3),
            ("25", 1),
            ("arp )", 2),
            ("portrange 9-3", 2),
            ("net 10.0.0.0/40", 2),
        ] {
            let error = Filter::parse(text).unwrap_err();
            assert_eq!(error.word, word, "{error}");
        }
        assert!(Filter::parse(&"(".repeat(400)).is_err());
    }
}
