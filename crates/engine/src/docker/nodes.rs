//! One node as a container: what it is created from.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, NetworkConnectRequest,
    NetworkingConfig, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use ipnet::Ipv4Net;

use super::apply::{Addresses, hash};
use super::{Docker, companion, confine, inline, labels};
use crate::error::{Error, Result};
use crate::{Deployment, Event, NodeSpec, Progress};

/// Memory of a node where the lab says nothing, in bytes.
const MEMORY: i64 = 256 << 20;
/// Processes of a node where the lab says nothing.
const PROCESSES: i64 = 256;

/// What every node of an instance is created from.
pub(super) struct Site<'a> {
    pub(super) docker: &'a Docker,
    pub(super) deployment: &'a Deployment,
    pub(super) image: &'a str,
    pub(super) networks: &'a BTreeMap<String, (String, Ipv4Net)>,
    pub(super) addresses: &'a Addresses,
    /// The nodes' security options.
    pub(super) security: &'a [String],
}

pub(super) async fn create_node(
    site: &Site<'_>,
    node: &NodeSpec,
    progress: Progress<'_>,
) -> Result<()> {
    let Site { docker, deployment, image, networks, addresses, security } = *site;
    let name = node.name();
    progress(Event { subject: name.to_owned(), what: "creating" });
    let mut all = labels::common(&deployment.lab, &deployment.instance);
    all.insert(labels::NODE.into(), name.into());
    all.insert(labels::ROLE.into(), "agent".into());
    all.insert(labels::HASH.into(), hash(docker, node));
    let mut config = node.config.clone();
    let mut endpoints = Vec::new();
    for link in &mut config.links {
        let address = addresses.get(&(name.to_owned(), link.network.clone())).copied();
        let Some((address, (id, _))) = address.zip(networks.get(&link.network)) else { continue };
        link.transport = Some(address);
        all.insert(format!("{}{}", labels::ADDRESS, link.network), address.to_string());
        endpoints.push((
            id.clone(),
            EndpointSettings {
                ipam_config: Some(EndpointIpamConfig {
                    ipv4_address: Some(address.to_string()),
                    ..EndpointIpamConfig::default()
                }),
                ..EndpointSettings::default()
            },
        ));
    }
    let text = serde_json::to_string(&config)
        .map_err(|error| Error::failed(format!("configure node {name}"), error))?;
    let word = inline::pack(&text)?;
    if word.len() > inline::MAX {
        return Err(Error::failed(
            format!("configure node {name}"),
            format!(
                "its files are too large together: {} bytes packed, {} at most",
                word.len(),
                inline::MAX
            ),
        ));
    }
    let mut endpoints = endpoints.into_iter();
    let first = endpoints.next();
    let body = ContainerCreateBody {
        hostname: Some(name.to_owned()),
        image: Some(image.to_owned()),
        cmd: Some(vec![inline::OPTION.into(), word]),
        labels: Some(all.clone()),
        stop_signal: Some("SIGTERM".into()),
        stop_timeout: Some(2),
        host_config: Some(HostConfig {
            security_opt: Some(security.to_vec()),
            readonly_paths: Some(confine::read_only()),
            ..host_config(node, first.as_ref().map(|(id, _)| id.clone()))
        }),
        networking_config: first.map(|(id, endpoint)| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(id, endpoint)])),
        }),
        ..ContainerCreateBody::default()
    };
    let container = labels::container(&deployment.instance, name);
    let id = create(docker, &container, body, name).await?;
    for (network, endpoint) in endpoints {
        let request =
            NetworkConnectRequest { container: id.clone(), endpoint_config: Some(endpoint) };
        let api = docker.api.clone();
        docker
            .settle(format!("connect node {name}"), async move {
                api.connect_network(&network, request).await
            })
            .await?;
    }
    progress(Event { subject: name.to_owned(), what: "starting" });
    start(docker, &id, name).await?;
    if let Some(foreign) = &node.image {
        all.insert(labels::ROLE.into(), "image".into());
        let body = ContainerCreateBody {
            image: Some(foreign.clone()),
            cmd: (!node.command.is_empty()).then(|| node.command.clone()),
            env: Some(node.env.iter().map(|(key, value)| format!("{key}={value}")).collect()),
            labels: Some(all),
            host_config: Some(HostConfig {
                network_mode: Some(format!("container:{id}")),
                ..limits(node)
            }),
            ..ContainerCreateBody::default()
        };
        let id = create(docker, &companion::name(&container), body, name).await?;
        start(docker, &id, name).await?;
    }
    progress(Event { subject: name.to_owned(), what: "started" });
    Ok(())
}

/// Makes a container. What a labctl that was killed has asked for may be there by now under the same
/// name; it is of this instance, and goes.
async fn create(
    docker: &Docker,
    container: &str,
    body: ContainerCreateBody,
    node: &str,
) -> Result<String> {
    let options = CreateContainerOptionsBuilder::default().name(container).build();
    let (api, container) = (docker.api.clone(), container.to_owned());
    let work = async move {
        let refused = match api.create_container(Some(options.clone()), body.clone()).await {
            Err(error) if is_conflict(&error) => error,
            other => return other,
        };
        let there = api.inspect_container(&container, None).await?;
        let instance = |labels: Option<HashMap<String, String>>| labels?.remove(labels::INSTANCE);
        let known = there.config.and_then(|config| instance(config.labels));
        if known.is_none() || known != instance(body.labels.clone()) {
            return Err(refused);
        }
        let force = RemoveContainerOptionsBuilder::default().force(true).build();
        api.remove_container(&container, Some(force)).await?;
        api.create_container(Some(options), body).await
    };
    docker.settle(format!("create node {node}"), work).await.map(|created| created.id)
}

/// Whether the name is taken.
fn is_conflict(error: &bollard::errors::Error) -> bool {
    use bollard::errors::Error::DockerResponseServerError as Refused;
    matches!(error, Refused { status_code: 409, .. })
}

async fn start(docker: &Docker, id: &str, node: &str) -> Result<()> {
    let (api, id) = (docker.api.clone(), id.to_owned());
    docker
        .settle(format!("start node {node}"), async move { api.start_container(&id, None).await })
        .await
}

/// What every container of a lab is bounded by.
fn limits(node: &NodeSpec) -> HostConfig {
    HostConfig {
        memory: Some(node.limits.memory.map_or(MEMORY, |bytes| bytes as i64)),
        // No swap beside the memory: a node that eats its memory is killed, not slow.
        memory_swap: Some(node.limits.memory.map_or(MEMORY, |bytes| bytes as i64)),
        pids_limit: Some(node.limits.processes.map_or(PROCESSES, i64::from)),
        nano_cpus: node.limits.cpu.map(|share| (share * 1e9) as i64),
        security_opt: Some(vec!["no-new-privileges".into()]),
        log_config: Some(confine::log()),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
            ..RestartPolicy::default()
        }),
        ..HostConfig::default()
    }
}

fn host_config(node: &NodeSpec, network: Option<String>) -> HostConfig {
    let forwarding = if node.config.forwarding { "1" } else { "0" };
    let sysctl = |name: &str, value: &str| (format!("net.ipv4.{name}"), value.to_owned());
    let tmpfs =
        |path: &str, options: &str| (path.to_owned(), format!("rw,nosuid,nodev,noexec,{options}"));
    let mut folders = HashMap::from([
        tmpfs("/tmp", "size=16m,nr_inodes=4096,mode=1777"),
        tmpfs("/run", "size=8m,nr_inodes=4096,mode=755"),
    ]);
    if let Some(bytes) = node.limits.disk {
        let files = (bytes / 4096).clamp(1 << 10, 1 << 16);
        let options = format!("size={bytes},nr_inodes={files},mode=755");
        folders.extend([tmpfs(node::paths::STATE, &options)]);
    }
    HostConfig {
        network_mode: Some(network.unwrap_or_else(|| "none".into())),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(vec!["NET_ADMIN".into(), "NET_RAW".into(), "NET_BIND_SERVICE".into()]),
        // /proc/sys is read-only in a container: what the agent may not write is said here.
        sysctls: Some(HashMap::from([
            sysctl("ip_forward", forwarding),
            sysctl("conf.all.send_redirects", "0"),
            sysctl("conf.default.send_redirects", "0"),
            sysctl("conf.all.rp_filter", "0"),
            sysctl("conf.default.rp_filter", "0"),
            sysctl("icmp_ratelimit", "0"),
            ("net.ipv6.conf.all.disable_ipv6".to_owned(), "1".to_owned()),
        ])),
        tmpfs: Some(folders),
        ulimits: Some(confine::ulimits()),
        ..limits(node)
    }
}
