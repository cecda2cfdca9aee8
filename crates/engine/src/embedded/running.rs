//! One node of a supervisor: its processes, its log, and what becomes of it when they end.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::logs::Log;
use super::process::{self, Child};
use super::start::{self, Birth, READY};
use super::supervisor::Supervisor;
use super::wire::NodeStatus;
use crate::{Error, NodeSpec, PATIENCE, Result};

/// The first pause before a node whose agent has died is started again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A node that has run so long starts again with the first pause.
const STEADY: Duration = Duration::from_secs(10);

/// How long an agent may take to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// What a node is doing.
#[derive(Debug)]
enum Phase {
    Created,
    Running(Rc<Child>),
    Restarting(String),
    Exited(String),
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) spec: NodeSpec,
    pub(super) hash: String,
    pub(super) log: Rc<Log>,
    phase: RefCell<Phase>,
    wanted: Cell<bool>,
    /// Somebody has changed `wanted`.
    changed: Notify,
    life: RefCell<Option<JoinHandle<()>>>,
    /// The switch's ends of its cables.
    ports: RefCell<Vec<String>>,
}

impl Node {
    pub(super) fn new(spec: NodeSpec) -> Rc<Self> {
        Rc::new(Self {
            hash: spec.hash(),
            spec,
            log: Rc::default(),
            phase: RefCell::new(Phase::Created),
            wanted: Cell::new(false),
            changed: Notify::new(),
            life: RefCell::default(),
            ports: RefCell::default(),
        })
    }

    pub(super) fn name(&self) -> &str {
        self.spec.name()
    }

    pub(super) fn status(&self) -> NodeStatus {
        let (state, detail, pid) = match &*self.phase.borrow() {
            Phase::Created => ("created", String::new(), None),
            Phase::Running(child) => ("running", String::new(), Some(child.pid())),
            Phase::Restarting(why) => ("restarting", why.clone(), None),
            Phase::Exited(why) => ("exited", why.clone(), None),
        };
        NodeStatus {
            name: self.name().to_owned(),
            state: state.to_owned(),
            detail,
            pid,
            hash: self.hash.clone(),
        }
    }

    /// Its first process, if it runs.
    pub(super) fn first(&self) -> Option<Rc<Child>> {
        match &*self.phase.borrow() {
            Phase::Running(child) => Some(child.clone()),
            _ => None,
        }
    }

    /// Whether it runs or will again by itself.
    pub(super) fn alive(&self) -> bool {
        matches!(&*self.phase.borrow(), Phase::Running(_) | Phase::Restarting(_))
    }

    /// Starts it; returns when its agent has been executed. Afterwards it is kept running.
    pub(super) async fn start(self: &Rc<Self>, supervisor: &Rc<Supervisor>) -> Result<()> {
        if self.alive() {
            return Ok(());
        }
        self.wanted.set(true);
        match self.launch(supervisor).await {
            Ok(child) => {
                self.phase.replace(Phase::Running(child.clone()));
                let life = tokio::task::spawn_local(self.clone().live(supervisor.clone(), child));
                self.life.replace(Some(life));
                Ok(())
            }
            Err(error) => {
                self.wanted.set(false);
                self.phase.replace(Phase::Exited(error.to_string()));
                Err(error)
            }
        }
    }

    /// Ends it: at once, or after the agent's own end where `gently`.
    pub(super) async fn stop(&self, gently: bool) -> Result<()> {
        self.wanted.set(false);
        self.changed.notify_one();
        let life = self.life.borrow_mut().take();
        let what = || format!("stopping {}", self.name());
        if let Some(mut life) = life {
            if let Some(child) = self.first() {
                if gently {
                    child.signal(libc::SIGTERM).map_err(|error| Error::failed(what(), error))?;
                    if tokio::time::timeout(GRACE, &mut life).await.is_ok() {
                        return Ok(());
                    }
                }
                child.signal(libc::SIGKILL).map_err(|error| Error::failed(what(), error))?;
            }
            life.await.map_err(|error| Error::failed(what(), error))?;
        }
        Ok(())
    }

    /// Waits for the agent's end, again and again.
    async fn live(self: Rc<Self>, supervisor: Rc<Supervisor>, mut child: Rc<Child>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let since = Instant::now();
            let why = match child.wait().await {
                Ok(status) => process::describe(status),
                Err(error) => format!("cannot be waited for: {error}"),
            };
            if let Err(error) = supervisor.unplug(self.name(), &self.ports.take()) {
                self.log.line(format!("labctl: {error}"));
            }
            if !self.wanted.get() {
                self.phase.replace(Phase::Exited(why));
                return;
            }
            if since.elapsed() > STEADY {
                pause = FIRST_PAUSE;
            }
            self.log.line(format!("labctl: the agent has ended ({why}); it is started again"));
            self.phase.replace(Phase::Restarting(why));
            child = loop {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.changed.notified() => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                if !self.wanted.get() {
                    self.phase.replace(Phase::Exited("stopped".into()));
                    return;
                }
                match self.launch(&supervisor).await {
                    Ok(child) => break child,
                    Err(error) => {
                        self.log.line(format!("labctl: {error}"));
                        self.phase.replace(Phase::Restarting(error.to_string()));
                    }
                }
            };
            self.phase.replace(Phase::Running(child.clone()));
        }
    }

    /// One birth: namespaces, cables, agent.
    async fn launch(&self, supervisor: &Rc<Supervisor>) -> Result<Rc<Child>> {
        let what = || format!("starting {}", self.name());
        let groups = supervisor
            .sandbox
            .cgroups
            .node(&supervisor.group, self.name(), &self.spec.limits)
            .map_err(|error| Error::failed(format!("{}'s control groups", self.name()), error))?;
        let birth = Birth {
            sandbox: &supervisor.sandbox,
            filters: &supervisor.filters,
            spec: &self.spec,
            groups,
        };
        let born = start::bear(&birth).map_err(|error| Error::failed(what(), error))?;
        let child = Child::new(born.pid).map_err(|error| Error::failed(what(), error))?;
        let child = Rc::new(child);
        let grown = async {
            let log = pipe::Receiver::from_owned_fd(born.log)?;
            tokio::task::spawn_local(pump(log, self.log.clone()));
            let mut report = pipe::Receiver::from_owned_fd(born.report)?;
            let mut said = [0; 1];
            match report.read(&mut said).await? {
                1 if said[0] == READY => {}
                0 => return Err(std::io::Error::other("it ended without a word")),
                _ => return Err(complaint(report, &said).await),
            }
            let ports = supervisor.plug(&self.spec, child.pid()).map_err(std::io::Error::other)?;
            self.ports.replace(ports.clone());
            std::fs::File::from(born.go).write_all(&[READY])?;
            match report.read(&mut said).await? {
                1 if said[0] == READY => supervisor.settle(&ports),
                0 => return Err(std::io::Error::other("it ended without a word")),
                _ => return Err(complaint(report, &said).await),
            }
            match report.read(&mut said).await? {
                0 => Ok(()),
                _ => Err(complaint(report, &said).await),
            }
        };
        let error = match tokio::time::timeout(PATIENCE, grown).await {
            Ok(Ok(())) => return Ok(child),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it took longer than {} s", PATIENCE.as_secs()),
        };
        // It may have ended already; then both are no-ops.
        let _ = child.signal(libc::SIGKILL);
        let _ = child.wait().await;
        Err(Error::failed(what(), error))
    }
}

/// The rest of an error's text.
async fn complaint(mut report: pipe::Receiver, begun: &[u8]) -> std::io::Error {
    let mut text = begun.to_vec();
    // What was said before the pipe broke is the message.
    let _ = report.read_to_end(&mut text).await;
    std::io::Error::other(String::from_utf8_lossy(&text).into_owned())
}

async fn pump(mut from: pipe::Receiver, log: Rc<Log>) {
    let mut buffer = vec![0; 4096];
    while let Ok(n) = from.read(&mut buffer).await {
        if n == 0 {
            break;
        }
        log.write(&buffer[..n]);
    }
    log.finish();
}
