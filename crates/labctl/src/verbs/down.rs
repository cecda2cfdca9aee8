//! `labctl down`: removes a lab.

use std::path::Path;

use crate::context::{Context, Shared};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::progress::Progress;

/// Runs the verb.
pub async fn run(context: &Context, file: Option<&Path>, all: bool) -> Outcome {
    let mut work: Vec<(Shared, String)> = Vec::new();
    if all {
        for engine in context.engines().await? {
            for instance in engine.known().await? {
                work.push((engine.clone(), instance.name));
            }
        }
    } else {
        let name = match (&context.global.instance, file) {
            (Some(name), _) => Some(name.clone()),
            (None, Some(file)) => Some(super::lab::load(file, &[])?.plan.lab),
            (None, None) => None,
        };
        match name {
            // Asked by name, every engine that answers is: remains of a killed `up` may be on any.
            Some(name) => {
                for engine in context.engines().await? {
                    work.push((engine, name.clone()));
                }
            }
            None => {
                let running = context.running().await?;
                work.push((running.engine, running.name));
            }
        }
    }
    let progress = Progress::new(context.global.quiet);
    let started = std::time::Instant::now();
    let mut removed = Vec::new();
    let mut failures: Vec<Failure> = Vec::new();
    let results = futures::future::join_all(
        work.iter().map(|(engine, name)| async { engine.remove(name, &progress.engine()).await }),
    )
    .await;
    progress.clear();
    for (result, (_, name)) in results.into_iter().zip(&work) {
        if result.is_ok() {
            crate::state::forget(name);
        }
        match result {
            Ok(changes) => removed.extend(changes.remove),
            Err(error) => failures.push(error.into()),
        }
    }
    if context.json() {
        output::json(&serde_json::json!({ "schema": 1, "removed": removed }))?;
    } else if removed.is_empty() && failures.is_empty() {
        output::tell("nothing to remove");
    } else {
        let nodes = removed.iter().filter(|what| what.starts_with("node ")).count();
        let networks = removed.iter().filter(|what| what.starts_with("network ")).count();
        output::tell(&format!(
            "Removed {} and {} in {:.1}s",
            output::count(nodes, "node"),
            output::count(networks, "network"),
            started.elapsed().as_secs_f64()
        ));
    }
    let mut failures = failures.into_iter();
    match failures.next() {
        None => Ok(0),
        Some(first) => {
            for failure in failures {
                failure.show();
            }
            Err(first)
        }
    }
}
