//! The lab's networks as Docker's, each with a small transport subnet.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};
use futures::FutureExt;
use ipnet::Ipv4Net;

use super::{Docker, connect, labels, observe, parallel, remove, subnets};
use crate::error::{Error, Result};
use crate::{Changes, Deployment, Event, Progress};

/// Names of nodes on each network.
pub(super) fn members(deployment: &Deployment) -> HashMap<&str, usize> {
    let mut members = HashMap::new();
    for link in deployment.nodes.iter().flat_map(|node| &node.config.links) {
        *members.entry(link.network.as_str()).or_default() += 1;
    }
    members
}

pub(super) fn subnet(network: &bollard::models::Network) -> Option<Ipv4Net> {
    network.ipam.as_ref()?.config.as_ref()?.first()?.subnet.as_ref()?.parse().ok()
}

/// Creates networks, each with a transport subnet that nobody uses; their ids and subnets by name.
pub(super) async fn create_networks(
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

/// Removes networks of this lab that have the names of these and are others. A labctl that is
/// killed leaves its requests behind: what Docker makes of them while this one makes the same has
/// the same name, and Docker starts no node on a network whose name two have.
pub(super) async fn remove_twins(
    docker: &Docker,
    deployment: &Deployment,
    networks: &BTreeMap<String, (String, Ipv4Net)>,
    progress: Progress<'_>,
) -> Result<()> {
    let found = observe::objects(docker, labels::of(&deployment.instance)).await?;
    let is_twin = |network: &bollard::models::Network| {
        let name = network.labels.as_ref().and_then(|labels| labels.get(labels::NETWORK));
        name.and_then(|name| networks.get(name))
            .is_some_and(|(id, _)| network.id.as_ref() != Some(id))
    };
    let twins = observe::Objects {
        networks: found.networks.into_iter().filter(is_twin).collect(),
        ..observe::Objects::default()
    };
    let mut errors = Vec::new();
    remove::remove(docker, &twins, progress, &mut Changes::default(), &mut errors).await;
    Error::collect(errors)
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
                    gateway: Some(before(subnets::address(*subnet, 0)).to_string()),
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

fn before(address: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(address).saturating_sub(1))
}
