//! Automatic answers (RFC 3834): once a sender, never to machines.

use std::sync::Arc;

use crate::headers;
use crate::server::Server;
use crate::store::{self, Change, Spooled};

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
    if !is_answerable(sender, account, to, fields) {
        return;
    }
    let asked = sender.to_lowercase();
    if server.store.has_answered(account, &asked, now, reply.every_s) {
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
    let note =
        Change::Answer { account: account.to_owned(), sender: asked, now, every_s: reply.every_s };
    match send(server, sender, message, note).await {
        // Two messages of one sender at once: the other one was first.
        Ok(()) | Err(store::Error::Answered) => {}
        Err(error) => tracing::warn!("no automatic answer of {account}: {error}"),
    }
}

/// The answer and the memory of it are one: neither a crash nor a restart answers twice.
async fn send(
    server: &Arc<Server>,
    to: &str,
    message: Vec<u8>,
    note: Change,
) -> Result<(), store::Error> {
    let (spooled, mut changes) = crate::delivery::prepare_notice(server, to, message).await?;
    changes.insert(0, note);
    server.store.commit(changes).await?;
    spooled.into_iter().for_each(Spooled::adopt);
    Ok(())
}

/// Whether a person has written it, to this person (RFC 3834, 2).
fn is_answerable(sender: &str, account: &str, to: &str, fields: &[(String, String)]) -> bool {
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
    // Whoever is not named got it through a list or as a blind copy. A message without To and Cc
    // names nobody: a person who types a dialogue leaves them out.
    let named: Vec<String> = fields
        .iter()
        .filter(|(name, _)| {
            ["to", "cc", "resent-to", "resent-cc"].iter().any(|f| name.eq_ignore_ascii_case(f))
        })
        .map(|(_, value)| value.to_lowercase())
        .collect();
    let is_named = |address: &str| {
        let address = address.to_lowercase();
        named.iter().any(|value| value.contains(&address))
    };
    let other = !named.is_empty() && !is_named(to) && !is_named(account);
    !(machine || submitted || bulk || list || other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_and_lists_are_not_answered() {
        let with = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let me = "me@c.test";
        for fields in [
            with("Auto-Submitted", "no"),
            with("To", "Me <ME@c.test>"),
            with("Cc", "x@y.test,\r\n info@c.test"),
        ] {
            assert!(is_answerable("a@b.test", me, "info@c.test", &fields), "{fields:?}");
        }
        for (sender, fields) in [
            ("", vec![]),
            ("me@c.test", vec![]),
            ("MAILER-DAEMON@b.test", vec![]),
            ("x-request@b.test", vec![]),
            ("a@b.test", with("Auto-Submitted", "auto-replied")),
            ("a@b.test", with("Precedence", "Bulk")),
            ("a@b.test", with("List-Id", "<x>")),
            ("a@b.test", with("To", "others@c.test")),
        ] {
            assert!(!is_answerable(sender, me, me, &fields), "{sender} {fields:?}");
        }
    }
}
