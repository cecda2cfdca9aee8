//! SMTP in: port 25 from other servers and simple programs, 587 and 465 from users.

pub mod command;
pub mod data;
pub mod reply;
pub mod session;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;

use data::Receiver;
use reply::Reply;
use session::{Action, Session, Setup, Site};

use crate::address::Address;
use crate::config::{Protocol, Stage};
use crate::delivery::{self, Incoming};
use crate::directory::{Directory, Sender, Verdict};
use crate::faults::Strike;
use crate::server::{Connection, Server};
use crate::wire::{Farewell, Talk, Wire, converse};

impl Site for Server {
    fn expand(&self, address: &Address, sender: &str, authenticated: bool) -> Verdict {
        self.directory.data().expand(address, Sender { address: sender, authenticated })
    }

    fn has_room(&self, account: &str, more: u64) -> bool {
        self.store.usage(account).saturating_add(more) <= self.directory.quota(account)
    }

    fn may_send_as(&self, account: &str, sender: &Address) -> bool {
        let sender_of = Sender { address: account, authenticated: true };
        match self.directory.data().expand(sender, sender_of) {
            Verdict::Own(expansion) => {
                expansion.list.is_none() && expansion.reached.iter().any(|name| name == account)
            }
            _ => false,
        }
    }

    fn strike(&self, stage: Stage, about: Option<&str>) -> Option<Strike> {
        self.faults.strike(&self.directory, stage, about)
    }

    fn directory(&self) -> &Directory {
        &self.directory
    }

    fn nonce(&self) -> u128 {
        rand::random()
    }
}

/// Serves one connection to its end.
pub async fn serve(server: Arc<Server>, connection: Connection) {
    let limits = server.directory.limits();
    let policy = server.directory.policy();
    let peer = connection.peer.ip().to_canonical();
    let setup = Setup {
        hostname: server.config.hostname.clone(),
        local: connection.local.ip().to_canonical(),
        submission: connection.protocol != Protocol::Smtp,
        tls: connection.stream.is_tls(),
        peer,
        trusted: server.config.relay.networks.iter().any(|network| network.contains(&peer)),
        relay: server.config.relay.enabled,
        limits: limits.clone(),
        policy: policy.clone(),
    };
    let trusted = setup.trusted;
    let session = Session::new(setup);
    let mut wire = Wire::new(connection, limits.idle_s, policy.lenient_newlines);
    wire.reply(&session.greeting().write());
    converse(wire, Dialogue { server, session, trusted, receiver: None }).await;
}

struct Dialogue {
    server: Arc<Server>,
    session: Session,
    trusted: bool,
    /// The message that comes in chunks.
    receiver: Option<Receiver>,
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
        self.session.line(line, self.server.as_ref())
    }

    fn bad_line(&mut self, reason: &str) -> Vec<Action> {
        self.session.bad_line(reason)
    }

    fn farewell(&self, why: Farewell) -> Vec<u8> {
        match why {
            Farewell::Silent => Reply::new(421, "4.4.2", "you were silent too long").write(),
            Farewell::Administrator => {
                Reply::new(421, "4.3.2", "closed by the administrator").write()
            }
        }
    }

    /// Does what is to be done; the wire comes back unless the session has ended.
    async fn perform(
        &mut self,
        mut wire: Wire,
        actions: Vec<Action>,
    ) -> std::io::Result<Option<Wire>> {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Reply(reply) => wire.reply(&reply.write()),
                Action::Wait(time) => {
                    wire.flush().await?;
                    tokio::time::sleep(time).await;
                }
                Action::StartTls => {
                    wire = wire.start_tls(&self.server).await?;
                    self.receiver = None;
                    self.session.under_tls();
                }
                Action::Verify { user, password } => {
                    let account = self.server.authenticate(&user, password).await;
                    if let Some(account) = &account {
                        wire.connection.session.set_user(account);
                    }
                    let more = self.session.verified(&user, account, self.server.as_ref());
                    prepend(&mut actions, more);
                }
                Action::Receive => {
                    let receiver = self.receive(&mut wire).await?;
                    let more = self.finish(&wire, receiver).await;
                    prepend(&mut actions, more);
                }
                Action::Chunk { size, first, last } => {
                    if first {
                        self.receiver = None;
                    }
                    let more = self.chunk(&mut wire, size, last).await?;
                    prepend(&mut actions, more);
                }
                Action::Close => {
                    wire.close("closed by the server").await;
                    return Ok(None);
                }
                Action::Drop => {
                    wire.connection.dialogue.event("dropped by a fault");
                    return Ok(None);
                }
            }
        }
        Ok(Some(wire))
    }
}

impl Dialogue {
    /// The message after DATA, up to its dot.
    async fn receive(&self, wire: &mut Wire) -> std::io::Result<Receiver> {
        let mut receiver = Receiver::new(self.session.bounds());
        let store = self.server.store.clone();
        let mut scratch = move || store.scratch().ok();
        loop {
            let (used, done) = receiver.data(wire.lines.rest(), &mut scratch);
            if wire.connection.dialogue.wants_body() {
                for line in wire.lines.rest()[..used].split_inclusive(|byte| *byte == b'\n') {
                    wire.connection.dialogue.body_line('C', line);
                }
            }
            wire.lines.consume(used);
            if done {
                return Ok(receiver);
            }
            if wire.fill().await? == 0 {
                wire.connection.dialogue.event("the client closed inside a message");
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn chunk(
        &mut self,
        wire: &mut Wire,
        size: u64,
        last: bool,
    ) -> std::io::Result<Vec<Action>> {
        let keep = self.session.keeps_chunk();
        let mut receiver =
            self.receiver.take().unwrap_or_else(|| Receiver::new(self.session.bounds()));
        let store = self.server.store.clone();
        let mut scratch = move || store.scratch().ok();
        let mut left = size;
        while left > 0 {
            let rest = wire.lines.rest();
            let take = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if take == 0 {
                if wire.fill().await? == 0 {
                    wire.connection.dialogue.event("the client closed inside a message");
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                continue;
            }
            if keep {
                receiver.chunk(&rest[..take], &mut scratch);
                if wire.connection.dialogue.wants_body() {
                    for line in rest[..take].split_inclusive(|byte| *byte == b'\n') {
                        wire.connection.dialogue.body_line('C', line);
                    }
                }
            }
            wire.lines.consume(take);
            left -= take as u64;
        }
        if !keep {
            return Ok(self.session.chunk_done(size, None));
        }
        if last {
            return Ok(self.finish(wire, receiver).await);
        }
        let problem = receiver.problem();
        if problem.is_none() {
            self.receiver = Some(receiver);
        }
        Ok(self.session.chunk_done(size, problem))
    }

    /// Delivers what was received; the reply comes when it is on disk.
    async fn finish(&mut self, wire: &Wire, receiver: Receiver) -> Vec<Action> {
        self.receiver = None;
        let received = receiver.finish();
        wire.connection.dialogue.body_end(received.size);
        let transaction = match self.session.message(received.problem, self.server.as_ref()) {
            Ok(transaction) => transaction,
            Err(actions) => return actions,
        };
        let incoming = Incoming {
            with: self.session.with(transaction.utf8),
            transaction,
            body: received.body,
            eight_bit: received.eight_bit,
            helo: self.session.helo().to_owned(),
            peer: wire.connection.peer.ip().to_canonical(),
            user: self.session.user().map(str::to_owned),
            submission: wire.connection.protocol != Protocol::Smtp,
            trusted: self.trusted,
        };
        let reply = match delivery::accept(&self.server, incoming).await {
            Ok(id) => Reply::new(250, "2.0.0", format!("taken, its number is {id}")),
            Err(reply) => reply,
        };
        vec![Action::Reply(reply)]
    }
}

fn prepend(actions: &mut VecDeque<Action>, more: Vec<Action>) {
    for action in more.into_iter().rev() {
        actions.push_front(action);
    }
}
