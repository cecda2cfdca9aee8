//! The commands on mailboxes as a whole: SELECT, CREATE, LIST, STATUS, APPEND, QUOTA.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::store::{Body, Change, Flags, Listed, Mailbox, Outcome, SEPARATOR, canonical};

use super::command::{List, StatusItem};
use super::grammar::astring;
use super::list;
use super::output::Output;
use super::session::{Answer, No, Session};
use super::view::View;

/// SPECIAL-USE attributes that CREATE takes (RFC 6154): those of mailboxes that hold messages.
/// `\All` and `\Flagged` are views over others, which this server has not.
const SPECIAL: [&str; 5] = ["\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"];

/// A mailbox's name as it travels, quoted.
pub(super) fn quoted(name: &str) -> String {
    let encoded = astring(&mutf7::encode(name));
    if encoded.starts_with('"') { encoded } else { format!("\"{encoded}\"") }
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl Session {
    /// Takes the recent messages of a mailbox for this session.
    pub(super) async fn claim(&self, account: &str, mailbox: &str) -> BTreeSet<u32> {
        // Mostly there is nothing to take, and so nothing to wait for.
        if self.server.store.with_mailbox(account, mailbox, |m| m.recent == m.next) == Some(true) {
            return BTreeSet::new();
        }
        let change = Change::ClaimRecent { account: account.into(), mailbox: mailbox.into() };
        let Ok(outcomes) = self.server.store.commit(vec![change]).await else {
            return BTreeSet::new();
        };
        let Some(Outcome::Recent { from }) = outcomes.first() else { return BTreeSet::new() };
        let recent = |m: &Mailbox| {
            let end = m.recent;
            m.messages.iter().map(|m| m.uid).filter(|uid| (*from..end).contains(uid)).collect()
        };
        self.server.store.with_mailbox(account, mailbox, recent).unwrap_or_default()
    }

    pub(super) async fn select(
        &mut self,
        account: &str,
        mailbox: String,
        examine: bool,
        condstore: bool,
        out: &mut Output,
    ) -> Answer {
        // A SELECT that fails leaves no mailbox open (RFC 3501, 6.3.1).
        if self.view.take().is_some() {
            out.line("* OK [CLOSED] what follows is about the other mailbox");
        }
        self.condstore |= condstore;
        let store = &self.server.store;
        let exists = store.with_mailbox(account, &mailbox, |m| m.recent).is_some();
        if !exists {
            return Err(No::No(format!("[NONEXISTENT] there is no mailbox `{mailbox}`")));
        }
        let claimed = if examine { BTreeSet::new() } else { self.claim(account, &mailbox).await };
        let looked = store.with_mailbox(account, &mailbox, |m| {
            let mut recent = claimed;
            if examine {
                recent = m.messages.iter().map(|m| m.uid).filter(|uid| *uid >= m.recent).collect();
            }
            let unseen = m.messages.iter().position(|m| !m.flags.has(Flags::SEEN));
            (View::new(mailbox.clone(), examine, m, recent), unseen, m.next, m.modseq)
        });
        let Some((view, unseen, next, modseq)) = looked else {
            return Err(No::No(format!("[NONEXISTENT] there is no mailbox `{mailbox}`")));
        };
        out.line(format!("* FLAGS ({})", view.flags()));
        out.line(format!("* {} EXISTS", view.count()));
        out.line(format!("* {} RECENT", view.recent.len()));
        if let Some(at) = unseen {
            out.line(format!("* OK [UNSEEN {}] the first message not seen", at + 1));
        }
        let permanent = view.permanent_flags();
        out.line(format!("* OK [PERMANENTFLAGS ({permanent})] flags that are kept"));
        out.line(format!("* OK [UIDVALIDITY {}] UIDs are valid", view.validity));
        out.line(format!("* OK [UIDNEXT {next}] the next UID"));
        out.line(format!("* OK [HIGHESTMODSEQ {modseq}] the last change"));
        self.view = Some(view);
        Ok(if examine { "[READ-ONLY] EXAMINE done" } else { "[READ-WRITE] SELECT done" }.into())
    }

    pub(super) async fn create(&self, account: &str, mailbox: &str, special: &[String]) -> Answer {
        // A trailing separator only says that names will lie below (RFC 3501, 6.3.3).
        let mailbox = mailbox.trim_end_matches(SEPARATOR);
        let special = match special {
            [] => None,
            [name] => match SPECIAL.iter().find(|known| known.eq_ignore_ascii_case(name)) {
                Some(known) => Some((*known).to_owned()),
                None => {
                    return Err(No::No(format!("[USEATTR] no mailbox here can be {name}")));
                }
            },
            _ => return Err(No::No("[USEATTR] a mailbox has one use here".into())),
        };
        let mut changes = self.parents(account, mailbox);
        changes.push(Change::Create { account: account.into(), mailbox: mailbox.into(), special });
        self.server.store.commit(changes).await?;
        Ok("CREATE done".into())
    }

    /// What makes the mailboxes above a name that do not exist (RFC 3501, 6.3.3 and 6.3.5).
    fn parents(&self, account: &str, mailbox: &str) -> Vec<Change> {
        if mailbox.split(SEPARATOR).any(str::is_empty) {
            // The name will be refused.
            return Vec::new();
        }
        let existing: BTreeSet<String> =
            self.server.store.mailboxes(account).into_iter().map(|one| one.name).collect();
        let above = mailbox.match_indices(SEPARATOR).map(|(at, _)| canonical(&mailbox[..at]));
        above
            .filter(|parent| !existing.contains(parent))
            .map(|mailbox| Change::Create { account: account.into(), mailbox, special: None })
            .collect()
    }

    pub(super) async fn delete(&mut self, account: &str, mailbox: String) -> Answer {
        self.server
            .store
            .commit(vec![Change::Delete { account: account.into(), mailbox: mailbox.clone() }])
            .await?;
        Ok("DELETE done".into())
    }

    pub(super) async fn rename(&self, account: &str, from: String, to: &str) -> Answer {
        let to = canonical(to.trim_end_matches(SEPARATOR));
        let mut changes = Vec::new();
        if !to.starts_with(&format!("{from}{SEPARATOR}")) {
            changes = self.parents(account, &to);
        }
        changes.push(Change::Rename { account: account.into(), mailbox: from, to });
        self.server.store.commit(changes).await?;
        Ok("RENAME done".into())
    }

    /// SUBSCRIBE and UNSUBSCRIBE. A name must exist to be subscribed (RFC 3501, 6.3.6: MAY), be it
    /// only above others, so that a slip of the pen is told; it stays subscribed when its mailbox
    /// goes, and can be unsubscribed at any time (6.3.6, 6.3.9).
    pub(super) async fn subscribe(&self, account: String, mailbox: String, on: bool) -> Answer {
        let store = &self.server.store;
        let above = format!("{mailbox}{SEPARATOR}");
        let known = |one: &Listed| one.name == mailbox || one.name.starts_with(&above);
        if on
            && !store.mailboxes(&account).iter().any(known)
            && !store.subscriptions(&account).contains(&mailbox)
        {
            return Err(No::No(format!("[NONEXISTENT] there is no mailbox `{mailbox}`")));
        }
        store.commit(vec![Change::Subscribe { account, mailbox, on }]).await?;
        Ok(if on { "SUBSCRIBE done" } else { "UNSUBSCRIBE done" }.into())
    }

    pub(super) fn list(&mut self, account: &str, request: &List, out: &mut Output) -> Answer {
        let mailboxes = self.server.store.mailboxes(account);
        let subscriptions = self.server.store.subscriptions(account);
        for row in list::rows(request, &mailboxes, &subscriptions) {
            out.line(format!("* {}", row.line));
            if let Some(items) = &request.return_status
                && row.exists
            {
                // A mailbox that has gone meanwhile has no status.
                let _ = self.status(account, &row.name, items, out);
            }
        }
        Ok(if request.lsub { "LSUB done" } else { "LIST done" }.into())
    }

    pub(super) fn status(
        &mut self,
        account: &str,
        mailbox: &str,
        items: &[StatusItem],
        out: &mut Output,
    ) -> Answer {
        self.condstore |= items.contains(&StatusItem::HighestModSeq);
        let limit = self.server.directory.limits().message;
        let tell = |m: &Mailbox| {
            let one = |item: &StatusItem| match item {
                StatusItem::Messages => format!("MESSAGES {}", m.messages.len()),
                StatusItem::Recent => {
                    let recent = m.messages.iter().filter(|one| one.uid >= m.recent).count();
                    format!("RECENT {recent}")
                }
                StatusItem::UidNext => format!("UIDNEXT {}", m.next),
                StatusItem::UidValidity => format!("UIDVALIDITY {}", m.validity),
                StatusItem::Unseen => {
                    let unseen = m.messages.iter().filter(|m| !m.flags.has(Flags::SEEN)).count();
                    format!("UNSEEN {unseen}")
                }
                StatusItem::AppendLimit => format!("APPENDLIMIT {limit}"),
                StatusItem::Deleted => {
                    let deleted = m.messages.iter().filter(|m| m.flags.has(Flags::DELETED));
                    format!("DELETED {}", deleted.count())
                }
                StatusItem::DeletedStorage => {
                    let deleted = m.messages.iter().filter(|m| m.flags.has(Flags::DELETED));
                    let size: u64 = deleted.map(|m| u64::from(m.size)).sum();
                    format!("DELETED-STORAGE {size}")
                }
                StatusItem::HighestModSeq => format!("HIGHESTMODSEQ {}", m.modseq),
                StatusItem::Size => {
                    let size: u64 = m.messages.iter().map(|m| u64::from(m.size)).sum();
                    format!("SIZE {size}")
                }
            };
            items.iter().map(one).collect::<Vec<_>>().join(" ")
        };
        match self.server.store.with_mailbox(account, mailbox, tell) {
            Some(text) => {
                out.line(format!("* STATUS {} ({text})", quoted(mailbox)));
                Ok("STATUS done".into())
            }
            None => Err(No::No(format!("[NONEXISTENT] there is no mailbox `{mailbox}`"))),
        }
    }

    pub(super) async fn append(
        &mut self,
        account: &str,
        mailbox: String,
        flags: &[String],
        date: Option<i64>,
        message: Vec<u8>,
    ) -> Answer {
        let store = &self.server.store;
        if store.with_mailbox(account, &mailbox, |_| ()).is_none() {
            return Err(No::No(format!("[TRYCREATE] there is no mailbox `{mailbox}`")));
        }
        let quota = Some(self.server.directory.quota(account));
        let spooled = store.spool(Vec::new(), Body::Memory(message)).await?;
        let flags = Flags::from_names(flags);
        let received = date.unwrap_or_else(now);
        let (validity, uid) =
            store.append(account, &mailbox, spooled, flags, received, quota).await?;
        Ok(format!("[APPENDUID {validity} {uid}] APPEND done"))
    }

    pub(super) fn quota(&self, account: &str, root: &str, out: &mut Output) -> Answer {
        if !root.is_empty() {
            return Err(No::No("[NONEXISTENT] there is no such quota root; it is \"\"".into()));
        }
        let used = self.server.store.usage(account).div_ceil(1024);
        let limit = self.server.directory.quota(account) / 1024;
        out.line(format!("* QUOTA \"\" (STORAGE {used} {limit})"));
        Ok("GETQUOTA done".into())
    }

    pub(super) fn quota_root(&self, account: &str, mailbox: &str, out: &mut Output) -> Answer {
        // The mailbox need not exist: a client asks before it makes one (RFC 9208, 4.1.3).
        out.line(format!("* QUOTAROOT {} \"\"", quoted(mailbox)));
        self.quota(account, "", out)?;
        Ok("GETQUOTAROOT done".into())
    }
}
