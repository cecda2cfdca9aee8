//! The main program of a pod: `labctl supervisor pod`, process 1 of a container that holds one
//! instance.
//!
//! Process 1 stays in the container's own namespaces, so that `docker exec` finds the image there;
//! the supervisor is its child. When the supervisor ends, so does the container, and with it all it
//! held. Exit code 0 is the end of a lab whose time is over; after any other (killed, SIGTERM at the
//! daemon's own end) Docker starts the container again, and the supervisor makes the lab again from
//! what it kept in the container's own files.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::folder::Folder;
use super::process::{self, Doing};
use super::supervisor;

/// The instance's folder in a pod: its socket and what it shall be.
pub(super) const FOLDER: &str = "/var/lib/labctl/pod";

/// Runs the pod until its supervisor ends or SIGTERM comes. `disk` bounds all nodes' files together,
/// in bytes.
pub(super) fn main(disk: Option<u64>, commands: &[String]) -> ExitCode {
    match run(disk, commands) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "pod: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(disk: Option<u64>, commands: &[String]) -> io::Result<ExitCode> {
    let path = Path::new(FOLDER);
    DirBuilder::new().mode(0o700).recursive(true).create(path).doing("making the pod's folder")?;
    let root = path.parent().unwrap_or(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = Folder::new(root, &name).map_err(io::Error::other)?;
    let listener = folder.listen().doing("listening in the pod's folder")?;
    // Before there is a child, so that its end is not missed.
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
        signals.add(signal);
    }
    signals.thread_block().doing("taking signals")?;
    match process::clone(0).doing("making the supervisor")? {
        Some(pid) => {
            drop(listener);
            watch(&signals, pid)
        }
        None => {
            let unblocked = signals.thread_unblock();
            if unblocked.is_err() {
                process::leave(1);
            }
            supervisor::serve(path, disk, commands, Some(listener), true);
            process::leave(0)
        }
    }
}

/// What process 1 does: passes SIGTERM on, takes what its children leave, ends with the supervisor.
fn watch(signals: &SigSet, supervisor: Pid) -> io::Result<ExitCode> {
    let mut asked = false;
    loop {
        match signals.wait().doing("waiting for signals")? {
            Signal::SIGCHLD => {}
            _ => {
                asked = true;
                // It may have ended in this moment; its end is taken below.
                let _ = kill(supervisor, Signal::SIGTERM);
            }
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(nix::errno::Errno::ECHILD) => break,
                Ok(status) if status.pid() == Some(supervisor) => {
                    let code = match process::exit_code(status) {
                        0 if asked => 128 + libc::SIGTERM,
                        code => code,
                    };
                    let text = process::describe(status);
                    let _ = writeln!(io::stderr().lock(), "pod: the supervisor has ended: {text}");
                    return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
                }
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
