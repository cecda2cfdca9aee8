//! How what is asked of the store becomes records.

use super::change::{Change, FlagChange, Outcome};
use super::flags::Flags;
use super::model::{FileId, Mailbox, State};
use super::record::Record;
use super::{Error, FOLDERS, SEPARATOR, canonical};

/// Mailboxes of one account at most.
const MAX_MAILBOXES: usize = 2000;

/// Works out one change on `state`, applies it, and appends its records.
pub(crate) fn plan(
    state: &mut State,
    change: Change,
    now: u32,
    records: &mut Vec<Record>,
) -> Result<Outcome, Error> {
    let mut planner = Planner { state, now, records };
    planner.change(change)
}

struct Planner<'a> {
    state: &'a mut State,
    now: u32,
    records: &'a mut Vec<Record>,
}

impl Planner<'_> {
    fn put(&mut self, record: Record) -> Result<(), Error> {
        self.state.apply(&record).map_err(|reason| Error::Disk { folder: "".into(), reason })?;
        self.records.push(record);
        Ok(())
    }

    fn mailbox(&self, account: &str, mailbox: &str) -> Result<&Mailbox, Error> {
        self.state
            .accounts
            .get(account)
            .ok_or_else(|| Error::NoAccount(account.to_owned()))?
            .mailboxes
            .get(mailbox)
            .ok_or_else(|| Error::NoMailbox(mailbox.to_owned()))
    }

    fn account(&mut self, account: &str) -> Result<(), Error> {
        if self.state.accounts.contains_key(account) {
            return Ok(());
        }
        self.put(Record::Account { account: account.to_owned() })?;
        for (name, special) in FOLDERS {
            self.make(account, name, special.map(str::to_owned))?;
            let (account, mailbox) = (account.to_owned(), name.to_owned());
            self.put(Record::Subscribe { account, mailbox, on: true })?;
        }
        Ok(())
    }

    fn make(&mut self, account: &str, mailbox: &str, special: Option<String>) -> Result<(), Error> {
        let count = self.state.accounts.get(account).map_or(0, |a| a.mailboxes.len());
        if count >= MAX_MAILBOXES {
            return Err(Error::TooMany("mailboxes"));
        }
        let validity = self.now.max(self.state.validity.saturating_add(1));
        self.put(Record::Mailbox {
            account: account.to_owned(),
            mailbox: mailbox.to_owned(),
            validity,
            next: 1,
            modseq: 1,
            recent: 1,
            special,
        })
    }

    fn change(&mut self, change: Change) -> Result<Outcome, Error> {
        match change {
            Change::Account { account } => {
                self.account(&account)?;
                Ok(Outcome::Done)
            }
            Change::RemoveAccount { account } => {
                self.put(Record::NoAccount { account })?;
                Ok(Outcome::Done)
            }
            Change::Same { account, mailbox, validity } => {
                let mailbox = canonical(&mailbox);
                if self.mailbox(&account, &mailbox)?.validity != validity {
                    return Err(Error::NoMailbox(mailbox));
                }
                Ok(Outcome::Done)
            }
            Change::Create { account, mailbox, special } => {
                self.account(&account)?;
                let mailbox = checked(&mailbox)?;
                if self.mailbox(&account, &mailbox).is_ok() {
                    return Err(Error::Exists(mailbox));
                }
                self.make(&account, &mailbox, special)?;
                Ok(Outcome::Done)
            }
            Change::Delete { account, mailbox } => {
                let mailbox = canonical(&mailbox);
                if mailbox == "INBOX" {
                    return Err(Error::Inbox);
                }
                self.mailbox(&account, &mailbox)?;
                self.put(Record::NoMailbox { account, mailbox })?;
                Ok(Outcome::Done)
            }
            Change::Rename { account, mailbox, to } => self.rename(&account, &mailbox, &to),
            Change::Subscribe { account, mailbox, on } => {
                let mailbox = canonical(&mailbox);
                let held = self.state.accounts.get(&account).map_or(0, |a| a.subscriptions.len());
                if on && held >= MAX_MAILBOXES {
                    return Err(Error::TooMany("subscriptions"));
                }
                self.put(Record::Subscribe { account, mailbox, on })?;
                Ok(Outcome::Done)
            }
            Change::Add { account, mailbox, file, size, received, flags, quota } => {
                self.account(&account)?;
                let mailbox = canonical(&mailbox);
                self.quota(&account, u64::from(size), quota)?;
                let (validity, uid) = self.add(&account, &mailbox, file, size, received, flags)?;
                Ok(Outcome::Added { validity, uid })
            }
            Change::Copy { account, from, uids, to, quota } => {
                self.copy(&account, &canonical(&from), &uids, &canonical(&to), Some(quota))
            }
            Change::Move { account, from, uids, to } => {
                let (from, to) = (canonical(&from), canonical(&to));
                let outcome = self.copy(&account, &from, &uids, &to, None)?;
                if let Outcome::Copied { uids, .. } = &outcome {
                    let mut gone: Vec<u32> = uids.iter().map(|(old, _)| *old).collect();
                    gone.sort_unstable();
                    self.expunge(&account, &from, gone)?;
                }
                Ok(outcome)
            }
            Change::Flags { account, mailbox, uids, how, flags, unchanged_since } => {
                self.flags(account, canonical(&mailbox), &uids, how, &flags, unchanged_since)
            }
            Change::Expunge { account, mailbox, uids, deleted_only } => {
                let mailbox = canonical(&mailbox);
                let wanted = uids.map(|mut uids| {
                    uids.sort_unstable();
                    uids
                });
                let found = self.mailbox(&account, &mailbox)?;
                let gone: Vec<u32> = found
                    .messages
                    .iter()
                    .filter(|m| !deleted_only || m.flags.has(Flags::DELETED))
                    .map(|m| m.uid)
                    .filter(|uid| {
                        wanted.as_ref().is_none_or(|wanted| wanted.binary_search(uid).is_ok())
                    })
                    .collect();
                let modseq = self.expunge(&account, &mailbox, gone.clone())?;
                Ok(Outcome::Expunged { uids: gone, modseq })
            }
            Change::ClaimRecent { account, mailbox } => {
                let mailbox = canonical(&mailbox);
                let found = self.mailbox(&account, &mailbox)?;
                let (from, next) = (found.recent, found.next);
                if from != next {
                    self.put(Record::Recent { account, mailbox, recent: next })?;
                }
                Ok(Outcome::Recent { from })
            }
            Change::Answer { account, sender, now, every_s } => {
                if self.state.has_answered(&account, &sender, now, every_s) {
                    return Err(Error::Answered);
                }
                self.put(Record::Answered { account, sender, time: now })?;
                Ok(Outcome::Done)
            }
            Change::Queue(envelope) => {
                self.put(Record::Queue(envelope))?;
                Ok(Outcome::Done)
            }
            Change::Unqueue { id } => {
                self.put(Record::NoQueue { id })?;
                Ok(Outcome::Done)
            }
        }
    }

    fn quota(&self, account: &str, more: u64, quota: Option<u64>) -> Result<(), Error> {
        let used = self.state.accounts.get(account).map_or(0, |a| a.used);
        match quota {
            Some(quota) if used + more > quota => {
                Err(Error::OverQuota { account: account.to_owned(), used, quota })
            }
            _ => Ok(()),
        }
    }

    fn add(
        &mut self,
        account: &str,
        mailbox: &str,
        file: FileId,
        size: u32,
        received: i64,
        flags: Flags,
    ) -> Result<(u32, u32), Error> {
        let found = self.mailbox(account, mailbox)?;
        let (uid, validity, modseq) = (found.next, found.validity, found.modseq + 1);
        if uid == u32::MAX {
            return Err(Error::TooMany("UIDs"));
        }
        self.put(Record::Add {
            account: account.to_owned(),
            mailbox: mailbox.to_owned(),
            uid,
            file,
            size,
            received,
            flags,
            modseq,
        })?;
        Ok((validity, uid))
    }

    fn copy(
        &mut self,
        account: &str,
        from: &str,
        uids: &[u32],
        to: &str,
        quota: Option<Option<u64>>,
    ) -> Result<Outcome, Error> {
        let source = self.mailbox(account, from)?.messages.clone();
        let validity = self.mailbox(account, to)?.validity;
        let mut wanted = uids.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let chosen: Vec<_> =
            source.iter().filter(|m| wanted.binary_search(&m.uid).is_ok()).collect();
        if let Some(quota) = quota {
            self.quota(account, chosen.iter().map(|m| u64::from(m.size)).sum(), quota)?;
        }
        let mut pairs = Vec::with_capacity(chosen.len());
        for m in chosen {
            let (_, uid) = self.add(account, to, m.file, m.size, m.received, m.flags.clone())?;
            pairs.push((m.uid, uid));
        }
        Ok(Outcome::Copied { validity, uids: pairs })
    }

    fn expunge(&mut self, account: &str, mailbox: &str, uids: Vec<u32>) -> Result<u64, Error> {
        let found = self.mailbox(account, mailbox)?;
        if uids.is_empty() {
            return Ok(found.modseq);
        }
        let modseq = found.modseq + 1;
        let (account, mailbox) = (account.to_owned(), mailbox.to_owned());
        self.put(Record::Expunge { account, mailbox, modseq, uids })?;
        Ok(modseq)
    }

    fn flags(
        &mut self,
        account: String,
        mailbox: String,
        uids: &[u32],
        how: FlagChange,
        flags: &Flags,
        unchanged_since: Option<u64>,
    ) -> Result<Outcome, Error> {
        let found = self.mailbox(&account, &mailbox)?;
        let (mut set, mut modified, mut before) = (Vec::new(), Vec::new(), Vec::new());
        for message in uids.iter().filter_map(|uid| found.by_uid(*uid)) {
            if unchanged_since.is_some_and(|since| message.modseq > since) {
                modified.push(message.uid);
                continue;
            }
            let changed = match how {
                FlagChange::Replace => flags.clone(),
                FlagChange::Add => message.flags.union(flags),
                FlagChange::Remove => message.flags.without(flags),
            };
            if changed != message.flags {
                before.push((message.uid, message.modseq));
                set.push((message.uid, changed));
            }
        }
        if set.is_empty() {
            return Ok(Outcome::Flagged { modseq: 0, modified, changed: before });
        }
        let modseq = found.modseq + 1;
        self.put(Record::Flags { account, mailbox, modseq, set })?;
        Ok(Outcome::Flagged { modseq, modified, changed: before })
    }

    fn rename(&mut self, account: &str, mailbox: &str, to: &str) -> Result<Outcome, Error> {
        let (mailbox, to) = (canonical(mailbox), checked(to)?);
        let source = self.mailbox(account, &mailbox).map(|m| m.messages.clone());
        if self.mailbox(account, &to).is_ok() {
            return Err(Error::Exists(to));
        }
        if mailbox == "INBOX" {
            self.make(account, &to, None)?;
            let uids: Vec<u32> = source?.iter().map(|m| m.uid).collect();
            self.copy(account, &mailbox, &uids, &to, None)?;
            self.expunge(account, &mailbox, uids)?;
            return Ok(Outcome::Done);
        }
        let below = format!("{mailbox}{SEPARATOR}");
        if to.starts_with(&below) {
            return Err(Error::BadName(to));
        }
        let names: Vec<String> = self
            .state
            .accounts
            .get(account)
            .map(|a| a.mailboxes.keys().filter(|n| n.starts_with(&below)).cloned().collect())
            .unwrap_or_default();
        if names.is_empty() {
            source.as_ref().map_err(Error::clone)?;
        }
        let mut moves = Vec::new();
        if source.is_ok() {
            moves.push((mailbox.clone(), to.clone()));
        }
        moves.extend(names.into_iter().map(|name| {
            let target = format!("{to}{SEPARATOR}{}", &name[below.len()..]);
            (name, target)
        }));
        if let Some((_, taken)) = moves.iter().find(|(_, to)| self.mailbox(account, to).is_ok()) {
            return Err(Error::Exists(taken.clone()));
        }
        for (mailbox, to) in moves {
            self.put(Record::Rename { account: account.to_owned(), mailbox, to })?;
        }
        Ok(Outcome::Done)
    }
}

/// A name that a mailbox may have.
fn checked(name: &str) -> Result<String, Error> {
    let name = canonical(name.strip_suffix(SEPARATOR).unwrap_or(name));
    let good = (1..=255).contains(&name.len())
        && !name.chars().any(char::is_control)
        && name.split(SEPARATOR).all(|level| !level.is_empty());
    if good { Ok(name) } else { Err(Error::BadName(name)) }
}
