//! Mailboxes, messages and the queue on disk.
//!
//! # What lies where
//! ```text
//! state/lock            held while a server runs
//! state/tmp/ID          a message on its way in; removed at start
//! state/messages/ID     a message, byte for byte (CRLF), Return-Path and Received on top
//! state/index           the journal: one checked JSON line for each transaction
//! ```
//! A file may be named by several mailboxes and queue entries (copies, several recipients); it is
//! removed with its last name. Files that nothing names are removed at start: their senders never
//! got a 250.
//!
//! # The promise
//! [`Store::commit`] returns when the message file, its folder and the journal line are on disk,
//! in this order. One thread writes the journal and takes everything that waits as one batch, so
//! many senders share two fsyncs. A transaction is one line: all of it or nothing survives.
//! Changes of flags alone are written but not synced. Readers never see what is not on disk yet.
//!
//! # For the authors of sessions (POP3, IMAP)
//! | to | call |
//! | --- | --- |
//! | list folders | [`Store::mailboxes`] (names in UTF-8, `/` between levels, `INBOX` in capitals), [`Store::subscriptions`] |
//! | look into one | [`Store::with_mailbox`]: a closure over [`Mailbox`] (uidvalidity, uidnext, modseq, messages by UID). It holds the lock: no writing to the network in it |
//! | read bytes | [`Store::read`], [`Store::read_range`], [`Store::open`] with [`Message::file`] |
//! | put a message in | [`Store::spool`] the bytes, then [`Store::append`] |
//! | change | [`Store::commit`] with [`Change`]s: create, delete, rename, subscribe, copy, move, flags, expunge; the [`Outcome`]s come back in the same order |
//! | wait for news | [`Store::watch`]: a counter of the account that grows with each change; then compare your view with the mailbox |
//! | changes since | messages whose `modseq` is greater than the one you saw; UIDs of your view that are gone were expunged |
//! | \Recent | [`Change::ClaimRecent`] at SELECT answers the first recent UID; exactly one session gets each |
//!
//! UIDs only grow and are never used twice; a mailbox that is made again gets another UIDVALIDITY.
//! Every change of a mailbox raises its `modseq`, also that of its expunges.

mod change;
mod commit;
mod files;
mod flags;
mod journal;
mod model;
mod plan;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

pub use change::{Change, FlagChange, Outcome};
pub use files::{Body, Spooled};
pub use flags::Flags;
pub(crate) use journal::fuzz as fuzz_journal;
pub use model::{FileId, Mailbox, Message};

use crate::queue::Envelope;
use model::State;

/// Folders that each new account has, with their SPECIAL-USE attribute (RFC 6154).
pub const FOLDERS: [(&str, Option<&str>); 5] = [
    ("INBOX", None),
    ("Drafts", Some("\\Drafts")),
    ("Sent", Some("\\Sent")),
    ("Junk", Some("\\Junk")),
    ("Trash", Some("\\Trash")),
];

/// The hierarchy separator.
pub const SEPARATOR: char = '/';

/// Why the store refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such account.
    #[error("there is no account `{0}`; list them with the request users")]
    NoAccount(String),
    /// No such mailbox.
    #[error("there is no mailbox `{0}`")]
    NoMailbox(String),
    /// The name is taken.
    #[error("the mailbox `{0}` exists already")]
    Exists(String),
    /// The name cannot be one.
    #[error(
        "`{0}` cannot be the name of a mailbox: 1 to 255 bytes, no control characters, no empty level"
    )]
    BadName(String),
    /// INBOX cannot be deleted.
    #[error("INBOX cannot be deleted")]
    Inbox,
    /// The account is full.
    #[error(
        "the account `{account}` may hold {quota} bytes and has {used}: delete messages or raise the quota"
    )]
    OverQuota {
        /// Whose.
        account: String,
        /// Bytes it holds.
        used: u64,
        /// Bytes it may hold.
        quota: u64,
    },
    /// The account has answered this sender not long ago.
    #[error("the sender has had its automatic answer")]
    Answered,
    /// Too many mailboxes or keywords.
    #[error("the account has as many {0} as it may have")]
    TooMany(&'static str),
    /// The disk failed.
    #[error("cannot write to the store in {folder}: {reason}")]
    Disk {
        /// The state folder.
        folder: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Another process has the folder.
    #[error("{0} is in use by another mail server; stop that one or give another `state`")]
    Locked(PathBuf),
    /// The journal says what cannot be.
    #[error(
        "{path} is damaged at byte {offset}: {reason}; move it away to begin with empty mailboxes"
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// Why.
        reason: String,
    },
}

/// The store of one server.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    shared: Arc<Shared>,
    files: files::Files,
    work: commit::Committing,
}

/// What the committing thread and the readers share.
pub(crate) struct Shared {
    live: Mutex<State>,
    watches: Mutex<std::collections::HashMap<String, watch::Sender<u64>>>,
    queue: watch::Sender<u64>,
}

impl Shared {
    fn live(&self) -> MutexGuard<'_, State> {
        // A reader that panicked has not changed anything.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, account: &str) -> watch::Receiver<u64> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.entry(account.to_owned()).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    fn changed(&self, account: &str) {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watches.get(account) {
            sender.send_modify(|count| *count += 1);
        }
    }
}

/// A mailbox in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its SPECIAL-USE attribute.
    pub special: Option<String>,
    /// Whether it is subscribed.
    pub subscribed: bool,
    /// How many messages it holds.
    pub messages: usize,
    /// How many of them are not `\Seen`.
    pub unseen: usize,
}

impl Store {
    /// Opens or makes the store in `folder` and starts its committing thread.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let files = files::Files::open(folder)?;
        let (journal, state) = journal::Journal::open(folder)?;
        files.sweep(&state);
        let shared = Arc::new(Shared {
            live: Mutex::new(state.clone()),
            watches: Mutex::default(),
            queue: watch::channel(0).0,
        });
        let work = commit::start(journal, state, shared.clone(), files.clone(), folder)?;
        Ok(Self { inner: Arc::new(Inner { folder: folder.into(), shared, files, work }) })
    }

    /// Writes a message to disk: `prefix`, then `body`. The file goes away again unless it is
    /// committed.
    pub async fn spool(&self, prefix: Vec<u8>, body: Body) -> Result<Spooled, Error> {
        let files = self.inner.files.clone();
        let write = move || files.write(&prefix, body);
        match tokio::task::spawn_blocking(write).await {
            Ok(written) => written,
            Err(error) => Err(self.disk(error)),
        }
    }

    /// A file for a message that is too big for memory, to be filled and handed to
    /// [`Store::spool`] as [`Body::File`].
    pub fn scratch(&self) -> Result<std::fs::File, Error> {
        self.inner.files.scratch()
    }

    /// Does all of it or nothing, and returns when it is on disk.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<Vec<Outcome>, Error> {
        let (reply, answer) = oneshot::channel();
        self.inner
            .work
            .send(commit::Job { changes, reply })
            .map_err(|_| self.disk("the committing thread has ended"))?;
        answer.await.map_err(|_| self.disk("the committing thread has ended"))?
    }

    /// Puts one spooled message into one mailbox; its UIDVALIDITY and UID.
    pub async fn append(
        &self,
        account: &str,
        mailbox: &str,
        message: Spooled,
        flags: Flags,
        received: i64,
        quota: Option<u64>,
    ) -> Result<(u32, u32), Error> {
        let change = Change::Add {
            account: account.to_owned(),
            mailbox: canonical(mailbox),
            file: message.id(),
            size: message.size(),
            received,
            flags,
            quota,
        };
        let outcomes = self.commit(vec![change]).await?;
        message.adopt();
        match outcomes.first() {
            Some(Outcome::Added { validity, uid }) => Ok((*validity, *uid)),
            _ => Err(self.disk("the commit had no outcome")),
        }
    }

    fn disk(&self, reason: impl ToString) -> Error {
        Error::Disk { folder: self.inner.folder.clone(), reason: reason.to_string() }
    }

    /// Names of all accounts that have mailboxes.
    pub fn accounts(&self) -> Vec<String> {
        self.inner.shared.live().accounts.keys().cloned().collect()
    }

    /// The mailboxes of an account, by name.
    pub fn mailboxes(&self, account: &str) -> Vec<Listed> {
        let live = self.inner.shared.live();
        let Some(found) = live.accounts.get(account) else { return Vec::new() };
        let listed = found.mailboxes.iter().map(|(name, mailbox)| Listed {
            name: name.clone(),
            special: mailbox.special.clone(),
            subscribed: found.subscriptions.contains(name),
            messages: mailbox.messages.len(),
            unseen: mailbox.messages.iter().filter(|m| !m.flags.has(Flags::SEEN)).count(),
        });
        listed.collect()
    }

    /// The names an account is subscribed to; they need not exist.
    pub fn subscriptions(&self, account: &str) -> BTreeSet<String> {
        let live = self.inner.shared.live();
        live.accounts.get(account).map(|a| a.subscriptions.clone()).unwrap_or_default()
    }

    /// Looks into a mailbox; `None` where it does not exist. The store waits meanwhile.
    pub fn with_mailbox<T>(
        &self,
        account: &str,
        mailbox: &str,
        look: impl FnOnce(&Mailbox) -> T,
    ) -> Option<T> {
        let live = self.inner.shared.live();
        let mailbox = live.accounts.get(account)?.mailboxes.get(&canonical(mailbox))?;
        Some(look(mailbox))
    }

    /// The name of the mailbox with that UIDVALIDITY; no other mailbox has or will have it.
    pub fn name_of(&self, account: &str, validity: u32) -> Option<String> {
        let live = self.inner.shared.live();
        let mut mailboxes = live.accounts.get(account)?.mailboxes.iter();
        mailboxes.find(|(_, mailbox)| mailbox.validity == validity).map(|(name, _)| name.clone())
    }

    /// Bytes that an account holds.
    pub fn usage(&self, account: &str) -> u64 {
        self.inner.shared.live().accounts.get(account).map_or(0, |a| a.used)
    }

    /// A counter that grows with every change of the account.
    pub fn watch(&self, account: &str) -> watch::Receiver<u64> {
        self.inner.shared.watch(account)
    }

    /// The whole message.
    pub fn read(&self, file: FileId) -> std::io::Result<Vec<u8>> {
        std::fs::read(self.inner.files.path(file))
    }

    /// At most `length` bytes from `offset` on.
    pub fn read_range(&self, file: FileId, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
        use std::io::{Read, Seek, SeekFrom};
        let mut open = self.open_file(file)?;
        open.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        open.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The message's file, for reading in pieces. It stays readable after an expunge.
    pub fn open_file(&self, file: FileId) -> std::io::Result<std::fs::File> {
        std::fs::File::open(self.inner.files.path(file))
    }

    /// The queue, by number.
    pub fn queue(&self) -> Vec<Arc<Envelope>> {
        self.inner.shared.live().queue.values().cloned().collect()
    }

    /// One entry of the queue.
    pub fn queued(&self, id: u64) -> Option<Arc<Envelope>> {
        self.inner.shared.live().queue.get(&id).cloned()
    }

    /// Whether an account has answered a sender automatically within so many seconds.
    pub fn has_answered(&self, account: &str, sender: &str, now: i64, every_s: u64) -> bool {
        self.inner.shared.live().has_answered(account, sender, now, every_s)
    }

    /// A counter that grows with every change of the queue.
    pub fn watch_queue(&self) -> watch::Receiver<u64> {
        self.inner.shared.queue.subscribe()
    }

    /// A new number, never given before; also the name of queue entries.
    pub fn number(&self) -> FileId {
        self.inner.files.number()
    }
}

/// `INBOX` is INBOX in any case; other names are as they are.
pub fn canonical(name: &str) -> String {
    match name.get(..5) {
        Some(head) if head.eq_ignore_ascii_case("INBOX") => match &name[5..] {
            rest if rest.is_empty() || rest.starts_with(SEPARATOR) => format!("INBOX{rest}"),
            _ => name.to_owned(),
        },
        _ => name.to_owned(),
    }
}
