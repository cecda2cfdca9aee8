//! Connections whose addresses are translated, from the kernel's connection table.

use std::net::Ipv4Addr;

use super::attributes::{self, Attributes};
use super::socket::{Message, Socket};
use crate::Result;

/// Attribute numbers of `linux/netfilter/nfnetlink_conntrack.h`.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const STATUS: u16 = 3;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const IP_SOURCE: u16 = 1;
const IP_DESTINATION: u16 = 2;
const PROTOCOL_NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;
const ICMP_ID: u16 = 4;
/// Status bits: source NAT, destination NAT.
const TRANSLATED: u32 = (1 << 4) | (1 << 5);

/// An address with a port, or with an ICMP identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Endpoint {
    /// The address.
    pub address: Ipv4Addr,
    /// The port or identifier.
    pub port: u16,
}

/// A translated connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Translation {
    /// IP protocol number.
    pub protocol: u8,
    /// Who opened it, as itself.
    pub source: Endpoint,
    /// Whom it spoke to.
    pub destination: Endpoint,
    /// Who opened it, as the other end sees it.
    pub translated_source: Endpoint,
    /// Who really answers.
    pub translated_destination: Endpoint,
}

/// The translated IPv4 connections now.
///
/// # Errors
/// When the kernel does not answer.
pub fn translations() -> Result<Vec<Translation>> {
    let doing = "reading the connection table".to_owned();
    let request = Message::new(2, Message::GET_CONNECTIONS, Attributes::default(), doing);
    Ok(Socket::open()?.list(&request)?.iter().filter_map(|bytes| read(bytes)).collect())
}

fn read(bytes: &[u8]) -> Option<Translation> {
    let status = attributes::find(bytes, STATUS)?.try_into().ok().map(u32::from_be_bytes)?;
    if status & TRANSLATED == 0 {
        return None;
    }
    let (protocol, source, destination) = tuple(attributes::find(bytes, ORIGINAL)?)?;
    let (_, answers, answered) = tuple(attributes::find(bytes, REPLY)?)?;
    Some(Translation {
        protocol,
        source,
        destination,
        translated_source: answered,
        translated_destination: answers,
    })
}

fn tuple(bytes: &[u8]) -> Option<(u8, Endpoint, Endpoint)> {
    let ip = attributes::find(bytes, TUPLE_IP)?;
    let protocol = attributes::find(bytes, TUPLE_PROTOCOL)?;
    let address = |kind| {
        let octets: [u8; 4] = attributes::find(ip, kind)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets))
    };
    let port = |kind| {
        let bytes = attributes::find(protocol, kind).or(attributes::find(protocol, ICMP_ID));
        bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_be_bytes)
    };
    let number = *attributes::find(protocol, PROTOCOL_NUMBER)?.first()?;
    let source = Endpoint { address: address(IP_SOURCE)?, port: port(SOURCE_PORT) };
    let destination = Endpoint { address: address(IP_DESTINATION)?, port: port(DESTINATION_PORT) };
    Some((number, source, destination))
}
