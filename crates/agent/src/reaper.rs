//! Process 1 takes in whatever lost its parent, and must bury it.
//!
//! The runtime waits for the agent's own children by their numbers. To wait for "any child" would
//! steal their exit codes, so the agent registers its own and buries only the others.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

fn own() -> std::sync::MutexGuard<'static, HashSet<i32>> {
    static OWN: OnceLock<Mutex<HashSet<i32>>> = OnceLock::new();
    OWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child of the agent's own; nobody else buries it while this lives.
#[derive(Debug)]
pub(crate) struct Own {
    pid: i32,
    /// The child, for the runtime to wait for.
    pub(crate) child: Child,
}

impl Own {
    /// Starts a child.
    pub(crate) fn spawn(command: &mut Command) -> std::io::Result<Self> {
        // The lock is held over the start, so that the child cannot end unknown.
        let mut own = own();
        let child = command.spawn()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        own.insert(pid);
        Ok(Self { pid, child })
    }

    /// Sends a signal to the child's process group, unless the child has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.child.id().is_some() {
            self.signal_group(signal);
        }
    }

    /// Sends a signal to the child's process group, also after the child has ended; the child must
    /// have been started as the leader of a group of its own.
    pub(crate) fn signal_group(&self, signal: Signal) {
        if self.pid > 0 {
            let _ = killpg(Pid::from_raw(self.pid), signal);
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        own().remove(&self.pid);
        // One that is still running is waited for by the runtime or, now unknown, by `bury`.
        let _ = self.child.try_wait();
    }
}

/// Buries every ended child that is not the agent's own. Called at each SIGCHLD.
pub(crate) fn bury() {
    let own = own();
    for pid in zombies() {
        if own.contains(&pid) {
            continue;
        }
        let pid = Pid::from_raw(pid);
        while waitpid(pid, Some(WaitPidFlag::WNOHANG)) == Err(Errno::EINTR) {}
    }
}

/// The numbers of this process's children that have ended.
fn zombies() -> Vec<i32> {
    let me = std::process::id().to_string();
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The program's name is in parentheses and may hold any character, `)` too.
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let mut words = rest.split(' ');
        words.next() == Some("Z") && words.next() == Some(&me)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::signal::unix::{SignalKind, signal};

    #[tokio::test]
    async fn strangers_are_buried_and_the_exit_codes_of_own_children_stay() {
        let mut ended = signal(SignalKind::child()).unwrap();
        let mut own = Own::spawn(Command::new("sh").args(["-c", "exit 7"])).unwrap();
        // Not known to the reaper, as an orphan is not.
        let stranger = std::process::Command::new("true").spawn().unwrap().id();
        let stranger = i32::try_from(stranger).unwrap();
        while !zombies().contains(&stranger) {
            ended.recv().await;
        }
        bury();
        assert!(!zombies().contains(&stranger));
        assert_eq!(own.child.wait().await.unwrap().code(), Some(7));
    }
}
