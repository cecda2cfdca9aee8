//! A plan for people: what the author wrote and, marked with `*`, what labctl worked out.

use std::fmt::Write;

use ::lab::Plan;
use ::lab::plan::{Address, Node};

use crate::output::{BOLD, PLAIN};

/// The whole plan.
pub fn text(plan: &Plan) -> String {
    let mut out = format!("{BOLD}{}{PLAIN}  {}\n", plan.lab, plan.title);
    let _ = writeln!(out, "\n{BOLD}Networks{PLAIN}");
    for network in &plan.networks {
        let gateway =
            network.gateway.map(|gateway| format!("  gateway {gateway}")).unwrap_or_default();
        let _ = writeln!(out, "  {}  {}{gateway}", network.name, network.subnet);
    }
    for node in &plan.nodes {
        self::node(&mut out, node);
    }
    if !plan.accounts.is_empty() {
        let _ = writeln!(out, "\n{BOLD}Mail accounts{PLAIN}");
        for account in &plan.accounts {
            let _ = writeln!(out, "  {}  on {}", account.address, account.node);
        }
    }
    if !plan.checks.is_empty() {
        let _ = writeln!(out, "\n{BOLD}Checks{PLAIN} ({} points with scenarios)", plan.points());
        for check in &plan.checks {
            let _ =
                writeln!(out, "  {}{}  [{}]", star(check.derived), check.name, check.kind.word());
        }
    }
    for scenario in &plan.scenarios {
        let _ = writeln!(out, "  scenario: {} ({} steps)", scenario.name, scenario.steps.len());
    }
    if !plan.wrong.is_empty() {
        let _ = writeln!(out, "  {} wrong variants for `labctl test-lab`", plan.wrong.len());
    }
    let _ = writeln!(out, "\n* worked out by labctl");
    out
}

fn star(derived: bool) -> &'static str {
    if derived { "* " } else { "" }
}

fn node(out: &mut String, node: &Node) {
    let kind = format!("{:?}", node.kind).to_lowercase();
    let _ = writeln!(out, "\n{BOLD}{}{PLAIN}  {kind}", node.name);
    for link in &node.links {
        let address = match link.address {
            Address::Static(net) => net.to_string(),
            Address::Dhcp => "by DHCP".into(),
            Address::None => "no address".into(),
        };
        let _ = writeln!(out, "  {}  {address}  {}", link.network, link.mac);
    }
    if let Some(gateway) = node.gateway {
        let _ = writeln!(out, "  default gateway {gateway}");
    }
    if let Some(routing) = node.routing.filter(|_| node.is_router()) {
        let _ = writeln!(out, "  routing {routing}");
    }
    for route in &node.routes {
        let _ = writeln!(out, "  {}route {} via {}", star(route.derived), route.to, route.via);
    }
    if !node.dns.is_empty() {
        let servers: Vec<String> = node.dns.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "  {}resolver {}", star(node.dns_derived), servers.join(", "));
    }
    for rule in &node.firewall {
        let _ = writeln!(out, "  firewall: {rule}");
    }
    let services = &node.services;
    if let Some(dhcp) = &services.dhcp {
        for pool in &dhcp.pools {
            let router =
                pool.router.map(|router| format!(", gateway {router}")).unwrap_or_default();
            let ranges: Vec<String> = pool.ranges.iter().map(ToString::to_string).collect();
            let ranges =
                if ranges.is_empty() { String::new() } else { format!(" ({})", ranges.join(", ")) };
            let servers: Vec<String> = pool.dns.iter().map(ToString::to_string).collect();
            let servers = if servers.is_empty() {
                String::new()
            } else {
                format!(", dns {}", servers.join(" "))
            };
            let _ = writeln!(
                out,
                "  dhcp: pool {} of {}{ranges}{router}{servers}",
                pool.name, pool.subnet
            );
            for (mac, address, whose) in &pool.reservations {
                let _ = writeln!(out, "    {address} for {whose} ({mac})");
            }
        }
        for (network, servers) in &dhcp.relay {
            let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
            let _ = writeln!(out, "  dhcp: relays {network} to {}", servers.join(", "));
        }
    }
    if let Some(dns) = &services.dns {
        for zone in &dns.zones {
            let of = if zone.primaries.is_empty() {
                String::new()
            } else {
                let from: Vec<String> = zone.primaries.iter().map(ToString::to_string).collect();
                format!(", copied from {}", from.join(", "))
            };
            let signed = if zone.dnssec { ", signed" } else { "" };
            let _ = writeln!(out, "  dns: {}zone {}{of}{signed}", star(zone.derived), zone.name);
            if !zone.allow_transfer.is_empty() {
                let _ = writeln!(out, "    may be copied by {}", zone.allow_transfer.join(", "));
            }
            if !zone.notify.is_empty() {
                let told: Vec<String> = zone.notify.iter().map(ToString::to_string).collect();
                let _ = writeln!(out, "    tells {} of changes", told.join(", "));
            }
            for record in &zone.records {
                let _ = writeln!(
                    out,
                    "    {}{} {} {} {}",
                    star(record.derived && !zone.derived),
                    record.name,
                    record.ttl,
                    record.r#type,
                    record.data
                );
            }
        }
    }
    if let Some(dns) = &services.dns {
        for (zone, servers) in &dns.forward {
            let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
            let what = if zone == "." { "everything else" } else { zone };
            let _ = writeln!(out, "  dns: asks {} for {what}", servers.join(", "));
        }
        if !dns.root_hints.is_empty() {
            let names: Vec<&str> = dns.root_hints.iter().map(|(name, _)| name.as_str()).collect();
            let _ = writeln!(out, "  dns: resolves from the root {}", names.join(", "));
        }
    }
    if let Some(mail) = &services.mail {
        let ports: Vec<String> = mail
            .protocols
            .iter()
            .map(|one| {
                let word = serde_json::to_value(one.protocol).unwrap_or_default();
                let off = if one.on { "" } else { " off" };
                format!("{} {}{off}", word.as_str().unwrap_or_default(), one.port)
            })
            .collect();
        let _ = writeln!(out, "  mail: {} ({})", mail.hostname, ports.join(", "));
    }
    if let Some(web) = &services.web {
        for site in &web.sites {
            let tls = if web.tls { ", also by TLS" } else { "" };
            let names =
                if site.names.is_empty() { "any name".into() } else { site.names.join(", ") };
            let _ = writeln!(out, "  web: {names}{tls}");
        }
    }
}
