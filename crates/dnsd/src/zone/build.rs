//! From records to a zone, with the checks that RFC 1034 section 4.2 and its followers ask for.

use std::collections::{BTreeSet, HashMap};

use dnswire::{Name, RecordType, parent_of, rdata};

use super::{ByKey, Key, Node, Nsec3, Place, Proofs, Set, Soa, Zone};
use crate::master::{Entry, Mistake};

fn key_of(name: &Name) -> Key {
    name.wire().to_ascii_lowercase().into()
}

/// Makes a zone.
///
/// # Errors
/// The first [`Mistake`], with the line of the record.
pub fn build(origin: &Name, entries: Vec<Entry>) -> Result<Zone, Mistake> {
    let key = key_of(origin);
    let mut nodes: ByKey<Node> = ByKey::default();
    nodes.reserve(entries.len() / 2);
    let mut hashed: Vec<Entry> = Vec::new();
    let mut signatures: Vec<Entry> = Vec::new();
    let mut lines: HashMap<(Key, RecordType), usize> = HashMap::new();
    let wrong = |entry: &Entry, why: String| Err(Mistake::new(entry.line, why));
    for entry in entries {
        if !entry.name.is_within(origin) {
            return wrong(
                &entry,
                format!(
                    "{} is not in the zone {origin}; a final dot makes a name complete",
                    entry.name
                ),
            );
        }
        match entry.kind {
            RecordType::NSEC3 => {
                hashed.push(entry);
                continue;
            }
            RecordType::RRSIG => {
                signatures.push(entry);
                continue;
            }
            RecordType::SOA if entry.name != *origin => {
                return wrong(&entry, format!("a SOA record stands at {origin} only"));
            }
            _ => {}
        }
        let owner = key_of(&entry.name);
        let line = *lines.entry((owner.clone(), entry.kind)).or_insert(entry.line);
        let node = nodes.entry(owner).or_insert_with_key(|key| empty(key, &entry.name));
        let Some(set) = node.sets.iter_mut().find(|set| set.kind == entry.kind) else {
            let set = Set {
                kind: entry.kind,
                ttl: entry.ttl,
                data: vec![entry.data],
                signatures: Vec::new(),
            };
            node.sets.push(set);
            continue;
        };
        // The same record twice is one (RFC 2181 section 5).
        let same = set.data.iter().any(|data| same_data(entry.kind, data, &entry.data));
        let single = matches!(entry.kind, RecordType::SOA | RecordType::CNAME | RecordType::DNAME);
        if !same && single {
            return wrong(
                &entry,
                format!(
                    "{} has a {} record already (line {line}); there can be one only",
                    entry.name, entry.kind
                ),
            );
        }
        if !same {
            set.data.push(entry.data);
        }
    }
    for entry in signatures {
        attach(&mut nodes, &mut hashed, entry);
    }
    check_aliases(&nodes, &lines)?;
    empty_names(&mut nodes, &key);
    let soa = check_apex(origin, &key, &nodes)?;
    place(&mut nodes, &key);
    let proofs = proofs(origin, &key, &nodes, hashed);
    let mut zone =
        Zone { origin: origin.clone(), key, nodes, soa, proofs, warnings: Vec::new(), count: 0 };
    zone.count = zone.entries().count();
    zone.warnings = warnings(&zone);
    Ok(zone)
}

fn empty(key: &[u8], name: &Name) -> Node {
    let owner = (name.wire() != key).then(|| name.clone());
    Node { owner, sets: Vec::with_capacity(1), place: Place::Inside }
}

fn same_data(kind: RecordType, one: &[u8], other: &[u8]) -> bool {
    let canonical = |data: &[u8]| {
        let mut data = data.to_vec();
        rdata::canonical(kind, &mut data);
        data
    };
    one == other || (one.len() == other.len() && canonical(one) == canonical(other))
}

/// Puts a signature beside what it covers; one that covers nothing is left out.
fn attach(nodes: &mut ByKey<Node>, hashed: &mut Vec<Entry>, entry: Entry) {
    let Some(&[high, low]) = entry.data.first_chunk::<2>() else { return };
    let covered = RecordType(u16::from_be_bytes([high, low]));
    if covered == RecordType::NSEC3 {
        hashed.push(entry);
        return;
    }
    let node = nodes.get_mut(&key_of(&entry.name));
    let set = node.and_then(|node| node.sets.iter_mut().find(|set| set.kind == covered));
    if let Some(set) = set {
        set.signatures.push(entry.data);
    }
}

/// RFC 1034 section 3.6.2: a name with CNAME has nothing else (but DNSSEC's, RFC 4034 section 2.5).
fn check_aliases(
    nodes: &ByKey<Node>,
    lines: &HashMap<(Key, RecordType), usize>,
) -> Result<(), Mistake> {
    for (key, node) in nodes {
        if node.set(RecordType::CNAME).is_none() {
            continue;
        }
        let other = node.sets.iter().find(|set| {
            !matches!(
                set.kind,
                RecordType::CNAME | RecordType::NSEC | RecordType::KEY | RecordType::SIG
            )
        });
        if let Some(other) = other {
            let line = |kind| lines.get(&(key.clone(), kind)).copied().unwrap_or(0);
            let (alias, other_line) = (line(RecordType::CNAME), line(other.kind));
            let name = Name::from_wire(key).map(|name| name.to_string()).unwrap_or_default();
            return Err(Mistake::new(
                alias.max(other_line),
                format!(
                    "{name} has a CNAME record and a {} record: an alias has nothing else (RFC 1034 section 3.6.2)",
                    other.kind
                ),
            ));
        }
    }
    Ok(())
}

/// Names between the apex and a name exist, too (RFC 4592 section 2.2.2).
fn empty_names(nodes: &mut ByKey<Node>, apex: &[u8]) {
    let mut missing = BTreeSet::new();
    for key in nodes.keys() {
        let mut name = &key[..];
        while let Some(parent) = parent_of(name).filter(|parent| parent.len() > apex.len()) {
            if nodes.contains_key(parent) || !missing.insert(Key::from(parent)) {
                break;
            }
            name = parent;
        }
    }
    for key in missing {
        nodes.insert(key, Node { owner: None, sets: Vec::new(), place: Place::Inside });
    }
}

fn check_apex(origin: &Name, key: &[u8], nodes: &ByKey<Node>) -> Result<Soa, Mistake> {
    let missing = |what: &str, example: &str| {
        Mistake::new(0, format!("the zone {origin} has no {what} record; add `@ {example}`"))
    };
    let set = nodes.get(key).and_then(|apex| apex.set(RecordType::SOA));
    let set = set.ok_or_else(|| missing("SOA", "SOA ns admin 1 3600 900 604800 300"))?;
    if nodes.get(key).is_none_or(|apex| apex.set(RecordType::NS).is_none()) {
        return Err(missing("NS", "NS ns"));
    }
    let numbers = set.data.first().and_then(|data| data.last_chunk::<20>());
    let numbers =
        numbers.ok_or_else(|| missing("complete SOA", "SOA ns admin 1 3600 900 604800 300"))?;
    let at = |n: usize| {
        let bytes = numbers.as_chunks::<4>().0.get(n).copied().unwrap_or_default();
        u32::from_be_bytes(bytes)
    };
    Ok(Soa {
        serial: at(0),
        refresh: at(1),
        retry: at(2),
        expire: at(3),
        negative: at(4).min(set.ttl),
    })
}

/// Marks cuts and what lies below them (RFC 1034 section 4.2).
fn place(nodes: &mut ByKey<Node>, apex: &[u8]) {
    let cuts: BTreeSet<Key> = nodes
        .iter()
        .filter(|(key, node)| key[..] != *apex && node.set(RecordType::NS).is_some())
        .map(|(key, _)| key.clone())
        .collect();
    // What lies below a DNAME is not seen either (RFC 6672 section 2.4).
    let renamed: BTreeSet<Key> = nodes
        .iter()
        .filter(|(_, node)| node.set(RecordType::DNAME).is_some())
        .map(|(key, _)| key.clone())
        .collect();
    if cuts.is_empty() && renamed.is_empty() {
        return;
    }
    for (key, node) in nodes {
        let mut name = &key[..];
        node.place = if cuts.contains(key) { Place::Cut } else { Place::Inside };
        while let Some(parent) = parent_of(name).filter(|parent| parent.len() >= apex.len()) {
            if cuts.contains(parent) || renamed.contains(parent) {
                node.place = Place::Below;
                break;
            }
            name = parent;
        }
    }
}

fn proofs(origin: &Name, apex: &[u8], nodes: &ByKey<Node>, hashed: Vec<Entry>) -> Proofs {
    let Some(apex) = nodes.get(apex) else { return Proofs::None };
    if apex.set(RecordType::NSEC).is_some() {
        let with = nodes.iter().filter(|(_, node)| node.set(RecordType::NSEC).is_some());
        let mut names: Vec<_> = with.filter_map(|(key, _)| Name::from_wire(key).ok()).collect();
        names.sort_unstable();
        return Proofs::Nsec(names);
    }
    let parameters = apex.set(RecordType::NSEC3PARAM).and_then(|set| set.data.first());
    let Some([_, _, high, low, size, salt @ ..]) = parameters.map(|data| &data[..]) else {
        return Proofs::None;
    };
    let mut chain = Nsec3 {
        iterations: u16::from_be_bytes([*high, *low]),
        salt: salt[..usize::from(*size).min(salt.len())].into(),
        chain: Vec::new(),
    };
    let mut found: HashMap<Name, Set> = HashMap::new();
    for entry in hashed {
        let set = found.entry(entry.name).or_insert_with(|| Set {
            kind: RecordType::NSEC3,
            ttl: entry.ttl,
            data: Vec::new(),
            signatures: Vec::new(),
        });
        let list =
            if entry.kind == RecordType::NSEC3 { &mut set.data } else { &mut set.signatures };
        list.push(entry.data);
    }
    for (name, set) in found {
        let label = name.labels().next().map(String::from_utf8_lossy);
        let hash = label.and_then(|label| dnswire::text::unbase32hex(&label).ok());
        if let (Some(hash), true) =
            (hash, name.parent().as_ref() == Some(origin) && !set.data.is_empty())
        {
            chain.chain.push((hash.into(), name, set));
        }
    }
    chain.chain.sort_by(|a, b| a.0.cmp(&b.0));
    Proofs::Nsec3(chain)
}

/// What a good zone does not have: targets that are aliases or do not exist (RFC 2181 section 10.3,
/// RFC 1912 section 2).
fn warnings(zone: &Zone) -> Vec<String> {
    let mut found = Vec::new();
    for (key, node) in &zone.nodes {
        for set in &node.sets {
            if !matches!(set.kind, RecordType::NS | RecordType::MX | RecordType::SRV) {
                continue;
            }
            for target in set.data.iter().filter_map(|data| rdata::target(set.kind, data)) {
                let owner = Name::from_wire(key).map(|name| name.to_string()).unwrap_or_default();
                if target.is_root() || !target.is_within(&zone.origin) {
                    continue;
                }
                let lower = key_of(&target);
                let (_, look) = zone.look(&lower, RecordType::A);
                let (kind, target) = (set.kind, target.to_string());
                match look {
                    super::Look::Node { node, .. } if node.set(RecordType::CNAME).is_some() => {
                        found.push(format!("{owner} {kind} points at {target}, which is an alias"));
                    }
                    super::Look::Node { node, .. }
                        if node.set(RecordType::A).is_none()
                            && node.set(RecordType::AAAA).is_none() =>
                    {
                        found.push(format!(
                            "{owner} {kind} points at {target}, which has no address"
                        ));
                    }
                    super::Look::Nothing { .. } => {
                        found.push(format!(
                            "{owner} {kind} points at {target}, which does not exist"
                        ));
                    }
                    _ => {}
                }
            }
        }
    }
    found.sort_unstable();
    found.truncate(100);
    found
}
