//! Writes messages (RFC 5322, MIME).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::types::Send;
use crate::Env;

/// The longest line that is sent as it stands; RFC 5322 allows 998, but 76 columns for MIME.
const MAX_LINE: usize = 900;

/// A file that goes along with a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// Its media type; `application/octet-stream` where empty.
    #[serde(default)]
    pub media_type: String,
    /// Its content in base64.
    pub base64: String,
}

impl Attachment {
    /// A file with its content.
    pub fn new(name: &str, media_type: &str, content: &[u8]) -> Self {
        Self { name: name.into(), media_type: media_type.into(), base64: BASE64.encode(content) }
    }
}

/// A message to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// Sender: address and name.
    pub from: (String, Option<String>),
    /// Recipients.
    pub to: Vec<String>,
    /// Subject.
    pub subject: String,
    /// Text.
    pub body: String,
    /// `Message-ID` without the angle brackets.
    pub message_id: String,
    /// Seconds since 1970.
    pub date: u64,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
    /// A file.
    pub attachment: Option<Attachment>,
}

impl Draft {
    /// What a request asks for, with a new `Message-ID` and the time of now.
    pub fn from_request(request: &Send, env: &Env) -> Self {
        let host = request.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        let node = if env.node.is_empty() { "client" } else { &env.node };
        Self {
            from: (request.from.clone(), request.from_name.clone().filter(|name| !name.is_empty())),
            to: request.to.clone(),
            subject: request.subject.clone(),
            body: request.body.clone(),
            message_id: format!("{:016x}.{node}@{host}", rand::random::<u64>()),
            date: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            headers: request.headers.clone(),
            attachment: request.attachment.clone(),
        }
    }

    /// The message with CRLF line ends.
    pub fn write(&self) -> Vec<u8> {
        let mut out = String::new();
        let mut header = |name: &str, value: &str| {
            let value: String =
                value.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect();
            out.push_str(&format!("{name}: {value}\r\n"));
        };
        header("Date", &rfc5322_date(self.date));
        let (address, name) = &self.from;
        match name {
            Some(name) => header("From", &format!("{} <{address}>", phrase(name))),
            None => header("From", &format!("<{address}>")),
        }
        let to: Vec<String> = self.to.iter().map(|address| format!("<{address}>")).collect();
        header("To", &to.join(", "));
        header("Subject", &encoded(&self.subject));
        header("Message-ID", &format!("<{}>", self.message_id));
        for (name, value) in &self.headers {
            let good =
                !name.is_empty() && name.bytes().all(|b| (33..=126).contains(&b) && b != b':');
            if good {
                header(name, &encoded(value));
            }
        }
        header("MIME-Version", "1.0");
        match &self.attachment {
            None => out.push_str(&text_part(&self.body)),
            Some(file) => {
                let boundary = format!("=_{}", self.message_id.split('@').next().unwrap_or("part"));
                header("Content-Type", &format!("multipart/mixed; boundary=\"{boundary}\""));
                let media = if file.media_type.is_empty() {
                    "application/octet-stream"
                } else {
                    &file.media_type
                };
                let name: String = file
                    .name
                    .chars()
                    .filter(|c| !c.is_control() && !matches!(c, '"' | '\\' | '/'))
                    .collect();
                let name = encoded(&name);
                let content: String = file.base64.chars().filter(|c| !c.is_whitespace()).collect();
                out.push_str(&format!(
                    "\r\n--{boundary}\r\n{}--{boundary}\r\nContent-Type: {media}; name=\"{name}\"\r\n\
                     Content-Disposition: attachment; filename=\"{name}\"\r\n\
                     Content-Transfer-Encoding: base64\r\n\r\n{}--{boundary}--\r\n",
                    text_part(&self.body),
                    wrapped(&content),
                ));
            }
        }
        out.into_bytes()
    }
}

fn text_part(body: &str) -> String {
    let plain =
        body.is_ascii() && !body.contains('\0') && body.lines().all(|line| line.len() <= MAX_LINE);
    let mut crlf: String =
        body.lines().map(|line| format!("{}\r\n", line.trim_end_matches('\r'))).collect();
    if crlf.is_empty() {
        crlf.push_str("\r\n");
    }
    if plain {
        format!(
            "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{crlf}"
        )
    } else {
        format!(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
            wrapped(&BASE64.encode(crlf))
        )
    }
}

/// Base64 in lines of 76.
fn wrapped(base64: &str) -> String {
    let mut out = String::with_capacity(base64.len() + base64.len() / 38 + 2);
    for chunk in base64.as_bytes().chunks(76) {
        out.push_str(&String::from_utf8_lossy(chunk));
        out.push_str("\r\n");
    }
    out
}

/// A header text as encoded words (RFC 2047) where it is not ASCII.
fn encoded(text: &str) -> String {
    if text.is_ascii() {
        return text.into();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        // An encoded word has at most 75 characters: 45 bytes of text.
        if word.len() + c.len_utf8() > 42 {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let words: Vec<String> =
        words.iter().map(|word| format!("=?utf-8?B?{}?=", BASE64.encode(word))).collect();
    words.join(" ")
}

/// A display name.
fn phrase(name: &str) -> String {
    if !name.is_ascii() {
        return encoded(name);
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `Mon, 30 Nov 2026 13:00:00 +0000`.
fn rfc5322_date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = seconds / 86_400;
    let rest = seconds % 86_400;
    // Days to a civil date in the proleptic Gregorian calendar, years beginning in March.
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    let weekday = DAYS[usize::try_from(days % 7).unwrap_or(0)];
    let month = MONTHS[usize::try_from(month - 1).unwrap_or(0) % 12];
    format!(
        "{weekday}, {day} {month} {year} {:02}:{:02}:{:02} +0000",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        assert_eq!(rfc5322_date(0), "Thu, 1 Jan 1970 00:00:00 +0000");
        assert_eq!(rfc5322_date(1_796_043_600), "Mon, 30 Nov 2026 13:00:00 +0000");
        assert_eq!(rfc5322_date(951_782_400), "Tue, 29 Feb 2000 00:00:00 +0000");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let draft = Draft {
            from: ("a@x.test".into(), Some("Ana \"A\" Pérez".into())),
            to: vec!["b@x.test".into(), "c@x.test".into()],
            subject: "Grüße an alle, die dieses lange Betreff mit Umlauten äöü lesen".into(),
            body: "Zeile eins ä\nZeile zwei".into(),
            message_id: "1@x.test".into(),
            date: 0,
            headers: vec![("X-Nonce".into(), "n\r\nBcc: evil@x".into())],
            attachment: Some(Attachment {
                name: "a.txt".into(),
                media_type: "text/plain".into(),
                base64: BASE64.encode("attached"),
            }),
        };
        let letter = super::super::letter::parse(&draft.write());
        assert_eq!(letter.subject, draft.subject);
        assert_eq!(letter.from, "a@x.test");
        assert_eq!(letter.to, draft.to);
        assert_eq!(letter.body.trim_end(), "Zeile eins ä\r\nZeile zwei");
        assert_eq!(letter.attachments[0].name, "a.txt");
        assert!(!letter.headers.iter().any(|(name, _)| name == "Bcc"));
    }
}
