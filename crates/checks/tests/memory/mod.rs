//! An engine in memory: nodes on one network that answer by what is switched on.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use engine::{
    Changes, Deployment, Engine, Error, ExecOptions, Info, Instance, LogLine, NodeState, Progress,
    Result, Session,
};
use futures::stream::BoxStream;
use node::Request;
use node::request::{LinkAction, LinkStatus, Status};
use node::server::{Channel, Handler};
use probes::{Answer, Probe, arp, facts, ping, port};
use serde_json::{Value, json};

/// One node's switches.
#[derive(Debug, Default)]
pub struct Switches {
    stopped: AtomicBool,
    pulled: AtomicBool,
    filtered: AtomicBool,
    muted: AtomicBool,
    off: Mutex<Vec<String>>,
}

impl Switches {
    pub fn pull(&self, out: bool) {
        self.pulled.store(out, Ordering::SeqCst);
    }
    pub fn filter(&self, on: bool) {
        self.filtered.store(on, Ordering::SeqCst);
    }
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
    pub fn start(&self) {
        self.stopped.store(false, Ordering::SeqCst);
    }
    pub fn mute(&self) {
        self.muted.store(true, Ordering::SeqCst);
    }
    pub fn is_whole(&self) -> bool {
        self.is_up() && self.off.lock().unwrap().is_empty()
    }
    fn is_up(&self) -> bool {
        !self.stopped.load(Ordering::SeqCst) && !self.pulled.load(Ordering::SeqCst)
    }
}

/// The engine.
pub struct Memory {
    net: Arc<Net>,
}

struct Net {
    nodes: BTreeMap<String, (Ipv4Addr, String, Arc<Switches>)>,
    slow_ms: AtomicU64,
}

impl Memory {
    pub fn of(plan: &lab::Plan) -> Self {
        let nodes = plan.nodes.iter().map(|node| {
            let link = &node.links[0];
            let address = link.address.fixed().unwrap().addr();
            (node.name.clone(), (address, link.mac.clone(), Arc::default()))
        });
        Self { net: Arc::new(Net { nodes: nodes.collect(), slow_ms: AtomicU64::new(0) }) }
    }

    pub fn node(&self, name: &str) -> Arc<Switches> {
        self.net.nodes[name].2.clone()
    }

    pub fn slow(&self, time: Duration) {
        self.net.slow_ms.store(time.as_millis() as u64, Ordering::SeqCst);
    }

    fn known(&self, node: &str) -> Result<Arc<Switches>> {
        let found = self.net.nodes.get(node).map(|(_, _, switches)| switches.clone());
        found.ok_or_else(|| Error::NotFound(format!("no node {node}")))
    }
}

/// One node's agent.
struct Agent {
    net: Arc<Net>,
    name: String,
}

impl Agent {
    fn own(&self) -> &(Ipv4Addr, String, Arc<Switches>) {
        &self.net.nodes[&self.name]
    }

    fn link(&self) -> LinkStatus {
        let (address, mac, switches) = self.own();
        LinkStatus {
            network: "lan".into(),
            name: "lan".into(),
            mac: mac.clone(),
            up: !switches.pulled.load(Ordering::SeqCst),
            address: Some(format!("{address}/24")),
            method: "static".into(),
            lease: None,
        }
    }

    /// Whether frames go between this node and an address, and what is there.
    fn reach(&self, to: Ipv4Addr) -> Option<&(Ipv4Addr, String, Arc<Switches>)> {
        let there = self.net.nodes.values().find(|(address, ..)| *address == to)?;
        (self.own().2.is_up() && there.2.is_up()).then_some(there)
    }

    async fn probe(&self, probe: Probe) -> Value {
        tokio::time::sleep(Duration::from_millis(self.net.slow_ms.load(Ordering::SeqCst))).await;
        match probe {
            Probe::Ping(request) => {
                let address: Ipv4Addr = request.to.parse().unwrap();
                let there = self.reach(address);
                let answers = there.is_some_and(|(_, _, s)| !s.filtered.load(Ordering::SeqCst));
                let received = if answers { request.count } else { 0 };
                json!(ping::Outcome { address, sent: request.count, received, replies: Vec::new() })
            }
            Probe::Port(request) => {
                let address: Ipv4Addr = request.to.parse().unwrap();
                let state = match self.reach(address) {
                    Some((_, _, s)) if !s.filtered.load(Ordering::SeqCst) => port::State::Open,
                    _ => port::State::Silent,
                };
                json!(port::Outcome {
                    address,
                    state,
                    banner: None,
                    ms: 0.0,
                    detail: String::new()
                })
            }
            Probe::Arp(request) => {
                let own = self.own().0 == request.address;
                let macs = self.reach(request.address).map(|(_, mac, _)| mac.clone());
                let macs = macs.into_iter().collect();
                json!(arp::Outcome { interface: "lan".into(), macs, own })
            }
            Probe::Facts(_) => {
                let (address, mac, _) = self.own();
                let link = facts::Link {
                    index: 2,
                    name: "lan".into(),
                    mac: mac.clone(),
                    up: true,
                    carrier: true,
                    addresses: vec![format!("{address}/24").parse().unwrap()],
                    ..facts::Link::default()
                };
                json!(facts::Outcome { links: vec![link], ..facts::Outcome::default() })
            }
            other => panic!("not in memory: {other:?}"),
        }
    }
}

impl Handler for Agent {
    async fn handle(
        &self,
        request: Request,
        _: Channel,
    ) -> std::result::Result<Value, node::Error> {
        let switches = &self.own().2;
        match request {
            Request::Status => {
                Ok(json!(Status { ready: true, links: vec![self.link()], ..Status::default() }))
            }
            Request::Ready { .. } => Ok(json!(Status { ready: true, ..Status::default() })),
            Request::Probe(value) => {
                let outcome = self.probe(serde_json::from_value(value).unwrap()).await;
                Ok(json!(Answer::Ok(outcome)))
            }
            Request::Link { action, .. } => {
                match action {
                    LinkAction::Up => switches.pull(false),
                    LinkAction::Down => switches.pull(true),
                    _ => {}
                }
                Ok(json!(self.link()))
            }
            Request::Service { service, protocol, on } => {
                let key = format!("{service}.{}", protocol.clone().unwrap_or_default());
                let mut off = switches.off.lock().unwrap();
                match on {
                    Some(true) => off.retain(|known| *known != key),
                    Some(false) => off.push(key.clone()),
                    None => {}
                }
                Ok(json!({ "protocol": protocol, "on": !off.contains(&key) }))
            }
            other => Err(node::Error::new("no", format!("not in memory: {other:?}"))),
        }
    }
}

#[async_trait]
impl Engine for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }
    async fn info(&self) -> Result<Info> {
        Ok(Info { engine: "memory".into(), version: "1".into(), facts: Vec::new() })
    }
    async fn supports(&self, _: &Deployment) -> Result<()> {
        Ok(())
    }
    async fn changes(&self, _: &Deployment) -> Result<Changes> {
        Ok(Changes::default())
    }
    async fn apply(&self, _: &Deployment, _: Progress<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }
    async fn remove(&self, _: &str, _: Progress<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }
    async fn collect_garbage(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    async fn instances(&self) -> Result<Vec<Instance>> {
        Ok(Vec::new())
    }
    async fn document(&self, _: &str) -> Result<Option<String>> {
        Ok(None)
    }
    async fn nodes(&self, _: &str) -> Result<Vec<NodeState>> {
        Ok(self
            .net
            .nodes
            .iter()
            .map(|(name, (_, _, switches))| NodeState {
                name: name.clone(),
                state: if switches.stopped.load(Ordering::SeqCst) { "exited" } else { "running" }
                    .into(),
                ..NodeState::default()
            })
            .collect())
    }
    async fn control(&self, _: &str, node: &str) -> Result<node::Client> {
        let switches = self.known(node)?;
        if switches.stopped.load(Ordering::SeqCst) || switches.muted.load(Ordering::SeqCst) {
            return Err(Error::failed(node, "no agent"));
        }
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let agent = Agent { net: self.net.clone(), name: node.to_owned() };
        tokio::spawn(node::server::serve(theirs, Arc::new(agent)));
        Ok(node::Client::new(ours))
    }
    async fn exec(&self, _: &str, node: &str, _: ExecOptions) -> Result<Session> {
        Err(Error::failed(node, "no commands in memory"))
    }
    async fn logs(&self, _: &str, _: &str, _: bool) -> Result<BoxStream<'static, Result<LogLine>>> {
        Ok(Box::pin(futures::stream::empty()))
    }
    async fn stop(&self, _: &str, node: &str) -> Result<()> {
        self.known(node)?.stop();
        Ok(())
    }
    async fn start(&self, _: &str, node: &str) -> Result<()> {
        self.known(node)?.start();
        Ok(())
    }
    async fn memory(&self, _: &str, _: &str) -> Result<Option<u64>> {
        Ok(None)
    }
}
