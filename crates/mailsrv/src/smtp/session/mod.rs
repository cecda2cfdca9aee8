//! One SMTP session without its connection: a line in, actions out.

mod content;
mod login;
mod recipient;
mod sender;

use std::net::IpAddr;
use std::time::Duration;

use super::command::{Command, parse};
use super::data::Bounds;
use super::reply::Reply;
use crate::address::Address;
use crate::config::{Limits, Policy, Stage};
use crate::directory::{Directory, Expansion, Verdict};
use crate::faults::Strike;
use crate::queue::Notify;
use crate::sasl::Exchange;

/// What a session asks of its server. Nothing here waits.
pub trait Site {
    /// What an address is.
    fn expand(&self, address: &Address, sender: &str, authenticated: bool) -> Verdict;
    /// Whether an account has room for so many bytes more.
    fn has_room(&self, account: &str, more: u64) -> bool;
    /// Whether an account may send as an address.
    fn may_send_as(&self, account: &str, sender: &Address) -> bool;
    /// A fault of this stage.
    fn strike(&self, stage: Stage, about: Option<&str>) -> Option<Strike>;
    /// Accounts, for SASL.
    fn directory(&self) -> &Directory;
    /// An unguessable number.
    fn nonce(&self) -> u128;
}

/// What a session is told at its beginning.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The server's name.
    pub hostname: String,
    /// The address that the client has connected to.
    pub local: IpAddr,
    /// Whether this is 587 or 465: mail from users.
    pub submission: bool,
    /// Whether the connection is under TLS.
    pub tls: bool,
    /// The client.
    pub peer: IpAddr,
    /// Whether it may send to other domains without a login.
    pub trusted: bool,
    /// Whether mail to other domains is sent on at all.
    pub relay: bool,
    /// Bounds.
    pub limits: Limits,
    /// Policy.
    pub policy: Policy,
}

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Action {
    /// Send this.
    Reply(Reply),
    /// Wait first.
    Wait(Duration),
    /// Do the TLS handshake, then tell [`Session::under_tls`].
    StartTls,
    /// Find out whether the password is right, then tell [`Session::verified`].
    Verify {
        /// Login name.
        user: String,
        /// Password.
        password: String,
    },
    /// Take the message up to its dot, then tell [`Session::message`].
    Receive,
    /// Take so many bytes, then tell [`Session::chunk_done`].
    Chunk {
        /// Bytes.
        size: u64,
        /// Whether the message begins with them: what came before is of another one.
        first: bool,
        /// Whether the message ends with them.
        last: bool,
    },
    /// Send what waits and close.
    Close,
    /// Close at once, without what waits.
    Drop,
}

/// A message on its way in.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// Reverse path; empty for notices.
    pub sender: String,
    /// To whom.
    pub recipients: Vec<Target>,
    /// Declared size.
    pub size: u64,
    /// SMTPUTF8.
    pub utf8: bool,
    /// RET=HDRS.
    pub headers_only: bool,
    /// ENVID.
    pub envid: Option<String>,
    /// BDAT has begun.
    pub(crate) chunked: bool,
    /// BDAT was refused: the rest is passed over.
    pub(crate) spoiled: bool,
}

impl Transaction {
    /// Whether sender and recipients are ASCII, also where their mail is sent on to.
    pub fn is_ascii(&self) -> bool {
        self.sender.is_ascii()
            && self.recipients.iter().all(|target| {
                let mut onward = target.own.iter().flat_map(|own| own.elsewhere.iter());
                target.address.is_ascii() && onward.all(|address| address.is_ascii())
            })
    }
}

/// One recipient.
#[derive(Clone, Debug)]
pub struct Target {
    /// As the client wrote it.
    pub address: Address,
    /// Where that leads; `None` for another server.
    pub own: Option<Expansion>,
    /// NOTIFY.
    pub notify: Notify,
    /// ORCPT.
    pub orcpt: Option<String>,
}

/// What a response to AUTH is shown as.
const MASK: &str = "***";

/// The session.
pub struct Session {
    setup: Setup,
    helo: String,
    extended: bool,
    user: Option<String>,
    transaction: Option<Transaction>,
    exchange: Option<Exchange>,
    errors: u32,
}

impl Session {
    /// A new one.
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            helo: String::new(),
            extended: false,
            user: None,
            transaction: None,
            exchange: None,
            errors: 0,
        }
    }

    /// The first reply.
    pub fn greeting(&self) -> Reply {
        Reply::plain(220, vec![format!("{} ESMTP labctl", self.setup.hostname)])
    }

    /// The account that has logged in.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The name that the client gave.
    pub fn helo(&self) -> &str {
        &self.helo
    }

    /// The protocol for the Received line (RFC 3848).
    pub fn with(&self, utf8: bool) -> String {
        if !self.extended {
            return "SMTP".into();
        }
        let base = if utf8 { "UTF8SMTP" } else { "ESMTP" };
        let tls = if self.setup.tls { "S" } else { "" };
        let auth = if self.user.is_some() { "A" } else { "" };
        format!("{base}{tls}{auth}")
    }

    /// The bounds of the message that comes.
    pub fn bounds(&self) -> Bounds {
        let limits = &self.setup.limits;
        Bounds {
            message: limits.message,
            header: limits.header,
            line: limits.text_line,
            hops: limits.hops,
            lenient: self.setup.policy.lenient_newlines,
        }
    }

    /// Bytes of the next line at most: SASL responses may be longer than commands (RFC 4954, 4).
    pub fn line_limit(&self) -> usize {
        if self.exchange.is_some() { 12_288 } else { self.setup.limits.command_line }
    }

    /// How the transcript shows a line that carries a secret; `None` for all others.
    pub fn mask(&self, line: &[u8]) -> Option<String> {
        if self.exchange.is_some() {
            return (line != b"*").then(|| MASK.to_owned());
        }
        let text = String::from_utf8_lossy(line);
        let mut words = text.split_ascii_whitespace();
        let auth = words.next().is_some_and(|verb| verb.eq_ignore_ascii_case("AUTH"));
        let (mechanism, initial) = (words.next(), words.next());
        (auth && initial.is_some()).then(|| format!("AUTH {} {MASK}", mechanism.unwrap_or("")))
    }

    /// One line, without its CRLF.
    pub fn line(&mut self, line: &[u8], site: &dyn Site) -> Vec<Action> {
        if let Some(mut exchange) = self.exchange.take() {
            if line == b"*" {
                return self.refuse(Reply::new(501, "5.7.0", "the login was given up"));
            }
            let response = String::from_utf8_lossy(line).into_owned();
            let step = exchange.respond(&response, site.directory(), site.nonce());
            return self.step(exchange, step);
        }
        let utf8 = self.transaction.as_ref().is_some_and(|transaction| transaction.utf8);
        match parse(line, utf8) {
            Ok(command) => self.command(command, site),
            Err(reply) => self.refuse(reply),
        }
    }

    /// A line that was no line.
    pub fn bad_line(&mut self, reason: &str) -> Vec<Action> {
        self.exchange = None;
        self.refuse(Reply::new(500, "5.5.2", reason))
    }

    /// A refusal; after too many of them the session ends.
    fn refuse(&mut self, reply: Reply) -> Vec<Action> {
        self.errors += 1;
        let mut actions = vec![Action::Reply(reply)];
        if self.errors >= self.setup.limits.errors {
            let text = format!("{} closes: too many errors", self.setup.hostname);
            actions.push(Action::Reply(Reply::new(421, "4.7.0", text)));
            actions.push(Action::Close);
        }
        actions
    }

    fn ok(enhanced: &str, text: impl Into<String>) -> Vec<Action> {
        vec![Action::Reply(Reply::new(250, enhanced, text))]
    }

    fn command(&mut self, command: Command, site: &dyn Site) -> Vec<Action> {
        let transaction_command = matches!(
            command,
            Command::Mail(..) | Command::Rcpt(..) | Command::Data | Command::Bdat { .. }
        );
        if transaction_command && self.helo.is_empty() {
            if let Command::Bdat { size, last } = command {
                return self.pass_over(size, last, Reply::new(503, "5.5.1", "say EHLO first"));
            }
            return self.refuse(Reply::new(503, "5.5.1", "say EHLO first"));
        }
        match command {
            Command::Ehlo(name) => self.ehlo(name, site),
            Command::Helo(name) => self.hello(name, false, site),
            Command::Mail(path, parameters) => self.mail(path, parameters, site),
            Command::Rcpt(path, parameters) => self.rcpt(path, parameters, site),
            Command::Data => self.data(site),
            Command::Bdat { size, last } => self.bdat(size, last, site),
            Command::Rset => {
                self.transaction = None;
                Self::ok("2.0.0", "begin again")
            }
            Command::Noop => Self::ok("2.0.0", "done nothing"),
            Command::Quit => {
                let text = format!("{} says goodbye", self.setup.hostname);
                vec![Action::Reply(Reply::new(221, "2.0.0", text)), Action::Close]
            }
            Command::Vrfy(name) => self.vrfy(&name, site),
            Command::Expn(_) => {
                self.refuse(Reply::new(502, "5.5.1", "lists are not shown to strangers"))
            }
            Command::Help => {
                let commands =
                    "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH";
                vec![Action::Reply(Reply::new(214, "2.0.0", commands))]
            }
            Command::StartTls => self.start_tls(),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial, site),
        }
    }

    fn struck(&mut self, strike: Option<Strike>) -> Option<Vec<Action>> {
        let strike = strike?;
        let mut actions = Vec::new();
        if !strike.delay.is_zero() {
            actions.push(Action::Wait(strike.delay));
        }
        if strike.drop {
            actions.push(Action::Drop);
            return Some(actions);
        }
        let reply = strike.reply.map(|text| Reply::from_text(&text));
        match reply {
            Some(reply) => {
                let closes = reply.code == 421;
                actions.push(Action::Reply(reply));
                if closes {
                    actions.push(Action::Close);
                }
                Some(actions)
            }
            // Only a delay: the true reply follows.
            None => None,
        }
    }

    fn delayed(strike: Option<&Strike>) -> Option<Action> {
        strike.filter(|strike| !strike.delay.is_zero()).map(|strike| Action::Wait(strike.delay))
    }

    /// Lets a fault of this stage strike before `true_reply`.
    fn with_fault(
        &mut self,
        strike: Option<Strike>,
        true_reply: impl FnOnce(&mut Self) -> Vec<Action>,
    ) -> Vec<Action> {
        let delay = Self::delayed(strike.as_ref());
        if let Some(actions) = self.struck(strike) {
            return actions;
        }
        let mut actions: Vec<Action> = delay.into_iter().collect();
        actions.extend(true_reply(self));
        actions
    }

    fn hello(&mut self, name: String, extended: bool, site: &dyn Site) -> Vec<Action> {
        let strike = site.strike(Stage::Helo, None);
        self.with_fault(strike, |session| {
            session.helo = name;
            session.extended = extended;
            session.transaction = None;
            // The greeting of EHLO is ASCII (RFC 5321, 4.1.1.1), whatever the name.
            let name = if session.helo.is_ascii() { session.helo.as_str() } else { "you" };
            let text = format!("{} greets {name}", session.setup.hostname);
            vec![Action::Reply(Reply::plain(250, vec![text]))]
        })
    }

    fn ehlo(&mut self, name: String, site: &dyn Site) -> Vec<Action> {
        let mut actions = self.hello(name, true, site);
        if let Some(Action::Reply(reply)) = actions.last_mut()
            && reply.code == 250
            && reply.enhanced.is_none()
        {
            let size = self.setup.limits.message;
            reply.lines.extend(
                ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "CHUNKING"]
                    .map(str::to_owned),
            );
            reply.lines.push(format!("SIZE {size}"));
            if !self.setup.tls {
                reply.lines.push("STARTTLS".into());
            }
            let mechanisms = self.mechanisms();
            if !mechanisms.is_empty() && self.user.is_none() {
                let names: Vec<_> = mechanisms.iter().map(|m| m.name()).collect();
                reply.lines.push(format!("AUTH {}", names.join(" ")));
            }
            reply.lines.push("HELP".into());
        }
        actions
    }

    fn vrfy(&mut self, name: &str, site: &dyn Site) -> Vec<Action> {
        let (name, utf8) = match name.rsplit_once(' ') {
            Some((name, word)) if word.eq_ignore_ascii_case("SMTPUTF8") => (name.trim_end(), true),
            _ => (name, false),
        };
        if !self.setup.policy.vrfy {
            let text = "send mail to find out";
            return vec![Action::Reply(Reply::new(252, "2.5.2", text))];
        }
        let name = name.trim_start_matches('<').trim_end_matches('>');
        let stranger = "only addresses of own domains can be verified";
        let Ok(address) = Address::parse(name, true) else {
            return vec![Action::Reply(Reply::new(252, "2.5.2", stranger))];
        };
        let mut address = self.at_home(&address);
        if address.domain.is_empty() {
            let data = site.directory().data();
            address.domain = data.domains.first().map(|d| d.name.clone()).unwrap_or_default();
        }
        match site.expand(&address, "", true) {
            Verdict::Own(_) if address.is_ascii() || utf8 => {
                Self::ok("2.1.5", format!("<{address}>"))
            }
            // Its name cannot be said in ASCII (RFC 6531, 3.7.4.2).
            Verdict::Own(_) => Self::ok("2.1.5", "there is such a user"),
            Verdict::Elsewhere => vec![Action::Reply(Reply::new(252, "2.5.2", stranger))],
            _ => self.refuse(Reply::new(550, "5.1.1", format!("{name}: User unknown"))),
        }
    }
}
