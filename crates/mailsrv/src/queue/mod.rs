//! Mail to other servers: kept on disk until each recipient has it or never will.

pub mod dsn;
mod envelope;
mod work;

pub use envelope::{Envelope, Notify, Recipient, State};
pub(crate) use work::give_up;
pub use work::run;
