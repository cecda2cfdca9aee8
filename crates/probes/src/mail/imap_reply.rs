//! What an IMAP server says, as a tree (RFC 3501, section 9), with bounds.

/// How deep lists may lie in each other.
const MAX_DEPTH: usize = 40;

/// A piece of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A word, with what it has in brackets: `FLAGS`, `BODY[HEADER.FIELDS (TO)]`, `12`.
    Atom(String),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    /// A list in parentheses.
    List(Vec<Item>),
}

impl Item {
    /// Its text; empty for a list and for NIL.
    pub fn text(&self) -> String {
        match self {
            Self::Atom(word) if word.eq_ignore_ascii_case("NIL") => String::new(),
            Self::Atom(word) => word.clone(),
            Self::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::List(_) => String::new(),
        }
    }

    /// Its bytes, where it is a string.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Its number, where it is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Atom(word) => word.parse().ok(),
            _ => None,
        }
    }

    /// Its members, where it is a list.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// Whether it is this word.
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Self::Atom(atom) if atom.eq_ignore_ascii_case(word))
    }
}

/// Reads a response: a line without its line end, literals within as `{n}CRLF` and bytes.
/// What follows a mistake is left out.
pub fn parse_line(line: &[u8]) -> Vec<Item> {
    Parser { rest: line }.items(0)
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl Parser<'_> {
    fn items(&mut self, depth: usize) -> Vec<Item> {
        let mut items = Vec::new();
        while let Some(byte) = self.rest.first().copied() {
            match byte {
                b' ' => self.rest = &self.rest[1..],
                b')' => {
                    self.rest = &self.rest[1..];
                    return items;
                }
                b'(' if depth < MAX_DEPTH => {
                    self.rest = &self.rest[1..];
                    items.push(Item::List(self.items(depth + 1)));
                }
                b'(' => {
                    self.rest = &[];
                }
                b'"' => items.push(Item::Text(self.quoted())),
                b'{' => match self.literal() {
                    Some(bytes) => items.push(Item::Text(bytes)),
                    None => self.rest = &[],
                },
                _ => items.push(Item::Atom(self.atom())),
            }
        }
        items
    }

    fn quoted(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = 1;
        while let Some(byte) = self.rest.get(at) {
            match byte {
                b'"' => {
                    at += 1;
                    break;
                }
                b'\\' if at + 1 < self.rest.len() => {
                    out.push(self.rest[at + 1]);
                    at += 2;
                }
                byte => {
                    out.push(*byte);
                    at += 1;
                }
            }
        }
        self.rest = &self.rest[at.min(self.rest.len())..];
        out
    }

    fn literal(&mut self) -> Option<Vec<u8>> {
        let end = self.rest.iter().position(|b| *b == b'}')?;
        let n: usize = std::str::from_utf8(self.rest.get(1..end)?).ok()?.parse().ok()?;
        let after = self.rest.get(end + 1..)?.strip_prefix(b"\r\n")?;
        let bytes = after.get(..n)?.to_vec();
        self.rest = &after[n..];
        Some(bytes)
    }

    fn atom(&mut self) -> String {
        let mut at = 0;
        let mut brackets = 0_usize;
        while let Some(byte) = self.rest.get(at) {
            match byte {
                b'[' => brackets += 1,
                b']' => brackets = brackets.saturating_sub(1),
                b' ' | b'(' | b')' if brackets == 0 => break,
                _ => {}
            }
            at += 1;
        }
        let at = at.max(1).min(self.rest.len());
        let word = String::from_utf8_lossy(&self.rest[..at]).into_owned();
        self.rest = &self.rest[at..];
        word
    }
}

/// The number in `{n}` at the end of a line, where a literal follows.
pub(super) fn literal_after(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let start = inner.iter().rposition(|b| *b == b'{')?;
    std::str::from_utf8(&inner[start + 1..]).ok()?.trim_end_matches('+').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_with_literal_brackets_and_lists() {
        let items = parse_line(
            b"* 2 FETCH (UID 7 FLAGS (\\Seen $x) BODY[HEADER.FIELDS (TO)] {4}\r\nA)\r\n X \"q\\\"\")",
        );
        assert_eq!(items[1].number(), Some(2));
        let fetch = items[3].list();
        assert_eq!(fetch[3].list().len(), 2);
        assert_eq!(fetch[4], Item::Atom("BODY[HEADER.FIELDS (TO)]".into()));
        assert_eq!(fetch[5], Item::Text(b"A)\r\n".to_vec()));
        assert_eq!(fetch[7], Item::Text(b"q\"".to_vec()));
    }

    #[test]
    fn hostile_lines_end() {
        for line in [&b"((((((("[..], b"{99999}\r\nx", b"\"open", b"a[b", b")", b"]", &[b'('; 500]]
        {
            let _ = parse_line(line);
        }
        assert_eq!(literal_after(b"x {12}"), Some(12));
        assert_eq!(literal_after(b"x {1 2}"), None);
    }
}
