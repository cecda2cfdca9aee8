//! Whether this Docker can run pods: a pod that only looks.

use std::collections::HashMap;

use bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, WaitContainerOptions,
};
use futures::StreamExt;

use super::container::{self, Bounds};
use crate::docker::{Docker, connect, image, labels, remove};
use crate::{Error, Limits, Result};

/// Makes a container as pods are, which tries what a supervisor needs; the facts it finds.
pub(super) async fn probe(docker: &Docker) -> Result<Vec<(String, String)>> {
    let image = image::ensure(&docker.api, &docker.commands, || {}).await?;
    // No instance has such a name. What a killed labctl leaves of it, `gc` finds by its label.
    let name = format!(".probe-{:08x}", rand::random::<u32>());
    let bounds = Bounds::of(&Limits::default(), 1);
    let mut body = container::body(&image, vec!["probe".into(), "/tmp".into()], &bounds);
    body.labels = Some(HashMap::from([(labels::POD.to_owned(), name.clone())]));
    if let Some(host) = &mut body.host_config {
        host.restart_policy = None;
        host.tmpfs = Some(HashMap::from([("/tmp".to_owned(), "size=1m".to_owned())]));
    }
    let container = container::name(&name);
    let options = CreateContainerOptionsBuilder::default().name(&container).build();
    let (api, what) = (docker.api.clone(), "try a pod".to_owned());
    docker.settle(what, async move { api.create_container(Some(options), body).await }).await?;
    let said = run(docker, &container).await;
    remove::container(docker, &container, "probe").await?;
    let (text, worked) =
        said.map_err(|error| Error::failed("try a pod", connect::chain(&error)))?;
    let mut lines = text.lines();
    if !worked {
        return Err(Error::Unavailable {
            message: format!(
                "pods cannot run on this Docker: {}",
                lines.next().unwrap_or_default()
            ),
            help: lines.next().unwrap_or_default().to_owned(),
        });
    }
    let facts = lines.filter_map(|line| line.split_once('\t'));
    Ok(facts.map(|(label, value)| (label.to_owned(), value.to_owned())).collect())
}

/// Runs the container to its end: what it said, and whether it was content.
async fn run(docker: &Docker, container: &str) -> Result<(String, bool), bollard::errors::Error> {
    docker.api.start_container(container, None).await?;
    let mut end = docker.api.wait_container(container, None::<WaitContainerOptions>);
    // An exit code other than 0 comes as an error.
    let worked = end.next().await.is_some_and(|end| end.is_ok_and(|end| end.status_code == 0));
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
    let mut pieces = docker.api.logs(container, Some(options));
    let mut text = Vec::new();
    while let Some(piece) = pieces.next().await {
        text.extend_from_slice(&piece?.into_bytes());
    }
    Ok((String::from_utf8_lossy(&text).into_owned(), worked))
}
