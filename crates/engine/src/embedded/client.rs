//! labctl's end of the conversation with a supervisor.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::stream::{self, Stream};
use tokio::net::UnixStream;

use super::cgroup::{self, Cgroups};
use super::folder::{Folder, Kept};
use super::wire::{self, NodeStatus, Reply, Request, Status};
use super::{Options, event, plan};
use crate::{Changes, Error, Event, LogLine, PATIENCE, Progress, Result};

/// Asks one question. `None` when the instance has no supervisor.
pub(super) async fn ask(folder: &Folder, request: &Request) -> Result<Option<Reply>> {
    let Some(mut stream) = folder.connect().await? else { return Ok(None) };
    say(&mut stream, request).await?;
    next(&mut stream).await.map(Some)
}

/// What runs. `None` when the instance has no supervisor, or one that is just ending.
pub(super) async fn status(folder: &Folder) -> Result<Option<Status>> {
    let Some(mut stream) = folder.connect().await? else { return Ok(None) };
    let asked = wire::send(&mut stream, &Request::Status, &[]).await;
    let answer = match asked {
        Ok(()) => wire::receive::<Reply>(&mut stream).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(Some((Reply::Status(status), _))) => Ok(Some(*status)),
        Ok(Some((Reply::Failed(failure), _))) => Err(failure.into()),
        Ok(Some((other, _))) => Err(unexpected(&other)),
        Ok(None) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(None),
        Err(error) => Err(Error::failed("asking the instance's supervisor", error)),
    }
}

/// Connects to the supervisor of an instance that must exist.
pub(super) async fn must_connect(folder: &Folder, instance: &str) -> Result<UnixStream> {
    folder.connect().await?.ok_or_else(|| missing(folder, instance))
}

/// Sends a request.
pub(super) async fn say(stream: &mut UnixStream, request: &Request) -> Result<()> {
    let sent = wire::send(stream, request, &[]).await;
    sent.map_err(|error| Error::failed("asking the instance's supervisor", error))
}

/// The next reply; a failure of the supervisor's is an error.
pub(super) async fn next(stream: &mut UnixStream) -> Result<Reply> {
    match wire::receive::<Reply>(stream).await {
        Ok(Some((Reply::Failed(failure), _))) => Err(failure.into()),
        Ok(Some((reply, _))) => Ok(reply),
        Ok(None) => Err(Error::failed(
            "asking the instance's supervisor",
            "it has ended; its last words are in supervisor.log in the instance's folder, and \
             `labctl up` starts it again",
        )),
        Err(error) => Err(Error::failed(
            "asking the instance's supervisor",
            format!(
                "{error}; it may be of another version of labctl: `labctl down` and `up` \
                     replace it"
            ),
        )),
    }
}

/// A reply that does not belong to the question.
pub(super) fn unexpected(reply: &Reply) -> Error {
    Error::failed("asking the instance's supervisor", format!("it answered {reply:?}"))
}

/// The instance has no supervisor: it does not exist, or its supervisor died.
pub(super) fn missing(folder: &Folder, instance: &str) -> Error {
    match folder.kept() {
        Some(_) => Error::NotFound(format!(
            "the supervisor of {instance} has died and its nodes with it; `labctl up` starts it \
             again, `labctl down {instance}` clears it away"
        )),
        None => Error::NotFound(format!("there is no instance {instance}")),
    }
}

/// What is known of an instance whose supervisor has died.
pub(super) fn dead(instance: &str, kept: Kept) -> Status {
    let nodes = kept.deployment.nodes.iter().map(|spec| NodeStatus {
        name: spec.name().to_owned(),
        state: "exited".into(),
        detail: "its supervisor has died; `labctl up` starts it again".into(),
        pid: None,
        hash: String::new(),
    });
    Status {
        program: String::new(),
        instance: instance.to_owned(),
        lab: kept.deployment.lab.clone(),
        created: kept.created,
        labels: kept.deployment.labels.clone(),
        networks: Vec::new(),
        nodes: nodes.collect(),
    }
}

/// Starts a supervisor and connects to it. Its socket is made here and handed over, so it can be
/// connected to at once.
pub(super) async fn start(
    folder: &Folder,
    options: &Options,
    disk: Option<u64>,
) -> Result<UnixStream> {
    let what = "starting the instance's supervisor";
    let fail = |error: std::io::Error| Error::failed(what, error);
    let path = std::fs::canonicalize(folder.path()).map_err(fail)?;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path.join("supervisor.log"))
        .map_err(fail)?;
    let listener = folder.listen().map_err(fail)?;
    let mut command = Command::new(&options.program);
    command
        .args(["supervisor", "run"])
        .arg(&path)
        .arg(disk.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string()))
        .args(&options.commands)
        .env_clear()
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
        .stdout(Stdio::from(log.try_clone().map_err(fail)?))
        .stderr(Stdio::from(log))
        .current_dir("/");
    // The process started here makes the supervisor and ends at once.
    let status = tokio::task::spawn_blocking(move || command.status());
    let status = status.await.map_err(|error| Error::failed(what, error))?.map_err(fail)?;
    if !status.success() {
        return Err(Error::failed(
            what,
            format!("{} ended with {status}", options.program.display()),
        ));
    }
    folder.connect().await?.ok_or_else(|| {
        let log = std::fs::read_to_string(path.join("supervisor.log")).unwrap_or_default();
        Error::failed(what, format!("it ended at once: {}", log.trim()))
    })
}

/// Asks for a change and tells of it as it happens.
pub(super) async fn change(
    stream: &mut UnixStream,
    request: &Request,
    progress: Progress<'_>,
) -> Result<Changes> {
    say(stream, request).await?;
    loop {
        match next(stream).await? {
            Reply::Event { subject, what } => progress(event(subject, &what)),
            Reply::Changes(changes) => return Ok(changes),
            other => return Err(unexpected(&other)),
        }
    }
}

/// Waits until the supervisor has ended, and its namespaces with it.
pub(super) async fn ended(stream: &mut UnixStream, folder: &Folder) -> Result<()> {
    let gone = async {
        while let Ok(Some(_)) = wire::receive::<Reply>(stream).await {}
        let mut pause = Duration::from_millis(1);
        // The connection ends a moment before the process does.
        while let Ok(Some(_)) = folder.connect().await {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.map_err(|_| {
        Error::failed(
            "waiting for the supervisor's end",
            format!("it still runs; end it by hand: `fuser -k {}/socket`", folder.path().display()),
        )
    })
}

/// Ends a supervisor that does not do it by itself: by SIGTERM, after a while by SIGKILL, which takes
/// its nodes along.
pub(super) async fn end(folder: &Folder) -> Result<()> {
    use nix::sys::signal::{Signal, kill};
    let what = || format!("ending the supervisor in {}", folder.path().display());
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let Some(pid) = folder.supervisor() else { break };
        match kill(nix::unistd::Pid::from_raw(pid), signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(errno) => return Err(Error::failed(what(), errno.desc())),
        }
        let gone = async {
            let mut pause = Duration::from_millis(1);
            while folder.supervisor().is_some() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(20));
            }
        };
        // A second for the gentle way, and more for the kernel to take all of it down.
        let patience = if signal == Signal::SIGTERM { Duration::from_secs(1) } else { PATIENCE };
        if tokio::time::timeout(patience, gone).await.is_ok() {
            return Ok(());
        }
    }
    match folder.connect().await? {
        None => Ok(()),
        Some(_) => Err(Error::failed(
            what(),
            format!("it still runs; end it by hand: `fuser -k {}/socket`", folder.path().display()),
        )),
    }
}

/// What goes of an instance whose supervisor has died: only its folder was left.
pub(super) fn left_behind(folder: &Folder, instance: &str, progress: Progress<'_>) -> Changes {
    progress(Event { subject: instance.to_owned(), what: "removed" });
    let old = folder.kept().map(|kept| kept.deployment).unwrap_or_default();
    let nodes = old.nodes.iter().map(|spec| plan::node(spec.name()));
    let networks = old.networks.iter().map(|network| plan::network(&network.name));
    Changes { remove: nodes.chain(networks).collect(), ..Changes::default() }
}

fn groups() -> Cgroups {
    Cgroups::find(Path::new("/sys/fs/cgroup"))
}

/// Removes what an instance without a supervisor may have left: control groups and its folder.
pub(super) fn sweep(state: &Path, folder: &Folder, instance: &str) -> Result<()> {
    let real = std::fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
    let group = format!("{}.{instance}", cgroup::owner(&real));
    let removed = groups()
        .remove_instance(&group)
        .map_err(|error| Error::failed(format!("the control groups of {instance}"), error));
    let folder =
        folder.remove().map_err(|error| Error::failed(format!("the folder of {instance}"), error));
    Error::collect([removed, folder].into_iter().filter_map(Result::err).collect())
}

/// Removes control groups of instances that have no folder any more.
pub(super) fn sweep_groups(state: &Path, gone: &mut Vec<String>) -> Result<()> {
    let real = std::fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
    let groups = groups();
    let mut errors = Vec::new();
    for group in groups.instances(&cgroup::owner(&real)) {
        let name = group.split_once('.').map_or(group.as_str(), |(_, name)| name);
        if state.join(name).exists() {
            continue;
        }
        match groups.remove_instance(&group) {
            Ok(()) => gone.push(name.to_owned()),
            Err(error) => {
                errors.push(Error::failed(format!("the control groups of {name}"), error))
            }
        }
    }
    groups.tidy();
    Error::collect(errors)
}

/// A descriptor that the supervisor hands over.
pub(super) async fn descriptor(mut stream: UnixStream, request: &Request) -> Result<UnixStream> {
    say(&mut stream, request).await?;
    let what = "taking over a connection";
    match wire::receive::<Reply>(&mut stream).await {
        Ok(Some((Reply::Failed(failure), _))) => Err(failure.into()),
        Ok(Some((_, fds))) => {
            let fd = fds.into_iter().next().ok_or_else(|| Error::failed(what, "none came"))?;
            let socket = std::os::unix::net::UnixStream::from(fd);
            socket.set_nonblocking(true).map_err(|error| Error::failed(what, error))?;
            UnixStream::from_std(socket).map_err(|error| Error::failed(what, error))
        }
        Ok(None) => Err(Error::failed(what, "the supervisor has ended")),
        Err(error) => Err(Error::failed(what, error)),
    }
}

/// A node's log.
pub(super) async fn lines(
    mut stream: UnixStream,
    node: &str,
    follow: bool,
) -> Result<impl Stream<Item = Result<LogLine>> + Send + 'static> {
    say(&mut stream, &Request::Logs { node: node.to_owned(), follow }).await?;
    let node = node.to_owned();
    Ok(stream::unfold(Some(stream), move |stream| {
        let node = node.clone();
        async move {
            let mut stream = stream?;
            match wire::receive::<Reply>(&mut stream).await {
                Ok(Some((Reply::Line(text), _))) => {
                    Some((Ok(LogLine { node, text }), Some(stream)))
                }
                Ok(Some((Reply::Failed(failure), _))) => Some((Err(failure.into()), None)),
                // The end, or the end of the instance.
                Ok(_) => None,
                Err(error) => Some((Err(Error::failed(format!("{node}'s log"), error)), None)),
            }
        }
    }))
}

/// Runs `program supervisor probe`: facts, or why the engine cannot run.
pub(super) async fn probe(program: &Path, state: &Path) -> Result<String> {
    let fail = |error: std::io::Error| Error::failed("trying the embedded engine", error);
    super::folder::make_root(state)?;
    let folder = super::folder::probe(state).map_err(fail)?;
    let mut command = Command::new(program);
    command.args(["supervisor", "probe"]).arg(&folder).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let removed = std::fs::remove_dir_all(&folder).map_err(fail);
    let output = output.map_err(|error| Error::failed("trying the embedded engine", error))?;
    let output = output.map_err(|error| Error::failed("trying the embedded engine", error))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return removed.map(|()| text);
    }
    let mut lines = text.lines();
    Err(Error::Unavailable {
        message: lines.next().unwrap_or("the embedded engine cannot run here").to_owned(),
        help: lines.next().unwrap_or_default().to_owned(),
    })
}
