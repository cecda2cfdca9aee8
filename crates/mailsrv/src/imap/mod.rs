//! IMAP4rev1 (RFC 3501) with the extensions that every usual client makes use of.
//!
//! | room | what lives there |
//! | --- | --- |
//! | `framing`, `cursor`, `grammar` | from bytes to a [`command::Command`], with bounds |
//! | `session`, `login`, `folders`, `messages`, `fetch`, `finding` | what the commands do; no sockets |
//! | `view` | message numbers and what the client must be told |
//! | `mime`, `parameters`, `section`, `address`, `structure`, `text` | reading messages |
//! | `search`, `sort`, `thread`, `list`, `sent` | the algorithms |
//! | this file | the connection: reads, writes, IDLE, time-outs, transcript |

mod address;
pub mod command;
mod cursor;
mod date;
mod fetch;
mod finding;
mod folders;
pub mod framing;
pub mod grammar;
mod grammar_fetch;
mod grammar_list;
mod grammar_search;
pub mod list;
mod login;
mod messages;
pub mod mime;
mod output;
mod parameters;
mod search;
pub mod section;
mod sent;
mod session;
pub mod sort;
pub mod structure;
pub mod text;
pub mod thread;
mod view;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::server::{Connection, Server};
use framing::{Framer, Step};
use output::{Chunk, Output};
use session::{After, Session};

/// Bytes read at once.
const READ: usize = 16 << 10;
/// A client that has not logged in is waited for so long.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// A client that has logged in is waited for at least so long (RFC 3501, 5.4).
const AUTOLOGOUT: Duration = Duration::from_secs(30 * 60);
/// A client that takes nothing for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(120);

/// Serves one connection until it ends.
pub async fn serve(server: Arc<Server>, connection: Connection) {
    let session = Session::new(server.clone(), connection.stream.is_tls());
    let mut talk =
        Talk { server, connection, session, framer: Framer::default(), out: Output::default() };
    talk.session.greet(&mut talk.out);
    loop {
        match talk.until_tls().await {
            Ok(true) => match talk.start_tls().await {
                Ok(next) => talk = next,
                Err(_) => return,
            },
            Ok(false) => break,
            Err(error) => {
                talk.connection.dialogue.event(&format!("the connection ended: {error}"));
                return;
            }
        }
    }
    talk.connection.dialogue.event("closed");
    let _ = tokio::time::timeout(WRITE_TIMEOUT, talk.connection.stream.shutdown()).await;
}

/// A connection with its session.
struct Talk {
    server: Arc<Server>,
    connection: Connection,
    session: Session,
    framer: Framer,
    out: Output,
}

impl Talk {
    /// Talks until TLS begins (`true`) or the connection is to be closed.
    async fn until_tls(&mut self) -> io::Result<bool> {
        loop {
            self.flush().await?;
            while self.session.busy() {
                self.session.go_on(&mut self.out).await;
                self.flush().await?;
            }
            match self.session.after() {
                After::Go => {}
                After::StartTls => return Ok(true),
                After::Close => return Ok(false),
                After::Drop => {
                    self.connection.dialogue.event("dropped by a fault");
                    return Ok(false);
                }
            }
            let raw = self.session.wants_line();
            match self.framer.next(self.session.limits(), raw) {
                Step::Need => {
                    if !self.more().await? {
                        return Ok(false);
                    }
                }
                Step::Continue => self.out.line("+ send the literal"),
                Step::Command(bytes) if raw => {
                    self.note_line(&bytes);
                    self.session.line(&bytes, &mut self.out).await;
                    self.note_state();
                }
                Step::Command(bytes) => {
                    self.note_command(&bytes);
                    self.session.command(bytes, &mut self.out).await;
                    self.note_state();
                }
                Step::Refused { tag, why } => {
                    self.connection.dialogue.event(&format!("a command was not taken: {why}"));
                    self.session.refused(&tag, why, &mut self.out);
                }
                Step::Hopeless(why) => self.session.bye(why, &mut self.out),
            }
        }
    }

    async fn start_tls(self) -> io::Result<Self> {
        let Self { server, connection, mut framer, out, .. } = self;
        if framer.has_input() {
            connection.dialogue.event("plaintext sent ahead of the handshake is thrown away");
        }
        framer.clear();
        let connection = connection.start_tls(&server).await?;
        // Nothing that was said in the clear counts any more (RFC 3501, 6.2.1).
        let session = Session::new(server.clone(), true);
        Ok(Self { server, connection, session, framer, out })
    }

    /// Reads more, and tells news meanwhile where the client waits for them. `false` at the end.
    async fn more(&mut self) -> io::Result<bool> {
        let patience = if self.session.account().is_some() {
            AUTOLOGOUT.max(Duration::from_secs(self.server.directory.limits().idle_s))
        } else {
            LOGIN_TIMEOUT
        };
        let give_up = tokio::time::Instant::now() + patience;
        let mut watch = match self.session.account() {
            Some(account) if self.session.is_idle() => Some(self.server.store.watch(account)),
            _ => None,
        };
        if watch.is_some() {
            // What changed between the last look and the watch.
            self.session.news(true, &mut self.out).await;
            self.flush().await?;
        }
        let mut buffer = [0; READ];
        loop {
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await.is_ok(),
                    None => std::future::pending().await,
                }
            };
            let Connection { stream, session, .. } = &mut self.connection;
            tokio::select! {
                read = stream.read(&mut buffer) => {
                    let read = read?;
                    self.framer.push(&buffer[..read]);
                    return Ok(read > 0);
                }
                open = changed => {
                    if !open {
                        watch = None;
                    }
                    self.session.news(true, &mut self.out).await;
                    self.flush().await?;
                }
                () = session.closed() => {
                    self.session.bye("the administrator ends this session", &mut self.out);
                    return Ok(true);
                }
                () = tokio::time::sleep_until(give_up) => {
                    self.session.bye("nothing was said for too long", &mut self.out);
                    return Ok(true);
                }
            }
        }
    }

    /// Sends what waits.
    async fn flush(&mut self) -> io::Result<()> {
        for chunk in self.out.take() {
            match chunk {
                Chunk::Bytes(bytes) => {
                    note_server(&self.connection, &bytes);
                    self.write(&bytes).await?;
                }
                Chunk::File { file, offset, length } => {
                    self.connection.dialogue.event(&format!("… {length} bytes of the message"));
                    self.copy(file, offset, length).await?;
                }
            }
        }
        tokio::time::timeout(WRITE_TIMEOUT, self.connection.stream.flush())
            .await
            .map_err(|_| ErrorKind::TimedOut)?
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        tokio::time::timeout(WRITE_TIMEOUT, self.connection.stream.write_all(bytes))
            .await
            .map_err(|_| ErrorKind::TimedOut)?
    }

    async fn copy(&mut self, file: std::fs::File, offset: u64, length: u64) -> io::Result<()> {
        let mut file = tokio::fs::File::from_std(file);
        file.seek(io::SeekFrom::Start(offset)).await?;
        let mut buffer = vec![0; 64 << 10];
        let mut left = length;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = file.read(&mut buffer[..want]).await?;
            if read == 0 {
                // The length was promised: only closing tells the client that it is not kept.
                return Err(ErrorKind::UnexpectedEof.into());
            }
            without_nul(&mut buffer[..read]);
            self.write(&buffer[..read]).await?;
            left -= read as u64;
        }
        Ok(())
    }

    /// Puts a command into the transcript, secrets masked, literals cut.
    fn note_command(&self, bytes: &[u8]) {
        let dialogue = &self.connection.dialogue;
        let line_end =
            bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
        let line = &bytes[..line_end];
        if let Some(shown) = masked(&String::from_utf8_lossy(line)) {
            dialogue.client_secret(line, &shown);
            return;
        }
        dialogue.client(line);
        if line_end < bytes.len() {
            for line in bytes[line_end..].split(|byte| *byte == b'\n').skip(1) {
                if !dialogue.wants_body() {
                    break;
                }
                dialogue.body_line('C', line);
            }
            dialogue.body_end((bytes.len() - line_end) as u64);
        }
    }

    fn note_line(&self, bytes: &[u8]) {
        if self.session.in_sasl() {
            self.connection.dialogue.client_secret(bytes, "***");
        } else {
            self.connection.dialogue.client(bytes);
        }
    }

    fn note_state(&self) {
        let session = &self.connection.session;
        let Some(account) = self.session.account() else { return };
        session.set_user(account);
        match (self.session.mailbox(), self.session.is_idle()) {
            (Some(mailbox), true) => session.set_state(&format!("IDLE in {mailbox}")),
            (Some(mailbox), false) => session.set_state(&format!("in {mailbox}")),
            (None, _) => session.set_state("logged in"),
        }
    }
}

/// No string of IMAP can hold NUL (RFC 3501, 9: CHAR8): another byte stands for it, so that the
/// length stays.
pub(crate) fn without_nul(bytes: &mut [u8]) {
    for byte in bytes {
        if *byte == 0 {
            *byte = 0x80;
        }
    }
}

/// A line that logs in, without its secret. Beginners leave out the tag or type two spaces: what is
/// not a command for the server can hold a password all the same.
fn masked(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let is =
        |at: usize, verb: &str| words.get(at).is_some_and(|word| word.eq_ignore_ascii_case(verb));
    let at = (0..2).find(|at| is(*at, "LOGIN") || is(*at, "AUTHENTICATE"))?;
    let shown = words.iter().take(at + 2).copied().collect::<Vec<_>>().join(" ");
    Some(if words.len() > at + 2 { format!("{shown} ***") } else { shown })
}

/// Puts what the server says into the transcript; of long answers only the beginning.
fn note_server(connection: &Connection, bytes: &[u8]) {
    let mut counted = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        counted += line.len();
        let status = line.starts_with(b"* ") || line.starts_with(b"+") || counted == bytes.len();
        if status {
            connection.dialogue.body_end(0);
            connection.dialogue.server(line);
        } else {
            connection.dialogue.body_line('S', line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn passwords_are_masked_however_they_are_typed() {
        for (line, shown) in [
            ("a LOGIN u1 pw", "a LOGIN u1 ***"),
            ("a  login  u1  pw", "a login u1 ***"),
            ("LOGIN u1 pw", "LOGIN u1 ***"),
            ("a LOGIN \"u 1\" pw", "a LOGIN \"u ***"),
            ("a LOGIN {2}", "a LOGIN {2}"),
            ("a AUTHENTICATE PLAIN AHUxAHB3", "a AUTHENTICATE PLAIN ***"),
            ("a AUTHENTICATE PLAIN", "a AUTHENTICATE PLAIN"),
        ] {
            assert_eq!(masked(line).as_deref(), Some(shown), "{line}");
        }
        assert_eq!(masked("a SEARCH SUBJECT login"), None);
    }
}
