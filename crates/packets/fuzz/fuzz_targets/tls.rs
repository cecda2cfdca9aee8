//! Any bytes are what two sides of a TLS connection say, in pieces; a key log of any lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packets::tls::{KeyLog, Session};

fuzz_target!(|input: &[u8]| {
    let (log, bytes) = input.split_at(input.len().min(300));
    let log = String::from_utf8_lossy(log);
    let random = "00".repeat(32);
    let known = ["CLIENT_RANDOM", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"]
        .map(|label| format!("{label} {random} {}", "11".repeat(32)));
    let keys = KeyLog::of(log.lines().chain(known.iter().map(String::as_str)));
    let mut session = Session::default();
    let mut rest = bytes;
    while let [how, length, after @ ..] = rest {
        let (piece, after) = after.split_at((*length as usize).min(after.len()));
        rest = after;
        session.hear(usize::from(how & 1), piece, &[usize::from(*how)], &keys);
    }
});
