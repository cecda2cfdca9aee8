//! The engine `pod`: on Docker, one container holds a whole instance.
//!
//! In the container runs the supervisor of [`crate::embedded`], so a pod costs one container
//! whatever the number of its nodes, and its limits are the instance's. The same supervisor, the
//! same agents; labctl speaks with them through one `docker exec` a pod (`link`), over which many
//! conversations go side by side (`mux`). All state is labels: those of the container and of its
//! volume (`container`). `docs/engines.md` shows how the parts hang together.

mod container;
mod link;
pub(crate) mod mux;
pub(crate) mod pieces;
mod probe;
mod remove;
mod session;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};

use self::container::{Bounds, Found};
use self::link::{Links, next, unexpected};
use crate::docker::{Docker, image, inline, labels, parallel};
use crate::embedded::wire::{Call, NodeStatus, Reply, Request, Status};
use crate::embedded::{self, Turn, plan};
use crate::{
    Changes, Deployment, Engine, Error, Event, ExecOptions, Info, Instance, LogLine, NodeState,
    Progress, Result, Session,
};

/// What the program of a pod is called that is of another build, or has no program to ask.
const OTHER: &str = "another build";

/// Connections to agents, by instance and node.
type Clients = Arc<Mutex<HashMap<(String, String), node::Client>>>;

/// The engine.
#[derive(Clone, Debug)]
pub struct Pods {
    docker: Docker,
    links: Links,
    clients: Clients,
}

impl Pods {
    /// Pods on a Docker daemon.
    pub fn new(docker: Docker) -> Self {
        Self { docker, links: Links::default(), clients: Clients::default() }
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), node::Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, instance: &str) {
        self.links.forget(instance);
        self.clients().retain(|(owner, _), _| owner != instance);
    }

    async fn ask(&self, instance: &str, request: Request) -> Result<Reply> {
        self.links.ask(&self.docker, instance, request).await
    }

    /// What the supervisor says of itself; what would run where it is dead or does not answer.
    async fn status(&self, instance: &str, found: &Found) -> Result<Status> {
        let state = found.state().unwrap_or_else(|| "gone".into());
        if state != "running" {
            return Ok(dead(instance, found, &state));
        }
        match self.ask(instance, Request::Status).await? {
            Reply::Status(status) => Ok(*status),
            other => Err(unexpected(instance, &other)),
        }
    }

    /// What `up` would do; `same` says whether the container stays.
    fn planned(status: &Status, deployment: &Deployment, same: bool) -> Changes {
        let program = if same { status.program.as_str() } else { OTHER };
        plan::changes(status, deployment, program)
    }

    /// What a pod is, from its labels; nodes count as running where its container does.
    fn from_labels(name: &str, found: &Found) -> Option<Instance> {
        let container = found.container.as_ref();
        let nodes = found.names(labels::NODES).len();
        let runs = found.state().as_deref() == Some("running");
        // A pod that has not been told its lab yet is no instance.
        let volume = found.volumes.first()?;
        let own = volume.labels.iter().filter_map(|(label, value)| {
            Some((label.strip_prefix(labels::OWN)?.to_owned(), value.clone()))
        });
        Some(Instance {
            name: name.to_owned(),
            lab: found.label(labels::LAB).unwrap_or_default().to_owned(),
            running: if runs { nodes } else { 0 },
            nodes,
            networks: found.names(labels::NETWORKS).len(),
            created: container.and_then(|container| container.created).unwrap_or_default(),
            labels: own.collect(),
        })
    }

    /// Makes the supervisor's lab what `deployment` says.
    async fn tell(&self, deployment: &Deployment, progress: Progress<'_>) -> Result<Changes> {
        let instance = &deployment.instance;
        let request = Request::Apply { deployment: Box::new(deployment.clone()) };
        let call = Call { request, stdin: false };
        let mut stream = self.links.call(&self.docker, instance, &call).await?;
        loop {
            match next(&mut stream, instance).await? {
                Reply::Event { subject, what } => progress(embedded::event(subject, &what)),
                Reply::Changes(changes) => return Ok(changes),
                other => return Err(unexpected(instance, &other)),
            }
        }
    }

    /// Removes all there is of an instance.
    async fn clear(&self, instance: &str, progress: Progress<'_>) -> Result<Changes> {
        // What an aborted `apply` has sent is waited for, so that nothing appears afterwards.
        self.docker.settled().await;
        self.forget(instance);
        let found = container::find(&self.docker, instance).await?;
        remove::pod(&self.docker, &found, progress).await
    }

    /// The container of a deployment, running, with what it shall be on its volume. `found` is what
    /// there was before; one that is not as it should be goes.
    async fn contain(
        &self,
        deployment: &Deployment,
        image: &str,
        mut found: Found,
        progress: Progress<'_>,
    ) -> Result<()> {
        let docker = &self.docker;
        let instance = &deployment.instance;
        let bounds = Bounds::of(&deployment.limits, deployment.nodes.len());
        let whole = !matches!(found.state().as_deref(), Some("dead" | "removing"));
        let same = found.made_as(&container::hash(docker, image, &deployment.limits)) && whole;
        if let Some(id) = found.container.as_ref().and_then(|container| container.id.as_ref())
            && !same
        {
            self.forget(instance);
            crate::docker::remove::container(docker, id, instance).await?;
            found.container = None;
        }
        if found.container.is_none() {
            self.forget(instance);
            progress(Event { subject: "pod".into(), what: "creating" });
            let made = container::create(docker, deployment, image, &bounds).await?;
            if !made && container::find(docker, instance).await?.container.is_none() {
                return Err(Error::failed(
                    format!("create the pod of {instance}"),
                    format!("another container has the name {}", container::name(instance)),
                ));
            }
        }
        let (kept, started) = tokio::join!(
            container::keep(docker, deployment, &found),
            container::start(docker, instance),
        );
        Error::collect([kept, started].into_iter().filter_map(Result::err).collect())
    }
}

/// The deployment as a pod holds it. Where its memory is bounded as a whole, a node's share of that
/// would be a bound on each of the node's processes: the container has no control groups of its own.
fn whole(deployment: &Deployment) -> Deployment {
    let mut whole = deployment.clone();
    if whole.limits.memory.is_some() {
        whole.nodes.iter_mut().for_each(|node| node.limits.memory = None);
    }
    whole
}

/// What is known of a pod that does not run.
fn dead(instance: &str, found: &Found, state: &str) -> Status {
    let state = if state == "restarting" { "restarting" } else { "exited" };
    let detail = match state {
        "restarting" => "its supervisor has died; Docker starts it again",
        _ => "its pod has stopped; `labctl up` starts it again",
    };
    let nodes = found.names(labels::NODES).into_iter().map(|name| NodeStatus {
        name,
        state: state.into(),
        detail: detail.into(),
        ..NodeStatus::default()
    });
    Status {
        instance: instance.to_owned(),
        lab: found.label(labels::LAB).unwrap_or_default().to_owned(),
        nodes: nodes.collect(),
        ..Status::default()
    }
}

#[async_trait]
impl Engine for Pods {
    fn name(&self) -> &'static str {
        "pod"
    }

    async fn info(&self) -> Result<Info> {
        let version = self.docker.info().await?.version;
        let facts = probe::probe(&self.docker).await?;
        Ok(Info { engine: "pod".into(), version, facts })
    }

    async fn supports(&self, deployment: &Deployment) -> Result<()> {
        let why = "which a pod cannot: its nodes share one container";
        embedded::check(
            deployment,
            why,
            "use `--isolation nodes`, or take `image:` out of the node",
        )
    }

    async fn changes(&self, deployment: &Deployment) -> Result<Changes> {
        let deployment = &whole(deployment);
        let found = container::find(&self.docker, &deployment.instance).await?;
        if found.container.is_none() {
            return Ok(Self::planned(&Status::default(), deployment, false));
        }
        let image = image::tag(&self.docker.commands)?;
        let same = found.made_as(&container::hash(&self.docker, &image, &deployment.limits));
        let status = self.status(&deployment.instance, &found).await?;
        Ok(Self::planned(&status, deployment, same))
    }

    async fn apply(&self, deployment: &Deployment, progress: Progress<'_>) -> Result<Changes> {
        self.supports(deployment).await?;
        let deployment = &whole(deployment);
        let _turn = Turn::take("pod", &deployment.instance).await?;
        let docker = &self.docker;
        // What an interrupted `apply` of this process has sent must be seen by this one.
        docker.settled().await;
        let instance = &deployment.instance;
        let image = image::ensure(&docker.api, &docker.commands, || {
            progress(Event { subject: "image".into(), what: "loading" });
        });
        let (image, found) = tokio::try_join!(image, container::find(docker, instance))?;
        let same = found.made_as(&container::hash(docker, &image, &deployment.limits));
        let runs = found.state().as_deref() == Some("running");
        // A pod that is replaced or started again changes all that is in it.
        let planned = match &found.container {
            Some(_) if !same || !runs => {
                // One that is not understood is as good as one of another build.
                let status = self.status(instance, &found).await;
                let status = status.unwrap_or_else(|_| dead(instance, &found, "exited"));
                Some(Self::planned(&status, deployment, same))
            }
            _ => None,
        };
        let existed = found.container.is_some();
        self.contain(deployment, &image, found, progress).await?;
        let result = self.tell(deployment, progress).await;
        if matches!(result, Err(Error::Unavailable { .. })) && !existed {
            // Nothing can run in it, so nothing stays.
            self.clear(instance, &|_| {}).await?;
        }
        result.map(|made| planned.unwrap_or(made))
    }

    async fn remove(&self, instance: &str, progress: Progress<'_>) -> Result<Changes> {
        let _turn = Turn::take("pod", instance).await?;
        self.clear(instance, progress).await
    }

    async fn collect_garbage(&self) -> Result<Vec<String>> {
        remove::garbage(&self.docker).await
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        let all = container::list(&self.docker, None).await?;
        let asked = all.iter().filter_map(|(name, found)| {
            let mut instance = Self::from_labels(name, found)?;
            Some(
                async move {
                    // One that does not answer must not hide the others.
                    if instance.running > 0 {
                        let status = self.status(name, found).await.unwrap_or_default();
                        let running = status.nodes.iter().filter(|node| node.state == "running");
                        instance.running = running.count();
                    }
                    instance
                }
                .boxed(),
            )
        });
        let mut instances = parallel(asked.collect()).await;
        instances.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(instances)
    }

    async fn known(&self) -> Result<Vec<Instance>> {
        let all = container::list(&self.docker, None).await?;
        Ok(all.iter().filter_map(|(name, found)| Self::from_labels(name, found)).collect())
    }

    async fn document(&self, instance: &str) -> Result<Option<String>> {
        let found = container::find(&self.docker, instance).await?;
        found.label(labels::DOCUMENT).map(inline::unpack).transpose()
    }

    async fn nodes(&self, instance: &str) -> Result<Vec<NodeState>> {
        let found = container::find(&self.docker, instance).await?;
        if found.container.is_none() && found.volumes.is_empty() {
            return Err(Error::NotFound(format!("no pod of `{instance}` runs on Docker")));
        }
        let status = self.status(instance, &found).await?;
        // Process numbers are those of the pod's own namespace.
        Ok(status.nodes.into_iter().map(|node| NodeState { pid: None, ..node.into() }).collect())
    }

    async fn control(&self, instance: &str, node: &str) -> Result<node::Client> {
        let key = (instance.to_owned(), node.to_owned());
        let known = self.clients().get(&key).filter(|client| client.closed().is_none()).cloned();
        if let Some(client) = known {
            return Ok(client);
        }
        let call = Call { request: Request::Control { node: node.to_owned() }, stdin: false };
        let mut stream = self.links.call(&self.docker, instance, &call).await?;
        match next(&mut stream, instance).await? {
            Reply::Done => {}
            other => return Err(unexpected(instance, &other)),
        }
        let client = node::Client::new(stream);
        self.clients().insert(key, client.clone());
        Ok(client)
    }

    async fn exec(&self, instance: &str, node: &str, options: ExecOptions) -> Result<Session> {
        let what = format!("running `{}` in {node}", options.command.join(" "));
        let request = Request::Exec {
            node: node.to_owned(),
            command: options.command,
            env: options.env,
            terminal: options.terminal.map(|size| (size.columns, size.rows)),
        };
        let call = Call { request, stdin: options.stdin };
        let stream = self.links.call(&self.docker, instance, &call).await?;
        session::open(stream, what).await
    }

    async fn logs(
        &self,
        instance: &str,
        node: &str,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine>>> {
        let request = Request::Logs { node: node.to_owned(), follow };
        let call = Call { request, stdin: false };
        let stream = self.links.call(&self.docker, instance, &call).await?;
        let (instance, node) = (instance.to_owned(), node.to_owned());
        let lines = futures::stream::unfold(Some(stream), move |stream| {
            let (instance, node) = (instance.clone(), node.clone());
            async move {
                let mut stream = stream?;
                match next(&mut stream, &instance).await {
                    Ok(Reply::Line(text)) => Some((Ok(LogLine { node, text }), Some(stream))),
                    Ok(_) => None,
                    Err(error) => Some((Err(error), None)),
                }
            }
        });
        Ok(lines.boxed())
    }

    async fn stop(&self, instance: &str, node: &str) -> Result<()> {
        self.clients().remove(&(instance.to_owned(), node.to_owned()));
        self.ask(instance, Request::Stop { node: node.to_owned() }).await.map(|_| ())
    }

    async fn start(&self, instance: &str, node: &str) -> Result<()> {
        self.ask(instance, Request::Start { node: node.to_owned() }).await.map(|_| ())
    }

    async fn memory(&self, instance: &str, node: &str) -> Result<Option<u64>> {
        match self.ask(instance, Request::Memory { node: node.to_owned() }).await? {
            Reply::Memory(bytes) => Ok(bytes),
            other => Err(unexpected(instance, &other)),
        }
    }
}
