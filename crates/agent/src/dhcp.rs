//! DHCP on the node's interfaces: the client's leases become addresses, routes and resolver.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dhcpd::client::{self, Command, Event, Lease};
use ipnet::Ipv4Net;
use net::{Protocol, Route};
use node::config::{Address, Link};
use node::request::Error;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::agent::Agent;
use crate::log;

/// The name by which labctl and the node's commands ask for it.
pub(crate) const SERVICE: &str = "dhcp-client";
/// The metric of routes that came with a lease: what was written by hand wins.
const METRIC: u32 = 100;
/// How long a server may take to answer `ipconfig /renew`.
const PATIENCE: Duration = Duration::from_secs(10);

/// The clients, by network.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<BTreeMap<String, Client>>);

#[derive(Debug)]
struct Client {
    commands: mpsc::Sender<Command>,
    held: Option<Held>,
    lost: Option<String>,
    /// Counts the events, so that one who asked sees the answer come.
    events: u64,
}

/// A lease and since when it is held.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) lease: Lease,
    since: Instant,
}

impl Held {
    /// As labctl is told.
    fn told(&self) -> node::request::Lease {
        let lease = &self.lease;
        let gone = u32::try_from(self.since.elapsed().as_secs()).unwrap_or(u32::MAX);
        let text = |number: &u8| Some((*number, lease.option_text(*number)?));
        node::request::Lease {
            address: lease.address.to_string(),
            server: lease.server,
            router: lease.router,
            dns: lease.dns.clone(),
            domain: lease.domain.clone(),
            seconds: lease.seconds,
            // A lease of 2^32 - 1 seconds is one for ever.
            left: match lease.seconds {
                u32::MAX => u32::MAX,
                seconds => seconds.saturating_sub(gone),
            },
            options: lease.options.keys().filter_map(text).collect(),
        }
    }
}

impl Clients {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Client>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lease held on a network.
    pub(crate) fn held(&self, network: &str) -> Option<Held> {
        self.all().get(network)?.held.clone()
    }

    /// The address leased on a network.
    pub(crate) fn address(&self, network: &str) -> Option<Ipv4Net> {
        self.held(network).map(|held| held.lease.address)
    }

    /// The lease held on a network, as labctl is told.
    pub(crate) fn told(&self, network: &str) -> Option<node::request::Lease> {
        self.held(network).map(|held| held.told())
    }

    /// Why there is no lease any more.
    pub(crate) fn lost(&self, network: &str) -> Option<String> {
        self.all().get(network)?.lost.clone()
    }

    /// Ends the client of a network; the lease is not given back.
    pub(crate) fn stop(&self, network: &str) {
        self.all().remove(network);
    }

    /// Tells the client of a network that the cable came or went.
    pub(crate) fn carrier(&self, network: &str, on: bool) {
        let command = if on { Command::LinkUp } else { Command::LinkDown };
        if let Some(client) = self.all().get(network) {
            let _ = client.commands.try_send(command);
        }
    }

    /// The routes that the leases brought.
    pub(crate) fn routes(&self) -> Vec<Route> {
        let clients = self.all();
        let leases = clients.values().filter_map(|client| client.held.as_ref());
        let routes = leases.flat_map(|held| {
            let default = held.lease.router.map(|router| (Ipv4Net::default(), router));
            held.lease.routes.iter().copied().chain(default)
        });
        routes.map(|(to, via)| Route::via(to, via, Protocol::Dhcp).metric(METRIC)).collect()
    }

    /// The DNS servers and domains that the leases brought.
    pub(crate) fn resolvers(&self) -> (Vec<IpAddr>, Vec<String>) {
        let clients = self.all();
        let leases = clients.values().filter_map(|client| client.held.as_ref());
        let (mut servers, mut search) = (Vec::new(), Vec::new());
        for Held { lease, .. } in leases {
            servers.extend(lease.dns.iter().copied().map(IpAddr::V4));
            search.extend(lease.domain.clone());
        }
        servers.dedup();
        search.dedup();
        (servers, search)
    }
}

impl Agent {
    /// Starts the client of a link, where its address comes by DHCP and none runs yet.
    pub(crate) fn start_dhcp(self: &Arc<Self>, link: &Link) {
        let Ok(mac) = link.mac.parse::<net::Mac>() else { return };
        let (commands, orders) = mpsc::channel(8);
        let (events, mut happened) = mpsc::channel(8);
        {
            let mut clients = self.leases.all();
            if clients.contains_key(&link.network) {
                return;
            }
            let client = Client { commands, held: None, lost: None, events: 0 };
            clients.insert(link.network.clone(), client);
        }
        let options = client::Options {
            hostname: Some(self.config.node.clone()),
            client_id: None,
            probe: true,
            previous: self.kept.get().leases.get(&link.network).copied(),
        };
        let running = client::run(link.name.clone(), mac.0, options, events, orders);
        let (agent, network) = (self.clone(), link.network.clone());
        tokio::spawn(async move {
            if let Err(error) = running.await {
                agent.problem(error);
            }
            agent.leases.stop(&network);
        });
        let (agent, link) = (self.clone(), link.clone());
        tokio::spawn(async move {
            while let Some(event) = happened.recv().await {
                if let Err(error) = agent.take(&link, event).await {
                    log::say(error);
                }
                agent.changes.bump();
            }
        });
    }

    /// Does what an event of a client says.
    async fn take(self: &Arc<Self>, link: &Link, event: Event) -> net::Result<()> {
        let changing = self.changing.lock().await;
        if self.method(link) != Address::Dhcp {
            return Ok(());
        }
        let before = self.leases.address(&link.network);
        let (held, lost) = match event {
            Event::Bound(lease) | Event::Renewed(lease) => {
                (Some(Held { lease, since: Instant::now() }), None)
            }
            Event::Lost(why) => {
                log::say(format_args!("{}: no lease any more: {why}", link.name));
                (None, Some(why))
            }
        };
        if let Some(client) = self.leases.all().get_mut(&link.network) {
            (client.held, client.lost) = (held, lost);
        }
        let address = self.leases.address(&link.network);
        if let Some(address) = address.filter(|_| address != before) {
            log::say(format_args!("{}: leased {address}", link.name));
            self.kept.change(|state| state.leases.insert(link.network.clone(), address.addr()));
        }
        self.settle_link(link).await?;
        self.set_routes().await?;
        self.write_names().await;
        drop(changing);
        if let Some(router) = self.router.as_ref().filter(|_| address != before) {
            self.set_up_router(router).await?;
        }
        // What was asked for is done only now.
        if let Some(client) = self.leases.all().get_mut(&link.network) {
            client.events += 1;
        }
        Ok(())
    }

    /// `{"op": "renew" | "release" | "show", "interface": NAME}`; every DHCP interface where none
    /// is named.
    pub(crate) async fn dhcp_request(&self, request: &Value) -> Result<Value, Error> {
        let named = request.get("interface").and_then(Value::as_str);
        let links = self.config.links.iter().filter(|link| self.method(link) == Address::Dhcp);
        let links: Vec<&Link> = links
            .filter(|link| named.is_none_or(|name| link.name == name || link.network == name))
            .collect();
        if links.is_empty() {
            let node = &self.config.node;
            let what = named.map_or("no interface".into(), |name| format!("no interface {name}"));
            return Err(Error::new("no-dhcp", format!("{node} has {what} that uses DHCP")));
        }
        match request.get("op").and_then(Value::as_str) {
            Some("renew") => {
                for link in &links {
                    self.order(link, Command::Renew).await?;
                }
            }
            Some("release") => {
                let held = links.iter().filter(|link| self.leases.held(&link.network).is_some());
                for link in held {
                    self.order(link, Command::Release).await?;
                }
            }
            Some("show") => {}
            _ => {
                return Err(Error::new(
                    "bad-request",
                    "the operation is not renew, release or show",
                ));
            }
        }
        let told = links.iter().map(|link| {
            let lease = self.leases.told(&link.network);
            let lost = self.leases.lost(&link.network);
            json!({"network": link.network, "interface": link.name, "lease": lease, "lost": lost})
        });
        Ok(told.collect())
    }

    /// Gives a client an order and waits for what comes of it.
    async fn order(&self, link: &Link, command: Command) -> Result<(), Error> {
        let silent = || {
            let (node, name) = (&self.config.node, &link.name);
            Error::new("no-dhcp-answer", format!("no DHCP server has answered {node} on {name}"))
                .help("is the DHCP server or the relay on, and the cable plugged in?")
        };
        let count = || self.leases.all().get(&link.network).map(|client| client.events);
        let before = count();
        let mut changed = self.changes.listen();
        let commands = self.leases.all().get(&link.network).map(|client| client.commands.clone());
        let Some(commands) = commands else { return Err(silent()) };
        commands.send(command).await.map_err(|_| silent())?;
        let answered = async {
            while count() == before {
                changed.changed().await;
            }
        };
        tokio::time::timeout(PATIENCE, answered).await.map_err(|_| silent())?;
        let (holds, wanted) =
            (self.leases.held(&link.network).is_some(), command == Command::Renew);
        if holds == wanted { Ok(()) } else { Err(silent()) }
    }
}
