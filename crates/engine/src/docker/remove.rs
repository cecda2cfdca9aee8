//! Teardown: goes on after errors and reports them all.

use std::collections::HashMap;

use bollard::models::NetworkDisconnectRequest;
use bollard::query_parameters::{
    ListImagesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions,
    RemoveVolumeOptionsBuilder,
};
use futures::FutureExt;

use super::observe::{self, Objects};
use super::{Docker, connect, labels, parallel};
use crate::error::{Error, Result};
use crate::{Changes, Event, Progress};

/// How often a network that Docker still believes in use is tried again; each try first frees the
/// endpoints it names.
const TRIES: usize = 5;

/// Removes an instance.
pub async fn instance(docker: &Docker, instance: &str, progress: Progress<'_>) -> Result<Changes> {
    // What an aborted `apply` has sent is waited for, so that nothing appears afterwards.
    docker.settled().await;
    docker.relays.lock().await.retain(|(name, _), _| name != instance);
    let found = observe::objects(docker, labels::of(instance)).await?;
    let mut removed = Changes::default();
    let mut errors = Vec::new();
    remove(docker, &found, progress, &mut removed, &mut errors).await;
    Error::collect(errors).map(|()| removed)
}

/// Removes objects: containers, then networks, then volumes.
pub async fn remove(
    docker: &Docker,
    objects: &Objects,
    progress: Progress<'_>,
    removed: &mut Changes,
    errors: &mut Vec<Error>,
) {
    let mut note = |result: Result<Option<String>>| match result {
        Ok(name) => removed.remove.extend(name),
        Err(error) => errors.push(error),
    };
    let mut work = Vec::new();
    for container in &objects.containers {
        let Some(id) = container.id.clone() else { continue };
        let node = observe::label(container, labels::NODE).unwrap_or(&id).to_owned();
        let agent = observe::is_agent(container);
        let remove = async move {
            if agent {
                progress(Event { subject: node.clone(), what: "removing" });
            }
            self::container(docker, &id, &node).await?;
            if agent {
                progress(Event { subject: node.clone(), what: "removed" });
            }
            Ok(agent.then(|| format!("node {node}")))
        };
        work.push(remove.boxed());
    }
    parallel(work).await.into_iter().for_each(&mut note);
    let mut work = Vec::new();
    for network in &objects.networks {
        let name = network.labels.as_ref().and_then(|labels| labels.get(labels::NETWORK)).cloned();
        let (Some(id), Some(name)) = (network.id.clone(), name) else { continue };
        let remove = async move {
            progress(Event { subject: name.clone(), what: "removing" });
            self::network(docker, &id, &name).await?;
            progress(Event { subject: name.clone(), what: "removed" });
            Ok(Some(format!("network {name}")))
        };
        work.push(remove.boxed());
    }
    parallel(work).await.into_iter().for_each(&mut note);
    for volume in &objects.volumes {
        if let Err(error) = self::volume(docker, &volume.name).await {
            note(Err(error));
        }
    }
}

/// Removes a container with its anonymous volumes, running or not.
pub async fn container(docker: &Docker, id: &str, node: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    let (api, id) = (docker.api.clone(), id.to_owned());
    docker
        .settle(format!("remove node {node}"), async move {
            match api.remove_container(&id, Some(options)).await {
                // Gone already, or on its way.
                Err(bollard::errors::Error::DockerResponseServerError {
                    status_code: 404 | 409,
                    message,
                }) if message.contains("No such container")
                    || message.contains("already in progress") =>
                {
                    Ok(())
                }
                other => other,
            }
        })
        .await
}

/// Removes a network. Docker 20.10 may still count an endpoint whose container has just gone; the
/// endpoints it names are then cut by force and the removal tried again.
async fn network(docker: &Docker, id: &str, name: &str) -> Result<()> {
    let mut last = None;
    for _ in 0..TRIES {
        let (api, network) = (docker.api.clone(), id.to_owned());
        let result = docker.inflight.spawn(async move { api.remove_network(&network).await }).await;
        match result {
            Ok(
                Ok(())
                | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }),
            ) => return Ok(()),
            Ok(Err(error)) => {
                let busy = error.to_string().contains("active endpoints");
                last = Some(connect::chain(&error));
                if !busy {
                    break;
                }
            }
            Err(error) => return Err(Error::failed(format!("remove network {name}"), error)),
        }
        let Ok(state) = docker.api.inspect_network(id, None).await else { continue };
        for endpoint in state.containers.unwrap_or_default().into_keys() {
            let request = NetworkDisconnectRequest { container: endpoint, force: Some(true) };
            let _ = docker.api.disconnect_network(id, request).await;
        }
    }
    let why = last.unwrap_or_default();
    let why = if why.contains("active endpoints") {
        format!(
            "{why}; Docker has lost count of it: `systemctl restart docker`, then `labctl down` again"
        )
    } else {
        why
    };
    Err(Error::failed(format!("remove network {name}"), why))
}

/// Removes a volume.
pub async fn volume(docker: &Docker, name: &str) -> Result<()> {
    let options = RemoveVolumeOptionsBuilder::default().force(true).build();
    let (api, volume) = (docker.api.clone(), name.to_owned());
    docker
        .settle(format!("remove volume {name}"), async move {
            match api.remove_volume(&volume, Some(options)).await {
                Err(bollard::errors::Error::DockerResponseServerError {
                    status_code: 404, ..
                }) => Ok(()),
                other => other,
            }
        })
        .await
}

/// Removes node images of other builds that nothing uses, and remains of instances that have no
/// node left.
pub async fn garbage(docker: &Docker) -> Result<Vec<String>> {
    let mut gone = Vec::new();
    let mut errors = Vec::new();
    let all = observe::objects(docker, labels::any()).await?;
    let living: Vec<&str> = all
        .containers
        .iter()
        .filter_map(|container| observe::label(container, labels::INSTANCE))
        .collect();
    let owner = |labels: &HashMap<String, String>| labels.get(labels::INSTANCE).cloned();
    let dead = Objects {
        containers: Vec::new(),
        networks: all
            .networks
            .iter()
            .filter(|network| {
                let name = network.labels.as_ref().and_then(owner).unwrap_or_default();
                !living.contains(&name.as_str())
            })
            .cloned()
            .collect(),
        volumes: all
            .volumes
            .iter()
            .filter(|volume| !living.contains(&owner(&volume.labels).unwrap_or_default().as_str()))
            .cloned()
            .collect(),
    };
    let mut removed = Changes::default();
    remove(docker, &dead, &|_| {}, &mut removed, &mut errors).await;
    gone.extend(removed.remove);
    let filter = HashMap::from([("label".to_owned(), vec![labels::IMAGE.to_owned()])]);
    let options = ListImagesOptionsBuilder::default().filters(&filter).build();
    let images = docker
        .api
        .list_images(Some(options))
        .await
        .map_err(|error| Error::failed("list node images", connect::chain(&error)))?;
    for image in images {
        // In use: refused by Docker, and right so.
        if docker.api.remove_image(&image.id, None::<RemoveImageOptions>, None).await.is_ok() {
            gone.push(format!("image {}", image.repo_tags.first().unwrap_or(&image.id)));
        }
    }
    Error::collect(errors).map(|()| gone)
}
