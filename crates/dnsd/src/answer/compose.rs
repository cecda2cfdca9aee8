//! Putting one answer together, section by section.

use dnswire::{Name, RecordType, Writer, lower_into};

use super::{Asked, Verdict};
use crate::authority::Authority;
use crate::denial;
use crate::query::{Query, code};
use crate::zone::{Look, Node, Place, Proofs, Set, Zone};

/// Aliases followed at most.
pub(super) const MAX_ALIASES: usize = 16;

/// The size of an OPT record without options.
const OPT_SIZE: usize = 11;

/// How an answer goes on.
pub(super) enum Next {
    /// It is complete.
    Done(u16),
    /// It does not fit.
    Full,
    /// It is delegated, and the client wants it resolved.
    Elsewhere,
    /// It goes on at another name.
    Alias(Vec<u8>),
}

/// An answer in the making.
pub(super) struct Composer<'q, 'b> {
    query: &'q Query<'q>,
    asked: Asked,
    writer: Writer<'b>,
    flags: u16,
    counts: [u16; 3],
    /// Where the question ends.
    question_end: usize,
    /// The targets of aliases so far, to see a circle.
    seen: Vec<Vec<u8>>,
}

/// The sections.
#[derive(Clone, Copy)]
enum Section {
    Answer,
    Authority,
    Additional,
}

type Written = Result<(), dnswire::Full>;

impl<'q, 'b> Composer<'q, 'b> {
    pub(super) fn new(
        query: &'q Query<'q>,
        request: &[u8],
        asked: Asked,
        out: &'b mut Vec<u8>,
    ) -> Self {
        let limit = match query.edns {
            _ if asked.tcp => 65_535,
            Some(edns) => usize::from(edns.size.min(asked.udp_size)).max(512),
            None => 512,
        };
        let mut writer = Writer::new(out, limit);
        // The question goes back as it came, its case too.
        let mut header = [0; 12];
        header[..2].copy_from_slice(&query.id.to_be_bytes());
        header[5] = 1;
        writer.bytes(&header);
        writer.name(query.name);
        writer.bytes(&request[query.question_end - 4..query.question_end]);
        let question_end = writer.len();
        if query.edns.is_some() {
            writer.reserve(OPT_SIZE);
        }
        // QR, the operation, RD and CD as they came; RA where names of others are resolved.
        let ra = if asked.recursion { 0x0080 } else { 0 };
        let flags = 0x8000 | query.flags & 0x7910 | ra;
        Self { query, asked, writer, flags, counts: [0; 3], question_end, seen: Vec::new() }
    }

    pub(super) fn may_resolve(&self) -> bool {
        self.asked.recursion && self.query.recursion()
    }

    fn dnssec(&self) -> bool {
        self.query.dnssec()
    }

    /// Writes OPT and the header.
    pub(super) fn finish(&mut self, rcode: u16) -> Verdict {
        if let Some(edns) = self.query.edns {
            self.writer.release(OPT_SIZE);
            let ttl = u32::from(rcode >> 4) << 24 | if edns.dnssec { 0x8000 } else { 0 };
            let size = self.asked.udp_size;
            if self.writer.any(&[0], RecordType::OPT, size, ttl, &[]).is_ok() {
                self.counts[2] += 1;
            }
        }
        self.writer.set_u16(2, self.flags | rcode & 15);
        for (at, count) in [6, 8, 10].into_iter().zip(self.counts) {
            self.writer.set_u16(at, count);
        }
        Verdict::Reply
    }

    /// Takes all records back and says that TCP has them (RFC 2181 section 9).
    pub(super) fn truncate(&mut self) -> Verdict {
        self.writer.cut(self.question_end);
        self.counts = [0; 3];
        self.flags |= 0x0200;
        self.finish(code::NOERROR)
    }

    fn one(
        &mut self,
        section: Section,
        owner: &[u8],
        kind: RecordType,
        ttl: u32,
        data: &[u8],
    ) -> Written {
        self.writer.record(owner, kind, ttl, data)?;
        self.counts[section as usize] += 1;
        Ok(())
    }

    fn set(&mut self, section: Section, owner: &[u8], set: &Set) -> Written {
        self.set_with(section, owner, set, set.ttl)
    }

    fn set_with(&mut self, section: Section, owner: &[u8], set: &Set, ttl: u32) -> Written {
        for data in &set.data {
            self.one(section, owner, set.kind, ttl, data)?;
        }
        if self.dnssec() {
            for data in &set.signatures {
                self.one(section, owner, RecordType::RRSIG, ttl, data)?;
            }
        }
        Ok(())
    }

    /// Answers what one zone has for a name: `owner` in the case it is written in, `name` in lower
    /// case; `first` unless an alias led here.
    pub(super) fn zone(
        &mut self,
        zone: &Zone,
        authority: &Authority,
        owner: &[u8],
        name: &[u8],
        kind: RecordType,
        first: bool,
    ) -> Next {
        let (encloser, look) = zone.look(name, kind);
        // AA is about the first name (RFC 1035 section 4.1.1).
        if first && !matches!(look, Look::Cut { .. }) {
            self.flags |= 0x0400;
        }
        let written = match look {
            Look::Node { key, node, wildcard } => {
                return self.node(
                    zone,
                    authority,
                    owner,
                    name,
                    kind,
                    (key, node, wildcard),
                    encloser,
                );
            }
            Look::Cut { .. } if self.may_resolve() => return Next::Elsewhere,
            Look::Cut { key, node } => self.referral(zone, authority, key, node),
            Look::Renamed { key, node, set } => return self.renamed(key, node, set, owner),
            Look::Nothing => {
                let rcode = code::NXDOMAIN;
                return match self.negative(zone, name, encloser, denial::What::Name) {
                    Ok(()) => Next::Done(rcode),
                    Err(_) => Next::Full,
                };
            }
        };
        if written.is_ok() { Next::Done(code::NOERROR) } else { Next::Full }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one look-up")]
    fn node(
        &mut self,
        zone: &Zone,
        authority: &Authority,
        owner: &[u8],
        name: &[u8],
        kind: RecordType,
        (key, node, wildcard): (&[u8], &Node, bool),
        encloser: &[u8],
    ) -> Next {
        let found = match kind {
            // One set is enough (RFC 8482 section 4.1).
            RecordType::ANY => node.sets.first(),
            kind => node.set(kind),
        };
        let alias = node.set(RecordType::CNAME).filter(|_| found.is_none());
        let written = (|| {
            if let Some(set) = found.or(alias) {
                self.set(Section::Answer, owner, set)?;
                if wildcard {
                    self.prove(zone, name, encloser, denial::What::Expansion)?;
                }
            } else if kind == RecordType::RRSIG
                && node.sets.iter().any(|set| !set.signatures.is_empty())
            {
                for set in &node.sets {
                    for data in &set.signatures {
                        self.one(Section::Answer, owner, kind, set.ttl, data)?;
                    }
                }
            } else {
                let what =
                    if wildcard { denial::What::WildcardType(key) } else { denial::What::Type };
                self.negative(zone, name, encloser, what)?;
            }
            Ok(())
        })();
        match (written, found, alias) {
            (Err(dnswire::Full), ..) => Next::Full,
            (Ok(()), Some(set), _) => {
                self.additional(zone, authority, set);
                Next::Done(code::NOERROR)
            }
            (Ok(()), None, Some(alias)) => match alias.data.first() {
                Some(target) if self.is_new(target) => Next::Alias(target.to_vec()),
                _ => Next::Done(code::NOERROR),
            },
            (Ok(()), None, None) => Next::Done(code::NOERROR),
        }
    }

    /// Remembers an alias' target; false in a circle.
    fn is_new(&mut self, target: &[u8]) -> bool {
        let known = self.query.name.eq_ignore_ascii_case(target)
            || self.seen.iter().any(|seen| seen.eq_ignore_ascii_case(target));
        if !known {
            self.seen.push(target.to_vec());
        }
        !known
    }

    /// DNAME, and the CNAME made from it (RFC 6672 section 3.1).
    fn renamed(&mut self, key: &[u8], node: &Node, set: &Set, owner: &[u8]) -> Next {
        if self.set(Section::Answer, Zone::owner(key, node), set).is_err() {
            return Next::Full;
        }
        let names = (
            Name::from_wire(owner),
            Name::from_wire(key),
            set.data.first().map(|d| Name::from_wire(d)),
        );
        let (Ok(name), Ok(old), Some(Ok(new))) = names else { return Next::Done(code::SERVFAIL) };
        let Some(target) = name.replace(&old, &new) else { return Next::Done(code::YXDOMAIN) };
        if self.one(Section::Answer, owner, RecordType::CNAME, set.ttl, target.wire()).is_err() {
            return Next::Full;
        }
        if self.is_new(target.wire()) {
            Next::Alias(target.wire().to_vec())
        } else {
            Next::Done(code::NOERROR)
        }
    }

    /// Sends the client on: the cut's NS set, DS or its absence, glue (RFC 1034 section 4.3.2).
    fn referral(&mut self, zone: &Zone, authority: &Authority, key: &[u8], node: &Node) -> Written {
        let Some(set) = node.set(RecordType::NS) else { return Ok(()) };
        for data in &set.data {
            self.one(Section::Authority, Zone::owner(key, node), set.kind, set.ttl, data)?;
        }
        // In a zone without signatures DS proves nothing and is left out, as others do.
        if self.dnssec() && !matches!(zone.proofs, Proofs::None) {
            match node.set(RecordType::DS) {
                Some(ds) => self.set(Section::Authority, Zone::owner(key, node), ds)?,
                None => self.prove(zone, key, key, denial::What::Delegation)?,
            }
        }
        for data in &set.data {
            self.addresses(zone, authority, data, Some(key))?;
        }
        Ok(())
    }

    /// Addresses of what an answer points at (RFC 1035 section 3.3, RFC 2782), as far as they fit.
    fn additional(&mut self, zone: &Zone, authority: &Authority, set: &Set) {
        let skip = match set.kind {
            RecordType::NS => 0,
            RecordType::MX => 2,
            RecordType::SRV => 6,
            _ => return,
        };
        for data in &set.data {
            let Some(target) = data.get(skip..) else { continue };
            if self.addresses(zone, authority, target, None).is_err() {
                return;
            }
        }
    }

    /// Adds the addresses of a name. Below a cut they are glue, without which the referral is
    /// useless: what does not fit then truncates (RFC 9471 section 3.1).
    fn addresses(
        &mut self,
        zone: &Zone,
        authority: &Authority,
        target: &[u8],
        cut: Option<&[u8]>,
    ) -> Written {
        let mut lower = [0u8; 255];
        let Some(name) = lower.get_mut(..target.len()) else { return Ok(()) };
        lower_into(target, name);
        let name = &*name;
        let node = zone.node(name);
        let node = match (node, cut) {
            // A referral's glue comes from the zone that refers alone.
            (node, Some(_)) => node,
            (Some(node), None) if node.place == Place::Inside => Some(node),
            (_, None) => authority
                .closest(name)
                .and_then(|held| held.zone.as_ref())
                .and_then(|zone| zone.node(name))
                .filter(|node| node.place == Place::Inside),
        };
        let Some(node) = node else { return Ok(()) };
        for kind in [RecordType::A, RecordType::AAAA] {
            let Some(set) = node.set(kind) else { continue };
            let (length, counts) = (self.writer.len(), self.counts);
            if self.set(Section::Additional, target, set).is_err() {
                self.writer.cut(length);
                self.counts = counts;
                let glue = cut.is_some_and(|cut| name.ends_with(cut));
                return if glue { Err(dnswire::Full) } else { Ok(()) };
            }
        }
        Ok(())
    }

    /// SOA, and proofs in a signed zone (RFC 2308 section 2, RFC 4035 section 3.1.3).
    fn negative(
        &mut self,
        zone: &Zone,
        name: &[u8],
        encloser: &[u8],
        what: denial::What<'_>,
    ) -> Written {
        if let (Some((key, apex)), Some(set)) = (zone.apex(), zone.soa_set()) {
            self.set_with(Section::Authority, Zone::owner(key, apex), set, zone.soa.negative)?;
        }
        self.prove(zone, name, encloser, what)
    }

    fn prove(
        &mut self,
        zone: &Zone,
        name: &[u8],
        encloser: &[u8],
        what: denial::What<'_>,
    ) -> Written {
        if !self.dnssec() {
            return Ok(());
        }
        for (owner, set) in denial::proofs(zone, name, encloser, what) {
            self.set(Section::Authority, owner.wire(), set)?;
        }
        Ok(())
    }
}
