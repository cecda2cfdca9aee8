//! One connection to a supervisor: a request and its replies.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::exec::{self, Job};
use super::process::{self, Child};
use super::running::Node;
use super::start::root_of;
use super::supervisor::{Events, Supervisor, reply};
use super::wire::{self, Reply, Request};
use crate::{Changes, Error, PATIENCE, Result};

/// How long a command whose client is gone may take to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// Answers one connection.
pub(super) async fn connection(mut stream: UnixStream, supervisor: Rc<Supervisor>) {
    let Ok(Some((request, fds))) = wire::receive::<Request>(&mut stream).await else { return };
    let result = answer(&mut stream, &supervisor, request, fds).await;
    if let Err(error) = result {
        reply(&mut stream, &Reply::Failed(error.into()), &[]).await;
    }
}

async fn answer(
    stream: &mut UnixStream,
    supervisor: &Rc<Supervisor>,
    request: Request,
    fds: Vec<OwnedFd>,
) -> Result<()> {
    match request {
        Request::Status => {
            reply(stream, &Reply::Status(Box::new(supervisor.status())), &[]).await;
        }
        Request::Apply { deployment } => {
            let owner = supervisor.clone();
            change(stream, async move |events| owner.apply(*deployment, &events).await).await?;
        }
        Request::Remove => {
            let owner = supervisor.clone();
            let result = change(stream, async move |events| owner.clear(&events).await).await;
            if let Err(error) = result {
                reply(stream, &Reply::Failed(error.into()), &[]).await;
            }
            supervisor.ended.notify_one();
        }
        Request::Exec { node, command, env, terminal } => {
            let node = supervisor.node(&node)?;
            run(stream, supervisor, &node, &command, &env, terminal, fds).await?;
        }
        Request::Logs { node, follow } => {
            logs(stream, &*supervisor.node(&node)?, follow).await;
        }
        Request::Control { node } => {
            let socket = control(&*supervisor.node(&node)?).await?;
            reply(stream, &Reply::Done, &[socket.as_fd()]).await;
        }
        Request::Stop { node } => {
            let _one = supervisor.changing.lock().await;
            supervisor.node(&node)?.stop(true).await?;
            reply(stream, &Reply::Done, &[]).await;
        }
        Request::Start { node } => {
            let _one = supervisor.changing.lock().await;
            supervisor.node(&node)?.start(supervisor).await?;
            reply(stream, &Reply::Done, &[]).await;
        }
        Request::Memory { node } => {
            let bytes = supervisor.node(&node)?.first().map(|first| memory(first.pid()));
            reply(stream, &Reply::Memory(bytes), &[]).await;
        }
    }
    Ok(())
}

/// Runs a change to its end, whether or not somebody still listens, and tells of it on the way.
async fn change<F>(stream: &mut UnixStream, action: F) -> Result<()>
where
    F: AsyncFnOnce(Events) -> Result<Changes> + 'static,
{
    let (events, mut happened) = mpsc::unbounded_channel();
    let work = tokio::task::spawn_local(async move { action(events).await });
    while let Some((subject, what)) = happened.recv().await {
        reply(stream, &Reply::Event { subject, what: what.to_owned() }, &[]).await;
    }
    let changes = work.await.map_err(|error| Error::failed("changing the instance", error))??;
    reply(stream, &Reply::Changes(changes), &[]).await;
    Ok(())
}

async fn logs(stream: &mut UnixStream, node: &Node, follow: bool) {
    let log = node.log.clone();
    let mut next = 0;
    loop {
        let (lines, after) = log.since(next);
        next = after;
        for line in lines {
            if !reply(stream, &Reply::Line(line), &[]).await {
                return;
            }
        }
        if !follow {
            break;
        }
        let mut byte = [0; 1];
        tokio::select! {
            () = log.wait(next) => {}
            // The reader is gone.
            _ = stream.read(&mut byte) => return,
        }
    }
    reply(stream, &Reply::Done, &[]).await;
}

fn not_running(node: &Node) -> Error {
    let status = node.status();
    let detail =
        if status.detail.is_empty() { String::new() } else { format!(" ({})", status.detail) };
    Error::failed(
        format!("reaching {}", node.name()),
        format!("it is {}{detail}; `labctl start` starts a stopped node", status.state),
    )
}

/// A connection to the node's agent, as soon as it listens.
async fn control(node: &Node) -> Result<OwnedFd> {
    let begun = Instant::now();
    loop {
        let first = node.first().map(|first| first.pid());
        let error = match agent_socket(&root_of(node.name())) {
            Ok((socket, listener)) if Some(listener) == first => return Ok(socket),
            // A node that has just been started anew is looked at again.
            Ok((_, listener)) if first.is_some() && first == node.first().map(|now| now.pid()) => {
                return Err(Error::failed(
                    format!("connecting to the agent of {}", node.name()),
                    format!(
                        "process {listener} of the node listens in the agent's place, so nothing \
                         that it says counts; `labctl restart {}` makes the socket anew",
                        node.name()
                    ),
                ));
            }
            Ok(_) => io::Error::other("it is being started again"),
            Err(error) => error,
        };
        if !node.alive() {
            return Err(not_running(node));
        }
        if begun.elapsed() > PATIENCE {
            let last = node.log.last().unwrap_or_default();
            return Err(Error::failed(
                format!("connecting to the agent of {}", node.name()),
                format!("{error}; the last line of its log: {last}"),
            ));
        }
        // It is being started: its socket is looked for until it accepts, and found at most a
        // quarter of the time too late.
        let pause = begun.elapsed() / 4;
        tokio::time::sleep(pause.clamp(Duration::from_millis(1), Duration::from_millis(20))).await;
    }
}

/// Connects to a socket in a node's files. Each step is opened without following links, so that a
/// node cannot point its supervisor elsewhere. With it comes the process that listens, as the kernel
/// noted it: any process of the node can put a socket of its own in the agent's place.
fn agent_socket(root: &Path) -> io::Result<(OwnedFd, u32)> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    let open = |path: &Path| fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
    let mut at = open(root)?;
    let inside = Path::new(node::paths::AGENT_SOCKET);
    for step in inside.strip_prefix("/").unwrap_or(inside) {
        if at.metadata()?.file_type().is_symlink() {
            return Err(io::ErrorKind::NotFound.into());
        }
        at = open(&PathBuf::from(format!("/proc/self/fd/{}", at.as_raw_fd())).join(step))?;
    }
    use std::os::unix::fs::FileTypeExt;
    if !at.metadata()?.file_type().is_socket() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let path = format!("/proc/self/fd/{}", at.as_raw_fd());
    let socket = std::os::unix::net::UnixStream::connect(path)?;
    let peer = getsockopt(&socket, PeerCredentials)?;
    Ok((socket.into(), peer.pid().unsigned_abs()))
}

/// A command from its start to its end.
async fn run(
    stream: &mut UnixStream,
    supervisor: &Rc<Supervisor>,
    node: &Rc<Node>,
    command: &[String],
    env: &[(String, String)],
    terminal: Option<(u16, u16)>,
    fds: Vec<OwnedFd>,
) -> Result<()> {
    let what = || format!("running `{}` in {}", command.join(" "), node.name());
    let fail = |error: io::Error| Error::failed(what(), error);
    let first = node.first().ok_or_else(|| not_running(node))?;
    let groups = supervisor.sandbox.cgroups.node(&supervisor.group, node.name(), &node.spec.limits);
    let sent = exec::send(&Job {
        spec: &node.spec,
        first: &first,
        own_user: supervisor.sandbox.own_user,
        filters: &supervisor.filters,
        groups: groups.map_err(fail)?,
        command,
        env,
        terminal,
        // The supervisor's copies close at the end of this statement.
        streams: <[OwnedFd; 3]>::try_from(fds).ok(),
    })
    .map_err(fail)?;
    let helper = Child::new(sent.helper).map_err(fail)?;
    sent.report.set_nonblocking(true).map_err(fail)?;
    let mut report = UnixStream::from_std(sent.report).map_err(fail)?;
    let told = wire::receive_bytes(&mut report).await;
    helper.wait().await.map_err(fail)?;
    let (bytes, mut fds) = told.map_err(fail)?;
    let number = bytes.first_chunk().map_or(0, |head| i32::from_ne_bytes(*head));
    if number <= 0 {
        let text = String::from_utf8_lossy(bytes.get(4..).unwrap_or_default()).into_owned();
        return Err(fail(io::Error::other(text)));
    }
    let child = Child::new(nix::unistd::Pid::from_raw(number)).map_err(fail)?;
    let terminal: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    reply(stream, &Reply::Started, &terminal).await;
    drop(terminal);
    fds.clear();
    let mut byte = [0; 1];
    let status = tokio::select! {
        status = child.wait() => status,
        // The client is gone: so is its command, gently first.
        _ = stream.read(&mut byte) => {
            child.signal(libc::SIGHUP).map_err(fail)?;
            match tokio::time::timeout(GRACE, child.wait()).await {
                Ok(status) => status,
                Err(_) => {
                    child.signal(libc::SIGKILL).map_err(fail)?;
                    child.wait().await
                }
            }
        }
    };
    reply(stream, &Reply::Exit(process::exit_code(status.map_err(fail)?)), &[]).await;
    Ok(())
}

/// Bytes held by a process and all below it, shared pages in proportion.
fn memory(pid: u32) -> u64 {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let rollup = fs::read_to_string(proc.join("smaps_rollup")).unwrap_or_default();
    let own: u64 = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0);
    let tasks = fs::read_dir(proc.join("task")).into_iter().flatten().flatten();
    let below: u64 = tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|children| {
            children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
        })
        .map(memory)
        .sum();
    own * 1024 + below
}
