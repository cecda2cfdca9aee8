//! The commands on mailboxes as a whole: SELECT, CREATE, LIST, STATUS, APPEND, QUOTA.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::store::{Body, Change, Flags, Mailbox, Outcome, SEPARATOR};

use super::command::{List, StatusItem};
use super::grammar::astring;
use super::list;
use super::output::Output;
use super::session::{Answer, No, Session};
use super::utf7;
use super::view::View;

/// SPECIAL-USE attributes that CREATE takes (RFC 6154).
const SPECIAL: [&str; 7] =
    ["\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash"];

/// A mailbox's name as it travels, quoted.
pub(super) fn quoted(name: &str) -> String {
    let encoded = astring(&utf7::encode(name));
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
        self.view = None;
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
            let keywords: BTreeSet<String> =
                m.messages.iter().flat_map(|m| m.flags.keywords().iter().cloned()).collect();
            let unseen = m.messages.iter().position(|m| !m.flags.has(Flags::SEEN));
            (View::new(mailbox.clone(), examine, m, recent), keywords, unseen, m.next, m.modseq)
        });
        let Some((view, keywords, unseen, next, modseq)) = looked else {
            return Err(No::No(format!("[NONEXISTENT] there is no mailbox `{mailbox}`")));
        };
        let keywords: String = keywords.iter().map(|keyword| format!(" {keyword}")).collect();
        out.line(format!("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft{keywords})"));
        out.line(format!("* {} EXISTS", view.count()));
        out.line(format!("* {} RECENT", view.recent.len()));
        if let Some(at) = unseen {
            out.line(format!("* OK [UNSEEN {}] the first message not seen", at + 1));
        }
        let permanent = if examine {
            String::new()
        } else {
            format!("\\Answered \\Flagged \\Deleted \\Seen \\Draft{keywords} \\*")
        };
        out.line(format!("* OK [PERMANENTFLAGS ({permanent})] flags that are kept"));
        out.line(format!("* OK [UIDVALIDITY {}] UIDs are valid", view.validity));
        out.line(format!("* OK [UIDNEXT {next}] the next UID"));
        out.line(format!("* OK [HIGHESTMODSEQ {modseq}] the last change"));
        self.view = Some(view);
        Ok(if examine { "[READ-ONLY] EXAMINE done" } else { "[READ-WRITE] SELECT done" }.into())
    }

    pub(super) async fn create(
        &self,
        account: &str,
        mailbox: &str,
        special: Option<String>,
    ) -> Answer {
        // A trailing separator only says that names will lie below (RFC 3501, 6.3.3).
        let mailbox = mailbox.trim_end_matches(SEPARATOR);
        let special = match special {
            Some(name) => match SPECIAL.iter().find(|known| known.eq_ignore_ascii_case(&name)) {
                Some(known) => Some((*known).to_owned()),
                None => return Err(No::No(format!("[USEATTR] {name} is not a use of mailboxes"))),
            },
            None => None,
        };
        let existing: BTreeSet<String> =
            self.server.store.mailboxes(account).into_iter().map(|one| one.name).collect();
        let mut changes = Vec::new();
        for (at, _) in mailbox.match_indices(SEPARATOR) {
            let parent = crate::store::canonical(&mailbox[..at]);
            if !parent.is_empty() && !existing.contains(&parent) {
                changes.push(Change::Create {
                    account: account.into(),
                    mailbox: parent,
                    special: None,
                });
            }
        }
        changes.push(Change::Create { account: account.into(), mailbox: mailbox.into(), special });
        self.server.store.commit(changes).await?;
        Ok("CREATE done".into())
    }

    pub(super) async fn delete(&mut self, account: &str, mailbox: String) -> Answer {
        self.server
            .store
            .commit(vec![Change::Delete { account: account.into(), mailbox: mailbox.clone() }])
            .await?;
        Ok("DELETE done".into())
    }

    pub(super) async fn rename(&mut self, account: &str, from: String, to: &str) -> Answer {
        let to = to.trim_end_matches(SEPARATOR).to_owned();
        let change =
            Change::Rename { account: account.into(), mailbox: from.clone(), to: to.clone() };
        self.server.store.commit(vec![change]).await?;
        // The open mailbox goes by its new name; of INBOX only the messages move.
        if from != "INBOX"
            && let Some(view) = &mut self.view
        {
            if view.mailbox == from {
                view.mailbox = to;
            } else if let Some(rest) = view.mailbox.strip_prefix(&format!("{from}{SEPARATOR}")) {
                view.mailbox = format!("{to}{SEPARATOR}{rest}");
            }
        }
        Ok("RENAME done".into())
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
        if self.server.store.with_mailbox(account, mailbox, |_| ()).is_none() {
            return Err(No::No(format!("[NONEXISTENT] there is no mailbox `{mailbox}`")));
        }
        out.line(format!("* QUOTAROOT {} \"\"", quoted(mailbox)));
        self.quota(account, "", out)?;
        Ok("GETQUOTAROOT done".into())
    }
}
