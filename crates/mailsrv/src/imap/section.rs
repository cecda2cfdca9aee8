//! `BODY[…]`: which bytes of a message a section names (RFC 3501, 6.4.5).

use super::command::{Section, What};
use super::mime::{self, Part};

/// The bytes of a section; `None` where there is no such part.
pub fn bytes(section: &Section, raw: &[u8], root: Option<&Part>) -> Option<Vec<u8>> {
    if section.path.is_empty() {
        let end = mime::header_end(raw);
        return Some(match &section.what {
            What::Whole => raw.to_vec(),
            What::Header | What::Mime => raw[..end].to_vec(),
            What::Text => raw[end..].to_vec(),
            What::Fields { names, not } => fields(&raw[..end], names, *not),
        });
    }
    let part = root?.find(&section.path)?;
    let inner = || if part.is_message() { part.children.first() } else { None };
    Some(match &section.what {
        What::Whole => raw[part.body.clone()].to_vec(),
        What::Mime => raw[part.header.clone()].to_vec(),
        What::Header => raw[inner()?.header.clone()].to_vec(),
        What::Text => raw[inner()?.body.clone()].to_vec(),
        What::Fields { names, not } => fields(&raw[inner()?.header.clone()], names, *not),
    })
}

/// The named fields (or all but them) as they stand, and an empty line.
fn fields(header: &[u8], names: &[String], not: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, _, whole) in mime::fields(header) {
        let named = names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes()));
        if named != not {
            out.extend_from_slice(&header[whole]);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3501_6_4_5_header_fields_keep_their_folding() {
        let header = b"A: 1\r\nB: 2\r\n 3\r\na: 4\r\n\r\n";
        assert_eq!(fields(header, &["a".into()], false), b"A: 1\r\na: 4\r\n\r\n");
        assert_eq!(fields(header, &["A".into()], true), b"B: 2\r\n 3\r\n\r\n");
    }
}
