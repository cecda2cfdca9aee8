//! The engine `docker`: networks are bridge networks, nodes are containers.
//!
//! All state is labels. The traps this code walks around are told in `docs/engines.md`.

mod apply;
mod companion;
pub(crate) mod confine;
pub(crate) mod connect;
pub(crate) mod document;
pub mod image;
pub mod inline;
pub(crate) mod labels;
mod networks;
mod nodes;
pub(crate) mod observe;
pub(crate) mod remove;
mod subnets;
pub(crate) mod talk;

pub use confine::{DEAFEN, deafen_main};

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use bollard::query_parameters::{
    RestartContainerOptionsBuilder, StatsOptionsBuilder, StopContainerOptionsBuilder,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use crate::embedded::Turn;
use crate::error::{Error, Result};
use crate::{
    Changes, Deployment, Engine, ExecOptions, Info, Instance, LogLine, NodeState, Progress, Session,
};

/// Requests that run at once; starting a container is the daemon's work, not ours.
const PARALLEL: usize = 16;

/// Runs boxed futures side by side, a bounded number at once. (Boxed, because closures over
/// borrowed items are not general enough for the trait's `Send` futures.)
pub(crate) async fn parallel<T>(futures: Vec<futures::future::BoxFuture<'_, T>>) -> Vec<T> {
    futures::stream::iter(futures).buffer_unordered(PARALLEL).collect().await
}

/// The relays that are open, by instance and node.
type Relays = Arc<Mutex<HashMap<(String, String), node::Client>>>;

/// A connection to a Docker daemon.
#[derive(Clone, Debug)]
pub struct Docker {
    pub(crate) api: bollard::Docker,
    pub(crate) host: String,
    pub(crate) commands: Arc<Vec<String>>,
    relays: Relays,
    /// Requests that change something run in here to their end even when the caller is dropped, so
    /// that a roll-back sees all there is.
    inflight: TaskTracker,
}

impl Docker {
    /// Connects to `host`, or to what DOCKER_HOST and the Docker contexts name. `commands` are the
    /// names under which the node image offers labctl's own executable. Sends nothing yet.
    pub fn connect(host: Option<&str>, commands: Vec<String>) -> Result<Self> {
        Ok(Self {
            api: connect::connect(host)?,
            host: host.unwrap_or("the default address").to_owned(),
            commands: Arc::new(commands),
            relays: Relays::default(),
            inflight: TaskTracker::new(),
        })
    }

    /// Runs a request that changes something to its end, whatever becomes of the caller.
    pub(crate) async fn settle<T: Send + 'static>(
        &self,
        what: String,
        request: impl Future<Output = Result<T, bollard::errors::Error>> + Send + 'static,
    ) -> Result<T> {
        match self.inflight.spawn(request).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Error::failed(what, connect::chain(&error))),
            Err(error) => Err(Error::failed(what, error)),
        }
    }

    /// Waits until everything that was sent is done.
    pub(crate) async fn settled(&self) {
        self.inflight.close();
        self.inflight.wait().await;
        self.inflight.reopen();
    }

    /// The name of a node's container, if the node exists.
    async fn container(&self, instance: &str, node: &str) -> Result<String> {
        let name = labels::container(instance, node);
        match self.api.inspect_container(&name, None).await {
            Ok(_) => Ok(name),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
                Err(self.no_node(instance, node).await)
            }
            Err(error) => {
                Err(Error::failed(format!("look at node {node}"), connect::chain(&error)))
            }
        }
    }

    async fn no_node(&self, instance: &str, node: &str) -> Error {
        let nodes = self.nodes(instance).await.unwrap_or_default();
        if nodes.is_empty() {
            return Error::NotFound(format!("no lab `{instance}` runs on Docker"));
        }
        let names: Vec<_> = nodes.into_iter().map(|node| node.name).collect();
        Error::NotFound(format!("`{instance}` has no node `{node}`; it has {}", names.join(", ")))
    }
}

#[async_trait]
impl Engine for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    async fn info(&self) -> Result<Info> {
        let version =
            self.api.version().await.map_err(|error| connect::unavailable(&self.host, &error))?;
        let info =
            self.api.info().await.map_err(|error| connect::unavailable(&self.host, &error))?;
        let mut facts = vec![
            ("API".to_owned(), version.api_version.clone().unwrap_or_default()),
            ("system".to_owned(), info.operating_system.unwrap_or_default()),
            ("kernel".to_owned(), info.kernel_version.unwrap_or_default()),
            ("storage".to_owned(), info.driver.unwrap_or_default()),
            ("cgroups".to_owned(), info.cgroup_version.map(|v| v.to_string()).unwrap_or_default()),
        ];
        if let (Some(cpus), Some(memory)) = (info.ncpu, info.mem_total) {
            facts
                .push(("size".to_owned(), format!("{cpus} processors, {} MB", memory / 1_000_000)));
        }
        Ok(Info { engine: "docker".into(), version: version.version.unwrap_or_default(), facts })
    }

    async fn supports(&self, deployment: &Deployment) -> Result<()> {
        for node in &deployment.nodes {
            let Some(image) = &node.image else { continue };
            match self.api.inspect_image(image).await {
                Ok(_) => {}
                Err(bollard::errors::Error::DockerResponseServerError {
                    status_code: 404, ..
                }) => {
                    return Err(Error::Unsupported {
                        message: format!(
                            "node {} needs the image {image}, which this Docker does not have",
                            node.name()
                        ),
                        help: format!("`docker pull {image}`, or `docker load` it from a file"),
                    });
                }
                Err(error) => return Err(connect::unavailable(&self.host, &error)),
            }
        }
        Ok(())
    }

    async fn changes(&self, deployment: &Deployment) -> Result<Changes> {
        apply::plan(self, deployment).await.map(|plan| plan.changes)
    }

    async fn apply(&self, deployment: &Deployment, progress: Progress<'_>) -> Result<Changes> {
        let _turn = Turn::take("docker", &deployment.instance).await?;
        apply::apply(self, deployment, progress).await
    }

    async fn remove(&self, instance: &str, progress: Progress<'_>) -> Result<Changes> {
        let _turn = Turn::take("docker", instance).await?;
        remove::instance(self, instance, progress).await
    }

    async fn collect_garbage(&self) -> Result<Vec<String>> {
        remove::garbage(self).await
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        observe::instances(self).await
    }

    async fn document(&self, instance: &str) -> Result<Option<String>> {
        observe::document(self, instance).await
    }

    async fn nodes(&self, instance: &str) -> Result<Vec<NodeState>> {
        observe::nodes(self, instance).await
    }

    async fn control(&self, instance: &str, node: &str) -> Result<node::Client> {
        talk::control(self, instance, node).await
    }

    async fn exec(&self, instance: &str, node: &str, options: ExecOptions) -> Result<Session> {
        talk::exec(self, instance, node, options).await
    }

    async fn logs(
        &self,
        instance: &str,
        node: &str,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine>>> {
        talk::logs(self, instance, node, follow).await
    }

    async fn stop(&self, instance: &str, node: &str) -> Result<()> {
        let name = self.container(instance, node).await?;
        companion::stop(self, instance, node).await?;
        let options = StopContainerOptionsBuilder::default().t(2).build();
        let api = self.api.clone();
        self.settle(format!("stop node {node}"), async move {
            api.stop_container(&name, Some(options)).await
        })
        .await
    }

    async fn start(&self, instance: &str, node: &str) -> Result<()> {
        let name = self.container(instance, node).await?;
        let api = self.api.clone();
        self.settle(
            format!("start node {node}"),
            async move { api.start_container(&name, None).await },
        )
        .await?;
        companion::rejoin(self, instance, node).await
    }

    async fn restart(&self, instance: &str, node: &str) -> Result<()> {
        let name = self.container(instance, node).await?;
        let options = RestartContainerOptionsBuilder::default().t(2).build();
        let api = self.api.clone();
        self.settle(format!("restart node {node}"), async move {
            api.restart_container(&name, Some(options)).await
        })
        .await?;
        companion::rejoin(self, instance, node).await
    }

    async fn memory(&self, instance: &str, node: &str) -> Result<Option<u64>> {
        let name = self.container(instance, node).await?;
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        match self.api.stats(&name, Some(options)).next().await {
            Some(Ok(stats)) => Ok(stats.memory_stats.and_then(|memory| {
                let used = memory.usage?;
                // What the kernel can drop at once is not the node's.
                let cache = memory.stats.as_ref().and_then(|stats| {
                    stats.get("total_inactive_file").or_else(|| stats.get("inactive_file")).copied()
                });
                Some(used.saturating_sub(cache.unwrap_or(0)))
            })),
            Some(Err(error)) => Err(Error::failed(format!("ask for the memory of {node}"), error)),
            None => Ok(None),
        }
    }
}
