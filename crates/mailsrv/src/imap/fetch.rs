//! FETCH (RFC 3501, 6.4.5), a few messages at a time, so that a large answer is never whole in
//! memory.

use std::collections::BTreeSet;

use crate::config::Stage;
use crate::store::{Error, Flags, Message};

use super::command::{Item, Section, Set, What};
use super::date;
use super::messages::{flag_list, mark_seen, no_such_number, tell_keywords};
use super::mime;
use super::output::Output;
use super::search::read_header;
use super::section::bytes;
use super::session::{No, Session};
use super::structure::{envelope, string, structure};

/// Output after which the client is waited for, in bytes.
const PAUSE: usize = 256 << 10;
/// Messages from this size on are sent straight from their file, in bytes.
const FROM_FILE: u64 = 64 << 10;

/// A FETCH under way.
pub struct Fetching {
    /// Its tag.
    pub tag: String,
    /// Whether it was UID FETCH.
    pub uid: bool,
    /// Whether a message has gone.
    pub missing: bool,
    items: Vec<Item>,
    messages: std::vec::IntoIter<(u32, u32)>,
    /// UIDs whose `\Seen` this FETCH has set, to be told.
    seen: BTreeSet<u32>,
}

impl Session {
    pub(super) async fn fetch(
        &mut self,
        tag: &str,
        uid: bool,
        set: &Set,
        mut items: Vec<Item>,
        changed_since: Option<u64>,
    ) -> Result<Fetching, No> {
        let Some(account) = self.account.clone() else {
            return Err(No::Bad("log in first".into()));
        };
        if self.view.is_none() {
            return Err(No::Bad("open a mailbox by SELECT first".into()));
        }
        self.strike(Stage::Fetch, &account).await?;
        self.condstore |= changed_since.is_some() || items.contains(&Item::ModSeq);
        if changed_since.is_some() && !items.contains(&Item::ModSeq) {
            items.push(Item::ModSeq);
        }
        if uid && !items.contains(&Item::Uid) {
            items.insert(0, Item::Uid);
        }
        self.refresh();
        let Some(view) = &self.view else { return Err(no_such_number()) };
        let mut messages = view.resolve(set, uid).ok_or_else(no_such_number)?;
        if let Some(since) = changed_since {
            messages.retain(|(_, uid)| view.message(*uid).is_some_and(|m| m.modseq > since));
        }
        let marks =
            items.iter().any(|item| matches!(item, Item::Section(section) if !section.peek));
        let mut seen = BTreeSet::new();
        if marks && !view.read_only {
            let unseen = |uid: &u32| view.message(*uid).is_some_and(|m| !m.flags.has(Flags::SEEN));
            seen = messages.iter().map(|(_, uid)| *uid).filter(unseen).collect();
            if !seen.is_empty() {
                let change = mark_seen(&account, &view.mailbox, seen.iter().copied().collect());
                let commit = self.server.store.commit(vec![view.same(&account), change]).await;
                match commit {
                    Ok(_) => {}
                    // Deleted meanwhile: there is nothing to be marked.
                    Err(Error::NoMailbox(_)) => seen.clear(),
                    Err(error) => return Err(error.into()),
                }
                self.refresh();
            }
        }
        Ok(Fetching {
            tag: tag.to_owned(),
            uid,
            missing: false,
            items,
            messages: messages.into_iter(),
            seen,
        })
    }

    /// Writes some of the answers; `true` where there are more.
    pub(super) fn fetch_some(&mut self, fetching: &mut Fetching, out: &mut Output) -> bool {
        while out.held() < PAUSE {
            let Some((number, uid)) = fetching.messages.next() else { return false };
            let Some(message) = self.view.as_ref().and_then(|view| view.message(uid)).cloned()
            else {
                if !fetching.uid && fetching.items.iter().all(|item| *item == Item::Uid) {
                    // Until its EXPUNGE is told, the number has its UID (RFC 3501, 7.4.1).
                    out.line(format!("* {number} FETCH (UID {uid})"));
                } else {
                    fetching.missing = true;
                }
                continue;
            };
            if !self.fetch_one(fetching, number, &message, out) {
                fetching.missing = true;
            }
        }
        true
    }

    /// One answer; `false` where the message's bytes are gone.
    fn fetch_one(
        &mut self,
        fetching: &Fetching,
        number: u32,
        message: &Message,
        out: &mut Output,
    ) -> bool {
        let store = &self.server.store;
        let needs = |item: &Item| match item {
            Item::Envelope => Needs::Header,
            Item::Body | Item::BodyStructure => Needs::Whole,
            Item::Section(section) => section_needs(section, message),
            _ => Needs::Nothing,
        };
        let need = fetching.items.iter().map(needs).max().unwrap_or(Needs::Nothing);
        let raw = match need {
            Needs::Nothing => Vec::new(),
            Needs::Header => read_header(store, message),
            Needs::Whole => match store.read(message.file) {
                Ok(raw) => raw,
                Err(_) => return false,
            },
        };
        let by_part = |item: &Item| match item {
            Item::Body | Item::BodyStructure => true,
            Item::Section(section) => !section.path.is_empty(),
            _ => false,
        };
        let part = fetching.items.iter().any(by_part).then(|| mime::parse(&raw));
        let condstore = self.condstore;
        let Some(view) = &mut self.view else { return false };
        let recent = view.recent.contains(&message.uid);
        let marked = fetching.seen.contains(&message.uid);
        if marked || fetching.items.contains(&Item::Flags) {
            tell_keywords(view, &message.flags, out);
        }
        let mut line = format!("* {number} FETCH (").into_bytes();
        let mut told_flags = false;
        for (at, item) in fetching.items.iter().enumerate() {
            if at > 0 {
                line.push(b' ');
            }
            let mut word = |text: String| line.extend_from_slice(text.as_bytes());
            match item {
                Item::Uid => word(format!("UID {}", message.uid)),
                Item::Flags => {
                    told_flags = true;
                    word(format!("FLAGS ({})", flag_list(&message.flags, recent)));
                }
                Item::InternalDate => {
                    word(format!("INTERNALDATE \"{}\"", date::internal(message.received)))
                }
                Item::Size => word(format!("RFC822.SIZE {}", message.size)),
                Item::ModSeq => word(format!("MODSEQ ({})", message.modseq)),
                Item::Envelope => {
                    word("ENVELOPE ".into());
                    let end = mime::header_end(&raw);
                    envelope(&mut line, &raw[..end]);
                }
                Item::Body | Item::BodyStructure => {
                    let extended = *item == Item::BodyStructure;
                    word(if extended { "BODYSTRUCTURE ".into() } else { "BODY ".into() });
                    if let Some(part) = &part {
                        structure(&mut line, &raw, part, extended);
                    }
                }
                Item::Section(section) if section_needs(section, message) == Needs::Nothing => {
                    let size = u64::from(message.size);
                    let (first, length) = clip(section.partial, size);
                    word(format!("{} {{{length}}}\r\n", section.label));
                    let Ok(file) = store.open_file(message.file) else { return false };
                    out.bytes(std::mem::take(&mut line));
                    out.file(file, first, length);
                }
                Item::Section(section) => {
                    word(format!("{} ", section.label));
                    match bytes(section, &raw, part.as_ref()) {
                        Some(bytes) => {
                            let (first, length) = clip(section.partial, bytes.len() as u64);
                            let first = usize::try_from(first).unwrap_or(usize::MAX);
                            let length = usize::try_from(length).unwrap_or(usize::MAX);
                            literal(&mut line, &bytes[first..first + length]);
                        }
                        None => line.extend_from_slice(b"NIL"),
                    }
                }
            }
        }
        let mut tell = told_flags;
        if marked && !told_flags {
            line.extend_from_slice(
                format!(" FLAGS ({})", flag_list(&message.flags, recent)).as_bytes(),
            );
            tell = true;
        }
        if marked && condstore && !fetching.items.contains(&Item::ModSeq) {
            // A change of flags is told with its sequence (RFC 7162, 3.1.4).
            line.extend_from_slice(format!(" MODSEQ ({})", message.modseq).as_bytes());
        }
        if tell {
            view.told(message.uid, message.modseq);
        }
        line.push(b')');
        out.line(line);
        true
    }
}

/// What of a message must be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    Nothing,
    Header,
    Whole,
}

fn section_needs(section: &Section, message: &Message) -> Needs {
    match (&section.what, section.path.is_empty()) {
        (What::Header | What::Fields { .. }, true) => Needs::Header,
        (What::Whole, true) if u64::from(message.size) >= FROM_FILE => Needs::Nothing,
        _ => Needs::Whole,
    }
}

/// First byte and length of what is sent of `size` bytes.
fn clip(partial: Option<(u64, u64)>, size: u64) -> (u64, u64) {
    let Some((first, length)) = partial else { return (0, size) };
    let first = first.min(size);
    (first, length.min(size - first))
}

fn literal(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        string(out, bytes);
        return;
    }
    out.extend_from_slice(format!("{{{}}}\r\n", bytes.len()).as_bytes());
    let start = out.len();
    out.extend_from_slice(bytes);
    super::without_nul(&mut out[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3501_6_4_5_partial_fetches_are_clipped() {
        assert_eq!(clip(Some((0, 10)), 4), (0, 4));
        assert_eq!(clip(Some((2, 10)), 4), (2, 2));
        assert_eq!(clip(Some((9, 10)), 4), (4, 0));
        assert_eq!(clip(None, 4), (0, 4));
        assert_eq!(clip(Some((u64::MAX, u64::MAX)), 4), (4, 0));
    }
}
