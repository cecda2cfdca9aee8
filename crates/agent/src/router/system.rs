//! What a router's console asks of the router that it is on.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ios::RouterConfig;
use ios::system::{
    ArpEntry, Binding, Clear, Echo, Hop, InterfaceState, PoolState, RipEntry, RouteState, Source,
    System, TranslationState,
};
use ipnet::IpNet;
use net::nft::{self, Endpoint, Family};
use net::{Protocol, Reachability};
use node::config::Address;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{dhcp, filter, put, rip};
use crate::agent::Agent;

/// Bytes of the headers of an echo request: IPv4 and ICMP.
const ECHO_HEADERS: u32 = 28;
/// What IOS waits for each echo, in milliseconds.
const ECHO_PATIENCE_MS: u64 = 2_000;
/// Echoes to one address at once.
const MAX_ECHOES: u32 = 10_000;
/// Administrative distance of a default route by DHCP.
const DHCP_DISTANCE: u32 = 254;

/// The router as it is.
pub(crate) struct Live(pub(crate) Arc<Agent>);

impl Live {
    async fn ask_dhcp<T: DeserializeOwned>(&self, op: &str, list: &str) -> Vec<T> {
        let Some(service) = self.0.service(dhcp::SERVICE).filter(|service| service.is_on()) else {
            return Vec::new();
        };
        let asked = json!({ "op": op });
        match node::admin::ask(&service.socket(), &asked, async |_| Ok(())).await {
            Ok(mut answer) => {
                let list = answer.get_mut(list).map(Value::take).unwrap_or_default();
                serde_json::from_value(list).unwrap_or_default()
            }
            Err(_) => Vec::new(),
        }
    }

    async fn order_dhcp(&self, op: &str, address: Option<Ipv4Addr>) -> Result<(), String> {
        let Some(service) = self.0.service(dhcp::SERVICE).filter(|service| service.is_on()) else {
            return Ok(());
        };
        let order = json!({ "op": op, "address": address });
        let done = node::admin::ask(&service.socket(), &order, async |_| Ok(())).await;
        done.map(|_| ()).map_err(|error| error.message)
    }

    async fn names(&self) -> Vec<(u32, String)> {
        let links = self.0.net.links().await.unwrap_or_default();
        links.into_iter().map(|link| (link.index, link.name)).collect()
    }
}

fn name(names: &[(u32, String)], index: u32) -> Option<String> {
    names.iter().find(|(have, _)| *have == index).map(|(_, name)| name.clone())
}

#[async_trait::async_trait]
impl System for Live {
    async fn interfaces(&self) -> Vec<InterfaceState> {
        let agent = &self.0;
        let links = agent.net.links().await.unwrap_or_default();
        let mut states = Vec::new();
        for link in &agent.config.links {
            let Some(have) = links.iter().find(|have| have.name == link.name) else { continue };
            let shut = agent.router.as_ref().is_some_and(|router| router.is_shut(&link.name));
            states.push(InterfaceState {
                name: link.name.clone(),
                address: agent.address_of(link).await,
                dhcp: agent.method(link) == Address::Dhcp,
                enabled: !shut,
                carrier: have.up && have.carrier,
                mac: have.mac.to_string(),
                mtu: have.mtu,
                packets_in: have.counters.rx_packets,
                bytes_in: have.counters.rx_bytes,
                errors_in: have.counters.rx_errors,
                packets_out: have.counters.tx_packets,
                bytes_out: have.counters.tx_bytes,
                errors_out: have.counters.tx_errors,
            });
        }
        states
    }

    async fn routes(&self) -> Vec<RouteState> {
        let names = self.names().await;
        let learnt = match &self.0.router {
            Some(router) => router.rip_table().await,
            None => Vec::new(),
        };
        let routes = self.0.net.routes().await.unwrap_or_default();
        let best = |to| routes.iter().filter(move |r| r.to == to).map(|r| r.metric).min();
        let used = routes.iter().filter(|route| best(route.to) == Some(route.metric));
        let state = |route: &net::Route| {
            let entry = learnt.iter().find(|entry| entry.to == route.to);
            let (source, distance, metric) = match route.protocol {
                Protocol::Kernel => (Source::Connected, 0, 0),
                Protocol::Rip => {
                    // RIP counts the network itself as one hop, a routing table does not.
                    let hops = entry.map_or(0, |entry| u32::from(entry.metric).saturating_sub(1));
                    (Source::Rip, rip::DISTANCE, hops)
                }
                Protocol::Dhcp => (Source::Dhcp, DHCP_DISTANCE, 0),
                Protocol::Static | Protocol::Boot | Protocol::Other(_) => {
                    (Source::Static, route.metric, 0)
                }
            };
            RouteState {
                to: route.to,
                via: route.via,
                interface: route.link.filter(|_| !route.blackhole).and_then(|i| name(&names, i)),
                source,
                distance,
                metric,
                age: entry.filter(|_| source == Source::Rip).map(|entry| entry.age),
            }
        };
        used.map(state).collect()
    }

    async fn arp(&self) -> Vec<ArpEntry> {
        let names = self.names().await;
        let links = self.0.net.links().await.unwrap_or_default();
        let mut entries = Vec::new();
        for address in self.0.net.addresses(None).await.unwrap_or_default() {
            let link = links.iter().find(|link| link.index == address.link && !link.loopback);
            if let (IpNet::V4(network), Some(link)) = (address.network, link) {
                entries.push(ArpEntry {
                    address: network.addr(),
                    mac: Some(link.mac.to_string()),
                    age: None,
                    interface: link.name.clone(),
                });
            }
        }
        for neighbour in self.0.net.neighbours().await.unwrap_or_default() {
            let (IpAddr::V4(address), Some(interface)) =
                (neighbour.address, name(&names, neighbour.link))
            else {
                continue;
            };
            if neighbour.state == Reachability::Noarp || address.is_multicast() {
                continue;
            }
            let mac = neighbour.mac.map(|mac| mac.to_string());
            entries.push(ArpEntry { address, mac, age: Some(0), interface });
        }
        entries.sort_by_key(|entry| entry.address);
        entries
    }

    async fn bindings(&self) -> Vec<Binding> {
        self.ask_dhcp("bindings", "bindings").await
    }

    async fn pools(&self) -> Vec<PoolState> {
        self.ask_dhcp("pools", "pools").await
    }

    async fn rip(&self) -> Vec<RipEntry> {
        let Some(router) = &self.0.router else { return Vec::new() };
        let entries = router.rip_table().await.into_iter().map(|entry| RipEntry {
            to: entry.to,
            via: entry.via,
            interface: entry.interface,
            metric: entry.metric,
            age: entry.age,
        });
        entries.collect()
    }

    async fn counters(&self, list: &str) -> Vec<u64> {
        let Some(router) = &self.0.router else { return Vec::new() };
        let config = router.config();
        let Some(list) = config.access_list(list) else { return Vec::new() };
        let counters = nft::counters(Family::Ipv4, filter::ACCESS).unwrap_or_default();
        let packets = |sequence| {
            let id = filter::counter(&list.name, sequence);
            counters.iter().find(|counter| counter.id == id).map_or(0, |counter| counter.packets)
        };
        list.rules.iter().map(|rule| packets(rule.sequence)).collect()
    }

    async fn translations(&self) -> Vec<TranslationState> {
        let text = |end: Endpoint| format!("{}:{}", end.address, end.port);
        let translations = nft::translations().unwrap_or_default().into_iter();
        let states = translations.map(|t| {
            // A forwarded port is a connection from outside: its inside host answers it.
            let inward = t.destination != t.translated_destination;
            let (global, local, outside) = match inward {
                true => (t.destination, t.translated_destination, t.source),
                false => (t.translated_source, t.source, t.destination),
            };
            TranslationState {
                protocol: match t.protocol {
                    1 => "icmp".into(),
                    6 => "tcp".into(),
                    17 => "udp".into(),
                    other => other.to_string(),
                },
                inside_global: text(global),
                inside_local: text(local),
                outside_local: text(outside),
                outside_global: text(outside),
            }
        });
        states.collect()
    }

    async fn ping(&self, to: Ipv4Addr, count: u32, size: u32) -> Vec<Echo> {
        let count = count.min(MAX_ECHOES);
        let request = probes::ping::Request {
            to: to.to_string(),
            count,
            interval_ms: 0,
            timeout_ms: ECHO_PATIENCE_MS,
            size: size.saturating_sub(ECHO_HEADERS) as usize,
            ..probes::ping::Request::default()
        };
        let Ok(outcome) = probes::ping::run(&request, &self.0.env()).await else {
            return vec![Echo::Unreachable; count as usize];
        };
        let echo = |seq| match outcome.replies.iter().find(|reply| reply.seq == seq) {
            Some(reply) if reply.error.is_some() => Echo::Unreachable,
            Some(reply) => Echo::Reply(Duration::from_secs_f64(reply.ms.max(0.0) / 1_000.0)),
            None => Echo::Timeout,
        };
        (1..=count).map(echo).collect()
    }

    async fn traceroute(&self, to: Ipv4Addr) -> Vec<Hop> {
        let request = probes::trace::Request {
            to: to.to_string(),
            probes: 3,
            ..probes::trace::Request::default()
        };
        let Ok(outcome) = probes::trace::run(&request, &self.0.env()).await else {
            return Vec::new();
        };
        let hops = outcome.hops.into_iter().map(|hop| Hop {
            address: hop.answers.iter().flatten().map(|answer| answer.from).next(),
            times: hop
                .answers
                .iter()
                .map(|answer| {
                    let ms = answer.as_ref()?.ms;
                    Some(Duration::from_secs_f64(ms.max(0.0) / 1_000.0))
                })
                .collect(),
        });
        hops.collect()
    }

    async fn resolve(&self, name: &str) -> Option<Ipv4Addr> {
        probes::resolve(name, &self.0.env()).await.ok()
    }

    async fn apply(&self, config: &RouterConfig) -> Result<(), String> {
        let Some(router) = &self.0.router else { return Err("this node is no router".into()) };
        let done = self.0.reconfigure(router, config.clone()).await;
        done.map_err(|error| error.to_string())
    }

    /// Every change is kept as it is made.
    async fn save(&self, _config: &RouterConfig) -> Result<(), String> {
        Ok(())
    }

    async fn clear(&self, what: Clear) -> Result<(), String> {
        let agent = &self.0;
        let Some(router) = &agent.router else { return Ok(()) };
        let done = match what {
            Clear::Bindings(address) => return self.order_dhcp("clear", address).await,
            Clear::Conflicts(address) => return self.order_dhcp("clear-conflicts", address).await,
            Clear::Arp => agent.net.flush_neighbours(None).await,
            // The tables are written anew: all lists count from zero.
            Clear::Counters(_) => put(filter::ACCESS, filter::access(&router.config())),
            Clear::Translations => put(filter::NAT, filter::nat(&router.config())),
            Clear::Routes => {
                router.stop_rip();
                agent.set_up_rip(router, &router.config()).await
            }
        };
        done.map_err(|error| error.to_string())
    }

    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    fn uptime(&self) -> u64 {
        self.0.started.elapsed().as_secs()
    }
}
