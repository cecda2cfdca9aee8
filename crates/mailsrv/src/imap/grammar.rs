//! From bytes to a [`Command`] (RFC 3501 and the extensions that are offered).

use super::command::{Command, List, SearchResult, SortBy, SortKey, Store, Tagged};
use super::cursor::{Bad, Cursor, Parsed};
use super::grammar_fetch::fetch_items;
use super::grammar_list::{bounded, list, status_items};
use super::grammar_search::search_keys;
use crate::store::FlagChange;

/// Reads a command; `Err` holds the tag as far as there is one.
pub fn parse(bytes: &[u8]) -> Result<Tagged, (Option<String>, Bad)> {
    let mut cursor = Cursor::new(bytes);
    let tag = cursor.while_(|byte| super::cursor::is_atom(byte) && byte != b'+' || byte == b']');
    let tag = String::from_utf8_lossy(tag).into_owned();
    if tag.is_empty() {
        return Err((None, Bad("a command begins with a tag")));
    }
    let read = |cursor: &mut Cursor<'_>| {
        cursor.space()?;
        let command = command(cursor)?;
        cursor.end()?;
        Ok(command)
    };
    match read(&mut cursor) {
        Ok(command) => Ok(Tagged { tag, command }),
        Err(bad) => Err((Some(tag), bad)),
    }
}

fn command(c: &mut Cursor<'_>) -> Parsed<Command> {
    let verb = c.word()?;
    Ok(match verb.as_str() {
        "CAPABILITY" => Command::Capability,
        "NOOP" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "STARTTLS" => Command::StartTls,
        "NAMESPACE" => Command::Namespace,
        "IDLE" => Command::Idle,
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "UNSELECT" => Command::Unselect,
        "EXPUNGE" => Command::Expunge(None),
        _ if c.take(b' ') => return with_arguments(&verb, c),
        _ => return Err(Bad("there is no such command without arguments")),
    })
}

fn with_arguments(verb: &str, c: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(match verb {
        "ID" => {
            if !c.take_word("NIL") {
                let _ = c.list(|c| if c.take_word("NIL") { Ok(Vec::new()) } else { c.string() })?;
            }
            Command::Id
        }
        "AUTHENTICATE" => {
            let mechanism = c.word()?;
            let initial = if c.take(b' ') {
                let text = c.while_(|byte| byte.is_ascii_graphic());
                Some(String::from_utf8_lossy(text).into_owned())
            } else {
                None
            };
            Command::Authenticate { mechanism, initial }
        }
        "LOGIN" => {
            let user = c.text()?;
            c.space()?;
            Command::Login { user, password: c.text()? }
        }
        "ENABLE" => {
            let mut names = vec![c.word()?];
            while c.take(b' ') {
                names.push(c.word()?);
            }
            Command::Enable(names)
        }
        "SELECT" | "EXAMINE" => {
            let mailbox = c.mailbox()?;
            let mut condstore = false;
            if c.take(b' ') {
                for name in c.list(|c| c.word())? {
                    match name.as_str() {
                        "CONDSTORE" => condstore = true,
                        _ => return Err(Bad("SELECT has no such parameter here")),
                    }
                }
            }
            Command::Select { mailbox, examine: verb == "EXAMINE", condstore }
        }
        "CREATE" => {
            let mailbox = c.mailbox()?;
            let mut special = Vec::new();
            if c.take(b' ') {
                c.must(b'(', "( is missing")?;
                if !c.take_word("USE") {
                    return Err(Bad("CREATE has no such parameter here"));
                }
                c.space()?;
                special = c.list(|c| c.flag())?;
                c.must(b')', ") is missing")?;
            }
            Command::Create { mailbox, special }
        }
        "DELETE" => Command::Delete(c.mailbox()?),
        "RENAME" => {
            let from = c.mailbox()?;
            c.space()?;
            Command::Rename { from, to: c.mailbox()? }
        }
        "SUBSCRIBE" | "UNSUBSCRIBE" => {
            Command::Subscribe { mailbox: c.mailbox()?, on: verb == "SUBSCRIBE" }
        }
        "LIST" => Command::List(list(c)?),
        "LSUB" => {
            let reference = c.mailbox_or_empty()?;
            c.space()?;
            let patterns = vec![c.pattern()?];
            let list = List { lsub: true, reference, patterns, ..List::default() };
            bounded(&list)?;
            Command::List(list)
        }
        "STATUS" => {
            let mailbox = c.mailbox()?;
            c.space()?;
            Command::Status { mailbox, items: status_items(c)? }
        }
        "APPEND" => append(c)?,
        "GETQUOTA" => Command::GetQuota(c.text()?),
        "GETQUOTAROOT" => Command::GetQuotaRoot(c.mailbox()?),
        "SETQUOTA" => {
            c.text()?;
            c.space()?;
            c.list(|c| {
                c.atom()?;
                c.space()?;
                c.number()
            })?;
            Command::SetQuota
        }
        "UID" => {
            let verb = c.word()?;
            c.space()?;
            match verb.as_str() {
                "EXPUNGE" => Command::Expunge(Some(c.set()?)),
                _ => on_messages(&verb, true, c)?,
            }
        }
        _ => on_messages(verb, false, c)?,
    })
}

/// The commands that exist with and without UID.
fn on_messages(verb: &str, uid: bool, c: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(match verb {
        "FETCH" => {
            let set = c.set()?;
            c.space()?;
            let items = fetch_items(c)?;
            let mut changed_since = None;
            if c.take(b' ') {
                c.must(b'(', "( is missing")?;
                if !c.take_word("CHANGEDSINCE") {
                    return Err(Bad("FETCH has no such modifier here"));
                }
                c.space()?;
                changed_since = Some(c.number()?);
                c.must(b')', ") is missing")?;
            }
            Command::Fetch { uid, set, items, changed_since }
        }
        "STORE" => Command::Store(store(uid, c)?),
        "COPY" | "MOVE" => {
            let set = c.set()?;
            c.space()?;
            Command::Copy { uid, set, to: c.mailbox()?, and_remove: verb == "MOVE" }
        }
        "SEARCH" => {
            let mut results = None;
            if c.take_word("RETURN") {
                c.space()?;
                let mut wanted = c.list(|c| match c.word()?.as_str() {
                    "MIN" => Ok(SearchResult::Min),
                    "MAX" => Ok(SearchResult::Max),
                    "ALL" => Ok(SearchResult::All),
                    "COUNT" => Ok(SearchResult::Count),
                    _ => Err(Bad("SEARCH has no such result option here")),
                })?;
                if wanted.is_empty() {
                    wanted.push(SearchResult::All);
                }
                results = Some(wanted);
                c.space()?;
            }
            let mut charset = None;
            if c.take_word("CHARSET") {
                c.space()?;
                charset = Some(c.text()?);
                c.space()?;
            }
            Command::Search { uid, results, charset, key: search_keys(c)? }
        }
        "SORT" => {
            let by = sort_keys(c)?;
            c.space()?;
            let charset = c.text()?;
            c.space()?;
            Command::Sort { uid, by, charset, key: search_keys(c)? }
        }
        "THREAD" => {
            let algorithm = c.word()?;
            c.space()?;
            let charset = c.text()?;
            c.space()?;
            Command::Thread { uid, algorithm, charset, key: search_keys(c)? }
        }
        _ => return Err(Bad("there is no such command")),
    })
}

fn append(c: &mut Cursor<'_>) -> Parsed<Command> {
    let mailbox = c.mailbox()?;
    c.space()?;
    let mut flags = Vec::new();
    if c.peek() == Some(b'(') {
        flags = c.list(|c| c.flag())?;
        if flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Recent")) {
            return Err(Bad("\\Recent cannot be set"));
        }
        c.space()?;
    }
    let mut date = None;
    if c.peek() == Some(b'"') {
        let text = c.string()?;
        let text = std::str::from_utf8(&text).map_err(|_| Bad("the date is not ASCII"))?;
        date = Some(super::date::parse_internal(text).ok_or(Bad("the date is not a date-time"))?);
        c.space()?;
    }
    Ok(Command::Append { mailbox, flags, date, length: c.last_literal()? })
}

fn store(uid: bool, c: &mut Cursor<'_>) -> Parsed<Store> {
    let set = c.set()?;
    c.space()?;
    let mut unchanged_since = None;
    if c.take(b'(') {
        if !c.take_word("UNCHANGEDSINCE") {
            return Err(Bad("STORE has no such modifier here"));
        }
        c.space()?;
        unchanged_since = Some(c.number()?);
        c.must(b')', ") is missing")?;
        c.space()?;
    }
    let change = if c.take(b'+') {
        FlagChange::Add
    } else if c.take(b'-') {
        FlagChange::Remove
    } else {
        FlagChange::Replace
    };
    let silent = match c.word()?.as_str() {
        "FLAGS" => false,
        "FLAGS.SILENT" => true,
        _ => return Err(Bad("STORE changes FLAGS or FLAGS.SILENT")),
    };
    c.space()?;
    let flags = if c.peek() == Some(b'(') {
        c.list(|c| c.flag())?
    } else {
        let mut flags = vec![c.flag()?];
        while c.take(b' ') {
            flags.push(c.flag()?);
        }
        flags
    };
    Ok(Store { uid, set, unchanged_since, change, silent, flags })
}

fn sort_keys(c: &mut Cursor<'_>) -> Parsed<Vec<SortKey>> {
    let keys = c.list(|c| {
        let mut word = c.word()?;
        let reverse = word == "REVERSE";
        if reverse {
            c.space()?;
            word = c.word()?;
        }
        let by = match word.as_str() {
            "ARRIVAL" => SortBy::Arrival,
            "CC" => SortBy::Cc,
            "DATE" => SortBy::Date,
            "FROM" => SortBy::From,
            "SIZE" => SortBy::Size,
            "SUBJECT" => SortBy::Subject,
            "TO" => SortBy::To,
            _ => return Err(Bad("SORT has no such key here")),
        };
        Ok(SortKey { reverse, by })
    })?;
    if keys.is_empty() { Err(Bad("SORT needs a key")) } else { Ok(keys) }
}

/// A name as an atom, or quoted where it cannot be one.
pub(super) fn astring(name: &str) -> String {
    if !name.is_empty() && name.bytes().all(super::cursor::is_atom) {
        return name.to_owned();
    }
    let plain: String = name.chars().filter(|c| !c.is_control()).collect();
    format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::command::{Item, Key};

    fn ok(text: &str) -> Command {
        parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error:?}")).command
    }

    fn bad(text: &str) {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }

    #[test]
    fn rfc3501_6_commands_are_read() {
        assert_eq!(
            ok("a1 LOGIN \"mrc\" {6}\r\nsecret"),
            Command::Login { user: "mrc".into(), password: "secret".into() }
        );
        assert_eq!(
            ok("a1 login mrc {2+}\r\nab"),
            Command::Login { user: "mrc".into(), password: "ab".into() }
        );
        let Command::Fetch { items, .. } = ok(
            "a UID FETCH 1:*,3 (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (From \"To\")]<0.10> RFC822.TEXT)",
        ) else {
            panic!()
        };
        let Item::Section(section) = &items[1] else { panic!() };
        assert_eq!(section.label, "BODY[1.2.HEADER.FIELDS (From To)]<0>");
        assert_eq!(section.path, [1, 2]);
        assert_eq!(section.partial, Some((0, 10)));
        assert!(
            matches!(ok("a STORE 1 -FLAGS.SILENT \\Seen $x"), Command::Store(store) if store.flags.len() == 2 && store.silent)
        );
        assert!(
            matches!(ok("a LIST (SUBSCRIBED) \"\" (INBOX% \"*\") RETURN (CHILDREN STATUS (MESSAGES SIZE))"),
            Command::List(list) if list.patterns.len() == 2 && list.return_status.is_some())
        );
        assert!(matches!(
            ok("a CREATE x (USE (\\Sent))"),
            Command::Create { special, .. } if special == ["\\Sent"]
        ));
        assert!(matches!(
            ok("a APPEND INBOX (\\Seen) \" 1-Feb-2020 10:00:00 +0100\" {2}\r\nhi"),
            Command::Append { date: Some(1_580_547_600), .. }
        ));
        assert!(matches!(
            ok("a SEARCH RETURN (MIN COUNT) CHARSET UTF-8 OR (1:3 NOT SEEN) FROM x"),
            Command::Search { key: Key::Or(..), .. }
        ));
        assert!(matches!(ok("a SORT (REVERSE DATE SUBJECT) UTF-8 ALL"), Command::Sort { .. }));
    }

    #[test]
    fn rfc3501_6_5_what_is_not_a_command_is_bad() {
        for text in [
            "",
            " ",
            "a",
            "a ",
            "a NOOP ",
            "a NOOP x",
            "a FETCH 0 FLAGS",
            "a FETCH 1 ()",
            "a FETCH 1 BODY[",
            "a FETCH 4294967296 UID",
            "a FETCH 1 BODY[1.]",
            "a FETCH 1 BODY[]<1>",
            "a LOGIN x",
            "a LOGIN \"x y",
            "a LOGIN {99}\r\nx y",
            "a STORE 1 FLAGS",
            "a SEARCH",
            "a SEARCH BOGUS",
            "a LIST \"\"",
            "+ NOOP",
            "a SELECT \"ä\"",
            "a CREATE x (USE",
            "a UID NOOP 1",
        ] {
            bad(text);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_command_or_bad(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        /// Pieces of commands in any order: nearer to the grammar than random bytes.
        #[test]
        fn any_pieces_are_a_command_or_bad(pieces in proptest::collection::vec(proptest::sample::select(vec![
            "a ", "UID ", "FETCH ", "SEARCH ", "STORE ", "LIST ", "APPEND ", "1:*", ",", "(", ")", "BODY[", "]", "<", ">", ".", "1", "HEADER.FIELDS ",
            "{3}\r\n", "{9+}\r\n", "\"", "\\", " ", "OR ", "NOT ", "FLAGS", "&", "-", "*", "%", "RETURN ", "+", "4294967295", "ä",
        ]), 0..40)) {
            let text = format!("a {}", pieces.concat());
            let _ = parse(text.as_bytes());
        }
    }
}
