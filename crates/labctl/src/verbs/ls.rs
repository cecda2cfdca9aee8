//! `labctl ls`: all labs on the engines that answer.

use serde::Serialize;

use crate::context::Context;
use crate::failure::Outcome;
use crate::output;

#[derive(Serialize)]
struct Row {
    engine: &'static str,
    #[serde(flatten)]
    instance: engine::Instance,
}

/// Runs the verb.
pub async fn run(context: &Context) -> Outcome {
    context.remove_expired().await;
    let mut rows = Vec::new();
    for engine in context.engines().await? {
        for instance in engine.instances().await? {
            rows.push(Row { engine: engine.name(), instance });
        }
    }
    if context.json() {
        output::json(&serde_json::json!({ "schema": 1, "instances": rows }))?;
        return Ok(0);
    }
    if rows.is_empty() {
        output::tell("no lab runs; `labctl up FILE` starts one");
        return Ok(0);
    }
    let table: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let one = &row.instance;
            let created = jiff::Timestamp::from_second(one.created)
                .ok()
                .filter(|_| one.created > 0)
                .map(|time| time.strftime("%F %H:%M").to_string())
                .unwrap_or_default();
            vec![
                one.name.clone(),
                one.lab.clone(),
                row.engine.into(),
                format!("{}/{}", one.running, one.nodes),
                one.networks.to_string(),
                created,
            ]
        })
        .collect();
    output::say(&output::table(
        &["INSTANCE", "LAB", "ENGINE", "NODES", "NETWORKS", "CREATED (UTC)"],
        &table,
    ));
    Ok(0)
}
