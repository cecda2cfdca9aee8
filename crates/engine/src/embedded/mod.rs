//! The embedded engine: nodes are processes in Linux namespaces, networks are bridges in one
//! namespace per instance. No daemon; no root where user namespaces are allowed.
//!
//! Each instance has one supervisor process ([`supervisor_main`]), started by `up`, which owns all
//! of it and ends with it. [`Embedded`] is the client: it finds the supervisor by its socket in the
//! instance's folder and asks. `docs/engines.md` shows how the parts hang together.

mod cgroup;
mod client;
mod contained;
mod diagnose;
mod exec;
mod folder;
mod harden;
mod logs;
mod neighbours;
pub(crate) mod plan;
mod process;
mod relay;
mod running;
mod sandbox;
mod serve;
mod session;
mod start;
mod supervisor;
pub(crate) mod wire;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;

pub(crate) use folder::Turn;
pub use supervisor::supervisor_main;

use self::folder::Folder;
use self::wire::{Reply, Request, Status};
use crate::{
    Changes, Deployment, Engine, Error, Event, ExecOptions, Info, Instance, LogLine, NodeState,
    Progress, Result, Session,
};

/// This version of labctl.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Tells builds of a program apart: a supervisor of another build is replaced by `up`.
fn program(path: &Path) -> std::io::Result<String> {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::metadata(path)?;
    Ok(format!("{VERSION} {} {}.{}", file.len(), file.mtime(), file.mtime_nsec()))
}

/// How the engine is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program that supervisors and nodes run: it must answer to the first words `supervisor`
    /// (by [`supervisor_main`]) and `agent`. This very program where not set.
    pub program: PathBuf,
    /// The commands of a node, links to the program.
    pub commands: Vec<String>,
    /// Where instances are kept.
    pub state: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            program: "/proc/self/exe".into(),
            commands: Vec::new(),
            state: folder::default_root(),
        }
    }
}

/// The embedded engine.
#[derive(Debug)]
pub struct Embedded {
    options: Options,
    /// One connection a node: requests are pipelined over it.
    clients: Mutex<HashMap<(String, String), node::Client>>,
}

impl Embedded {
    /// The engine of this user, with these commands in every node.
    #[must_use]
    pub fn new(commands: Vec<String>) -> Self {
        Self::with(Options { commands, ..Options::default() })
    }

    /// The engine with other settings.
    #[must_use]
    pub fn with(options: Options) -> Self {
        // One connection a node; where the limit stays, only the largest labs feel it.
        let _ = process::all_descriptors();
        Self { options, clients: Mutex::default() }
    }

    /// Which build of the program nodes are to run.
    fn program(&self) -> Result<String> {
        let path = &self.options.program;
        program(path).map_err(|error| Error::failed(format!("reading {}", path.display()), error))
    }

    fn state(&self) -> &Path {
        &self.options.state
    }

    fn folder(&self, instance: &str) -> Result<Folder> {
        Folder::new(self.state(), instance)
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), node::Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_clients(&self, instance: &str) {
        self.clients().retain(|(owner, _), _| owner != instance);
    }

    /// What runs, or what would if its supervisor had not died.
    async fn status(&self, instance: &str) -> Result<Option<Status>> {
        let folder = self.folder(instance)?;
        match client::status(&folder).await? {
            Some(status) => Ok(Some(status)),
            None => Ok(folder.kept().map(|kept| client::dead(instance, kept))),
        }
    }

    /// Asks the supervisor of an instance that must exist.
    async fn must_ask(&self, instance: &str, request: &Request) -> Result<Reply> {
        let folder = self.folder(instance)?;
        let reply = client::ask(&folder, request).await?;
        reply.ok_or_else(|| client::missing(&folder, instance))
    }
}

#[async_trait]
impl Engine for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    async fn info(&self) -> Result<Info> {
        let facts = client::probe(&self.options.program, self.state()).await?;
        let mut facts: Vec<(String, String)> = facts
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(label, value)| (label.to_owned(), value.to_owned()))
            .collect();
        facts.push(("state".into(), self.state().display().to_string()));
        Ok(Info { engine: "embedded".into(), version: VERSION.into(), facts })
    }

    async fn supports(&self, deployment: &Deployment) -> Result<()> {
        let why = "which the embedded engine cannot: it has no images";
        check(deployment, why, "use `--engine docker`, or take `image:` out of the node")
    }

    async fn changes(&self, deployment: &Deployment) -> Result<Changes> {
        let folder = self.folder(&deployment.instance)?;
        let status = client::status(&folder).await?.unwrap_or_default();
        Ok(plan::changes(&status, deployment, &self.program()?))
    }

    async fn apply(&self, deployment: &Deployment, progress: Progress<'_>) -> Result<Changes> {
        self.supports(deployment).await?;
        folder::make_root(self.state())?;
        let folder = self.folder(&deployment.instance)?;
        let _lock = folder.lock().await?;
        let program = self.program()?;
        // Another build of labctl takes over by starting anew.
        let running = client::status(&folder).await;
        // One that is not understood is as good as one of another build.
        let running = running.unwrap_or_else(|_| Some(Status::default()));
        let old = running.filter(|status| status.program != program);
        let planned = old.map(|status| plan::changes(&status, deployment, &program));
        if planned.is_some()
            && let Some(mut stream) = folder.connect().await?
        {
            match client::change(&mut stream, &Request::Remove, progress).await {
                Ok(_) => client::ended(&mut stream, &folder).await?,
                Err(_) => client::end(&folder).await?,
            }
        }
        let mut stream = match folder.connect().await? {
            Some(stream) => stream,
            None => {
                self.forget_clients(&deployment.instance);
                client::start(&folder, &self.options, deployment.limits.disk).await?
            }
        };
        let request = Request::Apply { deployment: Box::new(deployment.clone()) };
        let result = client::change(&mut stream, &request, progress).await;
        let result = result.map(|made| planned.unwrap_or(made));
        if matches!(result, Err(Error::Unavailable { .. })) && folder.kept().is_none() {
            // Nothing was started, so nothing stays.
            folder.remove().map_err(|error| Error::failed("removing the folder", error))?;
        }
        result
    }

    async fn remove(&self, instance: &str, progress: Progress<'_>) -> Result<Changes> {
        let folder = self.folder(instance)?;
        if !folder.exists() {
            return Ok(Changes::default());
        }
        let _lock = folder.lock().await?;
        self.forget_clients(instance);
        let mut errors = Vec::new();
        let changes = match folder.connect().await? {
            Some(mut stream) => {
                let result = client::change(&mut stream, &Request::Remove, progress).await;
                match result {
                    Ok(changes) => {
                        errors.extend(client::ended(&mut stream, &folder).await.err());
                        changes
                    }
                    // It is of another build, or hangs: it is ended from outside.
                    Err(error) => {
                        drop(stream);
                        if let Err(more) = client::end(&folder).await {
                            let words = folder.last_words();
                            errors.push(error);
                            errors.push(more);
                            errors
                                .extend(words.map(|words| Error::failed("the supervisor", words)));
                        }
                        client::left_behind(&folder, instance, progress)
                    }
                }
            }
            None => client::left_behind(&folder, instance, progress),
        };
        errors.extend(client::sweep(self.state(), &folder, instance).err());
        Error::collect(errors)?;
        Ok(changes)
    }

    async fn collect_garbage(&self) -> Result<Vec<String>> {
        let (mut gone, mut errors) = (Vec::new(), Vec::new());
        for (name, folder) in Folder::all(self.state()) {
            // Locked: somebody is at work on it.
            let Ok(Some(_lock)) = folder.try_lock() else { continue };
            match folder.connect().await {
                Ok(None) => {}
                Ok(Some(_)) => continue,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            }
            self.forget_clients(&name);
            match client::sweep(self.state(), &folder, &name) {
                Ok(()) => gone.push(name),
                Err(error) => errors.push(error),
            }
        }
        folder::sweep_gone(self.state());
        errors.extend(client::sweep_groups(self.state(), &mut gone).err());
        Error::collect(errors)?;
        Ok(gone)
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        let all = Folder::all(self.state());
        let states = all.iter().map(|(name, _)| self.status(name));
        let states = futures::future::join_all(states).await;
        let mut instances = Vec::new();
        for ((name, _), status) in all.iter().zip(states) {
            // One that does not answer, or not in these words, must not hide the others.
            let kept = || self.folder(name).ok()?.kept().map(|kept| client::dead(name, kept));
            let Some(status) = status.unwrap_or_else(|_| kept()) else { continue };
            // A supervisor that has not been told its lab yet is no instance.
            if status.created == 0 {
                continue;
            }
            instances.push(Instance {
                name: name.clone(),
                lab: status.lab,
                running: status.nodes.iter().filter(|node| node.state == "running").count(),
                nodes: status.nodes.len(),
                networks: status.networks.len(),
                created: status.created,
                labels: status.labels,
            });
        }
        Ok(instances)
    }

    async fn document(&self, instance: &str) -> Result<Option<String>> {
        Ok(self.folder(instance)?.kept().map(|kept| kept.deployment.document))
    }

    async fn nodes(&self, instance: &str) -> Result<Vec<NodeState>> {
        let folder = self.folder(instance)?;
        let status = self.status(instance).await?;
        let status = status.ok_or_else(|| client::missing(&folder, instance))?;
        Ok(status.nodes.into_iter().map(NodeState::from).collect())
    }

    async fn control(&self, instance: &str, node: &str) -> Result<node::Client> {
        let key = (instance.to_owned(), node.to_owned());
        let known = self.clients().get(&key).filter(|client| client.closed().is_none()).cloned();
        if let Some(client) = known {
            return Ok(client);
        }
        let folder = self.folder(instance)?;
        let request = Request::Control { node: node.to_owned() };
        let stream = client::must_connect(&folder, instance).await?;
        let socket = client::descriptor(stream, &request).await?;
        let client = node::Client::new(socket);
        self.clients().insert(key, client.clone());
        Ok(client)
    }

    async fn exec(&self, instance: &str, node: &str, options: ExecOptions) -> Result<Session> {
        let folder = self.folder(instance)?;
        let stream = client::must_connect(&folder, instance).await?;
        session::open(stream, node, options).await
    }

    async fn logs(
        &self,
        instance: &str,
        node: &str,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine>>> {
        let folder = self.folder(instance)?;
        let stream = client::must_connect(&folder, instance).await?;
        Ok(client::lines(stream, node, follow).await?.boxed())
    }

    async fn stop(&self, instance: &str, node: &str) -> Result<()> {
        self.clients().remove(&(instance.to_owned(), node.to_owned()));
        self.must_ask(instance, &Request::Stop { node: node.to_owned() }).await.map(|_| ())
    }

    async fn start(&self, instance: &str, node: &str) -> Result<()> {
        self.must_ask(instance, &Request::Start { node: node.to_owned() }).await.map(|_| ())
    }

    async fn memory(&self, instance: &str, node: &str) -> Result<Option<u64>> {
        match self.must_ask(instance, &Request::Memory { node: node.to_owned() }).await? {
            Reply::Memory(bytes) => Ok(bytes),
            other => Err(client::unexpected(&other)),
        }
    }
}

/// Refuses what a supervisor cannot run; `why` and `help` say why it runs no images.
pub(crate) fn check(deployment: &Deployment, why: &str, help: &str) -> Result<()> {
    folder::check_name(&deployment.instance)?;
    let mut seen = BTreeSet::new();
    for spec in &deployment.nodes {
        let name = spec.name();
        if let Some(image) = &spec.image {
            let message = format!("node `{name}` runs the image {image}, {why}");
            return Err(Error::Unsupported { message, help: help.into() });
        }
        folder::check_name(name)?;
        let what = || format!("node `{name}`");
        if name.len() > 64 {
            return Err(Error::failed(what(), "a host name has at most 64 characters"));
        }
        if !seen.insert(name) {
            return Err(Error::failed(what(), "there are two of this name"));
        }
        for link in &spec.config.links {
            if link.name.is_empty() || link.name.len() > 15 || link.name.contains('/') {
                let why = format!("`{}` is no interface name: 1 to 15 characters", link.name);
                return Err(Error::failed(what(), why));
            }
            if !deployment.networks.iter().any(|network| network.name == link.network) {
                let why = format!("it is plugged into `{}`, which does not exist", link.network);
                return Err(Error::failed(what(), why));
            }
        }
    }
    Ok(())
}

/// An event as it came over the wire.
pub(crate) fn event(subject: String, what: &str) -> Event {
    Event { subject, what: wire::event_name(what) }
}
