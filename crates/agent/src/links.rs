//! The node's interfaces, addresses and routes, as it was told.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::Ipv4Net;
use net::{Mac, Protocol, Route};
use node::config::{Address, Link};
use node::request::Error;

use crate::agent::Agent;
use crate::{files, host, log};

impl Agent {
    /// Sets up all interfaces as the node was told and as it was left; waits for those that the
    /// engine has not plugged in yet.
    pub(crate) async fn set_up_links(self: &Arc<Self>) -> net::Result<()> {
        // Labs are IPv4; the chatter of IPv6 on a link only clutters its trace. A container has it
        // off already and may not write the setting.
        let _ = net::write_sysctl(&["ipv6", "conf", "all", "disable_ipv6"], "1");
        let _ = net::write_sysctl(&["ipv6", "conf", "default", "disable_ipv6"], "1");
        self.net.up(self.net.link("lo").await?.index).await?;
        self.forget_routes().await?;
        let mut changed = self.changes.listen();
        let mut missing: Vec<&Link> = self.config.links.iter().collect();
        loop {
            let mut still = Vec::new();
            for link in missing {
                match self.find(link).await? {
                    Some(found) => self.configure(link, found).await?,
                    None => still.push(link),
                }
            }
            missing = still;
            if missing.is_empty() {
                break;
            }
            changed.changed().await;
        }
        self.net.set_forwarding(self.config.forwarding).await?;
        self.set_routes().await?;
        self.write_names().await;
        self.impair_again().await;
        Ok(())
    }

    /// Waits for an interface that was unplugged altogether to be plugged in again, and sets it up
    /// as before.
    pub(crate) async fn take_back(self: &Arc<Self>, link: &Link) {
        log::say(format_args!("{}: the engine has unplugged it", link.name));
        // A client that has lost its interface hears nothing any more.
        self.leases.stop(&link.network);
        let mut changed = self.changes.listen();
        let again = async {
            loop {
                if let Some(found) = self.find(link).await? {
                    self.configure(link, found).await?;
                    break;
                }
                changed.changed().await;
            }
            self.net.set_forwarding(self.config.forwarding).await?;
            self.set_routes().await?;
            self.write_names().await;
            if let Some(router) = &self.router {
                // Its sockets were bound to the interface that is gone.
                router.stop_rip();
                self.set_up_router(router).await?;
            }
            Ok::<(), net::Error>(())
        };
        match again.await {
            Ok(()) => log::say(format_args!("{}: it is plugged in again", link.name)),
            Err(error) => self.problem(error),
        }
        self.impair_again().await;
        self.changes.bump();
    }

    /// The interface of a link: by its final name and hardware address where the agent has run
    /// before, else by the address that the engine gave it, by hardware address, by name.
    async fn find(&self, link: &Link) -> net::Result<Option<net::Link>> {
        let mac: Option<Mac> = link.mac.parse().ok();
        let links = self.net.links().await?;
        let named = links.iter().find(|have| have.name == link.name && !have.loopback);
        if let Some(found) = named.filter(|found| Some(found.mac) == mac) {
            return Ok(Some(found.clone()));
        }
        if let Some(transport) = link.transport {
            match self.net.link_by_address(IpAddr::V4(transport)).await {
                Ok(found) => return Ok(Some(found)),
                Err(net::Error::NoLink(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let by_mac = links.iter().find(|have| Some(have.mac) == mac && !have.loopback);
        // A name alone is only good where the engine has given it: an engine that gives addresses
        // names interfaces as it likes.
        let by_name = named.filter(|_| link.transport.is_none());
        Ok(by_mac.or(by_name).cloned())
    }

    /// Names an interface and gives it what it is to have.
    async fn configure(self: &Arc<Self>, link: &Link, found: net::Link) -> net::Result<()> {
        let _changing = self.changing.lock().await;
        let index = found.index;
        let mac: Mac = link.mac.parse().map_err(|error| net::Error::Answer {
            doing: format!("setting up {}", link.name),
            what: format!("{error}"),
        })?;
        if found.name != link.name || found.mac != mac {
            self.net.down(index).await?;
            self.make_way(&link.name, index).await?;
            self.net.rename(index, &link.name).await?;
            self.net.set_mac(index, mac).await?;
        }
        if self.config.forwarding {
            self.net.accept_any_way(index).await?;
        }
        self.net.announce_addresses(index).await?;
        self.settle_link(link).await
    }

    /// Renames whatever else has that name.
    async fn make_way(&self, name: &str, index: u32) -> net::Result<()> {
        match self.net.link(name).await {
            Ok(other) if other.index != index => {
                self.net.down(other.index).await?;
                self.net.rename(other.index, &format!("was{}", other.index)).await?;
                self.net.up(other.index).await
            }
            Ok(_) | Err(net::Error::NoLink(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How a link is to get its address: as it was told last.
    pub(crate) fn method(&self, link: &Link) -> Address {
        let routed = self.router.as_ref().and_then(|router| router.method(&link.name));
        let asked = || self.kept.get().addresses.get(&link.network).copied();
        routed.or_else(asked).unwrap_or(link.address)
    }

    /// Whether somebody has switched a link off: pulled its cable, or shut the interface down.
    pub(crate) fn is_off(&self, link: &Link) -> bool {
        let shut = self.router.as_ref().is_some_and(|router| router.is_shut(&link.name));
        shut || self.kept.get().pulled.contains(&link.network)
    }

    /// Switches a link on or off and gives it the addresses that it is to have, and no others.
    /// Called with [`Agent::changing`] held.
    pub(crate) async fn settle_link(self: &Arc<Self>, link: &Link) -> net::Result<()> {
        let index = self.net.link(&link.name).await?.index;
        if self.is_off(link) {
            self.net.down(index).await?;
        } else {
            self.net.up(index).await?;
        }
        let own = match self.method(link) {
            Address::Static(address) => {
                self.leases.stop(&link.network);
                Some(address)
            }
            Address::Dhcp => {
                self.start_dhcp(link);
                self.leases.address(&link.network)
            }
            Address::None => {
                self.leases.stop(&link.network);
                None
            }
        };
        let extra = self.router.as_ref().map(|router| router.extra_addresses(&link.name));
        let wanted: Vec<Ipv4Net> = own.into_iter().chain(extra.into_iter().flatten()).collect();
        let have = self.net.ipv4_addresses(index).await?;
        for old in have.iter().filter(|have| !wanted.contains(have)) {
            self.net.delete_address(index, (*old).into()).await?;
        }
        for address in wanted {
            self.net.add_address(index, address.into()).await?;
        }
        Ok(())
    }

    /// Sets the routes that the node is to have and removes others of the same kind. A route that
    /// the kernel does not take, such as one by a gateway on no network of the node, is a mistake
    /// of the lab's that the node lives with; the log tells it.
    pub(crate) async fn set_routes(&self) -> net::Result<()> {
        let links = self.net.links().await?;
        let index = |name: &str| links.iter().find(|link| link.name == name).map(|link| link.index);
        let gateway = self.kept.get().host.gateway;
        let written = self.config.routes.iter().copied();
        // A gateway that was set by hand stands for the one of the lab.
        let written = written
            .filter(|route| gateway.is_none() || route.to != host::DEFAULT)
            .chain(host::default_route(gateway));
        let written = written
            .map(|route| Route::via(route.to, route.via, Protocol::Static).metric(route.metric));
        let typed = self.router.iter().flat_map(|router| router.routes(index));
        let wanted: Vec<Route> = written.chain(typed).chain(self.leases.routes()).collect();
        for have in self.net.routes().await? {
            let same = |want: &Route| {
                (want.to, want.via, want.metric) == (have.to, have.via, have.metric)
                    && want.link.is_none_or(|link| Some(link) == have.link)
            };
            let ours = matches!(have.protocol, Protocol::Static | Protocol::Dhcp);
            if ours && !wanted.iter().any(same) {
                self.net.delete_route(&have).await?;
            }
        }
        for route in &wanted {
            if let Err(error) = self.net.replace_route(route).await {
                log::say(error);
            }
        }
        Ok(())
    }

    /// Removes every route that the kernel has not made itself: the engine's, and those of an
    /// agent before this one.
    async fn forget_routes(&self) -> net::Result<()> {
        for route in self.net.routes().await? {
            if route.protocol != Protocol::Kernel {
                self.net.delete_route(&route).await?;
            }
        }
        Ok(())
    }

    /// Writes `/etc/hosts` and `/etc/resolv.conf` for the addresses and leases as they are now.
    pub(crate) async fn write_names(&self) {
        let mut own = Vec::new();
        for link in &self.config.links {
            own.extend(self.address_of(link).await.map(|network| network.addr()));
        }
        let own: Vec<Ipv4Addr> = own;
        let (servers, search) = self.resolvers();
        let written =
            files::hosts(&self.config, &own).and_then(|()| files::resolver(&servers, &search));
        if let Err(error) = written {
            self.problem(format_args!("the node's hosts and resolver cannot be written: {error}"));
        }
    }

    /// DNS servers and search domains in use.
    pub(crate) fn resolvers(&self) -> (Vec<IpAddr>, Vec<String>) {
        let resolver = &self.config.resolver;
        let (mut servers, mut search) = self.leases.resolvers();
        if let Some(router) = &self.router {
            let (typed, domain) = router.resolvers();
            servers.splice(0..0, typed);
            search.splice(0..0, domain);
        }
        // What was written by hand wins.
        let set = self.kept.get().host;
        let (own, own_search) = (
            set.dns.unwrap_or_else(|| resolver.servers.clone()),
            set.search.unwrap_or_else(|| resolver.search.clone()),
        );
        (
            if own.is_empty() { servers } else { own },
            if own_search.is_empty() { search } else { own_search },
        )
    }

    /// The address that a link has now.
    pub(crate) async fn address_of(&self, link: &Link) -> Option<Ipv4Net> {
        let index = self.net.link(&link.name).await.ok()?.index;
        self.net.ipv4_addresses(index).await.ok()?.first().copied()
    }

    /// The link to that network.
    pub(crate) fn link_to(&self, network: &str) -> Result<&Link, Error> {
        self.config.links.iter().find(|link| link.network == network).ok_or_else(|| {
            let have: Vec<_> = self.config.links.iter().map(|l| l.network.as_str()).collect();
            let node = &self.config.node;
            Error::new("no-such-link", format!("{node} has no interface on network {network}"))
                .help(format!("it is on: {}", have.join(", ")))
        })
    }

    /// Plugs a cable in.
    pub(crate) async fn plug(self: &Arc<Self>, link: &Link) -> net::Result<()> {
        let _changing = self.changing.lock().await;
        self.kept.change(|state| state.pulled.remove(&link.network));
        self.settle_link(link).await?;
        self.set_routes().await
    }

    /// Pulls a cable: the interface and its address stay, nothing passes, the other end sees no
    /// carrier.
    pub(crate) async fn pull(self: &Arc<Self>, link: &Link) -> net::Result<()> {
        let _changing = self.changing.lock().await;
        self.kept.change(|state| state.pulled.insert(link.network.clone()));
        self.settle_link(link).await
    }

    /// Gives a link another address.
    pub(crate) async fn readdress(
        self: &Arc<Self>,
        link: &Link,
        address: Address,
    ) -> net::Result<()> {
        if let Some(router) = &self.router
            && let Some(config) = router.readdressed(&link.name, address)
        {
            return self.reconfigure(router, config).await;
        }
        let _changing = self.changing.lock().await;
        self.kept.change(|state| match address == link.address {
            true => state.addresses.remove(&link.network),
            false => state.addresses.insert(link.network.clone(), address),
        });
        self.settle_link(link).await?;
        self.set_routes().await?;
        self.write_names().await;
        Ok(())
    }
}
