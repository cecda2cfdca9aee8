//! A node's configuration as one word on its agent's command line.
//!
//! It is there before process 1 starts, again after `docker restart`, and costs no request of its
//! own: an upload of a file takes about 90 ms a node on Docker 20.10.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::error::{Error, Result};

/// The option before the word.
pub const OPTION: &str = "--inline-config";

/// The longest word that `execve` takes is 128 KiB (`MAX_ARG_STRLEN`).
pub const MAX: usize = 120 << 10;

/// Text that a word may unfold to, in bytes.
const MAX_TEXT: u64 = 16 << 20;

/// Folds a text.
pub fn pack(text: &str) -> Result<String> {
    let failed = |error| Error::failed("pack a configuration", error);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).map_err(failed)?;
    Ok(STANDARD_NO_PAD.encode(encoder.finish().map_err(failed)?))
}

/// Unfolds what [`pack`] made.
pub fn unpack(word: &str) -> Result<String> {
    let bytes = STANDARD_NO_PAD
        .decode(word)
        .map_err(|error| Error::failed("unpack a configuration", error))?;
    let mut text = String::new();
    GzDecoder::new(&bytes[..])
        .take(MAX_TEXT)
        .read_to_string(&mut text)
        .map_err(|error| Error::failed("unpack a configuration", error))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let text = "größe ".repeat(10_000);
        let word = pack(&text).unwrap();
        assert!(word.len() < 2000);
        assert_eq!(unpack(&word).unwrap(), text);
        assert!(unpack("!").is_err());
    }
}
