//! `labctl up`: from a lab file to a lab that has proved itself.

use std::time::{Duration, Instant};

use deploy::Document;
use engine::{Changes, Deployment};
use serde_json::json;

use crate::args::{LabFile, Selection};
use crate::context::{Context, Running, Shared};
use crate::failure::{Failure, INTERRUPTED, Outcome};
use crate::progress::Progress;
use crate::verbs::{lab, ready, verify};
use crate::{interrupt, output};

/// What `up` does beside starting.
pub struct Options {
    /// Run the checks.
    pub verify: bool,
    /// How long the nodes may take.
    pub wait: Duration,
    /// Which checks.
    pub selection: Selection,
}

/// Runs the verb.
pub async fn run(context: &Context, file: &LabFile, options: Options) -> Outcome {
    let plan = lab::plan(context, &file.file, &file.set)?;
    let instance = lab::instance(context.global.instance.as_deref().unwrap_or(&plan.lab))?;
    let stop = interrupt::token();
    let engine = context.engine().await?;
    let document = Document::for_instance(engine.as_ref(), &instance, plan).await?;
    let deployment = document.deployment(&instance)?;
    engine.supports(&deployment).await?;
    let existed = engine.instances().await?.iter().any(|one| one.name == instance);
    let started = Instant::now();
    let progress = Progress::new(context.global.quiet);
    let work = start(&engine, &deployment, options.wait, &progress);
    let result = tokio::select! {
        biased;
        () = stop.cancelled() => Err(Started::Failed(Failure::new(INTERRUPTED, "interrupted"))),
        result = work => result,
    };
    progress.clear();
    let changes = match result {
        Ok(changes) => changes,
        Err(Started::NotReady(failure)) => return Err(failure),
        Err(Started::Failed(failure)) => {
            return Err(undo(&engine, &instance, existed, failure).await);
        }
    };
    if !context.global.quiet {
        output::tell(&summary(&changes, engine.name(), started.elapsed()));
    }
    let running = Running { engine, name: instance };
    if !options.verify {
        if context.json() {
            output::json(&json!({
                "schema": 1, "instance": running.name, "engine": running.engine.name(), "changes": changes,
            }))?;
        }
        return Ok(0);
    }
    verify::check(context, &running, &document.plan, &options.selection, Some(&changes), stop).await
}

/// Where starting ended.
enum Started {
    /// Something could not be created: it is rolled back.
    Failed(Failure),
    /// All was created, a node did not get ready: it is left for a look.
    NotReady(Failure),
}

impl From<Failure> for Started {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

async fn start(
    engine: &Shared,
    deployment: &Deployment,
    wait: Duration,
    progress: &Progress,
) -> Result<Changes, Started> {
    let changes = engine
        .apply(deployment, &progress.engine())
        .await
        .map_err(|error| Started::Failed(error.into()))?;
    let names: Vec<String> = deployment.nodes.iter().map(|node| node.name().to_owned()).collect();
    ready::wait_all(engine.as_ref(), &deployment.instance, &names, wait, progress)
        .await
        .map_err(Started::NotReady)?;
    Ok(changes)
}

/// Removes what this run created. An instance that was there before is left as it is now: the next
/// `up` completes it.
async fn undo(engine: &Shared, instance: &str, existed: bool, mut failure: Failure) -> Failure {
    if existed {
        failure.help = Some(format!(
            "{}the lab is left as it is now; `labctl up` again completes it",
            failure.help.map(|help| help + "; ").unwrap_or_default()
        ));
        return failure;
    }
    output::tell("rolling back");
    match engine.remove(instance, &|_| {}).await {
        Ok(_) => failure,
        Err(error) => {
            let message = format!("{}\nand rolling back failed: {error}", failure.message);
            Failure { message, ..failure }.help("`labctl down` removes the rest")
        }
    }
}

fn summary(changes: &Changes, engine: &str, took: Duration) -> String {
    let count =
        |list: &[String], what: &str| list.iter().filter(|name| name.starts_with(what)).count();
    let seconds = took.as_secs_f64();
    if changes.is_empty() {
        return format!("Nothing to change, all nodes are ready ({engine}, {seconds:.1}s)");
    }
    let mut parts = Vec::new();
    for (list, word) in
        [(&changes.create, "created"), (&changes.replace, "replaced"), (&changes.remove, "removed")]
    {
        for what in ["network", "node"] {
            match count(list, what) {
                0 => {}
                1 => parts.push(format!("1 {what} {word}")),
                n => parts.push(format!("{n} {what}s {word}")),
            }
        }
    }
    format!("{}, all nodes are ready ({engine}, {seconds:.1}s)", parts.join(", "))
}
