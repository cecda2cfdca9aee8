//! Making an instance what its deployment says, changing only what differs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Ipam, IpamConfig,
    NetworkConnectRequest, NetworkCreateRequest, NetworkingConfig, RestartPolicy,
    RestartPolicyNameEnum, VolumeCreateRequest,
};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use futures::FutureExt;
use ipnet::Ipv4Net;
use sha2::{Digest, Sha256};

use super::companion::{self, Beside};
use super::observe::{self, Objects};
use super::{Docker, confine, connect, image, inline, labels, parallel, remove, subnets};
use crate::error::{Error, Result};
use crate::{Changes, Deployment, Event, NodeSpec, Progress};

/// Memory of a node where the lab says nothing, in bytes.
const MEMORY: i64 = 256 << 20;
/// Processes of a node where the lab says nothing.
const PROCESSES: i64 = 256;

/// What is to do.
pub struct Plan {
    pub changes: Changes,
    found: Objects,
    /// Networks that stay, with their ids and subnets.
    kept: BTreeMap<String, (String, Ipv4Net)>,
    /// Networks of the lab that are to be created.
    new_networks: Vec<String>,
    /// Nodes that run as they are but were stopped.
    stopped: Vec<String>,
    /// Ids of networks that go.
    old_networks: HashSet<String>,
    /// Names of nodes to create, as new or in place of another.
    new_nodes: HashSet<String>,
}

/// Names of nodes on each network.
fn members(deployment: &Deployment) -> HashMap<&str, usize> {
    let mut members = HashMap::new();
    for link in deployment.nodes.iter().flat_map(|node| &node.config.links) {
        *members.entry(link.network.as_str()).or_default() += 1;
    }
    members
}

fn subnet(network: &bollard::models::Network) -> Option<Ipv4Net> {
    network.ipam.as_ref()?.config.as_ref()?.first()?.subnet.as_ref()?.parse().ok()
}

/// A node's hash includes the build of labctl: a newer agent replaces an older one.
fn hash(docker: &Docker, node: &NodeSpec) -> String {
    let commands = docker.commands.join(" ");
    let text = format!("{} {} {commands}", node.hash(), build());
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn build() -> String {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/exe")
        .map(|meta| format!("{} {}.{}", meta.len(), meta.mtime(), meta.mtime_nsec()))
        .unwrap_or_default()
}

/// Compares what there is with what should be.
pub async fn plan(docker: &Docker, deployment: &Deployment) -> Result<Plan> {
    let found = observe::objects(docker, labels::of(&deployment.instance)).await?;
    let members = members(deployment);
    let mut changes = Changes::default();
    let mut kept = BTreeMap::new();
    let mut old_networks = HashSet::new();
    for network in &found.networks {
        let (Some(id), Some(name)) = (
            network.id.clone(),
            network.labels.as_ref().and_then(|labels| labels.get(labels::NETWORK)).cloned(),
        ) else {
            continue;
        };
        let wanted = deployment.networks.iter().any(|network| network.name == name);
        let nodes = members.get(name.as_str()).copied().unwrap_or(0);
        match subnet(network) {
            Some(subnet)
                if wanted && subnets::capacity(subnet) >= nodes && !kept.contains_key(&name) =>
            {
                changes.keep.push(format!("network {name}"));
                kept.insert(name, (id, subnet));
            }
            _ => {
                if !wanted {
                    changes.remove.push(format!("network {name}"));
                }
                old_networks.insert(id);
            }
        }
    }
    let new_networks: Vec<String> = deployment
        .networks
        .iter()
        .filter(|network| !kept.contains_key(&network.name))
        .map(|network| network.name.clone())
        .collect();
    changes.create.extend(new_networks.iter().map(|name| format!("network {name}")));
    let mut stopped = Vec::new();
    let mut new_nodes = HashSet::new();
    for node in &deployment.nodes {
        let name = node.name();
        let label = format!("node {name}");
        let existing = found.containers.iter().find(|container| {
            observe::is_agent(container) && observe::label(container, labels::NODE) == Some(name)
        });
        let moved = node.config.links.iter().any(|link| new_networks.contains(&link.network));
        match existing {
            None => {
                changes.create.push(label);
                new_nodes.insert(name.to_owned());
            }
            Some(container) => {
                let same = observe::label(container, labels::HASH) == Some(&hash(docker, node));
                // `created` and `dead` are remains of an `up` that was killed half way.
                let whole =
                    !matches!(observe::state(container).as_str(), "created" | "dead" | "removing");
                let runs = observe::runs(container);
                let beside = match same && runs {
                    true => companion::look(docker, &deployment.instance, node).await?,
                    false => Beside::Fine,
                };
                if !same || moved || !whole || beside == Beside::Missing {
                    changes.replace.push(label);
                    new_nodes.insert(name.to_owned());
                } else if runs && beside == Beside::Fine {
                    changes.keep.push(label);
                } else {
                    changes.replace.push(format!("{label} (start)"));
                    stopped.push(name.to_owned());
                }
            }
        }
    }
    for container in found.containers.iter().filter(|container| observe::is_agent(container)) {
        let name = observe::label(container, labels::NODE).unwrap_or_default();
        if !deployment.nodes.iter().any(|node| node.name() == name) {
            changes.remove.push(format!("node {name}"));
        }
    }
    Ok(Plan { changes, found, kept, new_networks, stopped, old_networks, new_nodes })
}

/// Does it.
pub async fn apply(
    docker: &Docker,
    deployment: &Deployment,
    progress: Progress<'_>,
) -> Result<Changes> {
    docker.supports_check(deployment).await?;
    // What an interrupted `apply` of this process has sent must be seen by this one.
    docker.settled().await;
    let image = image::ensure(&docker.api, &docker.commands, || {
        progress(Event { subject: "image".into(), what: "loading" });
    });
    let (image, plan, podman) =
        tokio::try_join!(image, plan(docker, deployment), confine::is_podman(docker))?;
    write_document(docker, deployment, &plan.found).await?;
    clear(docker, deployment, &plan, progress).await?;
    let mut networks = plan.kept.clone();
    networks.extend(create_networks(docker, deployment, &plan.new_networks, progress).await?);
    let addresses = addresses(deployment, &plan, &networks)?;
    let security = confine::security(podman);
    let site = Site {
        docker,
        deployment,
        image: &image,
        networks: &networks,
        addresses: &addresses,
        security: &security,
    };
    let mut work = Vec::new();
    let ids: Vec<String> = networks.values().map(|(id, _)| id.clone()).collect();
    let whose = (deployment.lab.as_str(), deployment.instance.as_str());
    if !podman && !plan.new_networks.is_empty() {
        work.push(confine::guard(docker, &image, whose, ids).boxed());
    }
    for node in &deployment.nodes {
        if plan.new_nodes.contains(node.name()) {
            work.push(create_node(&site, node, progress).boxed());
        }
    }
    let results = parallel(work).await;
    let mut errors: Vec<Error> = results.into_iter().filter_map(Result::err).collect();
    for name in &plan.stopped {
        progress(Event { subject: name.clone(), what: "starting" });
        if let Err(error) = crate::Engine::start(docker, &deployment.instance, name).await {
            errors.push(error);
        }
    }
    Error::collect(errors).map(|()| plan.changes)
}

impl Docker {
    async fn supports_check(&self, deployment: &Deployment) -> Result<()> {
        crate::Engine::supports(self, deployment).await
    }
}

/// Keeps the document on a volume's label: volumes cost almost nothing to create, and unlike those
/// of networks and containers their labels can be changed by making another.
async fn write_document(docker: &Docker, deployment: &Deployment, found: &Objects) -> Result<()> {
    let digest = Sha256::digest(format!("{}\0{:?}", deployment.document, deployment.labels));
    let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("labctl-{}-{digest}", deployment.instance);
    if !found.volumes.iter().any(|volume| volume.name == name) {
        let mut all = labels::common(&deployment.lab, &deployment.instance);
        all.insert(labels::DOCUMENT.into(), inline::pack(&deployment.document)?);
        for (label, value) in &deployment.labels {
            all.insert(format!("{}{label}", labels::OWN), value.clone());
        }
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            labels: Some(all),
            ..Default::default()
        };
        let api = docker.api.clone();
        docker
            .settle("keep the lab with its instance".into(), async move {
                api.create_volume(request).await
            })
            .await?;
    }
    for volume in found.volumes.iter().filter(|volume| volume.name != name) {
        remove::volume(docker, &volume.name).await?;
    }
    Ok(())
}

/// Removes what the lab no longer has and what is to be replaced.
async fn clear(
    docker: &Docker,
    deployment: &Deployment,
    plan: &Plan,
    progress: Progress<'_>,
) -> Result<()> {
    let goes = |container: &&bollard::models::ContainerSummary| {
        let name = observe::label(container, labels::NODE).unwrap_or_default();
        plan.new_nodes.contains(name) || !deployment.nodes.iter().any(|node| node.name() == name)
    };
    let old = Objects {
        containers: plan.found.containers.iter().filter(goes).cloned().collect(),
        networks: plan
            .found
            .networks
            .iter()
            .filter(|network| network.id.as_ref().is_some_and(|id| plan.old_networks.contains(id)))
            .cloned()
            .collect(),
        volumes: Vec::new(),
    };
    {
        let mut relays = docker.relays.lock().await;
        relays.retain(|(instance, node), _| {
            instance != &deployment.instance || !plan.new_nodes.contains(node)
        });
    }
    let mut errors = Vec::new();
    remove::remove(docker, &old, progress, &mut Changes::default(), &mut errors).await;
    Error::collect(errors)
}

async fn create_networks(
    docker: &Docker,
    deployment: &Deployment,
    names: &[String],
    progress: Progress<'_>,
) -> Result<BTreeMap<String, (String, Ipv4Net)>> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let all = docker
        .api
        .list_networks(None)
        .await
        .map_err(|error| Error::failed("list networks", connect::chain(&error)))?;
    let mut taken = Vec::new();
    for network in &all {
        taken.extend(subnet(network));
    }
    let members = members(deployment);
    let mut wanted = Vec::new();
    for name in names {
        let prefix = subnets::prefix_for(members.get(name.as_str()).copied().unwrap_or(0));
        // Two labctl at once should not go for the same subnets: each begins somewhere else.
        let candidates: Vec<_> = subnets::free(prefix, &taken, rand::random()).take(64).collect();
        let Some(first) = candidates.first() else {
            return Err(Error::failed(
                format!("create network {name}"),
                "all transport subnets of 198.18.0.0/15 are in use; `labctl ls` shows by what",
            ));
        };
        taken.push(*first);
        wanted.push((name.clone(), candidates));
    }
    let mut work = Vec::new();
    for (name, candidates) in wanted {
        let create = async move {
            progress(Event { subject: name.clone(), what: "creating" });
            let created = create_network(docker, deployment, &name, &candidates).await?;
            progress(Event { subject: name.clone(), what: "created" });
            Ok((name, created))
        };
        work.push(create.boxed());
    }
    parallel(work).await.into_iter().collect()
}

async fn create_network(
    docker: &Docker,
    deployment: &Deployment,
    name: &str,
    candidates: &[Ipv4Net],
) -> Result<(String, Ipv4Net)> {
    let mut last = None;
    for subnet in candidates {
        let mut all = labels::common(&deployment.lab, &deployment.instance);
        all.insert(labels::NETWORK.into(), name.into());
        let option = |name: &str, value: &str| {
            (format!("com.docker.network.bridge.{name}"), value.to_owned())
        };
        let request = NetworkCreateRequest {
            name: labels::network(&deployment.instance, name),
            driver: Some("bridge".into()),
            // Not `internal`: with bridge netfilter on, its rules drop every address outside of
            // the transport subnet, DHCP's broadcasts among them.
            internal: Some(false),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(subnet.to_string()),
                    gateway: Some(subnets::address(*subnet, 0).saturating_pred().to_string()),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            options: Some(HashMap::from([
                option("inhibit_ipv4", "true"),
                option("enable_ip_masquerade", "false"),
            ])),
            labels: Some(all),
            ..NetworkCreateRequest::default()
        };
        let api = docker.api.clone();
        let result = docker.inflight.spawn(async move { api.create_network(request).await }).await;
        match result {
            Ok(Ok(created)) => return Ok((created.id, *subnet)),
            Ok(Err(error)) => {
                let text = connect::chain(&error);
                if !text.contains("overlap") {
                    return Err(Error::failed(format!("create network {name}"), text));
                }
                last = Some(text);
            }
            Err(error) => return Err(Error::failed(format!("create network {name}"), error)),
        }
    }
    Err(Error::failed(format!("create network {name}"), last.unwrap_or_default()))
}

trait Previous {
    fn saturating_pred(self) -> Self;
}

impl Previous for Ipv4Addr {
    fn saturating_pred(self) -> Self {
        Ipv4Addr::from(u32::from(self).saturating_sub(1))
    }
}

/// The transport address of each new node on each of its networks.
type Addresses = HashMap<(String, String), Ipv4Addr>;

fn addresses(
    deployment: &Deployment,
    plan: &Plan,
    networks: &BTreeMap<String, (String, Ipv4Net)>,
) -> Result<Addresses> {
    let mut used: HashSet<Ipv4Addr> = HashSet::new();
    for container in &plan.found.containers {
        let name = observe::label(container, labels::NODE).unwrap_or_default();
        if plan.new_nodes.contains(name) {
            continue;
        }
        for (label, value) in container.labels.iter().flatten() {
            if label.starts_with(labels::ADDRESS) {
                used.extend(value.parse::<Ipv4Addr>());
            }
        }
    }
    let mut given = Addresses::new();
    for node in deployment.nodes.iter().filter(|node| plan.new_nodes.contains(node.name())) {
        for link in &node.config.links {
            let Some((_, subnet)) = networks.get(&link.network) else {
                return Err(Error::failed(
                    format!("create node {}", node.name()),
                    format!("its network {} does not exist", link.network),
                ));
            };
            let free = (0..subnets::capacity(*subnet))
                .map(|index| subnets::address(*subnet, index))
                .find(|address| !used.contains(address));
            let Some(free) = free else {
                return Err(Error::failed(
                    format!("create node {}", node.name()),
                    format!("network {} is full", link.network),
                ));
            };
            used.insert(free);
            given.insert((node.name().to_owned(), link.network.clone()), free);
        }
    }
    Ok(given)
}

/// What every node of an instance is created from.
struct Site<'a> {
    docker: &'a Docker,
    deployment: &'a Deployment,
    image: &'a str,
    networks: &'a BTreeMap<String, (String, Ipv4Net)>,
    addresses: &'a Addresses,
    /// The nodes' security options.
    security: &'a [String],
}

async fn create_node(site: &Site<'_>, node: &NodeSpec, progress: Progress<'_>) -> Result<()> {
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

async fn create(
    docker: &Docker,
    container: &str,
    body: ContainerCreateBody,
    node: &str,
) -> Result<String> {
    let options = CreateContainerOptionsBuilder::default().name(container).build();
    let api = docker.api.clone();
    docker
        .settle(format!("create node {node}"), async move {
            api.create_container(Some(options), body).await
        })
        .await
        .map(|created| created.id)
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
