//! Making an instance what its deployment says, changing only what differs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;

use futures::FutureExt;
use ipnet::Ipv4Net;
use sha2::{Digest, Sha256};

use super::companion::{self, Beside};
use super::networks::{create_networks, members, remove_twins, subnet};
use super::nodes::{Site, create_node};
use super::observe::{self, Objects};
use super::{Docker, confine, document, image, labels, parallel, remove, subnets};
use crate::error::{Error, Result};
use crate::{Changes, Deployment, Event, NodeSpec, Progress};

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

/// A node's hash includes the build of labctl: a newer agent replaces an older one.
pub(super) fn hash(docker: &Docker, node: &NodeSpec) -> String {
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
    if !plan.new_networks.is_empty() {
        networks.extend(create_networks(docker, deployment, &plan.new_networks, progress).await?);
        remove_twins(docker, deployment, &networks, progress).await?;
    }
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

async fn write_document(docker: &Docker, deployment: &Deployment, found: &Objects) -> Result<()> {
    let stem = format!("labctl-{}-", deployment.instance);
    let labels = labels::common(&deployment.lab, &deployment.instance);
    let there = found.volumes.iter().map(|volume| volume.name.as_str()).collect();
    document::keep(docker, deployment, (&stem, labels), there, false).await
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

/// The transport address of each new node on each of its networks.
pub(super) type Addresses = HashMap<(String, String), Ipv4Addr>;

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
