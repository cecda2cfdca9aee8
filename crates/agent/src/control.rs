//! Answers labctl.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use net::nft::Family;
use node::request::{Error, LinkAction, Request, Switch};
use node::server::{Channel, Handler};
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::agent::Agent;
use crate::impair::filter_refused;
use crate::router::console;
use crate::services::{self, Supervised};
use crate::state::Impairment;
use crate::{dhcp, exec, firewall, snapshot};

/// How long a TCP connection may take to be made.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// The agent as labctl's connections hold it.
#[derive(Debug)]
pub(crate) struct Control(pub(crate) Arc<Agent>);

impl Handler for Control {
    async fn handle(&self, request: Request, channel: Channel) -> Result<Value, Error> {
        self.0.answer(request, channel).await
    }
}

impl Agent {
    async fn answer(self: &Arc<Self>, request: Request, channel: Channel) -> Result<Value, Error> {
        match request {
            Request::Status => json(self.status().await),
            Request::Ready { timeout_ms } => {
                self.ready(Duration::from_millis(timeout_ms), &channel).await
            }
            Request::Probe(probe) => probes::answer(probe, &self.env()).await,
            Request::Service { service, protocol, on } => {
                json(self.switch(&service, protocol.as_deref(), on).await?)
            }
            Request::Admin { service, request } => self.admin(&service, request, &channel).await,
            Request::Link { network, action } => self.link(&network, action).await,
            Request::Configure(change) => json(self.configure_host(change).await.map_err(refused)?),
            Request::Exec { command, timeout_ms } => {
                json(exec::run(&command, Duration::from_millis(timeout_ms)).await?)
            }
            Request::Console { line } => json(self.console(&line).await?),
            Request::Connect { host, port } => {
                let stream = self.connect(&host, port).await?;
                channel.splice(stream).await
            }
            Request::Capture { networks, snaplen } => {
                self.capture(&networks, snaplen, &channel).await
            }
            Request::Snapshot => snapshot::take(self),
            Request::Restore { archive } => snapshot::put_back(self, &archive).await,
        }
    }
}

impl Agent {
    /// What the node's clients know now.
    pub(crate) fn env(&self) -> probes::Env {
        let mut env = probes::Env::from_config(&self.config);
        env.mail = self.mail().as_ref().map(Into::into);
        env.refresh(Path::new("/etc/resolv.conf"), Path::new("/etc/hosts"));
        env
    }

    fn named(&self, name: &str) -> Result<&Arc<Supervised>, Error> {
        self.service(name).ok_or_else(|| {
            let have: Vec<_> = self.services.iter().map(|service| service.name()).collect();
            let help = match have.is_empty() {
                true => "it runs no service".to_owned(),
                false => format!("it runs: {}", have.join(", ")),
            };
            let node = &self.config.node;
            Error::new("no-such-service", format!("{node} has no service {name}")).help(help)
        })
    }

    /// A whole service is switched by its process, one protocol by the service itself.
    async fn switch(
        &self,
        name: &str,
        protocol: Option<&str>,
        on: Option<bool>,
    ) -> Result<Switch, Error> {
        let service = self.named(name)?;
        let Some(protocol) = protocol else {
            if let Some(on) = on {
                self.run_service(service, on).await?;
            }
            return Ok(Switch { protocol: name.into(), on: service.is_on() });
        };
        match on {
            Some(true) if !service.is_on() => {
                self.run_service(service, true).await?;
                service.switch_protocol(protocol, true).await
            }
            // Nothing of a service that is off is on.
            Some(false) if !service.is_on() => Ok(Switch { protocol: protocol.into(), on: false }),
            Some(on) => {
                let switch = service.switch_protocol(protocol, on).await?;
                self.settled(service).await?;
                Ok(switch)
            }
            None => {
                let status = service.status().await;
                services::find(&status.protocols, name, protocol)
            }
        }
    }

    /// Starts or stops a service's process, and keeps that.
    async fn run_service(&self, service: &Supervised, on: bool) -> Result<(), Error> {
        self.kept.change(|state| state.services.insert(service.name().into(), on));
        service.switch(on).await;
        self.settled(service).await
    }

    /// Waits until a service is as it should be.
    async fn settled(&self, service: &Supervised) -> Result<(), Error> {
        let mut changed = self.changes.listen();
        let settled = async {
            while !service.is_settled() {
                changed.changed().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), settled).await.map_err(|_| {
            let what = service.waiting_for().unwrap_or_default();
            Error::new("service-down", what)
                .help(format!("`labctl logs {}` shows what it says", self.config.node))
        })
    }

    async fn admin(
        self: &Arc<Self>,
        name: &str,
        request: Value,
        channel: &Channel,
    ) -> Result<Value, Error> {
        if name == firewall::TABLE {
            let counters = net::nft::counters(Family::Ipv4, firewall::TABLE);
            return json(counters.map_err(filter_refused)?);
        }
        match name {
            dhcp::SERVICE => return self.dhcp_request(&request).await,
            console::SERVICE => return self.console_session(&request).await,
            "rip" => return self.rip_request().await,
            _ => {}
        }
        let service = self.named(name)?;
        if !service.is_on() {
            let node = &self.config.node;
            return Err(Error::new("service-off", format!("the service {name} of {node} is off"))
                .help(format!("`labctl service {node} {name} on` switches it on")));
        }
        ask(&service.socket(), &request, channel).await
    }

    async fn link(self: &Arc<Self>, network: &str, action: LinkAction) -> Result<Value, Error> {
        let link = self.link_to(network)?;
        match action {
            LinkAction::Up => self.plug(link).await.map_err(refused)?,
            LinkAction::Down => self.pull(link).await.map_err(refused)?,
            LinkAction::Address(address) => {
                self.readdress(link, address).await.map_err(refused)?;
            }
            LinkAction::Impair { loss, delay_ms, rate_bps } => {
                self.impair(link, Impairment { loss, delay_ms, rate_bps }).await?;
            }
            LinkAction::Show => {}
        }
        self.changes.bump();
        json(self.show_link(link).await)
    }

    /// Sends what passes the links to these networks, or all links, until labctl ends it.
    async fn capture(
        &self,
        networks: &[String],
        snaplen: u32,
        channel: &Channel,
    ) -> Result<Value, Error> {
        let mut interfaces = Vec::new();
        for network in networks {
            self.link_to(network)?;
        }
        for link in &self.config.links {
            if networks.is_empty() || networks.contains(&link.network) {
                let (name, network) = (link.name.clone(), link.network.clone());
                interfaces.push(packets::capture::Interface { name, network });
            }
        }
        let keylog = self.config.keylog.then(|| Path::new(node::paths::KEYLOG));
        let mut keys = keylog.map(crate::keylog::Tail::begin);
        let (sender, mut batches) = tokio::sync::mpsc::channel(4);
        let capturing = packets::capture::run(interfaces, snaplen, sender);
        // The receiver goes when the client is gone, and with it the capture.
        let forwarding = async move {
            while let Some(mut batch) = batches.recv().await {
                // A program writes a key before it sends what is encrypted with it.
                if let Some(keys) = &mut keys {
                    batch.keys = keys.lines();
                }
                channel.item(&batch).await?;
            }
            Ok::<(), Error>(())
        };
        let (captured, forwarded) = tokio::join!(capturing, forwarding);
        forwarded?;
        captured.map_err(|error| Error::new("capture", error))?;
        Ok(Value::Null)
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let failed = |error: &dyn std::fmt::Display| {
            let node = &self.config.node;
            Error::new("connect", format!("{node} cannot connect to {host}:{port}: {error}"))
        };
        let connecting = async {
            let address = match host.parse() {
                Ok(address) => address,
                Err(_) => probes::resolve(host, &self.env()).await.map_err(|e| failed(&e))?,
            };
            TcpStream::connect((address, port)).await.map_err(|error| failed(&error))
        };
        tokio::time::timeout(CONNECT_PATIENCE, connecting)
            .await
            .unwrap_or_else(|_| Err(failed(&format_args!("no answer in {CONNECT_PATIENCE:?}"))))
    }
}

/// Puts a request to an admin socket; its items go to labctl as they come.
async fn ask(socket: &Path, request: &Value, channel: &Channel) -> Result<Value, Error> {
    let (sender, mut items) = tokio::sync::mpsc::channel(64);
    let asking = node::admin::ask(socket, request, move |item| {
        let sender = sender.clone();
        async move { sender.send(item).await.map_err(|_| Error::new("lost", "labctl is gone")) }
    });
    let forwarding = async {
        while let Some(item) = items.recv().await {
            channel.item(&item).await?;
        }
        Ok(())
    };
    // The sender goes with the asking, so both end.
    let (answer, forwarded) = tokio::join!(asking, forwarding);
    forwarded.and(answer)
}

fn json<T: Serialize>(value: T) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::new("internal", error))
}

/// What the kernel refused, for labctl.
pub(crate) fn refused(error: net::Error) -> Error {
    let code = if error.is_unsupported() { "unsupported" } else { "refused" };
    Error::new(code, error)
}
