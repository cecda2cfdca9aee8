//! `labctl service`: a service, or one protocol of it, on or off.

use node::request::{Request, Switch};
use serde_json::Value;

use crate::args::OnOff;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output;

/// Runs the verb.
pub async fn run(context: &Context, node: &str, service: &str, state: Option<OnOff>) -> Outcome {
    let running = context.running().await?;
    let (service, protocol) = match service.split_once('.') {
        Some((service, protocol)) => (service, Some(protocol.to_owned())),
        None => (service, None),
    };
    let client = running.engine.control(&running.name, node).await?;
    let request = Request::Service {
        service: service.into(),
        protocol,
        on: state.map(|state| state == OnOff::On),
    };
    let answer: Value = client.call(&request).await.map_err(|error| {
        let code = if error.code.starts_with("no-such") {
            crate::failure::INVALID
        } else {
            crate::failure::ENGINE
        };
        Failure { code, ..Failure::from(error) }
    })?;
    if context.json() {
        output::json(
            &serde_json::json!({ "schema": 1, "node": node, "service": service, "state": answer }),
        )?;
        return Ok(0);
    }
    let list = answer.get("protocols").cloned().unwrap_or(answer);
    // One protocol is answered by itself, several by a list.
    let list = if list.is_array() { list } else { Value::Array(vec![list]) };
    let switches: Vec<Switch> = serde_json::from_value(list)?;
    for switch in switches {
        output::say(&format!(
            "{service}.{}: {}",
            switch.protocol,
            if switch.on { "on" } else { "off" }
        ));
    }
    Ok(0)
}
