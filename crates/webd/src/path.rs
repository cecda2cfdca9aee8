//! From the path of a request to names of files, without a way out.

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is no path at all: 400.
    Bad,
    /// It points out of the site or at something hidden: 404, as if it did not exist.
    Outside,
}

/// Splits a request's path into decoded names; the query is cut off. The second value tells
/// whether it ended in a slash. Decoding happens once and before anything is looked at, so an
/// encoded dot or slash is seen for what it is.
pub fn names(target: &str) -> Result<(Vec<String>, bool), Refusal> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = path.strip_prefix('/').ok_or(Refusal::Bad)?;
    let folder = path.is_empty() || path.ends_with('/');
    let mut names = Vec::new();
    for part in path.split('/') {
        let name = decode(part)?;
        match name.as_str() {
            "" | "." => {}
            name if name.starts_with('.') => return Err(Refusal::Outside),
            name if name.contains(['/', '\\', '\0']) => return Err(Refusal::Outside),
            _ => names.push(name),
        }
    }
    Ok((names, folder))
}

/// Percent decoding (RFC 3986 section 2.1); what is no UTF-8 afterwards is refused.
fn decode(part: &str) -> Result<String, Refusal> {
    let bytes = part.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%' {
            let digits = part.get(at + 1..at + 3).ok_or(Refusal::Bad)?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(Refusal::Bad);
            }
            decoded.push(u8::from_str_radix(digits, 16).map_err(|_| Refusal::Bad)?);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    String::from_utf8(decoded).map_err(|_| Refusal::Bad)
}

/// The media type of a file, by its ending.
pub fn media_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    match ending.as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "md" => "text/plain; charset=utf-8",
        "json" => "application/json",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "pdf" => "application/pdf",
        "woff2" => "font/woff2",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(target: &str) -> Result<Vec<String>, Refusal> {
        names(target).map(|(names, _)| names)
    }

    #[test]
    fn ordinary_paths_are_split_and_decoded() {
        assert_eq!(list("/a/b%20c.html?x=/../y").unwrap(), ["a", "b c.html"]);
        assert_eq!(list("//a//./b/").unwrap(), ["a", "b"]);
        assert!(names("/").unwrap().1 && names("/a/").unwrap().1 && !names("/a").unwrap().1);
    }

    #[test]
    fn nothing_leads_out() {
        for target in [
            "/../etc/passwd",
            "/%2e%2e/etc/passwd",
            "/a/..%2f..%2fx",
            "/%2e./x",
            "/a%00.html",
            "/..\\x",
            "/%5c..",
            "/.git/config",
            "/.%2e/",
            "/a/%2E%2E/%2E%2E/b",
        ] {
            assert_eq!(list(target), Err(Refusal::Outside), "{target}");
        }
        for target in ["", "x", "*", "http://x/", "/%", "/%2", "/%zz", "/%+1", "/%ff"] {
            assert_eq!(list(target), Err(Refusal::Bad), "{target}");
        }
        // Decoded once only: what was encoded twice stays a name.
        assert_eq!(list("/%252e%252e/x").unwrap(), ["%2e%2e", "x"]);
    }
}
