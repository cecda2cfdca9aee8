//! Writes pcapng (draft-ietf-opsawg-pcapng), as Wireshark and tshark read it.

use std::collections::HashMap;
use std::io::{self, Write};

/// Ethernet.
const LINKTYPE_ETHERNET: u16 = 1;
/// Secrets in the form of NSS key log lines: "TLSK".
const TLS_KEY_LOG: u32 = 0x544c_534b;
/// Options of blocks.
const OPT_COMMENT: u16 = 1;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const SHB_USERAPPL: u16 = 4;
const ISB_IFDROP: u16 = 5;

/// A frame to be written.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The name of its interface, such as `lan` or `pc0:lan`.
    pub interface: &'a str,
    /// Nanoseconds since 1970.
    pub at_ns: u64,
    /// Its bytes.
    pub data: &'a [u8],
    /// Its length on the wire, in bytes.
    pub length: u32,
    /// A remark.
    pub comment: Option<&'a str>,
}

/// Writes one section; interfaces are described when their first frame comes.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    snaplen: u32,
    interfaces: HashMap<String, u32>,
    /// The block that is being made; kept, so that a frame costs no allocation.
    block: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes the section's header. `comment` says what the capture is of.
    ///
    /// # Errors
    /// What `out` says.
    pub fn new(mut out: W, snaplen: u32, comment: &str) -> io::Result<Self> {
        let mut body = Vec::new();
        body.extend_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
        body.extend_from_slice(&1_u16.to_le_bytes());
        body.extend_from_slice(&0_u16.to_le_bytes());
        body.extend_from_slice(&(-1_i64).to_le_bytes());
        let mut options = Vec::new();
        if !comment.is_empty() {
            option(&mut options, OPT_COMMENT, comment.as_bytes());
        }
        option(&mut options, SHB_USERAPPL, b"labctl");
        end(&mut options);
        body.extend_from_slice(&options);
        block(&mut out, 0x0a0d_0d0a, &body)?;
        Ok(Self { out, snaplen, interfaces: HashMap::new(), block: Vec::new() })
    }

    /// The number of an interface; describes it where it is new.
    ///
    /// # Errors
    /// What `out` says.
    pub fn interface(&mut self, name: &str, description: &str) -> io::Result<u32> {
        if let Some(number) = self.interfaces.get(name) {
            return Ok(*number);
        }
        let mut body = Vec::new();
        body.extend_from_slice(&LINKTYPE_ETHERNET.to_le_bytes());
        body.extend_from_slice(&0_u16.to_le_bytes());
        body.extend_from_slice(&self.snaplen.to_le_bytes());
        option(&mut body, IF_NAME, name.as_bytes());
        if !description.is_empty() {
            option(&mut body, IF_DESCRIPTION, description.as_bytes());
        }
        // Nanoseconds.
        option(&mut body, IF_TSRESOL, &[9]);
        end(&mut body);
        block(&mut self.out, 1, &body)?;
        let number = u32::try_from(self.interfaces.len()).map_err(io::Error::other)?;
        self.interfaces.insert(name.to_owned(), number);
        Ok(number)
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// What `out` says.
    pub fn packet(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let interface = self.interface(packet.interface, "")?;
        let captured = u32::try_from(packet.data.len()).map_err(io::Error::other)?;
        let (high, low) = halves(packet.at_ns);
        let block = &mut self.block;
        block.clear();
        // Type and length; the length is known at the end.
        for number in [6, 0, interface, high, low, captured, packet.length.max(captured)] {
            block.extend_from_slice(&number.to_le_bytes());
        }
        block.extend_from_slice(packet.data);
        pad(block);
        if let Some(comment) = packet.comment {
            option(block, OPT_COMMENT, comment.as_bytes());
            end(block);
        }
        let length = u32::try_from(block.len() + 4).map_err(io::Error::other)?.to_le_bytes();
        block[4..8].copy_from_slice(&length);
        block.extend_from_slice(&length);
        self.out.write_all(block)
    }

    /// Writes lines of a TLS key log (a Decryption Secrets Block), with which Wireshark decrypts
    /// the frames that follow.
    ///
    /// # Errors
    /// What `out` says.
    pub fn tls_keys(&mut self, lines: &str) -> io::Result<()> {
        let length = u32::try_from(lines.len()).map_err(io::Error::other)?;
        let mut body = Vec::with_capacity(lines.len() + 12);
        body.extend_from_slice(&TLS_KEY_LOG.to_le_bytes());
        body.extend_from_slice(&length.to_le_bytes());
        body.extend_from_slice(lines.as_bytes());
        pad(&mut body);
        block(&mut self.out, 10, &body)
    }

    /// Tells how many frames an interface dropped.
    ///
    /// # Errors
    /// What `out` says.
    pub fn dropped(&mut self, interface: &str, at_ns: u64, count: u64) -> io::Result<()> {
        let interface = self.interface(interface, "")?;
        let (high, low) = halves(at_ns);
        let mut body = Vec::new();
        for number in [interface, high, low] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        option(&mut body, ISB_IFDROP, &count.to_le_bytes());
        end(&mut body);
        block(&mut self.out, 5, &body)
    }

    /// Hands on what was written.
    ///
    /// # Errors
    /// What `out` says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Gives the output back.
    pub fn into_inner(self) -> W {
        self.out
    }
}

fn halves(at_ns: u64) -> (u32, u32) {
    let low = u32::try_from(at_ns & u64::from(u32::MAX)).unwrap_or_default();
    (u32::try_from(at_ns >> 32).unwrap_or_default(), low)
}

fn block(out: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len() + 12).map_err(io::Error::other)?.to_le_bytes();
    out.write_all(&[&kind.to_le_bytes()[..], &length, body, &length].concat())
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(value);
    pad(out);
}

fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4]);
}

fn pad(out: &mut Vec<u8>) {
    while !out.len().is_multiple_of(4) {
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_closed_by_their_length() {
        let mut writer = Writer::new(Vec::new(), 65_535, "a lab").unwrap();
        let packet = Packet {
            interface: "lan",
            at_ns: 1 << 40,
            data: &[1, 2, 3],
            length: 60,
            comment: Some("x"),
        };
        writer.packet(&packet).unwrap();
        writer.packet(&packet).unwrap();
        writer.tls_keys("CLIENT_RANDOM 00 11\n").unwrap();
        writer.dropped("lan", 1, 7).unwrap();
        let bytes = writer.into_inner();
        let mut kinds = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let length = number(at + 4) as usize;
            assert!(length.is_multiple_of(4));
            assert_eq!(number(at + length - 4) as usize, length);
            kinds.push(number(at));
            at += length;
        }
        assert_eq!(kinds, [0x0a0d_0d0a, 1, 6, 6, 10, 5]);
    }
}
