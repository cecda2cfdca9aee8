//! The lines of the journal: every change with all its consequences worked out.

use serde::{Deserialize, Serialize};

use super::flags::Flags;
use super::model::FileId;
use crate::queue::Envelope;

/// One change. Names are short: there are many of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Record {
    /// An account exists.
    Account {
        #[serde(rename = "a")]
        account: String,
    },
    /// It does not any more, and its messages neither.
    NoAccount {
        #[serde(rename = "a")]
        account: String,
    },
    /// The last UIDVALIDITY given.
    Validity { last: u32 },
    /// An empty mailbox exists.
    Mailbox {
        #[serde(rename = "a")]
        account: String,
        #[serde(rename = "m")]
        mailbox: String,
        #[serde(rename = "v")]
        validity: u32,
        next: u32,
        #[serde(rename = "ms")]
        modseq: u64,
        recent: u32,
        #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
        special: Option<String>,
    },
    /// It does not any more.
    NoMailbox {
        #[serde(rename = "a")]
        account: String,
        #[serde(rename = "m")]
        mailbox: String,
    },
    /// It has another name.
    Rename {
        #[serde(rename = "a")]
        account: String,
        #[serde(rename = "m")]
        mailbox: String,
        to: String,
    },
    /// It is subscribed or not.
    Subscribe {
        #[serde(rename = "a")]
        account: String,
        #[serde(rename = "m")]
        mailbox: String,
        on: bool,
    },
    /// A message is in a mailbox.
    Add {
        #[serde(rename = "a")]
        account: String,
        #[serde(rename = "m")]
        mailbox: String,
        #[serde(rename = "u")]
        uid: u32,
        #[serde(rename = "f")]
        file: FileId,
        #[serde(rename = "s")]
        size: u32,
        #[serde(rename = "t")]
        received: i64,
        #[serde(rename = "fl", default, skip_serializing_if = "Flags::is_empty")]
        flags: Flags,
        #[serde(rename = "ms")]
        modseq: u64,
    },
    /// Messages have these flags.
    Flags {
        #[serde(rename = "a")]
        account: String,
        #[serde(rename = "m")]
        mailbox: String,
        #[serde(rename = "ms")]
        modseq: u64,
        set: Vec<(u32, Flags)>,
    },
    /// Messages are gone; UIDs in ascending order.
    Expunge {
        #[serde(rename = "a")]
        account: String,
        #[serde(rename = "m")]
        mailbox: String,
        #[serde(rename = "ms")]
        modseq: u64,
        #[serde(rename = "u")]
        uids: Vec<u32>,
    },
    /// Messages below that UID are not recent any more.
    Recent {
        #[serde(rename = "a")]
        account: String,
        #[serde(rename = "m")]
        mailbox: String,
        #[serde(rename = "u")]
        recent: u32,
    },
    /// An account has answered a sender automatically.
    Answered {
        #[serde(rename = "a")]
        account: String,
        sender: String,
        #[serde(rename = "t")]
        time: i64,
    },
    /// An entry of the queue is so now.
    Queue(Box<Envelope>),
    /// An entry of the queue is gone.
    NoQueue { id: u64 },
}
