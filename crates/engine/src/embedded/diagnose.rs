//! What is missing when the kernel refuses, and how to allow it.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use super::cgroup::Cgroups;
use super::process::Doing;
use super::sandbox;
use crate::Error;

/// What the kernel and its settings say about namespaces.
#[derive(Clone, Debug, Default)]
struct Facts {
    root: bool,
    capable: bool,
    apparmor_restricts: bool,
    clone_forbidden: bool,
    most_namespaces: Option<u64>,
    filtered: bool,
    confined: Option<String>,
}

impl Facts {
    fn read() -> Self {
        let number =
            |path: &str| -> Option<u64> { fs::read_to_string(path).ok()?.trim().parse().ok() };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let confined = fs::read_to_string("/proc/self/attr/current").ok();
        Self {
            root: nix::unistd::geteuid().is_root(),
            capable: sandbox::privileged(),
            apparmor_restricts: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
                == Some(1),
            clone_forbidden: number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0),
            most_namespaces: number("/proc/sys/user/max_user_namespaces"),
            filtered: status
                .lines()
                .any(|line| line.starts_with("Seccomp:") && line.ends_with('2')),
            confined: confined
                .map(|text| text.trim_matches(['\0', '\n', ' ']).to_owned())
                .filter(|text| !text.is_empty() && !text.starts_with("unconfined")),
        }
    }

    /// What to do about a refusal.
    fn help(&self) -> String {
        if self.most_namespaces == Some(0) {
            return "user namespaces are switched off: `sysctl user.max_user_namespaces=10000` \
                    as root, or run labctl as root"
                .into();
        }
        if self.root && !self.capable {
            return "root has not all its capabilities here, as in a container: start the container \
                    with `--cap-add NET_ADMIN --cap-add SYS_ADMIN`"
                .into();
        }
        if self.capable {
            return match &self.confined {
                Some(profile) => format!(
                    "the security profile `{profile}` forbids it: start the container with \
                     `--security-opt apparmor=unconfined`"
                ),
                None if self.filtered => {
                    "a system call filter forbids it: start the container with \
                    `--cap-add NET_ADMIN --cap-add SYS_ADMIN`, and on old engines with \
                    `--security-opt seccomp=unconfined`"
                        .into()
                }
                None => "labctl needs Linux 5.8 or newer with network, mount, pid, uts and ipc \
                         namespaces, veth and bridge"
                    .into(),
            };
        }
        if self.apparmor_restricts {
            return "AppArmor keeps user namespaces from ordinary users: \
                    `sysctl kernel.apparmor_restrict_unprivileged_userns=0` as root, or run labctl \
                    as root"
                .into();
        }
        if self.clone_forbidden {
            return "user namespaces are kept from ordinary users: \
                    `sysctl kernel.unprivileged_userns_clone=1` as root, or run labctl as root"
                .into();
        }
        if self.filtered {
            return "a system call filter, as of a container, forbids user namespaces: run labctl \
                    as the container's root, with `--cap-add NET_ADMIN --cap-add SYS_ADMIN`"
                .into();
        }
        "run labctl as root, or allow user namespaces (`sysctl user.max_user_namespaces`)".into()
    }
}

/// An error of a supervisor's beginnings, with what to do.
pub(super) fn explain(error: &io::Error) -> Error {
    Error::Unavailable {
        message: format!("the embedded engine cannot run here: {error}"),
        help: Facts::read().help(),
    }
}

/// Tries what a supervisor does first and prints facts, a line each: `label<TAB>value`. On failure
/// prints the error and what to do, two lines, and exits with 1.
pub(super) fn probe() -> ExitCode {
    let folder = std::env::temp_dir();
    let (text, code) = match attempt(&folder) {
        Ok(facts) => (facts, ExitCode::SUCCESS),
        Err(error) => {
            let help = explain(&error);
            (format!("{help}\n{}\n", help.help().unwrap_or_default()), ExitCode::FAILURE)
        }
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn attempt(folder: &Path) -> io::Result<String> {
    use nix::sched::{CloneFlags, unshare};
    let own_user = !sandbox::privileged();
    if own_user {
        sandbox::own_user_namespace()?;
    }
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC)
        .doing("making a network and a mount namespace")?;
    sandbox::make_private()?;
    sandbox::mount_new("tmpfs", folder, nix::mount::MsFlags::empty(), "size=64k")?;
    let mut bridges = net::bridge::Bridges::open().map_err(io::Error::other)?;
    bridges.add("probe", 1000).map_err(io::Error::other)?;
    let cable = net::bridge::Cable {
        port: "port".into(),
        index: 1001,
        bridge: 1000,
        process: std::process::id(),
        name: "end".into(),
        mac: net::Mac::default(),
    };
    let cable =
        net::bridge::Cable { mac: "02:00:00:00:00:01".parse().unwrap_or(cable.mac), ..cable };
    bridges.plug(&[cable]).map_err(io::Error::other)?;
    let cgroups = Cgroups::find(Path::new("/sys/fs/cgroup"));
    let who = if own_user { "a user namespace of its own" } else { "root's capabilities" };
    let bounds = match (&cgroups, own_user) {
        (Cgroups::None, false) => {
            "open files only: no control group may be written; whatever contains labctl bounds it"
                .to_owned()
        }
        (cgroups, _) => cgroups.describe(),
    };
    Ok(format!("runs with\t{who}\nlimits\t{bounds}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_obstacle_has_its_own_way_out() {
        let help = |facts: Facts| facts.help();
        assert!(help(Facts { most_namespaces: Some(0), ..Facts::default() }).contains("max_user"));
        assert!(help(Facts { root: true, ..Facts::default() }).contains("--cap-add"));
        assert!(help(Facts { apparmor_restricts: true, ..Facts::default() }).contains("apparmor_"));
        assert!(help(Facts { clone_forbidden: true, ..Facts::default() }).contains("userns_clone"));
        let confined = Facts {
            root: true,
            capable: true,
            confined: Some("docker-default (enforce)".into()),
            ..Facts::default()
        };
        assert!(help(confined).contains("apparmor=unconfined"));
    }
}
