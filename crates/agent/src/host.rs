//! How a host is set up by hand: its gateway, its DNS servers, its mail program.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;
use node::config::{MailClient, Route};
use node::request::{Gateway, Host, HostChange};

use crate::agent::Agent;
use crate::{files, log};

/// Everywhere.
pub(crate) const DEFAULT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);

/// The route of a gateway that was set by hand.
pub(crate) fn default_route(gateway: Option<Gateway>) -> Option<Route> {
    match gateway {
        Some(Gateway::Via(via)) => Some(Route { to: DEFAULT, via, metric: 1 }),
        Some(Gateway::None) | None => None,
    }
}

impl Agent {
    /// The mail program's settings as they are now.
    pub(crate) fn mail(&self) -> Option<MailClient> {
        self.kept.get().host.mail.or_else(|| self.config.mail.clone())
    }

    /// Changes what `change` names, keeps it, and tells how all is then.
    pub(crate) async fn configure_host(self: &Arc<Self>, change: HostChange) -> net::Result<Host> {
        if change != HostChange::default() {
            let routes = change.gateway.is_some();
            self.kept.change(|state| {
                let host = &mut state.host;
                host.gateway = change.gateway.or(host.gateway);
                host.dns = change.dns.or(host.dns.take());
                host.search = change.search.or(host.search.take());
                host.mail = change.mail.or(host.mail.take());
            });
            if routes {
                let _changing = self.changing.lock().await;
                self.set_routes().await?;
            }
            self.write_names().await;
            self.tell_programs();
            self.changes.bump();
        }
        let (dns, search) = self.resolvers();
        let gateways = self.net.routes().await?;
        let gateways = gateways.iter().filter(|route| route.to == DEFAULT);
        Ok(Host {
            gateways: gateways.filter_map(|route| route.via).collect(),
            dns,
            search,
            mail: self.mail(),
            links: self.status().await.links,
        })
    }

    /// Puts the mail settings where the node's own programs look for them.
    pub(crate) fn tell_programs(&self) {
        if self.kept.get().host.mail.is_none() {
            return;
        }
        let mut config = self.config.clone();
        config.mail = self.mail();
        if let Err(error) = files::program_config(&config) {
            log::say(format_args!("the mail program's settings cannot be written: {error}"));
        }
    }
}
