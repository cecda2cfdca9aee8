//! MAIL FROM and its parameters.

use super::{Action, Session, Site, Transaction};
use crate::address::Path;
use crate::config::Stage;
use crate::smtp::command::{Parameters, number, xtext};
use crate::smtp::reply::Reply;

impl Session {
    pub(super) fn mail(
        &mut self,
        path: Path,
        parameters: Parameters,
        site: &dyn Site,
    ) -> Vec<Action> {
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
        if let (Some(user), Some(address), true) = (&self.user, &address, policy.own_sender_only)
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

    pub(super) fn mail_parameters(
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
                ("SMTPUTF8", Some(_)) | ("SIZE" | "BODY", None) => return Err(wrong()),
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

    pub(super) fn too_big(&self) -> Reply {
        let text = format!("a message may have {} bytes", self.setup.limits.message);
        Reply::new(552, "5.3.4", text)
    }
}
