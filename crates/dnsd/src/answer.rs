//! The authoritative core: a request's bytes to an answer's bytes, without sockets or clocks.

mod compose;

use dnswire::{RecordType, lower_into, parent_of};

use crate::authority::{Authority, Held};
use crate::query::{Bad, Query, code};
use compose::Composer;

/// How a request came.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Over TCP: no truncation, transfers possible.
    pub tcp: bool,
    /// Whether names of others are resolved for this client.
    pub recursion: bool,
    /// The largest UDP answer, whatever the client takes.
    pub udp_size: u16,
}

/// What is to be done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is sent.
    Drop,
    /// The answer is written.
    Reply,
    /// The name is another server's: it is to be resolved, and what is written (aliases of our
    /// own zones) stands before it.
    Resolve,
    /// A zone transfer over TCP.
    Transfer,
    /// A primary says that a zone has changed (RFC 1996).
    Notify,
}

/// Answers one request into `out`, which is emptied first.
pub fn answer(authority: &Authority, request: &[u8], asked: Asked, out: &mut Vec<u8>) -> Verdict {
    out.clear();
    let query = match Query::read(request) {
        Ok(query) => query,
        Err(Bad::Drop) => return Verdict::Drop,
        Err(Bad::Answer(rcode, end)) => {
            header_only(request, rcode, end, out);
            return Verdict::Reply;
        }
    };
    let mut composer = Composer::new(&query, request, asked, out);
    if query.edns.is_some_and(|edns| edns.version != 0) {
        return composer.finish(code::BADVERS);
    }
    if query.opcode == 4 {
        return Verdict::Notify;
    }
    if query.class != 1 {
        return composer.finish(code::REFUSED);
    }
    match query.kind {
        RecordType::AXFR | RecordType::IXFR if asked.tcp => return Verdict::Transfer,
        // RFC 5936 section 4.2 leaves AXFR over UDP undefined.
        RecordType::AXFR => return composer.finish(code::FORMERR),
        RecordType::OPT | RecordType::TSIG | RecordType::TKEY => {
            return composer.finish(code::FORMERR);
        }
        RecordType::MAILA | RecordType::MAILB => return composer.finish(code::NOTIMP),
        _ => {}
    }
    let mut lower = [0u8; 255];
    let name = &mut lower[..query.name.len()];
    lower_into(query.name, name);
    let Some(held) = zone_for(authority, name, query.kind) else {
        if asked.recursion && query.recursion() {
            return Verdict::Resolve;
        }
        return composer.finish(code::REFUSED);
    };
    // Over UDP an incremental transfer says only which version there is (RFC 1995 section 2).
    let kind = if query.kind == RecordType::IXFR { RecordType::SOA } else { query.kind };
    follow(authority, held, &query, kind, &mut composer)
}

/// The zone that answers: the closest, but for DS, which is the parent's (RFC 4035 section 3.1.4.1).
fn zone_for<'a>(authority: &'a Authority, name: &[u8], kind: RecordType) -> Option<&'a Held> {
    let held = authority.closest(name)?;
    if kind == RecordType::DS && held.origin.wire().len() == name.len() {
        let above = parent_of(name).and_then(|parent| authority.closest(parent));
        return above.or(Some(held));
    }
    Some(held)
}

/// Answers from the zones, from alias to alias.
fn follow(
    authority: &Authority,
    held: &Held,
    query: &Query<'_>,
    kind: RecordType,
    composer: &mut Composer<'_, '_>,
) -> Verdict {
    let mut held = held;
    let mut owned;
    let mut owner = query.name;
    let mut lower = [0u8; 255];
    for step in 0..compose::MAX_ALIASES {
        let Some(zone) = &held.zone else { return composer.finish(code::SERVFAIL) };
        let name = &mut lower[..owner.len()];
        lower_into(owner, name);
        match composer.zone(zone, authority, owner, name, kind, step == 0) {
            compose::Next::Done(rcode) => return composer.finish(rcode),
            compose::Next::Full => return composer.truncate(),
            compose::Next::Elsewhere => {
                composer.finish(code::NOERROR);
                return Verdict::Resolve;
            }
            compose::Next::Alias(target) => {
                owned = target;
                owner = &owned;
                lower_into(owner, &mut lower[..owner.len()]);
                match zone_for(authority, &lower[..owner.len()], kind) {
                    Some(next) => held = next,
                    None if composer.may_resolve() => {
                        composer.finish(code::NOERROR);
                        return Verdict::Resolve;
                    }
                    None => return composer.finish(code::NOERROR),
                }
            }
        }
    }
    composer.finish(code::NOERROR)
}

/// An answer without records to a request that cannot be read further.
fn header_only(request: &[u8], rcode: u16, question_end: usize, out: &mut Vec<u8>) {
    let [id1, id2, f1, _, ..] = request else { return };
    out.extend([*id1, *id2, 0x80 | f1 & 0x79, u8::try_from(rcode).unwrap_or_default()]);
    let question = request.get(12..question_end).unwrap_or_default();
    out.extend([0, u8::from(!question.is_empty()), 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(question);
}

/// A bare answer to a request, for what the server itself decides (refused, failed).
pub fn refuse(request: &[u8], rcode: u16, asked: Asked, out: &mut Vec<u8>) {
    out.clear();
    match Query::read(request) {
        Ok(query) => {
            Composer::new(&query, request, asked, out).finish(rcode);
        }
        Err(_) => header_only(request, rcode, 12, out),
    }
}
