//! The query log: who asked what, answered how, in how long.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use dnswire::{Name, RecordType, rcode_word};
use serde_json::{Value, json};
use tokio::sync::broadcast;

/// Queries kept.
const KEPT: usize = 1000;

/// One query and its answer.
#[derive(Clone, Debug)]
pub struct Line {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Who asked.
    pub client: SocketAddr,
    /// Over TCP or UDP.
    pub tcp: bool,
    /// The name asked for (wire bytes).
    pub name: Vec<u8>,
    /// The type asked for.
    pub kind: RecordType,
    /// The response code; `None` where nothing was sent.
    pub rcode: Option<u16>,
    /// Whether the answer was authoritative.
    pub authoritative: bool,
    /// Records in its answer section.
    pub answers: u16,
    /// Microseconds it took.
    pub micros: u64,
}

impl Line {
    /// As the admin socket gives it.
    pub fn json(&self) -> Value {
        let name = Name::from_wire(&self.name).map(|name| name.to_string()).unwrap_or_default();
        json!({
            "at_ms": self.at_ms,
            "client": self.client.ip().to_canonical().to_string(),
            "port": self.client.port(),
            "transport": if self.tcp { "tcp" } else { "udp" },
            "name": name,
            "type": self.kind.to_string(),
            "code": self.rcode.map_or_else(|| "DROPPED".to_owned(), rcode_word),
            "authoritative": self.authoritative,
            "answers": self.answers,
            "ms": self.micros as f64 / 1000.0,
        })
    }
}

/// The log.
#[derive(Debug)]
pub struct Log {
    last: Mutex<VecDeque<Line>>,
    live: broadcast::Sender<Line>,
}

impl Default for Log {
    fn default() -> Self {
        Self { last: Mutex::default(), live: broadcast::channel(1024).0 }
    }
}

impl Log {
    /// Takes one line in from its parts; the oldest line's room is used again.
    #[expect(clippy::too_many_arguments, reason = "the fields of a line")]
    pub fn note(
        &self,
        at_ms: u64,
        client: SocketAddr,
        tcp: bool,
        name: &[u8],
        kind: RecordType,
        reply: Option<&[u8]>,
        micros: u64,
    ) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut room =
            if last.len() >= KEPT { last.pop_front().map(|line| line.name) } else { None }
                .unwrap_or_default();
        room.clear();
        room.extend_from_slice(name);
        let (rcode, authoritative, answers) = match reply {
            Some([_, _, f1, f2, _, _, a1, a2, ..]) => {
                (Some(u16::from(f2 & 15)), f1 & 4 != 0, u16::from_be_bytes([*a1, *a2]))
            }
            _ => (None, false, 0),
        };
        let line =
            Line { at_ms, client, tcp, name: room, kind, rcode, authoritative, answers, micros };
        if self.live.receiver_count() > 0 {
            let _ = self.live.send(line.clone());
        }
        last.push_back(line);
    }

    /// The last lines, oldest first.
    pub fn last(&self, count: usize) -> Vec<Line> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().skip(last.len().saturating_sub(count)).cloned().collect()
    }

    /// What comes from now on.
    pub fn follow(&self) -> broadcast::Receiver<Line> {
        self.live.subscribe()
    }
}
