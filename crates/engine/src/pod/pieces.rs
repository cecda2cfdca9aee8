//! The streams of a command in a pod, interleaved on one conversation.
//!
//! A piece is a kind (1 byte), a length (4 bytes, big-endian) and so many bytes.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::TerminalSize;

/// The most bytes of one piece.
const MAX: usize = 1 << 20;

/// One piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// To the command's standard input or terminal.
    In(Bytes),
    /// The end of its input.
    End,
    /// Its terminal's new size.
    Resize(TerminalSize),
    /// From its standard output or terminal.
    Out(Bytes),
    /// From its standard error.
    Err(Bytes),
    /// Its exit code; nothing follows.
    Exit(i32),
    /// Why it is lost; nothing follows.
    Lost(String),
}

impl Piece {
    fn parts(&self) -> (u8, Bytes) {
        let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        match self {
            Self::In(bytes) => (0, bytes.clone()),
            Self::End => (1, Bytes::new()),
            Self::Resize(size) => {
                let ([a, b], [c, d]) = (size.columns.to_be_bytes(), size.rows.to_be_bytes());
                (2, copy(&[a, b, c, d]))
            }
            Self::Out(bytes) => (3, bytes.clone()),
            Self::Err(bytes) => (4, bytes.clone()),
            Self::Exit(code) => (5, copy(&code.to_be_bytes())),
            Self::Lost(why) => (6, copy(why.as_bytes())),
        }
    }

    fn from_parts(kind: u8, bytes: Bytes) -> Option<Self> {
        let four = || <[u8; 4]>::try_from(&bytes[..]).ok();
        Some(match kind {
            0 => Self::In(bytes),
            1 if bytes.is_empty() => Self::End,
            2 => {
                let [a, b, c, d] = four()?;
                let (columns, rows) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                Self::Resize(TerminalSize { columns, rows })
            }
            3 => Self::Out(bytes),
            4 => Self::Err(bytes),
            5 => Self::Exit(i32::from_be_bytes(four()?)),
            6 => Self::Lost(String::from_utf8_lossy(&bytes).into_owned()),
            _ => return None,
        })
    }
}

/// Sends one piece.
pub(crate) async fn put(to: &mut (impl AsyncWrite + Unpin), piece: &Piece) -> io::Result<()> {
    let (kind, bytes) = piece.parts();
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let [a, b, c, d] = length.to_be_bytes();
    to.write_all(&[kind, a, b, c, d]).await?;
    to.write_all(&bytes).await?;
    to.flush().await
}

/// Takes one piece; `None` at the end of the conversation.
pub(crate) async fn get(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Piece>> {
    let mut head = [0; 5];
    match from.read(&mut head).await? {
        0 => return Ok(None),
        n => from.read_exact(&mut head[n..]).await?,
    };
    let [kind, length @ ..] = head;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a piece of labctl's"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    let piece = Piece::from_parts(kind, bytes.into());
    piece.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a known piece"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_come_out_as_they_went_in() {
        let pieces = [
            Piece::In("text".into()),
            Piece::In(Bytes::new()),
            Piece::End,
            Piece::Resize(TerminalSize { columns: 300, rows: 2 }),
            Piece::Out(vec![0; 16 << 10].into()),
            Piece::Err("error".into()),
            Piece::Exit(-1),
            Piece::Lost("it is gone".into()),
        ];
        let mut wire = Vec::new();
        for piece in &pieces {
            put(&mut wire, piece).await.unwrap();
        }
        let mut from = &wire[..];
        for piece in &pieces {
            assert_eq!(get(&mut from).await.unwrap().as_ref(), Some(piece));
        }
        assert_eq!(get(&mut from).await.unwrap(), None);
    }

    #[tokio::test]
    async fn foreign_bytes_are_an_error() {
        for wire in [&b"GET / HTTP/1.1"[..], b"\x05\0\0\0\x01x", b"\x09\0\0\0\0", b"\0\0\0"] {
            assert!(get(&mut &wire[..]).await.is_err(), "{wire:?}");
        }
    }
}
