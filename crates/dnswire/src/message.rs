//! Whole messages (RFC 1035 section 4.1, RFC 6891), for everything but the server's fast path.

use crate::{Name, RecordType, WireError, Writer, rcode_word, rdata};

/// The bits of the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

#[allow(missing_docs, reason = "the names are the bits' own")]
impl Flags {
    pub const QR: u16 = 0x8000;
    pub const AA: u16 = 0x0400;
    pub const TC: u16 = 0x0200;
    pub const RD: u16 = 0x0100;
    pub const RA: u16 = 0x0080;
    pub const AD: u16 = 0x0020;
    pub const CD: u16 = 0x0010;
}

impl Flags {
    /// Whether a bit is set.
    pub fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }

    /// The operation.
    pub fn opcode(self) -> u8 {
        u8::try_from(self.0 >> 11 & 15).unwrap_or_default()
    }

    /// The words of the bits that are set, as `dig` prints them.
    pub fn words(self) -> Vec<&'static str> {
        let all = [
            (Self::QR, "qr"),
            (Self::AA, "aa"),
            (Self::TC, "tc"),
            (Self::RD, "rd"),
            (Self::RA, "ra"),
            (Self::AD, "ad"),
            (Self::CD, "cd"),
        ];
        all.into_iter().filter(|(bit, _)| self.has(*bit)).map(|(_, word)| word).collect()
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name asked for, in the case it was asked in.
    pub name: Name,
    /// The type asked for.
    pub kind: RecordType,
    /// The class, 1 for IN.
    pub class: u16,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its owner.
    pub name: Name,
    /// Its type.
    pub kind: RecordType,
    /// Its class, 1 for IN.
    pub class: u16,
    /// Seconds it may be kept.
    pub ttl: u32,
    /// Its data, names uncompressed.
    pub data: Box<[u8]>,
}

impl Record {
    /// The data as a master file has it.
    pub fn text(&self) -> String {
        rdata::show(self.kind, &self.data)
    }
}

/// EDNS (RFC 6891): the OPT record taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edns {
    /// The largest UDP message that its sender takes.
    pub size: u16,
    /// The version.
    pub version: u8,
    /// Whether DNSSEC records are wanted.
    pub dnssec: bool,
    /// Options: code and bytes.
    pub options: Vec<(u16, Vec<u8>)>,
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub id: u16,
    /// The header's bits with operation and low response code.
    pub flags: Flags,
    /// The response code with EDNS' part.
    pub rcode: u16,
    /// The questions.
    pub questions: Vec<Question>,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
    /// The additional section without OPT.
    pub additional: Vec<Record>,
    /// OPT.
    pub edns: Option<Edns>,
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, WireError> {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(WireError::Short),
    }
}

impl Message {
    /// A query with EDNS.
    pub fn query(id: u16, name: Name, kind: RecordType, recursion: bool) -> Self {
        Self {
            id,
            flags: Flags(if recursion { Flags::RD } else { 0 }),
            questions: vec![Question { name, kind, class: 1 }],
            edns: Some(Edns { size: 1232, ..Edns::default() }),
            ..Self::default()
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let flags = u16_at(bytes, 2)?;
        let mut message = Self {
            id: u16_at(bytes, 0)?,
            flags: Flags(flags),
            rcode: flags & 15,
            ..Self::default()
        };
        let counts = [u16_at(bytes, 4)?, u16_at(bytes, 6)?, u16_at(bytes, 8)?, u16_at(bytes, 10)?];
        let mut at = 12;
        for _ in 0..counts[0] {
            let (name, end) = Name::read(bytes, at)?;
            let (kind, class) = (RecordType(u16_at(bytes, end)?), u16_at(bytes, end + 2)?);
            message.questions.push(Question { name, kind, class });
            at = end + 4;
        }
        for (section, &count) in counts.iter().enumerate().skip(1) {
            for _ in 0..count {
                let record = read_record(bytes, &mut at)?;
                if record.kind == RecordType::OPT {
                    if section != 3 || message.edns.is_some() || !record.name.is_root() {
                        return Err(WireError::Form(
                            "more than one OPT record, or one out of place",
                        ));
                    }
                    message.rcode |= u16::try_from(record.ttl >> 24).unwrap_or_default() << 4;
                    message.edns = Some(read_edns(&record)?);
                    continue;
                }
                match section {
                    1 => message.answers.push(record),
                    2 => message.authority.push(record),
                    _ => message.additional.push(record),
                }
            }
        }
        Ok(message)
    }

    /// Writes it, at most `limit` bytes long; what does not fit is left out and TC is set.
    pub fn write(&self, limit: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let mut writer = Writer::new(&mut out, limit);
        let mut flags = self.flags.0 & 0xfff0 | self.rcode & 15;
        for number in [self.id, flags, 0, 0, 0, 0] {
            writer.u16(number);
        }
        for question in &self.questions {
            writer.question(question.name.wire(), question.kind, question.class);
        }
        let opt = self.edns.as_ref().map(edns_data);
        let room = opt.as_ref().map_or(0, |data| data.len() + 11);
        writer.reserve(room);
        let mut counts = [u16::try_from(self.questions.len()).unwrap_or(u16::MAX), 0, 0, 0];
        'all: for (n, section) in
            [&self.answers, &self.authority, &self.additional].into_iter().enumerate()
        {
            for record in section {
                let wire = record.name.wire();
                if writer.any(wire, record.kind, record.class, record.ttl, &record.data).is_err() {
                    if n < 2 {
                        flags |= Flags::TC;
                    }
                    break 'all;
                }
                counts[n + 1] += 1;
            }
        }
        writer.release(room);
        if let (Some(edns), Some(data)) = (&self.edns, opt) {
            let ttl = u32::from(self.rcode >> 4) << 24
                | u32::from(edns.version) << 16
                | u32::from(edns.dnssec) << 15;
            if writer.any(&[0], RecordType::OPT, edns.size, ttl, &data).is_ok() {
                counts[3] += 1;
            }
        }
        writer.set_u16(2, flags);
        for (at, count) in [4, 6, 8, 10].into_iter().zip(counts) {
            writer.set_u16(at, count);
        }
        out
    }

    /// The word of its response code.
    pub fn rcode_word(&self) -> String {
        rcode_word(self.rcode)
    }
}

fn edns_data(edns: &Edns) -> Vec<u8> {
    let mut data = Vec::new();
    for (code, bytes) in &edns.options {
        data.extend(code.to_be_bytes());
        data.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
        data.extend(bytes);
    }
    data
}

fn read_edns(record: &Record) -> Result<Edns, WireError> {
    let [_, version, high, _] = record.ttl.to_be_bytes();
    let mut edns =
        Edns { size: record.class, version, dnssec: high & 0x80 != 0, options: Vec::new() };
    let mut rest = &record.data[..];
    while !rest.is_empty() {
        let (code, size) = (u16_at(rest, 0)?, usize::from(u16_at(rest, 2)?));
        let value = rest.get(4..4 + size).ok_or(WireError::Short)?;
        edns.options.push((code, value.to_vec()));
        rest = &rest[4 + size..];
    }
    Ok(edns)
}

fn read_record(bytes: &[u8], at: &mut usize) -> Result<Record, WireError> {
    let (name, end) = Name::read(bytes, *at)?;
    let (kind, class) = (RecordType(u16_at(bytes, end)?), u16_at(bytes, end + 2)?);
    let ttl = u32::from(u16_at(bytes, end + 4)?) << 16 | u32::from(u16_at(bytes, end + 6)?);
    let size = usize::from(u16_at(bytes, end + 8)?);
    let start = end + 10;
    // An update or a query for deletion has classes other than IN and empty data.
    let data = if class == 1 || kind == RecordType::OPT {
        rdata::read(kind, bytes, start, size)?
    } else {
        bytes.get(start..start + size).ok_or(WireError::Short)?.into()
    };
    *at = start + size;
    Ok(Record { name, kind, class, ttl, data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tokens;

    fn record(name: &str, kind: RecordType, line: &str) -> Record {
        let data = rdata::parse(kind, &tokens(line).unwrap(), None).unwrap();
        Record { name: Name::complete(name).unwrap(), kind, class: 1, ttl: 300, data }
    }

    fn sample() -> Message {
        use RecordType as T;
        let mut message = Message::query(7, Name::complete("wWw.Mail.com").unwrap(), T::MX, true);
        message.answers.push(record("www.mail.com", T::MX, "10 mx.mail.com."));
        message.authority.push(record("mail.com", T::SOA, "ns.mail.com. a.mail.com. 1 2 3 4 5"));
        message.additional.push(record("mx.mail.com", T::A, "10.0.0.1"));
        message.additional.push(record("mx.mail.com", T::SRV, "1 2 3 mx.mail.com."));
        message.rcode = 16;
        message
    }

    #[test]
    fn rfc4343_4_1_a_message_there_and_back_and_as_hickory_reads_it() {
        let message = sample();
        let bytes = message.write(1232);
        let mut again = Message::read(&bytes).unwrap();
        again.flags = message.flags;
        // The owner comes in the question's case, the data in its own.
        assert_eq!(again.answers[0].name.to_string(), "wWw.Mail.com.");
        assert_eq!(again.authority[0].text(), "ns.mail.com. a.mail.com. 1 2 3 4 5");
        assert_eq!(again, message);
        let judge = hickory_proto::op::Message::from_vec(&bytes).unwrap();
        assert_eq!(judge.answers[0].data.to_string(), "10 mx.mail.com.");
        assert_eq!(judge.queries[0].name().to_string(), "wWw.Mail.com.");
        assert_eq!(judge.additionals.len(), 2);
    }

    #[test]
    fn rfc2181_9_what_does_not_fit_is_truncated() {
        let mut message = sample();
        message.answers = vec![record("www.mail.com", RecordType::TXT, &"x".repeat(200)); 5];
        let bytes = message.write(512);
        assert!(bytes.len() <= 512);
        let read = Message::read(&bytes).unwrap();
        assert!(read.flags.has(Flags::TC) && read.edns.is_some() && read.answers.len() == 2);
    }

    #[test]
    fn data_of_another_class_is_written_as_it_came() {
        // Found by the fuzz target `message`: a SOA of class 0 whose data is none.
        for kind in [RecordType::SOA, RecordType::NS, RecordType::MX, RecordType::CNAME] {
            let name = Name::complete("lab.test").unwrap();
            let odd =
                Record { name, kind, class: 3, ttl: 1, data: Box::from(*b"\x28\xbd\xba\xaf") };
            let message = Message { answers: vec![odd], ..Message::default() };
            assert_eq!(Message::read(&message.write(512)).unwrap(), message);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(0u8.., 0..200)) {
            if let Ok(message) = Message::read(&bytes) {
                let _ = message.write(65_535);
                for record in &message.answers {
                    let _ = record.text();
                }
            }
        }
    }
}
