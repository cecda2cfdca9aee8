//! Replies of other servers: no bytes may panic, and what is read is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    assert!(mailsrv::fuzzing::relay_reply(bytes).is_none_or(|lines| (1..=100).contains(&lines)));
});
