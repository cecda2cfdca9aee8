//! The namespaces of a supervisor, and the parts of which every node's root is made.
//!
//! The supervisor leaves the host's file system: its root is a small tmpfs with `/base` (the
//! program, the libraries it has mapped, devices; all read-only), `/state` (a tmpfs for each node),
//! `/dir` (the instance's folder) and the host's `/proc` and `/sys`. Nothing of it can be seen from
//! the host, and all of it ends with the supervisor.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::cgroup::Cgroups;
use super::process::Doing;

/// Bytes of the supervisor's own root: empty files and folders on which others are shown.
const OWN: u64 = 4 << 20;

/// Devices of a node.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Where a supervisor stands after [`enter`].
#[derive(Clone, Debug)]
pub(super) struct Sandbox {
    /// Whether it runs in a user namespace of its own; then nodes do, too.
    pub(super) own_user: bool,
    /// What bounds nodes.
    pub(super) cgroups: Cgroups,
    /// The folders of `/base` that a node gets.
    pub(super) folders: Vec<String>,
    /// Bytes of the nodes' files, where the instance bounds them: no node has more.
    pub(super) disk: Option<u64>,
}

/// Whether this process has what the engine needs without a user namespace.
pub(super) fn privileged() -> bool {
    [Capability::CAP_SYS_ADMIN, Capability::CAP_NET_ADMIN]
        .into_iter()
        .all(|capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false))
}

/// Makes this process the only one of a user namespace in which it is root.
pub(super) fn own_user_namespace() -> io::Result<()> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    unshare(CloneFlags::CLONE_NEWUSER).doing("making a user namespace")?;
    map_user(uid.as_raw(), gid.as_raw())
}

/// Maps root of the calling process's user namespace to `uid` and `gid` of the one around it.
pub(super) fn map_user(uid: u32, gid: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny").doing("giving up supplementary groups")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).doing("mapping the user")?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).doing("mapping the group")
}

/// Enters the supervisor's namespaces; the calling process must have one thread.
pub(super) fn enter(folder: &Path, commands: &[String], disk: Option<u64>) -> io::Result<Sandbox> {
    let own_user = !privileged();
    let libraries = mapped_libraries()?;
    if own_user {
        own_user_namespace()?;
    }
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC)
        .doing("making a network and a mount namespace")?;
    make_private()?;
    let root = folder.join("root");
    make_folder(&root)?;
    let size = format!("mode=755,size={OWN}");
    mount_new("tmpfs", &root, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, &size)?;
    for name in ["base", "state", "dir", "proc", "sys", "old"] {
        make_folder(&root.join(name))?;
    }
    bind(Path::new("/proc"), &root.join("proc"), true)?;
    bind(Path::new("/sys"), &root.join("sys"), true)?;
    bind(folder, &root.join("dir"), false)?;
    let folders = make_base(&root.join("base"), &libraries, commands)?;
    change_root(&root)?;
    quiet_ipv6();
    let cgroups = Cgroups::find(Path::new("/sys/fs/cgroup"));
    Ok(Sandbox { own_user, cgroups, folders, disk })
}

/// Makes `root`, a mount, the root of this mount namespace, and leaves the old one.
pub(super) fn change_root(root: &Path) -> io::Result<()> {
    std::env::set_current_dir(root).doing("entering the new root")?;
    match nix::unistd::pivot_root(".", ".") {
        // Both are mounted on the same place now, the old one on top.
        Ok(()) => umount2(".", MntFlags::MNT_DETACH).doing("leaving the old root")?,
        // Docker's system call filter forbids it even with CAP_SYS_ADMIN, and the first root of a
        // kernel, where a machine runs from its RAM disk, cannot be left at all. Then the new root
        // covers the old one, which nothing that may not `chroot` can uncover.
        Err(Errno::EPERM | Errno::EINVAL) => {
            mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
                .doing("covering the old root")?;
            nix::unistd::chroot(".").doing("changing the root")?;
        }
        Err(errno) => return Err(errno).doing("changing the root"),
    }
    std::env::set_current_dir("/").doing("entering the new root")
}

/// Keeps mounts of this namespace from the host and the other way round.
pub(super) fn make_private() -> io::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .doing("making mounts private")
}

/// Labs are IPv4: without this every interface would send router solicitations into every trace.
/// Where `/proc/sys` is read-only, as in a container, a fresh one is mounted for it.
pub(super) fn quiet_ipv6() {
    let write = |proc: &str| {
        ["all", "default"].into_iter().all(|name| {
            fs::write(format!("{proc}/sys/net/ipv6/conf/{name}/disable_ipv6"), "1").is_ok()
        })
    };
    if !write("/proc") && Path::new("/old").is_dir() {
        let fresh = mount_new("proc", Path::new("/old"), MsFlags::empty(), "");
        if fresh.is_ok() {
            write("/old");
            // The namespace ends with the process in any case.
            let _ = umount2("/old", MntFlags::MNT_DETACH);
        }
    }
}

fn make_base(base: &Path, libraries: &[PathBuf], commands: &[String]) -> io::Result<Vec<String>> {
    mount_new("tmpfs", base, MsFlags::MS_NOSUID, "mode=755,size=1g")?;
    make_folder(&base.join("bin"))?;
    show_program(&base.join("bin/labctl"))?;
    for command in commands.iter().filter(|command| *command != "labctl") {
        let plain =
            !command.is_empty() && !command.contains('/') && *command != "." && *command != "..";
        if !plain {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{command}` cannot be a command's name"),
            ));
        }
        link("labctl", &base.join("bin").join(command))?;
    }
    for library in libraries {
        let inside = base.join(library.strip_prefix("/").unwrap_or(library));
        fs::create_dir_all(inside.parent().unwrap_or(base)).doing("making a library's folder")?;
        bind_file(library, &inside)?;
        for name in names_of(library) {
            // The loader looks here whatever the distribution calls its own folders.
            make_folder(&base.join("lib"))?;
            let link_path = base.join("lib").join(name);
            if !link_path.exists() {
                link(library, &link_path)?;
            }
        }
    }
    if let Some(loader) = interpreter(Path::new("/proc/self/exe"))? {
        let inside = base.join(loader.strip_prefix("/").unwrap_or(&loader));
        if !inside.exists() {
            fs::create_dir_all(inside.parent().unwrap_or(base))
                .doing("making the loader's folder")?;
            let real = fs::canonicalize(&loader).doing("finding the program's loader")?;
            link(&real, &inside)?;
        }
    }
    let dev = base.join("dev");
    make_folder(&dev)?;
    make_folder(&dev.join("pts"))?;
    for device in DEVICES {
        // Read-only: the device can still be written, but its mode, which is the host's, cannot be
        // changed by a node whose root owns it.
        bind_file(&Path::new("/dev").join(device), &dev.join(device))?;
    }
    for (name, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        link(target, &dev.join(name))?;
    }
    let mut folders: Vec<String> = fs::read_dir(base)
        .doing("reading the base")?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    folders.sort();
    read_only(base)?;
    Ok(folders)
}

/// Shows this very program at `to`. A program that was replaced on disk since it was started is
/// copied from memory instead.
fn show_program(to: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let running = Path::new("/proc/self/exe");
    let identity = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    let path = fs::read_link(running).doing("finding the program")?;
    let same = identity(running).doing("finding the program")?;
    if identity(&path).is_ok_and(|there| there == same) {
        return bind_file(&path, to);
    }
    fs::copy(running, to).doing("copying the program")?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).doing("copying the program")
}

fn link(target: impl AsRef<Path>, at: &Path) -> io::Result<()> {
    match symlink(target, at) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).doing(&format!("making the link {}", at.display()))
        }
        _ => Ok(()),
    }
}

/// Makes a folder that may be there already.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).doing(&format!("making the folder {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Mounts a new file system.
pub(super) fn mount_new(kind: &str, at: &Path, flags: MsFlags, options: &str) -> io::Result<()> {
    mount(Some(kind), at, Some(kind), flags, Some(options))
        .doing(&format!("mounting {kind} on {}", at.display()))
}

/// Shows `from` at `to` as well.
pub(super) fn bind(from: &Path, to: &Path, below: bool) -> io::Result<()> {
    let flags = if below { MsFlags::MS_BIND | MsFlags::MS_REC } else { MsFlags::MS_BIND };
    mount(Some(from), to, None::<&str>, flags, None::<&str>).doing(&format!(
        "showing {} at {}",
        from.display(),
        to.display()
    ))
}

/// Shows a file at `to`, read-only.
fn bind_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::write(to, "").doing(&format!("making {}", to.display()))?;
    bind(from, to, false)?;
    read_only(to)
}

/// Makes one mount read-only; flags that an outer namespace has locked are kept.
pub(super) fn read_only(at: &Path) -> io::Result<()> {
    let has = statvfs(at).doing("reading a mount's flags")?.flags();
    let mut flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    for (there, flag) in [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ] {
        if has.contains(there) {
            flags |= flag;
        }
    }
    mount(None::<&str>, at, None::<&str>, flags, None::<&str>)
        .doing(&format!("making {} read-only", at.display()))
}

/// The files that this process has mapped beside its own program: all that it needs to run again.
fn mapped_libraries() -> io::Result<Vec<PathBuf>> {
    let program = fs::read_link("/proc/self/exe").doing("finding the program")?;
    let maps = fs::read_to_string("/proc/self/maps").doing("reading the program's libraries")?;
    let found: BTreeSet<PathBuf> = maps
        .lines()
        .filter_map(|line| line.splitn(6, ' ').nth(5))
        .map(str::trim_start)
        .filter(|path| path.starts_with('/') && path.contains(".so"))
        .map(PathBuf::from)
        .filter(|path| *path != program && path.is_file())
        .collect();
    Ok(found.into_iter().collect())
}

/// The names by which a library is asked for: its own, and where that has no version number after
/// `.so` (`libc-2.31.so`), the links to it beside it.
fn names_of(library: &Path) -> Vec<String> {
    let Some(own) = library.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let mut names = vec![own.to_owned()];
    if !own.contains(".so.") {
        let folder = library.parent().unwrap_or(Path::new("/"));
        let beside = fs::read_dir(folder).into_iter().flatten().flatten();
        names.extend(
            beside
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()))
                .filter(|entry| fs::canonicalize(entry.path()).is_ok_and(|real| real == library))
                .filter_map(|entry| entry.file_name().into_string().ok()),
        );
    }
    names
}

/// The loader a 64-bit ELF program names; `None` for one that needs none.
fn interpreter(program: &Path) -> io::Result<Option<PathBuf>> {
    const PT_INTERP: u32 = 3;
    let mut file = fs::File::open(program).doing("opening the program")?;
    let mut header = [0u8; 64];
    file.read_exact(&mut header).doing("reading the program")?;
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    if header[..5] != [0x7f, b'E', b'L', b'F', 2] {
        return Ok(None);
    }
    let (start, size, count) =
        (number(&header[32..40]), number(&header[54..56]), number(&header[56..58]));
    for index in 0..count {
        let mut entry = [0u8; 56];
        file.seek(SeekFrom::Start(start + index * size))?;
        file.read_exact(&mut entry).doing("reading the program's parts")?;
        if number(&entry[..4]) as u32 == PT_INTERP {
            let mut text = vec![0u8; (number(&entry[32..40]) as usize).min(4096)];
            file.seek(SeekFrom::Start(number(&entry[8..16])))?;
            file.read_exact(&mut text).doing("reading the loader's name")?;
            let text = String::from_utf8_lossy(&text);
            return Ok(Some(PathBuf::from(text.trim_end_matches('\0'))));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_knows_its_libraries_and_its_loader() {
        let libraries = mapped_libraries().unwrap();
        match interpreter(Path::new("/proc/self/exe")).unwrap() {
            Some(loader) => {
                let real = fs::canonicalize(loader).unwrap();
                assert!(libraries.contains(&real), "{libraries:?} lacks {real:?}");
                assert!(libraries.iter().any(|path| path.to_string_lossy().contains("libc")));
            }
            None => assert!(libraries.is_empty()),
        }
    }

    #[test]
    fn a_text_has_no_loader() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), vec![b'#'; 100]).unwrap();
        assert_eq!(interpreter(file.path()).unwrap(), None);
    }
}
