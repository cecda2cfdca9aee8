//! The way back from the result to the source: marks are put into the text before it is rendered and
//! taken out afterwards.

use crate::source::Expanded;

/// Begins a mark; a character of the private use area.
pub(super) const OPEN: char = '\u{F8F0}';

/// Ends a mark.
pub(super) const CLOSE: char = '\u{F8F1}';

/// Puts marks in: before plain text `OPEN start CLOSE`, before an expression
/// `OPEN start,length CLOSE`. Also where bytes were put in: place in the result and how many.
pub(super) fn mark(text: &str) -> (String, Vec<(usize, usize)>) {
    let mut marked = String::with_capacity(text.len() * 2);
    let mut inserts = Vec::new();
    let mut put = |marked: &mut String, what: String| {
        inserts.push((marked.len(), what.len()));
        marked.push_str(&what);
    };
    let mut at = 0;
    // What the last tag takes of the blanks after it.
    let (mut takes_all, mut takes_newline) = (false, false);
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let next = next_tag(rest);
        let plain = rest.get(..next.unwrap_or(rest.len())).unwrap_or_default();
        let skip = if takes_all {
            plain.len() - plain.trim_start().len()
        } else if takes_newline {
            ["\r\n", "\n"].iter().find(|end| plain.starts_with(**end)).map_or(0, |end| end.len())
        } else {
            0
        };
        let (blank, shown) = plain.split_at(skip);
        marked.push_str(blank);
        if !shown.trim().is_empty() {
            put(&mut marked, format!("{OPEN}{}{CLOSE}", at + skip));
        }
        marked.push_str(shown);
        let Some(next) = next else { break };
        let start = at + next;
        let tag = text.get(start..).unwrap_or_default();
        let close = match tag.get(..2) {
            Some("{{") => "}}",
            Some("{%") => "%}",
            _ => "#}",
        };
        let length = end_of_tag(tag, close);
        if close == "}}" && !tag.starts_with("{{-") {
            put(&mut marked, format!("{OPEN}{start},{length}{CLOSE}"));
        }
        let whole = tag.get(..length).unwrap_or(tag);
        marked.push_str(whole);
        takes_all = whole.ends_with(&format!("-{close}"));
        takes_newline = close != "}}" && !whole.ends_with(&format!("+{close}"));
        at = start + length;
        if is_raw(whole) {
            // What stands up to `endraw` is plain, whatever braces it has.
            let rest = text.get(at..).unwrap_or_default();
            let kept = rest.get(..end_of_raw(rest)).unwrap_or_default();
            let skip = ["\r\n", "\n"].iter().find(|end| kept.starts_with(**end));
            let skip = skip.map_or(0, |end| end.len());
            let (blank, shown) = kept.split_at(skip);
            marked.push_str(blank);
            put(&mut marked, format!("{OPEN}{}{CLOSE}", at + skip));
            marked.push_str(shown);
            at += kept.len();
            (takes_all, takes_newline) = (false, false);
        }
        if length == 0 {
            break;
        }
    }
    (marked, inserts)
}

/// Where the next tag begins.
fn next_tag(text: &str) -> Option<usize> {
    text.as_bytes().windows(2).position(|two| matches!(two, b"{{" | b"{%" | b"{#"))
}

/// Whether a tag is `{% raw %}`.
fn is_raw(tag: &str) -> bool {
    let inner = tag.strip_prefix("{%").and_then(|tag| tag.strip_suffix("%}"));
    inner.is_some_and(|inner| inner.trim_matches(['-', '+', ' ']) == "raw")
}

/// Where `{% endraw %}` begins; the whole text where there is none.
fn end_of_raw(text: &str) -> usize {
    let is_end = |at: &usize| {
        let inner = text.get(at + 2..).unwrap_or_default();
        inner.trim_start_matches(['-', '+', ' ']).starts_with("endraw")
    };
    text.match_indices("{%").map(|(at, _)| at).find(is_end).unwrap_or(text.len())
}

/// A tag that begins and does not end: where, and how it begins.
pub(super) fn unclosed(text: &str) -> Option<(usize, &str)> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let next = next_tag(rest)?;
        let tag = rest.get(next..)?;
        let (open, close) = match tag.get(..2)? {
            "{{" => ("{{", "}}"),
            "{%" => ("{%", "%}"),
            _ => ("{#", "#}"),
        };
        let length = end_of_tag(tag, close);
        let whole = tag.get(..length)?;
        if is_raw(whole) {
            at += next + length + end_of_raw(tag.get(length..)?);
            continue;
        }
        if !whole.ends_with(close) || length < 4 {
            return Some((at + next, open));
        }
        at += next + length;
    }
}

/// Bytes of a tag, its end included; quotes inside of it may hold the end.
fn end_of_tag(tag: &str, close: &str) -> usize {
    let bytes = tag.as_bytes();
    let (mut at, mut quote) = (2, None);
    while at < bytes.len() {
        let byte = bytes[at];
        match quote {
            Some(_) if byte == b'\\' => at += 1,
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if close != "#}" && (byte == b'"' || byte == b'\'') => quote = Some(byte),
            None if bytes[at..].starts_with(close.as_bytes()) => return at + 2,
            None => {}
        }
        at += 1;
    }
    tag.len()
}

pub(super) fn unmark(result: &str) -> Expanded {
    let mut text = String::with_capacity(result.len());
    let mut pieces = Vec::new();
    let mut rest = result;
    while let Some(open) = rest.find(OPEN) {
        let (plain, mark) = rest.split_at(open);
        text.push_str(plain);
        let Some(close) = mark.find(CLOSE) else { break };
        let inner = mark.get(OPEN.len_utf8()..close).unwrap_or_default();
        let (start, length) = inner.split_once(',').unwrap_or((inner, "0"));
        if let (Ok(start), Ok(length), Ok(here)) =
            (start.parse(), length.parse(), u32::try_from(text.len()))
        {
            pieces.push((here, start, length));
        }
        rest = mark.get(close + CLOSE.len_utf8()..).unwrap_or_default();
    }
    text.push_str(rest);
    Expanded { text, pieces }
}
