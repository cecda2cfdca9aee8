//! Zone transfers out: AXFR (RFC 5936) and IXFR (RFC 1995).

use std::net::IpAddr;

use dnswire::{Message, Name, RecordType, Writer};

use crate::authority::{Authority, Held};
use crate::edit::{is_later, serial_of};
use crate::master::Entry;
use crate::query::{Query, code};
use crate::zone::Zone;

/// Where a message of a transfer ends; one record more may follow.
const FULL: usize = 16_000;

/// The messages that answer a transfer request, or the code that refuses it.
///
/// # Errors
/// The response code.
pub fn messages(
    authority: &Authority,
    request: &[u8],
    client: IpAddr,
) -> Result<Vec<Vec<u8>>, u16> {
    let query = Query::read(request).map_err(|_| code::FORMERR)?;
    let name = query.name.to_ascii_lowercase();
    let held = authority.by_key(&name).ok_or(code::NOTAUTH)?;
    if !held.may_transfer(client) {
        return Err(code::REFUSED);
    }
    let zone = held.zone.as_deref().ok_or(code::SERVFAIL)?;
    let records = if query.kind == RecordType::IXFR {
        let theirs = Message::read(request).map_err(|_| code::FORMERR)?;
        let soa = theirs.authority.iter().find(|record| record.kind == RecordType::SOA);
        incremental(held, zone, serial_of(&soa.ok_or(code::FORMERR)?.data))
    } else {
        whole(zone)
    };
    Ok(pack(&query, request, &records))
}

fn whole(zone: &Zone) -> Vec<Entry> {
    let rest = zone.sorted().into_iter().filter(|entry| entry.kind != RecordType::SOA);
    zone.soa().into_iter().chain(rest).chain(zone.soa()).collect()
}

/// The steps from the client's version to ours, or the whole zone where they are not known.
fn incremental(held: &Held, zone: &Zone, serial: u32) -> Vec<Entry> {
    if serial == zone.soa.serial || is_later(serial, zone.soa.serial) {
        return zone.soa().into_iter().collect();
    }
    let Some(first) = held.history.iter().position(|step| step.serial == serial) else {
        return whole(zone);
    };
    let mut records: Vec<Entry> = zone.soa().into_iter().collect();
    let steps: Vec<_> = held.history.iter().skip(first).collect();
    for (n, step) in steps.iter().enumerate() {
        let after = steps.get(n + 1).map(|next| next.soa.clone()).or_else(|| zone.soa());
        let not_soa = |entry: &&Entry| entry.kind != RecordType::SOA;
        records.push(step.soa.clone());
        records.extend(step.gone.iter().filter(not_soa).cloned());
        records.extend(after);
        records.extend(step.came.iter().filter(not_soa).cloned());
    }
    records.extend(zone.soa());
    records
}

/// Packs records into messages; the first repeats the question.
fn pack(query: &Query<'_>, request: &[u8], records: &[Entry]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut rest = records.iter().peekable();
    let question = &request[12..query.question_end];
    while rest.peek().is_some() {
        let mut out = Vec::with_capacity(FULL + 1024);
        let mut writer = Writer::new(&mut out, 65_535);
        let [id1, id2] = query.id.to_be_bytes();
        let first = messages.is_empty();
        writer.bytes(&[id1, id2, 0x84, 0, 0, u8::from(first), 0, 0, 0, 0, 0, 0]);
        if first {
            writer.name(query.name);
            writer.bytes(&question[question.len() - 4..]);
        }
        let mut count = 0;
        while let Some(entry) = rest.peek() {
            let wire = entry.name.wire();
            if writer.len() > FULL
                || writer.record(wire, entry.kind, entry.ttl, &entry.data).is_err()
            {
                break;
            }
            count += 1;
            rest.next();
        }
        if count == 0 {
            // A record that no message holds: end here rather than turn in a circle.
            break;
        }
        writer.set_u16(6, count);
        messages.push(out);
    }
    messages
}

/// The owner's zone name of a transfer or notify request, as text for logs.
pub fn asked_zone(request: &[u8]) -> Option<Name> {
    Query::read(request).ok().and_then(|query| Name::from_wire(query.name).ok())
}
