//! The admin socket: everything that can be asked and changed while the server runs.
//!
//! One JSON object a request: `{"op": "…", …}`; `docs/mailsrv.md` lists them. Numbers and lists
//! may come as text, because they often come from a command line.

mod fields;
mod mailboxes;
mod people;
mod queue;
mod settings;

use std::sync::Arc;

use node::Error;
use node::admin::Admin;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::config::Protocol;
use crate::server::Server;
use crate::transcript::{self, wanted};
use fields::Fields;

/// Answers requests about one server.
pub struct Answerer(pub Arc<Server>);

impl Admin for Answerer {
    async fn answer(&self, request: Value, items: mpsc::Sender<Value>) -> Result<Value, Error> {
        let fields = Fields::new(request)?;
        let server = &self.0;
        match fields.op() {
            "status" => Ok(status(server).await),
            "switch" => switch(server, &fields).await,
            "sessions" => Ok(json!({ "sessions": server.sessions.list() })),
            "session-close" => {
                let number = fields.number("connection")?;
                if server.sessions.close(number) {
                    Ok(json!({}))
                } else {
                    Err(Error::new("unknown", format!("there is no connection {number} now")))
                }
            }
            "transcript" => transcript(server, &fields, &items).await,
            "mx" => mx(server, fields.text("domain")?).await,
            "ca" => ca(server),
            op => {
                if let Some(answer) = people::answer(server, op, &fields).await {
                    return answer;
                }
                if let Some(answer) = settings::answer(server, op, &fields) {
                    return answer;
                }
                if let Some(answer) = mailboxes::answer(server, op, &fields).await {
                    return answer;
                }
                if let Some(answer) = queue::answer(server, op, &fields).await {
                    return answer;
                }
                let text = format!(
                    "the mail service knows no `{op}`; docs/mailsrv.md lists what it knows"
                );
                Err(Error::new("bad-request", text))
            }
        }
    }
}

async fn status(server: &Arc<Server>) -> Value {
    let mut protocols = Vec::new();
    for protocol in Protocol::ALL {
        let address = server.address(protocol).await;
        protocols.push(json!({
            "protocol": protocol.name(),
            "on": address.is_some(),
            "port": address.map_or_else(|| server.config.port(protocol), |address| address.port()),
        }));
    }
    json!({
        "protocols": protocols,
        "sessions": server.sessions.count(),
        "queue": server.store.queue().len(),
        "accounts": server.directory.data().accounts.len(),
    })
}

async fn switch(server: &Arc<Server>, fields: &Fields) -> Result<Value, Error> {
    let chosen: Vec<Protocol> = match fields.optional("protocol") {
        None => Protocol::ALL.to_vec(),
        Some(name) => vec![Protocol::by_name(name).ok_or_else(|| {
            let names: Vec<_> = Protocol::ALL.iter().map(|protocol| protocol.name()).collect();
            Error::new("unknown", format!("no protocol `{name}`; there are {}", names.join(", ")))
        })?],
    };
    let on = fields.flag("on")?;
    let all = chosen.len() > 1;
    for protocol in chosen {
        // "All on" brings back what the configuration has, not what it leaves out.
        if on && all && !server.config.is_on(protocol) {
            continue;
        }
        server.switch(protocol, on).await.map_err(|error| Error::new("switch-failed", error))?;
    }
    Ok(status(server).await)
}

async fn transcript(
    server: &Arc<Server>,
    fields: &Fields,
    items: &mpsc::Sender<Value>,
) -> Result<Value, Error> {
    let protocol = fields.optional("protocol").map(str::to_owned);
    let connection = fields.optional_number("connection")?;
    // Subscribed before the old lines are read: none is lost between.
    let mut following = server.transcript.follow();
    let mut lines = server.transcript.lines(protocol.as_deref(), connection);
    if let Some(last) = fields.optional_number("last")? {
        let last = usize::try_from(last).unwrap_or(usize::MAX);
        lines.drain(..lines.len().saturating_sub(last));
    }
    let mut sent = 0_u64;
    let send = async |line: &transcript::Line| {
        let value = serde_json::to_value(line).unwrap_or_default();
        items.send(value).await.is_ok()
    };
    for line in &lines {
        if !send(line).await {
            return Ok(json!({}));
        }
        sent += 1;
    }
    if !fields.optional_flag("follow")?.unwrap_or(false) {
        return Ok(json!({ "lines": sent }));
    }
    loop {
        match following.recv().await {
            Ok(line) => {
                let old = lines.last().is_some_and(|last| Arc::ptr_eq(last, &line));
                if !old && wanted(&line, protocol.as_deref(), connection) && !send(&line).await {
                    return Ok(json!({}));
                }
            }
            Err(RecvError::Lagged(count)) => {
                let text = format!("{count} lines were too fast for this reader");
                let _ = items.send(json!({ "side": "-", "text": text })).await;
            }
            Err(RecvError::Closed) => return Ok(json!({ "lines": sent })),
        }
    }
}

async fn mx(server: &Arc<Server>, domain: &str) -> Result<Value, Error> {
    let failed = |error: crate::relay::Failure| Error::new("dns", error);
    let exchangers = server.resolver.mx(domain).await.map_err(failed)?;
    let mut rows = Vec::new();
    for mx in &exchangers {
        let addresses = server.resolver.addresses(&mx.host).await;
        let addresses = match addresses {
            Ok(addresses) => json!(addresses),
            Err(error) => json!(error.to_string()),
        };
        rows.push(json!({ "preference": mx.preference, "host": mx.host, "addresses": addresses }));
    }
    if exchangers.is_empty() {
        let addresses = server.resolver.addresses(domain).await.map_err(failed)?;
        rows.push(json!({ "preference": null, "host": domain, "addresses": addresses }));
    }
    Ok(json!({ "exchangers": rows }))
}

fn ca(server: &Arc<Server>) -> Result<Value, Error> {
    let path = server.config.state.join("ca.pem");
    match std::fs::read_to_string(&path) {
        Ok(pem) => Ok(json!({ "pem": pem })),
        Err(_) => Err(Error::new(
            "unknown",
            "the certificate comes from `tls` in the configuration: ask for its authority there",
        )),
    }
}
