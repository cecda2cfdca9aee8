//! Reads messages.

use mail_parser::{Address, MessageParser, MimeHeaders};
use serde::{Deserialize, Serialize};

/// The most bytes of text that an outcome carries.
const MAX_BODY: usize = 256 << 10;
/// The most header fields that an outcome carries.
const MAX_HEADERS: usize = 200;

/// A message as it was fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Its number in the mailbox (POP3) or its UID (IMAP); 0 where it was not fetched.
    #[serde(default)]
    pub number: u32,
    /// Address in `From:`.
    pub from: String,
    /// Name in `From:`.
    #[serde(default)]
    pub from_name: String,
    /// Addresses in `To:`.
    pub to: Vec<String>,
    /// `Subject:`, decoded.
    pub subject: String,
    /// `Date:` as it stands.
    #[serde(default)]
    pub date: String,
    /// `Message-ID` without the angle brackets.
    #[serde(default)]
    pub message_id: Option<String>,
    /// Where an answer goes: `Reply-To:`, else `From:`.
    #[serde(default)]
    pub reply_to: String,
    /// The text, decoded.
    pub body: String,
    /// The header fields in order, decoded as text.
    pub headers: Vec<(String, String)>,
    /// Files that came along.
    #[serde(default)]
    pub attachments: Vec<Attached>,
    /// Its size in bytes.
    pub size: u64,
}

/// A file that came along.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes, decoded.
    pub size: u64,
    /// SHA-256 of its content, hexadecimal.
    pub sha256: String,
}

/// Reads a message; what cannot be read is left empty.
pub fn parse(raw: &[u8]) -> Letter {
    let mut letter = Letter { size: raw.len() as u64, ..Letter::default() };
    let Some(message) = MessageParser::default().parse(raw) else {
        letter.body = clipped(&String::from_utf8_lossy(raw));
        return letter;
    };
    (letter.from, letter.from_name) = first(message.from());
    letter.to = all(message.to());
    letter.subject = message.subject().unwrap_or_default().to_owned();
    letter.message_id = message.message_id().map(str::to_owned);
    letter.reply_to = first(message.reply_to()).0;
    if letter.reply_to.is_empty() {
        letter.reply_to.clone_from(&letter.from);
    }
    for (name, value) in message.headers_raw().take(MAX_HEADERS) {
        let value = value.split(['\r', '\n']).map(str::trim).filter(|p| !p.is_empty());
        let value = clipped(&value.collect::<Vec<_>>().join(" "));
        if name.eq_ignore_ascii_case("date") {
            letter.date.clone_from(&value);
        }
        letter.headers.push((name.to_owned(), value));
    }
    letter.body = message.body_text(0).map(|text| clipped(&text)).unwrap_or_default();
    for part in message.attachments() {
        let content = part.contents();
        let media_type = part.content_type().map_or_else(
            || "application/octet-stream".to_owned(),
            |kind| match kind.subtype() {
                Some(subtype) => format!("{}/{subtype}", kind.ctype()),
                None => kind.ctype().to_owned(),
            },
        );
        letter.attachments.push(Attached {
            name: part.attachment_name().unwrap_or_default().to_owned(),
            media_type,
            size: content.len() as u64,
            sha256: hex(content),
        });
    }
    letter
}

fn hex(content: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn first(address: Option<&Address<'_>>) -> (String, String) {
    let Some(one) = address.and_then(|address| address.first()) else {
        return Default::default();
    };
    (one.address().unwrap_or_default().to_owned(), one.name().unwrap_or_default().to_owned())
}

fn all(address: Option<&Address<'_>>) -> Vec<String> {
    let Some(address) = address else { return Vec::new() };
    address.iter().filter_map(|one| one.address().map(str::to_owned)).collect()
}

fn clipped(text: &str) -> String {
    if text.len() <= MAX_BODY {
        return text.to_owned();
    }
    let mut end = MAX_BODY;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}\n[… {} bytes in all]", &text[..end], text.len())
}
