//! STARTTLS and AUTH.

use super::{Action, Session, Setup, Site};
use crate::config::Stage;
use crate::sasl::{Exchange, Mechanism, Step};
use crate::smtp::reply::Reply;

impl Session {
    pub(super) fn mechanisms(&self) -> Vec<Mechanism> {
        let policy = &self.setup.policy;
        if !self.setup.submission && !policy.auth_on_smtp {
            return Vec::new();
        }
        Mechanism::offered(self.setup.tls || policy.plain_passwords, policy.cram_md5)
    }

    pub(super) fn start_tls(&mut self) -> Vec<Action> {
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

    pub(super) fn auth(
        &mut self,
        mechanism: &str,
        initial: Option<String>,
        site: &dyn Site,
    ) -> Vec<Action> {
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

    pub(super) fn step(&mut self, exchange: Exchange, step: Step) -> Vec<Action> {
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

    pub(super) fn logged_in(&mut self, account: String) -> Vec<Action> {
        self.user = Some(account);
        vec![Action::Reply(Reply::new(235, "2.7.0", "you are logged in"))]
    }

    pub(super) fn denied(&mut self) -> Vec<Action> {
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
}
