//! Starting copies side by side, a bounded number at once.

use std::time::Duration;

use deploy::Document;
use engine::{Deployment, Engine, Limits};
use futures::StreamExt;
use lab::Plan;
use node::client::Event;
use node::request::Request;

use crate::copies;
use crate::roster::Student;

/// One copy as it should be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose it is.
    pub student: Student,
    /// What the engine is told.
    pub deployment: Deployment,
}

/// How copies are started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The class's name.
    pub class: String,
    /// When the copies are forgotten, seconds since the epoch.
    pub expires: Option<i64>,
    /// Bounds of one copy as a whole.
    pub limits: Limits,
    /// Copies that are started at once.
    pub parallel: usize,
    /// How long the nodes of a copy may take to get ready.
    pub wait: Duration,
}

/// What one copy is to be, from the student's own plan. A copy that runs keeps its secrets.
///
/// # Errors
/// What [`Document`] says.
pub async fn wanted(
    engine: &dyn Engine,
    student: &Student,
    plan: Plan,
    options: &Options,
) -> Result<Wanted, deploy::Error> {
    let name = copies::instance_name(&options.class, student);
    let document = Document::for_instance(engine, &name, plan).await?;
    let mut deployment = document.deployment(&name)?;
    deployment.labels = copies::labels(&options.class, student, options.expires);
    bound(&mut deployment, options.limits);
    Ok(Wanted { student: student.clone(), deployment })
}

/// Bounds the copy as a whole and, for an engine that can only bound nodes, each node by its share.
fn bound(deployment: &mut Deployment, limits: Limits) {
    deployment.limits = limits;
    let count = deployment.nodes.len().max(1) as u64;
    for node in &mut deployment.nodes {
        let own = &mut node.limits;
        // A share too small to live on helps nobody: 32 MB, 32 processes.
        own.memory = own.memory.or(limits.memory.map(|bytes| (bytes / count).max(32 << 20)));
        own.processes = own.processes.or(limits.processes.map(|n| (n / count as u32).max(32)));
        own.cpu = own.cpu.or(limits.cpu);
        own.disk = own.disk.or(limits.disk.map(|bytes| (bytes / count).max(8 << 20)));
    }
}

/// Starts copies; tells each one's end. What fails is removed again, the others go on.
pub async fn start(
    engine: &dyn Engine,
    wanted: Vec<Wanted>,
    options: &Options,
    tell: &(dyn Fn(&Student, Result<(), String>) + Send + Sync),
) -> usize {
    let mut failed = 0;
    let mut work = futures::stream::iter(wanted)
        .map(|one| async move {
            let result = start_one(engine, &one.deployment, options.wait).await;
            (one, result)
        })
        .buffer_unordered(options.parallel.max(1));
    while let Some((one, result)) = work.next().await {
        failed += usize::from(result.is_err());
        tell(&one.student, result);
    }
    failed
}

/// Starts one copy and waits until its nodes are ready.
///
/// # Errors
/// A sentence.
pub async fn start_one(
    engine: &dyn Engine,
    deployment: &Deployment,
    wait: Duration,
) -> Result<(), String> {
    let existed = engine.document(&deployment.instance).await.map_err(|e| e.to_string())?.is_some();
    if let Err(error) = engine.apply(deployment, &|_| {}).await {
        let mut text = error.to_string();
        if !existed && let Err(error) = engine.remove(&deployment.instance, &|_| {}).await {
            text = format!("{text}; and rolling back failed: {error}");
        }
        return Err(text);
    }
    let waits = deployment.nodes.iter().map(|node| async {
        ready(engine, &deployment.instance, node.name(), wait)
            .await
            .map_err(|error| format!("node {}: {error}", node.name()))
    });
    futures::future::try_join_all(waits).await.map(|_| ())
}

async fn ready(
    engine: &dyn Engine,
    instance: &str,
    node: &str,
    wait: Duration,
) -> Result<(), String> {
    let client = engine.control(instance, node).await.map_err(|error| error.to_string())?;
    let timeout_ms = wait.as_millis() as u64;
    let mut replies =
        client.stream(&Request::Ready { timeout_ms }).await.map_err(|error| error.to_string())?;
    while let Event::Item(_) = replies.next().await.map_err(|error| error.to_string())? {}
    Ok(())
}
