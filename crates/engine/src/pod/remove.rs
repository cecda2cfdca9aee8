//! Teardown of pods: goes on after errors and reports them all.

use std::time::{SystemTime, UNIX_EPOCH};

use super::container::{self, Found};
use crate::docker::{Docker, labels, remove};
use crate::embedded::plan;
use crate::{Changes, Error, Event, PATIENCE, Progress, Result};

/// Removes a pod: its container, and with it all nodes and networks, then its volume.
pub(super) async fn pod(docker: &Docker, found: &Found, progress: Progress<'_>) -> Result<Changes> {
    let mut errors = Vec::new();
    let nodes = found.names(labels::NODES);
    for name in &nodes {
        progress(Event { subject: name.clone(), what: "removing" });
    }
    if let Some(id) = found.container.as_ref().and_then(|container| container.id.as_ref()) {
        errors.extend(remove::container(docker, id, "pod").await.err());
    }
    for volume in &found.volumes {
        errors.extend(remove::volume(docker, &volume.name).await.err());
    }
    Error::collect(errors)?;
    for name in &nodes {
        progress(Event { subject: name.clone(), what: "removed" });
    }
    let networks = found.names(labels::NETWORKS);
    let networks = networks.iter().map(|name| plan::network(name));
    let all = nodes.iter().map(|name| plan::node(name)).chain(networks);
    Ok(Changes { remove: all.collect(), ..Changes::default() })
}

/// Removes what killed labctl left: volumes without a container, and containers that nobody has told
/// for a minute what they hold.
pub(super) async fn garbage(docker: &Docker) -> Result<Vec<String>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (mut gone, mut errors) = (Vec::new(), Vec::new());
    for (name, found) in container::list(docker, None).await? {
        let old = match &found.container {
            None => true,
            Some(container) => {
                let created = container.created.unwrap_or_default().max(0).unsigned_abs();
                found.volumes.is_empty() && created + PATIENCE.as_secs() < now.as_secs()
            }
        };
        if old {
            match pod(docker, &found, &|_| {}).await {
                Ok(_) => gone.push(format!("pod {name}")),
                Err(error) => errors.push(error),
            }
        }
    }
    Error::collect(errors).map(|()| gone)
}
