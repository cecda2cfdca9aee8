//! A running instance beside the plan of what it should be.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::Engine;
use lab::Plan;
use lab::plan::Node;
use node::Request;
use node::request::Status;
use probes::{Answer, Layer, Probe, facts};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::trial::{Failure, Unasked};

/// How long an agent may take for an answer beyond what a probe itself may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// An instance and its plan.
pub struct World<'a> {
    /// What it should be.
    pub plan: &'a Plan,
    /// What it runs on.
    pub engine: &'a dyn Engine,
    /// Its name.
    pub instance: &'a str,
    /// Whether a scenario has changed names, so that the plan's addresses of names do not count.
    renamed: AtomicBool,
}

/// Whom a check is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// What the node is to be told: an address or a name.
    pub host: String,
    /// The node of the plan that it is.
    pub node: Option<String>,
    /// The addresses that the plan has for it; empty where it has none.
    pub planned: Vec<Ipv4Addr>,
    /// Whether it is a name that must be resolved.
    pub named: bool,
}

impl<'a> World<'a> {
    /// An instance and its plan.
    pub fn new(plan: &'a Plan, engine: &'a dyn Engine, instance: &'a str) -> Self {
        Self { plan, engine, instance, renamed: AtomicBool::new(false) }
    }

    /// Says whether names are others than in the plan now.
    pub fn set_renamed(&self, renamed: bool) {
        self.renamed.store(renamed, Ordering::Relaxed);
    }

    /// Whether names are others than in the plan now.
    pub fn is_renamed(&self) -> bool {
        self.renamed.load(Ordering::Relaxed)
    }

    /// A connection to a node's agent.
    pub async fn client(&self, node: &str) -> Result<node::Client, Unasked> {
        let connecting = self.engine.control(self.instance, node);
        match tokio::time::timeout(PATIENCE, connecting).await {
            Ok(Ok(client)) if client.closed().is_none() => Ok(client),
            Ok(Ok(client)) => {
                let why = client.closed().unwrap_or_default();
                Err(self.unreached(node, &why).await)
            }
            Ok(Err(error)) => Err(self.unreached(node, &error.to_string()).await),
            Err(_) => Err(self.unreached(node, "its agent does not answer").await),
        }
    }

    /// Whose fault it is that a node is not reached: its own, when it does not run.
    async fn unreached(&self, node: &str, why: &str) -> Unasked {
        let states = match self.engine.nodes(self.instance).await {
            Ok(states) => states,
            Err(error) => return Unasked::Trouble(format!("{node} is not reached: {error}")),
        };
        match states.iter().find(|state| state.name == node) {
            Some(state) if state.state == "running" => {
                Unasked::Trouble(format!("{node} runs, but its agent is not reached: {why}"))
            }
            Some(state) => {
                let mut failure = Failure::on(Layer::Node, format!("{node} is {}", state.state));
                if !state.detail.is_empty() {
                    failure = failure.evidence(state.detail.clone());
                }
                failure.who(node).into()
            }
            None => Failure::on(Layer::Node, format!("there is no node {node}")).who(node).into(),
        }
    }

    /// Asks an agent.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        node: &str,
        request: &Request,
        limit: Duration,
    ) -> Result<T, Unasked> {
        let client = self.client(node).await?;
        match tokio::time::timeout(limit + PATIENCE, client.call::<T>(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.code == "lost" => {
                Err(self.unreached(node, &error.message).await)
            }
            Ok(Err(error)) => Err(Unasked::Trouble(format!("{node}: {error}"))),
            Err(_) => Err(Unasked::Trouble(format!("{node}'s agent does not answer in time"))),
        }
    }

    /// Runs a probe in a node.
    pub async fn probe<T: DeserializeOwned>(&self, node: &str, probe: Probe) -> Result<T, Unasked> {
        let value = serde_json::to_value(probe).map_err(|e| Unasked::Trouble(e.to_string()))?;
        let limit = Duration::from_secs(60);
        let answer: Answer = self.ask(node, &Request::Probe(value), limit).await?;
        answer.read().map_err(|error| {
            if error.layer == Layer::Probe {
                Unasked::Trouble(format!("{node}: {error}"))
            } else {
                Failure::from(error).who(node).into()
            }
        })
    }

    /// A node's state.
    pub async fn status(&self, node: &str) -> Result<Status, Unasked> {
        self.ask(node, &Request::Status, Duration::ZERO).await
    }

    /// What a node's kernel and files say.
    pub async fn facts(&self, node: &str) -> Result<facts::Outcome, Unasked> {
        self.probe(node, Probe::Facts(facts::Request::default())).await
    }

    /// Asks a service and takes the items that come on the way, as well as the answer.
    pub async fn admin_items(
        &self,
        node: &str,
        service: &str,
        request: Value,
    ) -> Result<(Vec<Value>, Value), Unasked> {
        let client = self.client(node).await?;
        let request = Request::Admin { service: service.to_owned(), request };
        let trouble = |error: node::Error| Unasked::Trouble(format!("{node}: {error}"));
        let work = async {
            let mut replies = client.stream(&request).await.map_err(trouble)?;
            let mut items = Vec::new();
            loop {
                match replies.next().await.map_err(trouble)? {
                    node::client::Event::Item(item) => items.push(item),
                    node::client::Event::Done(value) => return Ok((items, value)),
                }
            }
        };
        tokio::time::timeout(PATIENCE, work)
            .await
            .unwrap_or_else(|_| Err(Unasked::Trouble(format!("{node}: {service} does not answer"))))
    }

    /// A node of the plan.
    pub fn node(&self, name: &str) -> Result<&'a Node, Unasked> {
        self.plan.node(name).ok_or_else(|| Unasked::Trouble(format!("the lab has no node {name}")))
    }

    /// Whom a text in a check means, seen from `from`: a node, an address or a name.
    pub async fn target(&self, from: &str, text: &str) -> Result<Target, Unasked> {
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            let node = self.plan.node_of(address).map(|node| node.name.clone());
            return Ok(Target { host: text.into(), node, planned: vec![address], named: false });
        }
        let Some(node) = self.plan.node(text) else {
            let planned = self.planned_addresses(text);
            let node = planned
                .first()
                .and_then(|address| self.plan.node_of(*address))
                .map(|node| node.name.clone());
            return Ok(Target { host: text.into(), node, planned, named: true });
        };
        let address = match self.address_towards(from, node) {
            Some(address) => address,
            None => self.leased_address(&node.name).await?,
        };
        Ok(Target {
            host: address.to_string(),
            node: Some(node.name.clone()),
            planned: vec![address],
            named: false,
        })
    }

    /// The static address of a node that is nearest to `from`: on a common network, or its first.
    fn address_towards(&self, from: &str, node: &Node) -> Option<Ipv4Addr> {
        let near = self.plan.node(from).and_then(|from| {
            from.links.iter().find_map(|link| node.link(&link.network)?.address.fixed())
        });
        near.map(|net| net.addr()).or_else(|| node.address())
    }

    /// The address that a node has by DHCP now.
    pub async fn leased_address(&self, node: &str) -> Result<Ipv4Addr, Unasked> {
        let status = self.status(node).await?;
        status
            .links
            .iter()
            .find_map(|link| link.address.as_deref()?.parse::<ipnet::Ipv4Net>().ok())
            .map(|net| net.addr())
            .ok_or_else(|| {
                Failure::on(
                    Layer::Address,
                    format!("{node} has no address: no DHCP server gave one"),
                )
                .who(node)
                .into()
            })
    }

    /// The addresses that the plan has for a name: its zones, aliases followed, then hosts files.
    pub fn planned_addresses(&self, name: &str) -> Vec<Ipv4Addr> {
        let mut wanted = format!("{}.", name.trim_end_matches('.').to_ascii_lowercase());
        let records: Vec<_> = self
            .plan
            .nodes
            .iter()
            .filter_map(|node| node.services.dns.as_ref())
            .flat_map(|dns| &dns.zones)
            .flat_map(|zone| &zone.records)
            .collect();
        for _ in 0..8 {
            let of = |kind: &str| -> Vec<&str> {
                records
                    .iter()
                    .filter(|record| {
                        record.r#type == kind && record.name.to_ascii_lowercase() == wanted
                    })
                    .map(|record| record.data.as_str())
                    .collect()
            };
            let addresses: Vec<_> = of("A").iter().filter_map(|data| data.parse().ok()).collect();
            if !addresses.is_empty() {
                return addresses;
            }
            match of("CNAME").first() {
                Some(alias) => wanted = alias.to_ascii_lowercase(),
                None => break,
            }
        }
        Vec::new()
    }

    /// The names of the plan's nodes on a network that have a static address there.
    pub fn neighbours(&self, node: &str) -> BTreeMap<Ipv4Addr, String> {
        let Some(own) = self.plan.node(node) else { return BTreeMap::new() };
        self.plan
            .nodes
            .iter()
            .filter(|other| other.name != node)
            .flat_map(|other| {
                own.links.iter().filter_map(|link| {
                    let net = other.link(&link.network)?.address.fixed()?;
                    Some((net.addr(), other.name.clone()))
                })
            })
            .collect()
    }
}

impl Target {
    /// Refuses an answer from another host than the plan has for the name.
    pub fn verify(&self, seen: Ipv4Addr, world: &World<'_>) -> Result<(), Failure> {
        if self.planned.is_empty() || self.planned.contains(&seen) || world.is_renamed() {
            return Ok(());
        }
        let whose = world
            .plan
            .node_of(seen)
            .map_or(String::new(), |node| format!(", which is {}", node.name));
        let right: Vec<String> = self.planned.iter().map(ToString::to_string).collect();
        let right = right.join(" or ");
        Err(Failure::on(
            Layer::Name,
            format!("the name {} leads to {seen}{whose}, and should lead to {right}", self.host),
        ))
    }
}
