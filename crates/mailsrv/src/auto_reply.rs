//! Automatic answers (RFC 3834): once a sender, never to machines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::headers;
use crate::server::Server;

/// Senders remembered at most.
const MAX_REMEMBERED: usize = 10_000;

/// When an account answered a sender last.
#[derive(Default)]
pub(crate) struct Answered {
    last: Mutex<HashMap<(String, String), i64>>,
}

impl Answered {
    /// Whether the account may answer the sender now; from then on it has.
    fn may(&self, account: &str, sender: &str, every_s: u64, now: i64) -> bool {
        let mut answered = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (account.to_owned(), sender.to_lowercase());
        let every = i64::try_from(every_s).unwrap_or(i64::MAX);
        if answered.get(&key).is_some_and(|last| now - last < every) {
            return false;
        }
        if answered.len() >= MAX_REMEMBERED {
            answered.clear();
        }
        answered.insert(key, now);
        true
    }
}

/// Answers, if the account does and the message is one to be answered.
pub async fn answer(
    server: &Arc<Server>,
    account: &str,
    to: &str,
    sender: &str,
    fields: &[(String, String)],
    now: i64,
) {
    let Some((_, entry)) = server.directory.login(account) else { return };
    let Some(reply) = entry.auto_reply else { return };
    if !is_answerable(sender, account, fields) {
        return;
    }
    if !server.answered.may(account, sender, reply.every_s, now) {
        return;
    }
    let subject = reply.subject.clone().unwrap_or_else(|| {
        let own = headers::field(fields, "Subject").unwrap_or_default();
        format!("Auto: {own}")
    });
    let mut builder = mail_builder::MessageBuilder::new()
        .from(to.to_owned())
        .to(sender.to_owned())
        .subject(headers::clean(&subject))
        .message_id(format!("{now}.{}@{}", server.store.number(), server.config.hostname))
        .date(now)
        .header("Auto-Submitted", mail_builder::headers::raw::Raw::new("auto-replied"))
        .text_body(reply.text);
    if let Some(id) = headers::field(fields, "Message-ID") {
        let id = id.trim_matches(['<', '>']).to_owned();
        builder = builder.in_reply_to(id.clone()).references(id);
    }
    let message = match builder.write_to_vec() {
        Ok(message) => message,
        Err(error) => {
            tracing::warn!("no automatic answer of {account}: {error}");
            return;
        }
    };
    if let Err(error) = crate::delivery::send_notice(server, sender, message).await {
        tracing::warn!("no automatic answer of {account}: {error}");
    }
}

/// Whether a person has written it, to this person (RFC 3834, 2).
fn is_answerable(sender: &str, account: &str, fields: &[(String, String)]) -> bool {
    let local = sender.split('@').next().unwrap_or_default().to_ascii_lowercase();
    let machine = sender.is_empty()
        || sender.eq_ignore_ascii_case(account)
        || local.starts_with("owner-")
        || local.ends_with("-request")
        || matches!(
            local.as_str(),
            "mailer-daemon" | "postmaster" | "listserv" | "noreply" | "no-reply"
        );
    let submitted = headers::field(fields, "Auto-Submitted")
        .is_some_and(|value| !value.to_ascii_lowercase().starts_with("no"));
    let bulk = headers::field(fields, "Precedence").is_some_and(|value| {
        matches!(value.to_ascii_lowercase().as_str(), "bulk" | "list" | "junk")
    });
    let list = fields.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("list-"));
    !(machine || submitted || bulk || list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_answered_once_in_so_many_seconds() {
        let answered = Answered::default();
        let seen: Vec<bool> =
            [0, 5, 10, 11].iter().map(|now| answered.may("u", "A@b.test", 10, *now)).collect();
        assert_eq!(seen, [true, false, true, false]);
        assert!(answered.may("v", "a@b.test", 10, 11) && answered.may("u", "c@b.test", 10, 11));
    }

    #[test]
    fn machines_and_lists_are_not_answered() {
        let with = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert!(is_answerable("a@b.test", "me@c.test", &with("Auto-Submitted", "no")));
        for (sender, fields) in [
            ("", vec![]),
            ("me@c.test", vec![]),
            ("MAILER-DAEMON@b.test", vec![]),
            ("x-request@b.test", vec![]),
            ("a@b.test", with("Auto-Submitted", "auto-replied")),
            ("a@b.test", with("Precedence", "Bulk")),
            ("a@b.test", with("List-Id", "<x>")),
        ] {
            assert!(!is_answerable(sender, "me@c.test", &fields), "{sender} {fields:?}");
        }
    }
}
