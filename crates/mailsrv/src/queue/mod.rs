//! Mail to other servers: kept on disk until each recipient has it or never will.

mod envelope;

pub use envelope::{Envelope, Notify, Recipient, State};
