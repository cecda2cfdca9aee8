//! What is missing when the kernel refuses, and how to allow it.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use net::bridge::{Bridges, Cable};

use super::cgroup::Cgroups;
use super::harden::Filters;
use super::process::Doing;
use super::start::{self, Birth};
use super::{neighbours, sandbox};
use crate::{Error, NodeSpec};

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
    fn help(&self, error: &io::Error) -> String {
        // A user namespace in a user namespace counts for its maker, too.
        let text = error.to_string();
        let used_up = text.contains("No space left") || text.contains("Too many users");
        if let Some(most) = self.most_namespaces.filter(|most| *most > 0 && used_up) {
            return format!(
                "labctl needs more user namespaces than `user.max_user_namespaces={most}` leaves: \
                 `sysctl user.max_user_namespaces=10000` as root, or run labctl as root"
            );
        }
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
        help: Facts::read().help(error),
    }
}

/// Tries what a supervisor does first and prints facts, a line each: `label<TAB>value`. On failure
/// prints the error and what to do, two lines, and exits with 1.
pub(super) fn probe(folder: &Path) -> ExitCode {
    let (text, code) = match attempt(folder) {
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

/// Enters what a supervisor enters and gives birth to a node, up to its agent.
fn attempt(folder: &Path) -> io::Result<String> {
    let own_user = !sandbox::privileged();
    let neighbours = neighbours::describe();
    let sandbox = sandbox::enter(folder, &[], None)?;
    let cgroups = sandbox.cgroups.clone();
    cgroups.tidy();
    let mut bridges = Bridges::open().map_err(io::Error::other)?;
    bridges.add("probe", 1000).map_err(io::Error::other)?;
    let filters = Filters::compile().map_err(io::Error::other)?;
    let mut spec = NodeSpec::default();
    spec.config.node = "probe".into();
    let birth = Birth { sandbox: &sandbox, filters: &filters, spec: &spec, groups: Vec::new() };
    let born = start::bear(&birth)?;
    // Nobody says go: the child ends, at the latest with this process.
    let mut report = fs::File::from(born.report);
    let mut said = [0];
    if report.read(&mut said)? != 1 || said[0] != start::READY {
        let mut text = said.to_vec();
        report.read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        return Err(io::Error::other(text.trim_matches('\0'))).doing("starting a node");
    }
    let cable = Cable {
        port: "port".into(),
        index: 1001,
        bridge: 1000,
        process: born.pid.as_raw().unsigned_abs(),
        name: "end".into(),
        mac: "02:00:00:00:00:01".parse().unwrap_or_default(),
    };
    bridges.plug(&[cable]).map_err(io::Error::other)?;
    let who = if own_user { "a user namespace of its own" } else { "root's capabilities" };
    let bounds = match (&cgroups, own_user) {
        (Cgroups::None, false) => {
            "open files only: no control group may be written; whatever contains labctl bounds it"
                .to_owned()
        }
        (cgroups, _) => cgroups.describe(),
    };
    Ok(format!("runs with\t{who}\nlimits\t{bounds}\nneighbours\t{neighbours}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_obstacle_has_its_own_way_out() {
        let help = |facts: Facts| facts.help(&io::Error::other("refused"));
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
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        let nested = Facts { most_namespaces: Some(1), ..Facts::default() }.help(&full);
        assert!(nested.contains("more user namespaces"), "{nested}");
    }
}
