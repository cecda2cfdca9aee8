//! SORT (RFC 5256): keys, base subjects, order.

use std::cmp::Ordering;

use super::address;
use super::command::{SortBy, SortKey};
use super::mime;
use super::sent::sent;
use super::text;

/// What a message is sorted by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its number, which decides where all else is equal.
    pub number: u32,
    /// Its UID.
    pub uid: u32,
    /// INTERNALDATE.
    pub arrival: i64,
    /// Size in bytes.
    pub size: u32,
    /// Sent date, else INTERNALDATE.
    pub date: i64,
    /// The first mailbox in `From:`, capitals.
    pub from: String,
    /// The first mailbox in `To:`, capitals.
    pub to: String,
    /// The first mailbox in `Cc:`, capitals.
    pub cc: String,
    /// The base subject, capitals.
    pub subject: String,
}

impl Row {
    /// Reads the header fields of the message.
    pub fn read(&mut self, header: &[u8]) {
        let first = |name: &str| {
            let addresses = mime::field(header, name).map(|value| address::parse(&value));
            let mailbox =
                addresses.and_then(|list| list.into_iter().next()).and_then(|one| one.mailbox);
            String::from_utf8_lossy(&mailbox.unwrap_or_default()).to_uppercase()
        };
        self.from = first("from");
        self.to = first("to");
        self.cc = first("cc");
        self.subject = subject(header).0.to_uppercase();
        self.date = sent(header).map_or(self.arrival, |sent| sent.seconds);
    }
}

/// The base subject of a header, and whether it is of a reply or forward.
pub fn subject(header: &[u8]) -> (String, bool) {
    base_subject(&text::decoded(&mime::field(header, "subject").unwrap_or_default()))
}

/// Orders the rows.
pub fn sort(rows: &mut [Row], keys: &[SortKey]) {
    rows.sort_by(|a, b| {
        for key in keys {
            let order = match key.by {
                SortBy::Arrival => a.arrival.cmp(&b.arrival),
                SortBy::Cc => a.cc.cmp(&b.cc),
                SortBy::Date => a.date.cmp(&b.date),
                SortBy::From => a.from.cmp(&b.from),
                SortBy::Size => a.size.cmp(&b.size),
                SortBy::Subject => a.subject.cmp(&b.subject),
                SortBy::To => a.to.cmp(&b.to),
            };
            let order = if key.reverse { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        a.number.cmp(&b.number)
    });
}

/// The base subject and whether the message is a reply or forward (RFC 5256, 2.1).
pub fn base_subject(subject: &str) -> (String, bool) {
    // Other white space, such as that which does not break, is text.
    let white = [' ', '\t', '\r', '\n'];
    let words = subject.split(white).filter(|word| !word.is_empty());
    let mut text = words.collect::<Vec<_>>().join(" ");
    let mut reply = false;
    loop {
        let before = text.len();
        // Trailers: (fwd).
        while let Some(head) = strip_suffix_nocase(text.trim_end_matches(' '), "(fwd)") {
            text = head.trim_end_matches(' ').to_owned();
            reply = true;
        }
        text = text.trim_end_matches(' ').to_owned();
        // Leaders: blobs and Re:, Fw:, Fwd:, and blobs that leave something.
        loop {
            let head = text.trim_start_matches(' ');
            let after_blobs = skip_blobs(head);
            if let Some(rest) = refwd(after_blobs) {
                text = rest.trim_start_matches(' ').to_owned();
                reply = true;
                continue;
            }
            if let Some(rest) = blob(head)
                && !rest.trim_matches(' ').is_empty()
            {
                text = rest.trim_start_matches(' ').to_owned();
                continue;
            }
            text = head.to_owned();
            break;
        }
        // [Fwd: …] as a whole.
        if let Some(inner) =
            strip_prefix_nocase(&text, "[fwd:").and_then(|rest| rest.strip_suffix(']'))
        {
            text = inner.trim_matches(' ').to_owned();
            reply = true;
            continue;
        }
        if text.len() == before {
            return (text, reply);
        }
    }
}

fn strip_prefix_nocase<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

fn strip_suffix_nocase<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(suffix.len())?;
    let tail = text.get(at..)?;
    tail.eq_ignore_ascii_case(suffix).then(|| &text[..at])
}

/// `[…]` and what follows.
fn blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    // BLOBCHAR is ASCII without the brackets.
    let end = inner.find(|c: char| matches!(c, '[' | ']') || !c.is_ascii())?;
    inner[end..].strip_prefix(']').map(|rest| rest.trim_start_matches(' '))
}

fn skip_blobs(mut text: &str) -> &str {
    while let Some(rest) = blob(text) {
        text = rest;
    }
    text
}

/// `Re:`, `Fw:`, `Fwd:`, with a blob before the colon.
fn refwd(text: &str) -> Option<&str> {
    let rest = ["re", "fwd", "fw"].iter().find_map(|word| strip_prefix_nocase(text, word))?;
    let rest = rest.trim_start_matches(' ');
    blob(rest).unwrap_or(rest).strip_prefix(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5256_2_1_base_subjects() {
        for (subject, base, reply) in [
            ("Hello", "Hello", false),
            ("Re: Hello", "Hello", true),
            ("re:  FWD: [list] Hello  there (fwd)", "Hello there", true),
            ("[list] Hello", "Hello", false),
            ("[only]", "[only]", false),
            ("Re[2]: x", "x", true),
            ("[Fwd: x]", "x", true),
            ("Re:", "", true),
            ("Reply: x", "Reply: x", false),
            ("", "", false),
            // A blob stays where it is all there is, and only the last of several.
            ("[a] [b]", "[b]", false),
            ("Re: [a] [b] ", "[b]", true),
            ("[a][b] Re [c] : [d] x", "x", true),
            ("re[1]:re[2]:fwd[3]: x", "x", true),
            // The trailers come first, also within [fwd: ].
            ("Re: x (fwd) (FWD)", "x", true),
            ("[Fwd: [list] Re: x (fwd)]", "x", true),
            ("[fwd: [fwd: x]]", "x", true),
            ("Re: [Fwd: ]", "", true),
            ("(fwd)", "", true),
            // These are no leaders.
            ("Re : x", "x", true),
            ("Re x: y", "Re x: y", false),
            ("Aw: x", "Aw: x", false),
            ("[ä] x", "[ä] x", false),
            ("[a[b] x", "[a[b] x", false),
            ("x [fwd: y]", "x [fwd: y]", false),
            ("\u{a0}Re: x", "\u{a0}Re: x", false),
            ("tab\there  and\r\n there", "tab here and there", false),
        ] {
            assert_eq!(base_subject(subject), (base.to_owned(), reply), "{subject}");
        }
    }
}
