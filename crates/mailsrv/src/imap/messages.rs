//! The commands on messages of the open mailbox, but for FETCH.

use std::sync::Arc;

use crate::store::{Change, Error, FlagChange, Flags, Mailbox, Outcome};

use super::command::{Command, Set, Store};
use super::finding::known_charset;
use super::output::Output;
use super::session::{Answer, No, Session};
use super::view::View;

impl Session {
    /// Goes on under the open mailbox's new name where it was renamed (RFC 2180, 3.4). Its
    /// UIDVALIDITY tells which one it is.
    pub(super) fn follow(&mut self) {
        let (Some(account), Some(view)) = (&self.account, &mut self.view) else { return };
        let store = &self.server.store;
        let now = store.with_mailbox(account, &view.mailbox, |m| m.validity);
        if now != Some(view.validity)
            && let Some(name) = store.name_of(account, view.validity)
        {
            view.mailbox = name;
        }
    }

    /// Tells the client what changed in its mailbox.
    pub async fn news(&mut self, may_expunge: bool, out: &mut Output) {
        self.follow();
        let Some(account) = self.account.clone() else { return };
        let Some(view) = &self.view else { return };
        let name = view.mailbox.clone();
        let last = view.last_uid();
        let validity = view.validity;
        let look = |m: &Mailbox| {
            let fresh = m.messages.last().is_some_and(|message| message.uid > last);
            (m.messages.clone(), m.validity, fresh, m.recent)
        };
        let looked = self.server.store.with_mailbox(&account, &name, look);
        // A mailbox that was deleted (and made again) has none of the messages of this session.
        let (messages, fresh, first_recent) = match looked {
            Some((messages, now, fresh, recent)) if now == validity => (messages, fresh, recent),
            _ => (Arc::default(), false, 0),
        };
        let read_only = view.read_only;
        let recent: Vec<u32> = if !fresh {
            Vec::new()
        } else if read_only {
            let uids = messages.iter().map(|m| m.uid);
            uids.filter(|uid| *uid > last && *uid >= first_recent).collect()
        } else {
            self.claim(&account, &name).await.into_iter().collect()
        };
        let condstore = self.condstore;
        let Some(view) = &mut self.view else { return };
        let news = view.sync(messages, &recent, may_expunge);
        for number in news.expunged {
            out.line(format!("* {number} EXPUNGE"));
        }
        if let Some(count) = news.exists {
            out.line(format!("* {count} EXISTS"));
        }
        if let Some(count) = news.recent {
            out.line(format!("* {count} RECENT"));
        }
        for number in news.changed {
            let Some(uid) = view.uid(number) else { continue };
            let Some(message) = view.message(uid).cloned() else { continue };
            tell_keywords(view, &message.flags, out);
            let flags = flag_list(&message.flags, view.recent.contains(&uid));
            let modseq =
                if condstore { format!(" MODSEQ ({})", message.modseq) } else { String::new() };
            out.line(format!("* {number} FETCH (UID {uid} FLAGS ({flags}){modseq})"));
        }
    }

    /// Tells where the open mailbox stands, once the client has shown by its command that it knows
    /// of modification sequences (RFC 7162, 3.1). To be called before [`Session::news`], which then
    /// tells every change up to there.
    pub(super) fn tell_modseq(&self, knew: bool, out: &mut Output) {
        let (Some(account), Some(view)) = (&self.account, &self.view) else { return };
        if knew || !self.condstore {
            return;
        }
        let look = |m: &Mailbox| (m.validity == view.validity).then_some(m.modseq);
        let highest = self.server.store.with_mailbox(account, &view.mailbox, look).flatten();
        if let Some(highest) = highest {
            out.line(format!("* OK [HIGHESTMODSEQ {highest}] the last change"));
        }
    }

    pub(super) async fn in_mailbox(
        &mut self,
        account: &str,
        tag: &str,
        command: Command,
        out: &mut Output,
    ) -> Answer {
        match command {
            Command::Check => Ok("CHECK done".into()),
            Command::Close => {
                let Some(view) = self.view.take() else { return Ok("CLOSE done".into()) };
                if !view.read_only {
                    // Nothing is left to be removed of a mailbox that is gone.
                    match self.expunge_in(account, &view, None).await {
                        Ok(()) | Err(Error::NoMailbox(_)) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok("CLOSE done".into())
            }
            Command::Unselect => {
                self.view = None;
                Ok("UNSELECT done".into())
            }
            Command::Expunge(set) => {
                let Some(view) = &self.view else { return Ok("EXPUNGE done".into()) };
                writable(view.read_only)?;
                let uids = set.map(|set| uids(&view.resolve(&set, true).unwrap_or_default()));
                self.expunge_in(account, view, uids).await?;
                Ok("EXPUNGE done".into())
            }
            Command::Store(store) => self.store(account, store, out).await,
            Command::Copy { uid, set, to, and_remove } => {
                self.copy(account, uid, &set, to, and_remove, out).await
            }
            Command::Search { uid, results, charset, key } => {
                known_charset(charset.as_deref())?;
                self.search(tag, uid, results, &key, out).await
            }
            Command::Sort { uid, by, charset, key } => {
                known_charset(Some(&charset))?;
                self.sort(uid, &by, &key, out).await
            }
            Command::Thread { uid, algorithm, charset, key } => {
                known_charset(Some(&charset))?;
                if algorithm != "REFERENCES" {
                    return Err(No::Bad("the only algorithm here is REFERENCES".into()));
                }
                self.thread(uid, &key, out).await
            }
            _ => Err(No::Bad("this command does not go here".into())),
        }
    }

    async fn expunge_in(
        &self,
        account: &str,
        view: &View,
        uids: Option<Vec<u32>>,
    ) -> Result<(), Error> {
        let change = Change::Expunge {
            account: account.into(),
            mailbox: view.mailbox.clone(),
            uids,
            deleted_only: true,
        };
        self.server.store.commit(vec![view.same(account), change]).await.map(drop)
    }

    /// Looks at the mailbox again, without telling the client anything yet.
    pub(super) fn refresh(&mut self) {
        let (Some(account), Some(view)) = (&self.account, &mut self.view) else { return };
        let look = |m: &Mailbox| (m.validity, m.messages.clone());
        let looked = self.server.store.with_mailbox(account, &view.mailbox, look);
        match looked {
            Some((validity, messages)) if validity == view.validity => view.look(messages),
            _ => view.look(Arc::default()),
        }
    }

    async fn store(&mut self, account: &str, request: Store, out: &mut Output) -> Answer {
        self.condstore |= request.unchanged_since.is_some();
        let Some(view) = &self.view else { return Ok("STORE done".into()) };
        writable(view.read_only)?;
        let messages = view.resolve(&request.set, request.uid).ok_or_else(no_such_number)?;
        if let Some(name) = request.flags.iter().find(|name| unknown(name)) {
            return Err(if name.starts_with('\\') {
                No::Bad(format!("{name} is not a flag that can be set"))
            } else {
                No::No("[LIMIT] a keyword has at most 255 bytes".into())
            });
        }
        let flags = Flags::from_names(&request.flags);
        let change = Change::Flags {
            account: account.into(),
            mailbox: view.mailbox.clone(),
            uids: uids(&messages),
            how: request.change,
            flags,
            unchanged_since: request.unchanged_since,
        };
        let outcomes = match self.server.store.commit(vec![view.same(account), change]).await {
            Ok(outcomes) => outcomes,
            // All of them are gone with their mailbox.
            Err(Error::NoMailbox(_)) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let (own, modified, changed) = match outcomes.into_iter().nth(1) {
            Some(Outcome::Flagged { modseq, modified, changed }) => (modseq, modified, changed),
            _ => (0, Vec::new(), Vec::new()),
        };
        self.refresh();
        let condstore = self.condstore;
        let Some(view) = &mut self.view else { return Ok("STORE done".into()) };
        let mut gone = false;
        for (number, uid) in &messages {
            let Some(message) = view.message(*uid).cloned() else {
                gone = true;
                continue;
            };
            if modified.binary_search(uid).is_ok() {
                continue;
            }
            // What somebody else changed before is told in spite of .SILENT.
            let mine = changed.binary_search_by_key(uid, |(uid, _)| *uid).ok();
            let alone = mine.is_none_or(|at| view.knows(*uid, changed[at].1));
            let by_uid = if request.uid { format!("UID {uid} ") } else { String::new() };
            // Silent: what came after this STORE is still to be told.
            let quiet = request.silent && alone;
            let modseq = if quiet && mine.is_some() { own } else { message.modseq };
            if !quiet {
                tell_keywords(view, &message.flags, out);
                let flags = flag_list(&message.flags, view.recent.contains(uid));
                let modseq = if condstore { format!(" MODSEQ ({modseq})") } else { String::new() };
                out.line(format!("* {number} FETCH ({by_uid}FLAGS ({flags}){modseq})"));
            } else if condstore && (mine.is_some() || request.unchanged_since.is_some()) {
                // Silent but for the new sequence (RFC 7162, 3.1.3).
                out.line(format!("* {number} FETCH ({by_uid}MODSEQ ({modseq}))"));
            }
            if !quiet || mine.is_some() {
                view.told(*uid, modseq);
            }
        }
        if !modified.is_empty() {
            let list: Vec<u32> = if request.uid {
                modified
            } else {
                modified.iter().filter_map(|uid| view.number(*uid)).collect()
            };
            return Ok(format!(
                "[MODIFIED {}] STORE done where nothing had changed",
                ranges(&list)
            ));
        }
        if gone && !request.uid {
            return Err(No::No("[EXPUNGEISSUED] some of the messages are gone".into()));
        }
        Ok("STORE done".into())
    }

    async fn copy(
        &mut self,
        account: &str,
        uid: bool,
        set: &Set,
        to: String,
        and_remove: bool,
        out: &mut Output,
    ) -> Answer {
        self.refresh();
        let Some(view) = &self.view else { return Ok("COPY done".into()) };
        let messages = view.resolve(set, uid).ok_or_else(no_such_number)?;
        if messages.is_empty() {
            return Ok("no message was in the set".into());
        }
        if !uid && messages.iter().any(|(_, uid)| view.message(*uid).is_none()) {
            // All or nothing (RFC 3501, 6.4.7); UIDs that are gone are passed over.
            return Err(No::No("[EXPUNGEISSUED] some of the messages are gone".into()));
        }
        let from = view.mailbox.clone();
        let source = from.clone();
        let same = view.same(account);
        let (account, uids) = (account.to_owned(), uids(&messages));
        let change = if and_remove {
            writable(view.read_only)?;
            Change::Move { account, from, uids, to }
        } else {
            let quota = Some(self.server.directory.quota(&account));
            Change::Copy { account, from, uids, to, quota }
        };
        let outcomes = match self.server.store.commit(vec![same, change]).await {
            Ok(outcomes) => outcomes,
            Err(Error::NoMailbox(name)) if name == source => {
                return Err(No::No("[EXPUNGEISSUED] the messages are gone".into()));
            }
            Err(Error::NoMailbox(name)) => {
                return Err(No::No(format!("[TRYCREATE] there is no mailbox `{name}`")));
            }
            Err(error) => return Err(error.into()),
        };
        let code = match outcomes.get(1) {
            Some(Outcome::Copied { validity, uids }) if !uids.is_empty() => {
                let old: Vec<u32> = uids.iter().map(|(old, _)| *old).collect();
                let new: Vec<u32> = uids.iter().map(|(_, new)| *new).collect();
                format!("[COPYUID {validity} {} {}] ", ranges(&old), ranges(&new))
            }
            _ => String::new(),
        };
        if and_remove {
            // The code comes before the EXPUNGEs (RFC 6851, 4.3).
            out.line(format!("* OK {code}moved"));
            return Ok("MOVE done".into());
        }
        Ok(format!("{code}COPY done"))
    }
}

/// Tells FLAGS where a keyword is to be named for the first time in this session.
pub(super) fn tell_keywords(view: &mut View, flags: &Flags, out: &mut Output) {
    if !flags.keywords().is_empty() && view.learn(flags) {
        out.line(format!("* FLAGS ({})", view.flags()));
        out.line(format!("* OK [PERMANENTFLAGS ({})] flags that are kept", view.permanent_flags()));
    }
}

/// Flags as they are told, `\Recent` among them.
pub(super) fn flag_list(flags: &Flags, recent: bool) -> String {
    let names: Vec<&str> = flags.names().chain(recent.then_some("\\Recent")).collect();
    names.join(" ")
}

/// Whether a flag cannot be set.
fn unknown(name: &str) -> bool {
    !Flags::default().insert(name)
}

pub(super) fn no_such_number() -> No {
    No::Bad("there is no message with such a number".into())
}

fn writable(read_only: bool) -> Result<(), No> {
    if read_only {
        Err(No::No("[READ-ONLY] the mailbox was opened by EXAMINE".into()))
    } else {
        Ok(())
    }
}

fn uids(messages: &[(u32, u32)]) -> Vec<u32> {
    messages.iter().map(|(_, uid)| *uid).collect()
}

/// Numbers as a set that keeps their order: `1:3,5`.
pub(super) fn ranges(numbers: &[u32]) -> String {
    let mut out: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match out.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*number) => *last = *number,
            _ => out.push((*number, *number)),
        }
    }
    let text = out.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}:{b}") });
    text.collect::<Vec<_>>().join(",")
}

/// How flags are added, for FETCH that marks as seen.
pub(super) fn mark_seen(account: &str, mailbox: &str, uids: Vec<u32>) -> Change {
    Change::Flags {
        account: account.into(),
        mailbox: mailbox.into(),
        uids,
        how: FlagChange::Add,
        flags: Flags::of(Flags::SEEN),
        unchanged_since: None,
    }
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn numbers_are_written_as_ranges() {
        assert_eq!(ranges(&[1, 2, 3, 5, 9, 10]), "1:3,5,9:10");
        assert_eq!(ranges(&[u32::MAX]), "4294967295");
        assert_eq!(ranges(&[]), "");
    }
}
