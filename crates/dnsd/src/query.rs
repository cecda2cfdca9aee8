//! Reading a request on the fast path: header, one question, EDNS. No allocation.

use dnswire::{RecordType, labels_of};

/// Response codes.
pub mod code {
    #![allow(missing_docs, reason = "the names are the codes' own")]
    pub const NOERROR: u16 = 0;
    pub const FORMERR: u16 = 1;
    pub const SERVFAIL: u16 = 2;
    pub const NXDOMAIN: u16 = 3;
    pub const NOTIMP: u16 = 4;
    pub const REFUSED: u16 = 5;
    pub const YXDOMAIN: u16 = 6;
    pub const NOTAUTH: u16 = 9;
    pub const BADVERS: u16 = 16;
}

/// EDNS of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest UDP answer that the client takes.
    pub size: u16,
    /// The version it speaks.
    pub version: u8,
    /// Whether it wants DNSSEC records.
    pub dnssec: bool,
}

/// A request whose header and question can be read.
#[derive(Clone, Copy, Debug)]
pub struct Query<'r> {
    /// Its number.
    pub id: u16,
    /// The header's bits.
    pub flags: u16,
    /// The operation.
    pub opcode: u8,
    /// The name asked for, in its case.
    pub name: &'r [u8],
    /// The type asked for.
    pub kind: RecordType,
    /// The class asked for.
    pub class: u16,
    /// Where the question ends in the request.
    pub question_end: usize,
    /// EDNS, if it has it.
    pub edns: Option<Edns>,
}

/// What cannot be answered as a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Not a request at all: nothing is sent.
    Drop,
    /// The header can be answered with this code, and the question repeated up to this place
    /// (12 for none).
    Answer(u16, usize),
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

/// The place after a name, which may end in a pointer.
fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            size @ 1..=63 => at += usize::from(size) + 1,
            192.. => return bytes.get(at + 1).map(|_| at + 2),
            _ => return None,
        }
    }
}

impl<'r> Query<'r> {
    /// Reads a request.
    ///
    /// # Errors
    /// [`Bad`], with what to answer.
    pub fn read(bytes: &'r [u8]) -> Result<Self, Bad> {
        let (Some(id), Some(flags), 12..) = (u16_at(bytes, 0), u16_at(bytes, 2), bytes.len())
        else {
            return Err(Bad::Drop);
        };
        // An answer is not a request: to answer it would let two servers talk for ever.
        if flags & 0x8000 != 0 {
            return Err(Bad::Drop);
        }
        let opcode = u8::try_from(flags >> 11 & 15).unwrap_or_default();
        if opcode != 0 && opcode != 4 {
            return Err(Bad::Answer(code::NOTIMP, 12));
        }
        let malformed = Bad::Answer(code::FORMERR, 12);
        let count = |at| usize::from(u16_at(bytes, at).unwrap_or(0));
        if count(4) != 1 {
            return Err(malformed);
        }
        let mut at = 12;
        loop {
            match bytes.get(at) {
                Some(0) => break,
                Some(&size @ 1..=63) => at += usize::from(size) + 1,
                _ => return Err(malformed),
            }
            if at - 12 > 254 {
                return Err(malformed);
            }
        }
        let name = &bytes[12..=at];
        let (Some(kind), Some(class)) = (u16_at(bytes, at + 1), u16_at(bytes, at + 3)) else {
            return Err(malformed);
        };
        let question_end = at + 5;
        let mut query = Self {
            id,
            flags,
            opcode,
            name,
            kind: RecordType(kind),
            class,
            question_end,
            edns: None,
        };
        let malformed = Bad::Answer(code::FORMERR, question_end);
        let records = count(6) + count(8) + count(10);
        let first_additional = count(6) + count(8);
        let mut at = question_end;
        for n in 0..records {
            let root = bytes.get(at) == Some(&0);
            let end = skip_name(bytes, at).ok_or(malformed)?;
            let fields = bytes.get(end..end + 10).ok_or(malformed)?;
            let size = usize::from(u16::from_be_bytes([fields[8], fields[9]]));
            at = end + 10 + size;
            if at > bytes.len() {
                return Err(malformed);
            }
            if fields[..2] == RecordType::OPT.0.to_be_bytes() {
                // RFC 6891 section 6.1.1: one, in the additional section, owned by the root.
                if n < first_additional || query.edns.is_some() || !root {
                    return Err(malformed);
                }
                query.edns = Some(Edns {
                    size: u16::from_be_bytes([fields[2], fields[3]]),
                    version: fields[5],
                    dnssec: fields[6] & 0x80 != 0,
                });
            }
        }
        Ok(query)
    }

    /// Whether the client asks for recursion.
    pub fn recursion(&self) -> bool {
        self.flags & 0x0100 != 0
    }

    /// Whether the client wants DNSSEC records.
    pub fn dnssec(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec)
    }

    /// How many labels the name has.
    pub fn labels(&self) -> usize {
        labels_of(self.name).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnswire::{Message, Name};

    #[test]
    fn rfc6891_6_1_1_edns_is_read_and_checked() {
        let mut message = Message::query(7, Name::complete("a.test").unwrap(), RecordType::A, true);
        message.edns.as_mut().unwrap().dnssec = true;
        let bytes = message.write(512);
        let query = Query::read(&bytes).unwrap();
        assert_eq!((query.id, query.kind, query.class), (7, RecordType::A, 1));
        assert!(query.recursion() && query.dnssec());
        assert_eq!(query.edns.unwrap().size, 1232);
        // The same OPT twice.
        let mut twice = bytes.clone();
        twice.extend_from_slice(&bytes[query.question_end..]);
        twice[11] = 2;
        assert_eq!(
            Query::read(&twice).unwrap_err(),
            Bad::Answer(code::FORMERR, query.question_end)
        );
    }

    #[test]
    fn rfc8906_3_headers_that_are_no_queries() {
        assert_eq!(Query::read(&[0; 11]).unwrap_err(), Bad::Drop);
        let mut bytes = Message::query(7, Name::root(), RecordType::A, false).write(512);
        bytes[2] |= 0x80;
        assert_eq!(Query::read(&bytes).unwrap_err(), Bad::Drop);
        bytes[2] = 2 << 3;
        assert_eq!(Query::read(&bytes).unwrap_err(), Bad::Answer(code::NOTIMP, 12));
        bytes[2] = 0;
        bytes[5] = 2;
        assert_eq!(Query::read(&bytes).unwrap_err(), Bad::Answer(code::FORMERR, 12));
        bytes[5] = 0;
        assert_eq!(Query::read(&bytes).unwrap_err(), Bad::Answer(code::FORMERR, 12));
    }
}
