//! Waiting until nodes are ready: what each agent reports, never a pause.

use std::time::Duration;

use engine::Engine;
use futures::future::join_all;
use node::client::Event;
use node::request::{Request, Status};

use crate::failure::{ENGINE, Failure};
use crate::progress::Progress;

/// Waits for one node.
pub async fn wait_one(
    engine: &dyn Engine,
    instance: &str,
    node: &str,
    patience: Duration,
) -> Result<(), node::Error> {
    watch(engine, instance, node, patience, &mut |_| {}).await
}

async fn watch(
    engine: &dyn Engine,
    instance: &str,
    node: &str,
    patience: Duration,
    seen: &mut (dyn FnMut(&Status) + Send),
) -> Result<(), node::Error> {
    let wait = async {
        let client = engine.control(instance, node).await.map_err(|error| {
            let help = error.help().map(str::to_owned);
            node::Error { code: "engine".into(), message: error.to_string(), help }
        })?;
        let timeout_ms = patience.as_millis() as u64;
        let mut replies = client.stream(&Request::Ready { timeout_ms }).await?;
        loop {
            match replies.next().await? {
                Event::Item(item) => {
                    if let Ok(status) = serde_json::from_value::<Status>(item) {
                        seen(&status);
                    }
                }
                Event::Done(_) => return Ok(()),
            }
        }
    };
    // The agent keeps the deadline; this one is for an agent that does not answer at all.
    match tokio::time::timeout(patience + Duration::from_secs(5), wait).await {
        Ok(result) => result,
        Err(_) => Err(node::Error::new(
            "not-ready",
            format!("the agent of {node} gave no answer within {}s", patience.as_secs()),
        )
        .help(format!("`labctl logs {node}` shows what it did"))),
    }
}

/// How long after its start a node that is not ready yet is waited for before it is judged.
const YOUNG: f64 = 15.0;

/// Waits for nodes that have only just started (`docker restart`, a reboot of the host). A node
/// that has had its time and is still not ready is judged as it is.
pub async fn settle(engine: &dyn Engine, instance: &str, nodes: &[String]) {
    join_all(nodes.iter().map(|node| async move {
        let client = engine.control(instance, node).await.ok()?;
        let status: Status = client.call(&Request::Status).await.ok()?;
        let left = YOUNG - status.uptime_s;
        if !status.ready && left > 0.0 {
            let _ = wait_one(engine, instance, node, Duration::from_secs_f64(left)).await;
        }
        Some(())
    }))
    .await;
}

/// Waits for all nodes side by side; names every one that did not get ready and why.
pub async fn wait_all(
    engine: &dyn Engine,
    instance: &str,
    nodes: &[String],
    patience: Duration,
    progress: &Progress,
) -> Result<(), Failure> {
    let results = join_all(nodes.iter().map(|node| async move {
        let mut told = String::new();
        let result = watch(engine, instance, node, patience, &mut |status| {
            if !status.ready {
                let what = format!("waits for {}", status.waiting_for.join(", "));
                if what != told {
                    progress.event(node, &what, false);
                    told = what;
                }
            }
        })
        .await;
        match &result {
            Ok(()) => progress.event(node, "ready", true),
            Err(error) => progress.event(node, &format!("not ready: {error}"), true),
        }
        result.map_err(|error| format!("node {node}: {error}"))
    }))
    .await;
    let failed: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let message = if let [only] = &failed[..] {
        only.clone()
    } else {
        format!("{} nodes are not ready:\n  - {}", failed.len(), failed.join("\n  - "))
    };
    Err(Failure::new(ENGINE, message).help(
        "`labctl logs NODE` shows what its agent and services said; `labctl down` removes the lab",
    ))
}
