//! Standard input and output joined to the agent's socket.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// How long a starting agent has to open its socket.
const PATIENCE: Duration = Duration::from_secs(30);

/// Copies bytes between standard input, standard output and the agent's socket until either side
/// ends; waits for an agent that is only starting. `[SOCKET]`, else the node's own.
///
/// Exit code 0 when a side ended, 1 when there is no agent.
pub fn relay(args: Vec<OsString>) -> ExitCode {
    let path = args.first().map_or(Path::new(node::paths::AGENT_SOCKET), Path::new);
    let joined = connect(path).and_then(join);
    match joined {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("relay: the agent's socket {}: {error}\n", path.display());
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
            ExitCode::FAILURE
        }
    }
}

/// Connects, as soon as the socket is there and accepts.
fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let deadline = Instant::now() + PATIENCE;
    let mut watch = None;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            // Not there yet, or the one that an agent before this left behind.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
            {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(error);
                }
                // The first time round only watches, for what came before the watch did not wake
                // it; then the connection is tried once more.
                match &watch {
                    None => watch = Some(watch_folder(path)?),
                    Some((inotify, folder)) => {
                        wait(inotify, left)?;
                        if Some(folder.as_path()) != path.parent() {
                            // The folder above was watched: the next one may be there now.
                            watch = None;
                        }
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Watches the folder of `path`, or the nearest one above it that exists.
fn watch_folder(path: &Path) -> std::io::Result<(Inotify, std::path::PathBuf)> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB;
    let mut folder = path.parent().unwrap_or(Path::new("/"));
    loop {
        match inotify.add_watch(folder, flags) {
            Ok(_) => return Ok((inotify, folder.into())),
            Err(error) => match folder.parent() {
                Some(above) => folder = above,
                None => return Err(error.into()),
            },
        }
    }
}

/// Waits until something happens in the watched folder.
fn wait(inotify: &Inotify, left: Duration) -> std::io::Result<()> {
    let mut fds = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)];
    // A socket is made before it accepts, and its folder tells only of the first: look again soon.
    let left = left.min(Duration::from_millis(20));
    poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX))?;
    let _ = inotify.read_events();
    Ok(())
}

fn join(stream: UnixStream) -> std::io::Result<()> {
    let to_agent = stream.try_clone()?;
    // A thread of its own: standard input cannot be waited for without blocking whatever it is.
    // When the agent ends first, the process ends with it.
    std::thread::spawn(move || {
        let _ = copy(std::io::stdin().lock(), &to_agent);
        // The agent drops what was still asked for, and ends its side.
        let _ = to_agent.shutdown(Shutdown::Write);
    });
    copy(&stream, std::io::stdout().lock())
}

fn copy(mut from: impl Read, mut to: impl Write) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                to.write_all(&buffer[..n])?;
                to.flush()?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The other side was ended, not closed.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
