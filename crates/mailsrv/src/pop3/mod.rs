//! POP3 on 110 and 995 (RFC 1939): the mailbox is locked for the session, deletes happen at QUIT.

pub mod command;
pub mod session;

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

use session::{Action, Entry, NotOpened, Session};

use crate::config::Stage;
use crate::server::{Connection, MailboxLock, Server};
use crate::store::Change;
use crate::wire::{Farewell, Talk, Wire, converse};

/// Bytes of a message read at once.
const PIECE: usize = 64 << 10;

/// Serves one connection to its end.
pub async fn serve(server: Arc<Server>, connection: Connection) {
    let limits = server.directory.limits();
    let policy = server.directory.policy();
    let timestamp = format!(
        "<{}.{:x}@{}>",
        connection.session.id(),
        rand::random::<u64>(),
        server.config.hostname
    );
    let session = Session::new(
        &server.config.hostname,
        &timestamp,
        connection.stream.is_tls(),
        policy.clone(),
        limits.errors,
    );
    let mut wire = Wire::new(connection, limits.idle_s, policy.lenient_newlines);
    if let Action::Reply(greeting) = session.greeting() {
        wire.reply(greeting.as_bytes());
    }
    converse(wire, Dialogue { server, session, lock: None }).await;
}

struct Dialogue {
    server: Arc<Server>,
    session: Session,
    lock: Option<MailboxLock>,
}

impl Talk for Dialogue {
    type Action = Action;

    fn line_limit(&self) -> usize {
        self.session.line_limit()
    }

    fn mask(&self, line: &[u8]) -> Option<String> {
        self.session.mask(line)
    }

    fn line(&mut self, line: &[u8]) -> Vec<Action> {
        self.session.line(line, &self.server.directory, rand::random())
    }

    fn bad_line(&mut self, reason: &str) -> Vec<Action> {
        self.session.bad_line(reason)
    }

    /// Nothing: a client that hears a reply it did not ask for would take it for the next one
    /// (RFC 1939, 3: "close without sending any response").
    fn farewell(&self, _why: Farewell) -> Vec<u8> {
        Vec::new()
    }

    async fn perform(
        &mut self,
        mut wire: Wire,
        actions: Vec<Action>,
    ) -> std::io::Result<Option<Wire>> {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Reply(text) => wire.reply(text.as_bytes()),
                Action::StartTls => {
                    wire = wire.start_tls(&self.server).await?;
                    self.session.under_tls();
                }
                Action::Verify { user, password } => {
                    let account = self.server.authenticate(&user, password).await;
                    actions.extend(match self.strike(&wire, Stage::Auth, Some(&user)).await {
                        Struck::No => self.session.verified(account),
                        Struck::Refused(reply) => self.session.refused(&reply),
                        Struck::Dropped => return Ok(None),
                    });
                }
                Action::Open(account) => {
                    match self.strike(&wire, Stage::Select, Some(&account)).await {
                        Struck::No => {}
                        Struck::Refused(reply) => {
                            actions.extend(self.session.refused(&reply));
                            continue;
                        }
                        Struck::Dropped => return Ok(None),
                    }
                    let opened = self.open(&account);
                    if opened.is_ok() {
                        wire.connection.session.set_user(&account);
                    }
                    actions.extend(self.session.opened(account, opened));
                }
                Action::Send { file, size, lines } => {
                    match self.strike(&wire, Stage::Fetch, self.session.account()).await {
                        Struck::No => self.send(&mut wire, file, size, lines).await?,
                        Struck::Refused(reply) => {
                            wire.reply(format!("-ERR [SYS/TEMP] {reply}\r\n").as_bytes());
                        }
                        Struck::Dropped => return Ok(None),
                    }
                }
                Action::Remove(uids) => {
                    let removed = match session_account(self.lock.as_ref()) {
                        Some(account) => self.remove(account, uids).await,
                        None => false,
                    };
                    actions.extend(self.session.removed(removed));
                }
                Action::Close => {
                    // Free before the client hears that the session has ended.
                    self.lock = None;
                    wire.close("closed by the server").await;
                    return Ok(None);
                }
            }
        }
        Ok(Some(wire))
    }
}

/// What a fault of the lesson did.
enum Struck {
    No,
    Refused(String),
    Dropped,
}

impl Dialogue {
    /// Lets a fault of the lesson strike, where there is one for the stage.
    async fn strike(&self, wire: &Wire, stage: Stage, account: Option<&str>) -> Struck {
        let server = &self.server;
        let Some(strike) = server.faults.strike(&server.directory, stage, account) else {
            return Struck::No;
        };
        tokio::time::sleep(strike.delay).await;
        if strike.drop {
            wire.connection.dialogue.event("dropped by a fault");
            return Struck::Dropped;
        }
        strike.reply.map_or(Struck::No, Struck::Refused)
    }

    fn open(&mut self, account: &str) -> Result<(u32, Vec<Entry>), NotOpened> {
        self.lock = Some(self.server.lock_mailbox(account).ok_or(NotOpened::InUse)?);
        let mailbox = self.server.store.with_mailbox(account, "INBOX", |mailbox| {
            let entries = mailbox.messages.iter().map(|message| Entry {
                uid: message.uid,
                file: message.file,
                size: u64::from(message.size),
            });
            (mailbox.validity, entries.collect())
        });
        // Nothing was ever delivered: an empty mailbox.
        Ok(mailbox.unwrap_or((1, Vec::new())))
    }

    async fn remove(&self, account: String, uids: Vec<u32>) -> bool {
        let change = Change::Expunge {
            account,
            mailbox: "INBOX".into(),
            uids: Some(uids),
            deleted_only: false,
        };
        match self.server.store.commit(vec![change]).await {
            Ok(_) => true,
            Err(error) => {
                tracing::error!("{error}");
                false
            }
        }
    }

    async fn send(
        &self,
        wire: &mut Wire,
        file: u64,
        size: u64,
        lines: Option<usize>,
    ) -> std::io::Result<()> {
        let Ok(mut open) = self.server.store.open_file(file) else {
            wire.reply(b"-ERR [SYS/PERM] the message is gone\r\n");
            return Ok(());
        };
        wire.reply(format!("+OK {size} octets\r\n").as_bytes());
        let mut cutter = Cutter::new(lines);
        let mut piece = vec![0; PIECE.min(usize::try_from(size).unwrap_or(PIECE).max(1))];
        let mut total = 0_u64;
        loop {
            let read = open.read(&mut piece)?;
            if read == 0 || cutter.done() {
                break;
            }
            total += read as u64;
            let mut out = Vec::with_capacity(read + 64);
            cutter.cut(&piece[..read], &mut out);
            if wire.connection.dialogue.wants_body() {
                for line in out.split_inclusive(|byte| *byte == b'\n') {
                    wire.connection.dialogue.body_line('S', line);
                }
            }
            wire.quiet(&out).await?;
        }
        wire.connection.dialogue.body_end(total);
        if !cutter.at_line_start() {
            wire.quiet(b"\r\n").await?;
        }
        wire.reply(b".\r\n");
        Ok(())
    }
}

fn session_account(lock: Option<&MailboxLock>) -> Option<String> {
    lock.map(|lock| lock.account().to_owned())
}

/// Stuffs dots, and for TOP stops after so many lines of the body.
struct Cutter {
    /// Lines of the body that are still wanted.
    left: Option<usize>,
    in_header: bool,
    at_start: bool,
    /// Bytes of the present line.
    line: usize,
}

impl Cutter {
    fn new(lines: Option<usize>) -> Self {
        Self { left: lines, in_header: true, at_start: true, line: 0 }
    }

    fn done(&self) -> bool {
        !self.in_header && self.at_start && self.left == Some(0)
    }

    fn at_line_start(&self) -> bool {
        self.at_start
    }

    fn cut(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.done() {
                return;
            }
            if self.at_start && part.first() == Some(&b'.') {
                out.push(b'.');
            }
            out.extend_from_slice(part);
            self.line += part.len();
            self.at_start = part.ends_with(b"\n");
            if self.at_start {
                if self.in_header {
                    self.in_header = self.line > 2;
                } else if let Some(left) = &mut self.left {
                    *left = left.saturating_sub(1);
                }
                self.line = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(message: &str, lines: Option<usize>) -> String {
        let mut whole = None;
        for size in [1, 2, 3, 1000] {
            let (mut cutter, mut out) = (Cutter::new(lines), Vec::new());
            for piece in message.as_bytes().chunks(size) {
                cutter.cut(piece, &mut out);
            }
            let text = String::from_utf8(out).unwrap();
            assert_eq!(whole.get_or_insert(text.clone()), &text);
        }
        whole.unwrap()
    }

    #[test]
    fn top_gives_the_header_and_so_many_lines() {
        let message = "A: b\r\nC: d\r\n\r\n.one\r\ntwo\r\nthree\r\n";
        assert_eq!(cut(message, None), message.replace("\r\n.one", "\r\n..one"));
        assert_eq!(cut(message, Some(0)), "A: b\r\nC: d\r\n\r\n");
        assert_eq!(cut(message, Some(2)), "A: b\r\nC: d\r\n\r\n..one\r\ntwo\r\n");
        assert_eq!(cut(message, Some(9)).len(), message.len() + 1);
        assert_eq!(cut("A: b\r\n", Some(1)), "A: b\r\n");
    }
}
