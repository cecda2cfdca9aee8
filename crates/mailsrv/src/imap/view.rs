//! A session's view of its mailbox: which message has which number, and what changed since.
//!
//! Numbers are promises (RFC 3501, 7.4.1): they change only when the session says EXPUNGE, which
//! it may not while FETCH, STORE or SEARCH runs. So the view keeps the UIDs it told of, and
//! [`View::sync`] works out what the client must be told to come to the mailbox's present state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::store::{Change, Flags, Mailbox, Message};

/// What a session has told its client about a mailbox.
#[derive(Debug)]
pub struct View {
    /// The mailbox's name.
    pub mailbox: String,
    /// Whether it was opened by EXAMINE.
    pub read_only: bool,
    /// Its UIDVALIDITY at SELECT.
    pub validity: u32,
    /// UID and last known modification sequence by number.
    known: Vec<(u32, u64)>,
    /// UIDs that are `\Recent` in this session.
    pub recent: BTreeSet<u32>,
    /// Keywords that were told in FLAGS, by their lower case.
    keywords: BTreeMap<String, String>,
    /// The mailbox as it was looked at last.
    messages: Arc<Vec<Message>>,
}

/// What the client must be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Numbers to say EXPUNGE with, in this order.
    pub expunged: Vec<u32>,
    /// The new count, where it is to be told.
    pub exists: Option<u32>,
    /// The new number of recent messages, where it is to be told.
    pub recent: Option<u32>,
    /// Numbers whose flags changed.
    pub changed: Vec<u32>,
}

impl View {
    /// The mailbox at SELECT.
    pub fn new(name: String, read_only: bool, mailbox: &Mailbox, recent: BTreeSet<u32>) -> Self {
        let known = mailbox.messages.iter().map(|message| (message.uid, message.modseq)).collect();
        let mut view = Self {
            mailbox: name,
            read_only,
            validity: mailbox.validity,
            known,
            recent,
            keywords: BTreeMap::new(),
            messages: mailbox.messages.clone(),
        };
        for message in mailbox.messages.iter() {
            view.learn(&message.flags);
        }
        view
    }

    /// What lets a commit fail where another mailbox goes by this one's name by now.
    pub fn same(&self, account: &str) -> Change {
        Change::Same {
            account: account.to_owned(),
            mailbox: self.mailbox.clone(),
            validity: self.validity,
        }
    }

    /// Takes note of keywords; whether one of them is new, so that FLAGS must be told before a
    /// FETCH names it (RFC 3501, 7.2.6).
    pub fn learn(&mut self, flags: &Flags) -> bool {
        let before = self.keywords.len();
        for keyword in flags.keywords() {
            self.keywords.entry(keyword.to_ascii_lowercase()).or_insert_with(|| keyword.clone());
        }
        self.keywords.len() > before
    }

    /// The flags of the mailbox as FLAGS tells them.
    pub fn flags(&self) -> String {
        let keywords: String =
            self.keywords.values().map(|keyword| format!(" {keyword}")).collect();
        format!("\\Answered \\Flagged \\Deleted \\Seen \\Draft{keywords}")
    }

    /// The flags that can be changed for good, as PERMANENTFLAGS tells them.
    pub fn permanent_flags(&self) -> String {
        if self.read_only { String::new() } else { format!("{} \\*", self.flags()) }
    }

    /// How many messages the client knows of.
    pub fn count(&self) -> u32 {
        u32::try_from(self.known.len()).unwrap_or(u32::MAX)
    }

    /// The UID of the last message; 0 where there is none.
    pub fn last_uid(&self) -> u32 {
        self.known.last().map_or(0, |(uid, _)| *uid)
    }

    /// The UID of a number.
    pub fn uid(&self, number: u32) -> Option<u32> {
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        self.known.get(at).map(|(uid, _)| *uid)
    }

    /// The number of a UID.
    pub fn number(&self, uid: u32) -> Option<u32> {
        let at = self.known.binary_search_by_key(&uid, |(uid, _)| *uid).ok()?;
        u32::try_from(at + 1).ok()
    }

    /// Number and UID of every message.
    pub fn all(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.known.iter().zip(1..).map(|((uid, _), number)| (number, *uid))
    }

    /// The message with that UID, unless another session removed it.
    pub fn message(&self, uid: u32) -> Option<&Message> {
        let at = self.messages.binary_search_by_key(&uid, |message| message.uid).ok()?;
        self.messages.get(at)
    }

    /// The numbers of a set, with their UIDs, in rising order; `None` where a number does not
    /// exist. UIDs that do not exist are passed over.
    pub fn resolve(&self, set: &super::command::Set, by_uid: bool) -> Option<Vec<(u32, u32)>> {
        if by_uid {
            let last = self.last_uid();
            return Some(self.all().filter(|(_, uid)| set.has(*uid, last)).collect());
        }
        let count = self.count();
        let (first, last) = set.ends(count)?;
        if first == 0 || last > count {
            return None;
        }
        let at = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let known = self.known.get(at(first) - 1..at(last)).unwrap_or_default();
        let named = (first..).zip(known).filter(|(number, _)| set.has(*number, count));
        Some(named.map(|(number, (uid, _))| (number, *uid)).collect())
    }

    /// Whether the client knows the message as it was at this modification sequence.
    pub fn knows(&self, uid: u32, modseq: u64) -> bool {
        let at = self.known.binary_search_by_key(&uid, |(uid, _)| *uid);
        at.is_ok_and(|at| self.known[at].1 >= modseq)
    }

    /// Takes note that the client knows the message at this modification sequence.
    pub fn told(&mut self, uid: u32, modseq: u64) {
        if let Ok(at) = self.known.binary_search_by_key(&uid, |(uid, _)| *uid) {
            self.known[at].1 = self.known[at].1.max(modseq);
        }
    }

    /// Looks at the mailbox without telling anything: what FETCH and SEARCH read.
    pub fn look(&mut self, messages: Arc<Vec<Message>>) {
        self.messages = messages;
    }

    /// Comes to the mailbox's present state; EXPUNGEs only where they may be told now.
    pub fn sync(&mut self, messages: Arc<Vec<Message>>, recent: &[u32], may_expunge: bool) -> News {
        let mut news = News::default();
        if may_expunge {
            let mut gone = 0;
            let mut number = 0;
            let expunged = &mut news.expunged;
            let mut present = messages.iter().map(|message| message.uid).peekable();
            self.known.retain(|(uid, _)| {
                number += 1;
                while present.next_if(|other| other < uid).is_some() {}
                let keep = present.peek() == Some(uid);
                if !keep {
                    // Each EXPUNGE moves the numbers that follow.
                    expunged.push(number - gone);
                    gone += 1;
                }
                keep
            });
            if gone > 0 {
                let known: BTreeSet<u32> = self.known.iter().map(|(uid, _)| *uid).collect();
                self.recent.retain(|uid| known.contains(uid));
            }
        }
        let last = self.last_uid();
        let fresh = messages.partition_point(|message| message.uid <= last);
        for message in &messages[fresh..] {
            self.known.push((message.uid, message.modseq));
        }
        let before = self.recent.len();
        self.recent.extend(recent);
        if fresh < messages.len() {
            news.exists = Some(self.count());
            news.recent = Some(u32::try_from(self.recent.len()).unwrap_or(u32::MAX));
        } else if self.recent.len() != before {
            news.recent = Some(u32::try_from(self.recent.len()).unwrap_or(u32::MAX));
        }
        let mut present = messages.iter().peekable();
        for (number, (uid, modseq)) in (1..).zip(self.known.iter_mut()) {
            while present.next_if(|message| message.uid < *uid).is_some() {}
            if let Some(message) = present.peek()
                && message.uid == *uid
                && message.modseq > *modseq
            {
                *modseq = message.modseq;
                news.changed.push(number);
            }
        }
        self.messages = messages;
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Flags;

    fn messages(list: &[(u32, u64)]) -> Arc<Vec<Message>> {
        let message = |(uid, modseq): &(u32, u64)| Message {
            uid: *uid,
            size: 1,
            file: 1,
            received: 0,
            modseq: *modseq,
            flags: Flags::default(),
        };
        Arc::new(list.iter().map(message).collect())
    }

    fn view(list: &[(u32, u64)]) -> View {
        let mailbox = Mailbox {
            validity: 1,
            next: 100,
            modseq: 9,
            recent: 1,
            special: None,
            messages: messages(list),
        };
        View::new("INBOX".into(), false, &mailbox, BTreeSet::new())
    }

    #[test]
    fn rfc3501_7_4_1_each_expunge_moves_the_numbers_that_follow() {
        let mut view = view(&[(2, 1), (4, 1), (5, 1), (9, 1)]);
        let now = messages(&[(4, 1), (12, 3)]);
        let news = view.sync(now.clone(), &[12], false);
        assert_eq!(news, News { exists: Some(5), recent: Some(1), ..News::default() });
        assert_eq!(view.message(5), None);
        let news = view.sync(now, &[], true);
        assert_eq!(news.expunged, [1, 2, 2]);
        assert_eq!(view.number(4), Some(1));
        assert_eq!(view.number(12), Some(2));
        assert_eq!(view.count(), 2);
    }

    #[test]
    fn flags_are_told_once() {
        let mut view = view(&[(1, 1), (2, 1)]);
        let now = messages(&[(1, 1), (2, 5)]);
        assert_eq!(view.sync(now.clone(), &[], true).changed, [2]);
        assert_eq!(view.sync(now, &[], true), News::default());
    }

    #[test]
    fn rfc3501_6_4_8_sets_by_number_must_exist_and_by_uid_need_not() {
        use crate::imap::command::Set;
        let view = view(&[(2, 1), (4, 1)]);
        let set = |a, b| Set::new([(a, b)]);
        assert_eq!(view.resolve(&set(Some(1), None), false).unwrap().len(), 2);
        assert_eq!(view.resolve(&set(None, Some(2)), false).unwrap(), [(2, 4)]);
        assert_eq!(view.resolve(&set(Some(3), Some(3)), false), None);
        assert_eq!(view.resolve(&set(Some(9), None), true).unwrap(), [(2, 4)]);
        assert_eq!(view.resolve(&set(Some(9), Some(12)), true).unwrap(), []);
        let empty = self::view(&[]);
        assert_eq!(empty.resolve(&set(None, None), false), None);
        assert_eq!(empty.resolve(&set(None, None), true).unwrap(), []);
    }
}
