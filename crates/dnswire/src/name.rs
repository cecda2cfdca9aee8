//! Domain names (RFC 1035 section 3.1): kept as wire bytes, compared without case.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::WireError;

/// A domain name, always complete. Keeps its case; equality, hash and order ignore it.
/// The order is the canonical one of RFC 4034 section 6.1.
#[derive(Clone)]
pub struct Name(Box<[u8]>);

/// Why a text is not a domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or nothing between two dots.
    #[error("`{0}` has an empty label: write one dot between labels")]
    Empty(String),
    /// A label of more than 63 bytes.
    #[error("`{0}` has a label of more than 63 bytes")]
    Label(String),
    /// More than 255 bytes in all.
    #[error("`{0}` is longer than 255 bytes with its origin")]
    Long(String),
    /// A backslash that means nothing.
    #[error(
        "`{0}` has a wrong escape: write \\DDD with a number up to 255, or \\ and one character"
    )]
    Escape(String),
    /// A character outside ASCII.
    #[error("`{0}` has characters outside ASCII: write the name in its xn-- form")]
    Ascii(String),
    /// A relative name where there is no origin.
    #[error("`{0}` is relative, and no origin is set: end it with a dot")]
    Relative(String),
}

impl Name {
    /// The root.
    pub fn root() -> Self {
        Self(Box::from([0u8]))
    }

    /// Reads a text; without a final dot it stands below `origin`. `@` is the origin.
    ///
    /// # Errors
    /// [`NameError`] with the text.
    pub fn parse(text: &str, origin: Option<&Self>) -> Result<Self, NameError> {
        let relative = || origin.ok_or_else(|| NameError::Relative(text.into()));
        match text {
            "@" => return relative().cloned(),
            "." => return Ok(Self::root()),
            "" => return Err(NameError::Empty(text.into())),
            _ => {}
        }
        let mut wire = vec![0u8];
        let mut start = 0; // of the label being read
        let mut bytes = text.bytes();
        let mut complete = false;
        while let Some(byte) = bytes.next() {
            complete = false;
            let byte = match byte {
                b'.' => {
                    if wire.len() == start + 1 {
                        return Err(NameError::Empty(text.into()));
                    }
                    start = wire.len();
                    wire.push(0);
                    complete = true;
                    continue;
                }
                b'\\' => {
                    let escape = || NameError::Escape(text.into());
                    let first = bytes.next().ok_or_else(escape)?;
                    if first.is_ascii_digit() {
                        let mut value = u32::from(first - b'0');
                        for _ in 0..2 {
                            let digit =
                                bytes.next().filter(u8::is_ascii_digit).ok_or_else(escape)?;
                            value = value * 10 + u32::from(digit - b'0');
                        }
                        u8::try_from(value).map_err(|_| escape())?
                    } else {
                        first
                    }
                }
                byte if !byte.is_ascii() => return Err(NameError::Ascii(text.into())),
                byte => byte,
            };
            wire.push(byte);
            if wire.len() - start > 64 {
                return Err(NameError::Label(text.into()));
            }
            wire[start] += 1;
        }
        if !complete {
            wire.extend_from_slice(&relative()?.0);
        }
        if wire.len() > 255 {
            return Err(NameError::Long(text.into()));
        }
        Ok(Self(wire.into()))
    }

    /// Reads a complete name, with or without its final dot.
    ///
    /// # Errors
    /// [`NameError`] with the text.
    pub fn complete(text: &str) -> Result<Self, NameError> {
        Self::parse(text, Some(&Self::root()))
    }

    /// Takes uncompressed wire bytes that are known to be a name.
    pub fn from_wire(wire: &[u8]) -> Result<Self, WireError> {
        match Self::read(wire, 0)? {
            (name, end) if end == wire.len() && name.0.len() == end => Ok(name),
            _ => Err(WireError::Name),
        }
    }

    /// Reads a name that may be compressed; gives it and the place after it. Pointers must point
    /// backwards, so that it ends.
    ///
    /// # Errors
    /// [`WireError::Name`] or [`WireError::Short`].
    pub fn read(message: &[u8], at: usize) -> Result<(Self, usize), WireError> {
        let mut wire = [0u8; 255];
        let (length, end) = read_into(message, at, &mut wire)?;
        Ok((Self(wire[..length].into()), end))
    }

    /// The bytes.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// Its labels from the left, without the root's.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        labels_of(&self.0)
    }

    /// How many labels, without the root's.
    pub fn count(&self) -> usize {
        self.labels().count()
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Without its first label.
    pub fn parent(&self) -> Option<Self> {
        parent_of(&self.0).map(|wire| Self(wire.into()))
    }

    /// Whether it is `other` or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        let (Some(extra), theirs) = (self.0.len().checked_sub(other.0.len()), &other.0) else {
            return false;
        };
        let mut at = 0;
        while at < extra {
            at += usize::from(self.0[at]) + 1;
        }
        at == extra && self.0[extra..].eq_ignore_ascii_case(theirs)
    }

    /// In lower case.
    #[must_use]
    pub fn lower(&self) -> Self {
        Self(self.0.to_ascii_lowercase().into())
    }

    /// With one more label in front.
    ///
    /// # Errors
    /// [`NameError`] when it gets too long.
    pub fn child(&self, label: &[u8]) -> Result<Self, NameError> {
        let long = || NameError::Long(self.to_string());
        let length =
            u8::try_from(label.len()).ok().filter(|n| (1..=63).contains(n)).ok_or_else(long)?;
        let wire = [&[length], label, &self.0].concat();
        if wire.len() > 255 { Err(long()) } else { Ok(Self(wire.into())) }
    }

    /// `self` with its ending `old` replaced by `new` (RFC 6672); `None` when it does not end so
    /// or gets too long.
    pub fn replace(&self, old: &Self, new: &Self) -> Option<Self> {
        if !self.is_within(old) {
            return None;
        }
        let wire = [&self.0[..self.0.len() - old.0.len()], &new.0].concat();
        (wire.len() <= 255).then(|| Self(wire.into()))
    }

    /// Whether its first label is `*`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// The name in `in-addr.arpa` or `ip6.arpa` for an address.
    pub fn reverse(address: std::net::IpAddr) -> Self {
        let text = match address {
            std::net::IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
            }
            std::net::IpAddr::V6(v6) => {
                let nibbles = v6.octets().into_iter().rev();
                let mut text: String =
                    nibbles.map(|b| format!("{:x}.{:x}.", b & 15, b >> 4)).collect();
                text.push_str("ip6.arpa.");
                text
            }
        };
        Self::complete(&text).unwrap_or_else(|_| Self::root())
    }

    /// The text without the final dot (the root stays `.`).
    pub fn short(&self) -> String {
        let text = self.to_string();
        match text.strip_suffix('.') {
            Some(short) if !short.is_empty() => short.to_owned(),
            _ => text,
        }
    }
}

/// Reads a name into `wire`; gives its length and the place after it in the message.
fn read_into(message: &[u8], at: usize, wire: &mut [u8; 255]) -> Result<(usize, usize), WireError> {
    let (mut at, mut end, mut length) = (at, None, 0);
    let mut lowest = at;
    loop {
        let first = *message.get(at).ok_or(WireError::Short)?;
        match first {
            0 => {
                *wire.get_mut(length).ok_or(WireError::Name)? = 0;
                return Ok((length + 1, end.unwrap_or(at + 1)));
            }
            1..=63 => {
                let next = at + 1 + usize::from(first);
                let label = message.get(at..next).ok_or(WireError::Short)?;
                let room = wire.get_mut(length..length + label.len()).ok_or(WireError::Name)?;
                room.copy_from_slice(label);
                length += label.len();
                at = next;
            }
            192.. => {
                let low = *message.get(at + 1).ok_or(WireError::Short)?;
                end.get_or_insert(at + 2);
                let target = usize::from(first & 63) << 8 | usize::from(low);
                // Strictly backwards: no circle, and at most as many steps as bytes.
                if target >= lowest {
                    return Err(WireError::Name);
                }
                (at, lowest) = (target, target);
            }
            _ => return Err(WireError::Name),
        }
    }
}

/// The labels of uncompressed wire bytes from the left, without the root's.
pub fn labels_of(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (&length, tail) = rest.split_first()?;
        if length == 0 || tail.len() < usize::from(length) {
            return None;
        }
        let (label, tail) = tail.split_at(usize::from(length));
        rest = tail;
        Some(label)
    })
}

/// The wire bytes without the first label; `None` at the root.
pub fn parent_of(wire: &[u8]) -> Option<&[u8]> {
    match wire.first() {
        None | Some(0) => None,
        Some(&length) => wire.get(usize::from(length) + 1..),
    }
}

/// Copies wire bytes in lower case; `buffer` must be as long. Length bytes (below 64) stay.
pub fn lower_into(wire: &[u8], buffer: &mut [u8]) {
    for (to, from) in buffer.iter_mut().zip(wire) {
        *to = from.to_ascii_lowercase();
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in &self.0 {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        // From the right; a label is compared as bytes in lower case.
        let (mut mine, mut theirs) = ([0u8; 128], [0u8; 128]);
        let (m, t) = (starts(&self.0, &mut mine), starts(&other.0, &mut theirs));
        let pairs = mine[..m].iter().rev().zip(theirs[..t].iter().rev());
        for (&a, &b) in pairs {
            let (a, b) = (label_at(&self.0, a), label_at(&other.0, b));
            let order =
                a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase));
            if order.is_ne() {
                return order;
            }
        }
        m.cmp(&t)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn starts(wire: &[u8], places: &mut [u8; 128]) -> usize {
    let (mut at, mut n) = (0usize, 0);
    while wire[at] != 0 {
        // At most 127 labels in 255 bytes.
        places[n] = u8::try_from(at).unwrap_or(u8::MAX);
        n += 1;
        at += usize::from(wire[at]) + 1;
    }
    n
}

fn label_at(wire: &[u8], at: u8) -> &[u8] {
    let at = usize::from(at);
    &wire[at + 1..at + 1 + usize::from(wire[at])]
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        if self.is_root() {
            return f.write_char('.');
        }
        for label in self.labels() {
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(byte))?;
                    }
                    0x21..=0x7e => f.write_char(char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_char('.')?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::complete(text).unwrap()
    }

    #[test]
    fn rfc4034_6_1_canonical_order() {
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        let mut names: Vec<_> = sorted.iter().rev().map(|text| name(text)).collect();
        names.sort();
        let texts: Vec<_> = names.iter().map(ToString::to_string).collect();
        assert_eq!(texts, sorted);
    }

    #[test]
    fn rfc1035_5_1_names_in_text() {
        let origin = name("mail.com");
        assert_eq!(Name::parse("www", Some(&origin)).unwrap(), name("WWW.mail.com."));
        assert_eq!(Name::parse("@", Some(&origin)).unwrap(), origin);
        assert_eq!(name("a\\.b.c").to_string(), "a\\.b.c.");
        assert_eq!(name("a\\032b").to_string(), "a\\032b.");
        for bad in ["", "a..b", ".a", "a\\", "a\\25", "a\\256", "é.com"] {
            assert!(Name::complete(bad).is_err(), "{bad}");
        }
        assert!(Name::complete(&"a".repeat(64)).is_err());
        assert!(Name::complete(&"abc.".repeat(64)).is_err());
        assert!(Name::parse("www", None).is_err());
    }

    #[test]
    fn rfc1035_4_1_4_pointers_go_back_only() {
        let message = b"\x01a\x00\x01b\xc0\x00\xc0\x07";
        assert_eq!(Name::read(message, 3).unwrap().0, name("b.a"));
        assert_eq!(Name::read(message, 7).unwrap_err(), WireError::Name);
        assert_eq!(Name::read(b"\x01a\xc0\x00", 0).unwrap_err(), WireError::Name);
        assert_eq!(Name::read(b"\x05a", 0).unwrap_err(), WireError::Short);
    }

    #[test]
    fn within_follows_labels_not_letters() {
        assert!(name("a.Mail.com").is_within(&name("mail.com")));
        assert!(!name("amail.com").is_within(&name("mail.com")));
        assert!(name("mail.com").is_within(&Name::root()));
        assert_eq!(name("a.b.c").replace(&name("c"), &name("d.e")).unwrap(), name("a.b.d.e"));
        let address = "192.168.1.2".parse().unwrap();
        assert_eq!(Name::reverse(address).short(), "2.1.168.192.in-addr.arpa");
    }
}
