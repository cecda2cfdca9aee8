//! The end of a node's log, kept in the supervisor's memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use tokio::sync::Notify;

/// Bytes kept of one node's log; older lines go first.
const KEPT: usize = 256 << 10;

/// Bytes after which a line is cut.
const LINE: usize = 8 << 10;

/// The last lines of a log; readers wait for more.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: RefCell<VecDeque<String>>,
    bytes: Cell<usize>,
    /// The number of the first kept line.
    first: Cell<u64>,
    partial: RefCell<Vec<u8>>,
    more: Notify,
}

impl Log {
    /// Takes output as it comes.
    pub(super) fn write(&self, mut bytes: &[u8]) {
        let mut partial = self.partial.borrow_mut();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let room = LINE.saturating_sub(partial.len());
            partial.extend_from_slice(&bytes[..end.min(room)]);
            let line = String::from_utf8_lossy(&partial).trim_end_matches('\r').to_owned();
            partial.clear();
            self.line(line);
            bytes = &bytes[end + 1..];
        }
        let room = LINE.saturating_sub(partial.len());
        partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The process that wrote is gone: what it left without an end is a line.
    pub(super) fn finish(&self) {
        let partial = std::mem::take(&mut *self.partial.borrow_mut());
        if !partial.is_empty() {
            self.line(String::from_utf8_lossy(&partial).into_owned());
        }
    }

    /// Adds a line.
    pub(super) fn line(&self, line: String) {
        let mut lines = self.lines.borrow_mut();
        let mut bytes = self.bytes.get() + line.len() + 1;
        lines.push_back(line);
        while bytes > KEPT {
            let Some(old) = lines.pop_front() else { break };
            bytes -= old.len() + 1;
            self.first.set(self.first.get() + 1);
        }
        self.bytes.set(bytes);
        self.more.notify_waiters();
    }

    /// The lines from number `from` on, and the number of the next one.
    pub(super) fn since(&self, from: u64) -> (Vec<String>, u64) {
        let lines = self.lines.borrow();
        let skip = from.saturating_sub(self.first.get()) as usize;
        let next = self.first.get() + lines.len() as u64;
        (lines.iter().skip(skip).cloned().collect(), next)
    }

    /// Waits until there is a line from number `from` on.
    pub(super) async fn wait(&self, from: u64) {
        loop {
            let more = self.more.notified();
            if self.first.get() + self.lines.borrow().len() as u64 > from {
                return;
            }
            more.await;
        }
    }

    /// The last line, for messages.
    pub(super) fn last(&self) -> Option<String> {
        self.lines.borrow().back().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_numbered() {
        let log = Log::default();
        log.write(b"one\r\ntw");
        log.write(b"o\nthree");
        assert_eq!(log.since(0), (vec!["one".into(), "two".into()], 2));
        log.finish();
        assert_eq!(log.since(2), (vec!["three".into()], 3));
        assert_eq!(log.last().as_deref(), Some("three"));
    }

    #[test]
    fn the_log_is_bounded() {
        let log = Log::default();
        for n in 0..100_000 {
            log.write(format!("line {n}\n").as_bytes());
        }
        log.write(&vec![b'x'; 1 << 20]);
        log.finish();
        assert!(log.bytes.get() <= KEPT);
        let (lines, next) = log.since(0);
        assert_eq!(next, 100_001);
        assert_eq!(lines.last().map(String::len), Some(LINE));
        assert_eq!(log.since(next).0.len(), 0);
    }
}
