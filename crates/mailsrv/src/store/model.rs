//! The state in memory: what the journal says, applied.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::flags::Flags;
use super::record::Record;
use crate::queue::Envelope;

/// Senders that one account remembers to have answered; of more the oldest is forgotten.
const MAX_ANSWERED: usize = 10_000;

/// The number of a message file.
pub type FileId = u64;

/// Everything the journal says.
#[derive(Clone, Default)]
pub(crate) struct State {
    /// By account name.
    pub accounts: BTreeMap<String, Account>,
    /// By number.
    pub queue: BTreeMap<u64, Arc<Envelope>>,
    /// When an account answered a sender last (automatically): by account, by sender.
    pub answered: BTreeMap<String, BTreeMap<String, i64>>,
    /// How many mailboxes and queue entries name a file.
    pub names: HashMap<FileId, u32>,
    /// The last UIDVALIDITY given.
    pub validity: u32,
    /// Files that lost their last name and can be removed once that is on disk.
    pub orphans: Vec<FileId>,
}

/// One account's mailboxes.
#[derive(Clone, Default)]
pub(crate) struct Account {
    pub mailboxes: BTreeMap<String, Mailbox>,
    pub subscriptions: BTreeSet<String>,
    /// Bytes.
    pub used: u64,
}

/// One mailbox.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// Its UIDVALIDITY.
    pub validity: u32,
    /// The UID that the next message gets.
    pub next: u32,
    /// The highest modification sequence (RFC 7162).
    pub modseq: u64,
    /// The first UID that no session has been told of as `\Recent`.
    pub recent: u32,
    /// Its SPECIAL-USE attribute.
    pub special: Option<String>,
    /// Its messages, by UID. Shared: a session may hold on to a state of them.
    pub messages: Arc<Vec<Message>>,
}

/// One message in one mailbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its UID.
    pub uid: u32,
    /// Its size in bytes.
    pub size: u32,
    /// Its file.
    pub file: FileId,
    /// When it came, seconds since 1970: INTERNALDATE.
    pub received: i64,
    /// The modification sequence of its last change.
    pub modseq: u64,
    /// Its flags.
    pub flags: Flags,
}

impl Mailbox {
    /// The message with that UID.
    pub fn by_uid(&self, uid: u32) -> Option<&Message> {
        let at = self.messages.binary_search_by_key(&uid, |message| message.uid).ok()?;
        self.messages.get(at)
    }
}

impl State {
    /// Whether an account has answered a sender within so many seconds.
    pub fn has_answered(&self, account: &str, sender: &str, now: i64, every_s: u64) -> bool {
        let last = self.answered.get(account).and_then(|senders| senders.get(sender));
        let every = i64::try_from(every_s).unwrap_or(i64::MAX);
        last.is_some_and(|last| now.saturating_sub(*last) < every)
    }

    fn gain(&mut self, file: FileId) {
        *self.names.entry(file).or_default() += 1;
    }

    fn lose(&mut self, file: FileId) {
        let left = self.names.get_mut(&file).map_or(0, |count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == 0 {
            self.names.remove(&file);
            self.orphans.push(file);
        }
    }

    fn mailbox(&mut self, account: &str, mailbox: &str) -> Result<&mut Mailbox, String> {
        self.accounts
            .get_mut(account)
            .and_then(|account| account.mailboxes.get_mut(mailbox))
            .ok_or_else(|| format!("no mailbox {mailbox} in {account}"))
    }

    /// Makes one recorded change. The same records give the same state; a record that cannot be
    /// applied says why.
    pub fn apply(&mut self, record: &Record) -> Result<(), String> {
        match record {
            Record::Account { account } => {
                self.accounts.entry(account.clone()).or_default();
            }
            Record::NoAccount { account } => {
                self.answered.remove(account);
                if let Some(gone) = self.accounts.remove(account) {
                    for message in gone.mailboxes.values().flat_map(|m| m.messages.iter()) {
                        self.lose(message.file);
                    }
                }
            }
            Record::Validity { last } => self.validity = *last,
            Record::Mailbox { account, mailbox, validity, next, modseq, recent, special } => {
                self.validity = self.validity.max(*validity);
                let account = self.accounts.entry(account.clone()).or_default();
                account.mailboxes.insert(
                    mailbox.clone(),
                    Mailbox {
                        validity: *validity,
                        next: *next,
                        modseq: *modseq,
                        recent: *recent,
                        special: special.clone(),
                        messages: Arc::default(),
                    },
                );
            }
            Record::NoMailbox { account, mailbox } => {
                let account = self.accounts.get_mut(account).ok_or("no such account")?;
                if let Some(gone) = account.mailboxes.remove(mailbox) {
                    let size: u64 = gone.messages.iter().map(|m| u64::from(m.size)).sum();
                    account.used = account.used.saturating_sub(size);
                    for message in gone.messages.iter() {
                        self.lose(message.file);
                    }
                }
            }
            Record::Rename { account, mailbox, to } => {
                let account = self.accounts.get_mut(account).ok_or("no such account")?;
                let moved = account.mailboxes.remove(mailbox).ok_or("no such mailbox")?;
                account.mailboxes.insert(to.clone(), moved);
            }
            Record::Subscribe { account, mailbox, on } => {
                let account = self.accounts.entry(account.clone()).or_default();
                if *on {
                    account.subscriptions.insert(mailbox.clone());
                } else {
                    account.subscriptions.remove(mailbox);
                }
            }
            Record::Add { account, mailbox, uid, file, size, received, flags, modseq } => {
                let found = self.mailbox(account, mailbox)?;
                if *uid < found.next && found.messages.last().is_some_and(|m| m.uid >= *uid) {
                    return Err(format!("UID {uid} of {mailbox} is used already"));
                }
                found.next = found.next.max(uid.saturating_add(1));
                found.modseq = found.modseq.max(*modseq);
                Arc::make_mut(&mut found.messages).push(Message {
                    uid: *uid,
                    size: *size,
                    file: *file,
                    received: *received,
                    modseq: *modseq,
                    flags: flags.clone(),
                });
                if let Some(account) = self.accounts.get_mut(account) {
                    account.used += u64::from(*size);
                }
                self.gain(*file);
            }
            Record::Flags { account, mailbox, modseq, set } => {
                let found = self.mailbox(account, mailbox)?;
                found.modseq = found.modseq.max(*modseq);
                let messages = Arc::make_mut(&mut found.messages);
                for (uid, flags) in set {
                    if let Ok(at) = messages.binary_search_by_key(uid, |m| m.uid) {
                        messages[at].flags = flags.clone();
                        messages[at].modseq = *modseq;
                    }
                }
            }
            Record::Expunge { account, mailbox, modseq, uids } => {
                let found = self.mailbox(account, mailbox)?;
                found.modseq = found.modseq.max(*modseq);
                let mut gone = Vec::new();
                Arc::make_mut(&mut found.messages).retain(|message| {
                    let keep = uids.binary_search(&message.uid).is_err();
                    if !keep {
                        gone.push((message.file, message.size));
                    }
                    keep
                });
                for (file, size) in gone {
                    if let Some(account) = self.accounts.get_mut(account) {
                        account.used = account.used.saturating_sub(u64::from(size));
                    }
                    self.lose(file);
                }
            }
            Record::Recent { account, mailbox, recent } => {
                self.mailbox(account, mailbox)?.recent = *recent;
            }
            Record::Answered { account, sender, time } => {
                let senders = self.answered.entry(account.clone()).or_default();
                if senders.len() >= MAX_ANSWERED
                    && !senders.contains_key(sender)
                    && let Some(oldest) = senders.iter().min_by_key(|(_, time)| **time)
                {
                    let oldest = oldest.0.clone();
                    senders.remove(&oldest);
                }
                senders.insert(sender.clone(), *time);
            }
            Record::Queue(envelope) => {
                let (id, file) = (envelope.id, envelope.file);
                self.gain(file);
                if let Some(old) = self.queue.insert(id, Arc::new((**envelope).clone())) {
                    self.lose(old.file);
                }
            }
            Record::NoQueue { id } => {
                if let Some(old) = self.queue.remove(id) {
                    self.lose(old.file);
                }
            }
        }
        Ok(())
    }

    /// Records that make this state out of nothing.
    pub fn records(&self) -> Vec<Record> {
        let mut records = vec![Record::Validity { last: self.validity }];
        for (account, kept) in &self.accounts {
            records.push(Record::Account { account: account.clone() });
            for (mailbox, kept) in &kept.mailboxes {
                records.push(Record::Mailbox {
                    account: account.clone(),
                    mailbox: mailbox.clone(),
                    validity: kept.validity,
                    next: kept.next,
                    modseq: kept.modseq,
                    recent: kept.recent,
                    special: kept.special.clone(),
                });
                records.extend(kept.messages.iter().map(|message| Record::Add {
                    account: account.clone(),
                    mailbox: mailbox.clone(),
                    uid: message.uid,
                    file: message.file,
                    size: message.size,
                    received: message.received,
                    flags: message.flags.clone(),
                    modseq: message.modseq,
                }));
            }
            records.extend(kept.subscriptions.iter().map(|mailbox| Record::Subscribe {
                account: account.clone(),
                mailbox: mailbox.clone(),
                on: true,
            }));
        }
        for (account, senders) in &self.answered {
            records.extend(senders.iter().map(|(sender, time)| Record::Answered {
                account: account.clone(),
                sender: sender.clone(),
                time: *time,
            }));
        }
        records.extend(self.queue.values().map(|e| Record::Queue(Box::new((**e).clone()))));
        records
    }
}
