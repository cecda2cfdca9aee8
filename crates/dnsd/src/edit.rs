//! Changes to a zone at run time: all of a change holds, or nothing does.

use dnswire::text::tokens;
use dnswire::{Name, RecordType, rdata};

use crate::master::{Entry, Mistake, Parser};
use crate::zone::{Zone, build};

/// One change.
#[derive(Clone, Debug)]
pub enum Edit {
    /// One more record.
    Add(Entry),
    /// In place of all records of its name and type.
    Replace(Entry),
    /// Away with what fits: a name, perhaps a type, perhaps data.
    Remove {
        /// The owner.
        name: Name,
        /// The type; all but SOA and the apex' NS where absent.
        kind: Option<RecordType>,
        /// The data; all where absent.
        data: Option<Box<[u8]>>,
    },
}

/// Reads a line such as `www A 10.0.0.1`; relative names stand below `origin`, and the TTL is the
/// SOA's where the line has none.
///
/// # Errors
/// [`Mistake`] with line 1.
pub fn read_line(zone: &Zone, line: &str) -> Result<Entry, Mistake> {
    let ttl = zone.soa_set().map(|set| set.ttl);
    let mut entries = Parser::new(&zone.origin, ttl).read(line.trim_start())?;
    match (entries.pop(), entries.is_empty()) {
        (Some(entry), true) => Ok(entry),
        _ => Err(Mistake::new(1, "give one record on one line, such as: www A 192.168.1.2")),
    }
}

/// Reads what to remove: `NAME`, `NAME TYPE` or `NAME TYPE DATA`.
///
/// # Errors
/// [`Mistake`] with line 1.
pub fn read_removal(zone: &Zone, line: &str) -> Result<Edit, Mistake> {
    let wrong = |reason: String| Mistake::new(1, reason);
    let words = tokens(line).map_err(wrong)?;
    let mut words = &words[..];
    let [name, rest @ ..] = words else {
        return Err(wrong("give the name of what is to go".into()));
    };
    let name =
        Name::parse(&name.text, Some(&zone.origin)).map_err(|error| wrong(error.to_string()))?;
    words = rest;
    // TTL and class may stand there, as in a record's line.
    while let [word, rest @ ..] = words
        && (word.text.eq_ignore_ascii_case("IN") || word.text.bytes().all(|b| b.is_ascii_digit()))
    {
        words = rest;
    }
    let (kind, data) = match words {
        [] => (None, None),
        [kind, data @ ..] => {
            let kind: RecordType = kind.text.parse().map_err(wrong)?;
            let data = match data {
                [] => None,
                data => Some(rdata::parse(kind, data, Some(&zone.origin)).map_err(wrong)?),
            };
            (Some(kind), data)
        }
    };
    Ok(Edit::Remove { name, kind, data })
}

/// The zone after the edits, with the next serial (RFC 1982), not signed yet.
///
/// # Errors
/// [`Mistake`]; the old zone stays what it was.
pub fn apply(zone: &Zone, edits: Vec<Edit>) -> Result<Zone, Mistake> {
    let mut entries = zone.written();
    let mut soa_given = false;
    for edit in edits {
        match edit {
            Edit::Add(entry) => {
                soa_given |= entry.kind == RecordType::SOA;
                if entries.iter().any(|known| same(known, &entry)) {
                    return Err(Mistake::new(entry.line, format!("{entry} is there already")));
                }
                entries.push(entry);
            }
            Edit::Replace(entry) => {
                soa_given |= entry.kind == RecordType::SOA;
                let before = entries.len();
                entries.retain(|known| known.name != entry.name || known.kind != entry.kind);
                if before == entries.len() {
                    let (name, kind) = (&entry.name, entry.kind);
                    return Err(Mistake::new(
                        entry.line,
                        format!("{name} has no {kind} record to change; add it instead"),
                    ));
                }
                entries.push(entry);
            }
            Edit::Remove { name, kind, data } => {
                let before = entries.len();
                let apex = name == zone.origin;
                entries.retain(|known| {
                    let kept = apex && matches!(known.kind, RecordType::SOA | RecordType::NS);
                    let fits = known.name == name
                        && kind.map_or(!kept, |kind| kind == known.kind)
                        && data.as_ref().is_none_or(|data| data.eq_ignore_ascii_case(&known.data));
                    !fits
                });
                if before == entries.len() {
                    let kind = kind.map(|kind| format!(" {kind}")).unwrap_or_default();
                    return Err(Mistake::new(
                        0,
                        format!(
                            "{name} has no{kind} record that fits; `records` lists what is there"
                        ),
                    ));
                }
            }
        }
    }
    let next = next_serial(zone.soa.serial);
    for entry in entries.iter_mut().filter(|entry| entry.kind == RecordType::SOA) {
        let given = serial_of(&entry.data);
        if !(soa_given && is_later(given, zone.soa.serial)) {
            set_serial(&mut entry.data, next);
        }
    }
    build(&zone.origin, entries)
}

fn same(one: &Entry, other: &Entry) -> bool {
    one.name == other.name && one.kind == other.kind && one.data == other.data
}

/// The serial after this one; 0 is left out.
pub fn next_serial(serial: u32) -> u32 {
    serial.wrapping_add(1).max(1)
}

/// Whether a serial is later than another (RFC 1982 section 3.2).
pub fn is_later(one: u32, other: u32) -> bool {
    let ahead = one.wrapping_sub(other);
    ahead != 0 && ahead < 0x8000_0000
}

/// The serial in an SOA's data.
pub fn serial_of(data: &[u8]) -> u32 {
    data.len()
        .checked_sub(20)
        .and_then(|at| data[at..].first_chunk::<4>())
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// Writes the serial of an SOA's data.
pub fn set_serial(data: &mut [u8], serial: u32) {
    if let Some(at) = data.len().checked_sub(20) {
        data[at..at + 4].copy_from_slice(&serial.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> Zone {
        let origin = Name::complete("lab.test").unwrap();
        let text = "$TTL 300\n@ SOA ns admin 7 1 1 1 60\n@ NS ns\nns A 10.0.0.1\nwww A 10.0.0.2\nwww A 10.0.0.3\n";
        build(&origin, crate::master::parse(&origin, text).unwrap()).unwrap()
    }

    #[test]
    fn a_change_raises_the_serial_and_a_bad_one_changes_nothing() {
        let old = zone();
        let add = Edit::Add(read_line(&old, "mail A 10.0.0.4").unwrap());
        let new = apply(&old, vec![add]).unwrap();
        assert_eq!((new.soa.serial, new.count), (8, old.count + 1));
        for line in ["www CNAME ns", "ns.other. A 10.0.0.1", "www A 10.0.0.2"] {
            let edit = Edit::Add(read_line(&old, line).unwrap());
            assert!(apply(&old, vec![edit]).is_err(), "{line}");
        }
        assert!(read_line(&old, "www A 10.0.0").unwrap_err().to_string().starts_with("line 1"));
        let gone = apply(&old, vec![read_removal(&old, "www A 10.0.0.2").unwrap()]).unwrap();
        assert_eq!(gone.count, old.count - 1);
        let gone = apply(&old, vec![read_removal(&old, "www").unwrap()]).unwrap();
        assert_eq!(gone.count, old.count - 2);
        assert!(apply(&old, vec![read_removal(&old, "nobody").unwrap()]).is_err());
        assert!(apply(&old, vec![read_removal(&old, "@ NS").unwrap()]).is_err());
        let changed = apply(&old, vec![Edit::Replace(read_line(&old, "www A 10.0.0.9").unwrap())]);
        assert_eq!(changed.unwrap().count, old.count - 1);
    }

    #[test]
    fn rfc1982_3_serials_go_round() {
        assert_eq!(next_serial(u32::MAX), 1);
        assert!(is_later(1, u32::MAX) && !is_later(u32::MAX, 1) && !is_later(5, 5));
    }
}
