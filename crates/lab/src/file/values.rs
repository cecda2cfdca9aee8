//! Addresses, subnets, ranges, sizes, times: values with a notation of their own.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::decode::{Decode, Decoder};
use crate::units::{Seconds, bytes};
use crate::yaml::Node as Tree;

/// A size in bytes: `64M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Size(pub u64);

impl Decode for Size {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text().and_then(bytes) {
            Some(size) => Some(Self(size)),
            None => decoder.expected(node, "a size", "64M"),
        }
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "a size: 64M, 1G, or bytes", "type": ["string", "integer"] })
    }
}

/// A value, or the word `none`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Maybe<T> {
    /// None, as the author said.
    None,
    /// This.
    Is(T),
}

impl<T: Decode> Decode for Maybe<T> {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text() {
            Some("none") => Some(Self::None),
            _ => T::decode(node, decoder).map(Self::Is),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Maybe<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Maybe_{}", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "none" }, generator.subschema_for::<T>()] })
    }
}

/// An interface: its address (the network's prefix length, unless one is given), `dhcp`, `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// This address; the prefix length where it is not the network's.
    Static(Ipv4Addr, Option<u8>),
    /// From a DHCP server.
    Dhcp,
    /// None.
    None,
}

impl Decode for Interface {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text() {
            Some("dhcp") => Some(Self::Dhcp),
            Some("none") => Some(Self::None),
            Some(text) if text.contains('/') => {
                let net = text.parse::<Ipv4Net>();
                match net {
                    Ok(net) => Some(Self::Static(net.addr(), Some(net.prefix_len()))),
                    Err(_) => {
                        let (address, length) = text.split_once('/').unwrap_or((text, ""));
                        let help = match address.parse::<Ipv4Addr>() {
                            Ok(_) => mask_help(length),
                            Err(_) => address_help(address),
                        };
                        decoder.refuse(
                            node,
                            "net::address",
                            format!("`{text}` is not an IPv4 address with a prefix length"),
                            help,
                        )
                    }
                }
            }
            Some(_) => Ipv4Addr::decode(node, decoder).map(|address| Self::Static(address, None)),
            None => decoder.expected(node, "an address, `dhcp` or `none`", "192.168.1.2"),
        }
    }
}

impl JsonSchema for Interface {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Interface".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "an address such as 192.168.1.2, dhcp, or none",
            "type": "string",
            "pattern": "^(dhcp|none|[0-9]{1,3}(\\.[0-9]{1,3}){3}(/[0-9]{1,2})?)$"
        })
    }
}

impl Decode for Ipv4Addr {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text() {
            Some(text) => match text.parse() {
                Ok(address) => Some(address),
                Err(_) => decoder.refuse(
                    node,
                    "net::address",
                    format!("`{text}` is not an IPv4 address"),
                    address_help(text),
                ),
            },
            None => decoder.expected(node, "an IPv4 address", "192.168.1.2"),
        }
    }
}

/// What is wrong with an address, as far as it can be told.
fn address_help(text: &str) -> String {
    let parts: Vec<&str> = text.split('.').collect();
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if text.contains(':') {
        return "labs use IPv4".to_owned();
    }
    if let Some(part) = parts.iter().find(|part| !digits(part)) {
        // `192.168.1.O4`: an O for a 0, an l for a 1.
        let guess = text.replace(['O', 'o'], "0").replace(['l', 'I'], "1").replace(',', ".");
        let numbers: Vec<String> = guess
            .split('.')
            .filter_map(|part| part.parse::<u8>().ok().map(|number| number.to_string()))
            .collect();
        let guess = numbers.join(".");
        if guess.parse::<Ipv4Addr>().is_ok() {
            return format!("`{part}` is not a number: did you mean `{guess}`?");
        }
        return "an address has four numbers, such as 192.168.1.2; names are not understood here"
            .to_owned();
    }
    if parts.len() != 4 {
        return format!("an address has four numbers, this one has {}", parts.len());
    }
    match parts.iter().find(|part| part.parse::<u8>().is_err()) {
        Some(part) => format!("{part} is more than 255"),
        None => "write the numbers without leading zeros".to_owned(),
    }
}

/// What is wrong with a prefix length.
fn mask_help(length: &str) -> String {
    match length.trim().parse::<Ipv4Addr>().map(u32::from) {
        Ok(mask) if mask.leading_ones() + mask.trailing_zeros() == 32 || mask == 0 => {
            format!("write the mask {length} as its length: /{}", mask.leading_ones())
        }
        _ => format!("the prefix length is from 0 to 32, not `{length}`"),
    }
}

impl Decode for Ipv4Net {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Some(text) = node.text() else {
            return decoder.expected(node, "a subnet", "192.168.1.0/24");
        };
        let Ok(net) = text.parse::<Ipv4Net>() else {
            let help = if text.parse::<Ipv4Addr>().is_ok() {
                format!("the prefix length is missing: {text}/24")
            } else if let Some((_, length)) = text
                .split_once('/')
                .filter(|(address, _)| address.trim().parse::<Ipv4Addr>().is_ok())
            {
                mask_help(length)
            } else if let Some((address, _)) = text.split_once('/') {
                address_help(address)
            } else {
                "for example 192.168.1.0/24".to_owned()
            };
            return decoder.refuse(node, "net::subnet", format!("`{text}` is not a subnet"), help);
        };
        if net.trunc() != net {
            return decoder.refuse(
                node,
                "net::subnet",
                format!("`{text}` has host bits: it names a host, not a subnet"),
                format!("did you mean `{}`?", net.trunc()),
            );
        }
        Some(net)
    }
}

/// A lease time: a time, or `infinite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseTime(pub u32);

impl Decode for LeaseTime {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        let time = match node.text() {
            Some("infinite") => Some(u32::MAX),
            Some(text) => match text.strip_suffix('d') {
                Some(days) => {
                    days.trim().parse::<u32>().ok().and_then(|days| days.checked_mul(86_400))
                }
                None => Seconds::parse(text).and_then(|s| u32::try_from(s.millis() / 1000).ok()),
            },
            None => None,
        };
        match time.filter(|time| *time > 0) {
            Some(time) => Some(Self(time)),
            None => decoder.expected(node, "a lease time", "1h, 1d or infinite"),
        }
    }
}

impl JsonSchema for LeaseTime {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LeaseTime".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "a time: 600 (seconds), 10m, 1h, 1d, infinite", "type": ["string", "integer"] })
    }
}

/// Addresses from a first to a last: `192.168.1.100-192.168.1.200`, or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub first: Ipv4Addr,
    /// The last.
    pub last: Ipv4Addr,
}

impl Range {
    /// Whether the address lies in it.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    /// Reads `A-B`, `A - B` or `A`.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last).then_some(Self { first, last })
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for Range {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a range")))
    }
}

impl Decode for Range {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text().map(|text| (text, Self::parse(text))) {
            Some((_, Some(range))) => Some(range),
            Some((text, None)) => decoder.refuse(
                node,
                "net::range",
                format!("`{text}` is not a range of addresses"),
                "write FIRST-LAST, such as 192.168.1.100-192.168.1.200",
            ),
            None => decoder.expected(node, "a range of addresses", "192.168.1.100-192.168.1.200"),
        }
    }
}

impl JsonSchema for Range {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Range".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "192.168.1.100-192.168.1.200, or one address", "type": "string" })
    }
}
