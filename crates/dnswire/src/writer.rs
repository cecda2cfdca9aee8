//! Writing of messages with compressed names (RFC 1035 section 4.1.4).

use crate::{RecordType, name::parent_of, rdata};

/// How many places of names are remembered for compression.
const PLACES: usize = 48;

/// Writes one message into a buffer, up to a limit.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    /// Where the message begins in the buffer.
    base: usize,
    limit: usize,
    places: [(u32, u16); PLACES],
    used: usize,
}

/// The message would be longer than its limit; what was written of the record is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

fn hash(wire: &[u8]) -> u32 {
    wire.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
    })
}

impl<'b> Writer<'b> {
    /// Begins a message at the end of `out` that may be `limit` bytes long.
    pub fn new(out: &'b mut Vec<u8>, limit: usize) -> Self {
        let base = out.len();
        Self { out, base, limit, places: [(0, 0); PLACES], used: 0 }
    }

    /// The bytes so far.
    pub fn len(&self) -> usize {
        self.out.len() - self.base
    }

    /// Whether nothing is written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps so many bytes free for what comes last.
    pub fn reserve(&mut self, bytes: usize) {
        self.limit = self.limit.saturating_sub(bytes);
    }

    /// Gives bytes kept free back.
    pub fn release(&mut self, bytes: usize) {
        self.limit += bytes;
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A 16-bit number.
    pub fn u16(&mut self, number: u16) {
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    /// Writes over two bytes.
    pub fn set_u16(&mut self, at: usize, number: u16) {
        let at = self.base + at;
        self.out[at..at + 2].copy_from_slice(&number.to_be_bytes());
    }

    /// Takes back everything after `length`.
    pub fn cut(&mut self, length: usize) {
        self.out.truncate(self.base + length);
        while self.used > 0 && usize::from(self.places[self.used - 1].1) >= length {
            self.used -= 1;
        }
    }

    /// Whether the name at a place in the message is this one; `exact`: in its case too.
    fn is_at(&self, place: u16, mut wire: &[u8], exact: bool) -> bool {
        let message = &self.out[self.base..];
        let mut at = usize::from(place);
        loop {
            match message.get(at) {
                Some(&high) if high >= 192 => {
                    let Some(&low) = message.get(at + 1) else { return false };
                    at = usize::from(high & 63) << 8 | usize::from(low);
                }
                Some(0) => return wire == [0],
                Some(&size) => {
                    let size = usize::from(size) + 1;
                    let (Some(here), Some(ours)) = (message.get(at..at + size), wire.get(..size))
                    else {
                        return false;
                    };
                    if !(here == ours || !exact && here.eq_ignore_ascii_case(ours)) {
                        return false;
                    }
                    at += size;
                    wire = &wire[size..];
                }
                None => return false,
            }
        }
    }

    /// A name, compressed against what is there already, whatever its case: an owner then
    /// comes in the case it was asked in.
    pub fn name(&mut self, wire: &[u8]) {
        self.put(wire, false);
    }

    /// A name in data keeps its case: a client that mixes cases must not change what is stored.
    fn put(&mut self, wire: &[u8], exact: bool) {
        let mut rest = wire;
        while rest.len() > 1 {
            let hash = hash(rest);
            let known = self.places[..self.used]
                .iter()
                .find(|(h, place)| *h == hash && self.is_at(*place, rest, exact));
            if let Some((_, place)) = known {
                self.out.extend_from_slice(&(0xc000 | place).to_be_bytes());
                return;
            }
            let at = self.len();
            if self.used < PLACES && at < 0x4000 {
                self.places[self.used] = (hash, u16::try_from(at).unwrap_or_default());
                self.used += 1;
            }
            self.out.extend_from_slice(&rest[..=usize::from(rest[0])]);
            rest = parent_of(rest).unwrap_or(&[0]);
        }
        self.out.push(0);
    }

    /// A question.
    pub fn question(&mut self, name: &[u8], kind: RecordType, class: u16) {
        self.name(name);
        self.u16(kind.0);
        self.u16(class);
    }

    /// A record of class IN.
    ///
    /// # Errors
    /// [`Full`], and nothing is written.
    pub fn record(
        &mut self,
        owner: &[u8],
        kind: RecordType,
        ttl: u32,
        data: &[u8],
    ) -> Result<(), Full> {
        self.any(owner, kind, 1, ttl, data)
    }

    /// A record of any class.
    ///
    /// # Errors
    /// [`Full`], and nothing is written.
    pub fn any(
        &mut self,
        owner: &[u8],
        kind: RecordType,
        class: u16,
        ttl: u32,
        data: &[u8],
    ) -> Result<(), Full> {
        let (start, used) = (self.len(), self.used);
        self.name(owner);
        self.u16(kind.0);
        self.u16(class);
        self.out.extend_from_slice(&ttl.to_be_bytes());
        let size_at = self.len();
        self.u16(u16::try_from(data.len()).unwrap_or(u16::MAX));
        match kind {
            // Data of other classes is not known to have its type's form: it goes as it came.
            _ if class != 1 => self.bytes(data),
            // The usual ones without the table: one name after so many bytes.
            RecordType::NS | RecordType::CNAME | RecordType::PTR => self.put(data, true),
            RecordType::MX if data.len() > 2 => {
                self.bytes(&data[..2]);
                self.put(&data[2..], true);
            }
            kind if rdata::compresses(kind) => {
                let mut done = 0;
                for range in rdata::names(kind, data) {
                    self.bytes(&data[done..range.start]);
                    done = range.end;
                    self.put(&data[range], true);
                }
                self.bytes(&data[done..]);
            }
            _ => self.bytes(data),
        }
        let end = self.len();
        if end > self.limit {
            self.out.truncate(self.base + start);
            self.used = used;
            return Err(Full);
        }
        self.set_u16(size_at, u16::try_from(end - size_at - 2).unwrap_or(u16::MAX));
        Ok(())
    }
}
