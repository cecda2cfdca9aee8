//! Mail addresses as SMTP writes them (RFC 5321, 4.1.2; RFC 6531 for UTF-8).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address: the local part unquoted, the domain in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Left of the last `@`, without quotes.
    pub local: String,
    /// Right of it; empty for `<postmaster>`; `[…]` for an address literal.
    pub domain: String,
}

/// What stands between angle brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// `<>`: notices, which nobody answers.
    Null,
    /// An address.
    Address(Address),
}

/// Why a path was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No `<…>`.
    #[error("write the address in angle brackets, as in <user@example.com>")]
    Brackets,
    /// The local part.
    #[error("the part before the @ is not right")]
    Local,
    /// The domain.
    #[error("the part after the @ is not a domain")]
    Domain,
    /// A byte above 127 without SMTPUTF8.
    #[error("the address is not ASCII; say SMTPUTF8 after MAIL FROM")]
    NotAscii,
    /// Longer than RFC 5321, 4.5.3.1 allows.
    #[error("the address is too long: 64 octets before the @, 255 after it")]
    Long,
}

impl Address {
    /// Parses `local@domain` (or `local` alone, then without a domain).
    pub fn parse(text: &str, utf8: bool) -> Result<Self, Error> {
        if !utf8 && !text.is_ascii() {
            return Err(Error::NotAscii);
        }
        let (local, rest) = local_part(text)?;
        if local.len() > 64 || rest.len() > 256 {
            return Err(Error::Long);
        }
        if rest.is_empty() {
            return Ok(Self { local, domain: String::new() });
        }
        let domain = rest.strip_prefix('@').ok_or(Error::Local)?;
        Ok(Self { local, domain: check_domain(domain)? })
    }

    /// The same address for comparison: both parts in lower case.
    pub fn key(&self) -> String {
        if self.domain.is_empty() {
            return self.local.to_lowercase();
        }
        format!("{}@{}", self.local.to_lowercase(), self.domain)
    }

    /// The address in the brackets of an address literal (RFC 5321, 4.1.3).
    pub fn literal(&self) -> Option<IpAddr> {
        let inner = self.domain.strip_prefix('[')?.strip_suffix(']')?;
        inner.strip_prefix("ipv6:").unwrap_or(inner).parse().ok()
    }

    /// Whether every character is ASCII.
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.is_ascii()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = !self.local.is_empty()
            && self.local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom));
        if plain {
            f.write_str(&self.local)?;
        } else {
            f.write_str("\"")?;
            for c in self.local.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
            f.write_str("\"")?;
        }
        if self.domain.is_empty() { Ok(()) } else { write!(f, "@{}", self.domain) }
    }
}

/// Parses `<path>` at the beginning of `text`; the rest after it.
pub fn parse_path(text: &str, utf8: bool) -> Result<(Path, &str), Error> {
    let inner = text.strip_prefix('<').ok_or(Error::Brackets)?;
    let end = closing(inner).ok_or(Error::Brackets)?;
    let (path, rest) = (&inner[..end], &inner[end + 1..]);
    if path.is_empty() {
        return Ok((Path::Null, rest));
    }
    // A source route is accepted and ignored (RFC 5321, appendix C).
    let path = match path.strip_prefix('@') {
        Some(route) => {
            let (hops, mailbox) = route.split_once(':').ok_or(Error::Domain)?;
            for hop in hops.split(',') {
                check_domain(hop.strip_prefix('@').unwrap_or(hop))?;
            }
            mailbox
        }
        None => path,
    };
    Ok((Path::Address(Address::parse(path, utf8)?), rest))
}

/// Where the `>` is that is not inside quotes.
fn closing(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn is_atom(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(c)
        || (!c.is_ascii() && !c.is_control())
}

fn local_part(text: &str) -> Result<(String, &str), Error> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (mut local, mut escaped) = (String::new(), false);
        for (at, c) in quoted.char_indices() {
            match c {
                c if c.is_control() => return Err(Error::Local),
                c if escaped => {
                    escaped = false;
                    local.push(c);
                }
                '\\' => escaped = true,
                '"' => return Ok((local, &quoted[at + 1..])),
                c => local.push(c),
            }
        }
        return Err(Error::Local);
    }
    let end = text.find('@').unwrap_or(text.len());
    let local = &text[..end];
    let good = local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom));
    if good { Ok((local.to_owned(), &text[end..])) } else { Err(Error::Local) }
}

/// A domain name or an address literal, in lower case.
pub fn check_domain(text: &str) -> Result<String, Error> {
    if let Some(literal) = text.strip_prefix('[') {
        let literal = literal.strip_suffix(']').ok_or(Error::Domain)?;
        let tagged = literal.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
        let good = if tagged {
            literal[5..].parse::<Ipv6Addr>().is_ok()
        } else {
            literal.parse::<Ipv4Addr>().is_ok()
        };
        if !good {
            return Err(Error::Domain);
        }
        return Ok(text.to_ascii_lowercase());
    }
    if text.len() > 255 {
        return Err(Error::Long);
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| {
                c.is_ascii_alphanumeric()
                    || matches!(c, '-' | '_')
                    || (!c.is_ascii() && !c.is_control())
            })
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.split('.').all(label) { Ok(name.to_lowercase()) } else { Err(Error::Domain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(text: &str) -> (String, String) {
        match parse_path(text, true).unwrap() {
            (Path::Address(address), "") => (address.local.clone(), address.to_string()),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn paths_of_every_form_are_read_and_written_back() {
        for (text, local, written) in [
            ("<a.b+c@X.Test>", "a.b+c", "a.b+c@x.test"),
            (r#"<"a@b"@x.test>"#, "a@b", r#""a@b"@x.test"#),
            (r#"<"a\"> b"@x.test>"#, "a\"> b", r#""a\"> b"@x.test"#),
            ("<@r1.test,@r2.test:a@x.test>", "a", "a@x.test"),
            ("<a@[127.0.0.1]>", "a", "a@[127.0.0.1]"),
            ("<a@[IPv6:::1]>", "a", "a@[ipv6:::1]"),
            ("<postmaster>", "postmaster", "postmaster"),
            ("<jürgen@büro.test>", "jürgen", "jürgen@büro.test"),
        ] {
            assert_eq!(good(text), (local.into(), written.into()));
        }
        assert_eq!(parse_path("<> SIZE=1", false), Ok((Path::Null, " SIZE=1")));
    }

    #[test]
    fn what_is_wrong_says_what() {
        for (text, error) in [
            ("a@b", Error::Brackets),
            ("<a@b", Error::Brackets),
            ("<a..b@c.test>", Error::Local),
            ("<@x.test>", Error::Domain),
            ("<a b@c.test>", Error::Local),
            ("<a@>", Error::Domain),
            ("<a@-x>", Error::Domain),
            ("<a@x..y>", Error::Domain),
            ("<a@[1.2.3]>", Error::Domain),
            ("<a@[::1]>", Error::Domain),
            ("<a@[IPv6:127.0.0.1]>", Error::Domain),
            ("<a@[tag:x]>", Error::Domain),
            ("<jürgen@x.test>", Error::NotAscii),
            (r#"<"a@x.test>"#, Error::Brackets),
        ] {
            assert_eq!(parse_path(text, false).unwrap_err(), error, "{text}");
        }
        let long = format!("<{}@x.test>", "a".repeat(65));
        assert_eq!(parse_path(&long, false).unwrap_err(), Error::Long);
    }
}
