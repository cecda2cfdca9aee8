//! Master files (RFC 1035 section 5): text to records, with the line of every mistake.

use std::fmt;

use dnswire::text::{self, Token};
use dnswire::{Name, RecordType, rdata};

/// One record of a zone, and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line; 0 for a record that came another way.
    pub line: usize,
    /// Its owner.
    pub name: Name,
    /// Seconds it may be kept.
    pub ttl: u32,
    /// Its type.
    pub kind: RecordType,
    /// Its data, names uncompressed.
    pub data: Box<[u8]>,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = rdata::show(self.kind, &self.data);
        write!(f, "{} {} IN {} {data}", self.name, self.ttl, self.kind)
    }
}

/// A mistake in a zone's text or data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistake {
    /// The line; 0 where it is of the zone as a whole.
    pub line: usize,
    /// What is wrong and what to do.
    pub reason: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.reason),
            line => write!(f, "line {line}: {}", self.reason),
        }
    }
}

impl Mistake {
    pub(crate) fn new(line: usize, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

/// A line with its brackets resolved.
struct Line {
    number: usize,
    /// Whether it begins with white space: the owner is the one before.
    indented: bool,
    words: Vec<Token>,
}

/// Splits the text into lines, joining what stands in brackets.
fn lines(text: &str) -> Result<Vec<Line>, Mistake> {
    let mut found = Vec::new();
    let mut open: Option<(usize, Line)> = None;
    for (number, raw) in (1..).zip(text.lines()) {
        let words = text::tokens(&spaced(raw)).map_err(|reason| Mistake::new(number, reason))?;
        let (started, mut line) = open.take().unwrap_or_else(|| {
            let indented = raw.starts_with([' ', '\t']);
            (0, Line { number, indented, words: Vec::new() })
        });
        let mut depth = started;
        for word in words {
            match word.text.as_str() {
                "(" if !word.quoted => depth += 1,
                ")" if !word.quoted => {
                    depth = depth.checked_sub(1).ok_or_else(|| {
                        Mistake::new(number, "a closing bracket has no opening one")
                    })?;
                }
                _ => line.words.push(word),
            }
        }
        if depth > 0 {
            open = Some((depth, line));
        } else if !line.words.is_empty() {
            found.push(line);
        }
    }
    match open {
        Some((_, line)) => {
            Err(Mistake::new(line.number, "the bracket that opens here is never closed"))
        }
        None => Ok(found),
    }
}

/// Puts spaces around brackets that stand outside quotes and comments.
fn spaced(raw: &str) -> std::borrow::Cow<'_, str> {
    if !raw.contains(['(', ')']) {
        return raw.into();
    }
    let mut out = String::with_capacity(raw.len() + 8);
    let (mut quoted, mut chars) = (false, raw.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push(c);
                out.extend(chars.next());
            }
            '"' => {
                quoted = !quoted;
                out.push(c);
            }
            ';' if !quoted => break,
            '(' | ')' if !quoted => out.extend([' ', c, ' ']),
            c => out.push(c),
        }
    }
    out.into()
}

/// Reads master files line by line.
#[derive(Clone, Debug)]
pub struct Parser {
    origin: Name,
    owner: Option<Name>,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
}

impl Parser {
    /// Relative names stand below `origin`; `ttl` is used where no TTL is said.
    pub fn new(origin: &Name, ttl: Option<u32>) -> Self {
        Self { origin: origin.clone(), owner: None, default_ttl: ttl, last_ttl: None }
    }

    /// Reads a text.
    ///
    /// # Errors
    /// The first [`Mistake`].
    pub fn read(&mut self, text: &str) -> Result<Vec<Entry>, Mistake> {
        let mut entries = Vec::new();
        for line in lines(text)? {
            let number = line.number;
            let entry = self.line(line).map_err(|reason| Mistake::new(number, reason))?;
            entries.extend(entry);
        }
        Ok(entries)
    }

    fn line(&mut self, line: Line) -> Result<Option<Entry>, String> {
        let mut words = &line.words[..];
        if let [word, rest @ ..] = words
            && word.text.starts_with('$')
            && !line.indented
        {
            return self.directive(&word.text, rest).map(|()| None);
        }
        if line.indented {
            if self.owner.is_none() {
                return Err("the line begins with a space, but there is no name before it".into());
            }
        } else if let [word, rest @ ..] = words {
            self.owner =
                Some(Name::parse(&word.text, Some(&self.origin)).map_err(|e| e.to_string())?);
            words = rest;
        }
        let name = self.owner.clone().ok_or("there is no owner name")?;
        let (mut ttl, mut class) = (None, false);
        // TTL and class in any order, each at most once.
        while let [word, rest @ ..] = words {
            if !class && word.text.eq_ignore_ascii_case("IN") {
                class = true;
            } else if ["CH", "HS", "CS"].iter().any(|class| word.text.eq_ignore_ascii_case(class)) {
                return Err(format!("class {} is not served; write IN or nothing", word.text));
            } else if ttl.is_none() && word.text.starts_with(|c: char| c.is_ascii_digit()) {
                ttl = Some(text::seconds(&word.text)?);
            } else {
                break;
            }
            words = rest;
        }
        let [word, rest @ ..] = words else {
            return Err(format!("after the name {name} a type and data are missing"));
        };
        let kind: RecordType = word.text.parse()?;
        if kind.is_meta() {
            return Err(format!("{kind} does not stand in zones"));
        }
        let data = rdata::parse(kind, rest, Some(&self.origin))?;
        // RFC 2308 section 4: $TTL, else the last TTL (RFC 1035), else the SOA's minimum.
        let minimum = || match data.last_chunk::<4>() {
            Some(bytes) if kind == RecordType::SOA => Some(u32::from_be_bytes(*bytes)),
            _ => None,
        };
        let ttl = ttl.or(self.default_ttl).or(self.last_ttl).or_else(minimum).ok_or_else(|| {
            format!("no TTL is known for this {kind} record; begin the file with $TTL 3600")
        })?;
        self.last_ttl = Some(ttl);
        Ok(Some(Entry { line: line.number, name, ttl, kind, data }))
    }

    fn directive(&mut self, word: &str, rest: &[Token]) -> Result<(), String> {
        let one = |what: &str| match rest {
            [word] => Ok(word.text.as_str()),
            _ => Err(format!("{word} takes {what}")),
        };
        match word.to_ascii_uppercase().as_str() {
            "$ORIGIN" => {
                let text = one("one name")?;
                self.origin = Name::parse(text, Some(&self.origin)).map_err(|e| e.to_string())?;
                Ok(())
            }
            "$TTL" => {
                self.default_ttl = Some(text::seconds(one("one time")?)?);
                Ok(())
            }
            "$INCLUDE" => Err("$INCLUDE is not supported: put the records into this file".into()),
            "$GENERATE" => Err("$GENERATE is not supported: write the records out".into()),
            _ => Err(format!("`{word}` is not a directive; $ORIGIN and $TTL are")),
        }
    }
}

/// Reads a zone's text.
///
/// # Errors
/// The first [`Mistake`].
pub fn parse(origin: &Name, text: &str) -> Result<Vec<Entry>, Mistake> {
    Parser::new(origin, None).read(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Name {
        Name::complete("isi.edu").unwrap()
    }

    #[test]
    fn rfc1035_5_3_the_example_of_the_standard() {
        let text = "
@   IN  SOA     VENERA      Action\\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        NS      VENERA
        MX      10      VENERA
        MX      20      VAXA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32
";
        let entries = parse(&origin(), text).unwrap();
        assert_eq!(entries.len(), 8);
        assert!(
            entries[0].to_string().starts_with(
                "isi.edu. 60 IN SOA VENERA.isi.edu. Action\\.domains.isi.edu. 20 7200"
            )
        );
        assert_eq!(entries[7].to_string(), "VENERA.isi.edu. 60 IN A 128.9.0.32");
        assert_eq!(entries[7].line, 17);
    }

    #[test]
    fn directives_ttls_and_classes() {
        let text = "$TTL 1h\n$ORIGIN sub\nw 5 IN A 10.0.0.1\nx IN 6 A 10.0.0.2\n$ORIGIN b.test.\n@ TXT \"a;b (c)\" ; rest\n";
        let lines: Vec<_> =
            parse(&origin(), text).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "w.sub.isi.edu. 5 IN A 10.0.0.1",
                "x.sub.isi.edu. 6 IN A 10.0.0.2",
                "b.test. 3600 IN TXT \"a;b (c)\""
            ]
        );
    }

    #[test]
    fn mistakes_have_their_line_and_reason() {
        for (text, line, part) in [
            ("$TTL 1\na A 10.0.0.1\nb A 10.0.0", 3, "IPv4"),
            ("$TTL 1\na A", 2, "needs more"),
            ("$TTL 1\n A 10.0.0.1", 2, "no name before"),
            ("a A 10.0.0.1", 1, "$TTL"),
            ("$TTL 1\n@ SOA a b ( 1\n2 3 4 5", 2, "never closed"),
            ("$TTL 1\n@ TXT )", 2, "no opening"),
            ("$INCLUDE x", 1, "not supported"),
            ("$TTL 1\na CH A 10.0.0.1", 2, "class"),
            ("$TTL 1\na XX 10.0.0.1", 2, "not a record type"),
            ("$TTL 1\na ANY 10.0.0.1", 2, "does not stand"),
            ("$TTL 1\na TXT \"x", 2, "quotes"),
            ("$TTL 1\na.", 2, "missing"),
            ("$ORIGIN", 1, "one name"),
        ] {
            let mistake = parse(&origin(), text).unwrap_err();
            assert_eq!(mistake.line, line, "{text}: {mistake}");
            assert!(mistake.reason.contains(part), "{text}: {mistake}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z@.()\";\\\\$ \t\n0-9]{0,80}") {
            let _ = parse(&origin(), &text);
        }
    }
}
