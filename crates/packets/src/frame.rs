//! Captured frames: as they travel from an agent, and merged into one order.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Two sightings of the same bytes on one network within so many nanoseconds are one frame.
const SAME_FRAME_NS: u64 = 200_000_000;

/// One frame as one interface saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The network (switch) that the interface is plugged into.
    #[serde(rename = "n")]
    pub network: String,
    /// The interface's name in the node.
    #[serde(rename = "i")]
    pub interface: String,
    /// When, nanoseconds since 1970.
    #[serde(rename = "t")]
    pub at_ns: u64,
    /// Whether the node sent it; else it received it.
    #[serde(rename = "o")]
    pub outgoing: bool,
    /// Its length on the wire, in bytes.
    #[serde(rename = "l")]
    pub length: u32,
    /// Its first bytes, as many as were kept.
    #[serde(rename = "d", serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub data: Vec<u8>,
}

fn to_base64<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(data))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64.decode(text).map_err(serde::de::Error::custom)
}

/// Frames that an agent hands over together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// In the order they were seen.
    pub frames: Vec<Frame>,
    /// How many the kernel had to drop since the last batch because nobody took them.
    #[serde(default)]
    pub dropped: u64,
    /// Whether the capture has only just begun: this is the first batch, empty, and from now on
    /// nothing is missed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub started: bool,
}

/// What one node saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// The node.
    pub node: String,
    /// Its frames.
    pub frames: Vec<Frame>,
    /// How many it had to drop.
    #[serde(default)]
    pub dropped: u64,
}

impl Capture {
    /// An empty one.
    pub fn new(node: impl Into<String>) -> Self {
        Self { node: node.into(), ..Self::default() }
    }

    /// Adds what an agent handed over.
    pub fn add(&mut self, batch: Batch) {
        self.frames.extend(batch.frames);
        self.dropped += batch.dropped;
    }
}

/// A frame on a network, once, however many nodes saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Its number, from 1, in the order of time; the number that Wireshark shows.
    pub number: usize,
    /// The network it was on.
    pub network: String,
    /// When, nanoseconds since 1970.
    pub at_ns: u64,
    /// The node that sent it, where its own capture tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// The nodes that received it.
    pub receivers: Vec<String>,
    /// The interface that saw it first: node and interface.
    pub seen_at: (String, String),
    /// Its length on the wire, in bytes.
    pub length: u32,
    /// Its bytes.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub data: Vec<u8>,
}

/// Joins captures: each frame once a network, in the order of time, numbered.
pub fn merge(captures: &[Capture]) -> Vec<Sighting> {
    let mut all: Vec<(&str, &Frame)> = captures
        .iter()
        .flat_map(|capture| capture.frames.iter().map(|frame| (capture.node.as_str(), frame)))
        .collect();
    // Where the clock is too coarse to tell, the sender comes before the receiver.
    all.sort_by_key(|(_, frame)| (frame.at_ns, !frame.outgoing));
    let mut merged: Vec<Sighting> = Vec::with_capacity(all.len());
    // The last sightings of the same bytes on the same network.
    let mut recent: HashMap<(&str, &[u8]), Vec<usize>> = HashMap::new();
    for (node, frame) in all {
        let known = recent.entry((&frame.network, &frame.data)).or_default();
        known.retain(|at| frame.at_ns.saturating_sub(merged[*at].at_ns) <= SAME_FRAME_NS);
        let same = known.iter().copied().find(|at| {
            let seen = &merged[*at];
            if frame.outgoing {
                // The receiver's clock reading may be the earlier one.
                seen.sender.is_none() && !seen.receivers.iter().any(|one| one == node)
            } else {
                seen.sender.as_deref() != Some(node)
                    && !seen.receivers.iter().any(|one| one == node)
            }
        });
        if let Some(at) = same {
            if frame.outgoing {
                merged[at].sender = Some(node.to_owned());
            } else {
                merged[at].receivers.push(node.to_owned());
            }
            continue;
        }
        known.push(merged.len());
        merged.push(Sighting {
            number: 0,
            network: frame.network.clone(),
            at_ns: frame.at_ns,
            sender: frame.outgoing.then(|| node.to_owned()),
            receivers: if frame.outgoing { Vec::new() } else { vec![node.to_owned()] },
            seen_at: (node.to_owned(), frame.interface.clone()),
            length: frame.length,
            data: frame.data.clone(),
        });
    }
    for (at, sighting) in merged.iter_mut().enumerate() {
        sighting.number = at + 1;
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(network: &str, at_ns: u64, outgoing: bool, data: &[u8]) -> Frame {
        Frame {
            network: network.into(),
            interface: "lan".into(),
            at_ns,
            outgoing,
            length: 60,
            data: data.into(),
        }
    }

    #[test]
    fn a_frame_that_three_nodes_saw_is_one() {
        let capture = |node: &str, frames| Capture { node: node.into(), frames, dropped: 0 };
        let merged = merge(&[
            capture("b", vec![frame("lan", 11, false, b"x")]),
            capture("a", vec![frame("lan", 10, true, b"x"), frame("lan", 20, true, b"x")]),
            capture("c", vec![frame("lan", 12, false, b"x"), frame("wan", 13, true, b"x")]),
        ]);
        assert_eq!(merged.len(), 3, "{merged:?}");
        assert_eq!(merged[0].sender.as_deref(), Some("a"));
        assert_eq!(merged[0].receivers, ["b", "c"]);
        assert_eq!(merged[1].network, "wan");
        assert_eq!((merged[2].number, merged[2].at_ns), (3, 20));
    }

    #[test]
    fn frames_travel_as_json() {
        let batch =
            Batch { frames: vec![frame("lan", 1, true, &[0, 255])], dropped: 2, started: false };
        let text = serde_json::to_string(&batch).unwrap();
        assert_eq!(serde_json::from_str::<Batch>(&text).unwrap(), batch);
    }
}
