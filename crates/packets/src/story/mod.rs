//! From frames to a story: who said what to whom, in order, and why.
//!
//! A frame that several nodes saw is one [`Sighting`]; a packet that crossed several links is one
//! [`packets::Packet`] with its hops; the segments of a TCP connection are one [`streams`] stream.
//! Each of them gives [`Step`]s.

mod addresses;
mod explain;
mod fragments;
mod packets;
mod ports;
mod secret;
mod streams;
mod tell;
mod text;

use serde::{Deserialize, Serialize};

use crate::dissect::Layer;
use crate::frame::{Capture, Sighting, merge};
use crate::tls::KeyLog;
use crate::topology::Topology;

pub use ports::{PortUse, ports};

/// A story.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// What it is about.
    pub title: String,
    /// The nodes that take part, in the order in which they should stand.
    pub nodes: Vec<String>,
    /// What happened, in order.
    pub steps: Vec<Step>,
    /// Every frame.
    pub frames: Vec<FrameView>,
    /// The lab.
    pub topology: Topology,
    /// How many frames the capture had to drop.
    pub dropped: u64,
}

impl Story {
    /// The nodes that hear a step to everybody: those on the same network; all where it is not
    /// known who is on it.
    pub fn audience(&self, step: &Step) -> Vec<&str> {
        let network = step.hops.first().map(|hop| hop.network.as_str());
        let on = |node: &&crate::topology::Node| {
            node.links.iter().any(|link| Some(link.network.as_str()) == network)
        };
        let hearing: Vec<&str> = self
            .topology
            .nodes
            .iter()
            .filter(on)
            .map(|node| node.name.as_str())
            .filter(|name| self.nodes.iter().any(|node| node == name))
            .collect();
        if hearing.is_empty() { self.nodes.iter().map(String::as_str).collect() } else { hearing }
    }
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its number, from 1.
    pub number: usize,
    /// Milliseconds since the first frame.
    pub at_ms: f64,
    /// `arp`, `dns`, `tcp`, `smtp`, …
    pub protocol: String,
    /// The node that speaks.
    pub from: String,
    /// The node that is spoken to; `*` is everybody on the network.
    pub to: String,
    /// Port of the one that speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_port: Option<u16>,
    /// Port of the one that is spoken to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_port: Option<u16>,
    /// What happened, one line.
    pub text: String,
    /// Further lines: a message's text, a reply's other lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
    /// What it is for, one sentence.
    pub explain: String,
    /// The frames it consists of, by number.
    pub frames: Vec<usize>,
    /// The way of its first packet, link by link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<Hop>,
    /// Whether it is a failure: refused, unreachable, no answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Whether it was encrypted on the wire, and is told because the lab gives its keys.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub decrypted: bool,
}

/// One link that a packet crossed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The frame's number.
    pub frame: usize,
    /// The network.
    pub network: String,
    /// Who put it there.
    pub from: String,
    /// Who took it.
    pub to: String,
    /// Source MAC address.
    pub from_mac: String,
    /// Destination MAC address.
    pub to_mac: String,
    /// Time to live.
    pub ttl: u8,
    /// The frames before it, where the packet came in fragments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fragments: Vec<usize>,
    /// What the node that put it there changed of its addresses and ports (NAT).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewritten: Vec<String>,
}

/// A frame for looking at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FrameView {
    /// Its number.
    pub number: usize,
    /// Milliseconds since the first frame.
    pub at_ms: f64,
    /// The network it was on.
    pub network: String,
    /// Who sent it.
    pub from: String,
    /// Who received it.
    pub to: String,
    /// Source as Wireshark's column shows it.
    pub source: String,
    /// Destination as Wireshark's column shows it.
    pub destination: String,
    /// The innermost protocol.
    pub protocol: String,
    /// Its length on the wire, in bytes.
    pub length: u32,
    /// One line about it.
    pub info: String,
    /// Its layers.
    pub layers: Vec<Layer>,
}

/// Tells the story of captures.
pub fn tell(captures: &[Capture], topology: &Topology) -> Story {
    let dropped = captures.iter().fold(0_u64, |sum, one| sum.saturating_add(one.dropped()));
    let keys = KeyLog::of(captures.iter().flat_map(Capture::keys));
    Story { dropped, ..tell_merged(&merge(captures), topology, keys) }
}

/// Tells the story of frames that are in order already, with the secrets of their TLS dialogues.
pub fn tell_merged(sightings: &[Sighting], topology: &Topology, keys: KeyLog) -> Story {
    tell::tell(sightings, topology, keys)
}
