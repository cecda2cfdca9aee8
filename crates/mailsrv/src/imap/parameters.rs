//! Values of structured fields: `text/plain; charset="utf-8"` (RFC 2045, 5.1; RFC 2231).

/// The most parameters of one value; the rest stays unread.
const MAX: usize = 100;

/// A value such as `text/plain; charset="utf-8"`: the value and its parameters, names and value
/// in lower case. Comments are left out.
pub fn parameterized(value: &[u8]) -> (String, Vec<(String, String)>) {
    let text = String::from_utf8_lossy(value);
    let pieces = semicolons(&text);
    let mut pieces = pieces.iter();
    let first = pieces.next().map_or("", |piece| piece.trim()).to_ascii_lowercase();
    let mut parameters = Vec::new();
    for piece in pieces {
        let Some((name, value)) = piece.split_once('=') else { continue };
        if name.trim().is_empty() {
            continue;
        }
        if parameters.len() >= MAX {
            break;
        }
        let value = value.trim();
        let value = match value.strip_prefix('"') {
            Some(inner) => unquoted(inner),
            None => value.to_owned(),
        };
        parameters.push((name.trim().to_ascii_lowercase(), value));
    }
    (first, joined(&parameters))
}

/// Parameters whose value was cut into `name*0`, `name*1`, … in one piece (RFC 2231, 3 and 6: a
/// server of IMAP must). Where a piece is in the form with a charset (`name*0*`), the whole is
/// `name*`, and the plain pieces are written in that form.
fn joined(parameters: &[(String, String)]) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::with_capacity(parameters.len());
    for (at, (name, value)) in parameters.iter().enumerate() {
        let Some((base, 0, _)) = piece(name) else {
            let known = |base: &str| {
                parameters
                    .iter()
                    .any(|(name, _)| piece(name).is_some_and(|(b, n, _)| b == base && n == 0))
            };
            if piece(name).is_none_or(|(base, ..)| !known(base)) {
                out.push((name.clone(), value.clone()));
            }
            continue;
        };
        if parameters[..at].iter().any(|(before, _)| before == name) {
            continue;
        }
        let mut pieces = Vec::new();
        for number in 0.. {
            let next = parameters.iter().find_map(|(name, value)| {
                let (b, n, coded) = piece(name)?;
                (b == base && n == number).then_some((coded, value))
            });
            let Some(next) = next else { break };
            pieces.push(next);
        }
        if pieces.iter().any(|(coded, _)| *coded) {
            let coded = |(coded, value): &(bool, &String)| {
                if *coded { (*value).clone() } else { percent(value) }
            };
            let text = pieces.iter().map(coded);
            out.push((format!("{base}*"), text.collect()));
        } else {
            out.push((
                base.to_owned(),
                pieces.into_iter().map(|(_, value)| value.as_str()).collect(),
            ));
        }
    }
    out
}

/// `name*2*`: the name, the number, and whether the value is in the form with a charset.
fn piece(name: &str) -> Option<(&str, u32, bool)> {
    let (plain, coded) = match name.strip_suffix('*') {
        Some(plain) => (plain, true),
        None => (name, false),
    };
    let (base, number) = plain.rsplit_once('*')?;
    let good = (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    if good { Some((base, number.parse().ok()?, coded)) } else { None }
}

fn percent(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn unquoted(inner: &str) -> String {
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// Splits at semicolons outside of quotes; comments are dropped.
fn semicolons(text: &str) -> Vec<String> {
    let text = without_comments(text);
    let mut pieces = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if c == ';' && !quoted {
            pieces.push(String::new());
            continue;
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
        if let Some(last) = pieces.last_mut() {
            last.push(c);
        }
    }
    pieces
}

/// A value without its comments in parentheses (RFC 5322, 3.2.2); a space stands for each.
pub fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut depth, mut escaped) = (false, 0_usize, false);
    for c in text.chars() {
        let plain = !escaped;
        escaped = c == '\\' && !escaped;
        match c {
            '"' if plain && depth == 0 => {
                quoted = !quoted;
                out.push(c);
            }
            '(' if plain && !quoted => depth += 1,
            ')' if plain && !quoted && depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    out.push(' ');
                }
            }
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> String {
        let (first, parameters) = parameterized(value.as_bytes());
        let parameters: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{first}|{}", parameters.join("|"))
    }

    #[test]
    fn rfc2045_5_1_quotes_and_comments() {
        assert_eq!(
            read("Text/HTML ; Charset=\"a\\\"b;(c)\" (x;\"y)"),
            "text/html|charset=a\"b;(c)"
        );
        assert_eq!(read("(see (\\) below)) base64"), "base64|");
        assert_eq!(read("a/b; ; x; =; y=1"), "a/b|y=1");
    }

    #[test]
    fn rfc2231_continuations_are_joined() {
        assert_eq!(read("a/b; n*0=\"ab\"; n*1=cd; z=1"), "a/b|n=abcd|z=1");
        assert_eq!(read("a/b; n*1=cd; n*0=ab; n*3=x"), "a/b|n=abcd");
        assert_eq!(read("a/b; n*0*=utf-8''%e2; n*1=\"a b\""), "a/b|n*=utf-8''%e2a%20b");
        assert_eq!(read("a/b; n*=utf-8''%e2; m*1=x"), "a/b|n*=utf-8''%e2|m*1=x");
        let many: String = (0..2_000).map(|n| format!("; n*{n}=x")).collect();
        assert!(read(&format!("a/b{many}")).starts_with("a/b|n=x"));
    }
}
