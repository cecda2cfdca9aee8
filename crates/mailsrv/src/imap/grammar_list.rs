//! LIST with its options (RFC 3501, 6.3.8; RFC 5258, 5819, 6154), and the items of STATUS.

use super::command::{List, StatusItem};
use super::cursor::{Bad, Cursor, Parsed};

/// The most patterns of one LIST.
const MAX_PATTERNS: usize = 100;
/// The longest pattern with its reference, in bytes: four times the longest name.
const MAX_PATTERN: usize = 1_024;

pub(super) fn list(c: &mut Cursor<'_>) -> Parsed<List> {
    let mut list = List::default();
    if c.peek() == Some(b'(') {
        list.extended = true;
        for option in c.list(|c| c.word())? {
            match option.as_str() {
                "SUBSCRIBED" => list.select_subscribed = true,
                // There are none (RFC 5258, 3.1).
                "REMOTE" => {}
                "RECURSIVEMATCH" => list.recursive_match = true,
                "SPECIAL-USE" => list.select_special = true,
                _ => return Err(Bad("LIST has no such selection option here")),
            }
        }
        if list.recursive_match && !(list.select_subscribed || list.select_special) {
            return Err(Bad("RECURSIVEMATCH needs another selection option"));
        }
        c.space()?;
    }
    list.reference = c.mailbox_or_empty()?;
    c.space()?;
    if c.peek() == Some(b'(') {
        list.extended = true;
        list.patterns = c.list(|c| c.pattern())?;
    } else {
        list.patterns = vec![c.pattern()?];
    }
    bounded(&list)?;
    if c.take(b' ') {
        list.extended = true;
        if !c.take_word("RETURN") {
            return Err(Bad("LIST has nothing but RETURN here"));
        }
        c.space()?;
        let mut status = None;
        let options = c.list(|c| {
            let word = c.word()?;
            if word == "STATUS" {
                c.space()?;
                status = Some(status_items(c)?);
            }
            Ok(word)
        })?;
        list.return_status = status;
        for option in options {
            match option.as_str() {
                "SUBSCRIBED" => list.return_subscribed = true,
                "CHILDREN" => list.return_children = true,
                "SPECIAL-USE" => list.return_special = true,
                "STATUS" => {}
                _ => return Err(Bad("LIST has no such return option here")),
            }
        }
    }
    Ok(list)
}

/// LIST compares every pattern with every name.
pub(super) fn bounded(list: &List) -> Parsed<()> {
    if list.patterns.len() > MAX_PATTERNS {
        return Err(Bad("LIST has too many patterns"));
    }
    let longest = list.patterns.iter().map(String::len).max().unwrap_or_default();
    if list.reference.len() + longest > MAX_PATTERN {
        return Err(Bad("a pattern is too long"));
    }
    Ok(())
}

pub(super) fn status_items(c: &mut Cursor<'_>) -> Parsed<Vec<StatusItem>> {
    let items = c.list(|c| match c.word()?.as_str() {
        "MESSAGES" => Ok(StatusItem::Messages),
        "RECENT" => Ok(StatusItem::Recent),
        "UIDNEXT" => Ok(StatusItem::UidNext),
        "UIDVALIDITY" => Ok(StatusItem::UidValidity),
        "UNSEEN" => Ok(StatusItem::Unseen),
        "HIGHESTMODSEQ" => Ok(StatusItem::HighestModSeq),
        "SIZE" => Ok(StatusItem::Size),
        "APPENDLIMIT" => Ok(StatusItem::AppendLimit),
        "DELETED" => Ok(StatusItem::Deleted),
        "DELETED-STORAGE" => Ok(StatusItem::DeletedStorage),
        _ => Err(Bad("STATUS has no such item here")),
    })?;
    if items.is_empty() { Err(Bad("STATUS needs an item")) } else { Ok(items) }
}

impl Cursor<'_> {
    /// A reference of LIST: a mailbox name that may be empty.
    pub(super) fn mailbox_or_empty(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(b' ') | None => Err(Bad("a reference is missing")),
            _ => self.mailbox(),
        }
    }
}
