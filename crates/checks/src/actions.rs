//! What can be done to a running lab: the verbs' and the scenarios' actions.

use std::time::Duration;

use engine::Engine;
use node::Request;
use node::request::{LinkAction, LinkStatus};
use serde_json::Value;

/// How long a node may take until it is ready again.
pub const READY: Duration = Duration::from_secs(30);

/// What is done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Stops it; its state stays.
    Stop,
    /// Starts it and waits until it is ready.
    Start,
    /// Both.
    Restart,
}

/// Switches a service of a node, or one protocol of it; with `on` absent it only tells. The answer
/// is a [`node::request::Switch`].
///
/// # Errors
/// The agent's refusal, or that it is not reached.
pub async fn service(
    engine: &dyn Engine,
    instance: &str,
    node: &str,
    service: &str,
    protocol: Option<&str>,
    on: Option<bool>,
) -> engine::Result<Value> {
    let request =
        Request::Service { service: service.to_owned(), protocol: protocol.map(str::to_owned), on };
    Ok(engine.control(instance, node).await?.call(&request).await?)
}

/// Changes a link of a node, or tells of it; its state after.
///
/// # Errors
/// The agent's refusal (an impairment that the kernel does not know, for example).
pub async fn link(
    engine: &dyn Engine,
    instance: &str,
    node: &str,
    network: &str,
    action: LinkAction,
) -> engine::Result<LinkStatus> {
    let request = Request::Link { network: network.to_owned(), action };
    Ok(engine.control(instance, node).await?.call(&request).await?)
}

/// Stops, starts or restarts a node; returns when it has stopped or is ready.
///
/// # Errors
/// The engine's, or what the node still waits for.
pub async fn power(
    engine: &dyn Engine,
    instance: &str,
    node: &str,
    power: Power,
) -> engine::Result<()> {
    match power {
        Power::Stop => return engine.stop(instance, node).await,
        Power::Start => engine.start(instance, node).await?,
        Power::Restart => engine.restart(instance, node).await?,
    }
    ready(engine, instance, node).await
}

/// Waits until a node is ready.
///
/// # Errors
/// What it still waits for.
pub async fn ready(engine: &dyn Engine, instance: &str, node: &str) -> engine::Result<()> {
    let timeout_ms = u64::try_from(READY.as_millis()).unwrap_or(u64::MAX);
    let end = tokio::time::Instant::now() + READY;
    // The agent of a node that was just started opens its socket in its own time.
    loop {
        let asked = match engine.control(instance, node).await {
            Ok(client) => client
                .call::<Value>(&Request::Ready { timeout_ms })
                .await
                .map(|_| ())
                .map_err(engine::Error::from),
            Err(error) => Err(error),
        };
        match asked {
            Ok(()) => return Ok(()),
            Err(engine::Error::Agent(error)) if error.code == "not-ready" => {
                return Err(error.into());
            }
            Err(error) if tokio::time::Instant::now() >= end => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
