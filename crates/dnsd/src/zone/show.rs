//! A zone as records again: for files, transfers and differences.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use dnswire::{Name, RecordType};

use super::{Node, Proofs, Set, Zone};
use crate::master::Entry;

/// Whether signing makes records of this type.
pub fn is_made_by_signing(kind: RecordType) -> bool {
    matches!(
        kind,
        RecordType::RRSIG
            | RecordType::NSEC
            | RecordType::NSEC3
            | RecordType::NSEC3PARAM
            | RecordType::DNSKEY
    )
}

fn of_set<'z>(name: Name, set: &'z Set) -> impl Iterator<Item = Entry> + 'z {
    let entry = move |kind, data: &[u8]| Entry {
        line: 0,
        name: name.clone(),
        ttl: set.ttl,
        kind,
        data: data.into(),
    };
    let signatures = set.signatures.iter().map(|data| (RecordType::RRSIG, data));
    set.data
        .iter()
        .map(|data| (set.kind, data))
        .chain(signatures)
        .map(move |(kind, data)| entry(kind, data))
}

impl Zone {
    /// Its names with their nodes, in no order.
    pub fn names(&self) -> impl Iterator<Item = (Name, &Node)> {
        self.nodes.iter().filter_map(|(key, node)| {
            Name::from_wire(Self::owner(key, node)).ok().map(|name| (name, node))
        })
    }

    /// The SOA as a record.
    pub fn soa(&self) -> Option<Entry> {
        let set = self.soa_set()?;
        let data = set.data.first()?.clone();
        Some(Entry {
            line: 0,
            name: self.origin.clone(),
            ttl: set.ttl,
            kind: RecordType::SOA,
            data,
        })
    }

    /// All records in no order, signatures included.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let nodes = self.nodes.iter().flat_map(|(key, node)| {
            let name =
                Name::from_wire(Self::owner(key, node)).unwrap_or_else(|_| self.origin.clone());
            node.sets.iter().flat_map(move |set| of_set(name.clone(), set))
        });
        let chain = match &self.proofs {
            Proofs::Nsec3(chain) => &chain.chain[..],
            _ => &[],
        };
        nodes.chain(chain.iter().flat_map(|(_, name, set)| of_set(name.clone(), set)))
    }

    /// All records in canonical order, SOA and NS of the apex first.
    pub fn sorted(&self) -> Vec<Entry> {
        let mut all: Vec<_> = self.entries().collect();
        let rank = |kind: RecordType| match kind {
            RecordType::SOA => (0, 0),
            RecordType::NS => (1, 0),
            RecordType(number) => (2, number),
        };
        all.sort_by(|a, b| {
            a.name.cmp(&b.name).then(rank(a.kind).cmp(&rank(b.kind))).then(a.data.cmp(&b.data))
        });
        all
    }

    /// The records that its author wrote, without what signing made.
    pub fn written(&self) -> Vec<Entry> {
        self.sorted().into_iter().filter(|entry| !is_made_by_signing(entry.kind)).collect()
    }

    /// As a master file.
    pub fn text(&self, signatures: bool) -> String {
        let mut text = format!("$ORIGIN {}\n", self.origin);
        for entry in if signatures { self.sorted() } else { self.written() } {
            let _ = writeln!(text, "{entry}");
        }
        text
    }
}

/// What leaves and what comes from one version of a zone to another (RFC 1995 section 4).
pub fn diff(old: &Zone, new: &Zone) -> (Vec<Entry>, Vec<Entry>) {
    let identity = |entry: &Entry| (entry.name.clone(), entry.kind, entry.ttl, entry.data.clone());
    let before: BTreeSet<_> = old.entries().map(|entry| identity(&entry)).collect();
    let after: BTreeSet<_> = new.entries().map(|entry| identity(&entry)).collect();
    let entry = |(name, kind, ttl, data): &(Name, RecordType, u32, Box<[u8]>)| Entry {
        line: 0,
        name: name.clone(),
        ttl: *ttl,
        kind: *kind,
        data: data.clone(),
    };
    (before.difference(&after).map(entry).collect(), after.difference(&before).map(entry).collect())
}
