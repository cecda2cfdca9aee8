//! Search keys (RFC 3501, 6.4.4; RFC 5032 WITHIN; RFC 7162 MODSEQ).

use super::command::Key;
use super::cursor::{Bad, Cursor, Parsed};

/// How deep keys may lie in each other.
const MAX_DEPTH: usize = 32;
/// The most keys of one search.
const MAX_KEYS: usize = 1_000;

/// All keys up to the end: each must hold.
pub(super) fn search_keys(c: &mut Cursor<'_>) -> Parsed<Key> {
    let mut budget = MAX_KEYS;
    let mut keys = vec![key(c, 0, &mut budget)?];
    while c.take(b' ') {
        keys.push(key(c, 0, &mut budget)?);
    }
    Ok(match keys.len() {
        1 => keys.remove(0),
        _ => Key::And(keys),
    })
}

fn key(c: &mut Cursor<'_>, depth: usize, budget: &mut usize) -> Parsed<Key> {
    if depth > MAX_DEPTH || *budget == 0 {
        return Err(Bad("the search is too complex"));
    }
    *budget -= 1;
    match c.peek() {
        Some(b'(') => {
            let keys = c.list(|c| key(c, depth + 1, budget))?;
            return if keys.is_empty() {
                Err(Bad("a search key is missing"))
            } else {
                Ok(Key::And(keys))
            };
        }
        Some(b'*' | b'0'..=b'9') => return c.set().map(Key::Set),
        _ => {}
    }
    let word = c.word()?;
    let flag = |name: &str| Key::Flag(name.to_owned());
    let not = |key: Key| Key::Not(Box::new(key));
    Ok(match word.as_str() {
        "ALL" => Key::All,
        "ANSWERED" => flag("\\Answered"),
        "DELETED" => flag("\\Deleted"),
        "DRAFT" => flag("\\Draft"),
        "FLAGGED" => flag("\\Flagged"),
        "SEEN" => flag("\\Seen"),
        "UNANSWERED" => not(flag("\\Answered")),
        "UNDELETED" => not(flag("\\Deleted")),
        "UNDRAFT" => not(flag("\\Draft")),
        "UNFLAGGED" => not(flag("\\Flagged")),
        "UNSEEN" => not(flag("\\Seen")),
        "NEW" => Key::New,
        "OLD" => Key::Old,
        "RECENT" => Key::Recent,
        _ if c.take(b' ') => return with_argument(&word, c, depth, budget),
        _ => return Err(Bad("SEARCH has no such key without an argument")),
    })
}

fn with_argument(word: &str, c: &mut Cursor<'_>, depth: usize, budget: &mut usize) -> Parsed<Key> {
    let header = |name: &str, c: &mut Cursor<'_>| Ok(Key::Header(name.to_owned(), text(c)?));
    Ok(match word {
        "BCC" => header("Bcc", c)?,
        "CC" => header("Cc", c)?,
        "FROM" => header("From", c)?,
        "SUBJECT" => header("Subject", c)?,
        "TO" => header("To", c)?,
        "HEADER" => {
            let name = c.text()?;
            c.space()?;
            Key::Header(name, text(c)?)
        }
        "BODY" => Key::Body(text(c)?),
        "TEXT" => Key::Text(text(c)?),
        "KEYWORD" => Key::Flag(c.flag()?),
        "UNKEYWORD" => Key::Not(Box::new(Key::Flag(c.flag()?))),
        "BEFORE" => Key::Before(date(c)?),
        "ON" => Key::On(date(c)?),
        "SINCE" => Key::Since(date(c)?),
        "SENTBEFORE" => Key::SentBefore(date(c)?),
        "SENTON" => Key::SentOn(date(c)?),
        "SENTSINCE" => Key::SentSince(date(c)?),
        "LARGER" => Key::Larger(c.number()?),
        "SMALLER" => Key::Smaller(c.number()?),
        "OLDER" => Key::Older(u64::from(c.nonzero()?)),
        "YOUNGER" => Key::Younger(u64::from(c.nonzero()?)),
        "UID" => Key::Uid(c.set()?),
        "NOT" => Key::Not(Box::new(key(c, depth + 1, budget)?)),
        "OR" => {
            let first = key(c, depth + 1, budget)?;
            c.space()?;
            Key::Or(Box::new(first), Box::new(key(c, depth + 1, budget)?))
        }
        "MODSEQ" => {
            if c.peek() == Some(b'"') {
                // An entry name and its kind: this server has one sequence for all flags.
                c.string()?;
                c.space()?;
                c.word()?;
                c.space()?;
            }
            Key::ModSeq(c.number()?)
        }
        _ => return Err(Bad("SEARCH has no such key here")),
    })
}

fn text(c: &mut Cursor<'_>) -> Parsed<String> {
    // Bytes that are not UTF-8 can be in no decoded text, so the loss changes no result.
    Ok(String::from_utf8_lossy(&c.astring()?).into_owned())
}

/// A day, as days since 1970.
fn date(c: &mut Cursor<'_>) -> Parsed<i64> {
    let text = c.text()?;
    super::date::parse_day(&text).ok_or(Bad("a date is d-Mon-yyyy"))
}
