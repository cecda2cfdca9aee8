//! The birth of a node: its first process, which makes the node's namespaces and root and then
//! becomes the agent.
//!
//! The supervisor and the child talk over two pipes. The child says [`READY`] when its network
//! namespace exists, the supervisor plugs the cables and answers one byte, the child switches its
//! ends on and says [`READY`] again, so that the supervisor can have the switch forward by them, and
//! goes on to execute the agent, which closes the pipe. Anything else on the pipe is an error's text.
#![allow(unsafe_code)] // One ioctl to bring interfaces up.

use std::convert::Infallible;
use std::fs;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Pid;

use super::harden::{self, Filters};
use super::process::{self, Doing, Program};
use super::sandbox::{
    Sandbox, bind, change_root, make_folder, map_user, mount_new, quiet_ipv6, read_only,
};
use crate::NodeSpec;

/// Bytes of a node's files where neither it nor its instance sets a limit.
const DISK: u64 = 64 << 20;

/// A node may have one file for so many bytes of its disk: inodes are memory of the kernel.
const SMALLEST_FILE: u64 = 4096;

/// The child's word that its network namespace exists, and later that its interfaces are on.
pub(super) const READY: u8 = b'\x06';

/// All that the birth of one node needs.
#[derive(Debug)]
pub(super) struct Birth<'a> {
    pub(super) sandbox: &'a Sandbox,
    pub(super) filters: &'a Filters,
    pub(super) spec: &'a NodeSpec,
    /// The `cgroup.procs` files it joins.
    pub(super) groups: Vec<PathBuf>,
}

/// A child between its birth and its agent.
#[derive(Debug)]
pub(super) struct Born {
    pub(super) pid: Pid,
    /// What it has to say about its birth.
    pub(super) report: OwnedFd,
    /// Where one byte lets it go on.
    pub(super) go: OwnedFd,
    /// Its output, and that of all its children.
    pub(super) log: OwnedFd,
}

/// The environment of everything that runs in a node.
pub(super) fn environment(spec: &NodeSpec) -> Vec<(String, String)> {
    let mut all = vec![
        ("PATH".to_owned(), "/bin".to_owned()),
        ("HOME".to_owned(), "/root".to_owned()),
        ("HOSTNAME".to_owned(), spec.name().to_owned()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
    ];
    for (name, value) in &spec.env {
        set(&mut all, name, value);
    }
    all
}

/// Sets a variable, in place of an older one of its name.
pub(super) fn set(all: &mut Vec<(String, String)>, name: &str, value: &str) {
    all.retain(|(old, _)| old != name);
    all.push((name.to_owned(), value.to_owned()));
}

/// Where a node's own files lie in the supervisor's root.
pub(super) fn root_of(node: &str) -> PathBuf {
    Path::new("/state").join(node)
}

/// Makes the file system of a node's own files, where it is not there from an earlier start. Each
/// node has its own, so that none can take the room, or the inodes, of another.
fn make_disk(root: &Path, spec: &NodeSpec, whole: Option<u64>) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    make_folder(root)?;
    let above = root.parent().unwrap_or(root);
    if fs::symlink_metadata(root)?.dev() != fs::symlink_metadata(above)?.dev() {
        return Ok(());
    }
    let size = spec.limits.disk.unwrap_or(DISK).min(whole.unwrap_or(u64::MAX));
    let files = (size / SMALLEST_FILE).clamp(1 << 10, 1 << 16);
    let options = format!("mode=755,size={size},nr_inodes={files}");
    mount_new("tmpfs", root, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, &options)
}

/// Removes a node's files.
pub(super) fn remove_disk(node: &str) -> io::Result<()> {
    let root = root_of(node);
    if !root.exists() {
        return Ok(());
    }
    match umount2(&root, MntFlags::MNT_DETACH) {
        // Its birth failed before the mount.
        Ok(()) | Err(nix::errno::Errno::EINVAL) => fs::remove_dir(&root),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes the child and returns at once.
pub(super) fn bear(birth: &Birth<'_>) -> io::Result<Born> {
    let root = root_of(birth.spec.name());
    make_disk(&root, birth.spec, birth.sandbox.disk)?;
    let (report, report_child) = io::pipe()?;
    let (go_child, go) = io::pipe()?;
    let (log, log_child) = io::pipe()?;
    let null = fs::File::open("/base/dev/null")?;
    let mut flags =
        libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
    if birth.sandbox.own_user {
        flags |= libc::CLONE_NEWUSER;
    }
    match process::clone(flags).doing("making the node's first process")? {
        Some(pid) => Ok(Born { pid, report: report.into(), go: go.into(), log: log.into() }),
        None => {
            let (mut report, mut go) = (report_child, go_child);
            let keep = &mut [report.as_raw_fd(), go.as_raw_fd()];
            let only =
                process::only(null.as_raw_fd(), log_child.as_raw_fd(), log_child.as_raw_fd(), keep);
            let mut told = report.try_clone();
            process::child(
                || {
                    only.doing("closing the supervisor's files")?;
                    become_agent(birth, &root, &mut report, &mut go)
                },
                |error| {
                    if let Ok(told) = &mut told {
                        // Nobody is left to tell when this fails.
                        let _ = told.write_all(error.as_bytes());
                    }
                },
            )
        }
    }
}

fn become_agent(
    birth: &Birth<'_>,
    root: &Path,
    report: &mut impl Write,
    go: &mut impl Read,
) -> io::Result<Infallible> {
    harden::die_with_parent().doing("tying the node to its supervisor")?;
    harden::first_to_go();
    for group in &birth.groups {
        fs::write(group, "0").doing("joining the node's control group")?;
    }
    nix::unistd::setsid().doing("starting a session")?;
    if birth.sandbox.own_user {
        map_user(0, 0)?;
    }
    unshare(CloneFlags::CLONE_NEWNET).doing("making the node's network namespace")?;
    // A view on control groups of its own is a nicety that old kernels lack.
    let _ = unshare(CloneFlags::CLONE_NEWCGROUP);
    nix::unistd::sethostname(birth.spec.name()).doing("setting the host name")?;
    make_root(birth.sandbox, root)?;
    network_settings(birth.spec)?;
    mask()?;
    report.write_all(&[READY])?;
    let mut byte = [0];
    go.read_exact(&mut byte).doing("waiting for the cables")?;
    for link in &birth.spec.config.links {
        interface_up(&link.name).doing(&format!("switching on {}", link.name))?;
    }
    report.write_all(&[READY])?;
    write_files(birth.spec).doing("writing the node's files")?;
    let environment = environment(birth.spec);
    let program = Program::new("labctl", ["agent"], environment)?;
    let control_groups = !birth.groups.is_empty();
    harden::limit(&birth.spec.limits, birth.sandbox.own_user, control_groups)
        .doing("setting limits")?;
    process::default_signals().doing("resetting signals")?;
    harden::drop_privileges().doing("dropping privileges")?;
    birth.filters.install().doing("installing the system call filter")?;
    Err(program.execute()).doing("starting the agent")
}

/// Builds the node's root over its own files and moves into it.
fn make_root(sandbox: &Sandbox, root: &Path) -> io::Result<()> {
    bind(root, root, false)?;
    for folder in &sandbox.folders {
        make_folder(&root.join(folder))?;
        bind(&Path::new("/base").join(folder), &root.join(folder), true)?;
    }
    for folder in ["proc", "sys", "etc", "run", "tmp", "var", "var/lib", "root"] {
        own_folder(&root.join(folder))?;
    }
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount_new("proc", &root.join("proc"), quiet, "")?;
    // Where the kernel refuses a view on devices, the folder is empty.
    mount_new("sysfs", &root.join("sys"), quiet | MsFlags::MS_RDONLY, "").or_else(|_| {
        mount_new("tmpfs", &root.join("sys"), quiet | MsFlags::MS_RDONLY, "size=4k")
    })?;
    mount_new(
        "devpts",
        &root.join("dev/pts"),
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        "newinstance,ptmxmode=0666,mode=0620",
    )?;
    change_root(root)?;
    guard_loader()
}

/// Makes a folder in a node's files. What a process of the node has put in its place, such as a link
/// that leads the supervisor elsewhere, goes.
fn own_folder(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => return Ok(()),
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    make_folder(path)
}

/// Takes the loader's settings from the node: by `ld.so.preload`, or a library named in `ld.so.cache`,
/// code of the student's would run in the agent when the node is started again. `/etc` is a mount
/// point of its own, because a mount point can be neither renamed nor removed.
fn guard_loader() -> io::Result<()> {
    let etc = Path::new("/etc");
    bind(etc, etc, false)?;
    for name in ["ld.so.preload", "ld.so.cache"] {
        let file = etc.join(name);
        match fs::symlink_metadata(&file) {
            Ok(there) if there.is_dir() => fs::remove_dir_all(&file)?,
            Ok(_) => fs::remove_file(&file)?,
            Err(_) => {}
        }
        fs::write(&file, "").doing("making the loader's files")?;
        bind(Path::new("/dev/null"), &file, false)?;
    }
    Ok(())
}

/// What must be set while `/proc/sys` can be written.
fn network_settings(spec: &NodeSpec) -> io::Result<()> {
    quiet_ipv6();
    let forward = if spec.config.forwarding { "1" } else { "0" };
    // The same settings as on Docker. Redirects would teach hosts a way around a router; the rate
    // limit would swallow answers that traceroute waits for.
    for (name, value) in [
        ("ip_forward", forward),
        ("conf/all/send_redirects", "0"),
        ("conf/default/send_redirects", "0"),
        ("conf/all/rp_filter", "0"),
        ("conf/default/rp_filter", "0"),
    ] {
        // Writing takes the kernel's one lock on all networks, even where nothing changes.
        let path = format!("/proc/sys/net/ipv4/{name}");
        if !fs::read_to_string(&path).is_ok_and(|have| have.trim_end() == value) {
            fs::write(&path, value).doing(&format!("setting net.ipv4.{name}"))?;
        }
    }
    // Older kernels have this one for the whole machine only.
    let _ = fs::write("/proc/sys/net/ipv4/icmp_ratelimit", "0");
    // Ping sockets for every group of the node: only root is mapped where a user owns the lab.
    let _ = fs::write("/proc/sys/net/ipv4/ping_group_range", "0 0");
    interface_up("lo").doing("bringing up the loopback interface")
}

/// The agent will set it up; until then it has no address, but its carrier is there.
fn interface_up(name: &str) -> io::Result<()> {
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: the request is a plain structure, zero but for the name, which ends with a zero, and
    // the flags.
    let result = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        let room = request.ifr_name.len() - 1;
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(room)) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)
    };
    nix::errno::Errno::result(result)?;
    Ok(())
}

/// Hides what Docker hides of `/proc` and `/sys`, and makes the rest of it read-only. Settings of
/// the node's own network stay writable: they belong to its namespace. All of `/proc`, not only what
/// Docker makes read-only: the mode of `/proc/meminfo` is one for the whole machine and belongs to
/// root, which a node's root is, and the memory of the agent is a file there.
fn mask() -> io::Result<()> {
    const HIDDEN_FILES: [&str; 6] = [
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/sched_debug",
        "/proc/kallsyms",
    ];
    const HIDDEN_FOLDERS: [&str; 4] = ["/proc/acpi", "/proc/asound", "/proc/scsi", "/sys/firmware"];
    for file in HIDDEN_FILES.iter().map(Path::new).filter(|file| file.exists()) {
        bind(Path::new("/dev/null"), file, false)?;
    }
    for folder in HIDDEN_FOLDERS.iter().map(Path::new).filter(|folder| folder.is_dir()) {
        mount_new("tmpfs", folder, MsFlags::MS_RDONLY | MsFlags::MS_NOSUID, "size=4k")?;
    }
    let network = Path::new("/proc/sys/net");
    bind(network, network, false)?;
    read_only(Path::new("/proc"))
}

/// The files a node starts with. What was in `/run` and `/tmp` before goes, as at every boot.
fn write_files(spec: &NodeSpec) -> io::Result<()> {
    for folder in ["/run", "/tmp"] {
        for entry in fs::read_dir(folder)?.flatten() {
            match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
    }
    for folder in [node::paths::FILES, node::paths::RUN, node::paths::STATE] {
        fs::create_dir_all(folder)?;
    }
    chmod("/tmp", 0o1777)?;
    chmod("/root", 0o700)?;
    let config = serde_json::to_vec(&spec.config)?;
    put(Path::new(node::paths::CONFIG), &config, 0o600)?;
    let name = spec.name();
    put(Path::new("/etc/hostname"), format!("{name}\n").as_bytes(), 0o644)?;
    let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
    put(Path::new("/etc/passwd"), passwd.as_bytes(), 0o644)?;
    put(Path::new("/etc/group"), b"root:x:0:\nnogroup:x:65534:\n", 0o644)?;
    put(Path::new("/etc/hosts"), hosts(spec).as_bytes(), 0o644)?;
    let resolver = &spec.config.resolver;
    let mut resolv: String =
        resolver.servers.iter().map(|ip| format!("nameserver {ip}\n")).collect();
    if !resolver.search.is_empty() {
        resolv.push_str(&format!("search {}\n", resolver.search.join(" ")));
    }
    put(Path::new("/etc/resolv.conf"), resolv.as_bytes(), 0o644)
}

fn hosts(spec: &NodeSpec) -> String {
    let mut text = String::from("127.0.0.1\tlocalhost\n");
    let own = spec.config.links.iter().find_map(|link| match link.address {
        node::config::Address::Static(net) => Some(IpAddr::V4(net.addr())),
        _ => None,
    });
    let own = own.unwrap_or(IpAddr::from([127, 0, 1, 1]));
    text.push_str(&format!("{own}\t{}\n", spec.name()));
    for (ip, names) in &spec.config.resolver.hosts {
        text.push_str(&format!("{ip}\t{}\n", names.join(" ")));
    }
    text
}

/// Writes a file of its own: what a process of the node has put in its place goes.
fn put(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(mode).open(path)?;
    file.write_all(content)
}

fn chmod(path: &str, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_in_its_own_hosts_file() {
        let mut spec = NodeSpec::default();
        spec.config.node = "pc0".into();
        assert!(hosts(&spec).contains("127.0.1.1\tpc0\n"));
        spec.config.links.push(node::config::Link {
            network: "lan".into(),
            name: "lan".into(),
            mac: "02:00:00:00:00:01".into(),
            address: node::config::Address::Static("192.168.1.4/24".parse().unwrap()),
            transport: None,
        });
        spec.config.resolver.hosts.push(([10, 0, 0, 1].into(), vec!["gw".into(), "router".into()]));
        let text = hosts(&spec);
        assert!(text.contains("192.168.1.4\tpc0\n") && text.contains("10.0.0.1\tgw router\n"));
    }

    #[test]
    fn a_later_variable_wins() {
        let mut spec = NodeSpec::default();
        spec.env.insert("PATH".into(), "/opt".into());
        let all = environment(&spec);
        let paths: Vec<_> = all.iter().filter(|(name, _)| name == "PATH").collect();
        assert_eq!(paths, [&("PATH".to_owned(), "/opt".to_owned())]);
    }
}
