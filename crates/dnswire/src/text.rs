//! Pieces of master-file text (RFC 1035 section 5.1): words, strings in quotes, hex, base 32 and 64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One word of a line, as written; escapes stand as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The text, without the quotes around it.
    pub text: String,
    /// Whether it stood in quotes.
    pub quoted: bool,
}

/// Splits a line without brackets into words; a comment ends it.
///
/// # Errors
/// A sentence, for quotes that do not end.
pub fn tokens(line: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(&first) = chars.peek() {
        match first {
            ';' => break,
            c if c.is_ascii_whitespace() => {
                chars.next();
            }
            '"' => {
                chars.next();
                found.push(Token { text: quoted(&mut chars)?, quoted: true });
            }
            _ => {
                let mut text = String::new();
                while let Some(&c) = chars.peek() {
                    if c.is_ascii_whitespace() || matches!(c, ';' | '"') {
                        break;
                    }
                    text.push(c);
                    chars.next();
                    if c == '\\' {
                        text.extend(chars.next());
                    }
                }
                found.push(Token { text, quoted: false });
            }
        }
    }
    Ok(found)
}

fn quoted(chars: &mut impl Iterator<Item = char>) -> Result<String, String> {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(text),
            '\\' => {
                text.push(c);
                text.extend(chars.next());
            }
            c => text.push(c),
        }
    }
    Err("the quotes do not end on this line: close them with \"".into())
}

/// The bytes that a text with escapes means.
///
/// # Errors
/// A sentence, for an escape that means nothing.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let wrong = || {
        format!(
            "`{text}` has a wrong escape: write \\DDD with a number up to 255, or \\ and one character"
        )
    };
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let first = bytes.next().ok_or_else(wrong)?;
        if !first.is_ascii_digit() {
            out.push(first);
            continue;
        }
        let mut value = u32::from(first - b'0');
        for _ in 0..2 {
            let digit = bytes.next().filter(u8::is_ascii_digit).ok_or_else(wrong)?;
            value = value * 10 + u32::from(digit - b'0');
        }
        out.push(u8::try_from(value).map_err(|_| wrong())?);
    }
    Ok(out)
}

/// Bytes as a string in quotes.
pub fn quote(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            0x20..=0x7e => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\{byte:03}");
            }
        }
    }
    text.push('"');
    text
}

/// Bytes in upper-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Reads hex of any case.
///
/// # Errors
/// A sentence.
pub fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = text.as_bytes();
    let pairs = bytes.chunks(2).map(|pair| match pair {
        [high, low] => Some(u8::try_from(digit(*high)? << 4 | digit(*low)?).unwrap_or_default()),
        _ => None,
    });
    pairs
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(|| format!("`{text}` is not hex: an even number of the digits 0-9 and a-f"))
}

/// Bytes in base 64.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads base 64.
///
/// # Errors
/// A sentence.
pub fn unbase64(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| format!("this is not base 64: {error}"))
}

const BASE32: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";

/// Bytes in base 32 with the extended hex alphabet, without padding (RFC 4648 section 7).
pub fn base32hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut bits, mut have) = (0u32, 0);
    for &byte in bytes {
        bits = bits << 8 | u32::from(byte);
        have += 8;
        while have >= 5 {
            have -= 5;
            text.push(char::from(BASE32[(bits >> have & 31) as usize]));
        }
        bits &= (1 << have) - 1;
    }
    if have > 0 {
        text.push(char::from(BASE32[(bits << (5 - have) & 31) as usize]));
    }
    text
}

/// Reads base 32 with the extended hex alphabet.
///
/// # Errors
/// A sentence.
pub fn unbase32hex(text: &str) -> Result<Vec<u8>, String> {
    let (mut bits, mut have, mut out) = (0u32, 0, Vec::new());
    for c in text.bytes() {
        let c = c.to_ascii_uppercase();
        let value = BASE32.iter().position(|&b| b == c);
        let value = value.ok_or_else(|| format!("`{text}` is not base 32: 0-9 and a-v"))?;
        bits = bits << 5 | u32::try_from(value).unwrap_or_default();
        have += 5;
        if have >= 8 {
            have -= 8;
            out.push(u8::try_from(bits >> have & 255).unwrap_or_default());
        }
        bits &= (1 << have) - 1;
    }
    Ok(out)
}

/// Reads a number of seconds: `3600`, or with units as `1h30m` (w, d, h, m, s).
///
/// # Errors
/// A sentence.
pub fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is not a time: write seconds, or units as 1h30m");
    let (mut sum, mut number) = (0u64, None::<u64>);
    for byte in text.bytes() {
        if byte.is_ascii_digit() {
            let more = number.unwrap_or(0).checked_mul(10).ok_or_else(wrong)?;
            number = Some(more + u64::from(byte - b'0'));
            continue;
        }
        let unit = match byte.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return Err(wrong()),
        };
        let part = number.take().ok_or_else(wrong)?.checked_mul(unit).ok_or_else(wrong)?;
        sum = sum.checked_add(part).ok_or_else(wrong)?;
    }
    match number {
        Some(rest) => sum = sum.checked_add(rest).ok_or_else(wrong)?,
        None if text.is_empty() => return Err(wrong()),
        None => {}
    }
    // RFC 2181 section 8: at most 31 bits.
    u32::try_from(sum).ok().filter(|&s| s <= 0x7fff_ffff).ok_or_else(wrong)
}

/// A time stamp (seconds since 1970) as `YYYYMMDDHHmmSS` (RFC 4034 section 3.2).
pub fn stamp(seconds: u32) -> String {
    let (days, rest) = (i64::from(seconds / 86_400), seconds % 86_400);
    let (y, m, d) = civil(days);
    format!("{y:04}{m:02}{d:02}{:02}{:02}{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a day since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// Reads a time stamp, in either form.
///
/// # Errors
/// A sentence.
pub fn unstamp(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is not a time: write YYYYMMDDHHmmSS or seconds since 1970");
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    if text.len() != 14 {
        return text.parse().map_err(|_| wrong());
    }
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap_or(0);
    let (y, m, d) = (part(0, 4), part(4, 6), part(6, 8));
    if !(1..=12).contains(&m) || !(1..=31).contains(&d) {
        return Err(wrong());
    }
    let y2 = y - i64::from(m <= 2);
    let (era, yoe) = (y2.div_euclid(400), y2.rem_euclid(400));
    let doy = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + d - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    let seconds = days * 86_400 + part(8, 10) * 3600 + part(10, 12) * 60 + part(12, 14);
    u32::try_from(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_quotes_and_comments() {
        let words = tokens(r#"a "b c" d\;e "v=\"1\"" ; rest"#).unwrap();
        let texts: Vec<_> = words.iter().map(|t| t.text.as_str()).collect();
        assert_eq!(texts, ["a", "b c", "d\\;e", "v=\\\"1\\\""]);
        assert!(words[1].quoted && !words[2].quoted);
        assert!(tokens("\"open").is_err());
        assert_eq!(unescape("a\\034b\\\\").unwrap(), b"a\"b\\");
        assert!(unescape("\\300").is_err());
        assert_eq!(quote(b"a\"\x01"), "\"a\\\"\\001\"");
    }

    #[test]
    fn numbers_in_their_forms() {
        assert_eq!(seconds("1h30m").unwrap(), 5400);
        assert_eq!(seconds("2w").unwrap(), 1_209_600);
        for bad in ["", "h", "1x", "99999999999", "-1", "4294967295"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert_eq!(stamp(1_700_000_000), "20231114221320");
        assert_eq!(unstamp("20231114221320").unwrap(), 1_700_000_000);
        assert_eq!(unhex("0aFF").unwrap(), [10, 255]);
        assert!(unhex("0").is_err());
    }

    #[test]
    fn rfc4648_10_base32_vectors() {
        for (plain, text) in [("f", "CO"), ("fo", "CPNG"), ("foobar", "CPNMUOJ1E8")] {
            assert_eq!(base32hex(plain.as_bytes()), text);
            assert_eq!(unbase32hex(text).unwrap(), plain.as_bytes());
        }
    }
}
