//! What other servers said, for as long as they said (RFC 1034 section 5.3.3, RFC 2308).

use std::collections::HashMap;

use dnswire::{Name, Record, RecordType};
use serde_json::{Value, json};

/// The longest that anything is kept, in seconds.
const LONGEST: u32 = 86_400;

/// The longest that a denial is kept (RFC 2308 section 5).
const LONGEST_DENIAL: u32 = 10_800;

/// How far something is to be believed (RFC 2181 section 5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// From a referral: good for finding servers, not for answering.
    Hint,
    /// An answer.
    Answer,
}

/// What is known of a name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// These records.
    Records(Vec<Record>),
    /// The name has no such type; the zone's SOA.
    NoData(Option<Record>),
    /// There is no such name; the zone's SOA.
    NoName(Option<Record>),
}

#[derive(Clone, Debug)]
struct Entry {
    known: Known,
    rank: Rank,
    until_ms: u64,
}

/// The cache.
#[derive(Debug)]
pub struct Cache {
    entries: HashMap<(Name, RecordType), Entry>,
    most: usize,
}

/// The type that stands for all types of a name that does not exist.
const ALL: RecordType = RecordType(0);

impl Cache {
    /// An empty one for so many sets.
    pub fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), most: most.max(1) }
    }

    /// What is known, at least of this rank; TTLs are what is left of them.
    pub fn get(&self, name: &Name, kind: RecordType, rank: Rank, now_ms: u64) -> Option<Known> {
        let find = |kind| {
            let entry = self.entries.get(&(name.clone(), kind))?;
            (entry.rank >= rank && entry.until_ms > now_ms).then_some(entry)
        };
        let entry = find(ALL).or_else(|| find(kind))?;
        let left = u32::try_from((entry.until_ms - now_ms).div_ceil(1000)).unwrap_or(LONGEST);
        let mut known = entry.known.clone();
        match &mut known {
            Known::Records(records) => records.iter_mut().for_each(|record| record.ttl = left),
            Known::NoData(soa) | Known::NoName(soa) => {
                soa.iter_mut().for_each(|record| record.ttl = left);
            }
        }
        Some(known)
    }

    /// Keeps records of one name and type.
    pub fn put(
        &mut self,
        name: &Name,
        kind: RecordType,
        records: Vec<Record>,
        rank: Rank,
        now_ms: u64,
    ) {
        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0).min(LONGEST);
        self.insert((name.clone(), kind), Known::Records(records), rank, ttl, now_ms);
    }

    /// Keeps a denial; without the zone's SOA it is not kept (RFC 2308 section 5).
    pub fn deny(
        &mut self,
        name: &Name,
        kind: RecordType,
        no_name: bool,
        soa: Option<Record>,
        now_ms: u64,
    ) {
        let Some(soa) = soa else { return };
        let minimum = soa.data.last_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let ttl = soa.ttl.min(minimum).min(LONGEST_DENIAL);
        let (kind, known) = if no_name {
            (ALL, Known::NoName(Some(soa)))
        } else {
            (kind, Known::NoData(Some(soa)))
        };
        self.insert((name.clone(), kind), known, Rank::Answer, ttl, now_ms);
    }

    fn insert(&mut self, key: (Name, RecordType), known: Known, rank: Rank, ttl: u32, now_ms: u64) {
        if ttl == 0 {
            return;
        }
        if let Some(old) = self.entries.get(&key)
            && old.rank > rank
            && old.until_ms > now_ms
        {
            return;
        }
        if self.entries.len() >= self.most && !self.entries.contains_key(&key) {
            self.make_room(now_ms);
        }
        let until_ms = now_ms + u64::from(ttl) * 1000;
        self.entries.insert(key, Entry { known, rank, until_ms });
    }

    /// Away with what has run out, and where that is not enough with some of the rest.
    fn make_room(&mut self, now_ms: u64) {
        self.entries.retain(|_, entry| entry.until_ms > now_ms);
        let over = (self.entries.len() + 1).saturating_sub(self.most);
        if over > 0 {
            // An eighth at once: the search is then not paid for by each insertion.
            let count = over.max(self.most / 8);
            let some: Vec<_> = self.entries.keys().take(count).cloned().collect();
            for key in some {
                self.entries.remove(&key);
            }
        }
    }

    /// Forgets what is at and below a name, or everything; gives how much that was.
    pub fn flush(&mut self, name: Option<&Name>) -> usize {
        let before = self.entries.len();
        self.entries.retain(|(owner, _), _| name.is_some_and(|name| !owner.is_within(name)));
        before - self.entries.len()
    }

    /// What is there at and below a name, in order of names.
    pub fn list(&self, name: Option<&Name>, most: usize, now_ms: u64) -> Vec<Value> {
        let fits = |owner: &Name| name.is_none_or(|name| owner.is_within(name));
        let mut found: Vec<_> = self
            .entries
            .iter()
            .filter(|((owner, _), entry)| fits(owner) && entry.until_ms > now_ms)
            .collect();
        found.sort_by(|a, b| a.0.cmp(b.0));
        found.truncate(most);
        found
            .into_iter()
            .map(|((owner, kind), entry)| {
                let (what, data): (_, Vec<_>) = match &entry.known {
                    Known::Records(records) => {
                        ("records", records.iter().map(Record::text).collect())
                    }
                    Known::NoData(_) => ("no-data", Vec::new()),
                    Known::NoName(_) => ("no-name", Vec::new()),
                };
                json!({
                    "name": owner.to_string(),
                    "type": if *kind == ALL { "ANY".to_owned() } else { kind.to_string() },
                    "ttl": (entry.until_ms - now_ms).div_ceil(1000),
                    "known": what,
                    "hint": entry.rank == Rank::Hint,
                    "data": data,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, kind: RecordType, ttl: u32, line: &str) -> Record {
        let data =
            dnswire::rdata::parse(kind, &dnswire::text::tokens(line).unwrap(), None).unwrap();
        Record { name: Name::complete(name).unwrap(), kind, class: 1, ttl, data }
    }

    #[test]
    fn rfc1034_5_3_3_records_live_as_long_as_their_ttl() {
        let mut cache = Cache::new(10);
        let a = record("a.test", RecordType::A, 10, "10.0.0.1");
        cache.put(&a.name, a.kind, vec![a.clone()], Rank::Answer, 0);
        let Some(Known::Records(records)) = cache.get(&a.name, a.kind, Rank::Answer, 4_000) else {
            panic!()
        };
        assert_eq!(records[0].ttl, 6);
        assert_eq!(cache.get(&a.name, a.kind, Rank::Answer, 10_000), None);
        let none = record("b.test", RecordType::A, 0, "10.0.0.1");
        cache.put(&none.name, none.kind, vec![none.clone()], Rank::Answer, 0);
        assert_eq!(cache.get(&none.name, none.kind, Rank::Answer, 0), None);
    }

    #[test]
    fn rfc2308_5_denials_live_as_long_as_the_soa_says() {
        let mut cache = Cache::new(10);
        let name = Name::complete("no.test").unwrap();
        let soa = record("test", RecordType::SOA, 100, "a. b. 1 2 3 4 5");
        cache.deny(&name, RecordType::A, true, Some(soa), 0);
        assert!(matches!(
            cache.get(&name, RecordType::MX, Rank::Answer, 4_000),
            Some(Known::NoName(_))
        ));
        assert_eq!(cache.get(&name, RecordType::MX, Rank::Answer, 5_000), None);
    }

    #[test]
    fn rfc2181_5_4_1_glue_does_not_replace_answers_and_the_size_is_bounded() {
        let mut cache = Cache::new(8);
        let a = record("a.test", RecordType::A, 10, "10.0.0.1");
        let glue = record("a.test", RecordType::A, 10, "10.6.6.6");
        cache.put(&a.name, a.kind, vec![glue.clone()], Rank::Hint, 0);
        assert_eq!(cache.get(&a.name, a.kind, Rank::Answer, 0), None);
        cache.put(&a.name, a.kind, vec![a.clone()], Rank::Answer, 0);
        cache.put(&a.name, a.kind, vec![glue], Rank::Hint, 0);
        assert_eq!(cache.get(&a.name, a.kind, Rank::Hint, 0), Some(Known::Records(vec![a])));
        for n in 0..100 {
            let a = record(&format!("n{n}.test"), RecordType::A, 10, "10.0.0.1");
            cache.put(&a.name, a.kind, vec![a.clone()], Rank::Answer, 0);
        }
        assert!(cache.entries.len() <= 8);
        assert!(cache.flush(None) > 0 && cache.list(None, 10, 0).is_empty());
    }
}
