//! What the server says: bytes, and ranges of message files that are never whole in memory.

use std::fs::File;

/// A piece of output.
#[derive(Debug)]
pub enum Chunk {
    /// Bytes.
    Bytes(Vec<u8>),
    /// A range of a file.
    File {
        /// The file.
        file: File,
        /// First byte.
        offset: u64,
        /// How many.
        length: u64,
    },
}

/// Output in order.
#[derive(Debug, Default)]
pub struct Output {
    chunks: Vec<Chunk>,
    held: usize,
}

impl Output {
    /// A line; the line end is added.
    pub fn line(&mut self, text: impl AsRef<[u8]>) {
        let mut bytes = text.as_ref().to_vec();
        bytes.extend_from_slice(b"\r\n");
        self.bytes(bytes);
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, mut bytes: Vec<u8>) {
        self.held += bytes.len();
        match self.chunks.last_mut() {
            Some(Chunk::Bytes(last)) => last.append(&mut bytes),
            _ => self.chunks.push(Chunk::Bytes(bytes)),
        }
    }

    /// A range of a file.
    pub fn file(&mut self, file: File, offset: u64, length: u64) {
        // What lies in a file takes no memory, but an open file is dear as well.
        self.held += 64 << 10;
        self.chunks.push(Chunk::File { file, offset, length });
    }

    /// Bytes held in memory.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes all of it.
    pub fn take(&mut self) -> Vec<Chunk> {
        self.held = 0;
        std::mem::take(&mut self.chunks)
    }
}
