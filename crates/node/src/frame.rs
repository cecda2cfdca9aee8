//! Framing: many requests and byte streams on one connection.
//!
//! A frame is a 4-byte big-endian length of what follows it, one byte of kind, a 4-byte
//! big-endian channel, then the payload. The client chooses channels, each used once.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

/// The most bytes one frame may carry; a peer that sends more is cut off.
pub const MAX_PAYLOAD: usize = 4 << 20;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Client: a request (JSON).
    Open,
    /// Server: one streamed item (JSON).
    Item,
    /// Server: the answer (JSON); ends the channel.
    Done,
    /// Server: an [`crate::Error`] (JSON); ends the channel.
    Fail,
    /// Either: bytes of a stream.
    Data,
    /// Either: no more bytes from this side.
    Eof,
    /// Client: not interested any more.
    Cancel,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Whose it is.
    pub channel: u32,
    /// What it carries.
    pub payload: Bytes,
}

/// The codec of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Codec;

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Kind::Open => 1,
            Kind::Item => 2,
            Kind::Done => 3,
            Kind::Fail => 4,
            Kind::Data => 5,
            Kind::Eof => 6,
            Kind::Cancel => 7,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Kind::Open,
            2 => Kind::Item,
            3 => Kind::Done,
            4 => Kind::Fail,
            5 => Kind::Data,
            6 => Kind::Eof,
            7 => Kind::Cancel,
            _ => return None,
        })
    }
}

fn invalid(message: impl Into<String>) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, message.into())
}

impl Decoder for Codec {
    type Item = Frame;
    type Error = std::io::Error;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, std::io::Error> {
        let Some(head) = source.first_chunk::<9>() else { return Ok(None) };
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if !(5..=MAX_PAYLOAD + 5).contains(&length) {
            return Err(invalid(format!("a frame of {length} bytes is not one of labctl's")));
        }
        let kind = Kind::from_byte(head[4])
            .ok_or_else(|| invalid(format!("a frame of the unknown kind {}", head[4])))?;
        let channel = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if source.len() < 4 + length {
            source.reserve(4 + length - source.len());
            return Ok(None);
        }
        source.advance(9);
        Ok(Some(Frame { kind, channel, payload: source.split_to(length - 5).freeze() }))
    }
}

impl Encoder<Frame> for Codec {
    type Error = std::io::Error;

    fn encode(&mut self, frame: Frame, out: &mut BytesMut) -> Result<(), std::io::Error> {
        if frame.payload.len() > MAX_PAYLOAD {
            return Err(invalid(format!(
                "{} bytes are too many for one frame",
                frame.payload.len()
            )));
        }
        out.reserve(9 + frame.payload.len());
        out.put_u32(frame.payload.len() as u32 + 5);
        out.put_u8(frame.kind.byte());
        out.put_u32(frame.channel);
        out.extend_from_slice(&frame.payload);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_byte_by_byte_delivery() {
        let frame = Frame { kind: Kind::Item, channel: 7, payload: Bytes::from_static(b"{}") };
        let mut wire = BytesMut::new();
        Codec.encode(frame.clone(), &mut wire).unwrap();
        let mut seen = BytesMut::new();
        let mut got = None;
        for byte in wire {
            assert!(got.is_none());
            seen.put_u8(byte);
            got = Codec.decode(&mut seen).unwrap();
        }
        assert_eq!(got, Some(frame));
    }

    #[test]
    fn foreign_bytes_are_refused_at_once() {
        let mut text = BytesMut::from(&b"HTTP/1.1 200 OK\r\n"[..]);
        assert!(Codec.decode(&mut text).is_err());
    }
}
