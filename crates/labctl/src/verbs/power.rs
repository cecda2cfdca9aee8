//! `labctl start|stop|restart NODE`.

use std::time::Duration;

use crate::context::Context;
use crate::failure::Outcome;
use crate::output;
use crate::verbs::ready;

/// What is done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Both.
    Restart,
}

/// Runs the verb; a node that was started is ready when it returns.
pub async fn run(context: &Context, node: &str, power: Power) -> Outcome {
    let running = context.running().await?;
    let (engine, name) = (&running.engine, &running.name);
    let done = match power {
        Power::Start => engine.start(name, node).await.map(|()| "started"),
        Power::Stop => engine.stop(name, node).await.map(|()| "stopped"),
        Power::Restart => engine.restart(name, node).await.map(|()| "restarted"),
    }?;
    if power != Power::Stop {
        ready::wait_one(engine.as_ref(), name, node, Duration::from_secs(60)).await?;
    }
    output::tell(&format!("{node} {done}"));
    Ok(0)
}
