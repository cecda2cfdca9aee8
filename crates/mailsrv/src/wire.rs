//! Lines in, replies out: what SMTP and POP3 sessions do with their connection.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{Connection, Server};
use crate::stream;

/// Bytes read at once.
const READ: usize = 16 << 10;
/// A reply that grew so long is sent before more is added.
const FLUSH: usize = 64 << 10;

/// One line as it came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Without its CRLF; no NUL, no bare CR in it.
    Good(Vec<u8>),
    /// It ended with LF alone, or had a CR or NUL inside.
    Bad(&'static str),
    /// Longer than allowed; it was thrown away up to its end.
    Long,
}

/// Splits bytes into lines.
#[derive(Default)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are used up.
    used: usize,
    discarding: bool,
    /// Whether LF alone ends a line as well.
    pub lenient: bool,
}

impl Lines {
    pub fn push(&mut self, bytes: &[u8]) {
        if self.used > 0 {
            self.buffer.drain(..self.used);
            self.used = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// What was not used yet.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.used..]
    }

    pub fn consume(&mut self, count: usize) {
        self.used = (self.used + count).min(self.buffer.len());
        if self.used == self.buffer.len() {
            self.buffer.clear();
            self.used = 0;
            // One long message should not be paid for during the rest of the session.
            self.buffer.shrink_to(READ);
        }
    }

    /// The next line of at most `max` bytes, CRLF included.
    pub fn next(&mut self, max: usize) -> Option<Line> {
        let rest = self.rest();
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            if rest.len() > max {
                self.discarding = true;
            }
            if self.discarding {
                self.consume(self.rest().len());
            }
            return None;
        };
        let line = &rest[..end];
        let result = if self.discarding || end + 1 > max {
            self.discarding = false;
            Line::Long
        } else {
            match line.strip_suffix(b"\r") {
                Some(line) if line.contains(&b'\r') => Line::Bad("a CR stands inside the line"),
                Some(line) if line.contains(&0) => Line::Bad("a NUL stands inside the line"),
                Some(line) => Line::Good(line.to_vec()),
                None if self.lenient && !line.contains(&b'\r') => Line::Good(line.to_vec()),
                None => Line::Bad("the line ends with LF alone: end it with CR LF"),
            }
        };
        self.consume(end + 1);
        Some(result)
    }
}

/// A connection with its buffers.
pub(crate) struct Wire {
    pub connection: Connection,
    pub lines: Lines,
    output: Vec<u8>,
    idle: Duration,
}

impl Wire {
    pub fn new(connection: Connection, idle_s: u64, lenient: bool) -> Self {
        Self {
            connection,
            lines: Lines { lenient, ..Lines::default() },
            output: Vec::new(),
            idle: Duration::from_secs(idle_s.max(1)),
        }
    }

    /// Puts a reply behind what waits to be sent, and into the transcript.
    pub fn reply(&mut self, bytes: &[u8]) {
        self.connection.dialogue.server(bytes);
        self.output.extend_from_slice(bytes);
    }

    /// Puts bytes that the transcript gets in another way.
    pub async fn quiet(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.extend_from_slice(bytes);
        if self.output.len() > FLUSH { self.flush().await } else { Ok(()) }
    }

    /// Sends what waits.
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let write = async {
            self.connection.stream.write_all(&self.output).await?;
            self.connection.stream.flush().await
        };
        tokio::time::timeout(self.idle, write).await.map_err(|_| io::ErrorKind::TimedOut)??;
        self.output.clear();
        self.output.shrink_to(FLUSH);
        Ok(())
    }

    /// Sends what waits and reads more; 0 at the end. `TimedOut` after the idle time,
    /// `Interrupted` where an administrator ends the session.
    pub async fn fill(&mut self) -> io::Result<usize> {
        self.flush().await?;
        let mut bytes = [0; READ];
        let Connection { stream, session, .. } = &mut self.connection;
        let read = tokio::select! {
            read = tokio::time::timeout(self.idle, stream.read(&mut bytes)) => {
                read.map_err(|_| io::ErrorKind::TimedOut)??
            }
            () = session.closed() => return Err(io::ErrorKind::Interrupted.into()),
        };
        self.lines.push(&bytes[..read]);
        Ok(read)
    }

    /// The handshake after the reply to STARTTLS or STLS was put. Plaintext that the client sent
    /// ahead is thrown away (CVE-2011-0411).
    pub async fn start_tls(mut self, server: &Server) -> io::Result<Self> {
        self.flush().await?;
        if !self.lines.rest().is_empty() {
            self.connection.dialogue.event("plaintext sent ahead of the handshake is thrown away");
        }
        let lenient = self.lines.lenient;
        self.lines = Lines { lenient, ..Lines::default() };
        self.connection = self.connection.start_tls(server).await?;
        Ok(self)
    }

    /// Ends politely: the other side sees an end, not a reset.
    pub async fn close(mut self, why: &str) {
        self.connection.dialogue.event(why);
        if self.flush().await.is_ok() {
            stream::end(&mut self.connection.stream).await;
        }
    }
}

/// Why a session ends that neither side asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// The client said nothing for too long.
    Silent,
    /// An administrator ended it.
    Administrator,
}

/// One side of a dialogue in lines: a session with what it needs to do as it says.
pub(crate) trait Talk: Send {
    /// What a line leads to.
    type Action: Send;
    /// Bytes of the next line at most, CRLF included.
    fn line_limit(&self) -> usize;
    /// How the transcript shows a line that carries a secret; `None` for all others.
    fn mask(&self, line: &[u8]) -> Option<String>;
    /// A line, without its CRLF.
    fn line(&mut self, line: &[u8]) -> Vec<Self::Action>;
    /// A line that was none.
    fn bad_line(&mut self, reason: &str) -> Vec<Self::Action>;
    /// Does it; the wire comes back unless the session has ended.
    fn perform(
        &mut self,
        wire: Wire,
        actions: Vec<Self::Action>,
    ) -> impl Future<Output = io::Result<Option<Wire>>> + Send;
    /// The last words, where the protocol has any.
    fn farewell(&self, why: Farewell) -> Vec<u8>;
}

/// Leads a dialogue to its end: line by line, whatever was pipelined in its order.
pub(crate) async fn converse(mut wire: Wire, mut talk: impl Talk) {
    loop {
        let Some(line) = wire.lines.next(talk.line_limit()) else {
            let why = match wire.fill().await {
                Ok(0) => return wire.close("the client closed").await,
                Ok(_) => continue,
                Err(error) => match error.kind() {
                    io::ErrorKind::TimedOut => Farewell::Silent,
                    io::ErrorKind::Interrupted => Farewell::Administrator,
                    kind => {
                        let text = format!("the connection broke: {kind}");
                        return wire.connection.dialogue.event(&text);
                    }
                },
            };
            let last = talk.farewell(why);
            if !last.is_empty() {
                wire.reply(&last);
            }
            return wire
                .close(match why {
                    Farewell::Silent => "closed: the client was silent",
                    Farewell::Administrator => "closed by the administrator",
                })
                .await;
        };
        let actions = match line {
            Line::Good(line) => {
                match talk.mask(&line) {
                    Some(mask) => wire.connection.dialogue.client_secret(&line, &mask),
                    None => wire.connection.dialogue.client(&line),
                }
                talk.line(&line)
            }
            Line::Bad(reason) => talk.bad_line(reason),
            Line::Long => talk.bad_line("the line is too long"),
        };
        wire = match talk.perform(wire, actions).await {
            Ok(Some(wire)) => wire,
            Ok(None) | Err(_) => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crlf_ends_a_line_and_long_ones_are_thrown_away_whole() {
        let mut lines = Lines::default();
        lines.push(b"a\r\nb\nc\rd\r\n\0\r\n");
        lines.push(&[b'x'; 30]);
        let mut seen = Vec::new();
        while let Some(line) = lines.next(10) {
            seen.push(line);
        }
        lines.push(b"yy\r\nlast\r\n");
        while let Some(line) = lines.next(10) {
            seen.push(line);
        }
        assert_eq!(
            seen,
            [
                Line::Good(b"a".to_vec()),
                Line::Bad("the line ends with LF alone: end it with CR LF"),
                Line::Bad("a CR stands inside the line"),
                Line::Bad("a NUL stands inside the line"),
                Line::Long,
                Line::Good(b"last".to_vec()),
            ]
        );
    }

    #[test]
    fn a_long_line_in_one_read_is_refused_as_well() {
        let mut lines = Lines::default();
        lines.push(&[&[b'x'; 6000][..], b"\r\nok\r\n"].concat());
        assert_eq!(lines.next(2048), Some(Line::Long));
        assert_eq!(lines.next(2048), Some(Line::Good(b"ok".to_vec())));
    }
}
