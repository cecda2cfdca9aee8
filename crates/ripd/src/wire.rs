//! RIP version 2 messages as bytes (RFC 2453 section 4, RFC 2082). Reading is total.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use md5::{Digest, Md5};

/// The port.
pub const PORT: u16 = 520;
/// Where updates go.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 9);
/// Unreachable.
pub const INFINITY: u8 = 16;
/// Entries of one message.
const MAX_ENTRIES: usize = 25;
const ENTRY: usize = 20;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Tell me.
    Request,
    /// These are mine.
    Response,
}

/// One route of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where to.
    pub to: Ipv4Net,
    /// Another router on the same link that is the better next hop; 0.0.0.0 for the sender.
    pub next_hop: Ipv4Addr,
    /// 1 to 16.
    pub metric: u8,
    /// A mark of another routing protocol.
    pub tag: u16,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub command: Command,
    /// Its routes.
    pub entries: Vec<Entry>,
    /// Whether it asks for everything (RFC 2453 section 3.9.1).
    pub whole_table: bool,
    /// The key and sequence number of its authentication.
    pub sequence: Option<(u8, u32)>,
}

/// A key: its number and its secret.
pub type Key = (u8, String);

/// Why a message is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// Not RIP version 2.
    #[error("it is not RIP version 2")]
    Foreign,
    /// Not of whole entries.
    #[error("its length is wrong")]
    Length,
    /// Authenticated with another key, or not at all, or without need.
    #[error("its authentication is not the one configured")]
    Authentication,
}

fn secret(key: &Key) -> [u8; 16] {
    let mut bytes = [0; 16];
    let length = key.1.len().min(16);
    bytes[..length].copy_from_slice(&key.1.as_bytes()[..length]);
    bytes
}

/// Writes messages of at most 25 entries each, signed where a key is given.
pub fn encode(
    command: Command,
    entries: &[Entry],
    key: Option<&Key>,
    sequence: u32,
) -> Vec<Vec<u8>> {
    let room = MAX_ENTRIES - usize::from(key.is_some());
    entries.chunks(room).map(|entries| encode_one(command, entries, key, sequence)).collect()
}

/// The request for the whole table: one entry without a family.
pub fn request_all(key: Option<&Key>, sequence: u32) -> Vec<u8> {
    let mut bytes = head(Command::Request, key, sequence);
    bytes.extend([0; 19]);
    bytes.push(INFINITY);
    sign(bytes, key)
}

fn head(command: Command, key: Option<&Key>, sequence: u32) -> Vec<u8> {
    let mut bytes = vec![if command == Command::Request { 1 } else { 2 }, 2, 0, 0];
    if let Some(key) = key {
        // The length is filled in when the message is signed.
        bytes.extend([0xff, 0xff, 0, 3, 0, 0, key.0, 16]);
        bytes.extend(sequence.to_be_bytes());
        bytes.extend([0; 8]);
    }
    bytes
}

fn sign(mut bytes: Vec<u8>, key: Option<&Key>) -> Vec<u8> {
    if let Some(key) = key {
        let length = bytes.len() as u16;
        bytes[8..10].copy_from_slice(&length.to_be_bytes());
        bytes.extend([0xff, 0xff, 0, 1]);
        let digest = digest(&bytes, key);
        bytes.extend(digest);
    }
    bytes
}

fn digest(bytes: &[u8], key: &Key) -> [u8; 16] {
    Md5::new().chain_update(bytes).chain_update(secret(key)).finalize().into()
}

fn encode_one(command: Command, entries: &[Entry], key: Option<&Key>, sequence: u32) -> Vec<u8> {
    let mut bytes = head(command, key, sequence);
    for entry in entries {
        bytes.extend([0, 2]);
        bytes.extend(entry.tag.to_be_bytes());
        bytes.extend(entry.to.network().octets());
        bytes.extend(entry.to.netmask().octets());
        bytes.extend(entry.next_hop.octets());
        bytes.extend([0, 0, 0, entry.metric]);
    }
    sign(bytes, key)
}

/// Reads a message and checks its signature. Entries that name no network are left out.
///
/// # Errors
/// Where it must be dropped as a whole.
pub fn decode(bytes: &[u8], key: Option<&Key>) -> Result<Message, Dropped> {
    let [command, version, _, _, rest @ ..] = bytes else { return Err(Dropped::Length) };
    let command = match command {
        1 => Command::Request,
        2 => Command::Response,
        _ => return Err(Dropped::Foreign),
    };
    if *version != 2 {
        return Err(Dropped::Foreign);
    }
    let mut body = rest;
    let mut sequence = None;
    let signed = rest.starts_with(&[0xff, 0xff]);
    match key {
        None if signed => return Err(Dropped::Authentication),
        None => {}
        Some(key) => {
            let [0xff, 0xff, 0, 3, a, b, id, _, s0, s1, s2, s3, ..] = rest else {
                return Err(Dropped::Authentication);
            };
            let length = usize::from(u16::from_be_bytes([*a, *b]));
            let whole = bytes.get(..length + 4).ok_or(Dropped::Length)?;
            let given = bytes.get(length + 4..length + 20).ok_or(Dropped::Length)?;
            if *id != key.0 || length < 24 || !same(&digest(whole, key), given) {
                return Err(Dropped::Authentication);
            }
            sequence = Some((*id, u32::from_be_bytes([*s0, *s1, *s2, *s3])));
            body = &bytes[24..length];
        }
    }
    let (entries, []) = body.as_chunks::<ENTRY>() else { return Err(Dropped::Length) };
    if entries.len() > MAX_ENTRIES {
        return Err(Dropped::Length);
    }
    let whole_table = command == Command::Request
        && matches!(entries, [entry] if entry[..2] == [0, 0] && entry[16..] == [0, 0, 0, INFINITY]);
    let entries = entries.iter().filter_map(read_entry).collect();
    Ok(Message { command, entries, whole_table, sequence })
}

/// Compares without telling by time how much agrees.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

fn read_entry(bytes: &[u8; ENTRY]) -> Option<Entry> {
    let address = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
    let metric = u32::from_be_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
    if bytes[..2] != [0, 2] || !(1..=u32::from(INFINITY)).contains(&metric) {
        return None;
    }
    let to = Ipv4Net::with_netmask(address(4), address(8)).ok()?.trunc();
    Some(Entry {
        to,
        next_hop: address(12),
        metric: metric as u8,
        tag: u16::from_be_bytes([bytes[2], bytes[3]]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> Key {
        (1, "s3cret".into())
    }

    #[test]
    fn a_signed_message_is_read_with_its_key_only() {
        let entry = Entry {
            to: "10.1.0.0/16".parse().unwrap(),
            next_hop: Ipv4Addr::UNSPECIFIED,
            metric: 3,
            tag: 0,
        };
        let message = encode(Command::Response, &[entry], Some(&key()), 7).remove(0);
        let read = decode(&message, Some(&key())).unwrap();
        assert_eq!((read.entries, read.sequence), (vec![entry], Some((1, 7))));
        assert_eq!(decode(&message, None), Err(Dropped::Authentication));
        assert_eq!(decode(&message, Some(&(1, "other".into()))), Err(Dropped::Authentication));
        let plain = encode(Command::Response, &[entry], None, 0).remove(0);
        assert_eq!(decode(&plain, Some(&key())), Err(Dropped::Authentication));
        let mut forged = message;
        forged[43] = 1; // the metric
        assert_eq!(decode(&forged, Some(&key())), Err(Dropped::Authentication));
    }

    #[test]
    fn the_whole_table_is_asked_for_by_one_entry_without_a_family() {
        assert!(decode(&request_all(None, 0), None).unwrap().whole_table);
        assert!(decode(&request_all(Some(&key()), 5), Some(&key())).unwrap().whole_table);
    }

    #[test]
    fn many_routes_take_several_messages() {
        let entries: Vec<Entry> = (0..60)
            .map(|n| Entry {
                to: Ipv4Net::new(Ipv4Addr::new(10, n, 0, 0), 16).unwrap(),
                next_hop: Ipv4Addr::UNSPECIFIED,
                metric: 1,
                tag: 0,
            })
            .collect();
        let plain = encode(Command::Response, &entries, None, 0);
        assert_eq!(plain.iter().map(Vec::len).collect::<Vec<_>>(), [504, 504, 204]);
        assert_eq!(encode(Command::Response, &entries, Some(&key()), 0).len(), 3);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = decode(&bytes, None);
            let _ = decode(&bytes, Some(&key()));
        }

        #[test]
        fn any_tail_after_a_right_head_is_read_without_a_panic(tail in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut bytes = vec![2, 2, 0, 0, 0xff, 0xff, 0, 3];
            bytes.extend(tail);
            let _ = decode(&bytes, Some(&key()));
        }
    }
}
