//! Every dialogue as lines, in a bounded ring: what students read to learn the protocols.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::broadcast;

use crate::config::Protocol;

/// Bytes kept of one line.
const WIDTH: usize = 400;
/// Lines kept of one message.
const BODY_LINES: u32 = 12;
/// Lines that a slow follower may lag behind.
const LAG: usize = 1024;

/// One line of a dialogue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// `smtp`, `pop3s`, …; `relay` for what this server sends to others.
    pub protocol: &'static str,
    /// The number of the connection.
    pub connection: u64,
    /// The other end.
    pub peer: IpAddr,
    /// Whether the connection was under TLS then.
    pub tls: bool,
    /// `C` the client, `S` the server, `-` what happened besides.
    pub side: char,
    /// The text, without its CRLF; secrets are masked.
    pub text: String,
}

/// The ring of one server.
#[derive(Clone)]
pub struct Transcript {
    inner: Arc<Inner>,
}

struct Inner {
    ring: Mutex<VecDeque<Arc<Line>>>,
    capacity: usize,
    followers: broadcast::Sender<Arc<Line>>,
    show_secrets: AtomicBool,
}

impl Transcript {
    /// An empty ring for so many lines.
    pub fn new(capacity: usize, show_secrets: bool) -> Self {
        Self {
            inner: Arc::new(Inner {
                ring: Mutex::default(),
                capacity: capacity.max(1),
                followers: broadcast::channel(LAG).0,
                show_secrets: AtomicBool::new(show_secrets),
            }),
        }
    }

    /// The dialogue of a new connection.
    pub fn dialogue(&self, protocol: &'static str, connection: u64, peer: IpAddr) -> Dialogue {
        Dialogue {
            transcript: self.clone(),
            protocol,
            connection,
            peer,
            tls: AtomicBool::new(false),
            body: AtomicU32::new(0),
        }
    }

    /// The lines kept, oldest first, of one protocol (its TLS form included) or connection.
    pub fn lines(&self, protocol: Option<&str>, connection: Option<u64>) -> Vec<Arc<Line>> {
        let ring = self.inner.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().filter(|line| wanted(line, protocol, connection)).cloned().collect()
    }

    /// Lines from now on.
    pub fn follow(&self) -> broadcast::Receiver<Arc<Line>> {
        self.inner.followers.subscribe()
    }

    /// Switches masking of secrets for lines to come.
    pub fn show_secrets(&self, show: bool) {
        self.inner.show_secrets.store(show, Ordering::Relaxed);
    }

    fn put(&self, line: Line) {
        let line = Arc::new(line);
        let mut ring = self.inner.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() == self.inner.capacity {
            ring.pop_front();
        }
        ring.push_back(line.clone());
        // Nobody may be following.
        let _ = self.inner.followers.send(line);
    }
}

/// Whether a line is of that protocol and connection. `mail` is every protocol.
pub fn wanted(line: &Line, protocol: Option<&str>, connection: Option<u64>) -> bool {
    let family = |name: &str| match name {
        "smtp" => matches!(line.protocol, "smtp" | "submission" | "submissions" | "relay"),
        "pop3" => matches!(line.protocol, "pop3" | "pop3s"),
        "imap" => matches!(line.protocol, "imap" | "imaps"),
        "mail" => true,
        name => name == line.protocol,
    };
    protocol.is_none_or(family) && connection.is_none_or(|number| number == line.connection)
}

/// One connection's way into the transcript.
pub struct Dialogue {
    transcript: Transcript,
    protocol: &'static str,
    connection: u64,
    peer: IpAddr,
    tls: AtomicBool,
    /// Lines of the message that is being sent.
    body: AtomicU32,
}

impl Dialogue {
    /// What the client said, with or without its line end.
    pub fn client(&self, bytes: &[u8]) {
        self.put('C', bytes);
    }

    /// What the client said is a secret: `mask` is shown instead.
    pub fn client_secret(&self, bytes: &[u8], mask: &str) {
        if self.transcript.inner.show_secrets.load(Ordering::Relaxed) {
            self.put('C', bytes);
        } else {
            self.put('C', mask.as_bytes());
        }
    }

    /// What the server said: one or more lines.
    pub fn server(&self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.put('S', line);
        }
    }

    /// What happened besides: connected, TLS, closed.
    pub fn event(&self, text: &str) {
        self.put('-', text.as_bytes());
    }

    /// From now on under TLS.
    pub fn under_tls(&self) {
        self.tls.store(true, Ordering::Relaxed);
    }

    /// One line of a message: only the first few are kept.
    pub fn body_line(&self, side: char, line: &[u8]) {
        if self.body.fetch_add(1, Ordering::Relaxed) < BODY_LINES {
            self.put(side, line);
        }
    }

    /// Whether lines of the present message are still kept.
    pub fn wants_body(&self) -> bool {
        self.body.load(Ordering::Relaxed) < BODY_LINES
    }

    /// The message has ended after so many bytes.
    pub fn body_end(&self, bytes: u64) {
        if self.body.swap(0, Ordering::Relaxed) >= BODY_LINES {
            self.put('-', format!("… {bytes} bytes in all").as_bytes());
        }
    }

    fn put(&self, side: char, bytes: &[u8]) {
        let trimmed = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let trimmed = trimmed.strip_suffix(b"\r").unwrap_or(trimmed);
        let mut text = String::from_utf8_lossy(&trimmed[..trimmed.len().min(WIDTH)]).into_owned();
        if trimmed.len() > WIDTH {
            text.push('…');
        }
        if text.contains(char::is_control) {
            text = text.chars().flat_map(visible).collect();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.transcript.put(Line {
            time_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            protocol: self.protocol,
            connection: self.connection,
            peer: self.peer,
            tls: self.tls.load(Ordering::Relaxed),
            side,
            text,
        });
    }
}

/// Control characters as `\r`, so that a dialogue cannot move the reader's cursor.
fn visible(c: char) -> Vec<char> {
    if c == '\t' || !c.is_control() { vec![c] } else { c.escape_default().collect() }
}

/// The name of a protocol in the transcript.
pub fn name(protocol: Protocol) -> &'static str {
    protocol.name()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_bounded_and_filtered_and_masked() {
        let transcript = Transcript::new(3, false);
        let peer = "10.0.0.1".parse().unwrap();
        let (one, two) =
            (transcript.dialogue("smtp", 1, peer), transcript.dialogue("pop3s", 2, peer));
        one.server(b"250-a\r\n250 b\r\n");
        two.client_secret(b"PASS geheim\r\n", "PASS ***");
        one.client(b"a\rb\x1b[2J\r\n");
        let texts: Vec<_> = transcript.lines(None, None).iter().map(|l| l.text.clone()).collect();
        assert_eq!(texts, ["250 b", "PASS ***", "a\\rb\\u{1b}[2J"]);
        assert_eq!(transcript.lines(Some("pop3"), None).len(), 1);
        assert_eq!(transcript.lines(Some("mail"), Some(1)).len(), 2);
        transcript.show_secrets(true);
        two.client_secret(b"PASS geheim\r\n", "PASS ***");
        assert_eq!(transcript.lines(None, Some(2)).last().unwrap().text, "PASS geheim");
    }

    #[test]
    fn of_a_message_only_the_beginning_is_kept() {
        let transcript = Transcript::new(100, false);
        let dialogue = transcript.dialogue("smtp", 1, "10.0.0.1".parse().unwrap());
        for _ in 0..50 {
            dialogue.body_line('C', b"x\r\n");
        }
        dialogue.body_end(150);
        assert_eq!(transcript.lines(None, None).len(), BODY_LINES as usize + 1);
    }
}
