//! Walks over the bytes of a command (RFC 3501, section 9). Total: every byte string gives a
//! value or an error, and every call that succeeds moves on or stops.

/// Why a command is BAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad(pub &'static str);

/// The result of reading a piece.
pub type Parsed<T> = Result<T, Bad>;

/// A place in a command; literals lie within it as `{n}CRLF` and bytes.
#[derive(Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether everything is read.
    pub fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What comes next, without moving.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Moves over `byte` where it comes next.
    pub fn take(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        if here {
            self.rest = &self.rest[1..];
        }
        here
    }

    /// Moves over `byte`, which must come next.
    pub fn must(&mut self, byte: u8, why: &'static str) -> Parsed<()> {
        if self.take(byte) { Ok(()) } else { Err(Bad(why)) }
    }

    /// One space.
    pub fn space(&mut self) -> Parsed<()> {
        self.must(b' ', "a space is missing")
    }

    /// The end.
    pub fn end(&self) -> Parsed<()> {
        if self.at_end() { Ok(()) } else { Err(Bad("something follows the command")) }
    }

    /// Bytes as long as they please.
    pub fn while_(&mut self, keep: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !keep(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// An atom.
    pub fn atom(&mut self) -> Parsed<&'a str> {
        let bytes = self.while_(is_atom);
        if bytes.is_empty() {
            return Err(Bad("an atom is missing"));
        }
        std::str::from_utf8(bytes).map_err(|_| Bad("an atom is not ASCII"))
    }

    /// An atom in capitals.
    pub fn word(&mut self) -> Parsed<String> {
        self.atom().map(str::to_ascii_uppercase)
    }

    /// Moves over the word where it comes next, whatever its case.
    pub fn take_word(&mut self, word: &str) -> bool {
        let Some(head) = self.rest.get(..word.len()) else { return false };
        let ends = self.rest.get(word.len()).is_none_or(|byte| !is_atom(*byte));
        let here = ends && head.eq_ignore_ascii_case(word.as_bytes());
        if here {
            self.rest = &self.rest[word.len()..];
        }
        here
    }

    /// A number.
    pub fn number(&mut self) -> Parsed<u64> {
        let digits = self.while_(|byte| byte.is_ascii_digit());
        let text = std::str::from_utf8(digits).map_err(|_| Bad("a number is missing"))?;
        text.parse().map_err(|_| Bad("a number is missing or too large"))
    }

    /// A number of at most 32 bits that is not 0.
    pub fn nonzero(&mut self) -> Parsed<u32> {
        match u32::try_from(self.number()?) {
            Ok(0) | Err(_) => Err(Bad("a number must be 1 to 4294967295")),
            Ok(number) => Ok(number),
        }
    }

    /// A quoted string or a literal.
    pub fn string(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => Err(Bad("a string is missing")),
        }
    }

    fn quoted(&mut self) -> Parsed<Vec<u8>> {
        self.must(b'"', "a quoted string is missing")?;
        let mut out = Vec::new();
        loop {
            match self.peek() {
                None | Some(b'\r' | b'\n') => return Err(Bad("a quoted string does not end")),
                Some(b'"') => {
                    self.take(b'"');
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.take(b'\\');
                    match self.peek() {
                        Some(byte @ (b'"' | b'\\')) => {
                            self.take(byte);
                            out.push(byte);
                        }
                        _ => return Err(Bad("only \" and \\ can follow \\ in a quoted string")),
                    }
                }
                Some(0) => return Err(Bad("a string cannot hold NUL")),
                Some(byte) => {
                    self.take(byte);
                    out.push(byte);
                }
            }
        }
    }

    /// A literal.
    pub fn literal(&mut self) -> Parsed<Vec<u8>> {
        self.literal_bytes().map(<[u8]>::to_vec)
    }

    /// A literal that ends the command; how long it is. The caller has the bytes already: a
    /// message must not be in memory twice.
    pub fn last_literal(&mut self) -> Parsed<usize> {
        let length = self.literal_bytes()?.len();
        self.end()?;
        Ok(length)
    }

    fn literal_bytes(&mut self) -> Parsed<&'a [u8]> {
        self.must(b'{', "a literal is missing")?;
        let n = usize::try_from(self.number()?).map_err(|_| Bad("a literal is too large"))?;
        self.take(b'+');
        self.must(b'}', "a literal's length does not end")?;
        self.take(b'\r');
        self.must(b'\n', "a literal must begin on a new line")?;
        if n > self.rest.len() {
            return Err(Bad("a literal is cut off"));
        }
        let (bytes, rest) = self.rest.split_at(n);
        self.rest = rest;
        if bytes.contains(&0) {
            return Err(Bad("a literal cannot hold NUL"));
        }
        Ok(bytes)
    }

    /// An atom (`]` allowed), a quoted string or a literal.
    pub fn astring(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => {
                let bytes = self.while_(|byte| is_atom(byte) || byte == b']');
                if bytes.is_empty() { Err(Bad("a string is missing")) } else { Ok(bytes.to_vec()) }
            }
        }
    }

    /// An astring as text.
    pub fn text(&mut self) -> Parsed<String> {
        String::from_utf8(self.astring()?).map_err(|_| Bad("a string is not UTF-8"))
    }

    /// A mailbox name, decoded.
    pub fn mailbox(&mut self) -> Parsed<String> {
        let raw = self.text()?;
        let name = mutf7::decode(&raw).ok_or(Bad("a mailbox name is not modified UTF-7"))?;
        Ok(crate::store::canonical(&name))
    }

    /// A pattern of LIST, decoded.
    pub fn pattern(&mut self) -> Parsed<String> {
        let raw = match self.peek() {
            Some(b'"' | b'{') => self.string()?,
            _ => self.while_(|byte| is_atom(byte) || matches!(byte, b']' | b'%' | b'*')).to_vec(),
        };
        let raw = String::from_utf8(raw).map_err(|_| Bad("a pattern is not UTF-8"))?;
        mutf7::decode(&raw).ok_or(Bad("a pattern is not modified UTF-7"))
    }

    /// A flag: `\Seen` or a keyword.
    pub fn flag(&mut self) -> Parsed<String> {
        let system = self.take(b'\\');
        let name = self.atom()?;
        Ok(if system { format!("\\{name}") } else { name.to_owned() })
    }

    /// `(a b c)`, also empty.
    pub fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.must(b'(', "( is missing")?;
        let mut items = Vec::new();
        if self.take(b')') {
            return Ok(items);
        }
        loop {
            items.push(one(self)?);
            if self.take(b')') {
                return Ok(items);
            }
            self.must(b' ', "a space or ) is missing")?;
        }
    }

    /// `1:4,7,9:*`.
    pub fn set(&mut self) -> Parsed<super::command::Set> {
        let mut ranges = Vec::new();
        loop {
            let first = self.set_number()?;
            let last = if self.take(b':') { self.set_number()? } else { first };
            ranges.push((first, last));
            if !self.take(b',') {
                return Ok(super::command::Set::new(ranges));
            }
        }
    }

    fn set_number(&mut self) -> Parsed<Option<u32>> {
        if self.take(b'*') { Ok(None) } else { self.nonzero().map(Some) }
    }
}

/// Whether a byte can be in an atom.
pub fn is_atom(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e)
        && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}
