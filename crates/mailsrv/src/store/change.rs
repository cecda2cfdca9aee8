//! What is asked of the store, and what it answers.

use super::flags::Flags;
use super::model::FileId;
use crate::queue::Envelope;

/// One thing to be done. Mailbox names may be in any case of INBOX.
#[derive(Clone, Debug)]
pub enum Change {
    /// Makes the account with its [`FOLDERS`], unless it exists.
    Account {
        /// Its name.
        account: String,
    },
    /// Removes an account with everything in it.
    RemoveAccount {
        /// Its name.
        account: String,
    },
    /// Does nothing, but lets the whole commit fail where the mailbox is not the one that a
    /// session has open: it was deleted or renamed, and another may go by its name now.
    Same {
        /// Whose.
        account: String,
        /// Its name.
        mailbox: String,
        /// The UIDVALIDITY that it must have.
        validity: u32,
    },
    /// Makes a mailbox.
    Create {
        /// Whose.
        account: String,
        /// Its name.
        mailbox: String,
        /// Its SPECIAL-USE attribute.
        special: Option<String>,
    },
    /// Deletes a mailbox with its messages; mailboxes below it stay.
    Delete {
        /// Whose.
        account: String,
        /// Its name.
        mailbox: String,
    },
    /// Renames a mailbox and those below it, also where only those exist; of INBOX the messages
    /// are moved (RFC 3501, 6.3.5).
    Rename {
        /// Whose.
        account: String,
        /// Its name.
        mailbox: String,
        /// Its new name.
        to: String,
    },
    /// Subscribes or unsubscribes a name.
    Subscribe {
        /// Whose.
        account: String,
        /// The name; it need not exist.
        mailbox: String,
        /// Which of the two.
        on: bool,
    },
    /// Puts a spooled message into a mailbox. The account is made if need be.
    Add {
        /// Whose.
        account: String,
        /// Where; INBOX is always there.
        mailbox: String,
        /// The spooled message.
        file: FileId,
        /// Its size in bytes.
        size: u32,
        /// Seconds since 1970.
        received: i64,
        /// Its flags.
        flags: Flags,
        /// Bytes that the account may hold.
        quota: Option<u64>,
    },
    /// Copies messages; UIDs that do not exist are passed over.
    Copy {
        /// Whose.
        account: String,
        /// From where.
        from: String,
        /// Which.
        uids: Vec<u32>,
        /// Where to.
        to: String,
        /// Bytes that the account may hold.
        quota: Option<u64>,
    },
    /// Moves messages (RFC 6851): one step, no quota.
    Move {
        /// Whose.
        account: String,
        /// From where.
        from: String,
        /// Which.
        uids: Vec<u32>,
        /// Where to.
        to: String,
    },
    /// Changes flags.
    Flags {
        /// Whose.
        account: String,
        /// Where.
        mailbox: String,
        /// Which.
        uids: Vec<u32>,
        /// How.
        how: FlagChange,
        /// Which flags.
        flags: Flags,
        /// Only where the message's modseq is not greater (RFC 7162).
        unchanged_since: Option<u64>,
    },
    /// Removes messages.
    Expunge {
        /// Whose.
        account: String,
        /// Where.
        mailbox: String,
        /// Which; all where `None`.
        uids: Option<Vec<u32>>,
        /// Only those with `\Deleted`.
        deleted_only: bool,
    },
    /// Takes the recent messages of a mailbox for the asking session.
    ClaimRecent {
        /// Whose.
        account: String,
        /// Where.
        mailbox: String,
    },
    /// Notes that an account answers a sender automatically; refused where it has done so less
    /// than `every_s` seconds ago, and all that comes with it.
    Answer {
        /// Whose answer.
        account: String,
        /// To whom, in lower case.
        sender: String,
        /// Seconds since 1970.
        now: i64,
        /// Seconds for which one answer is enough.
        every_s: u64,
    },
    /// Puts an entry into the queue or replaces it.
    Queue(Box<Envelope>),
    /// Removes an entry from the queue.
    Unqueue {
        /// Its number.
        id: u64,
    },
}

/// How flags change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagChange {
    /// These and no others.
    Replace,
    /// These as well.
    Add,
    /// Without these.
    Remove,
}

/// What became of a [`Change`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, nothing to tell.
    Done,
    /// A message is in a mailbox.
    Added {
        /// The mailbox's UIDVALIDITY.
        validity: u32,
        /// The message's UID.
        uid: u32,
    },
    /// Messages were copied or moved.
    Copied {
        /// The target's UIDVALIDITY.
        validity: u32,
        /// Old and new UIDs, in order.
        uids: Vec<(u32, u32)>,
    },
    /// Flags were changed.
    Flagged {
        /// The new modification sequence; 0 where nothing changed.
        modseq: u64,
        /// Messages left alone because of `unchanged_since`.
        modified: Vec<u32>,
        /// Messages that were changed, with their modification sequence before.
        changed: Vec<(u32, u64)>,
    },
    /// Messages are gone.
    Expunged {
        /// Which, in ascending order.
        uids: Vec<u32>,
        /// The new modification sequence.
        modseq: u64,
    },
    /// The first UID that is recent for the asking session.
    Recent {
        /// It.
        from: u32,
    },
}

impl Change {
    /// Whether the change must be on disk before it is answered for.
    pub(crate) fn durable(&self) -> bool {
        !matches!(
            self,
            Self::Flags { .. }
                | Self::ClaimRecent { .. }
                | Self::Subscribe { .. }
                | Self::Same { .. }
        )
    }
}
