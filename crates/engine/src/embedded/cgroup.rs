//! Bounds of nodes by control groups, version 1 or 2, where they may be written.
//!
//! Groups are `labctl/<owner>.<instance>/<node>`; the owner is a hash of the folder that holds the
//! instances, so that `gc` of one user touches no other's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::Limits;

/// Processes and threads of a node that sets no limit of its own: a fork bomb ends in the node.
pub(super) const PROCESSES: u32 = 256;

/// Bytes of memory of a node that sets no limit of its own.
pub(super) const MEMORY: u64 = 256 << 20;

/// What kind of control groups this process may make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cgroups {
    /// Version 1: one hierarchy for each controller; those that may be written.
    V1(Vec<(&'static str, PathBuf)>),
    /// Version 2: one hierarchy.
    V2(PathBuf),
    /// None: only resource limits bound a node.
    None,
}

/// Where the groups of the instances under `root` begin.
pub(super) fn owner(root: &Path) -> String {
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn writable(path: &Path) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok()
}

impl Cgroups {
    /// What there is under `base`, usually `/sys/fs/cgroup`.
    pub(super) fn find(base: &Path) -> Self {
        if base.join("cgroup.controllers").exists() {
            let controllers = base.join("cgroup.subtree_control");
            let usable = writable(base)
                && fs::write(&controllers, "+memory +pids").is_ok()
                && make(&base.join("labctl")).is_ok()
                && delegate(&base.join("labctl")).is_ok();
            if usable {
                let _ = fs::write(&controllers, "+cpu");
                return Self::V2(base.join("labctl"));
            }
            return Self::None;
        }
        let found: Vec<_> = ["memory", "pids", "cpu"]
            .into_iter()
            .filter_map(|controller| {
                let path = base.join(controller);
                let usable = path.join("cgroup.procs").exists() && writable(&path);
                let own = path.join("labctl");
                (usable && make(&own).is_ok()).then_some((controller, own))
            })
            .collect();
        if found.is_empty() { Self::None } else { Self::V1(found) }
    }

    /// One line for `doctor`.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::V1(found) => format!(
                "by control groups, version 1 ({})",
                found.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
            ),
            Self::V2(_) => "by control groups, version 2".into(),
            Self::None => "by resource limits only: no control group may be written".into(),
        }
    }

    fn roots(&self) -> Vec<&Path> {
        match self {
            Self::V1(found) => found.iter().map(|(_, path)| path.as_path()).collect(),
            Self::V2(path) => vec![path],
            Self::None => Vec::new(),
        }
    }

    /// Bounds an instance as a whole, where its limits say so.
    pub(super) fn instance(&self, instance: &str, limits: &Limits) -> io::Result<()> {
        let quota = limits.cpu.map(quota_of);
        let put = |path: PathBuf, value: Option<String>| match value {
            Some(value) => fs::write(path, value),
            None => Ok(()),
        };
        let memory = limits.memory.map(|bytes| bytes.to_string());
        let processes = limits.processes.map(|count| count.to_string());
        match self {
            Self::V1(found) => {
                for (controller, root) in found {
                    let group = root.join(instance);
                    match *controller {
                        "memory" if memory.is_some() => {
                            make(&group)?;
                            put(group.join("memory.limit_in_bytes"), memory.clone())?;
                        }
                        "pids" if processes.is_some() => {
                            make(&group)?;
                            put(group.join("pids.max"), processes.clone())?;
                        }
                        "cpu" if quota.is_some() => {
                            make(&group)?;
                            put(group.join("cpu.cfs_quota_us"), quota.map(|q| q.to_string()))?;
                        }
                        _ => {}
                    }
                }
            }
            Self::V2(root) => {
                let group = group_of(root, instance)?;
                put(group.join("memory.max"), memory)?;
                put(group.join("pids.max"), processes)?;
                put(group.join("cpu.max"), quota.map(|quota| format!("{quota} 100000")))?;
            }
            Self::None => {}
        }
        Ok(())
    }

    /// Makes a node's groups and sets its limits; the `cgroup.procs` files it has to write itself
    /// into. What a hierarchy lacks is left out.
    pub(super) fn node(
        &self,
        instance: &str,
        node: &str,
        limits: &Limits,
    ) -> io::Result<Vec<PathBuf>> {
        let memory = limits.memory.unwrap_or(MEMORY).to_string();
        let processes = limits.processes.unwrap_or(PROCESSES).to_string();
        let quota = limits.cpu.map(quota_of);
        let mut procs = Vec::new();
        match self {
            Self::V1(found) => {
                for (controller, root) in found {
                    // A share of a processor may be the node's or its instance's.
                    let shared = root.join(instance).is_dir();
                    if *controller == "cpu" && quota.is_none() && !shared {
                        continue;
                    }
                    let path = root.join(instance).join(node);
                    make(root.join(instance).as_path())?;
                    make(&path)?;
                    match *controller {
                        "memory" => fs::write(path.join("memory.limit_in_bytes"), &memory)?,
                        "pids" => fs::write(path.join("pids.max"), &processes)?,
                        _ => {
                            if let Some(quota) = quota {
                                fs::write(path.join("cpu.cfs_quota_us"), quota.to_string())?;
                            }
                        }
                    }
                    procs.push(path.join("cgroup.procs"));
                }
            }
            Self::V2(root) => {
                let group = group_of(root, instance)?;
                delegate(&group)?;
                if quota.is_some() {
                    fs::write(group.join("cgroup.subtree_control"), "+cpu")?;
                }
                let path = group.join(node);
                make(&path)?;
                fs::write(path.join("memory.max"), &memory)?;
                fs::write(path.join("pids.max"), &processes)?;
                if let Some(quota) = quota {
                    fs::write(path.join("cpu.max"), format!("{quota} 100000"))?;
                }
                procs.push(path.join("cgroup.procs"));
            }
            Self::None => {}
        }
        Ok(procs)
    }

    /// Removes a node's groups; they must be empty of processes.
    pub(super) fn remove_node(&self, instance: &str, node: &str) -> io::Result<()> {
        for root in self.roots() {
            remove(&root.join(instance).join(node))?;
        }
        Ok(())
    }

    /// Removes an instance's groups and all below them.
    pub(super) fn remove_instance(&self, instance: &str) -> io::Result<()> {
        for root in self.roots() {
            let group = root.join(instance);
            for entry in fs::read_dir(&group).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    remove(&entry.path())?;
                }
            }
            remove(&group)?;
        }
        // The last one takes the common parent with it; it stays while others use it.
        self.tidy();
        Ok(())
    }

    /// Removes the common parent where no instance uses it, as after a look that found nothing.
    pub(super) fn tidy(&self) {
        for root in self.roots() {
            let _ = fs::remove_dir(root);
        }
    }

    /// The instances of `owner` that have groups.
    pub(super) fn instances(&self, owner: &str) -> Vec<String> {
        let mut found: Vec<String> = self
            .roots()
            .into_iter()
            .flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.split_once('.').is_some_and(|(first, _)| first == owner))
            .collect();
        found.sort();
        found.dedup();
        found
    }
}

/// Microseconds in each tenth of a second.
fn quota_of(share: f64) -> u64 {
    (share.max(0.01) * 100_000.0) as u64
}

/// Version 2: makes an instance's group. The common parent may have been removed by its last user
/// in this moment and come back without its controllers; with a group in it, it stays.
fn group_of(root: &Path, instance: &str) -> io::Result<PathBuf> {
    let group = root.join(instance);
    make(&group)?;
    delegate(root)?;
    Ok(group)
}

/// Version 2: lets a group's children have controllers.
fn delegate(group: &Path) -> io::Result<()> {
    let control = group.join("cgroup.subtree_control");
    fs::write(&control, "+memory +pids")?;
    // Some kernels have no cpu controller; then there is no share of a processor.
    let _ = fs::write(&control, "+cpu");
    Ok(())
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Its parent may have been removed by the last user in this moment.
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(path),
        other => other,
    }
}

/// How long a group may keep the last of processes that have been killed.
const DYING: Duration = Duration::from_secs(2);

/// Removes a group; what still dies in it is waited for.
fn remove(path: &Path) -> io::Result<()> {
    let end = Instant::now() + DYING;
    loop {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < end => {
                let dying = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
                let first = dying.lines().next().and_then(|line| line.parse().ok());
                super::process::until_gone(first, end - Instant::now());
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_hierarchies_there_are_no_groups() {
        let base = tempfile::tempdir().unwrap();
        let cgroups = Cgroups::find(base.path());
        assert_eq!(cgroups, Cgroups::None);
        assert!(cgroups.node("x", "pc0", &Limits::default()).unwrap().is_empty());
        cgroups.remove_instance("x").unwrap();
    }

    #[test]
    fn version_1_sets_what_there_is() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("pids")).unwrap();
        fs::write(base.path().join("pids/cgroup.procs"), "").unwrap();
        let cgroups = Cgroups::find(base.path());
        let limits = Limits { processes: Some(7), ..Limits::default() };
        let procs = cgroups.node("abc.lab", "pc0", &limits).unwrap();
        let group = base.path().join("pids/labctl/abc.lab/pc0");
        assert_eq!(procs, [group.join("cgroup.procs")]);
        assert_eq!(fs::read_to_string(group.join("pids.max")).unwrap(), "7");
        let whole = Limits { processes: Some(70), cpu: Some(0.5), ..Limits::default() };
        cgroups.instance("abc.lab", &whole).unwrap();
        assert_eq!(fs::read_to_string(group.join("../pids.max")).unwrap(), "70");
        assert_eq!(cgroups.instances("abc"), ["abc.lab"]);
        assert!(cgroups.instances("abd").is_empty());
    }
}
