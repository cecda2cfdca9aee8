//! RIP on a router: what it is told, and where its routes go.

use ios::RouterConfig;
use ipnet::Ipv4Net;
use net::{Netlink, Protocol, Route};
use node::config::Link;
use ripd::{Interface, RouteTable, Settings, Timers};

use crate::log;

/// RIP's administrative distance: the metric of its routes among others.
pub(crate) const DISTANCE: u32 = 120;

/// What the speaker is told; `links` are those that are on, each with its address, and `routes`
/// where the router's other routes lead. `None` where RIP does not run.
pub(crate) fn settings(
    config: &RouterConfig,
    links: &[(Link, Ipv4Net)],
    routes: &[Ipv4Net],
) -> Option<Settings> {
    let rip = config.rip.as_ref()?;
    let mut settings = Settings {
        default_originate: rip.default_originate,
        timers: rip.timers.map_or_else(Timers::default, Timers::basic),
        ..Settings::default()
    };
    for (link, address) in links {
        if !rip.covers(address.addr()) {
            if rip.redistribute_connected {
                settings.redistribute.push(address.trunc());
            }
            continue;
        }
        let said = config.interface(&link.name);
        let key = said.and_then(|said| config.rip_key(said));
        settings.interfaces.push(Interface {
            name: link.name.clone(),
            address: *address,
            passive: rip.is_passive(&link.name),
            key: key.map(|(number, secret)| (number, secret.to_owned())),
            split_horizon: !said.is_some_and(|said| said.no_split_horizon),
        });
    }
    if rip.redistribute_static {
        // A default route is told by `default-information originate` only.
        settings.redistribute.extend(routes.iter().filter(|to| to.prefix_len() > 0));
    }
    Some(settings)
}

/// The kernel's table as RIP sees it.
#[derive(Debug)]
pub(crate) struct Kernel(pub(crate) Netlink);

impl RouteTable for Kernel {
    async fn install(&mut self, route: ripd::Route) {
        let link = match self.0.link(&route.interface).await {
            Ok(link) => link.index,
            Err(error) => return log::say(error),
        };
        let mut wanted = Route::via(route.to, route.via, Protocol::Rip).metric(DISTANCE);
        wanted.link = Some(link);
        if let Err(error) = self.0.replace_route(&wanted).await {
            log::say(error);
        }
    }

    async fn remove(&mut self, to: Ipv4Net) {
        let Ok(routes) = self.0.routes().await else { return };
        for route in routes.iter().filter(|r| r.protocol == Protocol::Rip && r.to == to) {
            if let Err(error) = self.0.delete_route(route).await {
                log::say(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::config::Address;

    #[test]
    fn interfaces_that_a_network_line_names_take_part() {
        let text = "key chain K\n key 1\n  key-string secret\n\
            interface FastEthernet0/1\n ip rip authentication mode md5\n\
            \x20ip rip authentication key-chain K\n\
            router rip\n version 2\n network 10.0.0.0\n passive-interface FastEthernet0/1\n\
            \x20redistribute static\n redistribute connected\n";
        let config = ios::parse_for(text, &["lan", "wan"]).unwrap();
        let link = |name: &str| Link {
            network: name.into(),
            name: name.into(),
            mac: String::new(),
            address: Address::None,
            transport: None,
        };
        let links = [
            (link("lan"), "192.168.1.1/24".parse().unwrap()),
            (link("wan"), "10.0.0.1/30".parse().unwrap()),
        ];
        let routes = ["172.16.0.0/16".parse().unwrap(), Ipv4Net::default()];
        let settings = settings(&config, &links, &routes).unwrap();
        let told: Vec<_> =
            settings.interfaces.iter().map(|i| (i.name.as_str(), i.passive)).collect();
        assert_eq!(told, [("wan", true)]);
        assert_eq!(settings.interfaces[0].key, Some((1, "secret".into())));
        let nets: [Ipv4Net; 2] =
            ["192.168.1.0/24".parse().unwrap(), "172.16.0.0/16".parse().unwrap()];
        assert_eq!(settings.redistribute, nets);
        assert_eq!(super::settings(&RouterConfig::default(), &links, &[]), None);
    }
}
