//! System calls that no node needs and that reach out of a node or deep into the kernel: one list for
//! both engines. The embedded engine compiles it, Docker gets it as a profile, because Docker's own
//! depends on its version (20.10 allows tracing, io_uring and the hypervisor's sockets).

use serde_json::{Value, json};

/// Flags of `clone` that make namespaces.
pub(crate) const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP) as u64;

/// Families of sockets that no node may open: the hypervisor's and the kernel's cipher interface.
pub(crate) const FAMILIES: [libc::c_int; 2] = [libc::AF_VSOCK, libc::AF_ALG];

/// Options of sockets, level and name, that take memory of the kernel which no limit counts: buffers
/// beyond the system's bound, and rings of packets.
pub(crate) const OPTIONS: [(libc::c_int, libc::c_int); 4] = [
    (libc::SOL_SOCKET, libc::SO_SNDBUFFORCE),
    (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE),
    (libc::SOL_PACKET, libc::PACKET_RX_RING),
    (libc::SOL_PACKET, libc::PACKET_TX_RING),
];

/// Open files of a process.
pub(crate) const DESCRIPTORS: u64 = 8192;

/// Timers and queued signals. They are counted by user, and root of all nodes is one user where nodes
/// have no user namespace: with a bound of its own a node cannot use up all there are.
pub(crate) const TIMERS: u64 = 1024;

/// Bytes of the largest file.
pub(crate) const FILE_SIZE: u64 = 64 << 20;

macro_rules! calls {
    ($($(#[$attribute:meta])* $number:ident $name:literal),* $(,)?) => {
        &[$($(#[$attribute])* ($name, libc::$number)),*]
    };
}

/// Forbidden whatever their arguments are: name and number.
pub(crate) const FORBIDDEN: &[(&str, i64)] = calls![
    // file systems and roots
    SYS_mount "mount",
    SYS_umount2 "umount2",
    SYS_pivot_root "pivot_root",
    SYS_chroot "chroot",
    SYS_fsopen "fsopen",
    SYS_fsconfig "fsconfig",
    SYS_fsmount "fsmount",
    SYS_fspick "fspick",
    SYS_move_mount "move_mount",
    SYS_open_tree "open_tree",
    SYS_mount_setattr "mount_setattr",
    SYS_open_by_handle_at "open_by_handle_at",
    SYS_name_to_handle_at "name_to_handle_at",
    SYS_quotactl "quotactl",
    SYS_quotactl_fd "quotactl_fd",
    SYS_swapon "swapon",
    SYS_swapoff "swapoff",
    SYS_fanotify_init "fanotify_init",
    // namespaces
    SYS_unshare "unshare",
    SYS_setns "setns",
    SYS_sethostname "sethostname",
    SYS_setdomainname "setdomainname",
    // what is counted by user for the whole machine
    SYS_inotify_init1 "inotify_init1",
    #[cfg(target_arch = "x86_64")]
    SYS_inotify_init "inotify_init",
    // other processes
    SYS_ptrace "ptrace",
    SYS_process_vm_readv "process_vm_readv",
    SYS_process_vm_writev "process_vm_writev",
    SYS_process_madvise "process_madvise",
    SYS_pidfd_getfd "pidfd_getfd",
    SYS_kcmp "kcmp",
    SYS_move_pages "move_pages",
    SYS_migrate_pages "migrate_pages",
    SYS_mbind "mbind",
    SYS_set_mempolicy "set_mempolicy",
    SYS_personality "personality",
    // the kernel itself
    SYS_kexec_load "kexec_load",
    SYS_kexec_file_load "kexec_file_load",
    SYS_init_module "init_module",
    SYS_finit_module "finit_module",
    SYS_delete_module "delete_module",
    SYS_bpf "bpf",
    SYS_perf_event_open "perf_event_open",
    SYS_lookup_dcookie "lookup_dcookie",
    SYS_userfaultfd "userfaultfd",
    SYS_io_uring_setup "io_uring_setup",
    SYS_io_uring_enter "io_uring_enter",
    SYS_io_uring_register "io_uring_register",
    SYS_nfsservctl "nfsservctl",
    SYS_reboot "reboot",
    SYS_acct "acct",
    SYS_syslog "syslog",
    SYS_vhangup "vhangup",
    SYS_settimeofday "settimeofday",
    SYS_clock_settime "clock_settime",
    SYS_clock_adjtime "clock_adjtime",
    SYS_adjtimex "adjtimex",
    // keys of the host's user
    SYS_keyctl "keyctl",
    SYS_add_key "add_key",
    SYS_request_key "request_key",
    #[cfg(target_arch = "x86_64")]
    SYS_iopl "iopl",
    #[cfg(target_arch = "x86_64")]
    SYS_ioperm "ioperm",
    #[cfg(target_arch = "x86_64")]
    SYS_modify_ldt "modify_ldt",
    #[cfg(target_arch = "x86_64")]
    SYS_uselib "uselib",
    #[cfg(target_arch = "x86_64")]
    SYS_ustat "ustat",
    #[cfg(target_arch = "x86_64")]
    SYS_sysfs "sysfs",
    #[cfg(target_arch = "x86_64")]
    SYS__sysctl "_sysctl",
];

/// What only 32-bit programs can call, and a container engine lets them. `socketcall` hides its
/// arguments in memory.
const OLD: [&str; 5] = ["umount", "stime", "vm86", "vm86old", "socketcall"];

/// The bits of [`NAMESPACES`], one by one.
pub(crate) fn namespaces() -> impl Iterator<Item = u64> {
    (0..32).map(|bit| 1u64 << bit).filter(|bit| NAMESPACES & bit != 0)
}

/// The list as a profile for a container engine.
pub(crate) fn profile() -> String {
    let deny = |names: &[&str], arguments: Value| json!({ "names": names, "action": "SCMP_ACT_ERRNO", "args": arguments });
    let names: Vec<&str> = FORBIDDEN.iter().map(|(name, _)| *name).chain(OLD).collect();
    let mut rules = vec![
        deny(&names, json!([])),
        // The arguments of clone3 lie in memory a filter cannot see; told that the kernel is old,
        // the C library takes clone instead.
        json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": libc::ENOSYS }),
        deny(&["ioctl"], json!([{ "index": 1, "value": libc::TIOCSTI, "op": "SCMP_CMP_EQ" }])),
    ];
    rules.extend(namespaces().map(|bit| {
        let argument = json!({
            "index": 0, "value": bit, "valueTwo": bit, "op": "SCMP_CMP_MASKED_EQ",
        });
        deny(&["clone"], json!([argument]))
    }));
    rules.extend(FAMILIES.map(|family| {
        deny(&["socket"], json!([{ "index": 0, "value": family, "op": "SCMP_CMP_EQ" }]))
    }));
    rules.extend(OPTIONS.map(|(level, name)| {
        let equals = |index, value| json!({ "index": index, "value": value, "op": "SCMP_CMP_EQ" });
        deny(&["setsockopt"], json!([equals(1, level), equals(2, name)]))
    }));
    let architectures = match std::env::consts::ARCH {
        "aarch64" => json!(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]),
        _ => json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
    };
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": architectures,
        "syscalls": rules,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_denies_the_list_and_each_namespace() {
        let profile: Value = serde_json::from_str(&profile()).unwrap();
        let rules = profile["syscalls"].as_array().unwrap();
        let names = rules[0]["names"].as_array().unwrap();
        assert!(
            ["mount", "ptrace", "bpf", "umount"].iter().all(|name| names.contains(&json!(name)))
        );
        let clones = rules.iter().filter(|rule| rule["names"][0] == "clone").count();
        assert_eq!(clones, 7);
        let numbers: std::collections::BTreeSet<_> = FORBIDDEN.iter().map(|(_, n)| n).collect();
        assert_eq!(numbers.len(), FORBIDDEN.len(), "no call is named twice");
    }
}
