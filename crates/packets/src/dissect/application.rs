//! What runs over TCP: SMTP, POP3, IMAP, HTTP as lines; DNS; TLS.

use super::{Dissection, dns, tls};

/// Lines of a payload that are shown.
const MAX_LINES: usize = 30;
/// Characters of a line that are shown.
const MAX_WIDTH: usize = 200;

/// A protocol over TCP, by its usual port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Application {
    /// `smtp`, `pop3`, …
    pub name: &'static str,
    /// Whether it is under TLS from the first byte.
    pub tls: bool,
    /// Whether it consists of lines.
    pub lines: bool,
}

/// The protocol that is usual on a port.
pub fn by_port(port: u16) -> Option<Application> {
    let of = |name, tls, lines| Some(Application { name, tls, lines });
    match port {
        25 | 587 => of("smtp", false, true),
        465 => of("smtp", true, true),
        110 => of("pop3", false, true),
        995 => of("pop3", true, true),
        143 => of("imap", false, true),
        993 => of("imap", true, true),
        80 | 8080 => of("http", false, true),
        443 => of("http", true, true),
        53 => of("dns", false, false),
        21 => of("ftp", false, true),
        22 => of("ssh", false, false),
        23 => of("telnet", false, false),
        _ => None,
    }
}

/// Reads the payload of one segment into the dissection.
pub fn read(bytes: &[u8], source: u16, destination: u16, found: &mut Dissection) {
    let Some(application) = by_port(destination).or_else(|| by_port(source)) else { return };
    if let Some(text) = tls::hello(bytes) {
        found.protocol = "tls".into();
        let mut layer = found.layer("TLS");
        layer.add("protocol within", application.name);
        layer.add("record", &text);
        found.layers.push(layer);
        found.info = text;
        return;
    }
    found.protocol = application.name.into();
    if application.name == "dns" {
        if let Some(message) = bytes.get(2..) {
            dns::read(message, found);
        }
        return;
    }
    if !application.lines || application.tls {
        return;
    }
    let mut layer = found.layer(&application.name.to_ascii_uppercase());
    let from_client = by_port(destination).is_some();
    let side = if from_client { "client" } else { "server" };
    let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
    let mut count = 0;
    while let Some(line) = lines.next() {
        if line.is_empty() && lines.peek().is_none() {
            break;
        }
        if count >= MAX_LINES {
            layer.add(side, "…");
            break;
        }
        let text = shown(line);
        if count == 0 {
            found.info.clone_from(&text);
        }
        layer.add(side, text);
        count += 1;
    }
    found.layers.push(layer);
}

/// A line for people: no control characters, not too long.
pub fn shown(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    let mut out: String = text
        .chars()
        .take(MAX_WIDTH)
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '·',
            c => c,
        })
        .collect();
    if text.chars().nth(MAX_WIDTH).is_some() {
        out.push('…');
    }
    out
}
