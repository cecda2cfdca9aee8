//! What keeps a node of the Docker engine from its host beside its namespaces: system calls, the modes
//! of `/proc`, the size of its log, and bridges that the host does not listen to.
//!
//! A bridge network's switch is an interface of the host as well. Without an address it still answers
//! ARP for all the host's addresses, takes packets to them, forwards others (`ip_forward` is on where
//! Docker runs, and Docker's own rules let them pass), and has an IPv6 address by itself. Three
//! settings make it deaf, and vanish with it: with `rp_filter` an interface without an address takes
//! no IPv4 at all, bridged frames are none of its business.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, ResourcesUlimits};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use futures::StreamExt;

use super::{Docker, connect, labels};
use crate::calls;
use crate::error::Result;

/// The first word by which this program is the one in [`guard`]'s container.
pub const DEAFEN: &str = "deafen";

/// An interface's settings: protocol, name, value.
const SETTINGS: [(&str, &str, &str); 3] =
    [("ipv4", "rp_filter", "1"), ("ipv4", "arp_ignore", "8"), ("ipv6", "disable_ipv6", "1")];

/// What Docker makes read-only by itself, and the files of `/proc` that are one for the whole machine:
/// they belong to root, which a node's root is, so it could change their modes for everybody. (All of
/// `/proc` would be simpler, but where AppArmor is on, each `exec` writes to it.)
const READ_ONLY: &str = "bus fs irq sys sysrq-trigger \
    buddyinfo cgroups cmdline config.gz consoles cpuinfo crypto devices diskstats dma driver execdomains \
    fb filesystems interrupts iomem ioports key-users kmsg kpagecgroup kpagecount kpageflags loadavg \
    locks mdstat meminfo misc modules mtrr pagetypeinfo partitions pressure schedstat slabinfo softirqs \
    stat swaps sysvipc tty uptime version vmallocinfo vmstat zoneinfo";

/// The paths that a node may only read.
pub fn read_only() -> Vec<String> {
    READ_ONLY.split_whitespace().map(|name| format!("/proc/{name}")).collect()
}

/// Whether this is Podman, which takes a profile as a file of its own machine only and names its
/// bridges otherwise.
pub async fn is_podman(docker: &Docker) -> Result<bool> {
    let version = docker.api.version().await;
    let version = version.map_err(|error| connect::unavailable(&docker.host, &error))?;
    let parts = version.components.unwrap_or_default();
    Ok(parts.iter().any(|part| part.name.to_lowercase().contains("podman")))
}

/// The security options of a node.
pub fn security(podman: bool) -> Vec<String> {
    let mut options = vec!["no-new-privileges".to_owned()];
    if !podman {
        options.push(format!("seccomp={}", calls::profile()));
    }
    options
}

/// The limits of each process, as on the embedded engine.
pub fn ulimits() -> Vec<ResourcesUlimits> {
    let all = [
        ("core", 0),
        ("nofile", calls::DESCRIPTORS),
        // What a hostile root can put into each of the files that Docker keeps on the host.
        ("fsize", calls::FILE_SIZE),
        ("sigpending", calls::TIMERS),
        ("msgqueue", 0),
    ];
    let limit = |(name, value): (&str, u64)| ResourcesUlimits {
        name: Some(name.into()),
        soft: i64::try_from(value).ok(),
        hard: i64::try_from(value).ok(),
    };
    all.map(limit).into()
}

/// Where a container's output goes: Docker keeps all of it on the host's disk unless it is told a
/// bound.
pub fn log() -> HostConfigLogConfig {
    let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    HostConfigLogConfig {
        typ: Some("json-file".into()),
        config: Some(HashMap::from([option("max-size", "2m"), option("max-file", "2")])),
    }
}

/// The host's interface of a network.
fn bridge(id: &str) -> String {
    format!("br-{}", id.get(..12).unwrap_or(id))
}

/// Makes one interface of this network namespace deaf.
fn deafen(interface: &str) -> io::Result<()> {
    for (protocol, name, value) in SETTINGS {
        let path = format!("/proc/sys/net/{protocol}/conf/{interface}/{name}");
        match std::fs::write(path, value) {
            // A host without IPv6 has nothing to switch off.
            Err(error) if protocol == "ipv6" && error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// The program in [`guard`]'s container: `labctl deafen INTERFACE…`.
pub fn deafen_main(args: Vec<OsString>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for interface in args.iter().map(|arg| arg.to_string_lossy()) {
        if let Err(error) = deafen(&interface) {
            use std::io::Write;
            // There is nobody else to tell.
            let _ = writeln!(io::stderr().lock(), "{interface}: {error}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Makes the host deaf to these networks: at once where labctl is root on the daemon's own machine,
/// else by a container in the host's network that lives as long as that takes.
pub async fn guard(
    docker: &Docker,
    image: &str,
    (lab, instance): (&str, &str),
    networks: Vec<String>,
) -> Result<()> {
    let there = |bridge: &String| Path::new("/proc/sys/net/ipv4/conf").join(bridge).exists();
    let bridges = networks.iter().map(|id| bridge(id));
    let left: Vec<String> =
        bridges.filter(|bridge| !there(bridge) || deafen(bridge).is_err()).collect();
    if left.is_empty() {
        return Ok(());
    }
    let mut labels = labels::common(lab, instance);
    labels.insert(labels::ROLE.into(), DEAFEN.into());
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec![node::paths::PROGRAM.into(), DEAFEN.into()]),
        cmd: Some(left.clone()),
        labels: Some(labels),
        host_config: Some(HostConfig {
            network_mode: Some("host".into()),
            userns_mode: Some("host".into()),
            cap_drop: Some(vec!["ALL".into()]),
            cap_add: Some(vec!["NET_ADMIN".into()]),
            security_opt: Some(vec!["no-new-privileges".into()]),
            // The settings of its network are what it is for.
            readonly_paths: Some(Vec::new()),
            memory: Some(64 << 20),
            pids_limit: Some(16),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let api = docker.api.clone();
    let work = async move {
        let options = CreateContainerOptionsBuilder::default().build();
        let id = api.create_container(Some(options), body).await?.id;
        let mut ended = api.wait_container(&id, None).boxed();
        let started = api.start_container(&id, None).await;
        let result = match started {
            Ok(()) => ended.next().await.unwrap_or(Ok(Default::default())).map(|_| ()),
            Err(error) => Err(error),
        };
        let force = RemoveContainerOptionsBuilder::default().force(true).build();
        let removed = api.remove_container(&id, Some(force)).await;
        result.and(removed)
    };
    docker.settle("close the lab's networks to the host".into(), work).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_called_after_its_network() {
        assert_eq!(bridge("a1fafb7b71c0ffee1234"), "br-a1fafb7b71c0");
        assert!(read_only().contains(&"/proc/meminfo".to_owned()));
        assert!(read_only().contains(&"/proc/sys".to_owned()));
    }

    #[test]
    fn an_interface_that_is_not_there_is_an_error() {
        assert!(deafen("br-there-is-none").is_err());
    }
}
