//! The parts of a message with their places (RFC 2045, 2046), read leniently and with bounds.
//! Bytes are never changed: every part is a range of the stored message.

use std::ops::Range;

use super::parameters::parameterized;

/// How deep parts may lie in each other.
const MAX_DEPTH: usize = 24;
/// The most parts of one message; the rest stays unread.
const MAX_PARTS: usize = 1_000;

/// A part, or the message itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Its header, with the empty line that ends it.
    pub header: Range<usize>,
    /// Its body.
    pub body: Range<usize>,
    /// Type, in lower case.
    pub kind: String,
    /// Subtype, in lower case.
    pub subtype: String,
    /// Parameters of `Content-Type`.
    pub parameters: Vec<(String, String)>,
    /// The parts of a multipart, or the one message within a message/rfc822.
    pub children: Vec<Part>,
}

impl Part {
    /// Whether it consists of parts.
    pub fn is_multipart(&self) -> bool {
        self.kind == "multipart"
    }

    /// Whether it holds a message. IMAP4rev1 knows only message/rfc822 as such (RFC 3501, 9:
    /// media-message); message/global is a part like any other.
    pub fn is_message(&self) -> bool {
        self.kind == "message" && self.subtype == "rfc822"
    }

    /// The part with that number (RFC 3501, 6.4.5): a message that is not multipart has part 1,
    /// and numbers within a message/rfc822 go on with its parts.
    pub fn find(&self, path: &[u32]) -> Option<&Self> {
        let mut part = self;
        for (depth, number) in path.iter().enumerate() {
            let at = usize::try_from(number.checked_sub(1)?).ok()?;
            let inside = if depth > 0 && part.is_message() { part.children.first()? } else { part };
            part = if inside.is_multipart() {
                inside.children.get(at)?
            } else if at == 0 && (depth == 0 || part.is_message()) {
                inside
            } else {
                return None;
            };
        }
        Some(part)
    }
}

/// Reads a message.
pub fn parse(raw: &[u8]) -> Part {
    let mut budget = MAX_PARTS;
    part(raw, 0..raw.len(), 0, "text/plain", &mut budget)
}

/// Where the header ends: after its empty line.
pub fn header_end(raw: &[u8]) -> usize {
    let mut at = 0;
    while at < raw.len() {
        let line = raw[at..].iter().position(|b| *b == b'\n').map_or(raw.len(), |n| at + n + 1);
        if matches!(&raw[at..line], b"\r\n" | b"\n") {
            return line;
        }
        at = line;
    }
    raw.len()
}

fn part(raw: &[u8], range: Range<usize>, depth: usize, usual: &str, budget: &mut usize) -> Part {
    *budget = budget.saturating_sub(1);
    let whole = &raw[range.clone()];
    let split = range.start + header_end(whole);
    let header = range.start..split;
    let body = split..range.end;
    let declared =
        field(&raw[header.clone()], "content-type").map(|value| parameterized(&value)).filter(
            |(kind, _)| kind.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty()),
        );
    let (kind, parameters) = declared.unwrap_or_else(|| {
        let charset = if usual == "text/plain" {
            vec![("charset".into(), "us-ascii".into())]
        } else {
            Vec::new()
        };
        (usual.to_owned(), charset)
    });
    let (kind, subtype) = kind.split_once('/').unwrap_or(("text", "plain"));
    let mut part = Part {
        header,
        body: body.clone(),
        kind: kind.to_owned(),
        subtype: subtype.to_owned(),
        parameters,
        children: Vec::new(),
    };
    if depth >= MAX_DEPTH || *budget == 0 {
        return part;
    }
    if part.is_message() {
        part.children.push(self::part(raw, body, depth + 1, "text/plain", budget));
    } else if part.is_multipart() {
        let usual = if part.subtype == "digest" { "message/rfc822" } else { "text/plain" };
        let boundary =
            part.parameters.iter().find(|(name, _)| name == "boundary").map(|(_, v)| v.clone());
        if let Some(boundary) = boundary.filter(|boundary| !boundary.is_empty()) {
            for range in split_at_boundary(raw, body, boundary.as_bytes()) {
                if *budget == 0 {
                    break;
                }
                part.children.push(self::part(raw, range, depth + 1, usual, budget));
            }
        }
    }
    part
}

/// The ranges between the lines `--boundary`; the line end before one belongs to it.
fn split_at_boundary(raw: &[u8], body: Range<usize>, boundary: &[u8]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start: Option<usize> = None;
    let mut at = body.start;
    while at < body.end {
        let next =
            raw[at..body.end].iter().position(|b| *b == b'\n').map_or(body.end, |n| at + n + 1);
        let line = &raw[at..next];
        let rest = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary));
        let (end, last) = match rest.map(<[u8]>::trim_ascii_end) {
            Some(b"") => (true, false),
            Some(b"--") => (true, true),
            _ => (false, false),
        };
        if end {
            if let Some(start) = start.take() {
                let mut stop = at;
                if stop > start && raw[stop - 1] == b'\n' {
                    stop -= 1;
                    if stop > start && raw[stop - 1] == b'\r' {
                        stop -= 1;
                    }
                }
                parts.push(start..stop);
            }
            if last {
                return parts;
            }
            start = Some(next);
        }
        at = next;
    }
    if let Some(start) = start {
        parts.push(start..body.end);
    }
    parts
}

/// The fields of a header in order: name and value as they stand, without the last line end.
pub fn fields(header: &[u8]) -> Vec<(&[u8], Range<usize>, Range<usize>)> {
    let mut fields = Vec::new();
    let mut at = 0;
    while at < header.len() {
        let mut end = at;
        loop {
            end = header[end..]
                .iter()
                .position(|b| *b == b'\n')
                .map_or(header.len(), |n| end + n + 1);
            if !matches!(header.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let line = &header[at..end];
        if matches!(line, b"\r\n" | b"\n") {
            break;
        }
        if let Some(colon) = line.iter().position(|b| *b == b':') {
            fields.push((line[..colon].trim_ascii(), at + colon + 1..end, at..end));
        }
        at = end;
    }
    fields
}

/// The value of the first field with that name, unfolded.
pub fn field(header: &[u8], name: &str) -> Option<Vec<u8>> {
    fields(header)
        .into_iter()
        .find(|(known, ..)| known.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value, _)| unfold(&header[value]))
}

/// A whole header with each field on one line (RFC 5322, 2.2.3).
pub fn unfolded(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len());
    for (at, byte) in header.iter().enumerate() {
        let folded = |at: usize| matches!(header.get(at), Some(b' ' | b'\t'));
        match byte {
            b'\n' if folded(at + 1) => {}
            b'\r' if header.get(at + 1) == Some(&b'\n') && folded(at + 2) => {}
            byte => out.push(*byte),
        }
    }
    out
}

/// A value without its line ends and outer spaces.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    let value: Vec<u8> = value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    value.trim_ascii().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NESTED: &[u8] = b"Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\npre\r\n--b\r\n\r\none\r\n--b\r\n\
Content-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n\
--c\r\nContent-Type: text/plain\r\n\r\nA\r\n--c\r\nContent-Type: text/html\r\n\r\nB\r\n--c--\r\n--b--\r\npost\r\n";

    fn text(range: &Range<usize>) -> &'static str {
        std::str::from_utf8(&NESTED[range.clone()]).unwrap()
    }

    #[test]
    fn rfc3501_6_4_5_parts_are_numbered() {
        let root = parse(NESTED);
        assert_eq!(root.children.len(), 2);
        assert_eq!(text(&root.find(&[1]).unwrap().body), "one");
        assert_eq!(root.find(&[2]).unwrap().subtype, "rfc822");
        assert_eq!(text(&root.find(&[2, 1]).unwrap().body), "A");
        assert_eq!(text(&root.find(&[2, 2]).unwrap().body), "B");
        assert!(root.find(&[3]).is_none());
        assert!(root.find(&[1, 1]).is_none());
    }

    #[test]
    fn a_simple_message_has_part_one() {
        let root = parse(b"A: b\r\n\r\nhi\r\n");
        assert_eq!(root.find(&[1]), Some(&root));
        assert!(root.find(&[2]).is_none());
        assert!(root.find(&[1, 1]).is_none());
    }

    #[test]
    fn hostile_messages_end() {
        let deep = "Content-Type: message/rfc822\r\n\r\n".repeat(500);
        let _ = parse(deep.as_bytes());
        let many =
            format!("Content-Type: multipart/x; boundary=b\r\n\r\n{}", "--b\r\n\r\n".repeat(5_000));
        let root = parse(many.as_bytes());
        assert!(root.children.len() <= MAX_PARTS);
        for bytes in [
            &b""[..],
            b"\r\n",
            b":",
            b"Content-Type: ;;;=",
            b"Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n",
        ] {
            let _ = parse(bytes);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_message_has_a_structure(pieces in proptest::collection::vec(proptest::sample::select(vec![
            "Content-Type: multipart/mixed; boundary=b\r\n", "Content-Type: message/rfc822\r\n", "--b\r\n", "--b--\r\n", "\r\n", "\n", "\r",
            "From: a <b@c>, d:e;\r\n", " folded\r\n", ":", "Subject: =?utf-8?B?w6Q=?=\r\n", "text\r\n", "\0", "ä", "\"", "(",
            "Content-Disposition: attachment; filename=\"x\r\n", "Content-Language: de, en\r\n",
        ]), 0..60)) {
            let raw = pieces.concat().into_bytes();
            let part = parse(&raw);
            let mut out = Vec::new();
            crate::imap::structure::structure(&mut out, &raw, &part, true);
            crate::imap::structure::envelope(&mut out, &raw[..header_end(&raw)]);
            proptest::prop_assert!(!out.contains(&0));
            let _ = crate::imap::text::body(&raw, &part);
        }
    }
}
