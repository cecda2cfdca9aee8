//! Accounts, aliases, lists and domains.

use std::sync::Arc;

use node::Error;
use serde_json::{Value, json};

use super::fields::Fields;
use crate::address::Address;
use crate::config::{AutoReply, Domain, List, ListFrom};
use crate::directory::{self, Data, Entry};
use crate::password::Credentials;
use crate::server::Server;
use crate::store::Change;

type Answer = Result<Value, Error>;

fn refused(error: directory::Error) -> Error {
    let code = match &error {
        directory::Error::Unknown { .. } | directory::Error::Domain(_) => "unknown",
        directory::Error::Exists(_) => "exists",
        directory::Error::Address { .. } | directory::Error::Hash(_) => "bad-request",
        directory::Error::Persist(_) => "disk",
    };
    Error::new(code, error)
}

/// Answers, if it is about people.
pub async fn answer(server: &Arc<Server>, op: &str, fields: &Fields) -> Option<Answer> {
    Some(match op {
        "accounts" | "users" => Ok(accounts(server)),
        "account-add" => add(server, fields).await,
        "account-remove" => remove(server, fields).await,
        "account-password" => password(server, fields),
        "forward" => forward(server, fields),
        "auto-reply" => auto_reply(server, fields),
        "signature" => signature(server, fields),
        "quota" => quota(server, fields),
        "aliases" => Ok(json!({ "aliases": server.directory.data().aliases })),
        "alias-set" => alias(server, fields),
        "alias-remove" => change(server, |data| {
            let name = data.complete(text(fields, "alias")?)?;
            let known = names(&data.aliases);
            data.aliases.remove(&name).map(|_| json!({})).ok_or(directory::Error::Unknown {
                what: "alias",
                name,
                known,
            })
        }),
        "lists" => Ok(json!({ "lists": server.directory.data().lists })),
        "list-set" => list(server, fields),
        "list-remove" => change(server, |data| {
            let name = data.complete(text(fields, "list")?)?;
            let known = names(&data.lists);
            data.lists.remove(&name).map(|_| json!({})).ok_or(directory::Error::Unknown {
                what: "list",
                name,
                known,
            })
        }),
        "domains" => Ok(json!({ "domains": server.directory.data().domains })),
        "domain-set" => domain(server, fields),
        "domain-remove" => domain_remove(server, fields),
        "catch-all" => catch_all(server, fields),
        _ => return None,
    })
}

fn names<T>(map: &std::collections::BTreeMap<String, T>) -> String {
    if map.is_empty() { "none".into() } else { map.keys().cloned().collect::<Vec<_>>().join(", ") }
}

fn text<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, directory::Error> {
    fields.optional(name).ok_or_else(|| directory::Error::Address {
        text: name.to_owned(),
        reason: "the field is missing".into(),
    })
}

fn change(
    server: &Arc<Server>,
    change: impl FnOnce(&mut Data) -> Result<Value, directory::Error>,
) -> Answer {
    server.directory.change(change).map_err(refused)
}

fn accounts(server: &Arc<Server>) -> Value {
    let data = server.directory.data().clone();
    let rows: Vec<Value> = data
        .accounts
        .iter()
        .map(|(name, entry)| {
            let inbox = server.store.with_mailbox(name, "INBOX", |m| m.messages.len());
            json!({
                "account": name,
                "password": entry.credentials.is_some(),
                "messages": inbox.unwrap_or(0),
                "bytes": server.store.usage(name),
                "quota": entry.quota.unwrap_or(data.limits.quota),
                "forward": entry.forward,
                "keep": entry.keep,
                "auto_reply": entry.auto_reply.as_ref().map(|reply| &reply.text),
                "signature": entry.signature,
                "faults": entry.faults.len(),
            })
        })
        .collect();
    json!({ "accounts": rows })
}

async fn add(server: &Arc<Server>, fields: &Fields) -> Answer {
    let name = fields.text("account")?.to_owned();
    let password = fields.word("password")?;
    let keep_plain = server.directory.policy().cram_md5;
    let credentials = Credentials::from_config(&password, keep_plain)
        .map_err(|error| Error::new("bad-request", error))?;
    let account = server
        .directory
        .change(|data| {
            let account = data.complete(&name)?;
            if data.is_taken(&account) {
                return Err(directory::Error::Exists(account));
            }
            let entry = Entry { credentials: Some(credentials), ..Entry::default() };
            data.accounts.insert(account.clone(), entry);
            Ok(account)
        })
        .map_err(refused)?;
    let change = Change::Account { account: account.clone() };
    server.store.commit(vec![change]).await.map_err(|error| Error::new("disk", error))?;
    Ok(json!({ "account": account }))
}

async fn remove(server: &Arc<Server>, fields: &Fields) -> Answer {
    let name = fields.text("account")?;
    let account = server
        .directory
        .change(|data| {
            data.account_mut(name)?;
            let account = data.account_name(name).unwrap_or_default();
            data.accounts.remove(&account);
            Ok(account)
        })
        .map_err(refused)?;
    let change = Change::RemoveAccount { account: account.clone() };
    server.store.commit(vec![change]).await.map_err(|error| Error::new("disk", error))?;
    Ok(json!({ "account": account }))
}

fn password(server: &Arc<Server>, fields: &Fields) -> Answer {
    let name = fields.text("account")?;
    let password = fields.word("password")?;
    let keep_plain = server.directory.policy().cram_md5;
    let credentials = Credentials::from_config(&password, keep_plain)
        .map_err(|error| Error::new("bad-request", error))?;
    change(server, |data| {
        data.account_mut(name)?.credentials = Some(credentials);
        Ok(json!({}))
    })
}

fn addresses(data: &Data, given: Vec<String>) -> Result<Vec<String>, directory::Error> {
    given
        .into_iter()
        .map(|target| match Address::parse(&target, true) {
            Ok(address) if address.domain.is_empty() => data.complete(&target),
            Ok(address) => Ok(address.to_string()),
            Err(error) => {
                Err(directory::Error::Address { text: target, reason: error.to_string() })
            }
        })
        .collect()
}

fn forward(server: &Arc<Server>, fields: &Fields) -> Answer {
    let name = fields.text("account")?;
    let targets = fields.list("to")?;
    let keep = fields.optional_flag("keep")?.unwrap_or(true);
    change(server, |data| {
        let targets = addresses(data, targets)?;
        let entry = data.account_mut(name)?;
        entry.keep = keep || targets.is_empty();
        entry.forward.clone_from(&targets);
        Ok(json!({ "forward": targets, "keep": entry.keep }))
    })
}

fn auto_reply(server: &Arc<Server>, fields: &Fields) -> Answer {
    let name = fields.text("account")?;
    let every_s = fields.optional_number("every_s")?.unwrap_or(7 * 86_400);
    let reply = fields.optional("text").filter(|text| !text.is_empty()).map(|text| AutoReply {
        subject: fields.optional("subject").map(str::to_owned),
        text: text.to_owned(),
        every_s,
    });
    change(server, |data| {
        data.account_mut(name)?.auto_reply = reply;
        Ok(json!({}))
    })
}

fn signature(server: &Arc<Server>, fields: &Fields) -> Answer {
    let name = fields.text("account")?;
    let text = fields.optional("text").filter(|text| !text.is_empty()).map(str::to_owned);
    change(server, |data| {
        data.account_mut(name)?.signature = text;
        Ok(json!({}))
    })
}

fn quota(server: &Arc<Server>, fields: &Fields) -> Answer {
    let name = fields.text("account")?;
    let bytes = fields.optional_number("bytes")?;
    change(server, |data| {
        data.account_mut(name)?.quota = bytes;
        Ok(json!({}))
    })
}

fn alias(server: &Arc<Server>, fields: &Fields) -> Answer {
    let targets = fields.list("targets")?;
    if targets.is_empty() {
        return Err(Error::new("bad-request", "`alias-set` needs `targets`"));
    }
    change(server, |data| {
        let name = data.complete(text(fields, "alias")?)?;
        if data.accounts.contains_key(&name) || data.lists.contains_key(&name) {
            return Err(directory::Error::Exists(name));
        }
        let targets = addresses(data, targets)?;
        data.aliases.insert(name.clone(), targets.clone());
        Ok(json!({ "alias": name, "targets": targets }))
    })
}

fn list(server: &Arc<Server>, fields: &Fields) -> Answer {
    let members = fields.list("members")?;
    let from = match fields.optional("from") {
        None | Some("anyone") => ListFrom::Anyone,
        Some("members") => ListFrom::Members,
        Some("users") => ListFrom::Users,
        Some(other) => {
            let text = format!("`from` is anyone, members or users, not `{other}`");
            return Err(Error::new("bad-request", text));
        }
    };
    change(server, |data| {
        let name = data.complete(text(fields, "list")?)?;
        if data.accounts.contains_key(&name) || data.aliases.contains_key(&name) {
            return Err(directory::Error::Exists(name));
        }
        let members = addresses(data, members)?;
        data.lists.insert(name.clone(), List { members: members.clone(), from });
        Ok(json!({ "list": name, "members": members }))
    })
}

fn domain(server: &Arc<Server>, fields: &Fields) -> Answer {
    let name = fields.text("domain")?;
    let aliases = fields.list("aliases")?;
    let checked = crate::address::check_domain(name)
        .map_err(|error| Error::new("bad-request", format!("`{name}`: {error}")))?;
    change(server, |data| {
        let position = data.domains.iter().position(|domain| domain.name == checked);
        match position.and_then(|at| data.domains.get_mut(at)) {
            Some(domain) if fields.has("aliases") => domain.aliases = aliases,
            Some(_) => {}
            None => data.domains.push(Domain { aliases, ..Domain::new(checked) }),
        }
        Ok(json!({ "domains": data.domains }))
    })
}

fn domain_remove(server: &Arc<Server>, fields: &Fields) -> Answer {
    let name = fields.text("domain")?;
    change(server, |data| {
        if data.domains.len() == 1 {
            return Err(directory::Error::Address {
                text: name.to_owned(),
                reason: "it is the last domain of this server".into(),
            });
        }
        let known = data.domains.iter().map(|d| d.name.clone()).collect::<Vec<_>>().join(", ");
        let count = data.domains.len();
        data.domains.retain(|domain| domain.name != name);
        if data.domains.len() == count {
            let name = name.to_owned();
            return Err(directory::Error::Unknown { what: "domain", name, known });
        }
        Ok(json!({ "domains": data.domains }))
    })
}

fn catch_all(server: &Arc<Server>, fields: &Fields) -> Answer {
    let target = fields.optional("account").map(str::to_owned);
    change(server, |data| {
        let target = target
            .map(|target| addresses(data, vec![target]))
            .transpose()?
            .and_then(|mut targets| targets.pop());
        let first = data.domains.first().map(|domain| domain.name.clone()).unwrap_or_default();
        let name = fields.optional("domain").unwrap_or(&first).to_owned();
        let found = data.domains.iter_mut().find(|domain| domain.name == name);
        let domain = found.ok_or(directory::Error::Domain(name))?;
        domain.catch_all = target;
        Ok(json!({ "domain": domain.name, "catch_all": domain.catch_all }))
    })
}
