//! Mailboxes and messages, without a mail program.

use std::sync::Arc;

use mail_parser::{MessageParser, MimeHeaders, PartType};
use node::Error;
use serde_json::{Value, json};

use super::fields::Fields;
use crate::headers;
use crate::server::Server;
use crate::store::{Change, Message};

type Answer = Result<Value, Error>;

/// Bytes of a message shown at most.
const MAX_SHOWN: usize = 1 << 20;

/// Answers, if it is about mailboxes.
pub async fn answer(server: &Arc<Server>, op: &str, fields: &Fields) -> Option<Answer> {
    Some(match op {
        "mailboxes" => mailboxes(server, fields),
        "messages" => messages(server, fields),
        "message" => message(server, fields),
        "message-remove" => remove(server, fields).await,
        _ => return None,
    })
}

fn account(server: &Arc<Server>, fields: &Fields) -> Result<String, Error> {
    let name = fields.text("account")?;
    let data = server.directory.data();
    let found = data.account_name(name).or_else(|| data.complete(name).ok());
    found
        .filter(|name| data.accounts.contains_key(name) || server.store.accounts().contains(name))
        .ok_or_else(|| {
            let known: Vec<_> = data.accounts.keys().cloned().collect();
            Error::new(
                "unknown",
                format!("there is no account `{name}`; there are: {}", known.join(", ")),
            )
        })
}

fn mailboxes(server: &Arc<Server>, fields: &Fields) -> Answer {
    let accounts = match fields.optional("account") {
        Some(_) => vec![account(server, fields)?],
        None => server.store.accounts(),
    };
    let mut rows = Vec::new();
    for account in accounts {
        for listed in server.store.mailboxes(&account) {
            let state = server.store.with_mailbox(&account, &listed.name, |mailbox| {
                let bytes: u64 = mailbox.messages.iter().map(|m| u64::from(m.size)).sum();
                (mailbox.validity, mailbox.next, mailbox.modseq, bytes)
            });
            let (validity, next, modseq, bytes) = state.unwrap_or_default();
            rows.push(json!({
                "account": account,
                "mailbox": listed.name,
                "messages": listed.messages,
                "unseen": listed.unseen,
                "bytes": bytes,
                "uidvalidity": validity,
                "uidnext": next,
                "modseq": modseq,
                "special": listed.special,
                "subscribed": listed.subscribed,
            }));
        }
    }
    Ok(json!({ "mailboxes": rows }))
}

fn messages(server: &Arc<Server>, fields: &Fields) -> Answer {
    let account = account(server, fields)?;
    let mailbox = fields.optional("mailbox").unwrap_or("INBOX");
    let found = server.store.with_mailbox(&account, mailbox, |mailbox| mailbox.messages.clone());
    let found = found.unwrap_or_default();
    let rows: Vec<Value> = found
        .iter()
        .map(|message| {
            let head = server.store.read_range(message.file, 0, 64 << 10).unwrap_or_default();
            let parsed = MessageParser::default().parse_headers(&head);
            let from = parsed.as_ref().and_then(|m| m.from()).and_then(|from| from.first());
            json!({
                "uid": message.uid,
                "from": from.and_then(|from| from.address()),
                "subject": parsed.as_ref().and_then(|m| m.subject()),
                "received": headers::date(message.received),
                "bytes": message.size,
                "flags": message.flags.names().collect::<Vec<_>>(),
                "modseq": message.modseq,
            })
        })
        .collect();
    Ok(json!({ "messages": rows }))
}

fn one(server: &Arc<Server>, fields: &Fields) -> Result<(String, String, Message), Error> {
    let account = account(server, fields)?;
    let mailbox = fields.optional("mailbox").unwrap_or("INBOX").to_owned();
    let uid = u32::try_from(fields.number("uid")?).unwrap_or(u32::MAX);
    let found = server.store.with_mailbox(&account, &mailbox, |m| m.by_uid(uid).cloned()).flatten();
    match found {
        Some(message) => Ok((account, mailbox, message)),
        None => Err(Error::new(
            "unknown",
            format!("{mailbox} of {account} has no message with the UID {uid}"),
        )),
    }
}

fn message(server: &Arc<Server>, fields: &Fields) -> Answer {
    let (_, _, message) = one(server, fields)?;
    let gone =
        |error: std::io::Error| Error::new("disk", format!("the message cannot be read: {error}"));
    let bytes = server.store.read_range(message.file, 0, MAX_SHOWN).map_err(gone)?;
    match fields.optional("part").unwrap_or("raw") {
        "raw" => Ok(json!({ "raw": String::from_utf8_lossy(&bytes) })),
        "headers" => {
            let head = &bytes[..headers::length(&bytes)];
            Ok(json!({ "headers": String::from_utf8_lossy(head) }))
        }
        "tree" => Ok(json!({ "tree": tree(&bytes) })),
        "text" => {
            let parsed = MessageParser::default().parse(&bytes);
            let text = parsed.as_ref().and_then(|m| m.body_text(0)).unwrap_or_default();
            Ok(json!({ "text": text }))
        }
        other => {
            let text = format!("`part` is raw, headers, text or tree, not `{other}`");
            Err(Error::new("bad-request", text))
        }
    }
}

/// One line for each part: its place, type, encoding, size, name.
fn tree(bytes: &[u8]) -> Vec<Value> {
    let Some(parsed) = MessageParser::default().parse(bytes) else { return Vec::new() };
    let mut rows = Vec::new();
    let mut stack = vec![(0_u32, 0_usize)];
    while let Some((id, depth)) = stack.pop() {
        let Some(part) = parsed.parts.get(usize::try_from(id).unwrap_or(usize::MAX)) else {
            continue;
        };
        let kind = part.content_type().map_or_else(
            || "text/plain".to_owned(),
            |kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("*")),
        );
        rows.push(json!({
            "depth": depth,
            "type": kind,
            "encoding": format!("{:?}", part.encoding),
            "bytes": part.offset_end.saturating_sub(part.offset_body),
            "name": part.attachment_name(),
        }));
        // Rows are few: a message with thousands of parts is cut.
        if rows.len() > 1000 {
            break;
        }
        if let PartType::Multipart(parts) = &part.body {
            stack.extend(parts.iter().rev().map(|part| (*part, depth + 1)));
        }
    }
    rows
}

async fn remove(server: &Arc<Server>, fields: &Fields) -> Answer {
    let (account, mailbox, message) = one(server, fields)?;
    let change =
        Change::Expunge { account, mailbox, uids: Some(vec![message.uid]), deleted_only: false };
    server.store.commit(vec![change]).await.map_err(|error| Error::new("disk", error))?;
    Ok(json!({}))
}
