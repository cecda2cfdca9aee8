//! How the node is, and whether it is ready.

use std::time::Duration;

use ipnet::IpNet;
use node::config::{Address, Link};
use node::request::{Error, LinkStatus, Status};
use node::server::Channel;
use serde_json::Value;
use tokio::time::Instant;

use crate::agent::Agent;

/// What the kernel has, read once for one status.
struct Seen {
    links: Vec<net::Link>,
    addresses: Vec<net::LinkAddress>,
}

impl Agent {
    /// The node's state now.
    pub(crate) async fn status(&self) -> Status {
        let seen = self.look().await;
        let waiting_for = self.waiting_for(&seen);
        // A router's DHCP service that nobody has asked for is not shown.
        let written = |name: &str| self.config.services.iter().any(|service| service.name == name);
        let shown = self.services.iter().filter(|s| s.is_on() || written(s.name()));
        let services = shown.map(|service| service.status());
        let services = futures::future::join_all(services).await;
        let links = self.config.links.iter().map(|link| self.link_status(link, &seen));
        Status {
            ready: waiting_for.is_empty(),
            waiting_for,
            links: links.collect(),
            services,
            resolvers: self.resolvers().0,
            uptime_s: self.started.elapsed().as_secs_f64(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// Sends the state at each change until it is ready.
    pub(crate) async fn ready(&self, timeout: Duration, channel: &Channel) -> Result<Value, Error> {
        let deadline = Instant::now() + timeout;
        let mut changed = self.changes.listen();
        let mut last: Option<Status> = None;
        loop {
            // Before anything is asked of a service: most looks find what the last one found.
            let waiting_for = self.waiting_for(&self.look().await);
            if last.as_ref().is_none_or(|last| last.waiting_for != waiting_for) {
                let status = self.status().await;
                channel.item(&status).await?;
                if status.ready {
                    return serde_json::to_value(status).map_err(|e| Error::new("internal", e));
                }
                last = Some(status);
            }
            if tokio::time::timeout_at(deadline, changed.changed()).await.is_err() {
                let status = self.status().await;
                if status.ready {
                    return serde_json::to_value(status).map_err(|e| Error::new("internal", e));
                }
                return Err(self.not_ready(&status, timeout));
            }
        }
    }

    fn not_ready(&self, status: &Status, timeout: Duration) -> Error {
        let (node, missing) = (&self.config.node, status.waiting_for.join("; "));
        Error::new("not-ready", format!("{node} is not ready after {timeout:.1?}: {missing}"))
            .help(format!("`labctl logs {node}` shows what its services say"))
    }

    async fn look(&self) -> Seen {
        Seen {
            links: self.net.links().await.unwrap_or_default(),
            addresses: self.net.addresses(None).await.unwrap_or_default(),
        }
    }

    /// What is missing, in words.
    fn waiting_for(&self, seen: &Seen) -> Vec<String> {
        let mut missing = self.problems();
        missing.extend(self.config.links.iter().filter_map(|link| self.link_lacks(link, seen)));
        if self.is_set_up() {
            missing.extend(self.services.iter().filter_map(|service| service.waiting_for()));
        } else if missing.is_empty() {
            missing.push("it is being set up".into());
        }
        missing
    }

    /// What a link lacks. One whose cable is pulled lacks nothing: somebody wants it so.
    fn link_lacks(&self, link: &Link, seen: &Seen) -> Option<String> {
        let name = &link.name;
        let status = self.link_status(link, seen);
        let Some(have) = seen.links.iter().find(|have| have.name == *name) else {
            return Some(format!("interface {name}: the engine has not plugged it in yet"));
        };
        if self.is_off(link) {
            return None;
        }
        if !have.up {
            return Some(format!("interface {name} is not up"));
        }
        if !have.carrier {
            return Some(format!("interface {name} is up but its network is not"));
        }
        match (self.method(link), &status.address) {
            (Address::Static(want), have) if have.as_deref() != Some(&want.to_string()) => {
                Some(format!("interface {name} has not its address {want} yet"))
            }
            (Address::Dhcp, None) => Some(match self.leases.lost(&link.network) {
                Some(why) => format!("interface {name} has no DHCP lease: {why}"),
                None => format!("interface {name} has no DHCP lease yet"),
            }),
            _ => None,
        }
    }

    /// How a link is.
    fn link_status(&self, link: &Link, seen: &Seen) -> LinkStatus {
        let found = seen.links.iter().find(|have| have.name == link.name);
        let address = found.and_then(|found| {
            seen.addresses.iter().find_map(|address| match address.network {
                IpNet::V4(network) if address.link == found.index => Some(network.to_string()),
                _ => None,
            })
        });
        LinkStatus {
            network: link.network.clone(),
            name: link.name.clone(),
            mac: found.map_or_else(|| link.mac.clone(), |found| found.mac.to_string()),
            up: found.is_some_and(|found| found.up) && !self.is_off(link),
            address,
            method: match self.method(link) {
                Address::Static(_) => "static",
                Address::Dhcp => "dhcp",
                Address::None => "none",
            }
            .into(),
            lease: self.leases.told(&link.network),
        }
    }

    /// How the link to a network is.
    pub(crate) async fn show_link(&self, link: &Link) -> LinkStatus {
        self.link_status(link, &self.look().await)
    }
}
