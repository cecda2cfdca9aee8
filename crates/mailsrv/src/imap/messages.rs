//! The commands on messages of the open mailbox, but for FETCH.

use std::sync::Arc;

use crate::store::{Change, Error, FlagChange, Flags, Mailbox, Outcome};

use super::command::{Command, Key, SearchResult, Set, SortKey, Store};
use super::folders::now;
use super::output::Output;
use super::search::{Candidate, read_header};
use super::session::{Answer, No, Session};
use super::{sort, thread};

impl Session {
    /// Tells the client what changed in its mailbox.
    pub async fn news(&mut self, may_expunge: bool, out: &mut Output) {
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
            let Some(message) = view.message(uid) else { continue };
            let flags = flag_list(&message.flags, view.recent.contains(&uid));
            let modseq =
                if condstore { format!(" MODSEQ ({})", message.modseq) } else { String::new() };
            out.line(format!("* {number} FETCH (UID {uid} FLAGS ({flags}){modseq})"));
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
                    self.expunge_in(account, &view.mailbox, None).await?;
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
                let mailbox = view.mailbox.clone();
                self.expunge_in(account, &mailbox, uids).await?;
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
        mailbox: &str,
        uids: Option<Vec<u32>>,
    ) -> Result<(), No> {
        let change = Change::Expunge {
            account: account.into(),
            mailbox: mailbox.into(),
            uids,
            deleted_only: true,
        };
        self.server.store.commit(vec![change]).await?;
        Ok(())
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
            return Err(No::Bad(format!("{name} is not a flag that can be set")));
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
        let before = view.count();
        let outcomes = self.server.store.commit(vec![change]).await?;
        let (modseq, modified) = match outcomes.into_iter().next() {
            Some(Outcome::Flagged { modseq, modified }) => (modseq, modified),
            _ => (0, Vec::new()),
        };
        self.refresh();
        let condstore = self.condstore;
        let Some(view) = &mut self.view else { return Ok("STORE done".into()) };
        debug_assert_eq!(before, view.count());
        let mut gone = false;
        for (number, uid) in &messages {
            let Some(message) = view.message(*uid) else {
                gone = true;
                continue;
            };
            let (mine, now) = (message.modseq == modseq, message.modseq);
            let flags = flag_list(&message.flags, view.recent.contains(uid));
            let by_uid = if request.uid { format!("UID {uid} ") } else { String::new() };
            if !request.silent && !modified.contains(uid) {
                let modseq = if condstore { format!(" MODSEQ ({now})") } else { String::new() };
                out.line(format!("* {number} FETCH ({by_uid}FLAGS ({flags}){modseq})"));
                view.told(*uid, now);
            } else if mine {
                // Silent: the client knows, but for the new sequence (RFC 7162, 3.1.3).
                if condstore {
                    out.line(format!("* {number} FETCH ({by_uid}MODSEQ ({now}))"));
                }
                view.told(*uid, now);
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
        let Some(view) = &self.view else { return Ok("COPY done".into()) };
        let messages = view.resolve(set, uid).ok_or_else(no_such_number)?;
        let from = view.mailbox.clone();
        let (account, uids) = (account.to_owned(), uids(&messages));
        if messages.is_empty() {
            return Ok("no message was in the set".into());
        }
        let change = if and_remove {
            writable(view.read_only)?;
            Change::Move { account, from, uids, to }
        } else {
            let quota = Some(self.server.directory.quota(&account));
            Change::Copy { account, from, uids, to, quota }
        };
        let outcomes = match self.server.store.commit(vec![change]).await {
            Ok(outcomes) => outcomes,
            Err(Error::NoMailbox(name)) => {
                return Err(No::No(format!("[TRYCREATE] there is no mailbox `{name}`")));
            }
            Err(error) => return Err(error.into()),
        };
        let code = match outcomes.first() {
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

    /// The messages that a key finds, as number and UID.
    async fn find(&mut self, key: &Key) -> Vec<(u32, u32)> {
        self.condstore |= key.uses_modseq();
        self.refresh();
        let Some(view) = &self.view else { return Vec::new() };
        let now = now();
        let mut found = Vec::new();
        for (number, uid) in view.all() {
            if number % 64 == 0 {
                // Other sessions want to go on as well.
                tokio::task::yield_now().await;
            }
            let Some(message) = view.message(uid) else { continue };
            if Candidate::new(view, &self.server.store, number, message, now).matches(key) {
                found.push((number, uid));
            }
        }
        found
    }

    async fn search(
        &mut self,
        tag: &str,
        uid: bool,
        results: Option<Vec<SearchResult>>,
        key: &Key,
        out: &mut Output,
    ) -> Answer {
        let found = self.find(key).await;
        let numbers: Vec<u32> = found.iter().map(|(n, u)| if uid { *u } else { *n }).collect();
        let modseq = |uids: &[u32]| {
            let view = self.view.as_ref()?;
            uids.iter().filter_map(|uid| view.message(*uid)).map(|m| m.modseq).max()
        };
        let all: Vec<u32> = found.iter().map(|(_, uid)| *uid).collect();
        let Some(results) = results else {
            let list: String = numbers.iter().map(|n| format!(" {n}")).collect();
            let modseq = modseq(&all).filter(|_| key.uses_modseq());
            let modseq = modseq.map(|m| format!(" (MODSEQ {m})")).unwrap_or_default();
            out.line(format!("* SEARCH{list}{modseq}"));
            return Ok("SEARCH done".into());
        };
        let mut line = format!("* ESEARCH (TAG {})", quote(tag));
        if uid {
            line.push_str(" UID");
        }
        let has = |one| results.contains(&one);
        if has(SearchResult::Count) {
            line.push_str(&format!(" COUNT {}", numbers.len()));
        }
        if let (Some(first), Some(last)) = (numbers.first(), numbers.last()) {
            if has(SearchResult::Min) {
                line.push_str(&format!(" MIN {first}"));
            }
            if has(SearchResult::Max) {
                line.push_str(&format!(" MAX {last}"));
            }
            if has(SearchResult::All) {
                line.push_str(&format!(" ALL {}", ranges(&numbers)));
            }
            if key.uses_modseq() {
                // Of the messages that are told (RFC 7162, 3.1.5).
                let wide = has(SearchResult::All) || has(SearchResult::Count);
                let mut told = Vec::new();
                if !wide && has(SearchResult::Min) {
                    told.extend(all.first());
                }
                if !wide && has(SearchResult::Max) {
                    told.extend(all.last());
                }
                let of = if wide { &all } else { &told };
                if let Some(modseq) = modseq(of) {
                    line.push_str(&format!(" MODSEQ {modseq}"));
                }
            }
        }
        out.line(line);
        Ok("SEARCH done".into())
    }

    async fn sort(&mut self, uid: bool, by: &[SortKey], key: &Key, out: &mut Output) -> Answer {
        let found = self.find(key).await;
        let Some(view) = &self.view else { return Ok("SORT done".into()) };
        let mut rows = Vec::with_capacity(found.len());
        for (number, uid) in found {
            let Some(message) = view.message(uid) else { continue };
            let mut row = sort::Row {
                number,
                uid,
                arrival: message.received,
                size: message.size,
                ..sort::Row::default()
            };
            row.read(&read_header(&self.server.store, message));
            rows.push(row);
        }
        sort::sort(&mut rows, by);
        let list: String =
            rows.iter().map(|row| format!(" {}", if uid { row.uid } else { row.number })).collect();
        let modseq = rows.iter().filter_map(|row| view.message(row.uid)).map(|m| m.modseq).max();
        let modseq = modseq
            .filter(|_| key.uses_modseq())
            .map(|m| format!(" (MODSEQ {m})"))
            .unwrap_or_default();
        out.line(format!("* SORT{list}{modseq}"));
        Ok("SORT done".into())
    }

    async fn thread(&mut self, uid: bool, key: &Key, out: &mut Output) -> Answer {
        let found = self.find(key).await;
        let Some(view) = &self.view else { return Ok("THREAD done".into()) };
        let mut leaves = Vec::with_capacity(found.len());
        for (number, its_uid) in found {
            let Some(message) = view.message(its_uid) else { continue };
            let header = read_header(&self.server.store, message);
            let id = if uid { its_uid } else { number };
            leaves.push(thread::Leaf::read(id, &header, message.received));
        }
        let threads = thread::threads(&leaves);
        let space = if threads.is_empty() { "" } else { " " };
        out.line(format!("* THREAD{space}{threads}"));
        Ok("THREAD done".into())
    }
}

/// Flags as they are told, `\Recent` among them.
pub(super) fn flag_list(flags: &Flags, recent: bool) -> String {
    let names: Vec<&str> = flags.names().chain(recent.then_some("\\Recent")).collect();
    names.join(" ")
}

/// Whether a flag cannot be set.
fn unknown(name: &str) -> bool {
    name.starts_with('\\') && !Flags::default().insert(name)
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

fn known_charset(charset: Option<&str>) -> Result<(), No> {
    let known =
        |name: &str| name.eq_ignore_ascii_case("UTF-8") || name.eq_ignore_ascii_case("US-ASCII");
    if charset.is_none_or(known) {
        return Ok(());
    }
    Err(No::No("[BADCHARSET (US-ASCII UTF-8)] this charset is not known here".into()))
}

fn uids(messages: &[(u32, u32)]) -> Vec<u32> {
    messages.iter().map(|(_, uid)| *uid).collect()
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
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
