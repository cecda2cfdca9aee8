//! `labctl logs`: what nodes log, or the dialogues of a service.

use engine::LogLine;
use futures::StreamExt;
use node::client::Event;
use node::request::Request;
use serde_json::{Value, json};

use crate::context::{Context, Running};
use crate::failure::{Failure, Outcome};
use crate::{interrupt, output};

/// Runs the verb.
pub async fn run(
    context: &Context,
    follow: bool,
    protocol: Option<&str>,
    nodes: Vec<String>,
) -> Outcome {
    let running = context.running().await?;
    let names = if nodes.is_empty() {
        running.engine.nodes(&running.name).await?.into_iter().map(|node| node.name).collect()
    } else {
        nodes
    };
    let stop = interrupt::token();
    match protocol {
        None => lines(context, &running, &names, follow, stop).await,
        Some(protocol) => dialogues(context, &running, &names, protocol, follow, stop).await,
    }
}

async fn lines(
    context: &Context,
    running: &Running,
    names: &[String],
    follow: bool,
    stop: tokio_util::sync::CancellationToken,
) -> Outcome {
    let mut streams = Vec::new();
    for name in names {
        streams.push(running.engine.logs(&running.name, name, follow).await?);
    }
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let mut all = if follow {
        futures::stream::select_all(streams).boxed()
    } else {
        futures::stream::iter(streams).flatten().boxed()
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(0),
            line = all.next() => match line {
                None => return Ok(0),
                Some(Ok(line)) => print(context, &line, width)?,
                Some(Err(error)) => return Err(error.into()),
            },
        }
    }
}

fn print(context: &Context, line: &LogLine, width: usize) -> Result<(), Failure> {
    if context.json() {
        return output::json_line(line);
    }
    let (cyan, plain) = (output::CYAN, output::PLAIN);
    output::say(&format!("{cyan}{:width$}{plain} | {}", line.node, line.text));
    Ok(())
}

/// The transcripts (mail) or the query log (dns) of the nodes that have the service.
async fn dialogues(
    context: &Context,
    running: &Running,
    names: &[String],
    protocol: &str,
    follow: bool,
    stop: tokio_util::sync::CancellationToken,
) -> Outcome {
    let (service, op) = match protocol {
        "mail" | "smtp" | "pop3" | "imap" => ("mail", "transcript"),
        "dns" => ("dns", "queries"),
        "web" | "http" => ("web", "log"),
        "dhcp" => ("dhcp", "log"),
        other => {
            return Err(Failure::usage(format!("`{other}` keeps no dialogues"))
                .help("mail (or smtp, pop3, imap), dns, web and dhcp do"));
        }
    };
    let mut request = json!({ "op": op, "follow": follow });
    if matches!(protocol, "smtp" | "pop3" | "imap") {
        request["protocol"] = json!(protocol);
    }
    let mut streams = Vec::new();
    let mut last = None;
    for name in names {
        let client = running.engine.control(&running.name, name).await?;
        let request = Request::Admin { service: service.into(), request: request.clone() };
        let mut replies = client.stream(&request).await?;
        // A node without the service refuses at once; the others begin to send.
        match replies.next().await {
            Ok(first) => {
                let name = name.clone();
                let rest = futures::stream::unfold(Some(replies), |replies| async {
                    let mut replies = replies?;
                    match replies.next().await {
                        Ok(Event::Item(item)) => Some((item, Some(replies))),
                        Ok(Event::Done(done)) => Some((done, None)),
                        Err(_) => None,
                    }
                });
                let (first, goes_on) = match first {
                    Event::Item(item) => (item, true),
                    Event::Done(done) => (done, false),
                };
                let rest = if goes_on { rest.boxed() } else { futures::stream::empty().boxed() };
                let all = futures::stream::iter([first]).chain(rest);
                streams.push(all.map(move |item| (name.clone(), item)).boxed());
            }
            Err(error) => last = Some(error),
        }
    }
    if streams.is_empty() {
        return Err(last.map_or_else(
            || Failure::usage(format!("no node of the lab runs {service}")),
            Failure::from,
        ));
    }
    let mut all = futures::stream::select_all(streams);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(0),
            item = all.next() => match item {
                None => return Ok(0),
                Some((node, item)) => {
                    for item in each(item) {
                        if context.json() {
                            output::json_line(&json!({ "node": node, "item": item }))?;
                        } else {
                            output::say(&spoken(&item));
                        }
                    }
                }
            },
        }
    }
}

/// A list counts as its items; what says nothing is left out.
fn each(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        Value::Object(map) if map.is_empty() => Vec::new(),
        Value::Object(map) if map.len() == 1 => match map.into_iter().next() {
            Some((_, Value::Array(items))) => items,
            Some((key, value)) => vec![json!({ key: value })],
            None => Vec::new(),
        },
        other => vec![other],
    }
}

/// An item as people read it: a dialogue's line, a question with its answer, a visit.
pub(super) fn spoken(item: &Value) -> String {
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |key: &str| item.get(key).and_then(Value::as_i64);
    let time = |ms: i64| {
        jiff::Timestamp::from_millisecond(ms)
            .map(|time| time.strftime("%H:%M:%S%.3f").to_string())
            .unwrap_or_default()
    };
    let (cyan, dim, plain) = (output::CYAN, output::DIM, output::PLAIN);
    if let (Some(ms), Some(connection)) = (number("time_ms"), number("connection")) {
        let lock = if item.get("tls") == Some(&Value::Bool(true)) { " tls" } else { "" };
        let side = match text("side") {
            "S" => format!("{cyan}S:{plain} "),
            "C" => "C: ".to_owned(),
            _ => dim.to_string(),
        };
        return format!(
            "{dim}{} {}#{connection} {}{lock}{plain} {side}{}{plain}",
            time(ms),
            text("protocol"),
            text("peer"),
            text("text")
        );
    }
    if let (Some(ms), true) = (number("at_ms"), item.get("code").is_some()) {
        return format!(
            "{dim}{} {}{plain} {} {}  {} ({} answers)",
            time(ms),
            text("client"),
            text("name"),
            text("type"),
            text("code"),
            number("answers").unwrap_or(0)
        );
    }
    super::admin::line(item)
}
