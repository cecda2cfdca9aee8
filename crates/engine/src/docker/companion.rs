//! The foreign image beside a node's agent (`image:`): a container of its own in the agent's network
//! namespace.
//!
//! That namespace is another one after each start of the agent, and Docker does not move the image
//! along: whoever has started an agent restarts its companion.

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{RestartContainerOptionsBuilder, StopContainerOptionsBuilder};

use super::{Docker, connect, labels};
use crate::NodeSpec;
use crate::error::{Error, Result};

/// How it is with a node's foreign image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// The node has none, or it runs in the agent's network.
    Fine,
    /// It does not run, or in a network that the agent has left.
    Lost,
    /// Its container was never made, or is gone.
    Missing,
}

/// The name of the container that runs a node's foreign image.
pub fn name(agent: &str) -> String {
    format!("{agent}.image")
}

/// Looks at the image beside an agent that runs.
pub async fn look(docker: &Docker, instance: &str, node: &NodeSpec) -> Result<Beside> {
    if node.image.is_none() {
        return Ok(Beside::Fine);
    }
    let agent = labels::container(instance, node.name());
    let companion = name(&agent);
    let (agent, companion) = tokio::join!(inspect(docker, &agent), inspect(docker, &companion));
    let (Some(agent), Some(companion)) = (agent?, companion?) else { return Ok(Beside::Missing) };
    let fine = runs(&companion) && started(&companion) >= started(&agent);
    Ok(if fine { Beside::Fine } else { Beside::Lost })
}

async fn inspect(docker: &Docker, container: &str) -> Result<Option<ContainerInspectResponse>> {
    match docker.api.inspect_container(container, None).await {
        Ok(found) => Ok(Some(found)),
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(error) => Err(Error::failed(format!("look at {container}"), connect::chain(&error))),
    }
}

fn runs(container: &ContainerInspectResponse) -> bool {
    container.state.as_ref().and_then(|state| state.running).unwrap_or(false)
}

/// When it was started last; a daemon's own clock tells all of them.
fn started(container: &ContainerInspectResponse) -> Option<jiff::Timestamp> {
    container.state.as_ref()?.started_at.as_ref()?.parse().ok()
}

/// Has a node's image follow its agent into the agent's network. No image is no error.
pub async fn rejoin(docker: &Docker, instance: &str, node: &str) -> Result<()> {
    let name = name(&labels::container(instance, node));
    let options = RestartContainerOptionsBuilder::default().t(2).build();
    absent_is_fine(docker.api.restart_container(&name, Some(options)).await, "restart", node)
}

/// Stops a node's image, before its agent takes the network away. No image is no error.
pub async fn stop(docker: &Docker, instance: &str, node: &str) -> Result<()> {
    let name = name(&labels::container(instance, node));
    let options = StopContainerOptionsBuilder::default().t(2).build();
    absent_is_fine(docker.api.stop_container(&name, Some(options)).await, "stop", node)
}

fn absent_is_fine(
    result: std::result::Result<(), bollard::errors::Error>,
    what: &str,
    node: &str,
) -> Result<()> {
    match result {
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        other => other.map_err(|error| {
            Error::failed(format!("{what} the image of node {node}"), connect::chain(&error))
        }),
    }
}
