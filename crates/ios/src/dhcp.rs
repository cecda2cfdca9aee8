//! A router's DHCP pools and helper addresses as the configuration of `dhcpd`.

use serde_json::{Map, Value, json};

use crate::config::{DhcpPool, RouterConfig};

/// The configuration for `dhcpd` (`dhcpd::config::Config` as JSON, without `state` and `admin`);
/// `None` where the router neither serves nor relays.
pub fn server_config(config: &RouterConfig) -> Option<Value> {
    if config.dhcp.off {
        return None;
    }
    let excluded: Vec<String> = config
        .dhcp
        .excluded
        .iter()
        .map(
            |(first, last)| {
                if first == last { first.to_string() } else { format!("{first}-{last}") }
            },
        )
        .collect();
    let mut pools = Vec::new();
    for pool in &config.dhcp.pools {
        if let Some(subnet) = pool.network {
            let mut entry = common(pool);
            entry.insert("subnet".into(), json!(subnet));
            let inside = |range: &&(std::net::Ipv4Addr, std::net::Ipv4Addr)| {
                range.0 <= subnet.broadcast() && range.1 >= subnet.network()
            };
            let of_it: Vec<&String> = config
                .dhcp
                .excluded
                .iter()
                .zip(&excluded)
                .filter(|(range, _)| inside(range))
                .map(|(_, text)| text)
                .collect();
            entry.insert("excluded".into(), json!(of_it));
            pools.push(Value::Object(entry));
        } else if let Some(host) = pool.host {
            // A pool of one address: everything but the reservation is excluded.
            let subnet = host.trunc();
            let owner = pool.client_identifier.as_ref().map(|id| ("client_id", id));
            let Some((key, value)) =
                owner.or(pool.hardware_address.as_ref().map(|mac| ("mac", mac)))
            else {
                continue; // Without an owner nobody could ever have it.
            };
            let mut reservation = Map::new();
            reservation.insert(key.into(), json!(value));
            reservation.insert("address".into(), json!(host.addr()));
            if let Some(name) = &pool.client_name {
                reservation.insert("hostname".into(), json!(name));
            }
            let mut entry = common(pool);
            entry.insert("subnet".into(), json!(subnet));
            entry.insert(
                "excluded".into(),
                json!([format!("{}-{}", subnet.network(), subnet.broadcast())]),
            );
            entry.insert("reservations".into(), json!([reservation]));
            // Reservations go before the dynamic pool of the same subnet.
            pools.insert(0, Value::Object(entry));
        }
    }
    let relay: Vec<Value> = config
        .interfaces
        .iter()
        .filter(|interface| !interface.helpers.is_empty())
        .map(|interface| json!({ "interface": interface.name, "servers": interface.helpers }))
        .collect();
    if pools.is_empty() && relay.is_empty() {
        return None;
    }
    let mut whole = json!({ "pools": pools, "relay": relay });
    if let Some(ms) = config.dhcp.ping_timeout {
        whole["probe_ms"] = json!(ms);
    }
    Some(whole)
}

fn common(pool: &DhcpPool) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("name".into(), json!(pool.name));
    if let Some(router) = pool.default_router.first() {
        entry.insert("router".into(), json!(router));
    }
    if !pool.dns_server.is_empty() {
        entry.insert("dns".into(), json!(pool.dns_server));
    }
    if let Some(domain) = &pool.domain_name {
        entry.insert("domain".into(), json!(domain));
    }
    if let Some(lease) = pool.lease {
        entry.insert("lease".into(), json!(lease));
    }
    let mut options = Map::new();
    for (number, value) in &pool.options {
        options.insert(number.to_string(), json!(value));
    }
    // Further routers stand in option 3 as a list.
    if pool.default_router.len() > 1 {
        let all: Vec<String> = pool.default_router.iter().map(|r| r.to_string()).collect();
        options.insert("3".into(), json!(format!("ip:{}", all.join(","))));
    }
    if !options.is_empty() {
        entry.insert("options".into(), Value::Object(options));
    }
    entry
}
