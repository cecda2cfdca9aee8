//! A command in a running node.
//!
//! A first child enters the node's namespaces by its pidfd and makes a second one there with
//! `CLONE_PARENT`, so that the command itself is the supervisor's child: its end and its exit code
//! come without anything in between. With a terminal, the first child opens it in the node, so that
//! the command finds it under `/dev/pts`, and hands the other side back.
#![allow(unsafe_code)] // setns by pidfd, terminal ioctls, exec.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use nix::unistd::Pid;

use super::harden::{self, Filters};
use super::process::{self, Child, Doing, Program};
use super::start::{environment, set};
use crate::NodeSpec;

/// What to run and where.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) spec: &'a NodeSpec,
    /// The node's first process.
    pub(super) first: &'a Child,
    pub(super) own_user: bool,
    pub(super) filters: &'a Filters,
    pub(super) groups: Vec<PathBuf>,
    pub(super) command: &'a [String],
    pub(super) env: &'a [(String, String)],
    /// Columns and rows.
    pub(super) terminal: Option<(u16, u16)>,
    /// Standard input, output and error, without a terminal.
    pub(super) streams: Option<[OwnedFd; 3]>,
}

/// A command on its way: the first child and where it reports.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) helper: Pid,
    pub(super) report: UnixStream,
}

/// Makes the first child and returns at once. On `report` come 4 bytes, the command's process
/// number in native order, with the terminal's descriptor where there is one; an error's text after
/// four zero bytes.
pub(super) fn send(job: &Job<'_>) -> io::Result<Sent> {
    let (report, ours) = UnixStream::pair()?;
    match process::clone(0).doing("making a process")? {
        Some(helper) => Ok(Sent { helper, report }),
        None => {
            let tell = ours.as_raw_fd();
            process::child(
                || enter(job, &ours),
                |error| {
                    let mut text = vec![0; 4];
                    text.extend_from_slice(error.as_bytes());
                    // SAFETY: writes a buffer of this function to an open socket.
                    unsafe { libc::write(tell, text.as_ptr().cast(), text.len()) };
                },
            )
        }
    }
}

fn enter(job: &Job<'_>, report: &UnixStream) -> io::Result<Infallible> {
    harden::die_with_parent()?;
    harden::first_to_go();
    // Until the command is executed this is a copy of the supervisor, whose memory holds expected
    // answers and every password, and a process of the node: its other processes must not look.
    nix::sys::prctl::set_dumpable(false).doing("closing the memory")?;
    for group in &job.groups {
        std::fs::write(group, "0").doing("joining the node's control group")?;
    }
    let mut spaces = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC;
    if job.own_user {
        spaces |= libc::CLONE_NEWUSER;
    }
    // SAFETY: takes a descriptor and a number.
    Errno::result(unsafe { libc::setns(job.first.descriptor(), spaces) })
        .doing("entering the node's namespaces")?;
    // A user namespace is entered as nobody in particular.
    if job.own_user {
        nix::unistd::setgid(0.into()).doing("becoming the node's root")?;
        nix::unistd::setuid(0.into()).doing("becoming the node's root")?;
    }
    let terminal = job.terminal.map(open_terminal).transpose()?;
    match process::clone(libc::CLONE_PARENT).doing("making a process in the node")? {
        Some(pid) => {
            let number = pid.as_raw().to_ne_bytes();
            let iov = [IoSlice::new(&number)];
            let fds: Vec<RawFd> = terminal.iter().map(|(master, _)| master.as_raw_fd()).collect();
            let rights = [ControlMessage::ScmRights(&fds)];
            let rights = if fds.is_empty() { &rights[..0] } else { &rights[..] };
            let flags = MsgFlags::MSG_NOSIGNAL;
            sendmsg::<UnixAddr>(report.as_raw_fd(), &iov, rights, flags, None)?;
            process::leave(0)
        }
        None => {
            let slave = terminal.as_ref().map(|(_, slave)| slave.as_raw_fd());
            let streams = match (&slave, &job.streams) {
                (Some(slave), _) => [*slave; 3],
                (None, Some(streams)) => [0, 1, 2].map(|n: usize| streams[n].as_raw_fd()),
                (None, None) => return Err(io::Error::other("the command has no streams")),
            };
            // The report closes when the program is executed: that is the command's start.
            let keep = &mut [report.as_raw_fd()];
            let only = process::only(streams[0], streams[1], streams[2], keep);
            // From here on the command's own error output is where errors go.
            process::child(
                || {
                    only?;
                    run(job, slave.is_some())
                },
                complain,
            )
        }
    }
}

fn complain(error: &str) {
    let text = format!("{error}\n");
    // SAFETY: writes a buffer of this function to standard error.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

fn run(job: &Job<'_>, terminal: bool) -> io::Result<Infallible> {
    harden::die_with_parent()?;
    nix::unistd::setsid()?;
    if terminal {
        // SAFETY: takes a descriptor and a number: standard input is the terminal.
        Errno::result(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) })
            .doing("taking the terminal")?;
    }
    std::env::set_current_dir("/root").or_else(|_| std::env::set_current_dir("/"))?;
    let mut environment = environment(job.spec);
    if terminal {
        set(&mut environment, "TERM", "xterm-256color");
    }
    for (name, value) in job.env {
        set(&mut environment, name, value);
    }
    let command = job.command.first().map_or("", String::as_str);
    let program = Program::new(command, job.command, environment)?;
    harden::limit(&job.spec.limits, job.own_user, !job.groups.is_empty())?;
    process::default_signals()?;
    harden::drop_privileges().doing("dropping privileges")?;
    job.filters.install().doing("installing the system call filter")?;
    let errno = program.execute();
    let (text, code) = match errno {
        Errno::ENOENT | Errno::ENOTDIR => ("no such command in this node".to_owned(), 127),
        other => (other.desc().to_owned(), 126),
    };
    complain(&format!("{command}: {text}"));
    process::leave(code)
}

/// A new terminal of the node: the master's and the command's side.
fn open_terminal((columns, rows): (u16, u16)) -> io::Result<(OwnedFd, OwnedFd)> {
    let master: OwnedFd = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/ptmx")
        .doing("opening a terminal")?
        .into();
    let fd = master.as_raw_fd();
    let unlock: libc::c_int = 0;
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the ioctls read the number and the structure above; TIOCGPTPEER gives a new
    // descriptor.
    unsafe {
        Errno::result(libc::ioctl(fd, libc::TIOCSPTLCK, &raw const unlock))?;
        Errno::result(libc::ioctl(fd, libc::TIOCSWINSZ, &raw const size))?;
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        let slave = Errno::result(libc::ioctl(fd, libc::TIOCGPTPEER, flags))
            .doing("opening the terminal's other side")?;
        Ok((master, OwnedFd::from_raw_fd(slave)))
    }
}
