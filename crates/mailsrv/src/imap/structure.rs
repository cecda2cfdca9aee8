//! ENVELOPE and BODYSTRUCTURE as IMAP writes them (RFC 3501, 7.4.2).

use super::address;
use super::mime::{Part, field};
use super::parameters::parameterized;

/// A string: quoted where it can be, else a literal.
pub fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.contains(&0) {
        // No string of IMAP can hold NUL (RFC 3501, 9).
        let without: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
        return string(out, &without);
    }
    let quotable = bytes.len() <= 1_000 && bytes.iter().all(|byte| matches!(byte, 0x20..=0x7e));
    if !quotable {
        out.extend_from_slice(format!("{{{}}}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    for byte in bytes {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// A string or NIL.
pub fn nstring(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => string(out, bytes),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// The envelope of a header.
pub fn envelope(out: &mut Vec<u8>, header: &[u8]) {
    out.push(b'(');
    nstring(out, field(header, "date").as_deref());
    out.push(b' ');
    nstring(out, field(header, "subject").as_deref());
    let from = field(header, "from");
    for name in ["from", "sender", "reply-to", "to", "cc", "bcc"] {
        out.push(b' ');
        let mut addresses = field(header, name).map(|v| address::parse(&v)).unwrap_or_default();
        if addresses.is_empty() && matches!(name, "sender" | "reply-to") {
            addresses = from.as_ref().map(|v| address::parse(v)).unwrap_or_default();
        }
        self::addresses(out, &addresses);
    }
    for name in ["in-reply-to", "message-id"] {
        out.push(b' ');
        nstring(out, field(header, name).as_deref());
    }
    out.push(b')');
}

fn addresses(out: &mut Vec<u8>, addresses: &[address::Address]) {
    if addresses.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for address in addresses {
        out.push(b'(');
        nstring(out, address.name.as_deref());
        for part in [&address.route, &address.mailbox, &address.host] {
            out.push(b' ');
            nstring(out, part.as_deref());
        }
        out.push(b')');
    }
    out.push(b')');
}

/// BODY (without extension data) or BODYSTRUCTURE of a part.
pub fn structure(out: &mut Vec<u8>, raw: &[u8], part: &Part, extended: bool) {
    let header = &raw[part.header.clone()];
    out.push(b'(');
    if part.is_multipart() {
        if part.children.is_empty() {
            // RFC 3501 wants at least one body.
            out.extend_from_slice(b"(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0");
            out.extend_from_slice(if extended { b" NIL NIL NIL NIL)" } else { b")" });
        }
        for child in &part.children {
            structure(out, raw, child, extended);
        }
        out.push(b' ');
        string(out, part.subtype.to_ascii_uppercase().as_bytes());
        if extended {
            out.push(b' ');
            parameters(out, &part.parameters);
            out.push(b' ');
            tail(out, header);
        }
        out.push(b')');
        return;
    }
    if part.is_message() && part.children.is_empty() {
        // Deeper than is read: without the inner envelope it cannot be told as a message.
        out.extend_from_slice(b"\"APPLICATION\" \"OCTET-STREAM\"");
    } else {
        string(out, part.kind.to_ascii_uppercase().as_bytes());
        out.push(b' ');
        string(out, part.subtype.to_ascii_uppercase().as_bytes());
    }
    out.push(b' ');
    parameters(out, &part.parameters);
    for name in ["content-id", "content-description"] {
        out.push(b' ');
        nstring(out, field(header, name).as_deref());
    }
    out.push(b' ');
    // A token, perhaps with a comment (RFC 2045, 6.1).
    let encoding = field(header, "content-transfer-encoding").map(|value| parameterized(&value).0);
    let encoding = encoding.filter(|encoding| !encoding.is_empty());
    string(out, encoding.unwrap_or_else(|| "7bit".into()).to_ascii_uppercase().as_bytes());
    let body = &raw[part.body.clone()];
    out.extend_from_slice(format!(" {}", body.len()).as_bytes());
    if part.is_message()
        && let Some(inner) = part.children.first()
    {
        out.push(b' ');
        envelope(out, &raw[inner.header.clone()]);
        out.push(b' ');
        structure(out, raw, inner, extended);
        out.extend_from_slice(format!(" {}", lines(body)).as_bytes());
    } else if part.kind == "text" {
        out.extend_from_slice(format!(" {}", lines(body)).as_bytes());
    }
    if extended {
        out.push(b' ');
        nstring(out, field(header, "content-md5").as_deref());
        out.push(b' ');
        tail(out, header);
    }
    out.push(b')');
}

/// Lines of a body: its line ends, as every server counts them. The one before a boundary belongs
/// to the boundary (RFC 2046, 5.1.1).
fn lines(body: &[u8]) -> usize {
    body.iter().filter(|byte| **byte == b'\n').count()
}

fn parameters(out: &mut Vec<u8>, parameters: &[(String, String)]) {
    if parameters.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for (at, (name, value)) in parameters.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        string(out, name.to_ascii_uppercase().as_bytes());
        out.push(b' ');
        string(out, value.as_bytes());
    }
    out.push(b')');
}

/// Disposition, language and location.
fn tail(out: &mut Vec<u8>, header: &[u8]) {
    match field(header, "content-disposition").filter(|value| !value.is_empty()) {
        Some(value) => {
            let (kind, values) = parameterized(&value);
            out.push(b'(');
            string(out, kind.to_ascii_uppercase().as_bytes());
            out.push(b' ');
            parameters(out, &values);
            out.push(b')');
        }
        None => out.extend_from_slice(b"NIL"),
    }
    out.push(b' ');
    let languages = field(header, "content-language").unwrap_or_default();
    let languages: Vec<&[u8]> =
        languages.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|l| !l.is_empty()).collect();
    match languages.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        [one] => string(out, one),
        many => {
            out.push(b'(');
            for (at, language) in many.iter().enumerate() {
                if at > 0 {
                    out.push(b' ');
                }
                string(out, language);
            }
            out.push(b')');
        }
    }
    out.push(b' ');
    nstring(out, field(header, "content-location").as_deref());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::mime;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rfc3501_7_4_2_an_envelope_defaults_sender_and_reply_to() {
        let header = b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nFrom: Fred \"F\" <a@x>\r\nSubject: s\"q\r\nMessage-Id: <1@x>\r\n\r\n";
        assert_eq!(
            text(|out| envelope(out, header)),
            "(\"Mon, 7 Feb 1994 21:52:25 -0800\" \"s\\\"q\" ((\"Fred F\" NIL \"a\" \"x\")) \
             ((\"Fred F\" NIL \"a\" \"x\")) ((\"Fred F\" NIL \"a\" \"x\")) NIL NIL NIL NIL \"<1@x>\")"
        );
    }

    #[test]
    fn rfc3501_7_4_2_a_structure_counts_octets_and_lines() {
        let raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\ntwo\r\n\r\n--b\r\n\
Content-Type: image/png; name=\"a b.png\"\r\nContent-Transfer-Encoding: base64\r\n\
Content-Disposition: attachment; filename=x\r\n\r\nAAAA\r\n--b--\r\n";
        let part = mime::parse(raw);
        assert_eq!(
            text(|out| structure(out, raw, &part, false)),
            "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 10 2)\
             (\"IMAGE\" \"PNG\" (\"NAME\" \"a b.png\") NIL NIL \"BASE64\" 4) \"MIXED\")"
        );
        let full = text(|out| structure(out, raw, &part, true));
        assert!(full.ends_with("NIL (\"ATTACHMENT\" (\"FILENAME\" \"x\")) NIL NIL) \"MIXED\" (\"BOUNDARY\" \"b\") NIL NIL NIL)"), "{full}");
    }
}
