//! Starting copies side by side, a bounded number at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use deploy::Document;
use engine::{Deployment, Engine, Limits};
use futures::StreamExt;
use lab::Plan;
use node::client::Event;
use node::request::Request;
use serde::Serialize;

use crate::copies;
use crate::roster::Student;

/// One copy as it should be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose it is.
    pub student: Student,
    /// What the engine is told.
    pub deployment: Deployment,
    /// The nodes that are waited for.
    pub ready: Vec<String>,
    /// Why it cannot be started, where that is known before anything is, and what is there.
    pub refused: Option<(State, String)>,
}

/// What became of one copy.
#[derive(Clone, Debug, Serialize)]
pub struct Started {
    /// Whose it is.
    pub student: Student,
    /// Its instance.
    pub instance: String,
    /// What was done.
    pub state: State,
    /// Why it is not ready.
    pub error: Option<String>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// What was done for a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is there and ready.
    Ready,
    /// It is there, but a node does not get ready.
    NotReady,
    /// It could not be made, and what there was of it is removed again.
    Missing,
    /// It was there before and could not be changed.
    Unchanged,
}

impl State {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "not ready",
            Self::Missing => "missing",
            Self::Unchanged => "as before",
        }
    }
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
    /// Without what is the student's work.
    pub exercise: bool,
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
    let kept = Document::of(engine, &name).await.ok();
    let document = Document::for_instance(engine, &name, plan).await?;
    let document = document.as_exercise(options.exercise);
    let mut deployment = document.deployment(&name)?;
    deployment.labels = copies::labels(&options.class, student, options.expires);
    bound(&mut deployment, options.limits);
    // Neither may a student's work give way to the solution, nor the other way round.
    let other = kept.filter(|kept| kept.exercise != options.exercise);
    let refused = match other {
        Some(kept) if kept.exercise => Some("it runs as an exercise"),
        Some(_) => Some("it runs as the whole lab, not as an exercise"),
        None => None,
    };
    Ok(Wanted {
        student: student.clone(),
        deployment,
        ready: document.ready_nodes(),
        refused: refused.map(|why| (State::Unchanged, why.to_owned())),
    })
}

/// The label with a copy's bounds, as JSON: they hold on when nobody gives others.
const LIMITS: &str = "limits";

/// The bounds that a copy was started with.
pub fn limits_of(labels: &BTreeMap<String, String>) -> Limits {
    let text = labels.get(LIMITS).map(String::as_str).unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

/// Bounds the copy as a whole and, for an engine that can only bound nodes, each node by its share.
pub fn bound(deployment: &mut Deployment, limits: Limits) {
    if limits == Limits::default() {
        return;
    }
    deployment.limits = limits;
    if let Ok(text) = serde_json::to_string(&limits) {
        deployment.labels.insert(LIMITS.into(), text);
    }
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
    tell: &(dyn Fn(&Started) + Send + Sync),
) -> Vec<Started> {
    let mut all = Vec::new();
    let mut work = futures::stream::iter(wanted)
        .map(|one| async move {
            let clock = Instant::now();
            let result = match one.refused {
                Some(refused) => Err(refused),
                None => patiently(engine, &one.deployment, &one.ready, options.wait).await,
            };
            let (state, error) = match result {
                Ok(()) => (State::Ready, None),
                Err((state, error)) => (state, Some(error)),
            };
            Started {
                student: one.student,
                instance: one.deployment.instance,
                state,
                error,
                seconds: clock.elapsed().as_secs_f64(),
            }
        })
        .buffer_unordered(options.parallel.max(1));
    while let Some(one) = work.next().await {
        tell(&one);
        all.push(one);
    }
    all.sort_by_key(|one| one.student.number);
    all
}

/// How long an engine that went away is waited for.
const ENGINE_BACK: Duration = Duration::from_secs(60);

/// Starts a copy; where the engine went away in the middle (it was restarted), once more when it
/// is back.
async fn patiently(
    engine: &dyn Engine,
    deployment: &Deployment,
    ready: &[String],
    wait: Duration,
) -> Result<(), (State, String)> {
    let first = start_one(engine, deployment, ready, wait).await;
    if first.is_ok() || engine.info().await.is_ok() {
        return first;
    }
    let back = async {
        while engine.info().await.is_err() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    match tokio::time::timeout(ENGINE_BACK, back).await {
        Ok(()) => start_one(engine, deployment, ready, wait).await,
        Err(_) => first,
    }
}

/// Starts one copy and waits until these of its nodes are ready.
///
/// # Errors
/// What is there then, and a sentence.
pub async fn start_one(
    engine: &dyn Engine,
    deployment: &Deployment,
    ready_nodes: &[String],
    wait: Duration,
) -> Result<(), (State, String)> {
    let before = engine.document(&deployment.instance).await;
    let existed = before.map_err(|e| (State::Missing, e.to_string()))?.is_some();
    if let Err(error) = engine.apply(deployment, &|_| {}).await {
        let mut text = error.to_string();
        if existed {
            return Err((State::Unchanged, text));
        }
        if let Err(error) = engine.remove(&deployment.instance, &|_| {}).await {
            text = format!("{text}; and rolling back failed: {error}");
        }
        return Err((State::Missing, text));
    }
    let waits = ready_nodes.iter().map(|node| async move {
        ready(engine, &deployment.instance, node, wait)
            .await
            .map_err(|error| (State::NotReady, format!("node {node}: {error}")))
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
