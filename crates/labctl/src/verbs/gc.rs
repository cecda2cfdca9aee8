//! `labctl gc`: removes what no living lab owns.

use crate::context::Context;
use crate::failure::Outcome;
use crate::output;

/// Runs the verb.
pub async fn run(context: &Context) -> Outcome {
    context.remove_expired().await;
    let mut gone = Vec::new();
    for engine in context.engines().await? {
        gone.extend(engine.collect_garbage().await?);
    }
    if context.json() {
        output::json(&serde_json::json!({ "schema": 1, "removed": gone }))?;
    } else if gone.is_empty() {
        output::tell("nothing to remove");
    } else {
        for name in gone {
            output::say(&format!("removed {name}"));
        }
    }
    Ok(0)
}
