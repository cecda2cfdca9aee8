//! RCPT TO: who is taken, who is refused, and why.

use super::{Action, Session, Site, Target};
use crate::address::{Address, Path};
use crate::config::Stage;
use crate::directory::{Expansion, Verdict};
use crate::queue::Notify;
use crate::smtp::command::{Parameters, xtext};
use crate::smtp::reply::Reply;

impl Session {
    pub(super) fn rcpt(
        &mut self,
        path: Path,
        parameters: Parameters,
        site: &dyn Site,
    ) -> Vec<Action> {
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
        let verdict =
            site.expand(&self.at_home(&address), &transaction.sender, self.user.is_some());
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

    /// The address, of an own domain where it names this server by the address that the client
    /// has connected to (RFC 1123, 5.2.17).
    pub(super) fn at_home(&self, address: &Address) -> Address {
        let domain = match address.literal() {
            Some(literal) if literal == self.setup.local => String::new(),
            _ => address.domain.clone(),
        };
        Address { local: address.local.clone(), domain }
    }

    pub(super) fn judge(
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
            Verdict::Unknown => Err(Reply::new(550, "5.1.1", format!("{address}: User unknown"))),
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

    pub(super) fn rcpt_parameters(
        &self,
        parameters: Parameters,
    ) -> Result<(Notify, Option<String>), Reply> {
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
                ("NOTIFY" | "ORCPT", _) => return Err(wrong()),
                _ => {
                    let text = format!("RCPT has no parameter {keyword}");
                    return Err(Reply::new(555, "5.5.4", text));
                }
            }
        }
        Ok((notify, orcpt))
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
