//! One SMTP session without its connection: a line in, actions out.

use std::net::IpAddr;
use std::time::Duration;

use super::command::{Command, Parameters, number, parse, xtext};
use super::data::{Bounds, Problem};
use super::reply::Reply;
use crate::address::{Address, Path};
use crate::config::{Limits, Policy, Stage};
use crate::directory::{Directory, Expansion, Verdict};
use crate::faults::Strike;
use crate::queue::Notify;
use crate::sasl::{Exchange, Mechanism, Step};

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
                let commands = "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH";
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
            let text = format!("{} greets {}", session.setup.hostname, session.helo);
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

    fn mechanisms(&self) -> Vec<Mechanism> {
        let policy = &self.setup.policy;
        if !self.setup.submission && !policy.auth_on_smtp {
            return Vec::new();
        }
        Mechanism::offered(self.setup.tls || policy.plain_passwords, policy.cram_md5)
    }

    fn start_tls(&mut self) -> Vec<Action> {
        if self.setup.tls {
            return self.refuse(Reply::new(503, "5.5.1", "the connection is under TLS already"));
        }
        if self.transaction.is_some() {
            return self.refuse(Reply::new(503, "5.5.1", "not inside a transaction; say RSET"));
        }
        vec![Action::Reply(Reply::new(220, "2.0.0", "begin TLS now")), Action::StartTls]
    }

    /// The handshake is done: everything said before is forgotten (RFC 3207, 4.2).
    pub fn under_tls(&mut self) {
        let setup = Setup { tls: true, ..self.setup.clone() };
        let errors = self.errors;
        *self = Self::new(setup);
        self.errors = errors;
    }

    fn auth(&mut self, mechanism: &str, initial: Option<String>, site: &dyn Site) -> Vec<Action> {
        if self.helo.is_empty() || !self.extended {
            return self.refuse(Reply::new(503, "5.5.1", "say EHLO first"));
        }
        if self.user.is_some() {
            return self.refuse(Reply::new(503, "5.5.1", "you are logged in already"));
        }
        if self.transaction.is_some() {
            return self.refuse(Reply::new(503, "5.5.1", "not inside a transaction; say RSET"));
        }
        let offered = self.mechanisms();
        let known = Mechanism::by_name(mechanism);
        let Some(mechanism) = known.filter(|mechanism| offered.contains(mechanism)) else {
            let reply = if known.is_some_and(Mechanism::is_plain) && !offered.is_empty() {
                Reply::new(538, "5.7.11", "passwords only under TLS: say STARTTLS first")
            } else if offered.is_empty() {
                Reply::new(502, "5.5.1", "no login on this port; use 587 or 465")
            } else {
                Reply::new(504, "5.5.4", "this mechanism is not offered; see EHLO")
            };
            return self.refuse(reply);
        };
        let (exchange, step) = Exchange::start(
            mechanism,
            initial.as_deref(),
            site.directory(),
            &self.setup.hostname,
            site.nonce(),
        );
        self.step(exchange, step)
    }

    fn step(&mut self, exchange: Exchange, step: Step) -> Vec<Action> {
        match step {
            Step::Challenge(text) => {
                self.exchange = Some(exchange);
                vec![Action::Reply(Reply::plain(334, vec![text]))]
            }
            Step::Verify { user, password } => vec![Action::Verify { user, password }],
            Step::Done(account) => self.logged_in(account),
            Step::Failed => self.denied(),
            Step::Malformed(why) => self.refuse(Reply::new(501, "5.5.2", why)),
        }
    }

    fn logged_in(&mut self, account: String) -> Vec<Action> {
        self.user = Some(account);
        vec![Action::Reply(Reply::new(235, "2.7.0", "you are logged in"))]
    }

    fn denied(&mut self) -> Vec<Action> {
        self.refuse(Reply::new(535, "5.7.8", "user or password is wrong"))
    }

    /// The answer to [`Action::Verify`].
    pub fn verified(
        &mut self,
        user: &str,
        account: Option<String>,
        site: &dyn Site,
    ) -> Vec<Action> {
        let strike = site.strike(Stage::Auth, Some(user));
        self.with_fault(strike, |session| match account {
            Some(account) => session.logged_in(account),
            None => session.denied(),
        })
    }

    fn mail(&mut self, path: Path, parameters: Parameters, site: &dyn Site) -> Vec<Action> {
        let policy = &self.setup.policy;
        if self.setup.submission
            && self.user.is_none()
            && !(policy.submission_without_auth && self.setup.trusted)
        {
            let text = "log in first: this port takes mail from users";
            return self.refuse(Reply::new(530, "5.7.0", text));
        }
        if self.transaction.is_some() {
            return self.refuse(Reply::new(503, "5.5.1", "there is a sender already; say RSET"));
        }
        let address = match path {
            Path::Null => None,
            Path::Address(address) if address.domain.is_empty() => {
                return self.refuse(Reply::new(501, "5.1.7", "the sender has no domain"));
            }
            Path::Address(address) => Some(address),
        };
        let sender = address.as_ref().map(ToString::to_string).unwrap_or_default();
        if let (Some(user), Some(address), true) =
            (&self.user, &address, policy.own_sender_only)
            && !site.may_send_as(user, address)
        {
            let text = format!("{user} may not send as {sender}");
            return self.refuse(Reply::new(553, "5.7.1", text));
        }
        let mut transaction = Transaction { sender: sender.clone(), ..Transaction::default() };
        if let Err(reply) = self.mail_parameters(&mut transaction, parameters) {
            return self.refuse(reply);
        }
        if address.is_some_and(|address| !address.is_ascii()) && !transaction.utf8 {
            return self.refuse(Reply::new(553, "5.6.7", "this sender needs SMTPUTF8"));
        }
        let strike = site.strike(Stage::Mail, Some(&sender));
        self.with_fault(strike, |session| {
            session.transaction = Some(transaction);
            Self::ok("2.1.0", "the sender is taken")
        })
    }

    fn mail_parameters(
        &self,
        transaction: &mut Transaction,
        parameters: Parameters,
    ) -> Result<(), Reply> {
        if !parameters.is_empty() && !self.extended {
            return Err(Reply::new(555, "5.5.4", "parameters need EHLO"));
        }
        for (keyword, value) in parameters {
            let value = value.as_deref();
            let wrong = || Reply::new(501, "5.5.4", format!("the value of {keyword} is wrong"));
            match (keyword.as_str(), value) {
                ("SIZE", Some(value)) => {
                    // A number that does not fit is too big in any case.
                    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                    let size = match number(value) {
                        Some(size) => size,
                        None if digits => u64::MAX,
                        None => return Err(wrong()),
                    };
                    if size > self.setup.limits.message {
                        return Err(self.too_big());
                    }
                    transaction.size = size;
                }
                ("BODY", Some(value)) => {
                    if !["7BIT", "8BITMIME"].iter().any(|known| known.eq_ignore_ascii_case(value)) {
                        return Err(wrong());
                    }
                }
                ("SMTPUTF8", None) => transaction.utf8 = true,
                ("RET", Some(value)) if value.eq_ignore_ascii_case("HDRS") => {
                    transaction.headers_only = true;
                }
                ("RET", Some(value)) if value.eq_ignore_ascii_case("FULL") => {}
                ("RET", _) => return Err(wrong()),
                ("ENVID", Some(value)) if value.len() <= 100 => {
                    transaction.envid = Some(xtext(value).ok_or_else(wrong)?);
                }
                ("ENVID", _) => return Err(wrong()),
                // Who sent it first, says the client (RFC 4954, 5): nobody here trusts that.
                ("AUTH", Some(value)) if !self.mechanisms().is_empty() => {
                    xtext(value).ok_or_else(wrong)?;
                }
                _ => {
                    let text = format!("MAIL has no parameter {keyword}");
                    return Err(Reply::new(555, "5.5.4", text));
                }
            }
        }
        Ok(())
    }

    fn too_big(&self) -> Reply {
        let text = format!("a message may have {} bytes", self.setup.limits.message);
        Reply::new(552, "5.3.4", text)
    }

    fn rcpt(&mut self, path: Path, parameters: Parameters, site: &dyn Site) -> Vec<Action> {
        let Some(transaction) = &self.transaction else {
            return self.refuse(Reply::new(503, "5.5.1", "say MAIL FROM first"));
        };
        if transaction.chunked {
            return self.refuse(Reply::new(503, "5.5.1", "the message has begun already"));
        }
        let Path::Address(address) = path else {
            return self.refuse(Reply::new(501, "5.1.3", "nobody is called <>"));
        };
        if address.domain.is_empty() && !address.local.eq_ignore_ascii_case("postmaster") {
            return self.refuse(Reply::new(501, "5.1.3", "the recipient has no domain"));
        }
        let (notify, orcpt) = match self.rcpt_parameters(parameters) {
            Ok(parameters) => parameters,
            Err(reply) => return self.refuse(reply),
        };
        if transaction.recipients.len() >= self.setup.limits.recipients {
            // Not counted: the client sends the message and comes again with the others.
            let text = "too many recipients; send the rest in another message";
            return vec![Action::Reply(Reply::new(452, "4.5.3", text))];
        }
        let by_name = self
            .setup
            .policy
            .fault_addresses
            .then(|| crate::faults::by_address(&address.local))
            .flatten();
        let key = address.key();
        let size = transaction.size;
        let verdict = site.expand(&address, &transaction.sender, self.user.is_some());
        // Faults by address are for own domains only.
        let by_name = by_name.filter(|_| verdict != Verdict::Elsewhere);
        if let Some(strike) = by_name {
            let delay = Self::delayed(Some(&strike));
            if let Some(actions) = self.struck(Some(strike)) {
                return actions;
            }
            let mut actions: Vec<Action> = delay.into_iter().collect();
            actions.extend(Self::ok("2.1.5", "that took some time"));
            return actions;
        }
        let own = match self.judge(&address, verdict, size, site) {
            Ok(own) => own,
            Err(reply) => {
                return if reply.code < 500 {
                    vec![Action::Reply(reply)]
                } else {
                    self.refuse(reply)
                };
            }
        };
        let strike = site.strike(Stage::Rcpt, Some(&key));
        self.with_fault(strike, |session| {
            if let Some(transaction) = &mut session.transaction {
                transaction.recipients.push(Target { address, own, notify, orcpt });
            }
            Self::ok("2.1.5", "the recipient is taken")
        })
    }

    fn judge(
        &self,
        address: &Address,
        verdict: Verdict,
        size: u64,
        site: &dyn Site,
    ) -> Result<Option<Expansion>, Reply> {
        match verdict {
            Verdict::Own(expansion) => {
                let full = expansion.boxes.iter().find(|name| !site.has_room(name, size));
                match full {
                    Some(_) => {
                        let text = format!("the mailbox of {address} is full");
                        Err(Reply::new(452, "4.2.2", text))
                    }
                    None => Ok(Some(expansion)),
                }
            }
            Verdict::Unknown => {
                Err(Reply::new(550, "5.1.1", format!("{address}: User unknown")))
            }
            Verdict::NotAllowed => {
                Err(Reply::new(550, "5.7.2", format!("you may not write to the list {address}")))
            }
            Verdict::Elsewhere => {
                let allowed = self.user.is_some() || self.setup.trusted;
                if !self.setup.relay || !allowed {
                    let text = format!("{address}: Relay access denied");
                    return Err(Reply::new(550, "5.7.1", text));
                }
                Ok(None)
            }
        }
    }

    fn rcpt_parameters(&self, parameters: Parameters) -> Result<(Notify, Option<String>), Reply> {
        let (mut notify, mut orcpt) = (Notify::default(), None);
        if !parameters.is_empty() && !self.extended {
            return Err(Reply::new(555, "5.5.4", "parameters need EHLO"));
        }
        for (keyword, value) in parameters {
            let wrong = || Reply::new(501, "5.5.4", format!("the value of {keyword} is wrong"));
            match (keyword.as_str(), value) {
                ("NOTIFY", Some(value)) => notify = notify_of(&value).ok_or_else(wrong)?,
                ("ORCPT", Some(value)) if value.len() <= 500 => {
                    let (kind, text) = value.split_once(';').ok_or_else(wrong)?;
                    let atom = kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
                    if kind.is_empty() || !atom {
                        return Err(wrong());
                    }
                    let text = xtext(text).ok_or_else(wrong)?;
                    orcpt = Some(format!("{kind};{text}"));
                }
                ("ORCPT", _) => return Err(wrong()),
                _ => {
                    let text = format!("RCPT has no parameter {keyword}");
                    return Err(Reply::new(555, "5.5.4", text));
                }
            }
        }
        Ok((notify, orcpt))
    }

    /// What is missing before a message may come.
    fn not_ready(&self) -> Option<Reply> {
        match &self.transaction {
            None => Some(Reply::new(503, "5.5.1", "say MAIL FROM first")),
            Some(transaction) if transaction.recipients.is_empty() => {
                Some(Reply::new(554, "5.5.1", "there is no recipient"))
            }
            Some(_) => None,
        }
    }

    fn data(&mut self, site: &dyn Site) -> Vec<Action> {
        if self.transaction.as_ref().is_some_and(|t| t.chunked) {
            return self.refuse(Reply::new(503, "5.5.1", "the message has begun with BDAT"));
        }
        if let Some(reply) = self.not_ready() {
            return self.refuse(reply);
        }
        let strike = site.strike(Stage::Data, self.about());
        self.with_fault(strike, |_| {
            let text = "send the message; it ends with a dot alone on a line".to_owned();
            vec![Action::Reply(Reply::plain(354, vec![text])), Action::Receive]
        })
    }

    /// The account that faults of DATA and of the message are about: the first recipient.
    fn about(&self) -> Option<&str> {
        let target = self.transaction.as_ref()?.recipients.first()?;
        target.own.as_ref()?.reached.first().map(String::as_str)
    }

    fn bdat(&mut self, size: u64, last: bool, site: &dyn Site) -> Vec<Action> {
        if !self.extended {
            return self.pass_over(size, last, Reply::new(503, "5.5.1", "BDAT needs EHLO"));
        }
        if let Some(reply) = self.not_ready() {
            return self.pass_over(size, last, reply);
        }
        if !self.transaction.as_ref().is_some_and(|t| t.chunked) {
            let strike = site.strike(Stage::Data, self.about());
            if let Some(actions) = self.struck(strike) {
                let mut all = vec![Action::Chunk { size, last: false }];
                self.spoil();
                all.extend(actions);
                return all;
            }
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.chunked = true;
        }
        vec![Action::Chunk { size, last }]
    }

    /// The bytes of a refused BDAT come all the same (RFC 3030, 3).
    fn pass_over(&mut self, size: u64, last: bool, reply: Reply) -> Vec<Action> {
        if !last {
            self.spoil();
        }
        let mut actions = vec![Action::Chunk { size, last: false }];
        actions.extend(self.refuse(reply));
        actions
    }

    fn spoil(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.spoiled = true;
        }
    }

    /// Whether the chunk that comes is kept.
    pub fn keeps_chunk(&self) -> bool {
        self.transaction.as_ref().is_some_and(|t| t.chunked && !t.spoiled)
    }

    /// A chunk that was not the last one has come.
    pub fn chunk_done(&mut self, size: u64, problem: Option<Problem>) -> Vec<Action> {
        let Some(transaction) = &self.transaction else { return Vec::new() };
        if !transaction.chunked {
            // The refusal was said already.
            return Vec::new();
        }
        if transaction.spoiled {
            return self.refuse(Reply::new(503, "5.5.1", "a part was refused before; say RSET"));
        }
        match problem {
            Some(problem) => {
                self.transaction = None;
                let reply = self.problem(problem);
                self.refuse(reply)
            }
            None => Self::ok("2.0.0", format!("{size} bytes are taken")),
        }
    }

    /// The whole message has come: the transaction to deliver, or the refusal.
    pub fn message(
        &mut self,
        problem: Option<Problem>,
        site: &dyn Site,
    ) -> Result<Transaction, Vec<Action>> {
        let strike = site.strike(Stage::Message, self.about());
        let transaction = self.transaction.take().unwrap_or_default();
        if let Some(problem) = problem {
            let reply = self.problem(problem);
            return Err(self.refuse(reply));
        }
        if transaction.spoiled {
            return Err(self.refuse(Reply::new(503, "5.5.1", "a part was refused before")));
        }
        match self.struck(strike) {
            Some(actions) => Err(actions),
            None => Ok(transaction),
        }
    }

    fn problem(&self, problem: Problem) -> Reply {
        match problem {
            Problem::TooBig => self.too_big(),
            Problem::BareNewline => Reply::new(
                554,
                "5.6.0",
                "the message has a bare CR or LF (may be SMTP smuggling); end lines with CR LF",
            ),
            Problem::LongLine => {
                let text = format!("a line may have {} bytes", self.setup.limits.text_line);
                Reply::new(554, "5.6.0", text)
            }
            Problem::LongHeader => {
                let text = format!("a header may have {} bytes", self.setup.limits.header);
                Reply::new(552, "5.3.4", text)
            }
            Problem::Loop => Reply::new(554, "5.4.6", "loop detected: too many Received lines"),
            Problem::Disk => Reply::new(452, "4.3.1", "no space for the message now"),
        }
    }

    fn vrfy(&mut self, name: &str, site: &dyn Site) -> Vec<Action> {
        if !self.setup.policy.vrfy {
            let text = "send mail to find out";
            return vec![Action::Reply(Reply::new(252, "2.5.2", text))];
        }
        let name = name.trim_start_matches('<').trim_end_matches('>');
        let completed = site.directory().data().complete(name);
        let address = match completed.map(|full| Address::parse(&full, true)) {
            Ok(Ok(address)) => address,
            _ => {
                let text = "only addresses of own domains can be verified";
                return vec![Action::Reply(Reply::new(252, "2.5.2", text))];
            }
        };
        match site.expand(&address, "", true) {
            Verdict::Own(_) => Self::ok("2.1.5", format!("<{address}>")),
            _ => self.refuse(Reply::new(550, "5.1.1", format!("{name}: User unknown"))),
        }
    }
}

fn notify_of(value: &str) -> Option<Notify> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::NEVER);
    }
    let mut notify = Notify::NEVER;
    for word in value.split(',') {
        match word.to_ascii_uppercase().as_str() {
            "SUCCESS" => notify.success = true,
            "FAILURE" => notify.failure = true,
            "DELAY" => notify.delay = true,
            _ => return None,
        }
    }
    Some(notify)
}
