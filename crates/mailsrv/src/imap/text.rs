//! Text out of messages for SEARCH, SORT and THREAD: encoded words and bodies decoded.

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;

use super::address::{self, Address};
use super::mime::{self, Part};
use super::parameters::parameterized;

/// The most bytes of decoded text that one message gives to a search.
const MAX_TEXT: usize = 32 << 20;

/// A header value with its encoded words (RFC 2047) decoded.
pub fn decoded(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let mut out = String::new();
    let mut rest = text.as_ref();
    let mut after_word = false;
    while let Some(at) = rest.find("=?") {
        let (before, word) = rest.split_at(at);
        match encoded_word(word) {
            Some((decoded, length)) => {
                // White space between two encoded words does not count.
                if !(after_word && before.trim().is_empty()) {
                    out.push_str(before);
                }
                out.push_str(&decoded);
                rest = &word[length..];
                after_word = true;
            }
            None => {
                out.push_str(before);
                out.push_str("=?");
                rest = &word[2..];
                after_word = false;
            }
        }
    }
    out.push_str(rest);
    out
}

/// An encoded word at the start, and its length.
fn encoded_word(text: &str) -> Option<(String, usize)> {
    let inner = text.strip_prefix("=?")?;
    let (charset, inner) = inner.split_once('?')?;
    let (encoding, inner) = inner.split_once('?')?;
    let end = inner.find("?=")?;
    let payload = &inner[..end];
    if payload.contains([' ', '\t']) {
        return None;
    }
    let bytes = match encoding {
        "B" | "b" => base64_decode(payload.as_bytes())?,
        "Q" | "q" => quoted_printable_decode(payload.replace('_', " ").as_bytes())?,
        _ => return None,
    };
    let charset = charset.split('*').next().unwrap_or_default();
    let length = "=?".len() + (text.len() - "=?".len() - inner.len()) + end + "?=".len();
    Some((in_charset(charset, &bytes), length))
}

fn in_charset(charset: &str, bytes: &[u8]) -> String {
    match charset_decoder(charset.as_bytes()) {
        Some(decode) => decode(bytes),
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The value of a header field, decoded; the values of all fields of that name, one a line.
pub fn header(raw_header: &[u8], name: &str) -> Option<String> {
    let values: Vec<String> = mime::fields(raw_header)
        .into_iter()
        .filter(|(known, ..)| known.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value, _)| decoded(&mime::unfold(&raw_header[value])))
        .collect();
    if values.is_empty() { None } else { Some(values.join("\n")) }
}

/// The addresses of a field without comments and quotes, one a line, as the ENVELOPE tells them: it
/// is there that SEARCH FROM looks (RFC 3501, 6.4.4). `None` for fields without addresses.
pub fn addresses(raw_header: &[u8], name: &str) -> Option<String> {
    let known = ["from", "to", "cc", "bcc", "sender", "reply-to"];
    if !known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return None;
    }
    let text = |part: Option<Vec<u8>>| decoded(&part.unwrap_or_default());
    let one = |one: Address| {
        let host = one.host.map(|host| format!("@{}", decoded(&host))).unwrap_or_default();
        format!("{} <{}{host}>", text(one.name), text(one.mailbox))
    };
    let value = mime::field(raw_header, name)?;
    Some(address::parse(&value).into_iter().map(one).collect::<Vec<_>>().join("\n"))
}

/// All text of a message's body: text parts decoded, headers of inner messages, nothing of
/// pictures and other files, nor of the headers of parts: `html` is not in every message.
pub fn body(raw: &[u8], part: &Part) -> String {
    let mut out = String::new();
    collect(raw, part, &mut out);
    out
}

fn collect(raw: &[u8], part: &Part, out: &mut String) {
    if out.len() > MAX_TEXT {
        return;
    }
    if part.is_message() {
        for inner in &part.children {
            out.push_str(&decoded(&mime::unfolded(&raw[inner.header.clone()])));
            out.push('\n');
            collect(raw, inner, out);
        }
        return;
    }
    for child in &part.children {
        collect(raw, child, out);
    }
    if part.kind != "text" {
        return;
    }
    let encoding =
        mime::field(&raw[part.header.clone()], "content-transfer-encoding").unwrap_or_default();
    let bytes = &raw[part.body.clone()];
    let bytes = match parameterized(&encoding).0.as_bytes() {
        b"base64" => base64_decode(bytes),
        b"quoted-printable" => quoted_printable_decode(bytes),
        _ => None,
    }
    .unwrap_or_else(|| bytes.to_vec());
    let charset =
        part.parameters.iter().find(|(name, _)| name == "charset").map_or("utf-8", |(_, v)| v);
    out.push_str(&in_charset(charset, &bytes));
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc2047_8_encoded_words_are_decoded() {
        assert_eq!(decoded(b"=?ISO-8859-1?Q?a?="), "a");
        assert_eq!(decoded(b"=?ISO-8859-1?Q?a?= b"), "a b");
        assert_eq!(decoded(b"=?ISO-8859-1?Q?a?= =?utf-8?B?YsOk?="), "abä");
        assert_eq!(decoded(b"=?ISO-8859-1?Q?a_=E4?="), "a ä");
        assert_eq!(decoded(b"=?x?"), "=?x?");
        assert_eq!(decoded(b"1 =?= 2"), "1 =?= 2");
    }

    #[test]
    fn rfc3501_6_4_4_addresses_are_searched_as_the_envelope_tells_them() {
        let header = b"From: <joe (in short)@ (at home) x.org>, \"A \\\"B\\\"\" <b@y>\r\nTo: g: c@z;\r\n\r\n";
        assert_eq!(addresses(header, "From").unwrap(), " <joe@x.org>\nA \"B\" <b@y>");
        assert_eq!(addresses(header, "TO").unwrap(), " <g>\n <c@z>\n <>");
        assert_eq!(addresses(header, "Cc"), None);
        assert_eq!(addresses(header, "Subject"), None);
    }
}
