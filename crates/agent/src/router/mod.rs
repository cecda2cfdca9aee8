//! A router: its running configuration, and the kernel, RIP and DHCP made to follow it.

pub(crate) mod console;
pub(crate) mod dhcp;
pub(crate) mod filter;
mod rip;
mod system;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ios::RouterConfig;
use ios::config::NextHop;
use ipnet::Ipv4Net;
use net::nft::{self, Family, Table};
use net::{Protocol, Route};
use node::config::Address;
use node::request::Error;
use ripd::Command;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::agent::Agent;
use crate::log;

/// A router's running configuration and what runs for it.
#[derive(Debug)]
pub(crate) struct Router {
    /// As the lab has it.
    written: RouterConfig,
    /// The DHCP service's configuration as the lab has it.
    written_dhcp: OnceLock<serde_json::Value>,
    running: Mutex<RouterConfig>,
    rip: Mutex<Option<mpsc::Sender<Command>>>,
    sessions: tokio::sync::Mutex<console::Sessions>,
}

impl Router {
    /// The router of a node's configuration, as its console left it.
    pub(crate) fn new(
        written: serde_json::Value,
        left: Option<serde_json::Value>,
    ) -> Result<Self, serde_json::Error> {
        let written: RouterConfig = serde_json::from_value(written)?;
        let left = left.and_then(|left| serde_json::from_value(left).ok());
        let running = Mutex::new(left.unwrap_or_else(|| written.clone()));
        Ok(Self {
            written,
            written_dhcp: OnceLock::new(),
            running,
            rip: Mutex::default(),
            sessions: tokio::sync::Mutex::default(),
        })
    }

    /// Goes back to a configuration that was kept, or to the lab's.
    pub(crate) fn reload(&self, left: Option<serde_json::Value>) {
        let left = left.and_then(|left| serde_json::from_value(left).ok());
        let config = left.unwrap_or_else(|| self.written.clone());
        self.replace(config);
    }

    /// The running configuration.
    pub(crate) fn config(&self) -> RouterConfig {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes another running configuration; the one before.
    fn replace(&self, config: RouterConfig) -> RouterConfig {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *running, config)
    }

    fn rip(&self) -> MutexGuard<'_, Option<mpsc::Sender<Command>>> {
        self.rip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the interface of that name gets its address, where the router is told of it.
    pub(crate) fn method(&self, interface: &str) -> Option<Address> {
        let config = self.config();
        let interface = config.interface(interface)?;
        Some(match (interface.dhcp, interface.address) {
            (true, _) => Address::Dhcp,
            (false, Some(address)) => Address::Static(address),
            (false, None) => Address::None,
        })
    }

    /// The running configuration with another address for an interface; `None` for one that the
    /// router is not told of.
    pub(crate) fn readdressed(&self, interface: &str, address: Address) -> Option<RouterConfig> {
        let mut config = self.config();
        let found = config.interfaces.iter_mut().find(|have| have.name == interface)?;
        (found.address, found.dhcp) = match address {
            Address::Static(address) => (Some(address), false),
            Address::Dhcp => (None, true),
            Address::None => (None, false),
        };
        Some(config)
    }

    /// Whether the interface of that name is shut down.
    pub(crate) fn is_shut(&self, interface: &str) -> bool {
        self.config().interface(interface).is_some_and(|interface| interface.shutdown)
    }

    /// Addresses beside its own that the router answers for on an interface.
    pub(crate) fn extra_addresses(&self, interface: &str) -> Vec<Ipv4Net> {
        let config = self.config();
        filter::public_addresses(&config, interface).into_iter().map(Ipv4Net::from).collect()
    }

    /// The static routes that were typed in; `index` finds an interface's number.
    pub(crate) fn routes(&self, index: impl Fn(&str) -> Option<u32>) -> Vec<Route> {
        let config = self.config();
        let routes = config.routes.iter().filter_map(|route| {
            let mut made = Route::via(route.to, Ipv4Addr::UNSPECIFIED, Protocol::Static)
                .metric(route.distance.into());
            match &route.via {
                NextHop::Address(hop) => made.via = Some(*hop),
                NextHop::Interface(name) => (made.via, made.link) = (None, Some(index(name)?)),
                NextHop::Discard => (made.via, made.blackhole) = (None, true),
            }
            Some(made)
        });
        routes.collect()
    }

    /// DNS servers and domain of the router itself.
    pub(crate) fn resolvers(&self) -> (Vec<std::net::IpAddr>, Vec<String>) {
        let config = self.config();
        (
            config.name_servers.into_iter().map(Into::into).collect(),
            config.domain.into_iter().collect(),
        )
    }

    /// Tells RIP that a cable came or went.
    pub(crate) fn carrier(&self, interface: &str, on: bool) {
        let name = interface.to_owned();
        let command = if on { Command::LinkUp(name) } else { Command::LinkDown(name) };
        if let Some(rip) = &*self.rip() {
            let _ = rip.try_send(command);
        }
    }

    /// Ends RIP; it removes its routes.
    pub(crate) fn stop_rip(&self) {
        self.rip().take();
    }

    /// RIP's table; empty where it does not run.
    pub(crate) async fn rip_table(&self) -> Vec<ripd::Shown> {
        let (back, shown) = oneshot::channel();
        let Some(rip) = self.rip().clone() else { return Vec::new() };
        if rip.send(Command::Show(back)).await.is_err() {
            return Vec::new();
        }
        shown.await.unwrap_or_default()
    }
}

impl Agent {
    /// RIP's table, for labctl.
    pub(crate) async fn rip_request(&self) -> Result<Value, Error> {
        let entries = self.console_of()?.rip_table().await.into_iter().map(|entry| {
            json!({
                "to": entry.to,
                "via": entry.via,
                "interface": entry.interface,
                "metric": entry.metric,
                "age_s": entry.age.as_secs_f64(),
            })
        });
        Ok(entries.collect())
    }

    /// Makes the node follow another running configuration, and keeps it. What the kernel refuses
    /// is taken back.
    pub(crate) async fn reconfigure(
        self: &Arc<Self>,
        router: &Router,
        config: RouterConfig,
    ) -> net::Result<()> {
        let before = router.replace(config.clone());
        if before == config {
            return Ok(());
        }
        if let Err(error) = self.follow(router, &before, &config).await {
            router.replace(before.clone());
            if let Err(error) = self.follow(router, &config, &before).await {
                log::say(error);
            }
            return Err(error);
        }
        let json = serde_json::to_value(&config).ok();
        self.kept.change(|state| state.router = json);
        self.changes.bump();
        Ok(())
    }

    async fn follow(
        self: &Arc<Self>,
        router: &Router,
        before: &RouterConfig,
        config: &RouterConfig,
    ) -> net::Result<()> {
        let changing = self.changing.lock().await;
        for link in &self.config.links {
            // One that is not plugged in gets what it is to have when it is.
            match self.settle_link(link).await {
                Err(net::Error::NoLink(_)) => {}
                other => other?,
            }
        }
        self.set_routes().await?;
        drop(changing);
        self.set_up_router(router).await?;
        if ios::dhcp::server_config(before) != ios::dhcp::server_config(config) {
            self.serve_dhcp(router, config).await;
        }
        self.write_names().await;
        Ok(())
    }

    /// Makes filters, translation and RIP follow the running configuration.
    pub(crate) async fn set_up_router(self: &Arc<Self>, router: &Router) -> net::Result<()> {
        let config = router.config();
        put(filter::ACCESS, filter::access(&config))?;
        put(filter::NAT, filter::nat(&config))?;
        self.set_up_rip(router, &config).await
    }

    /// Starts RIP, tells it other settings, or ends it.
    pub(crate) async fn set_up_rip(
        self: &Arc<Self>,
        router: &Router,
        config: &RouterConfig,
    ) -> net::Result<()> {
        let (mut links, mut silent) = (Vec::new(), Vec::new());
        for link in &self.config.links {
            if let Some(address) =
                self.address_of(link).await.filter(|_| !router.is_shut(&link.name))
            {
                links.push((link.clone(), address));
            }
            if !self.net.link(&link.name).await.is_ok_and(|link| link.carrier) {
                silent.push(link.name.clone());
            }
        }
        let typed = config.routes.iter().map(|route| route.to);
        let routes: Vec<_> = self.config.routes.iter().map(|route| route.to).chain(typed).collect();
        let Some(settings) = rip::settings(config, &links, &routes) else {
            router.stop_rip();
            return Ok(());
        };
        let running = router.rip().clone().filter(|rip| !rip.is_closed());
        match running {
            Some(rip) => {
                let _ = rip.send(Command::Replace(settings)).await;
            }
            None => {
                let (sender, commands) = mpsc::channel(32);
                let running = ripd::run(settings, rip::Kernel(self.net.clone()), commands);
                tokio::spawn(async move {
                    if let Err(error) = running.await {
                        log::line("rip", error);
                    }
                });
                *router.rip() = Some(sender);
            }
        }
        for name in silent {
            router.carrier(&name, false);
        }
        Ok(())
    }
}

/// Puts a table in its place, or takes the one away that is not wanted any more.
fn put(name: &str, table: Option<Table>) -> net::Result<()> {
    match table {
        Some(table) => nft::replace(&table),
        None => match nft::remove(Family::Ipv4, name) {
            // A kernel without a packet filter is good enough for a router without lists.
            Err(error) if error.is_unsupported() => Ok(()),
            other => other,
        },
    }
}
