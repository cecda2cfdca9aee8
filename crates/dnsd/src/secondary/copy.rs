//! Fetching a zone: IXFR where there is an old copy, else AXFR.

use std::collections::HashSet;
use std::net::SocketAddr;

use dnswire::{Message, Name, Record, RecordType};

use super::entry;
use crate::edit::serial_of;
use crate::master::Entry;
use crate::upstream;
use crate::zone::Zone;

/// Records taken at most.
const MOST: usize = 5_000_000;

/// The records of a zone's present version.
pub(super) async fn transfer(
    origin: &Name,
    old: Option<&Zone>,
    primary: SocketAddr,
) -> Result<Vec<Entry>, String> {
    if let Some(old) = old
        && let Ok(records) = stream(origin, Some(old), primary).await
        && let Some(entries) = incremental(old, records)
    {
        return Ok(entries);
    }
    let mut records = stream(origin, None, primary).await?;
    // The SOA stands at both ends.
    records.pop();
    Ok(records.into_iter().map(entry).collect())
}

fn is_soa(record: &Record) -> bool {
    record.kind == RecordType::SOA
}

/// Reads the records of a transfer, both SOA included.
async fn stream(
    origin: &Name,
    old: Option<&Zone>,
    primary: SocketAddr,
) -> Result<Vec<Record>, String> {
    let kind = if old.is_some() { RecordType::IXFR } else { RecordType::AXFR };
    let mut query = Message::query(rand::random(), origin.clone(), kind, false);
    query.edns = None;
    if let Some(old) = old {
        query.authority = old.soa_records(origin);
    }
    let text = |error: upstream::Error| error.to_string();
    let mut stream = upstream::connect(&query, primary).await.map_err(text)?;
    let mut records: Vec<Record> = Vec::new();
    let mut soas = 0;
    loop {
        let message = upstream::next(&mut stream).await.map_err(text)?;
        if message.id != query.id || message.rcode != 0 || message.answers.is_empty() {
            return Err(format!("it refuses the transfer ({})", message.rcode_word()));
        }
        for record in message.answers {
            if records.is_empty() && (!is_soa(&record) || record.name != *origin) {
                return Err("its transfer does not begin with the zone's SOA".into());
            }
            if record.class != 1 {
                return Err(format!("it sends a record of class {}", record.class));
            }
            soas += usize::from(is_soa(&record));
            records.push(record);
        }
        if records.len() > MOST {
            return Err(format!("it sends more than {MOST} records"));
        }
        if ended(&records, soas, old) {
            return Ok(records);
        }
    }
}

/// Whether a transfer is whole: it ends with the SOA that it began with (RFC 5936 section 2.2);
/// in an incremental one that SOA also stands before the last additions (RFC 1995 section 4).
fn ended(records: &[Record], soas: usize, old: Option<&Zone>) -> bool {
    let [first, rest @ ..] = records else { return false };
    let Some(last) = rest.last() else {
        // The SOA alone answers IXFR: nothing newer.
        return old.is_some_and(|old| serial_of(&first.data) == old.soa.serial);
    };
    if !is_soa(last) || serial_of(&last.data) != serial_of(&first.data) {
        return false;
    }
    let incremental = old.is_some() && rest.first().is_some_and(is_soa);
    // Pairs of old and new SOA between the two at the ends.
    !incremental || soas.is_multiple_of(2) && soas >= 4
}

/// Applies steps to the old copy; `None` where they do not fit.
fn incremental(old: &Zone, records: Vec<Record>) -> Option<Vec<Entry>> {
    let last = records.first()?.clone();
    if records.len() == 1 {
        return Some(old.entries().collect());
    }
    if !is_soa(records.get(1)?) {
        // The whole zone after all.
        let count = records.len() - 1;
        return Some(records.into_iter().take(count).map(entry).collect());
    }
    let identity = |entry: &Entry| (entry.name.clone(), entry.kind, entry.data.clone());
    let mut zone: HashSet<_> = HashSet::new();
    let mut ttls = std::collections::HashMap::new();
    for entry in old.entries().filter(|entry| entry.kind != RecordType::SOA) {
        ttls.insert(identity(&entry), entry.ttl);
        zone.insert(identity(&entry));
    }
    let mut serial = old.soa.serial;
    let mut adding = true;
    let middle = records.len() - 1;
    for record in records.into_iter().take(middle).skip(1) {
        if is_soa(&record) {
            adding = !adding;
            let theirs = serial_of(&record.data);
            if !adding && theirs != serial {
                return None;
            }
            serial = theirs;
            continue;
        }
        let entry = entry(record);
        if adding {
            ttls.insert(identity(&entry), entry.ttl);
            zone.insert(identity(&entry));
        } else if !zone.remove(&identity(&entry)) {
            return None;
        }
    }
    let records = zone.into_iter().map(|key| {
        let ttl = ttls.get(&key).copied().unwrap_or(0);
        let (name, kind, data) = key;
        Entry { line: 0, name, ttl, kind, data }
    });
    (serial == serial_of(&last.data)).then(|| std::iter::once(entry(last)).chain(records).collect())
}
