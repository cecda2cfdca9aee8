//! What there is, read from labels alone.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{ContainerSummary, Network, Volume};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
};

use super::{Docker, connect, inline, labels};
use crate::error::{Error, Result};
use crate::{Instance, NodeState};

/// The objects of one instance, or of all.
#[derive(Debug, Default)]
pub struct Objects {
    /// Containers, the foreign images' among them.
    pub containers: Vec<ContainerSummary>,
    /// Networks.
    pub networks: Vec<Network>,
    /// Volumes that carry documents.
    pub volumes: Vec<Volume>,
}

type Filter = HashMap<String, Vec<String>>;

/// Lists objects by label.
pub async fn objects(docker: &Docker, filter: Filter) -> Result<Objects> {
    let failed = |error: bollard::errors::Error| match error {
        bollard::errors::Error::DockerResponseServerError { .. } => {
            Error::failed("list what runs on Docker", connect::chain(&error))
        }
        error => connect::unavailable(&docker.host, &error),
    };
    let containers = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
    let networks = ListNetworksOptionsBuilder::default().filters(&filter).build();
    let volumes = ListVolumesOptionsBuilder::default().filters(&filter).build();
    let (containers, networks, volumes) = tokio::join!(
        docker.api.list_containers(Some(containers)),
        docker.api.list_networks(Some(networks)),
        docker.api.list_volumes(Some(volumes)),
    );
    Ok(Objects {
        containers: containers.map_err(failed)?,
        networks: networks.map_err(failed)?,
        volumes: volumes.map_err(failed)?.volumes.unwrap_or_default(),
    })
}

/// A label of a container.
pub fn label<'a>(container: &'a ContainerSummary, name: &str) -> Option<&'a str> {
    container.labels.as_ref()?.get(name).map(String::as_str)
}

/// Whether a container is a node's agent (and not a foreign image beside it).
pub fn is_agent(container: &ContainerSummary) -> bool {
    label(container, labels::ROLE) == Some("agent")
}

/// Whether a container runs.
pub fn runs(container: &ContainerSummary) -> bool {
    state(container) == "running"
}

/// A container's state in Docker's word.
pub fn state(container: &ContainerSummary) -> String {
    container.state.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// All instances.
pub async fn instances(docker: &Docker) -> Result<Vec<Instance>> {
    let all = objects(docker, labels::any()).await?;
    let mut found = BTreeMap::<String, Instance>::new();
    let mut of = |labels: Option<&HashMap<String, String>>,
                  change: &mut dyn FnMut(&mut Instance)| {
        let Some(labels) = labels else { return };
        let Some(name) = labels.get(labels::INSTANCE) else { return };
        let instance = found.entry(name.clone()).or_default();
        instance.name.clone_from(name);
        if let Some(lab) = labels.get(labels::LAB) {
            instance.lab.clone_from(lab);
        }
        for (label, value) in labels {
            if let Some(own) = label.strip_prefix(labels::OWN) {
                instance.labels.insert(own.into(), value.clone());
            }
        }
        change(instance);
    };
    for container in &all.containers {
        of(container.labels.as_ref(), &mut |instance| {
            if is_agent(container) {
                instance.nodes += 1;
                instance.running += usize::from(runs(container));
            }
            let created = container.created.unwrap_or_default();
            if created != 0 && (instance.created == 0 || created < instance.created) {
                instance.created = created;
            }
        });
    }
    for network in &all.networks {
        of(network.labels.as_ref(), &mut |instance| instance.networks += 1);
    }
    for volume in &all.volumes {
        of(Some(&volume.labels), &mut |_| {});
    }
    Ok(found.into_values().collect())
}

/// The document of an instance.
pub async fn document(docker: &Docker, instance: &str) -> Result<Option<String>> {
    let options = ListVolumesOptionsBuilder::default().filters(&labels::of(instance)).build();
    let volumes = docker
        .api
        .list_volumes(Some(options))
        .await
        .map_err(|error| connect::unavailable(&docker.host, &error))?;
    let volumes = volumes.volumes.unwrap_or_default();
    match volumes.iter().find_map(|volume| volume.labels.get(labels::DOCUMENT)) {
        Some(word) => inline::unpack(word).map(Some),
        None => Ok(None),
    }
}

/// The nodes of an instance.
pub async fn nodes(docker: &Docker, instance: &str) -> Result<Vec<NodeState>> {
    let options =
        ListContainersOptionsBuilder::default().all(true).filters(&labels::of(instance)).build();
    let containers = docker
        .api
        .list_containers(Some(options))
        .await
        .map_err(|error| connect::unavailable(&docker.host, &error))?;
    let mut nodes: Vec<_> = containers
        .iter()
        .filter(|container| is_agent(container))
        .map(|container| NodeState {
            name: label(container, labels::NODE).unwrap_or_default().to_owned(),
            state: state(container),
            detail: container.status.clone().unwrap_or_default(),
            pid: None,
        })
        .collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(nodes)
}
