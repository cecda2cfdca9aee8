//! What a story needs to know of the lab: who has which interface on which network.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The lab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Its title.
    pub title: String,
    /// Its networks.
    pub networks: Vec<String>,
    /// Its nodes, in the order in which they should stand.
    pub nodes: Vec<Node>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// `pc`, `server` or `router`.
    pub kind: String,
    /// Its interfaces.
    pub links: Vec<Link>,
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The network it is plugged into.
    pub network: String,
    /// Its MAC address.
    pub mac: String,
    /// Its address, where it is known beforehand.
    pub address: Option<IpAddr>,
}

impl Topology {
    /// The node with that MAC address.
    pub fn by_mac(&self, mac: &str) -> Option<&str> {
        let has = |node: &&Node| node.links.iter().any(|link| link.mac.eq_ignore_ascii_case(mac));
        self.nodes.iter().find(has).map(|node| node.name.as_str())
    }

    /// The node with that address.
    pub fn by_address(&self, address: IpAddr) -> Option<&str> {
        let has = |node: &&Node| node.links.iter().any(|link| link.address == Some(address));
        self.nodes.iter().find(has).map(|node| node.name.as_str())
    }
}
