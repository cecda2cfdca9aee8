//! Mailbox names in modified UTF-7 (RFC 3501, 5.1.3), for the server and the client of IMAP.
//!
//! ```
//! assert_eq!(mutf7::encode("Entwürfe"), "Entw&APw-rfe");
//! assert_eq!(mutf7::decode("Entw&APw-rfe").as_deref(), Some("Entwürfe"));
//! assert_eq!(mutf7::decode("Entwürfe"), None);
//! ```

use base64::Engine as _;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// To what travels.
pub fn encode(name: &str) -> String {
    let mut out = String::new();
    let mut wide: Vec<u8> = Vec::new();
    let flush = |wide: &mut Vec<u8>, out: &mut String| {
        if !wide.is_empty() {
            out.push('&');
            out.push_str(&BASE64.encode(&*wide));
            out.push('-');
            wide.clear();
        }
    };
    for c in name.chars() {
        if (' '..='~').contains(&c) {
            flush(&mut wide, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0; 2];
            wide.extend(c.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    flush(&mut wide, &mut out);
    out
}

/// From what travels; `None` where it is not right: bytes above 127, an open shift, base64 for
/// what needs none.
pub fn decode(name: &str) -> Option<String> {
    if !name.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return None;
    }
    let mut out = String::new();
    let mut rest = name;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let inner = &rest[at + 1..];
        let end = inner.find('-')?;
        let code = &inner[..end];
        if code.is_empty() {
            out.push('&');
        } else {
            let bytes = BASE64.decode(code).ok()?;
            if bytes.len() % 2 != 0 {
                return None;
            }
            let units: Vec<u16> =
                bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            let text = String::from_utf16(&units).ok()?;
            if text.chars().any(|c| (' '..='~').contains(&c)) {
                return None;
            }
            out.push_str(&text);
        }
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_name_goes_there_and_back(name in ".*") {
            let there = encode(&name);
            proptest::prop_assert!(there.bytes().all(|byte| matches!(byte, 0x20..=0x7e)));
            proptest::prop_assert_eq!(decode(&there), Some(name));
        }

        #[test]
        fn any_text_is_a_name_or_none(text in "[ -~]{0,40}") {
            let _ = decode(&text);
        }
    }

    #[test]
    fn names_go_there_and_back() {
        for name in ["INBOX", "Entwürfe", "a&b", "~peter/mail/台北/日本語", "😀", ""] {
            assert_eq!(decode(&encode(name)).as_deref(), Some(name));
        }
        assert_eq!(encode("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
    }

    #[test]
    fn what_is_not_modified_utf7_is_refused() {
        for name in ["a&", "a&b", "&Jjo", "&AGE-", "ä", "&////-", "a\tb"] {
            assert_eq!(decode(name), None, "{name}");
        }
    }
}
