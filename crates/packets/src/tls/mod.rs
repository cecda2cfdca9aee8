//! Reads TLS dialogues whose secrets the lab gives away: key log, key schedule, records.
//!
//! Only what `tls: { keylog: true }` of a lab writes can be read; without it every dialogue stays
//! what it is on the wire.

mod cipher;
mod keylog;
mod session;

pub use keylog::KeyLog;
pub use session::{Event, Heard, Session};
