//! A session: what the client asked becomes what the server says. No sockets in here: the
//! caller hands in whole commands and takes [`Output`].

use std::sync::Arc;

use crate::config::Stage;
use crate::sasl::{Exchange, Mechanism};
use crate::server::Server;
use crate::store;

use super::command::{Command, Tagged};
use super::cursor::Bad;
use super::fetch::Fetching;
use super::framing::{Limits, MAX_LITERAL};
use super::grammar;
use super::output::Output;
use super::view::View;

/// Errors after which the connection is closed before a login.
const MAX_BAD: u32 = 20;

/// What every client is offered, whatever the state. Each has a test in `tests/imap_*.rs`.
const CAPABILITIES: &str = "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE IDLE NAMESPACE CHILDREN UIDPLUS \
MOVE UNSELECT SPECIAL-USE CREATE-SPECIAL-USE CONDSTORE QUOTA QUOTA=RES-STORAGE WITHIN STATUS=SIZE ESEARCH \
LIST-EXTENDED LIST-STATUS SORT THREAD=REFERENCES";

/// What the connection does after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The next command.
    Go,
    /// The TLS handshake.
    StartTls,
    /// Close.
    Close,
    /// Close without a word: a fault of the lesson.
    Drop,
}

/// A session.
pub struct Session {
    pub(super) server: Arc<Server>,
    pub(super) tls: bool,
    pub(super) account: Option<String>,
    pub(super) view: Option<View>,
    /// Whether the client knows of modification sequences.
    pub(super) condstore: bool,
    pub(super) sasl: Option<(String, Exchange)>,
    idle: Option<String>,
    fetching: Option<Fetching>,
    pub(super) after: After,
    pub(super) bad: u32,
}

/// A tagged answer: `Ok` text, or `No`.
pub(super) type Answer = Result<String, No>;

/// A refusal: a NO with its response code and text, or a BAD.
#[allow(clippy::enum_variant_names, reason = "NO is the word of the protocol")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum No {
    /// Refused.
    No(String),
    /// Not a command here.
    Bad(String),
    /// Wrong user or password.
    Login,
    /// A fault closes the connection: nothing is said.
    Dropped,
}

impl From<store::Error> for No {
    fn from(error: store::Error) -> Self {
        let code = match &error {
            store::Error::NoMailbox(_) => "[NONEXISTENT] ",
            store::Error::Exists(_) => "[ALREADYEXISTS] ",
            store::Error::OverQuota { .. } => "[OVERQUOTA] ",
            store::Error::TooMany(_) => "[LIMIT] ",
            store::Error::Inbox | store::Error::BadName(_) => "[CANNOT] ",
            _ => "[SERVERBUG] ",
        };
        Self::No(format!("{code}{error}"))
    }
}

impl Session {
    /// A session that has not begun.
    pub fn new(server: Arc<Server>, tls: bool) -> Self {
        Self {
            server,
            tls,
            account: None,
            view: None,
            condstore: false,
            sasl: None,
            idle: None,
            fetching: None,
            after: After::Go,
            bad: 0,
        }
    }

    /// The greeting.
    pub fn greet(&self, out: &mut Output) {
        let hostname = &self.server.config.hostname;
        out.line(format!("* OK [CAPABILITY {}] {hostname} IMAP4rev1 ready", self.capabilities()));
    }

    /// What the connection does next.
    pub fn after(&self) -> After {
        self.after
    }

    /// Whether somebody has logged in.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The open mailbox.
    pub fn mailbox(&self) -> Option<&str> {
        self.view.as_ref().map(|view| view.mailbox.as_str())
    }

    /// Whether the next line is bare: a response of SASL, or DONE.
    pub fn wants_line(&self) -> bool {
        self.sasl.is_some() || self.idle.is_some()
    }

    /// Whether the next line is a secret.
    pub fn in_sasl(&self) -> bool {
        self.sasl.is_some()
    }

    /// Whether the client waits for news.
    pub fn is_idle(&self) -> bool {
        self.idle.is_some()
    }

    /// What the client may send now.
    pub fn limits(&self) -> Limits {
        if self.account.is_none() {
            return Limits { message: 4 << 10, literal: 4 << 10 };
        }
        Limits { message: self.server.directory.limits().message, literal: MAX_LITERAL }
    }

    pub(super) fn plain_allowed(&self) -> bool {
        self.tls || self.server.directory.policy().plain_passwords
    }

    pub(super) fn capabilities(&self) -> String {
        let mut all = CAPABILITIES.to_owned();
        all.push_str(&format!(" APPENDLIMIT={}", self.server.directory.limits().message));
        if self.account.is_some() {
            return all;
        }
        if !self.tls {
            all.push_str(" STARTTLS");
        }
        if !self.plain_allowed() {
            all.push_str(" LOGINDISABLED");
        }
        let cram = self.server.directory.policy().cram_md5;
        for mechanism in Mechanism::offered(self.plain_allowed(), cram) {
            all.push_str(" AUTH=");
            all.push_str(mechanism.name());
        }
        all
    }

    /// A command that was refused while it was read.
    pub fn refused(&mut self, tag: &str, why: &str, out: &mut Output) {
        let code = if why.contains("too large") { "[TOOBIG] " } else { "" };
        if tag == "*" || code.is_empty() {
            out.line(format!("{tag} BAD {why}"));
        } else {
            out.line(format!("{tag} NO {code}{why}"));
        }
        self.count_bad(out);
    }

    /// Takes a whole command.
    pub async fn command(&mut self, mut bytes: Vec<u8>, out: &mut Output) {
        match grammar::parse(&bytes) {
            Ok(Tagged { tag, command: Command::Append { mailbox, flags, date, length } }) => {
                let answer = match self.account.clone() {
                    Some(account) => {
                        // The message stays where it is; what stands before it goes.
                        bytes.drain(..bytes.len() - length);
                        self.append(&account, mailbox, &flags, date, bytes).await
                    }
                    None => Err(No::Bad("log in first".into())),
                };
                self.news(true, out).await;
                self.finish(&tag, answer, out);
            }
            Ok(Tagged { tag, command }) => self.run(tag, command, out).await,
            Err((tag, Bad(why))) => {
                out.line(format!("{} BAD {why}", tag.as_deref().unwrap_or("*")));
                self.count_bad(out);
            }
        }
    }

    fn count_bad(&mut self, out: &mut Output) {
        self.bad += 1;
        if self.account.is_none() && self.bad >= MAX_BAD {
            self.bye("too many errors", out);
        }
    }

    /// Ends the session from the server's side.
    pub fn bye(&mut self, why: &str, out: &mut Output) {
        out.line(format!("* BYE {why}"));
        self.after = After::Close;
    }

    async fn run(&mut self, tag: String, command: Command, out: &mut Output) {
        self.follow();
        // During these, numbers may not change (RFC 3501, 7.4.1).
        let may_expunge = !matches!(
            command,
            Command::Fetch { uid: false, .. }
                | Command::Search { uid: false, .. }
                | Command::Sort { uid: false, .. }
                | Command::Thread { uid: false, .. }
        ) && !matches!(&command, Command::Store(store) if !store.uid);
        // SELECT tells HIGHESTMODSEQ anyway.
        let knew = self.condstore || matches!(command, Command::Select { .. });
        let answer = match command {
            Command::StartTls => {
                if self.tls {
                    Err(No::Bad("TLS is on already".into()))
                } else if self.account.is_some() {
                    Err(No::Bad("STARTTLS comes before the login".into()))
                } else {
                    self.after = After::StartTls;
                    Ok("begin TLS now".into())
                }
            }
            Command::Authenticate { mechanism, initial } => {
                match self.authenticate(&tag, &mechanism, initial.as_deref(), out).await {
                    Some(answer) => answer,
                    None => return,
                }
            }
            Command::Idle => {
                if self.account.is_none() {
                    Err(No::Bad("log in first".into()))
                } else {
                    out.line("+ idling");
                    self.idle = Some(tag);
                    self.news(true, out).await;
                    return;
                }
            }
            Command::Fetch { uid, set, items, changed_since } => {
                match self.fetch(&tag, uid, &set, items, changed_since).await {
                    Ok(fetching) => {
                        self.fetching = Some(fetching);
                        self.tell_modseq(knew, out);
                        self.go_on(out).await;
                        return;
                    }
                    Err(no) => Err(no),
                }
            }
            command => self.answer(&tag, command, out).await,
        };
        if self.after == After::Go && self.view.is_some() {
            self.tell_modseq(knew, out);
            self.news(may_expunge, out).await;
        }
        self.finish(&tag, answer, out);
    }

    fn finish(&mut self, tag: &str, answer: Answer, out: &mut Output) {
        match answer {
            Ok(text) => out.line(format!("{tag} OK {}", ascii(&text))),
            Err(No::No(text)) => out.line(format!("{tag} NO {}", ascii(&text))),
            Err(No::Bad(text)) => {
                out.line(format!("{tag} BAD {}", ascii(&text)));
                self.count_bad(out);
            }
            Err(No::Login) => {
                out.line(format!(
                    "{tag} NO [AUTHENTICATIONFAILED] no such user, or the password is wrong"
                ));
                self.count_bad(out);
            }
            Err(No::Dropped) => {}
        }
    }

    /// Whether a FETCH is under way that [`Session::go_on`] continues.
    pub fn busy(&self) -> bool {
        self.fetching.is_some()
    }

    /// Continues a FETCH; to be called when its output so far has been sent.
    pub async fn go_on(&mut self, out: &mut Output) {
        let Some(mut fetching) = self.fetching.take() else { return };
        if self.fetch_some(&mut fetching, out) {
            self.fetching = Some(fetching);
            return;
        }
        self.news(fetching.uid, out).await;
        // A UID that is gone is passed over (RFC 3501, 6.4.8).
        let answer = if fetching.missing && !fetching.uid {
            Err(No::No("[EXPUNGEISSUED] some of the messages are gone".into()))
        } else {
            Ok("FETCH done".into())
        };
        self.finish(&fetching.tag, answer, out);
    }

    /// Takes a bare line: a response of SASL, or what ends IDLE.
    pub async fn line(&mut self, line: &[u8], out: &mut Output) {
        if let Some(tag) = self.idle.take() {
            if line.eq_ignore_ascii_case(b"DONE") {
                self.news(true, out).await;
                out.line(format!("{tag} OK IDLE done"));
            } else {
                out.line(format!("{tag} BAD IDLE is ended by DONE"));
            }
            return;
        }
        let Some((tag, mut exchange)) = self.sasl.take() else { return };
        if line == b"*" {
            out.line(format!("{tag} BAD the exchange was cancelled"));
            return;
        }
        let text = String::from_utf8_lossy(line).into_owned();
        let step = exchange.respond(&text, &self.server.directory, rand::random());
        if let Some(answer) = self.sasl_step(&tag, exchange, step, out).await {
            self.finish(&tag, answer, out);
        }
    }

    async fn answer(&mut self, tag: &str, command: Command, out: &mut Output) -> Answer {
        match command {
            Command::Capability => {
                out.line(format!("* CAPABILITY {}", self.capabilities()));
                return Ok("CAPABILITY done".into());
            }
            Command::Noop => return Ok("NOOP done".into()),
            Command::Logout => {
                self.view = None;
                out.line("* BYE until next time");
                self.after = After::Close;
                return Ok("LOGOUT done".into());
            }
            Command::Id => {
                out.line("* ID (\"name\" \"labctl mailsrv\")");
                return Ok("ID done".into());
            }
            Command::Login { user, password } => return self.login(&user, password).await,
            _ => {}
        }
        let Some(account) = self.account.clone() else {
            return Err(No::Bad("log in first".into()));
        };
        match command {
            Command::Enable(names) => {
                let known = names.iter().any(|name| name == "CONDSTORE");
                if known {
                    self.condstore = true;
                }
                out.line(if known { "* ENABLED CONDSTORE" } else { "* ENABLED" });
                Ok("ENABLE done".into())
            }
            Command::Namespace => {
                out.line("* NAMESPACE ((\"\" \"/\")) NIL NIL");
                Ok("NAMESPACE done".into())
            }
            Command::Select { mailbox, examine, condstore } => {
                self.strike(Stage::Select, &account).await?;
                self.select(&account, mailbox, examine, condstore, out).await
            }
            Command::Create { mailbox, special } => self.create(&account, &mailbox, &special).await,
            Command::Delete(mailbox) => self.delete(&account, mailbox).await,
            Command::Rename { from, to } => self.rename(&account, from, &to).await,
            Command::Subscribe { mailbox, on } => self.subscribe(account, mailbox, on).await,
            Command::List(list) => self.list(&account, &list, out),
            Command::Status { mailbox, items } => self.status(&account, &mailbox, &items, out),
            Command::GetQuota(root) => self.quota(&account, &root, out),
            Command::GetQuotaRoot(mailbox) => self.quota_root(&account, &mailbox, out),
            Command::SetQuota => Err(No::No("[NOPERM] quotas are set by the administrator".into())),
            command => {
                if self.view.is_none() {
                    return Err(No::Bad("open a mailbox by SELECT first".into()));
                }
                self.in_mailbox(&account, tag, command, out).await
            }
        }
    }
}

/// A text as a response may hold it: one line of ASCII (RFC 3501, 9: resp-text). Names of mailboxes
/// in it are written as they travel.
fn ascii(text: &str) -> std::borrow::Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        text.into()
    } else {
        mutf7::encode(text).into()
    }
}
