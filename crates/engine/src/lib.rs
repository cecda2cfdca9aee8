//! What instances run on.
//!
//! [`Engine`] is all that the rest of labctl knows of an engine; [`docker`], [`embedded`] and [`pod`]
//! (the second inside the first) are the three there are. `tests/engines` holds the suite that defines
//! what an engine must do.
//!
//! An engine keeps its state where it lives (Docker's labels, the supervisor's folder), never in a
//! file beside the lab, so every verb works from any shell, after a crash or a reboot.

mod calls;
mod deployment;
pub mod docker;
pub mod embedded;
mod error;
pub mod pod;
mod session;

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::Serialize;

pub use deployment::{Deployment, EXPIRES, Limits, Network, NodeSpec};
pub use error::{Error, Result};
pub use session::{Chunk, ExecOptions, Session, TerminalSize};

/// What an engine says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// `docker`, `embedded` or `pod`.
    pub engine: String,
    /// Its version.
    pub version: String,
    /// Further facts, label and value, for `doctor`.
    pub facts: Vec<(String, String)>,
}

/// What [`Engine::apply`] changed, or would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Changes {
    /// Networks and nodes to create.
    pub create: Vec<String>,
    /// Nodes whose configuration differs.
    pub replace: Vec<String>,
    /// Networks and nodes that the lab no longer has.
    pub remove: Vec<String>,
    /// What stays as it is.
    pub keep: Vec<String>,
}

impl Changes {
    /// Whether nothing is to do.
    pub fn is_empty(&self) -> bool {
        self.create.is_empty() && self.replace.is_empty() && self.remove.is_empty()
    }
}

/// A running copy of a lab.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// The lab's name.
    pub lab: String,
    /// Nodes that run.
    pub running: usize,
    /// Nodes in all.
    pub nodes: usize,
    /// Its networks.
    pub networks: usize,
    /// When it was made, seconds since the epoch.
    pub created: i64,
    /// Labels of its own, such as those of a class.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// What an engine knows of a node without asking its agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// `running`, `exited`, `restarting`, `created`.
    pub state: String,
    /// The engine's own word on it: an exit code, an error.
    pub detail: String,
    /// The host's process number of its agent, where it runs and the engine knows it: Docker's
    /// daemon may run on another machine, so there it is never told.
    pub pid: Option<u32>,
}

/// Something that happened during a long action.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// The node or network, or `image`.
    pub subject: String,
    /// `creating`, `created`, `starting`, `started`, `removing`, `removed`, `loading`, …
    pub what: &'static str,
}

/// Takes events; called often, must not block.
pub type Progress<'a> = &'a (dyn Fn(Event) + Send + Sync);

/// One line of a node's log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogLine {
    /// The node.
    pub node: String,
    /// The line, without its end.
    pub text: String,
}

/// What an instance runs on. Every method may be called from any process at any time.
#[async_trait]
pub trait Engine: Send + Sync {
    /// `docker`, `embedded` or `pod`.
    fn name(&self) -> &'static str;

    /// Whether it answers, and what it is.
    async fn info(&self) -> Result<Info>;

    /// Refuses, before anything is touched, what this engine cannot run, naming the node and why.
    async fn supports(&self, deployment: &Deployment) -> Result<()>;

    /// What [`Engine::apply`] would do. Touches nothing.
    async fn changes(&self, deployment: &Deployment) -> Result<Changes>;

    /// Makes the instance what `deployment` says and changes only what differs. Returns when every
    /// node's agent has been started (not when it is ready: ask the agents). When it fails or is
    /// dropped half way, [`Engine::remove`] (or another `apply`) finds all it left, by label. Two
    /// at once, of one user on one machine, wait for each other.
    async fn apply(&self, deployment: &Deployment, progress: Progress<'_>) -> Result<Changes>;

    /// Removes everything that belongs to the instance and nothing else; goes on after errors and
    /// reports them all. An instance that does not exist is not an error: nothing is removed.
    async fn remove(&self, instance: &str, progress: Progress<'_>) -> Result<Changes>;

    /// Removes what no living instance owns (after `kill -9`): names of what went.
    async fn collect_garbage(&self) -> Result<Vec<String>>;

    /// All instances of labctl on this engine.
    async fn instances(&self) -> Result<Vec<Instance>>;

    /// As [`Engine::instances`], from what is at hand: whether all of an instance's nodes run is not
    /// asked of each where that costs time.
    async fn known(&self) -> Result<Vec<Instance>> {
        self.instances().await
    }

    /// The document kept with the instance by [`Deployment::document`].
    async fn document(&self, instance: &str) -> Result<Option<String>>;

    /// The nodes of an instance, by name.
    async fn nodes(&self, instance: &str) -> Result<Vec<NodeState>>;

    /// A connection to a node's agent. Implementations cache it: one relay a node.
    async fn control(&self, instance: &str, node: &str) -> Result<node::Client>;

    /// Runs a command in a node. It is over when it has ended; on Docker, when everything that it
    /// left behind has let go of its output as well.
    async fn exec(&self, instance: &str, node: &str, options: ExecOptions) -> Result<Session>;

    /// A node's log: its agent's and services' lines. Ends at the end of the log, or never with
    /// `follow`.
    async fn logs(
        &self,
        instance: &str,
        node: &str,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine>>>;

    /// Stops a node: its agent ends within a second; its state stays.
    async fn stop(&self, instance: &str, node: &str) -> Result<()>;

    /// Starts a stopped node; its agent sets it up again.
    async fn start(&self, instance: &str, node: &str) -> Result<()>;

    /// Stops and starts a node.
    async fn restart(&self, instance: &str, node: &str) -> Result<()> {
        self.stop(instance, node).await?;
        self.start(instance, node).await
    }

    /// Memory held by a node's processes in bytes, where the engine can tell.
    async fn memory(&self, instance: &str, node: &str) -> Result<Option<u64>>;
}

/// How long an engine may take for one small request.
pub const PATIENCE: Duration = Duration::from_secs(60);
