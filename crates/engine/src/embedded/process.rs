//! Processes as the supervisor needs them: clone, pidfd, wait, signal, exec.
//!
//! The supervisor has one thread, so a child made by `clone` may run any code until it executes a
//! program; it must not return into the runtime, and ends by [`leave`].
#![allow(unsafe_code)] // clone, pidfd and exec are system calls without a safe form.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Makes a child in new namespaces as `flags` say. `None` in the child.
pub(super) fn clone(flags: libc::c_int) -> io::Result<Option<Pid>> {
    let flags = libc::c_long::from(flags | libc::SIGCHLD);
    // SAFETY: without CLONE_VM this is fork: the child gets a copy of all memory and goes on here,
    // on its copy of the stack. The process has one thread, so no lock is held by another.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(Pid::from_raw(pid as libc::pid_t))),
    }
}

/// Lets this process open as many files as it may.
pub(super) fn all_descriptors() -> io::Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(())
}

/// Ends the calling process at once, without running anything of the parent's.
pub(super) fn leave(code: i32) -> ! {
    // SAFETY: _exit touches nothing of this process's memory.
    unsafe { libc::_exit(code) }
}

/// Blocks until a process of any parent is gone, at most so long. Without one (its last thread has
/// left, the kernel has not finished) only a moment.
pub(super) fn until_gone(pid: Option<i32>, at_most: Duration) {
    // SAFETY: takes two numbers; a success is a new descriptor of this process alone.
    let opened = pid.and_then(|pid| unsafe {
        let fd = Errno::result(libc::syscall(libc::SYS_pidfd_open, pid, 0)).ok()?;
        Some(OwnedFd::from_raw_fd(fd as RawFd))
    });
    let milliseconds = |time: Duration| PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO);
    let _ = match &opened {
        Some(fd) => {
            let mut end = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
            poll(&mut end, milliseconds(at_most.min(Duration::from_millis(200))))
        }
        None => poll(&mut [], milliseconds(at_most.min(Duration::from_millis(5)))),
    };
}

/// A child of this process; known by a descriptor, so that its number may be used again.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    fd: AsyncFd<OwnedFd>,
}

impl Child {
    /// Takes charge of a child that has not been waited for.
    pub(super) fn new(pid: Pid) -> io::Result<Self> {
        // SAFETY: takes two numbers; a success is a new descriptor of this process alone.
        let fd = unsafe {
            let fd = Errno::result(libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0))?;
            OwnedFd::from_raw_fd(fd as RawFd)
        };
        // SAFETY: an owned descriptor stays the same and open as long as it lives.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?;
        Ok(Self { pid, fd })
    }

    /// Its process number.
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// The descriptor, for `setns`.
    pub(super) fn descriptor(&self) -> RawFd {
        self.fd.as_fd().as_raw_fd()
    }

    /// Sends a signal; a process that is gone is no error.
    pub(super) fn signal(&self, signal: libc::c_int) -> io::Result<()> {
        // SAFETY: no memory is passed: the third argument may be null.
        let result =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.descriptor(), signal, 0, 0) };
        match Errno::result(result) {
            Ok(_) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits for its end and takes its status. Must be called to the end by one task.
    pub(super) async fn wait(&self) -> io::Result<WaitStatus> {
        loop {
            let mut ready = self.fd.readable().await?;
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG))? {
                WaitStatus::StillAlive => ready.clear_ready(),
                status => return Ok(status),
            }
        }
    }
}

/// An exit code as shells count: 128 + n for signal n.
pub(super) fn exit_code(status: WaitStatus) -> i32 {
    match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
        _ => 0,
    }
}

/// The same in words.
pub(super) fn describe(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => format!("exit code {code}"),
        WaitStatus::Signaled(_, signal, _) => format!("killed by {signal}"),
        other => format!("{other:?}"),
    }
}

/// In a child: makes `input`, `output` and `errors` the standard descriptors and closes all others
/// but `keep`.
pub(super) fn only(
    input: RawFd,
    output: RawFd,
    errors: RawFd,
    keep: &mut [RawFd],
) -> io::Result<()> {
    // Out of the way of 0, 1 and 2 first, whatever order they have.
    let mut moved = [input, output, errors];
    for fd in &mut moved {
        // SAFETY: plain system calls on descriptor numbers of this process.
        *fd = Errno::result(unsafe { libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, 3) })?;
    }
    for (standard, fd) in moved.into_iter().enumerate() {
        // SAFETY: as above; dup2 leaves the copy open over exec, as wanted.
        Errno::result(unsafe { libc::dup2(fd, standard as RawFd) })?;
    }
    keep.sort_unstable();
    let mut first: u32 = 3;
    for fd in keep.iter().filter(|fd| **fd > 2) {
        let fd = fd.unsigned_abs();
        if fd > first {
            close_range(first, fd - 1)?;
        }
        first = fd + 1;
    }
    close_range(first, u32::MAX)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: closes descriptors that nothing in this child uses any more.
    match Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }) {
        Ok(_) => return Ok(()),
        // Older kernels and containers do not have the call.
        Err(Errno::ENOSYS | Errno::EPERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    let open: Vec<u32> = std::fs::read_dir("/proc/self/fd")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|fd| (first..=last).contains(fd))
        .collect();
    for fd in open {
        // SAFETY: as above; a number that is not open any more is no harm.
        unsafe { libc::close(fd as RawFd) };
    }
    Ok(())
}

/// Signals as a fresh program expects them: the runtime of this one ignores SIGPIPE.
pub(super) fn default_signals() -> io::Result<()> {
    use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
    for number in Signal::iterator() {
        if !matches!(number, Signal::SIGKILL | Signal::SIGSTOP) {
            // SAFETY: sets the default action; no handler of ours is involved.
            unsafe { signal(number, SigHandler::SigDfl) }?;
        }
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    Ok(())
}

/// A command made ready before the child's possibilities are cut down.
#[derive(Debug)]
pub(super) struct Program {
    candidates: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    /// Looks for `command` in `/bin` unless it has a slash.
    pub(super) fn new<A, E>(command: &str, arguments: A, environment: E) -> io::Result<Self>
    where
        A: IntoIterator<Item: AsRef<OsStr>>,
        E: IntoIterator<Item = (String, String)>,
    {
        let text = |text: &OsStr| {
            CString::new(text.as_bytes()).map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidInput, "an argument has a zero byte in it")
            })
        };
        let path = match command.contains('/') {
            true => command.to_owned(),
            false => format!("/bin/{command}"),
        };
        Ok(Self {
            candidates: vec![text(path.as_ref())?],
            arguments: arguments
                .into_iter()
                .map(|argument| text(argument.as_ref()))
                .collect::<io::Result<_>>()?,
            environment: environment
                .into_iter()
                .map(|(name, value)| text(format!("{name}={value}").as_ref()))
                .collect::<io::Result<_>>()?,
        })
    }

    /// Replaces the calling process; returns only why it could not.
    pub(super) fn execute(&self) -> Errno {
        let mut last = Errno::ENOENT;
        for path in &self.candidates {
            match nix::unistd::execve(path, &self.arguments, &self.environment) {
                Ok(never) => match never {},
                Err(errno) => last = errno,
            }
        }
        last
    }
}

/// Runs `body` in a child; it ends there, with the error told through `tell`.
pub(super) fn child<F, T>(body: F, tell: T) -> !
where
    F: FnOnce() -> io::Result<Infallible>,
    T: FnOnce(&str),
{
    let run = std::panic::AssertUnwindSafe(body);
    match std::panic::catch_unwind(run) {
        Ok(Ok(never)) => match never {},
        Ok(Err(error)) => tell(&error.to_string()),
        Err(_) => tell("a defect in labctl: the child panicked"),
    }
    leave(125)
}

/// Adds to an error what was tried.
pub(super) trait Doing<T> {
    /// `doing: error`.
    fn doing(self, doing: &str) -> io::Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &str) -> io::Result<T> {
        self.map_err(|error| {
            let error = error.into();
            io::Error::new(error.kind(), format!("{doing}: {error}"))
        })
    }
}
