//! `labctl up`: from a lab file to a lab that has proved itself.

use std::time::{Duration, Instant};

use deploy::Document;
use engine::{Changes, Deployment};
use serde_json::json;

use crate::args::{Isolation, LabFile, Selection};
use crate::context::{Context, Running, Shared};
use crate::failure::{Failure, INTERRUPTED, Outcome};
use crate::progress::Progress;
use crate::verbs::{lab, ready, verify};
use crate::{interrupt, output};

/// What `up` does beside starting.
pub struct Options {
    /// Run the checks.
    pub verify: bool,
    /// How a new instance is kept apart.
    pub isolation: Option<Isolation>,
    /// How long the nodes may take.
    pub wait: Duration,
    /// Which checks.
    pub selection: Selection,
    /// Without what is the student's work.
    pub exercise: bool,
}

/// Runs the verb.
pub async fn run(context: &Context, file: &LabFile, options: Options) -> Outcome {
    let plan = lab::plan(context, &file.file, &file.set)?;
    let instance = lab::instance(context.global.instance.as_deref().unwrap_or(&plan.lab))?;
    let stop = interrupt::token();
    context.remove_expired().await;
    let engine = context.engine_for(&instance, options.isolation).await?;
    if options.exercise && plan.todo.is_empty() {
        return Err(no_work(&file.file));
    }
    let document = Document::for_instance(engine.as_ref(), &instance, plan)
        .await?
        .as_exercise(options.exercise);
    keep_exercise(&engine, &instance, options.exercise).await?;
    let deployment = document.deployment(&instance)?;
    engine.supports(&deployment).await?;
    // Its document is the first thing that an engine keeps of an instance.
    let existed = engine.document(&instance).await?.is_some();
    let started = Instant::now();
    let progress = Progress::new(context.global.quiet);
    let names = document.ready_nodes();
    let work = start(&engine, &deployment, &names, options.wait, &progress);
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
    if options.exercise && !context.global.quiet {
        output::tell(
            "This is the exercise: what is your work is still missing. `labctl hint` helps.",
        );
    }
    // An exercise has not been done yet: nothing is judged before it is asked for.
    if !options.verify || options.exercise {
        if context.json() {
            output::json(&json!({
                "schema": 1, "instance": running.name, "engine": running.engine.name(), "changes": changes,
            }))?;
        }
        return Ok(0);
    }
    verify::check(context, &running, &document.plan, &options.selection, Some(&changes), stop).await
}

/// A lab that leaves a student nothing to do.
pub fn no_work(file: &std::path::Path) -> Failure {
    Failure::usage(format!("{} marks nothing as the student's work", file.display()))
        .help("`todo:` in the lab file names the parts, such as `todo: [pc0.dns]`")
}

/// Refuses to put the solution in the place of a student's work, or the work in that of the lab.
pub async fn keep_exercise(engine: &Shared, instance: &str, exercise: bool) -> Result<(), Failure> {
    match Document::of(engine.as_ref(), instance).await {
        Ok(running) if running.exercise != exercise => {
            Err(if running.exercise {
                Failure::usage(format!("`{instance}` runs as an exercise"))
                .help("with --exercise it is kept as it is; `labctl down` removes it with the work done")
            } else {
                Failure::usage(format!("`{instance}` runs as the whole lab"))
                .help("`labctl down` removes it; then --exercise starts it without the student's work")
            })
        }
        _ => Ok(()),
    }
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
    names: &[String],
    wait: Duration,
    progress: &Progress,
) -> Result<Changes, Started> {
    let changes = engine
        .apply(deployment, &progress.engine())
        .await
        .map_err(|error| Started::Failed(error.into()))?;
    ready::wait_all(engine.as_ref(), &deployment.instance, names, wait, progress)
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
