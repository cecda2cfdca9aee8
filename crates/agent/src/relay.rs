//! Standard input and output joined to the agent's socket.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long a starting agent has to open its socket.
const PATIENCE: Duration = Duration::from_secs(30);

/// Copies bytes between standard input, standard output and the agent's socket until either side
/// ends; waits for an agent that is only starting. `[SOCKET]`, else the node's own.
///
/// Exit code 0 when a side ended, 1 when there is no agent.
pub fn relay(args: Vec<OsString>) -> ExitCode {
    let path = args.first().map_or(Path::new(node::paths::AGENT_SOCKET), Path::new);
    // What passes through here is what checks believe: no process of the node may reach in.
    let closed = nix::sys::prctl::set_dumpable(false).map_err(std::io::Error::from);
    let joined = closed.and_then(|()| connect(path)).and_then(|stream| {
        if args.is_empty() {
            must_be_first(&stream)?;
        }
        join(stream)
    });
    match joined {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("relay: the agent's socket {}: {error}\n", path.display());
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
            ExitCode::FAILURE
        }
    }
}

/// Refuses to speak to any process but the node's first: another may have put a socket of its own in
/// the agent's place.
fn must_be_first(stream: &UnixStream) -> std::io::Result<()> {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    let listener = getsockopt(stream, PeerCredentials)?.pid();
    match listener {
        1 => Ok(()),
        other => Err(std::io::Error::other(format!(
            "process {other} listens in the agent's place, so nothing that it says counts; \
             `labctl restart` of the node makes the socket anew"
        ))),
    }
}

/// Connects, as soon as the socket is there and accepts. It is looked for again and again: watches of
/// folders are counted by user for the whole machine, so a node has none.
fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            // Not there yet, or the one that an agent before this left behind.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    }
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
