//! `labctl ps`: the nodes of a lab.

use futures::future::join_all;
use node::request::{Request, Status};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Outcome;
use crate::output;

#[derive(Serialize)]
struct Document {
    schema: u32,
    instance: String,
    engine: String,
    nodes: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    state: String,
    ready: bool,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

/// Runs the verb.
pub async fn run(context: &Context) -> Outcome {
    let running = context.running().await?;
    let nodes = running.engine.nodes(&running.name).await?;
    let rows = join_all(nodes.into_iter().map(|node| async {
        let mut status = None;
        let mut detail = node.detail;
        if node.state == "running" {
            match running.engine.control(&running.name, &node.name).await {
                Ok(client) => match client.call::<Status>(&Request::Status).await {
                    Ok(answer) => status = Some(answer),
                    Err(error) => detail = error.to_string(),
                },
                Err(error) => detail = error.to_string(),
            }
        }
        let memory = running.engine.memory(&running.name, &node.name).await.ok().flatten();
        let ready = status.as_ref().is_some_and(|status| status.ready);
        Row { name: node.name, state: node.state, ready, detail, memory, status }
    }))
    .await;
    if context.json() {
        let engine = running.engine.name().to_owned();
        output::json(&Document { schema: 1, instance: running.name, engine, nodes: rows })?;
        return Ok(0);
    }
    let table: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let ready = match (&row.status, row.ready) {
                (Some(_), true) => "ready".to_owned(),
                (Some(status), false) => format!("waits for {}", status.waiting_for.join(", ")),
                (None, _) => row.detail.clone(),
            };
            vec![
                row.name.clone(),
                row.state.clone(),
                ready,
                addresses(row),
                services(row),
                memory(row),
            ]
        })
        .collect();
    output::say(&output::table(
        &["NODE", "STATE", "READY", "ADDRESSES", "SERVICES", "MEMORY"],
        &table,
    ));
    Ok(0)
}

fn addresses(row: &Row) -> String {
    let Some(status) = &row.status else { return String::new() };
    let mut texts = Vec::new();
    for link in &status.links {
        let address = link.address.as_deref().unwrap_or("none");
        let how = match (&link.lease, link.up) {
            (_, false) => " down",
            (Some(_), _) => " dhcp",
            _ => "",
        };
        texts.push(format!("{} {address}{how}", link.network));
    }
    texts.join(", ")
}

fn services(row: &Row) -> String {
    let Some(status) = &row.status else { return String::new() };
    let mut texts = Vec::new();
    for service in &status.services {
        if let (false, Some(error)) = (service.running, &service.error) {
            texts.push(format!("{} failed: {error}", service.name));
            continue;
        }
        let protocols: Vec<_> = service
            .protocols
            .iter()
            .map(|one| if one.on { one.protocol.clone() } else { format!("{} off", one.protocol) })
            .collect();
        texts.push(if protocols.is_empty() { service.name.clone() } else { protocols.join(", ") });
    }
    texts.join(", ")
}

fn memory(row: &Row) -> String {
    row.memory.map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6)).unwrap_or_default()
}
