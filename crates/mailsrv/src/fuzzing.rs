//! Doors for `fuzz/` into parsers that are nobody else's business. Not an interface.

use std::task::{Context, Poll, Waker};

/// A reply of another server, as the relay reads it; how many lines it has.
#[must_use]
pub fn relay_reply(mut bytes: &[u8]) -> Option<usize> {
    let reading = std::pin::pin!(crate::relay::read_reply(&mut bytes, |_| {}));
    // All bytes are there: nothing is waited for.
    let Poll::Ready(reply) = reading.poll(&mut Context::from_waker(Waker::noop())) else {
        return None;
    };
    let reply = reply.ok()?;
    let _ = (reply.extension("AUTH"), reply.text());
    Some(reply.lines.len())
}

/// Lines of the journal, applied to an empty store, and the state written as records and read again.
pub fn journal(bytes: &[u8]) {
    crate::store::fuzz_journal(bytes);
}
