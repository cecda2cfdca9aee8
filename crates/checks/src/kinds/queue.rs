//! `queue`: how many messages wait in a mail server.

use lab::check::Queue;
use probes::Layer;
use serde_json::{Value, json};

use super::Seen;
use crate::trial::{Failure, Unasked};
use crate::world::World;

pub async fn attempt(world: &World<'_>, check: &Queue) -> Seen {
    let (mut waiting, answer) =
        world.admin_items(&check.node, "mail", json!({ "op": "queue" })).await?;
    if let Some(list) = list(&answer) {
        waiting.extend(list.iter().cloned());
    }
    if let Some(to) = &check.to {
        waiting.retain(|message| about(message, to));
    }
    if waiting.len() == check.messages as usize {
        return Ok(format!("{} messages wait", waiting.len()));
    }
    let mut failure = Failure::on(
        Layer::Mailbox,
        format!(
            "{} messages wait in {}'s queue, and should be {}",
            waiting.len(),
            check.node,
            check.messages
        ),
    )
    .who(&check.node);
    failure.evidence.extend(waiting.iter().take(5).map(Value::to_string));
    Err(Unasked::from(failure))
}

/// The messages in an answer, whatever they stand under.
fn list(answer: &Value) -> Option<&Vec<Value>> {
    answer.as_array().or_else(|| answer.as_object()?.values().find_map(Value::as_array))
}

/// Whether a message goes to an address or a domain.
fn about(message: &Value, to: &str) -> bool {
    match message {
        Value::String(text) => {
            let (text, to) = (text.to_ascii_lowercase(), to.to_ascii_lowercase());
            text == to || text.ends_with(&format!("@{}", to.trim_start_matches('@')))
        }
        Value::Array(list) => list.iter().any(|item| about(item, to)),
        Value::Object(map) => map.values().any(|item| about(item, to)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_chosen_by_address_or_domain() {
        let message = json!({ "recipients": [{ "address": "a@far.net" }], "size": 3 });
        assert!(about(&message, "far.net") && about(&message, "A@far.net"));
        assert!(!about(&message, "b@far.net") && !about(&message, "net"));
    }
}
