//! The supervisor of one instance: it owns the instance's namespaces, nodes and log, and ends with
//! it. Everything runs on one thread, because its children are made by `clone`.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use net::bridge::{Bridges, Cable};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use super::diagnose;
use super::folder::{self, Kept};
use super::harden::Filters;
use super::plan;
use super::process::{self, Doing};
use super::running::Node;
use super::sandbox::{self, Sandbox};
use super::start;
use super::wire::{self, Failure, Reply, Request, Status};
use super::{cgroup, contained, relay, serve};
use crate::{Changes, Deployment, Error, NodeSpec, PATIENCE, Result};

/// The instance's folder in the supervisor's root.
const DIR: &str = "/dir";

/// Nodes that are started at once; more would only wait for each other in the kernel.
const BIRTHS: usize = 32;

/// All that the supervisor holds.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) sandbox: Sandbox,
    pub(super) filters: Filters,
    /// The instance's name among control groups.
    pub(super) group: String,
    /// Which build of the program this is.
    program: String,
    pub(super) nodes: RefCell<BTreeMap<String, Rc<Node>>>,
    bridges: RefCell<Bridges>,
    /// The interface index of each network's bridge.
    networks: RefCell<BTreeMap<String, u32>>,
    kept: RefCell<Kept>,
    /// The deployment, and with it its end, is another one.
    kept_anew: Notify,
    counter: Cell<u32>,
    /// One change at a time.
    pub(super) changing: tokio::sync::Mutex<()>,
    pub(super) ended: Notify,
    /// Everything is being removed.
    ending: Cell<bool>,
}

/// Runs a supervisor: `labctl supervisor run FOLDER DISK COMMANDS…`, listening on standard input;
/// `labctl supervisor probe FOLDER`, which tries what the engine needs and prints what it found;
/// `labctl supervisor pod DISK COMMANDS…`, process 1 of a container that holds an instance; or
/// `labctl supervisor relay`, the way into it.
pub fn supervisor_main(args: Vec<OsString>) -> ExitCode {
    let args: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    match args.first().map(String::as_str) {
        Some("probe") if args.len() == 2 => diagnose::probe(Path::new(&args[1])),
        Some("run") if args.len() >= 3 => {
            run(Path::new(&args[1]), args[2].parse().ok(), &args[3..])
        }
        Some("pod") if args.len() >= 2 => contained::main(args[1].parse().ok(), &args[2..]),
        Some("relay") => relay::main(Path::new(contained::FOLDER)),
        _ => {
            use std::io::Write;
            let text = b"labctl supervisor is started by labctl itself, not by hand\n";
            // There is nobody else to tell.
            let _ = io::stderr().lock().write_all(text);
            ExitCode::from(2)
        }
    }
}

fn run(folder: &Path, disk: Option<u64>, commands: &[String]) -> ExitCode {
    // The caller waits for this process; the supervisor itself is an orphan from the start.
    match process::clone(0) {
        Ok(Some(_)) => return ExitCode::SUCCESS,
        Ok(None) => {}
        Err(_) => return ExitCode::FAILURE,
    }
    serve(folder, disk, commands, listener(), false);
    ExitCode::SUCCESS
}

/// Is the supervisor of `folder` until its end. `resume` makes the lab again that is kept there, and
/// waits for its first order for ever: something else looks after it.
pub(super) fn serve(
    folder: &Path,
    disk: Option<u64>,
    commands: &[String],
    listener: Option<std::os::unix::net::UnixListener>,
    resume: bool,
) {
    // Two descriptors a node; where they cannot be had, large labs fail and say so.
    let _ = process::all_descriptors();
    super::neighbours::make_room();
    let result = nix::unistd::setsid()
        .doing("starting a session")
        .and_then(|_| sandbox::enter(folder, commands, disk));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (Ok(runtime), Some(listener)) = (runtime, listener) else { return };
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let unblocked = listener.set_nonblocking(true);
        let Ok(listener) = unblocked.and_then(|()| UnixListener::from_std(listener)) else {
            return;
        };
        match result.and_then(|sandbox| prepare(sandbox, folder)) {
            Ok(supervisor) => {
                let supervisor = Rc::new(supervisor);
                if resume {
                    supervisor.resume().await;
                }
                listen(listener, supervisor, resume).await;
            }
            // Whoever started this supervisor is told why there is none.
            Err(error) => {
                if let Ok((mut stream, _)) = listener.accept().await {
                    let failure = Failure::from(diagnose::explain(&error));
                    let _ = wire::receive::<Request>(&mut stream).await;
                    let _ = wire::send(&mut stream, &Reply::Failed(failure), &[]).await;
                }
            }
        }
    });
}

/// The socket that was handed over as standard input, which becomes `/dev/null`.
fn listener() -> Option<std::os::unix::net::UnixListener> {
    let fd = io::stdin().as_fd().try_clone_to_owned().ok()?;
    Some(std::os::unix::net::UnixListener::from(fd))
}

fn prepare(sandbox: Sandbox, folder: &Path) -> io::Result<Supervisor> {
    let filters = Filters::compile().map_err(io::Error::other)?;
    let bridges = Bridges::open().map_err(io::Error::other)?;
    let root = folder.parent().unwrap_or(folder);
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok(Supervisor {
        sandbox,
        filters,
        group: format!("{}.{name}", cgroup::owner(root)),
        program: super::program(Path::new("/proc/self/exe"))?,
        nodes: RefCell::default(),
        bridges: RefCell::new(bridges),
        networks: RefCell::default(),
        kept: RefCell::default(),
        kept_anew: Notify::new(),
        counter: Cell::new(1000),
        changing: tokio::sync::Mutex::new(()),
        ended: Notify::new(),
        ending: Cell::new(false),
    })
}

async fn listen(listener: UnixListener, supervisor: Rc<Supervisor>, patient: bool) {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::pin!(terminate);
    loop {
        // Whoever started this supervisor may have been killed before it could say what for.
        let abandoned = async {
            let created = supervisor.kept.borrow().created;
            match created {
                0 if !patient => tokio::time::sleep(PATIENCE).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = abandoned => return,
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::task::spawn_local(serve::connection(stream, supervisor.clone()));
                }
            }
            () = supervisor.ended.notified() => return,
            () = supervisor.time_is_over() => {
                // A forgotten copy gives back its memory though no labctl comes by; its folder
                // says what it was until one does.
                let (silent, _) = tokio::sync::mpsc::unbounded_channel();
                let _ = supervisor.clear(&silent).await;
                return;
            }
            _ = &mut terminate => {
                // As after a crash: the folder stays for `up` or `gc`.
                let (silent, _) = tokio::sync::mpsc::unbounded_channel();
                let _ = supervisor.clear(&silent).await;
                return;
            }
        }
    }
}

/// Takes events of a change.
pub(super) type Events = tokio::sync::mpsc::UnboundedSender<(String, &'static str)>;

fn tell(events: &Events, subject: &str, what: &'static str) {
    // Whoever asked may be gone; the work goes on.
    let _ = events.send((subject.to_owned(), what));
}

impl Supervisor {
    pub(super) fn node(&self, name: &str) -> Result<Rc<Node>> {
        self.nodes.borrow().get(name).cloned().ok_or_else(|| {
            let nodes = self.nodes.borrow();
            let known: Vec<&str> = nodes.keys().map(String::as_str).collect();
            Error::NotFound(format!(
                "there is no node `{name}` in {}; it has {}",
                self.kept.borrow().deployment.instance,
                known.join(", ")
            ))
        })
    }

    pub(super) fn status(&self) -> Status {
        let kept = self.kept.borrow();
        Status {
            program: self.program.clone(),
            instance: kept.deployment.instance.clone(),
            lab: kept.deployment.lab.clone(),
            created: kept.created,
            labels: kept.deployment.labels.clone(),
            networks: self.networks.borrow().keys().cloned().collect(),
            nodes: self.nodes.borrow().values().map(|node| node.status()).collect(),
        }
    }

    /// Waits for the second that the deployment's label [`crate::EXPIRES`] names; for ever where
    /// there is none.
    async fn time_is_over(&self) {
        loop {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let left = self.kept.borrow().deployment.expires().map(|end| end.saturating_sub(now));
            match left {
                Some(Duration::ZERO) => return,
                // The clock of the day may be set while this one runs.
                Some(left) => {
                    let until = tokio::time::sleep(left.min(Duration::from_secs(60)));
                    tokio::select! {
                        () = until => {}
                        () = self.kept_anew.notified() => {}
                    }
                }
                None => self.kept_anew.notified().await,
            }
        }
    }

    /// Makes the instance what `deployment` says.
    pub(super) async fn apply(
        self: &Rc<Self>,
        deployment: Deployment,
        events: &Events,
    ) -> Result<Changes> {
        let _one = self.changing.lock().await;
        for spec in &deployment.nodes {
            folder::check_name(spec.name())?;
        }
        let changes = plan::changes(&self.status(), &deployment, &self.program);
        self.keep(&deployment)?;
        let bounded = self.sandbox.cgroups.instance(&self.group, &deployment.limits);
        bounded.map_err(|error| Error::failed("bounding the instance", error))?;
        let mut errors = Vec::new();
        let leaving: Vec<Rc<Node>> = {
            // A node that was only stopped keeps its files.
            let same: BTreeSet<String> = deployment.nodes.iter().map(NodeSpec::hash).collect();
            let nodes = self.nodes.borrow();
            let leaving = plan::nodes(&changes.remove).chain(plan::nodes(&changes.replace));
            let leaving = leaving.filter_map(|name| nodes.get(name).cloned());
            leaving.filter(|node| !same.contains(&node.hash)).collect()
        };
        let stopped = leaving.iter().map(|node| async {
            tell(events, node.name(), "removing");
            self.forget(node).await.inspect(|()| tell(events, node.name(), "removed"))
        });
        errors.extend(futures::future::join_all(stopped).await.into_iter().filter_map(Result::err));
        errors.extend(self.switches(&deployment, events).err());
        let wanted: BTreeSet<&str> =
            plan::nodes(&changes.create).chain(plan::nodes(&changes.replace)).collect();
        let started =
            deployment.nodes.iter().filter(|spec| wanted.contains(spec.name())).map(|spec| {
                let mut nodes = self.nodes.borrow_mut();
                let node =
                    nodes.entry(spec.name().to_owned()).or_insert_with(|| Node::new(spec.clone()));
                let node = node.clone();
                async move {
                    tell(events, node.name(), "starting");
                    let result = node.start(self).await;
                    match &result {
                        Ok(()) => tell(events, node.name(), "started"),
                        // It is not there, so that the next `up` makes it.
                        Err(_) => {
                            tell(events, node.name(), "failed");
                            let _ = self.forget(&node).await;
                        }
                    }
                    result
                }
            });
        let started = futures::stream::iter(started.collect::<Vec<_>>()).buffer_unordered(BIRTHS);
        errors.extend(started.collect::<Vec<_>>().await.into_iter().filter_map(Result::err));
        Error::collect(errors)?;
        Ok(changes)
    }

    /// Makes the lab again that is kept in the folder; what fails is said on standard error.
    async fn resume(self: &Rc<Self>) {
        let Some(kept) = folder::read_kept(Path::new(DIR)) else { return };
        self.kept.borrow_mut().created = kept.created;
        let (silent, _) = tokio::sync::mpsc::unbounded_channel();
        if let Err(error) = self.apply(kept.deployment, &silent).await {
            use std::io::Write;
            // There is nobody else to tell.
            let _ = writeln!(io::stderr().lock(), "making the lab again: {error}");
        }
    }

    fn keep(&self, deployment: &Deployment) -> Result<()> {
        let mut kept = self.kept.borrow_mut();
        if kept.created == 0 {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            kept.created = now.as_secs() as i64;
        }
        kept.deployment = deployment.clone();
        self.kept_anew.notify_one();
        folder::write_kept(Path::new(DIR), &kept)
            .map_err(|error| Error::failed("keeping the deployment", error))
    }

    /// Makes the bridges that are missing and removes those that are too many.
    fn switches(&self, deployment: &Deployment, events: &Events) -> Result<()> {
        let wanted: BTreeSet<&str> =
            deployment.networks.iter().map(|network| network.name.as_str()).collect();
        let mut networks = self.networks.borrow_mut();
        let mut bridges = self.bridges.borrow_mut();
        let mut errors = Vec::new();
        let old: Vec<String> =
            networks.keys().filter(|name| !wanted.contains(name.as_str())).cloned().collect();
        for name in old {
            let Some(index) = networks.remove(&name) else { continue };
            match bridges.remove(index) {
                Ok(()) => tell(events, &name, "removed"),
                Err(error) => errors.push(Error::failed(format!("removing {name}"), error)),
            }
        }
        for name in wanted {
            if networks.contains_key(name) {
                continue;
            }
            let index = self.next();
            match bridges.add(&format!("br{index}"), index) {
                Ok(()) => {
                    networks.insert(name.to_owned(), index);
                    tell(events, name, "created");
                }
                Err(error) => errors.push(Error::failed(format!("creating {name}"), error)),
            }
        }
        Error::collect(errors)
    }

    fn next(&self) -> u32 {
        self.counter.set(self.counter.get() + 1);
        self.counter.get()
    }

    /// Pulls cables: a dead node's namespace would answer for a while yet. Not worth the time when
    /// everything ends.
    pub(super) fn unplug(&self, node: &str, ports: &[String]) -> Result<()> {
        if self.ending.get() {
            return Ok(());
        }
        let pulled = self.bridges.borrow_mut().unplug(ports);
        pulled.map_err(|error| Error::failed(format!("the interfaces of {node}"), error))
    }

    /// Has the switches forward by cables whose far ends are on now.
    pub(super) fn settle(&self, ports: &[String]) {
        // They would in any case, only later.
        let _ = self.bridges.borrow_mut().settle(ports);
    }

    /// Plugs a node's cables; the names of their near ends.
    pub(super) fn plug(&self, spec: &NodeSpec, process: u32) -> Result<Vec<String>> {
        let networks = self.networks.borrow();
        let cables = spec.config.links.iter().map(|link| {
            let what = || format!("plugging {} into {}", spec.name(), link.network);
            let bridge = *networks
                .get(&link.network)
                .ok_or_else(|| Error::failed(what(), "there is no such network"))?;
            let mac = link.mac.parse().map_err(|error| Error::failed(what(), error))?;
            let index = self.next();
            Ok(Cable {
                port: format!("port{index}"),
                index,
                bridge,
                process,
                name: link.name.clone(),
                mac,
            })
        });
        let cables = cables.collect::<Result<Vec<_>>>()?;
        self.bridges
            .borrow_mut()
            .plug(&cables)
            .map_err(|error| Error::failed(format!("the interfaces of {}", spec.name()), error))?;
        Ok(cables.into_iter().map(|cable| cable.port).collect())
    }

    /// Ends a node and removes all it had.
    async fn forget(&self, node: &Rc<Node>) -> Result<()> {
        let name = node.name();
        let mut errors: Vec<Error> = node.stop(false).await.err().into_iter().collect();
        if self.nodes.borrow().get(name).is_some_and(|there| Rc::ptr_eq(there, node)) {
            self.nodes.borrow_mut().remove(name);
        }
        let gone = self.sandbox.cgroups.remove_node(&self.group, name);
        errors.extend(gone.err().map(|e| Error::failed(format!("{name}'s control groups"), e)));
        let gone = start::remove_disk(name);
        errors.extend(gone.err().map(|e| Error::failed(format!("{name}'s files"), e)));
        Error::collect(errors)
    }

    /// Ends everything.
    pub(super) async fn clear(&self, events: &Events) -> Result<Changes> {
        let _one = self.changing.lock().await;
        self.ending.set(true);
        let nodes: Vec<Rc<Node>> = self.nodes.borrow().values().cloned().collect();
        let mut changes = Changes::default();
        changes.remove.extend(nodes.iter().map(|node| plan::node(node.name())));
        changes.remove.extend(self.networks.borrow().keys().map(|name| plan::network(name)));
        let gone = nodes.iter().map(|node| async {
            tell(events, node.name(), "removing");
            self.forget(node).await.inspect(|()| tell(events, node.name(), "removed"))
        });
        let mut errors: Vec<Error> =
            futures::future::join_all(gone).await.into_iter().filter_map(Result::err).collect();
        let groups = self.sandbox.cgroups.remove_instance(&self.group);
        errors.extend(
            groups.err().map(|error| Error::failed("the instance's control groups", error)),
        );
        Error::collect(errors).map(|()| changes)
    }
}

/// Sends a reply; a client that is gone is none of the supervisor's business.
pub(super) async fn reply(stream: &mut UnixStream, reply: &Reply, fds: &[BorrowedFd<'_>]) -> bool {
    wire::send(stream, reply, fds).await.is_ok()
}
