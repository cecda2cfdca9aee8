//! A DHCP server.

use std::net::Ipv4Addr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{LeaseTime, Maybe, Range, yes};
use crate::decode::{Decode, Decoder, List, Map, record};
use crate::yaml::{Node as Tree, Value};

record! {
    /// A DHCP server: one pool's fields at once, or `pools:`.
    pub struct DhcpServer {
        /// The pools by name.
        #[serde(default)] pub pools: Map<Pool>,
        /// Networks whose clients are relayed: network to servers.
        #[serde(default)] pub relay: Map<List<Ipv4Addr>>,
        /// Whether it runs from the start.
        #[serde(default = "yes")] pub enabled: bool = true,
    }
}

record! {
    /// Addresses for the clients of one network, and what they are told.
    pub struct Pool {
        /// The network or subnet; the server's only network where left out.
        #[serde(default)] pub network: Option<String>,
        /// What may be given out: `192.168.1.100-192.168.1.200`; all but the static addresses where left out.
        #[serde(default)] pub range: List<Range>,
        /// What may not be given out.
        #[serde(default)] pub exclude: List<Range>,
        /// Default gateway; the network's first router where left out.
        #[serde(default)] pub router: Option<Maybe<Ipv4Addr>>,
        /// DNS servers; where left out the DHCP server itself, or the lab's only one.
        #[serde(default)] pub dns: Option<Maybe<List<Ipv4Addr>>>,
        /// Domain name.
        #[serde(default)] pub domain: Option<String>,
        /// Lease time; a day where left out.
        #[serde(default)] pub lease: Option<LeaseTime>,
        /// Options by number.
        #[serde(default)] pub options: Map<String>,
        /// Addresses kept for nodes: node (or MAC address) to address.
        #[serde(default)] pub reservations: Map<Ipv4Addr>,
    }
}

/// A DHCP server: its pools, or the fields of its only pool in `dhcp:` itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dhcp(pub DhcpServer);

impl Decode for Dhcp {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            return decoder.expected(
                node,
                "a mapping with the pool's fields, or `pools:`",
                "dhcp: { range: 192.168.1.100-192.168.1.200 }",
            );
        };
        let (pool, own): (Vec<_>, Vec<_>) =
            entries.iter().cloned().partition(|(key, _)| Pool::FIELDS.contains(&key.name.as_str()));
        // `dhcp: {}` is one pool of all defaults.
        let lone = pool.is_empty()
            && !own.iter().any(|(key, _)| matches!(key.name.as_str(), "pools" | "relay"));
        let server = DhcpServer::decode(&Tree { value: Value::Map(own), span: node.span }, decoder);
        if pool.is_empty() && !lone {
            return server.map(Self);
        }
        let pool = Pool::decode(&Tree { value: Value::Map(pool), span: node.span }, decoder);
        let mut server = server?;
        server.pools.0.push(("LAN".to_owned(), pool?));
        Some(Self(server))
    }
}

impl JsonSchema for Dhcp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dhcp".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<DhcpServer>(), generator.subschema_for::<Pool>()] })
    }
}
