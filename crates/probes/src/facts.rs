//! The node's links, addresses, routes and neighbours, as the kernel has them.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::{Env, Error, Layer};

/// Nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {}

/// The node as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its interfaces, the loopback left out.
    pub links: Vec<Link>,
    /// Its IPv4 routes, the local table left out.
    pub routes: Vec<Route>,
    /// Its neighbours.
    pub neighbours: Vec<Neighbour>,
    /// DNS servers in use.
    pub resolvers: Vec<std::net::IpAddr>,
    /// Search domains.
    pub search: Vec<String>,
    /// Whether it forwards packets.
    pub forwarding: bool,
    /// The mail program's settings, as the node has them.
    #[serde(default)]
    pub mail: Option<crate::MailSettings>,
    /// `/etc/hosts` and the node's own entries.
    #[serde(default)]
    pub hosts: Vec<(std::net::IpAddr, Vec<String>)>,
}

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its MAC address.
    pub mac: String,
    /// Administratively up.
    pub up: bool,
    /// The cable is plugged in.
    pub carrier: bool,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Its IPv4 addresses.
    pub addresses: Vec<Ipv4Net>,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub to: Ipv4Net,
    /// The next hop; absent where the network is directly connected.
    pub via: Option<Ipv4Addr>,
    /// The interface.
    pub interface: String,
    /// Metric.
    pub metric: u32,
    /// `kernel`, `static`, `rip`, `dhcp`, …
    pub protocol: String,
}

/// One neighbour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its MAC address, where known.
    pub mac: Option<String>,
    /// The interface.
    pub interface: String,
    /// `reachable`, `stale`, `failed`, …
    pub state: String,
}

/// Reads them.
///
/// # Errors
/// [`Layer::Probe`] when the kernel does not tell.
pub async fn run(_request: &Request, env: &Env) -> Result<Outcome, Error> {
    let netlink = net::Netlink::open().map_err(told)?;
    let links = netlink.links().await.map_err(told)?;
    let name = |index: u32| {
        links.iter().find(|link| link.index == index).map_or(String::new(), |l| l.name.clone())
    };
    let addresses = netlink.addresses(None).await.map_err(told)?;
    let routes = netlink.routes().await.map_err(told)?;
    let neighbours = netlink.neighbours().await.map_err(told)?;
    Ok(Outcome {
        routes: routes
            .iter()
            .map(|route| Route {
                to: route.to,
                via: route.via,
                interface: route.link.map_or(String::new(), name),
                metric: route.metric,
                protocol: format!("{:?}", route.protocol).to_lowercase(),
            })
            .collect(),
        neighbours: neighbours
            .iter()
            .filter(|neighbour| {
                !links.iter().any(|link| link.index == neighbour.link && link.loopback)
            })
            .filter_map(|neighbour| match neighbour.address {
                std::net::IpAddr::V4(address) => Some(Neighbour {
                    address,
                    mac: neighbour.mac.map(|mac| mac.to_string()),
                    interface: name(neighbour.link),
                    state: format!("{:?}", neighbour.state).to_lowercase(),
                }),
                std::net::IpAddr::V6(_) => None,
            })
            .collect(),
        links: links
            .iter()
            .filter(|link| !link.loopback)
            .map(|link| Link {
                index: link.index,
                name: link.name.clone(),
                mac: link.mac.to_string(),
                up: link.up,
                carrier: link.carrier,
                mtu: link.mtu,
                addresses: addresses
                    .iter()
                    .filter(|address| address.link == link.index)
                    .filter_map(|address| match address.network {
                        ipnet::IpNet::V4(network) => Some(network),
                        ipnet::IpNet::V6(_) => None,
                    })
                    .collect(),
                rx_packets: link.counters.rx_packets,
                tx_packets: link.counters.tx_packets,
            })
            .collect(),
        resolvers: env.servers.clone(),
        search: env.search.clone(),
        mail: env.mail.clone(),
        hosts: env.hosts.clone(),
        forwarding: net::read_sysctl(&["net", "ipv4", "ip_forward"])
            .is_ok_and(|value| value.trim() == "1"),
    })
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function for map_err")]
fn told(error: net::Error) -> Error {
    Error::new(Layer::Probe, format!("the kernel does not tell: {error}"))
}

impl Outcome {
    /// The route that a packet to `to` takes: the longest prefix, then the lowest metric.
    pub fn route_to(&self, to: Ipv4Addr) -> Option<&Route> {
        self.routes
            .iter()
            .filter(|route| route.to.contains(&to))
            .min_by_key(|route| (std::cmp::Reverse(route.to.prefix_len()), route.metric))
    }

    /// The link whose own network holds `to`.
    pub fn link_of(&self, to: Ipv4Addr) -> Option<&Link> {
        self.links.iter().find(|link| link.addresses.iter().any(|net| net.contains(&to)))
    }

    /// Whether the node holds the address itself.
    pub fn owns(&self, address: Ipv4Addr) -> bool {
        self.links.iter().flat_map(|link| &link.addresses).any(|net| net.addr() == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(to: &str, via: Option<&str>, metric: u32) -> Route {
        Route {
            to: to.parse().unwrap(),
            via: via.map(|via| via.parse().unwrap()),
            interface: "lan".into(),
            metric,
            protocol: "static".into(),
        }
    }

    #[test]
    fn the_longest_prefix_wins_then_the_lowest_metric() {
        let facts = Outcome {
            routes: vec![
                route("0.0.0.0/0", Some("10.0.0.1"), 0),
                route("10.1.0.0/16", Some("10.0.0.2"), 120),
                route("10.1.0.0/16", Some("10.0.0.3"), 1),
            ],
            ..Outcome::default()
        };
        let via = |to: &str| facts.route_to(to.parse().unwrap()).and_then(|route| route.via);
        assert_eq!(via("10.1.2.3"), Some("10.0.0.3".parse().unwrap()));
        assert_eq!(via("8.8.8.8"), Some("10.0.0.1".parse().unwrap()));
    }

    #[tokio::test]
    async fn the_kernel_is_asked() {
        let facts = run(&Request::default(), &Env::default()).await.unwrap();
        assert!(facts.links.iter().all(|link| link.name != "lo"));
    }
}
