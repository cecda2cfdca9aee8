//! DNS names, record data and messages, as bytes and as text.
//!
//! The server, the probes and the node's commands share it. Everything that reads bytes is total
//! and bounded; everything is printed as RFC 1035 master files and `dig` print it.

mod kind;
mod message;
mod name;
pub mod rdata;
mod svcb;
pub mod text;
mod writer;

pub use kind::{RecordType, class_word, opcode_word, rcode_word};
pub use message::{Edns, Flags, Message, Question, Record};
pub use name::{Name, NameError, labels_of, lower_into, parent_of};
pub use writer::{Full, Writer};

/// Why bytes are not a DNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They end too early.
    #[error("the message ends in the middle of a field")]
    Short,
    /// A name that is too long, has a reserved label type, or points forward or in a circle.
    #[error("the message has a name that cannot be read")]
    Name,
    /// Record data that is not of its type's form.
    #[error("the data of a record of type {0} is malformed")]
    Data(RecordType),
    /// More than the message says, or an option record out of place.
    #[error("the message is malformed: {0}")]
    Form(&'static str),
}
