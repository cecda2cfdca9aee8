//! DATA and BDAT: the message itself.

use super::{Action, Session, Site, Transaction};
use crate::config::Stage;
use crate::smtp::data::Problem;
use crate::smtp::reply::Reply;

impl Session {
    /// What is missing before a message may come.
    pub(super) fn not_ready(&self) -> Option<Reply> {
        match &self.transaction {
            None => Some(Reply::new(503, "5.5.1", "say MAIL FROM first")),
            Some(transaction) if transaction.recipients.is_empty() => {
                Some(Reply::new(554, "5.5.1", "there is no recipient"))
            }
            Some(_) => None,
        }
    }

    pub(super) fn data(&mut self, site: &dyn Site) -> Vec<Action> {
        if self.transaction.as_ref().is_some_and(|t| t.chunked || t.spoiled) {
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
    pub(super) fn about(&self) -> Option<&str> {
        let target = self.transaction.as_ref()?.recipients.first()?;
        target.own.as_ref()?.reached.first().map(String::as_str)
    }

    pub(super) fn bdat(&mut self, size: u64, last: bool, site: &dyn Site) -> Vec<Action> {
        if !self.extended {
            return self.pass_over(size, last, Reply::new(503, "5.5.1", "BDAT needs EHLO"));
        }
        if let Some(reply) = self.not_ready() {
            return self.pass_over(size, last, reply);
        }
        let first = !self.transaction.as_ref().is_some_and(|t| t.chunked);
        if first {
            let strike = site.strike(Stage::Data, self.about());
            if let Some(actions) = self.struck(strike) {
                let mut all = vec![Action::Chunk { size, first, last: false }];
                self.spoil();
                all.extend(actions);
                return all;
            }
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.chunked = true;
        }
        vec![Action::Chunk { size, first, last }]
    }

    /// The bytes of a refused BDAT come all the same (RFC 3030, 3).
    pub(super) fn pass_over(&mut self, size: u64, last: bool, reply: Reply) -> Vec<Action> {
        if !last {
            self.spoil();
        }
        let mut actions = vec![Action::Chunk { size, first: false, last: false }];
        actions.extend(self.refuse(reply));
        actions
    }

    pub(super) fn spoil(&mut self) {
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
            None => {
                // Who sends mail may err now and then in a long session.
                self.errors = 0;
                Ok(transaction)
            }
        }
    }

    pub(super) fn problem(&self, problem: Problem) -> Reply {
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
}
