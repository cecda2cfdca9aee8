//! The floor under `labctl up`: the same image, nodes and networks, created and started in parallel
//! by plain bollard calls and nothing else. Used by `bench/up.sh`.
//!
//! `floor record INSTANCE > lab.json` writes down what a running instance is made of;
//! `floor run lab.json` makes it, prints the milliseconds until all containers have started, and
//! removes it.

use std::collections::HashMap;
use std::time::Instant;

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Ipam, IpamConfig,
    NetworkConnectRequest, NetworkCreateRequest, NetworkingConfig,
};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Serialize, Deserialize)]
struct Recorded {
    networks: Vec<RecordedNetwork>,
    nodes: Vec<RecordedNode>,
}

#[derive(Serialize, Deserialize)]
struct RecordedNetwork {
    name: String,
    subnet: String,
    gateway: String,
    options: HashMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct RecordedNode {
    image: String,
    hostname: String,
    cmd: Vec<String>,
    host: HostConfig,
    endpoints: Vec<(String, String)>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let docker = Docker::connect_with_defaults()?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let text = match words[..] {
        ["record", instance] => serde_json::to_string(&record(&docker, instance).await?)?,
        ["run", path] => run(&docker, serde_json::from_slice(&std::fs::read(path)?)?).await?,
        _ => return Err("floor record INSTANCE | floor run FILE".into()),
    };
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

async fn record(docker: &Docker, instance: &str) -> Outcome<Recorded> {
    let filter = HashMap::from([("label", vec![format!("labctl.instance={instance}")])]);
    let options = ListNetworksOptionsBuilder::default().filters(&filter).build();
    let networks = docker
        .list_networks(Some(options))
        .await?
        .into_iter()
        .filter_map(|network| {
            let config = network.ipam?.config?.into_iter().next()?;
            Some(RecordedNetwork {
                name: network.name?,
                subnet: config.subnet?,
                gateway: config.gateway?,
                options: network.options?,
            })
        })
        .collect();
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
    let mut nodes = Vec::new();
    for container in docker.list_containers(Some(options)).await? {
        let Some(id) = container.id else { continue };
        let details = docker.inspect_container(&id, None).await?;
        let (Some(config), Some(host)) = (details.config, details.host_config) else { continue };
        let joined = details.network_settings.and_then(|settings| settings.networks);
        nodes.push(RecordedNode {
            image: config.image.unwrap_or_default(),
            hostname: config.hostname.unwrap_or_default(),
            cmd: config.cmd.unwrap_or_default(),
            host,
            endpoints: joined
                .unwrap_or_default()
                .into_iter()
                .filter_map(|(name, endpoint)| Some((name, endpoint.ip_address?)))
                .collect(),
        });
    }
    Ok(Recorded { networks, nodes })
}

async fn run(docker: &Docker, recorded: Recorded) -> Outcome<String> {
    let started = Instant::now();
    let networks: HashMap<String, String> =
        try_join_all(recorded.networks.iter().map(|network| async {
            let request = NetworkCreateRequest {
                name: format!("floor-{}", network.name),
                driver: Some("bridge".into()),
                ipam: Some(Ipam {
                    config: Some(vec![IpamConfig {
                        subnet: Some(network.subnet.clone()),
                        gateway: Some(network.gateway.clone()),
                        ..IpamConfig::default()
                    }]),
                    ..Ipam::default()
                }),
                options: Some(network.options.clone()),
                ..NetworkCreateRequest::default()
            };
            let created = docker.create_network(request).await?;
            Ok::<_, bollard::errors::Error>((network.name.clone(), created.id))
        }))
        .await?
        .into_iter()
        .collect();
    let nodes = try_join_all(recorded.nodes.iter().map(|node| async {
        let mut endpoints = node.endpoints.iter().filter_map(|(name, address)| {
            let endpoint = EndpointSettings {
                ipam_config: Some(EndpointIpamConfig {
                    ipv4_address: Some(address.clone()),
                    ..EndpointIpamConfig::default()
                }),
                ..EndpointSettings::default()
            };
            Some((networks.get(name)?.clone(), endpoint))
        });
        let first = endpoints.next();
        let mut host = node.host.clone();
        host.network_mode = first.as_ref().map(|(id, _)| id.clone());
        let body = ContainerCreateBody {
            hostname: Some(node.hostname.clone()),
            image: Some(node.image.clone()),
            cmd: Some(node.cmd.clone()),
            host_config: Some(host),
            networking_config: first
                .map(|first| NetworkingConfig { endpoints_config: Some(HashMap::from([first])) }),
            ..ContainerCreateBody::default()
        };
        let id = docker.create_container(None, body).await?.id;
        for (network, endpoint) in endpoints {
            let request =
                NetworkConnectRequest { container: id.clone(), endpoint_config: Some(endpoint) };
            docker.connect_network(&network, request).await?;
        }
        docker.start_container(&id, None).await?;
        Ok::<_, bollard::errors::Error>(id)
    }))
    .await?;
    let milliseconds = started.elapsed().as_millis();
    for id in nodes {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        docker.remove_container(&id, Some(options)).await?;
    }
    for id in networks.into_values() {
        docker.remove_network(&id).await?;
    }
    Ok(milliseconds.to_string())
}
