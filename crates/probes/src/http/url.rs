//! URLs, as far as a client needs them (RFC 3986).

use crate::{Error, Layer};

/// The parts of a URL that a client needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether it is `https`.
    pub tls: bool,
    /// The host.
    pub host: String,
    /// The port; 80 or 443 where it has none.
    pub port: u16,
    /// Path and query, `/` at least.
    pub path: String,
}

impl Url {
    /// Reads `http://host:port/path`; `http://` may be left out.
    ///
    /// # Errors
    /// [`Layer::Probe`] when it is no such URL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |why: &str| {
            Error::new(Layer::Probe, format!("{text:?} is not a URL: {why}")).code("bad-request")
        };
        let (tls, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some(_) => return Err(bad("only http and https are known")),
            None => (false, text),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => {
                (host, port.parse().map_err(|_| bad("the port is not a number up to 65535"))?)
            }
            None => (authority, if tls { 443 } else { 80 }),
        };
        if host.is_empty() {
            return Err(bad("it names no host"));
        }
        if text.chars().any(|c| c.is_control() || c == ' ') {
            return Err(bad("it holds blanks"));
        }
        let path = match path.chars().next() {
            None => "/".to_owned(),
            Some('?') => format!("/{path}"),
            Some(_) => path.to_owned(),
        };
        Ok(Self { tls, host: host.to_owned(), port, path })
    }

    /// The URL that a `Location` field means, seen from this one (RFC 3986, 5.2).
    pub fn join(&self, reference: &str) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let own = reference.find(['/', '?', '#']).unwrap_or(reference.len());
        if reference[..own].contains(':') {
            return reference.to_owned();
        }
        if reference.starts_with("//") {
            return format!("{scheme}:{reference}");
        }
        let base = self.path.split('?').next().unwrap_or("/");
        let target = match reference.chars().next() {
            None | Some('#') => return format!("{scheme}://{}{}", self.host_field(), self.path),
            Some('?') => format!("{base}{reference}"),
            Some('/') => reference.to_owned(),
            Some(_) => format!("{}/{reference}", base.rsplit_once('/').map_or("", |(dir, _)| dir)),
        };
        let (path, query) = target.split_at(target.find(['?', '#']).unwrap_or(target.len()));
        format!("{scheme}://{}{}{query}", self.host_field(), without_dots(path))
    }

    /// What the `Host` field says.
    pub(super) fn host_field(&self) -> String {
        if self.port == if self.tls { 443 } else { 80 } {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A path without `.` and `..` (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3986_5_2_references_are_resolved() {
        let base = Url::parse("http://a:8080/b/c?q").unwrap();
        for (reference, wanted) in [
            ("https://x/y", "https://x/y"),
            ("//x/y", "http://x/y"),
            ("/y/../z?w", "http://a:8080/z?w"),
            ("y", "http://a:8080/b/y"),
            ("./", "http://a:8080/b/"),
            ("../../..", "http://a:8080/"),
            ("?n=1", "http://a:8080/b/c?n=1"),
            ("", "http://a:8080/b/c?q"),
            ("y:z", "y:z"),
            ("y/:z", "http://a:8080/b/y/:z"),
        ] {
            assert_eq!(base.join(reference), wanted, "{reference}");
        }
    }
}
