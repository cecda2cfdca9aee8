//! `labctl mail|dns|dhcp|web NODE …`: requests to a service's own socket.
//!
//! Words become a request: the first is the operation, the others fill its usual fields in order
//! ([`OPERATIONS`]) or name a field by `KEY=VALUE`. What is sent is what `docs/` tells of the
//! service's socket, so nothing is possible here that is not there.

use node::client::Event;
use node::request::Request;
use serde_json::{Map, Value, json};

use crate::args::Admin;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::{interrupt, output};

/// An operation of a service, with its usual fields in order, and what it does. A field that ends
/// in `*` takes all the words that are left as a list, one in `…` all that are left as one text.
type Operation = (&'static str, &'static str, &'static [&'static str], &'static str);

include!("operations.rs");

/// Runs the verb.
pub async fn run(context: &Context, service: &str, admin: &Admin) -> Outcome {
    let known = || OPERATIONS.iter().filter(|(of, ..)| *of == service);
    let op = admin.words.first().map_or(default(service), String::as_str);
    if op == "help" {
        output::say(&format!("labctl {service} NODE OPERATION [WORDS] [KEY=VALUE]\n"));
        let rows: Vec<Vec<String>> = known()
            .map(|(_, op, fields, what)| {
                vec![
                    format!("{op} {}", fields.join(" ").to_uppercase().replace('*', "…")),
                    (*what).to_owned(),
                ]
            })
            .collect();
        output::say(&output::table(&["OPERATION", "WHAT IT DOES"], &rows));
        return Ok(0);
    }
    let request = request(service, op, admin.words.get(1..).unwrap_or_default())?;
    let running = context.running().await?;
    let client = running.engine.control(&running.name, &admin.node).await?;
    let request = Request::Admin { service: service.into(), request };
    let stop = interrupt::token();
    let mut replies = client.stream(&request).await?;
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return Ok(0),
            event = replies.next() => event,
        };
        match event {
            Ok(Event::Item(item)) if context.json() => output::json_line(&item)?,
            Ok(Event::Item(item)) => output::say(&super::logs::spoken(&item)),
            Ok(Event::Done(answer)) => {
                if context.json() {
                    output::json(&answer)?;
                } else {
                    show(&answer);
                }
                return Ok(0);
            }
            Err(error) => {
                let code = match error.code.as_str() {
                    "lost" | "service-down" | "internal" => crate::failure::ENGINE,
                    _ => crate::failure::INVALID,
                };
                return Err(Failure { code, ..Failure::from(error) });
            }
        }
    }
}

fn default(service: &str) -> &'static str {
    match service {
        "mail" => "mailboxes",
        "dns" => "zones",
        "dhcp" => "bindings",
        _ => "status",
    }
}

fn request(service: &str, op: &str, words: &[String]) -> Result<Value, Failure> {
    let operations = || OPERATIONS.iter().filter(|(of, ..)| *of == service);
    let Some((_, op, fields, _)) = operations().find(|(_, name, ..)| *name == op) else {
        let near = crate::names::nearest(op, operations().map(|(_, name, ..)| *name));
        let help = near.map_or_else(
            || format!("`labctl {service} NODE help` lists what it can do"),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(Failure::usage(format!("{service} knows no `{op}`")).help(help));
    };
    // Two words are one operation of the socket: `queue-list` is {"op":"queue","action":"list"}.
    let mut map = Map::new();
    map.insert("op".into(), json!(op));
    let mut fields = fields.iter();
    let mut left = words.iter();
    while let Some(word) = left.next() {
        if let Some((key, value)) = word.split_once('=')
            && !key.is_empty()
            && key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
        {
            map.insert(key.into(), scalar(value));
            continue;
        }
        match fields.next() {
            Some(field) if field.ends_with('*') => {
                let all: Vec<Value> =
                    std::iter::once(word).chain(left.by_ref()).map(|w| scalar(w)).collect();
                map.insert(field.trim_end_matches('*').into(), Value::Array(all));
            }
            Some(field) if field.ends_with('…') => {
                let all: Vec<&str> =
                    std::iter::once(word).chain(left.by_ref()).map(String::as_str).collect();
                map.insert(field.trim_end_matches('…').into(), json!(all.join(" ")));
            }
            Some(field) => {
                map.insert((*field).into(), scalar(word));
            }
            None => {
                return Err(Failure::usage(format!("`{op}` does not take `{word}`"))
                    .help(format!("`labctl {service} NODE help` shows what it takes")));
            }
        }
    }
    Ok(Value::Object(map))
}

/// Numbers and booleans as such, the rest as text; `"123"` in quotes stays text.
fn scalar(text: &str) -> Value {
    match text {
        "true" | "on" | "yes" => Value::Bool(true),
        "false" | "off" | "no" => Value::Bool(false),
        _ => match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inner) => json!(inner),
            None => json!(text),
        },
    }
}

/// One item on one line: a text as it is, an object as its values in order.
pub fn line(item: &Value) -> String {
    match item {
        Value::String(text) => text.clone(),
        Value::Object(map) => match map.get("text").or_else(|| map.get("line")) {
            Some(Value::String(text)) if map.len() <= 2 => text.clone(),
            _ => map
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| format!("{key}={}", cell(value)))
                .collect::<Vec<_>>()
                .join(" "),
        },
        other => cell(other),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| format!("{key}={}", cell(value)))
            .collect::<Vec<_>>()
            .join(" "),
        other => other.to_string(),
    }
}

/// An answer for people: lists of objects as tables, the rest as lines.
fn show(answer: &Value) {
    match answer {
        Value::Null => {}
        Value::Array(items) => rows(items),
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::Array(items) if items.iter().any(Value::is_object) => rows(items),
                    Value::Array(items) => {
                        for item in items {
                            output::say(&line(item));
                        }
                    }
                    Value::String(text) if text.contains('\n') => output::say(text.trim_end()),
                    value => output::say(&format!("{key}: {}", cell(value))),
                }
            }
        }
        other => output::say(&cell(other)),
    }
}

fn rows(items: &[Value]) {
    let mut heads: Vec<&str> = Vec::new();
    for item in items.iter().filter_map(Value::as_object) {
        for key in item.keys() {
            if !heads.contains(&key.as_str()) {
                heads.push(key);
            }
        }
    }
    if heads.is_empty() {
        for item in items {
            output::say(&line(item));
        }
        return;
    }
    let table: Vec<Vec<String>> = items
        .iter()
        .map(|item| heads.iter().map(|head| item.get(head).map(cell).unwrap_or_default()).collect())
        .collect();
    let heads: Vec<String> =
        heads.iter().map(|head| head.to_uppercase().replace('_', " ")).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    output::say(&output::table(&heads, &table));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn words_fill_the_fields_of_an_operation() {
        let request = request("dns", "records", &words("mail.com")).unwrap();
        assert_eq!(request, json!({ "op": "records", "zone": "mail.com" }));
        assert!(
            super::request("dns", "recods", &[]).unwrap_err().help.unwrap().contains("records")
        );
    }
}
