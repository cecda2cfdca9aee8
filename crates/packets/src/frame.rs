//! Captured frames: as they travel from an agent, and merged into one order.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Two sightings of the same bytes on one network within so many nanoseconds are one frame.
pub(crate) const SAME_FRAME_NS: u64 = 200_000_000;
/// What stands before each frame in a batch: time, length on the wire, bytes kept.
const HEAD: usize = 16;
/// The bit of the kept length that says that the node sent the frame.
const OUTGOING: u32 = 1 << 31;

/// One frame as one interface saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The network (switch) that the interface is plugged into.
    pub network: &'a str,
    /// The interface's name in the node.
    pub interface: &'a str,
    /// When, nanoseconds since 1970.
    pub at_ns: u64,
    /// Whether the node sent it; else it received it.
    pub outgoing: bool,
    /// Its length on the wire, in bytes.
    pub length: u32,
    /// Its first bytes, as many as were kept.
    pub data: &'a [u8],
}

fn to_base64<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(data))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64.decode(text).map_err(serde::de::Error::custom)
}

/// Frames of one interface that an agent hands over together: packed one behind the other, so that
/// a busy link costs one allocation and one base64 a batch and none a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The network that the interface is plugged into.
    #[serde(default, rename = "n", skip_serializing_if = "String::is_empty")]
    network: String,
    /// The interface's name in the node.
    #[serde(default, rename = "i", skip_serializing_if = "String::is_empty")]
    interface: String,
    /// The frames in the order they were seen.
    #[serde(
        default,
        rename = "f",
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "to_base64",
        deserialize_with = "from_base64"
    )]
    packed: Vec<u8>,
    /// How many the kernel had to drop since the last batch because nobody took them.
    #[serde(default)]
    pub dropped: u64,
    /// Whether the capture has only just begun: this is the first batch, empty, and from now on
    /// nothing is missed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub started: bool,
    /// What was added to the node's TLS key log since the last batch: whole lines of the NSS form.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub keys: String,
}

impl Batch {
    /// An empty one of an interface.
    pub fn new(network: &str, interface: &str) -> Self {
        Self { network: network.into(), interface: interface.into(), ..Self::default() }
    }

    /// Adds a frame: nanoseconds since 1970, whether it was sent, its length on the wire, and what
    /// was kept of it.
    pub fn push(&mut self, at_ns: u64, outgoing: bool, length: u32, data: &[u8]) {
        let kept = data.len().min((OUTGOING - 1) as usize);
        let word = u32::try_from(kept).unwrap_or_default() | if outgoing { OUTGOING } else { 0 };
        self.packed.reserve(HEAD + kept);
        self.packed.extend_from_slice(&at_ns.to_le_bytes());
        self.packed.extend_from_slice(&length.to_le_bytes());
        self.packed.extend_from_slice(&word.to_le_bytes());
        self.packed.extend_from_slice(&data[..kept]);
    }

    /// Its frames. What a node makes up ends them where it is no frame.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        let mut rest = self.packed.as_slice();
        std::iter::from_fn(move || {
            let (at_ns, after) = rest.split_first_chunk::<8>()?;
            let (length, after) = after.split_first_chunk::<4>()?;
            let (word, after) = after.split_first_chunk::<4>()?;
            let word = u32::from_le_bytes(*word);
            let (data, after) = after.split_at_checked((word & !OUTGOING) as usize)?;
            rest = after;
            Some(Frame {
                network: &self.network,
                interface: &self.interface,
                at_ns: u64::from_le_bytes(*at_ns),
                outgoing: word & OUTGOING != 0,
                length: u32::from_le_bytes(*length),
                data,
            })
        })
    }

    /// The network it is of.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Its size in memory, in bytes, about.
    pub fn size(&self) -> usize {
        self.packed.len() + self.keys.len()
    }

    /// Whether it holds no frame.
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }
}

/// What one node saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// The node.
    pub node: String,
    /// What its agent handed over.
    pub batches: Vec<Batch>,
}

impl Capture {
    /// An empty one.
    pub fn new(node: impl Into<String>) -> Self {
        Self { node: node.into(), ..Self::default() }
    }

    /// Adds what an agent handed over.
    pub fn add(&mut self, batch: Batch) {
        self.batches.push(batch);
    }

    /// Its frames.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.batches.iter().flat_map(Batch::frames)
    }

    /// How many frames it had to drop.
    pub fn dropped(&self) -> u64 {
        self.batches.iter().fold(0_u64, |sum, batch| sum.saturating_add(batch.dropped))
    }

    /// The lines of the node's TLS key log, where the lab keeps one.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.batches.iter().flat_map(|batch| batch.keys.lines())
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

impl Sighting {
    /// Whether another node's view is of this very frame; notes the node where it is.
    pub(crate) fn takes(&mut self, node: &str, frame: &Frame<'_>) -> bool {
        if frame.at_ns.abs_diff(self.at_ns) > SAME_FRAME_NS
            || self.receivers.iter().any(|one| one == node)
            || self.sender.as_deref() == Some(node)
        {
            return false;
        }
        if !frame.outgoing {
            self.receivers.push(node.to_owned());
        } else if self.sender.is_none() {
            // The receiver's clock reading may be the earlier one.
            self.sender = Some(node.to_owned());
        } else {
            return false;
        }
        true
    }
}

/// Joins captures: each frame once a network, in the order of time, numbered.
pub fn merge(captures: &[Capture]) -> Vec<Sighting> {
    let all = captures
        .iter()
        .flat_map(|capture| capture.frames().map(|frame| (capture.node.as_str(), frame)));
    merge_frames(all.collect())
}

/// The same for frames and the nodes that saw them.
pub(crate) fn merge_frames(mut all: Vec<(&str, Frame<'_>)>) -> Vec<Sighting> {
    // Where the clock is too coarse to tell, the sender comes before the receiver.
    all.sort_by_key(|(_, frame)| (frame.at_ns, !frame.outgoing));
    let mut merged: Vec<Sighting> = Vec::with_capacity(all.len());
    // The last sightings of the same bytes on the same network.
    let mut recent: HashMap<(&str, &[u8]), Vec<usize>> = HashMap::new();
    for (node, frame) in all {
        let known = recent.entry((frame.network, frame.data)).or_default();
        known.retain(|at| frame.at_ns.saturating_sub(merged[*at].at_ns) <= SAME_FRAME_NS);
        if known.iter().any(|at| merged[*at].takes(node, &frame)) {
            continue;
        }
        known.push(merged.len());
        merged.push(Sighting {
            number: merged.len() + 1,
            network: frame.network.to_owned(),
            at_ns: frame.at_ns,
            sender: frame.outgoing.then(|| node.to_owned()),
            receivers: if frame.outgoing { Vec::new() } else { vec![node.to_owned()] },
            seen_at: (node.to_owned(), frame.interface.to_owned()),
            length: frame.length,
            data: frame.data.to_vec(),
        });
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(network: &str, at_ns: u64, outgoing: bool, data: &[u8]) -> Batch {
        let mut batch = Batch::new(network, "lan");
        batch.push(at_ns, outgoing, 60, data);
        batch
    }

    #[test]
    fn a_frame_that_three_nodes_saw_is_one() {
        let capture = |node: &str, batches| Capture { node: node.into(), batches };
        let merged = merge(&[
            capture("b", vec![batch("lan", 11, false, b"x")]),
            capture("a", vec![batch("lan", 10, true, b"x"), batch("lan", 20, true, b"x")]),
            capture("c", vec![batch("lan", 12, false, b"x"), batch("wan", 13, true, b"x")]),
        ]);
        assert_eq!(merged.len(), 3, "{merged:?}");
        assert_eq!(merged[0].sender.as_deref(), Some("a"));
        assert_eq!(merged[0].receivers, ["b", "c"]);
        assert_eq!(merged[1].network, "wan");
        assert_eq!((merged[2].number, merged[2].at_ns), (3, 20));
    }

    #[test]
    fn frames_travel_packed_as_json() {
        let mut sent = batch("lan", 1, true, &[0, 255]);
        sent.push(u64::MAX, false, u32::MAX, b"");
        sent.dropped = 2;
        let text = serde_json::to_string(&sent).unwrap();
        let batch: Batch = serde_json::from_str(&text).unwrap();
        assert_eq!(batch, sent);
        let frames: Vec<Frame<'_>> = batch.frames().collect();
        assert_eq!((frames[0].at_ns, frames[0].outgoing, frames[0].data), (1, true, &[0, 255][..]));
        assert_eq!(
            (frames[1].at_ns, frames[1].outgoing, frames[1].length),
            (u64::MAX, false, u32::MAX)
        );
        // What a node makes up is no more than what it is.
        let mut cut = batch.clone();
        cut.packed.truncate(20);
        assert_eq!(cut.frames().count(), 1);
        cut.packed = vec![0xff; 40];
        assert_eq!(cut.frames().count(), 0);
    }
}
