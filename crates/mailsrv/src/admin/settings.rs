//! Limits, policy and faults.

use std::sync::Arc;

use node::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::fields::Fields;
use crate::config::Fault;
use crate::directory;
use crate::server::Server;

type Answer = Result<Value, Error>;

/// Answers, if it is about settings.
pub fn answer(server: &Arc<Server>, op: &str, fields: &Fields) -> Option<Answer> {
    Some(match op {
        "limits" => merge(&server.directory.limits(), fields.rest()).and_then(|limits| {
            keep(server, |data| data.limits = limits)?;
            Ok(json!(server.directory.limits()))
        }),
        "policy" => merge(&server.directory.policy(), fields.rest()).and_then(|policy| {
            keep(server, |data| data.policy = policy)?;
            let policy = server.directory.policy();
            server.transcript.show_secrets(policy.show_secrets);
            Ok(json!(policy))
        }),
        "faults" => Ok(faults(server)),
        "fault-add" => fault_add(server, fields),
        "fault-clear" => fault_clear(server, fields),
        _ => return None,
    })
}

fn keep(server: &Arc<Server>, change: impl FnOnce(&mut directory::Data)) -> Result<(), Error> {
    server
        .directory
        .change(|data| {
            change(data);
            Ok(())
        })
        .map_err(|error| Error::new("disk", error))
}

/// The settings with some of them changed. Texts are read as what the present value is.
fn merge<T: Serialize + DeserializeOwned>(
    present: &T,
    changes: Map<String, Value>,
) -> Result<T, Error> {
    let mut value = serde_json::to_value(present).map_err(|error| Error::new("internal", error))?;
    for (name, change) in changes {
        let known: Vec<String> =
            value.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
        let Some(old) = value.get_mut(&name) else {
            let text = format!("there is no `{name}`; there are {}", known.join(", "));
            return Err(Error::new("unknown", text));
        };
        *old = match (&*old, change) {
            (Value::String(_), change) => change,
            (_, Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            (_, change) => change,
        };
    }
    serde_json::from_value(value).map_err(|error| Error::new("bad-request", error))
}

fn faults(server: &Arc<Server>) -> Value {
    let data = server.directory.data();
    let mut rows = Vec::new();
    let mut put = |account: Option<&str>, fault: &Fault| {
        let mut row = json!({ "account": account });
        if let (Some(row), Ok(Value::Object(fault))) =
            (row.as_object_mut(), serde_json::to_value(fault))
        {
            row.extend(fault);
        }
        rows.push(row);
    };
    for fault in &data.faults {
        put(None, fault);
    }
    for (name, entry) in &data.accounts {
        for fault in &entry.faults {
            put(Some(name), fault);
        }
    }
    json!({ "faults": rows })
}

fn fault_add(server: &Arc<Server>, fields: &Fields) -> Answer {
    let mut map = fields.rest();
    let account = map.remove("account").and_then(|value| value.as_str().map(str::to_owned));
    for name in ["delay_ms", "drop", "probability", "times"] {
        if let Some(Value::String(text)) = map.get(name) {
            let read = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
            map.insert(name.to_owned(), read);
        }
    }
    let fault: Fault = serde_json::from_value(Value::Object(map))
        .map_err(|error| Error::new("bad-request", format!("not a fault: {error}")))?;
    fault.check().map_err(|error| Error::new("bad-request", error))?;
    server
        .directory
        .change(|data| {
            match &account {
                Some(name) => data.account_mut(name)?.faults.push(fault),
                None => data.faults.push(fault),
            }
            Ok(())
        })
        .map_err(|error| Error::new("bad-request", error))?;
    server.faults.reset();
    Ok(faults(server))
}

fn fault_clear(server: &Arc<Server>, fields: &Fields) -> Answer {
    let account = fields.optional("account");
    server
        .directory
        .change(|data| {
            match account {
                Some(name) => data.account_mut(name)?.faults.clear(),
                None => {
                    data.faults.clear();
                    data.accounts.values_mut().for_each(|entry| entry.faults.clear());
                }
            }
            Ok(())
        })
        .map_err(|error| Error::new("bad-request", error))?;
    server.faults.reset();
    Ok(faults(server))
}
