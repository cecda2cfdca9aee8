//! What a node's processes may not do: capabilities, system calls, resources.
//!
//! The same on Docker: all capabilities dropped but three, no new privileges, the system call filter of
//! [`crate::calls`].
#![allow(unsafe_code)] // prctl, setrlimit and prlimit have no safe form for these arguments.

use std::collections::BTreeMap;
use std::io;

use caps::{CapSet, Capability};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use crate::Limits;
use crate::calls::{self, DESCRIPTORS, FAMILIES, FILE_SIZE, FORBIDDEN, OPTIONS, TIMERS};

/// What is left to a node: addresses and filters, raw packets, ports below 1024.
const CAPABILITIES: [Capability; 3] =
    [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW, Capability::CAP_NET_BIND_SERVICE];

/// The compiled filters, in the order in which they are to be installed.
#[derive(Clone, Debug)]
pub(super) struct Filters(Vec<BpfProgram>);

impl Filters {
    /// Compiles the filters; done once, before any node starts.
    pub(super) fn compile() -> Result<Self, seccompiler::Error> {
        let eq = |argument: u8, value: u64| {
            let condition =
                SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
            condition.and_then(|condition| SeccompRule::new(vec![condition]))
        };
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            FORBIDDEN.iter().map(|(_, call)| (*call, Vec::new())).collect();
        // A thread or a process is fine, a namespace is not.
        let mut clone = Vec::new();
        for bit in calls::namespaces() {
            let condition =
                SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bit), bit);
            clone.push(SeccompRule::new(vec![condition.map_err(backend)?]).map_err(backend)?);
        }
        rules.insert(libc::SYS_clone, clone);
        // Typing into another's terminal.
        rules.insert(libc::SYS_ioctl, vec![eq(1, libc::TIOCSTI).map_err(backend)?]);
        let families = FAMILIES.map(|family| eq(0, family as u64).map_err(backend));
        rules.insert(libc::SYS_socket, families.into_iter().collect::<Result<_, _>>()?);
        let options = OPTIONS.map(|(level, name)| {
            let equals = |index: u8, value: libc::c_int| {
                let size = SeccompCmpArgLen::Dword;
                SeccompCondition::new(index, size, SeccompCmpOp::Eq, value as u64)
            };
            let both = equals(1, level).and_then(|level| Ok(vec![level, equals(2, name)?]));
            both.and_then(SeccompRule::new).map_err(backend)
        });
        rules.insert(libc::SYS_setsockopt, options.into_iter().collect::<Result<_, _>>()?);
        // The same calls by their x32 numbers, which the architecture check lets through.
        if cfg!(target_arch = "x86_64") {
            let twins: Vec<_> =
                rules.iter().map(|(call, rules)| (call | 0x4000_0000, rules.clone())).collect();
            rules.extend(twins);
        }
        let deny = filter(rules, libc::EPERM)?;
        // The arguments of clone3 lie in memory a filter cannot see; told that the kernel is old,
        // the C library takes clone instead.
        let old = filter(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)?;
        Ok(Self(vec![deny, old]))
    }

    /// Installs them in the calling process, for good.
    pub(super) fn install(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|program| {
            seccompiler::apply_filter(program).map_err(|error| io::Error::other(error.to_string()))
        })
    }
}

fn backend(error: seccompiler::BackendError) -> seccompiler::Error {
    seccompiler::Error::Backend(error)
}

fn filter(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    errno: i32,
) -> Result<BpfProgram, seccompiler::Error> {
    let architecture = std::env::consts::ARCH.try_into().map_err(backend)?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        architecture,
    );
    filter.and_then(BpfProgram::try_from).map_err(backend)
}

/// Leaves the calling process [`CAPABILITIES`] and forbids new privileges, for good.
pub(super) fn drop_privileges() -> io::Result<()> {
    let fail = |error: caps::errors::CapsError| io::Error::other(error.to_string());
    let keep: caps::CapsHashSet = CAPABILITIES.into_iter().collect();
    // Up to what this kernel knows, which may be more than this program does.
    for capability in 0..=63 {
        if keep.iter().any(|kept| u32::from(kept.index()) == capability) {
            continue;
        }
        // SAFETY: PR_CAPBSET_DROP takes one number and touches no memory.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if result != 0 {
            let error = io::Error::last_os_error();
            // EINVAL: the kernel has no capability of this number, nor of higher ones.
            if error.raw_os_error() == Some(libc::EINVAL) {
                break;
            }
            return Err(error);
        }
    }
    caps::set(None, CapSet::Inheritable, &keep).map_err(fail)?;
    caps::set(None, CapSet::Effective, &keep).map_err(fail)?;
    caps::set(None, CapSet::Permitted, &keep).map_err(fail)?;
    for capability in keep {
        caps::raise(None, CapSet::Ambient, capability).map_err(fail)?;
    }
    nix::sys::prctl::set_no_new_privs()?;
    Ok(())
}

/// Sets the limits that belong to a process. With a user namespace of its own, a node's processes
/// are counted apart; without one the number of processes is the control group's to bound.
pub(super) fn limit(limits: &Limits, own_user: bool, control_groups: bool) -> io::Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let set = |resource: Resource, wanted: u64| -> io::Result<()> {
        let (_, hard) = getrlimit(resource)?;
        let value = wanted.min(hard);
        setrlimit(resource, value, value)?;
        Ok(())
    };
    set(Resource::RLIMIT_CORE, 0)?;
    set(Resource::RLIMIT_NOFILE, DESCRIPTORS)?;
    set(Resource::RLIMIT_FSIZE, FILE_SIZE)?;
    set(Resource::RLIMIT_SIGPENDING, TIMERS)?;
    // Message queues are counted by user as well, and nothing in a node has any.
    set(Resource::RLIMIT_MSGQUEUE, 0)?;
    if own_user {
        let processes = limits.processes.unwrap_or(super::cgroup::PROCESSES);
        set(Resource::RLIMIT_NPROC, processes.into())?;
    }
    if let Some(memory) = limits.memory.filter(|_| !control_groups) {
        set(Resource::RLIMIT_DATA, memory)?;
    }
    Ok(())
}

/// Where all of an instance shares one bound on memory, a process of a node is killed before its
/// supervisor when that is reached. A process may always ask for more of this, never for less. To be
/// called before a node's own `/proc`, which cannot be written, is there.
pub(super) fn first_to_go() {
    // Without it, in a kernel that knows no such thing, everything works.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
}

/// Ends the calling process when the thread that made it ends.
pub(super) fn die_with_parent() -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `test` in a forked child under the filters; its result is the child's exit code.
    fn filtered(test: fn() -> i32) -> i32 {
        let filters = Filters::compile().unwrap();
        // SAFETY: the child makes system calls only and ends by _exit.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                let ready =
                    nix::sys::prctl::set_no_new_privs().is_ok() && filters.install().is_ok();
                libc::_exit(if ready { test() } else { 99 });
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
            libc::WEXITSTATUS(status)
        }
    }

    #[test]
    fn forbidden_calls_fail_with_eperm() {
        let code = filtered(|| {
            let calls: [&dyn Fn() -> i64; 5] = [
                // SAFETY (all): the arguments are numbers; the filter refuses before any use.
                &|| unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUSER) },
                &|| unsafe { libc::syscall(libc::SYS_bpf, 0, 0, 0) },
                &|| unsafe { libc::syscall(libc::SYS_keyctl, 0, 0, 0) },
                &|| unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_NEWNET, 0, 0, 0, 0) },
                &|| unsafe {
                    libc::syscall(libc::SYS_socket, libc::AF_VSOCK, libc::SOCK_STREAM, 0)
                },
            ];
            for (n, call) in calls.iter().enumerate() {
                let errno = (call() == -1).then(nix::errno::Errno::last_raw);
                if errno != Some(libc::EPERM) {
                    return n as i32 + 1;
                }
            }
            0
        });
        assert_eq!(code, 0, "the call of this number was not refused");
    }

    #[test]
    fn ordinary_calls_go_through() {
        let code = filtered(|| {
            // SAFETY: plain system calls with valid arguments.
            unsafe {
                let child = libc::fork();
                if child == 0 {
                    libc::_exit(7);
                }
                let mut status = 0;
                libc::waitpid(child, &raw mut status, 0);
                let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
                i32::from(libc::WEXITSTATUS(status) != 7 || socket < 0)
            }
        });
        assert_eq!(code, 0);
    }
}
