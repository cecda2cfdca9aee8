//! DNS (RFC 1035), over UDP and over TCP.

use dnswire::{Flags, Message};

use super::Dissection;

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Whether it answers.
    pub response: bool,
    /// Its id.
    pub id: u16,
    /// Name and type of the question.
    pub question: Option<(String, String)>,
    /// The answers as text: `mail.com. 3600 IN A 192.168.1.2`.
    pub answers: Vec<String>,
    /// `NOERROR`, `NXDOMAIN`, …
    pub rcode: String,
    /// Whether the server is authoritative.
    pub authoritative: bool,
}

/// Reads a message into the dissection.
pub fn read(bytes: &[u8], found: &mut Dissection) {
    found.protocol = "dns".into();
    let Ok(message) = Message::read(bytes) else {
        found.info = "a malformed DNS message".into();
        return;
    };
    let mut layer = found.layer("DNS");
    let response = message.flags.has(Flags::QR);
    layer.add("id", message.id);
    layer.add("kind", if response { "response" } else { "query" });
    layer.add("flags", message.flags.words().join(" "));
    let rcode = message.rcode_word();
    if response {
        layer.add("status", &rcode);
    }
    let mut dns = Dns {
        response,
        id: message.id,
        rcode,
        authoritative: message.flags.has(Flags::AA),
        ..Dns::default()
    };
    for question in &message.questions {
        let (name, kind) = (question.name.to_string(), question.kind.to_string());
        layer.add("question", format_args!("{name} {kind}"));
        dns.question.get_or_insert((name, kind));
    }
    for (section, records) in [
        ("answer", &message.answers),
        ("authority", &message.authority),
        ("additional", &message.additional),
    ] {
        for record in records {
            let text = record.text();
            if section == "answer" {
                dns.answers.push(text.clone());
            }
            layer.add(section, text);
        }
    }
    found.layers.push(layer);
    let (name, kind) = dns.question.clone().unwrap_or_default();
    found.info = if !response {
        format!("{kind}? {name}")
    } else if dns.answers.is_empty() {
        format!("{kind} {name}: {}, no answer", dns.rcode)
    } else {
        let short: Vec<&str> = dns.answers.iter().map(|text| tail(text)).collect();
        format!("{kind} {name}: {}", short.join(", "))
    };
    found.dns = Some(dns);
}

/// A record's text without its name, TTL and class.
fn tail(text: &str) -> &str {
    let mut rest = text;
    for _ in 0..3 {
        rest = rest.trim_start().split_once([' ', '\t']).map_or(rest, |(_, rest)| rest);
    }
    rest.trim_start()
}
