//! One POP3 session without its connection: a line in, actions out.

use std::collections::BTreeSet;

use super::command::{Command, parse};
use crate::config::Policy;
use crate::directory::Directory;
use crate::sasl::{self, Exchange, Mechanism, Step};

/// One message of the mailbox as it was at the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its UID.
    pub uid: u32,
    /// Its file.
    pub file: u64,
    /// Its size in octets.
    pub size: u64,
}

/// What is to be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this, CRLF included.
    Reply(String),
    /// Do the handshake, then tell [`Session::under_tls`].
    StartTls,
    /// Find out whether the password is right, then tell [`Session::verified`].
    Verify {
        /// Login name.
        user: String,
        /// Password.
        password: String,
    },
    /// Take the account's mailbox, then tell [`Session::opened`].
    Open(String),
    /// Send the message's header and so many lines of its body; all where `None`.
    Send {
        /// Which file.
        file: u64,
        /// Its size, for the reply.
        size: u64,
        /// Lines of the body.
        lines: Option<usize>,
    },
    /// Remove these UIDs, then tell [`Session::removed`].
    Remove(Vec<u32>),
    /// Send what waits and close.
    Close,
}

/// Why a mailbox could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// Another session has it.
    InUse,
}

enum State {
    /// Before the login; the name that USER gave.
    Authorization {
        user: Option<String>,
    },
    /// The password is being verified, or the mailbox opened.
    Between,
    Transaction {
        account: String,
        validity: u32,
        entries: Vec<Entry>,
        deleted: BTreeSet<usize>,
    },
    Update,
}

/// The session.
pub struct Session {
    state: State,
    exchange: Option<Exchange>,
    hostname: String,
    timestamp: String,
    tls: bool,
    policy: Policy,
    max_errors: u32,
    errors: u32,
}

fn ok(text: impl std::fmt::Display) -> Action {
    Action::Reply(format!("+OK {text}\r\n"))
}

impl Session {
    /// A new one. `timestamp` is new for each session: APOP needs it.
    pub fn new(
        hostname: &str,
        timestamp: &str,
        tls: bool,
        policy: Policy,
        max_errors: u32,
    ) -> Self {
        Self {
            state: State::Authorization { user: None },
            exchange: None,
            hostname: hostname.to_owned(),
            timestamp: timestamp.to_owned(),
            tls,
            policy,
            max_errors,
            errors: 0,
        }
    }

    /// The first reply.
    pub fn greeting(&self) -> Action {
        if self.policy.cram_md5 {
            ok(format!("{} POP3 ready {}", self.hostname, self.timestamp))
        } else {
            ok(format!("{} POP3 ready", self.hostname))
        }
    }

    /// Bytes of the next line at most.
    pub fn line_limit(&self) -> usize {
        if self.exchange.is_some() { 12_288 } else { 512 }
    }

    /// How the transcript shows a line that carries a secret.
    pub fn mask(&self, line: &[u8]) -> Option<String> {
        if self.exchange.is_some() {
            return (line != b"*").then(|| "***".to_owned());
        }
        let text = String::from_utf8_lossy(line);
        let mut words = text.split(' ');
        match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "PASS" => Some("PASS ***".into()),
            "APOP" => Some(format!("APOP {} ***", words.next().unwrap_or_default())),
            "AUTH" => {
                let mechanism = words.next().unwrap_or_default().to_owned();
                words.next().map(|_| format!("AUTH {mechanism} ***"))
            }
            _ => None,
        }
    }

    fn error(&mut self, text: impl std::fmt::Display) -> Vec<Action> {
        self.errors += 1;
        let mut actions = vec![Action::Reply(format!("-ERR {text}\r\n"))];
        if self.errors >= self.max_errors {
            actions.push(Action::Reply("-ERR [SYS/PERM] too many errors\r\n".into()));
            actions.push(Action::Close);
        }
        actions
    }

    /// A line that was no line.
    pub fn bad_line(&mut self, reason: &str) -> Vec<Action> {
        self.exchange = None;
        self.error(reason)
    }

    /// One line, without its CRLF.
    pub fn line(&mut self, line: &[u8], directory: &Directory, nonce: u128) -> Vec<Action> {
        if let Some(mut exchange) = self.exchange.take() {
            if line == b"*" {
                return self.error("the login was given up");
            }
            let response = String::from_utf8_lossy(line).into_owned();
            let step = exchange.respond(&response, directory, nonce);
            return self.step(exchange, step);
        }
        let command = match parse(line) {
            Ok(command) => command,
            Err(reason) => return self.error(reason),
        };
        match (&self.state, command) {
            (_, Command::Capa) => vec![self.capabilities()],
            (State::Authorization { .. }, Command::Quit) => vec![ok("goodbye"), Action::Close],
            (State::Authorization { .. }, command) => self.authorization(command, directory, nonce),
            (State::Transaction { .. }, command) => self.transaction(command),
            (State::Between | State::Update, _) => self.error("not now"),
        }
    }

    fn plain_allowed(&self) -> bool {
        self.tls || self.policy.plain_passwords
    }

    fn capabilities(&self) -> Action {
        let mut lines = vec!["+OK these can be used".to_owned()];
        lines.extend(
            ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"].map(str::to_owned),
        );
        if matches!(self.state, State::Authorization { .. }) {
            if self.plain_allowed() {
                lines.push("USER".into());
            }
            let names: Vec<_> = Mechanism::offered(self.plain_allowed(), self.policy.cram_md5)
                .iter()
                .map(|mechanism| mechanism.name())
                .collect();
            lines.push(format!("SASL {}", names.join(" ")));
            if !self.tls {
                lines.push("STLS".into());
            }
        }
        lines.push("EXPIRE NEVER".into());
        lines.push("IMPLEMENTATION labctl".into());
        Action::Reply(format!("{}\r\n.\r\n", lines.join("\r\n")))
    }

    fn authorization(
        &mut self,
        command: Command,
        directory: &Directory,
        nonce: u128,
    ) -> Vec<Action> {
        match command {
            Command::User(_) | Command::Pass(_) if !self.plain_allowed() => {
                self.error("passwords only under TLS: say STLS first")
            }
            Command::User(name) => {
                self.state = State::Authorization { user: Some(name) };
                vec![ok("and the password?")]
            }
            Command::Pass(password) => {
                let State::Authorization { user: Some(user) } =
                    std::mem::replace(&mut self.state, State::Authorization { user: None })
                else {
                    return self.error("say USER first");
                };
                self.state = State::Between;
                vec![Action::Verify { user, password }]
            }
            Command::Apop(user, digest) if self.policy.cram_md5 => {
                let found = directory.login(&user).filter(|(_, entry)| {
                    let plain = entry.credentials.as_ref().and_then(|c| c.plain());
                    plain.is_some_and(|plain| {
                        let good = sasl::apop(&self.timestamp, plain);
                        crate::password::equal(good.as_bytes(), digest.as_bytes())
                    })
                });
                match found {
                    Some((account, _)) => {
                        self.state = State::Between;
                        vec![Action::Open(account)]
                    }
                    None => self.error("[AUTH] user or password is wrong"),
                }
            }
            Command::Auth(None, _) => {
                let offered = Mechanism::offered(self.plain_allowed(), self.policy.cram_md5);
                let names: String = offered.iter().map(|m| format!("{}\r\n", m.name())).collect();
                vec![Action::Reply(format!("+OK choose one\r\n{names}.\r\n"))]
            }
            Command::Auth(Some(mechanism), initial) => {
                let offered = Mechanism::offered(self.plain_allowed(), self.policy.cram_md5);
                let Some(mechanism) =
                    Mechanism::by_name(&mechanism).filter(|m| offered.contains(m))
                else {
                    return self.error("this mechanism is not offered; see CAPA");
                };
                let (exchange, step) = Exchange::start(
                    mechanism,
                    initial.as_deref(),
                    directory,
                    &self.hostname,
                    nonce,
                );
                self.step(exchange, step)
            }
            Command::Stls if self.tls => self.error("the connection is under TLS already"),
            Command::Stls => vec![ok("begin TLS now"), Action::StartTls],
            _ => self.error("log in first"),
        }
    }

    fn step(&mut self, exchange: Exchange, step: Step) -> Vec<Action> {
        match step {
            Step::Challenge(text) => {
                self.exchange = Some(exchange);
                vec![Action::Reply(format!("+ {text}\r\n"))]
            }
            Step::Verify { user, password } => {
                self.state = State::Between;
                vec![Action::Verify { user, password }]
            }
            Step::Done(account) => {
                self.state = State::Between;
                vec![Action::Open(account)]
            }
            Step::Failed => self.error("[AUTH] user or password is wrong"),
            Step::Malformed(why) => self.error(why),
        }
    }

    /// The handshake is done: everything said before is forgotten (RFC 2595, 4).
    pub fn under_tls(&mut self) {
        self.tls = true;
        self.exchange = None;
        self.state = State::Authorization { user: None };
    }

    /// The answer to [`Action::Verify`].
    pub fn verified(&mut self, account: Option<String>) -> Vec<Action> {
        match account {
            Some(account) => vec![Action::Open(account)],
            None => {
                self.state = State::Authorization { user: None };
                self.error("[AUTH] user or password is wrong")
            }
        }
    }

    /// The answer to [`Action::Open`].
    pub fn opened(
        &mut self,
        account: String,
        mailbox: Result<(u32, Vec<Entry>), NotOpened>,
    ) -> Vec<Action> {
        match mailbox {
            Ok((validity, entries)) => {
                let (count, octets) = (entries.len(), octets(entries.iter()));
                self.state =
                    State::Transaction { account, validity, entries, deleted: BTreeSet::new() };
                vec![ok(format!("{count} messages ({octets} octets)"))]
            }
            Err(NotOpened::InUse) => {
                self.state = State::Authorization { user: None };
                self.error("[IN-USE] another session has this mailbox open")
            }
        }
    }

    /// The answer to [`Action::Verify`] and [`Action::Open`] where a fault of the lesson strikes.
    pub fn refused(&mut self, reply: &str) -> Vec<Action> {
        self.state = State::Authorization { user: None };
        self.error(format!("{} {reply}", crate::faults::pop3_code(reply)))
    }

    /// The account whose mailbox is open.
    pub fn account(&self) -> Option<&str> {
        match &self.state {
            State::Transaction { account, .. } => Some(account),
            _ => None,
        }
    }

    fn transaction(&mut self, command: Command) -> Vec<Action> {
        let State::Transaction { validity, entries, deleted, .. } = &mut self.state else {
            return self.error("log in first");
        };
        let validity = *validity;
        let live = |deleted: &BTreeSet<usize>| {
            entries
                .iter()
                .enumerate()
                .map(|(index, entry)| (index + 1, entry.clone()))
                .filter(|(number, _)| !deleted.contains(number))
                .collect::<Vec<_>>()
        };
        let find = |number: usize, deleted: &BTreeSet<usize>| {
            let entry = number.checked_sub(1).and_then(|index| entries.get(index));
            entry.filter(|_| !deleted.contains(&number)).cloned()
        };
        let uidl = |entry: &Entry| format!("{validity:08x}{:08x}", entry.uid);
        let one = |number: usize, deleted: &BTreeSet<usize>, text: &dyn Fn(&Entry) -> String| {
            find(number, deleted).map(|entry| vec![ok(format!("{number} {}", text(&entry)))])
        };
        let all = |deleted: &BTreeSet<usize>, text: &dyn Fn(&Entry) -> String| {
            let live = live(deleted);
            let mut reply = format!(
                "+OK {} messages ({} octets)\r\n",
                live.len(),
                octets(live.iter().map(|(_, entry)| entry))
            );
            for (number, entry) in &live {
                reply.push_str(&format!("{number} {}\r\n", text(entry)));
            }
            reply.push_str(".\r\n");
            vec![Action::Reply(reply)]
        };
        let size = |entry: &Entry| entry.size.to_string();
        let done = match command {
            Command::Stat => {
                let live = live(deleted);
                let octets = octets(live.iter().map(|(_, entry)| entry));
                Some(vec![ok(format!("{} {octets}", live.len()))])
            }
            Command::List(None) => Some(all(deleted, &size)),
            Command::List(Some(number)) => one(number, deleted, &size),
            Command::Uidl(None) => Some(all(deleted, &uidl)),
            Command::Uidl(Some(number)) => one(number, deleted, &uidl),
            Command::Retr(number) => find(number, deleted).map(|entry| {
                vec![Action::Send { file: entry.file, size: entry.size, lines: None }]
            }),
            Command::Top(number, lines) => find(number, deleted).map(|entry| {
                vec![Action::Send { file: entry.file, size: entry.size, lines: Some(lines) }]
            }),
            Command::Dele(number) => find(number, deleted).map(|_| {
                deleted.insert(number);
                vec![ok(format!("message {number} goes at QUIT"))]
            }),
            Command::Rset => {
                deleted.clear();
                Some(vec![ok("no message is marked")])
            }
            Command::Noop => Some(vec![ok("done nothing")]),
            Command::Quit => {
                let uids: Vec<u32> = deleted
                    .iter()
                    .filter_map(|number| entries.get(number - 1))
                    .map(|entry| entry.uid)
                    .collect();
                self.state = State::Update;
                return if uids.is_empty() {
                    vec![ok("goodbye"), Action::Close]
                } else {
                    vec![Action::Remove(uids)]
                };
            }
            Command::Stls
            | Command::Auth(..)
            | Command::Apop(..)
            | Command::User(_)
            | Command::Pass(_) => return self.error("you are logged in already"),
            Command::Last | Command::Capa => return self.error("the command is not known"),
        };
        match done {
            Some(actions) => actions,
            None => self.error("there is no such message"),
        }
    }

    /// The answer to [`Action::Remove`].
    pub fn removed(&mut self, good: bool) -> Vec<Action> {
        if good {
            vec![ok("goodbye, the marked messages are gone"), Action::Close]
        } else {
            let text = "-ERR [SYS/TEMP] some marked messages are not removed\r\n";
            vec![Action::Reply(text.into()), Action::Close]
        }
    }
}

fn octets<'a>(entries: impl Iterator<Item = &'a Entry>) -> u64 {
    entries.map(|entry| entry.size).sum()
}
