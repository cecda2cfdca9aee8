//! Notices of delivery (RFC 3461, 3462, 3464): for people, for programs, and the message.

use super::{Envelope, Recipient, State};
use crate::headers;

/// Of what a notice tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was delivered.
    Success,
    /// It was handed to a server that will not tell more.
    Relayed,
    /// It was sent on to several addresses.
    Expanded,
    /// It never will be.
    Failure,
    /// It still waits.
    Delay,
}

/// A whole message comes back up to this size; of a longer one only the header.
pub(super) const MAX_RETURNED: usize = 64 << 10;

impl Kind {
    fn action(self) -> &'static str {
        match self {
            Self::Success => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
            Self::Failure => "failed",
            Self::Delay => "delayed",
        }
    }

    fn subject(self) -> &'static str {
        match self {
            Self::Success => "Delivered: your message has arrived",
            Self::Relayed => "Relayed: your message was handed on",
            Self::Expanded => "Expanded: your message was sent on",
            Self::Failure => "Undelivered: your message has been returned",
            Self::Delay => "Delayed: your message has not arrived yet",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Success => "Your message was delivered to:",
            Self::Relayed => {
                "Your message was handed to a server that does not tell of its deliveries; there will be no other notice, unless it fails:"
            }
            Self::Expanded => {
                "Your message was sent on to several addresses; of these there will be no notice, unless one fails:"
            }
            Self::Failure => "Your message could not be delivered to:",
            Self::Delay => {
                "Your message has not been delivered yet; there is nothing to do, it will be tried again. Still waiting:"
            }
        }
    }
}

/// The notice for the recipients of `about`. `original` is the message or its header.
pub fn notice(hostname: &str, about: &Envelope, kind: Kind, original: &[u8], now: i64) -> Vec<u8> {
    // With addresses that are not ASCII the parts have other names (RFC 6533).
    let global = !about.sender.is_ascii() || about.recipients.iter().any(|r| !r.address.is_ascii());
    let boundary = format!("=_{now}.{}.{}", about.id, kind.action());
    let mut text = String::new();
    let mut line = |words: &str| {
        text.push_str(words);
        text.push_str("\r\n");
    };
    line(&format!("From: Mail Delivery System <MAILER-DAEMON@{hostname}>"));
    line(&format!("To: <{}>", about.sender));
    line(&format!("Subject: {}", kind.subject()));
    line(&format!("Date: {}", headers::date(now)));
    line(&format!("Message-ID: <{now}.{}.{}@{hostname}>", about.id, kind.action()));
    line("Auto-Submitted: auto-replied");
    line("MIME-Version: 1.0");
    line("Content-Type: multipart/report; report-type=delivery-status;");
    line(&format!("\tboundary=\"{boundary}\""));
    line("");
    line(&format!("--{boundary}"));
    line("Content-Type: text/plain; charset=utf-8");
    line("Content-Transfer-Encoding: 8bit");
    line("");
    line(kind.words());
    line("");
    for recipient in &about.recipients {
        line(&format!("  <{}>", recipient.address));
        if let Some(reply) = &recipient.reply {
            let host = recipient.host.as_ref().map(|h| format!("{h} said: ")).unwrap_or_default();
            for part in wrap(&format!("{host}{}", headers::clean(reply))) {
                line(&format!("    {part}"));
            }
        }
    }
    line("");
    line(&format!("--{boundary}"));
    line(if global {
        "Content-Type: message/global-delivery-status"
    } else {
        "Content-Type: message/delivery-status"
    });
    if global {
        line("Content-Transfer-Encoding: 8bit");
    }
    line("");
    line(&format!("Reporting-MTA: dns; {hostname}"));
    if let Some(envid) = &about.envid {
        line(&format!("Original-Envelope-Id: {}", headers::clean(envid)));
    }
    line(&format!("Arrival-Date: {}", headers::date(about.created)));
    for recipient in &about.recipients {
        line("");
        for field in status(recipient, kind) {
            line(&field);
        }
    }
    line("");
    let head = headers::length(original);
    let whole = !about.headers_only
        && kind == Kind::Failure
        && original.len() <= MAX_RETURNED
        && head < original.len();
    line(&format!("--{boundary}"));
    line(match (whole, global) {
        (true, false) => "Content-Type: message/rfc822",
        (true, true) => "Content-Type: message/global",
        (false, false) => "Content-Type: text/rfc822-headers",
        (false, true) => "Content-Type: message/global-headers",
    });
    if !original.is_ascii() {
        line("Content-Transfer-Encoding: 8bit");
    }
    line("");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(if whole { original } else { &original[..head] });
    if !bytes.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    bytes
}

/// The fields about one recipient (RFC 3464, 2.3).
fn status(recipient: &Recipient, kind: Kind) -> Vec<String> {
    let mut fields = Vec::new();
    if let Some(orcpt) = &recipient.orcpt {
        let (form, address) = orcpt.split_once(';').unwrap_or(("rfc822", orcpt));
        fields.push(format!("Original-Recipient: {form}; {}", headers::clean(address)));
    }
    let form = if recipient.address.is_ascii() { "rfc822" } else { "utf-8" };
    fields.push(format!("Final-Recipient: {form}; {}", recipient.address));
    fields.push(format!("Action: {}", kind.action()));
    let reply = recipient.reply.as_deref().unwrap_or_default();
    fields.push(format!("Status: {}", enhanced(reply, recipient.state)));
    if let Some(host) = &recipient.host {
        fields.push(format!("Remote-MTA: dns; {}", headers::clean(host)));
        fields.push(format!("Diagnostic-Code: smtp; {}", headers::clean(reply)));
    }
    fields
}

/// The enhanced code in a reply, or the general one of its class.
fn enhanced(reply: &str, state: State) -> String {
    let found = reply.split(' ').nth(1).filter(|word| {
        let numbers: Vec<_> = word.split('.').collect();
        numbers.len() == 3 && numbers.iter().all(|n| n.parse::<u16>().is_ok())
    });
    let general = match state {
        State::Delivered => "2.0.0",
        State::Failed => "5.0.0",
        State::Waiting => "4.0.0",
    };
    // The class must be the one of the action: a failure after many 4xx is a 5.
    match found {
        Some(found) if found.starts_with(&general[..1]) => found.to_owned(),
        _ => general.to_owned(),
    }
}

/// Lines of at most 70 characters.
fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let count = lines.len();
        let last = &mut lines[count - 1];
        if !last.is_empty() && last.chars().count() + word.chars().count() >= 70 {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_parser::{MessageParser, MimeHeaders};

    #[test]
    fn a_notice_has_its_three_parts() {
        let about = Envelope {
            id: 7,
            sender: "a@b.test".into(),
            envid: Some("E1".into()),
            recipients: vec![Recipient {
                address: "x@far.test".into(),
                state: State::Failed,
                orcpt: Some("rfc822;list@b.test".into()),
                reply: Some("550 5.1.1 no such user".into()),
                host: Some("mx.far.test".into()),
                ..Recipient::default()
            }],
            ..Envelope::default()
        };
        let original = b"Subject: hi\r\n\r\nbody\r\n";
        let bytes = notice("mx.b.test", &about, Kind::Failure, original, 1_000_000_000);
        let parsed = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(parsed.parts.len(), 4);
        assert!(parsed.parts[2].is_content_type("message", "delivery-status"));
        let status = String::from_utf8_lossy(parsed.parts[2].contents()).into_owned();
        for field in [
            "Original-Envelope-Id: E1",
            "Original-Recipient: rfc822; list@b.test",
            "Final-Recipient: rfc822; x@far.test",
            "Action: failed",
            "Status: 5.1.1",
            "Remote-MTA: dns; mx.far.test",
            "Diagnostic-Code: smtp; 550 5.1.1 no such user",
        ] {
            assert!(status.contains(field), "{field} is not in {status}");
        }
        assert!(parsed.parts[3].is_content_type("message", "rfc822"));
        let short = Envelope { headers_only: true, ..about };
        let bytes = notice("mx.b.test", &short, Kind::Failure, original, 1_000_000_000);
        let parsed = MessageParser::default().parse(&bytes).unwrap();
        assert!(parsed.parts[3].is_content_type("text", "rfc822-headers"));
    }

    #[test]
    fn the_class_of_the_status_is_the_one_of_the_action() {
        assert_eq!(enhanced("451 4.4.1 silent", State::Failed), "5.0.0");
        assert_eq!(enhanced("554 5.4.7 given up", State::Failed), "5.4.7");
        assert_eq!(enhanced("nonsense", State::Waiting), "4.0.0");
    }
}
