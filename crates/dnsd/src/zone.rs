//! One zone in memory: its names, their sets, where it is cut, and how it denies.

mod build;
mod look;
mod show;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use dnswire::{Name, Record, RecordType};

pub use build::build;
pub use look::Look;
pub use show::{diff, is_made_by_signing};

/// A zone's key: the wire bytes of a name in lower case.
pub type Key = Box<[u8]>;

/// A quick hash: keys come from zone files, not from strangers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<8>();
        for chunk in chunks {
            self.write_u64(u64::from_le_bytes(*chunk));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.write_u64(u64::from_le_bytes(last));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

/// A map by keys.
pub type ByKey<V> = HashMap<Key, V, BuildHasherDefault<Quick>>;

/// All records of one owner and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The type.
    pub kind: RecordType,
    /// Seconds it may be kept.
    pub ttl: u32,
    /// The data of each record.
    pub data: Vec<Box<[u8]>>,
    /// The data of the RRSIG records over it.
    pub signatures: Vec<Box<[u8]>>,
}

/// How a name lies to the zone's cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The zone has authority.
    Inside,
    /// It is delegated: NS that is not the zone's own.
    Cut,
    /// Below a delegation: glue at most.
    Below,
}

/// A name of the zone. One without sets exists because of names below it (RFC 4592 section 2.2.2).
#[derive(Clone, Debug)]
pub struct Node {
    /// The name in its own case; `None` where that is the key's.
    owner: Option<Name>,
    /// Its sets.
    pub sets: Vec<Set>,
    /// Where it lies.
    pub place: Place,
}

impl Node {
    /// The set of a type.
    pub fn set(&self, kind: RecordType) -> Option<&Set> {
        self.sets.iter().find(|set| set.kind == kind)
    }
}

/// The SOA's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Soa {
    /// The zone's version.
    pub serial: u32,
    /// Seconds between a secondary's checks.
    pub refresh: u32,
    /// Seconds between its retries.
    pub retry: u32,
    /// Seconds after which it stops answering.
    pub expire: u32,
    /// Seconds that a denial may be kept: the lower of MINIMUM and the record's TTL
    /// (RFC 2308 section 5).
    pub negative: u32,
}

/// How the zone proves what it does not have.
#[derive(Clone, Debug)]
pub enum Proofs {
    /// It is not signed.
    None,
    /// NSEC: the names that have one, in canonical order.
    Nsec(Vec<Name>),
    /// NSEC3: hash, owner and record, in order of hashes.
    Nsec3(Nsec3),
}

/// The chain of hashes.
#[derive(Clone, Debug, Default)]
pub struct Nsec3 {
    /// Extra iterations.
    pub iterations: u16,
    /// Salt.
    pub salt: Box<[u8]>,
    /// Hash, owner and record.
    pub chain: Vec<(Box<[u8]>, Name, Set)>,
}

/// A zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name.
    pub origin: Name,
    /// The origin in lower case.
    key: Key,
    /// Its names.
    nodes: ByKey<Node>,
    /// Its SOA's numbers.
    pub soa: Soa,
    /// How it denies.
    pub proofs: Proofs,
    /// What is odd about it, in sentences; it is served all the same.
    pub warnings: Vec<String>,
    /// Its records, signatures included.
    pub count: usize,
}

impl Zone {
    /// The owner's name of a node in its own case.
    pub fn owner<'z>(key: &'z [u8], node: &'z Node) -> &'z [u8] {
        node.owner.as_ref().map_or(key, Name::wire)
    }

    /// The node of a name.
    pub fn node(&self, key: &[u8]) -> Option<&Node> {
        self.nodes.get(key)
    }

    /// The apex with its key.
    pub fn apex(&self) -> Option<(&[u8], &Node)> {
        self.nodes.get_key_value(&self.key).map(|(key, node)| (&key[..], node))
    }

    /// The zone's SOA record's set.
    pub fn soa_set(&self) -> Option<&Set> {
        self.apex().and_then(|(_, node)| node.set(RecordType::SOA))
    }

    /// The start of authority as records: what a notification and a question for changes carry.
    pub fn soa_records(&self, origin: &Name) -> Vec<Record> {
        let Some(set) = self.soa_set() else { return Vec::new() };
        let record = |data| Record {
            name: origin.clone(),
            kind: RecordType::SOA,
            class: 1,
            ttl: set.ttl,
            data,
        };
        set.data.iter().cloned().map(record).collect()
    }
}
