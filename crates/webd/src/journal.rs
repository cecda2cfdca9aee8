//! The access log: to standard error, to whoever follows it, and the last lines in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::broadcast;

/// Lines kept.
const KEPT: usize = 1000;
/// Characters kept of what a visitor chose.
const MAX_TEXT: usize = 512;

/// One visit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// The visitor's address.
    pub client: String,
    /// `http` or `https`.
    pub protocol: &'static str,
    /// The host that was asked for.
    pub host: String,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The response's status.
    pub status: u16,
    /// Bytes of content.
    pub bytes: u64,
    /// What the visitor's program calls itself.
    pub agent: String,
}

impl Entry {
    /// The combined log format, with the host in front; control characters cannot forge a line.
    pub fn line(&self) -> String {
        format!(
            "{} {} - - [{}] \"{} {}\" {} {} \"{}\"",
            clean(&self.host),
            self.client,
            self.time,
            clean(&self.method),
            clean(&self.path),
            self.status,
            self.bytes,
            clean(&self.agent)
        )
    }
}

/// A text of a visitor's, bounded and without what could end a line or a quotation.
fn clean(text: &str) -> String {
    text.chars()
        .take(MAX_TEXT)
        .map(|c| if c.is_control() || c == '"' || c == '\\' { '?' } else { c })
        .collect()
}

/// The log.
#[derive(Debug)]
pub struct Journal {
    last: Mutex<VecDeque<Entry>>,
    followers: broadcast::Sender<Entry>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { last: Mutex::default(), followers: broadcast::channel(256).0 }
    }
}

impl Journal {
    /// Writes one visit.
    pub fn write(&self, entry: Entry) {
        tracing::info!("{}", entry.line());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(entry.clone());
        // Nobody has to listen.
        let _ = self.followers.send(entry);
    }

    /// The last `count` visits, and those that come. None is lost or doubled between the two.
    pub fn follow(&self, count: usize) -> (Vec<Entry>, broadcast::Receiver<Entry>) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = last.len().saturating_sub(count);
        (last.iter().skip(skip).cloned().collect(), self.followers.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_cannot_forge_a_line() {
        let entry = Entry {
            time: "2026-11-30T12:00:00Z".into(),
            client: "10.0.0.9".into(),
            protocol: "http",
            host: "x\n".into(),
            method: "GET".into(),
            path: "/\r\n10.0.0.1 - - \"".into(),
            status: 404,
            bytes: 7,
            agent: "a\"b".into(),
        };
        let line = entry.line();
        assert!(!line.contains(['\r', '\n']));
        assert_eq!(line.matches('"').count(), 4);
    }
}
