//! Logging in (RFC 3501, 6.2; RFC 4959), and the faults of a lesson.

use crate::config::Stage;
use crate::faults::imap_code;
use crate::sasl::{Exchange, Mechanism, Step};
use crate::store;

use super::output::Output;
use super::session::{After, Answer, No, Session};

impl Session {
    pub(super) async fn authenticate(
        &mut self,
        tag: &str,
        name: &str,
        initial: Option<&str>,
        out: &mut Output,
    ) -> Option<Answer> {
        if self.account.is_some() {
            return Some(Err(No::Bad("somebody is logged in already".into())));
        }
        let cram = self.server.directory.policy().cram_md5;
        let offered = Mechanism::offered(self.plain_allowed(), cram);
        let Some(mechanism) = Mechanism::by_name(name).filter(|one| offered.contains(one)) else {
            let plain = Mechanism::by_name(name).is_some_and(Mechanism::is_plain);
            let text = if plain && !self.tls {
                "[PRIVACYREQUIRED] say STARTTLS first"
            } else {
                "[CANNOT] this mechanism is not offered"
            };
            return Some(Err(No::No(text.into())));
        };
        let hostname = self.server.config.hostname.clone();
        let directory = &self.server.directory;
        let (exchange, step) =
            Exchange::start(mechanism, initial, directory, &hostname, rand::random());
        self.sasl_step(tag, exchange, step, out).await
    }

    pub(super) async fn sasl_step(
        &mut self,
        tag: &str,
        exchange: Exchange,
        step: Step,
        out: &mut Output,
    ) -> Option<Answer> {
        match step {
            Step::Challenge(text) => {
                out.line(format!("+ {text}"));
                self.sasl = Some((tag.to_owned(), exchange));
                None
            }
            Step::Verify { user, password } => Some(self.login(&user, password).await),
            Step::Done(account) => Some(match self.strike(Stage::Auth, &account).await {
                Ok(()) => self.enter(account).await,
                Err(no) => Err(no),
            }),
            Step::Failed => Some(Err(No::Login)),
            Step::Malformed(why) => Some(Err(No::Bad(why.into()))),
        }
    }

    /// Lets a fault of the lesson strike, where there is one for the stage.
    pub(super) async fn strike(&mut self, stage: Stage, account: &str) -> Result<(), No> {
        let server = self.server.clone();
        let Some(strike) = server.faults.strike(&server.directory, stage, Some(account)) else {
            return Ok(());
        };
        tokio::time::sleep(strike.delay).await;
        if strike.drop {
            self.after = After::Drop;
            return Err(No::Dropped);
        }
        match strike.reply {
            None => Ok(()),
            Some(reply) => Err(fault_reply(&reply)),
        }
    }

    pub(super) async fn login(&mut self, user: &str, password: String) -> Answer {
        if self.account.is_some() {
            return Err(No::Bad("somebody is logged in already".into()));
        }
        if !self.plain_allowed() {
            return Err(No::No("[PRIVACYREQUIRED] say STARTTLS first".into()));
        }
        self.strike(Stage::Auth, user).await?;
        match self.server.clone().authenticate(user, password).await {
            Some(account) => self.enter(account).await,
            None => Err(No::Login),
        }
    }

    async fn enter(&mut self, account: String) -> Answer {
        // A new account gets its mailboxes with its first message or its first login.
        let change = store::Change::Account { account: account.clone() };
        if self.server.store.mailboxes(&account).is_empty() {
            self.server.store.commit(vec![change]).await?;
        }
        self.account = Some(account);
        self.bad = 0;
        Ok(format!("[CAPABILITY {}] logged in", self.capabilities()))
    }
}

/// What a fault says: `451 …` and `550 …` with a response code of IMAP, `BAD …` and `NO …` as they
/// stand.
fn fault_reply(reply: &str) -> No {
    if let Some(text) = reply.strip_prefix("BAD ") {
        return No::Bad(text.to_owned());
    }
    No::No(match reply.strip_prefix("NO ") {
        Some(text) => text.to_owned(),
        None => format!("{} {reply}", imap_code(reply)),
    })
}
