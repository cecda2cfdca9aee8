//! The container that is a pod, and the volume whose labels say what it shall be.
//!
//! The container is made of the node image, as a node is, and runs the embedded engine's supervisor
//! in it (`supervisor pod`). It has no network, no mount of the host's and no port. Labels of a
//! container cannot be changed, so what `up` may change (the document, the instance's labels, the
//! names of nodes and networks) is on a volume's, which another takes the place of.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, ContainerSummary, HostConfig, RestartPolicy, RestartPolicyNameEnum, Volume,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, ListVolumesOptionsBuilder,
};
use sha2::{Digest, Sha256};

use crate::docker::{Docker, confine, connect, document, labels, observe};
use crate::{Deployment, Limits, Result};

/// What a pod's process 1 and its supervisor may do. Everything in a node has three of these
/// (`embedded/harden.rs`); the others stay with the supervisor.
const CAPABILITIES: [&str; 6] = [
    // Namespaces and mounts.
    "SYS_ADMIN",
    // Bridges and cables; a node's addresses and filters.
    "NET_ADMIN",
    // A node's raw packets and its ports below 1024: what the supervisor lacks it cannot give.
    "NET_RAW",
    "NET_BIND_SERVICE",
    // Taking capabilities away from nodes.
    "SETPCAP",
    // A node's root; Docker's filter leaves only `chroot` for it. Entering a node for `exec`.
    "SYS_CHROOT",
];

/// Bounds of a pod whose instance sets none: so much for each of its nodes …
const MEMORY: u64 = 256 << 20;
const PROCESSES: u32 = 256;
const DISK: u64 = 64 << 20;
/// … and for process 1, the supervisor and the ways in.
const OWN_PROCESSES: u32 = 64;

/// A pod's bounds, worked out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    /// Bytes of memory. Files are memory too: they lie in a tmpfs.
    pub(super) memory: u64,
    pub(super) processes: u32,
    pub(super) cpu: Option<f64>,
    /// Bytes of all nodes' files together.
    pub(super) disk: u64,
    /// Bytes of one node's files: each has a tmpfs of its own.
    pub(super) share: u64,
}

impl Bounds {
    /// The bounds of an instance of so many nodes.
    pub(super) fn of(limits: &Limits, nodes: usize) -> Self {
        let nodes = nodes.max(1) as u64;
        let memory = limits.memory.unwrap_or(MEMORY * nodes);
        // Where only the memory is bounded, files may not take all of it.
        let usual = DISK * nodes;
        let disk = limits.disk.unwrap_or(limits.memory.map_or(usual, |bytes| usual.min(bytes / 2)));
        let processes = limits.processes.unwrap_or(
            OWN_PROCESSES + PROCESSES.saturating_mul(u32::try_from(nodes).unwrap_or(u32::MAX)),
        );
        Self {
            memory: memory.saturating_add(disk),
            processes,
            cpu: limits.cpu,
            disk,
            share: disk / nodes,
        }
    }
}

/// What there is of a pod.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) container: Option<ContainerSummary>,
    pub(super) volumes: Vec<Volume>,
}

/// The name of an instance's pod. Nodes' containers have a dot in theirs.
pub(super) fn name(instance: &str) -> String {
    format!("labctl-{instance}")
}

fn filter(instance: Option<&str>) -> HashMap<String, Vec<String>> {
    let label = match instance {
        Some(name) => format!("{}={name}", labels::POD),
        None => labels::POD.to_owned(),
    };
    HashMap::from([("label".to_owned(), vec![label])])
}

/// Everything of one pod, or of all, by the instance's name.
pub(super) async fn list(
    docker: &Docker,
    instance: Option<&str>,
) -> Result<std::collections::BTreeMap<String, Found>> {
    let filter = filter(instance);
    let containers = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
    let volumes = ListVolumesOptionsBuilder::default().filters(&filter).build();
    let (containers, volumes) = tokio::join!(
        docker.api.list_containers(Some(containers)),
        docker.api.list_volumes(Some(volumes)),
    );
    let failed = |error: bollard::errors::Error| connect::unavailable(&docker.host, &error);
    let mut all = std::collections::BTreeMap::<String, Found>::new();
    for container in containers.map_err(failed)? {
        let Some(name) = observe::label(&container, labels::POD).map(str::to_owned) else {
            continue;
        };
        all.entry(name).or_default().container = Some(container);
    }
    for volume in volumes.map_err(failed)?.volumes.unwrap_or_default() {
        let Some(name) = volume.labels.get(labels::POD) else { continue };
        all.entry(name.clone()).or_default().volumes.push(volume);
    }
    Ok(all)
}

/// Everything of one pod.
pub(super) async fn find(docker: &Docker, instance: &str) -> Result<Found> {
    Ok(list(docker, Some(instance)).await?.remove(instance).unwrap_or_default())
}

impl Found {
    /// A label of the volume.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.volumes.iter().find_map(|volume| volume.labels.get(name)).map(String::as_str)
    }

    /// A label of the volume that holds names.
    pub(super) fn names(&self, label: &str) -> Vec<String> {
        let text = self.label(label).unwrap_or_default();
        text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// The container's state in Docker's word, if there is one.
    pub(super) fn state(&self) -> Option<String> {
        self.container.as_ref().map(observe::state)
    }

    /// Whether the container was made as `hash` says.
    pub(super) fn made_as(&self, hash: &str) -> bool {
        let container = self.container.as_ref();
        container.and_then(|container| observe::label(container, labels::HASH)) == Some(hash)
    }
}

/// What decides whether a pod is replaced: the build of labctl and the limits. Not the number of
/// nodes: a node more or less changes no other.
pub(super) fn hash(docker: &Docker, image: &str, limits: &Limits) -> String {
    let text = format!("{image} {limits:?} {CAPABILITIES:?} {}", docker.commands.join(" "));
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What every pod's container is made as.
pub(super) fn body(image: &str, words: Vec<String>, bounds: &Bounds) -> ContainerCreateBody {
    let capabilities = CAPABILITIES.iter().map(|name| (*name).to_owned()).collect();
    let memory = i64::try_from(bounds.memory).unwrap_or(i64::MAX);
    let host = HostConfig {
        network_mode: Some("none".into()),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(capabilities),
        // Docker's own system call filter stays. Its AppArmor profile, where there is one, forbids
        // every mount, and with it the walls between nodes.
        security_opt: Some(vec!["no-new-privileges".into(), "apparmor=unconfined".into()]),
        memory: Some(memory),
        // No swap beside the memory: a lab that eats its memory is stopped, not slow.
        memory_swap: Some(memory),
        pids_limit: Some(bounds.processes.into()),
        // The supervisor's own words; what nodes say stays with it, within bounds.
        log_config: Some(confine::log()),
        nano_cpus: bounds.cpu.map(|share| (share * 1e9) as i64),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::ON_FAILURE),
            ..RestartPolicy::default()
        }),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec![node::paths::PROGRAM.to_owned(), "supervisor".into()]),
        cmd: Some(words),
        stop_signal: Some("SIGTERM".into()),
        stop_timeout: Some(5),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

/// Makes the container. `false` where there is one of this name: another labctl may be making it at
/// this moment.
pub(super) async fn create(
    docker: &Docker,
    deployment: &Deployment,
    image: &str,
    bounds: &Bounds,
) -> Result<bool> {
    let mut words = vec!["pod".to_owned(), bounds.share.to_string()];
    words.extend(docker.commands.iter().cloned());
    let mut body = body(image, words, bounds);
    body.labels = Some(HashMap::from([
        (labels::POD.to_owned(), deployment.instance.clone()),
        (labels::LAB.to_owned(), deployment.lab.clone()),
        (labels::VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        (labels::HASH.to_owned(), hash(docker, image, &deployment.limits)),
    ]));
    let options =
        CreateContainerOptionsBuilder::default().name(&name(&deployment.instance)).build();
    let api = docker.api.clone();
    let what = format!("create the pod of {}", deployment.instance);
    docker
        .settle(what, async move {
            match api.create_container(Some(options), body).await {
                Ok(_) => Ok(true),
                Err(bollard::errors::Error::DockerResponseServerError {
                    status_code: 409, ..
                }) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
}

/// Starts the container; one that runs is left alone.
pub(super) async fn start(docker: &Docker, instance: &str) -> Result<()> {
    let (api, name) = (docker.api.clone(), name(instance));
    docker
        .settle(format!("start the pod of {instance}"), async move {
            api.start_container(&name, None).await
        })
        .await
}

/// Keeps what an instance shall be on a volume's labels, in place of an older one.
pub(super) async fn keep(docker: &Docker, deployment: &Deployment, found: &Found) -> Result<()> {
    let join = |names: Vec<&str>| names.join(",");
    let nodes = join(deployment.nodes.iter().map(|node| node.name()).collect());
    let networks = join(deployment.networks.iter().map(|network| network.name.as_str()).collect());
    let labels = HashMap::from([
        (labels::POD.to_owned(), deployment.instance.clone()),
        (labels::LAB.to_owned(), deployment.lab.clone()),
        (labels::VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        (labels::NODES.to_owned(), nodes),
        (labels::NETWORKS.to_owned(), networks),
    ]);
    let stem = format!("{}.pod-", self::name(&deployment.instance));
    let there = found.volumes.iter().map(|volume| volume.name.as_str()).collect();
    // Beside a new container it is made again: without one it may have been taken for garbage.
    let anew = found.container.is_none();
    document::keep(docker, deployment, (&stem, labels), there, anew).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_memory_and_leave_room_for_processes() {
        let default = Bounds::of(&Limits::default(), 4);
        assert_eq!((default.memory, default.disk), ((1024 + 256) << 20, 256 << 20));
        assert_eq!(default.share, 64 << 20);
        assert_eq!(default.processes, 4 * 256 + 64);
        let small = Bounds::of(&Limits { memory: Some(256 << 20), ..Limits::default() }, 4);
        assert_eq!((small.memory, small.disk), (384 << 20, 128 << 20));
        let set = Limits {
            memory: Some(300 << 20),
            disk: Some(20 << 20),
            processes: Some(99),
            cpu: Some(0.5),
        };
        let set = Bounds::of(&set, 4);
        assert_eq!((set.memory, set.disk, set.processes), (320 << 20, 20 << 20, 99));
        assert_eq!((set.cpu, set.share), (Some(0.5), 5 << 20));
    }

    #[test]
    fn a_pod_has_no_way_out() {
        let body = body("image", Vec::new(), &Bounds::of(&Limits::default(), 1));
        let host = body.host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("none"));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.privileged, None);
        assert!(host.binds.is_none() && host.mounts.is_none() && host.devices.is_none());
        assert!(host.port_bindings.is_none() && host.pid_mode.is_none() && host.ipc_mode.is_none());
        let options = host.security_opt.unwrap();
        assert!(!options.iter().any(|option| option.contains("seccomp")), "{options:?}");
    }
}
