//! DNS (RFC 1035), over UDP and over TCP.

use dnswire::{Flags, Message, class_word};

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
    let mut short = Vec::new();
    for (section, records) in [
        ("answer", &message.answers),
        ("authority", &message.authority),
        ("additional", &message.additional),
    ] {
        for record in records {
            let (data, class) = (record.text(), class_word(record.class));
            let text = format!("{} {} {class} {} {data}", record.name, record.ttl, record.kind);
            layer.add(section, &text);
            if section == "answer" {
                short.push(data);
                dns.answers.push(text);
            }
        }
    }
    found.layers.push(layer);
    let (name, kind) = dns.question.clone().unwrap_or_default();
    found.info = if !response {
        format!("{kind}? {name}")
    } else if dns.answers.is_empty() {
        format!("{kind} {name}: {}, no answer", dns.rcode)
    } else {
        format!("{kind} {name}: {}", short.join(", "))
    };
    found.dns = Some(dns);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_whole() {
        // a.b MX? 10 m.a.b, and a text of two words.
        let head = |kind: u8| {
            let mut message = vec![0, 7, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0];
            message.extend([1, b'a', 1, b'b', 0, 0, kind, 0, 1]);
            message.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60]);
            message
        };
        let told = |mut message: Vec<u8>, data: &[u8]| {
            message.extend([0, u8::try_from(data.len()).unwrap()]);
            message.extend(data);
            let mut found = Dissection::default();
            read(&message, &mut found);
            (found.info, found.dns.unwrap().answers.concat())
        };
        assert_eq!(
            told(head(15), &[0, 10, 1, b'm', 0xc0, 12]),
            ("MX a.b.: 10 m.a.b.".into(), "a.b. 60 IN MX 10 m.a.b.".into())
        );
        assert_eq!(told(head(16), b"\x05v x y").0, "TXT a.b.: \"v x y\"");
    }
}
