//! A DNS server and its zones.

use std::net::Ipv4Addr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::yes;
use crate::decode::{Decode, Decoder, List, Map, record};
use crate::yaml::{Node as Tree, Value};

record! {
    /// A DNS server.
    pub struct Dns {
        /// Records in master-file notation: `mail.com. A 192.168.1.2`. Zones are made of them.
        #[serde(default)] pub records: List<String>,
        /// Zones by name, where more is to be said.
        #[serde(default)] pub zones: Map<Zone>,
        /// Servers asked for all other names; or zone to servers.
        #[serde(default)] pub forward: Option<Forward>,
        /// Resolves from these root servers down: name to addresses.
        #[serde(default)] pub root_hints: Map<List<Ipv4Addr>>,
        /// Whether records that follow from the rest of the lab are added (SOA, NS, MX, mail and web names, reverse zones).
        #[serde(default = "yes")] pub derive: bool = true,
        /// Whether the zones are signed.
        #[serde(default)] pub dnssec: bool = false,
        /// Whether it runs from the start.
        #[serde(default = "yes")] pub enabled: bool = true,
    }
    short(node, decoder) {
        match node.value {
            Value::Null => Some(Self { records: List::default(), zones: Map::default(), forward: None, root_hints: Map::default(), derive: true, dnssec: false, enabled: true }),
            Value::List(_) => Some(Self { records: List::decode(node, decoder)?, zones: Map::default(), forward: None, root_hints: Map::default(), derive: true, dnssec: false, enabled: true }),
            _ => decoder.expected(node, "a mapping, or a list of records", "dns: [mail.com. A 192.168.1.2]"),
        }
    }
}

record! {
    /// A zone.
    pub struct Zone {
        /// Its records; names without a final dot are below the zone.
        #[serde(default)] pub records: List<String>,
        /// It is copied from these servers (a secondary zone).
        #[serde(default)] pub primaries: List<Ipv4Addr>,
        /// Who may copy it; the lab's secondary servers where left out, nobody for `[]`.
        #[serde(default)] pub allow_transfer: Option<List<String>>,
        /// Servers told when it changes; the lab's secondary servers where left out, nobody for `[]`.
        #[serde(default)] pub notify: Option<List<Ipv4Addr>>,
        /// Whether it is signed.
        #[serde(default)] pub dnssec: Option<bool>,
    }
    short(node, decoder) {
        Some(Self { records: List::decode(node, decoder)?, primaries: List::default(), allow_transfer: None, notify: None, dnssec: None })
    }
}

/// Where a DNS server asks for names that are not its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Forward(pub Map<List<Ipv4Addr>>);

impl Decode for Forward {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.value {
            Value::Map(_) => Map::decode(node, decoder).map(Self),
            _ => Some(Self(Map(vec![(".".to_owned(), List::decode(node, decoder)?)]))),
        }
    }
}

impl JsonSchema for Forward {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Forward".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<List<Ipv4Addr>>();
        json_schema!({ "description": "servers, or zone to servers", "anyOf": [list, { "type": "object", "additionalProperties": list }] })
    }
}
