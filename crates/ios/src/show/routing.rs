//! `show ip route`, `show ip protocols`, `show ip rip database`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::label;
use crate::config::classful;
use crate::console::Console;
use crate::system::{RouteState, Source, System};
use crate::time;

pub(super) fn code(source: Source) -> char {
    match source {
        Source::Connected => 'C',
        Source::Static | Source::Dhcp => 'S',
        Source::Rip => 'R',
    }
}

pub(super) async fn routes(
    only: Option<&str>,
    console: &Console,
    system: &dyn System,
) -> Result<String, String> {
    let mut all = system.routes().await;
    all.sort_by_key(|route| (route.to, route.distance));
    if let Some(address) = only.and_then(|only| only.parse::<Ipv4Addr>().ok()) {
        return one_route(address, &all, console);
    }
    match only {
        Some("connected") => all.retain(|route| route.source == Source::Connected),
        Some("static") => all.retain(|route| matches!(route.source, Source::Static | Source::Dhcp)),
        Some("rip") => all.retain(|route| route.source == Source::Rip),
        _ => {}
    }
    let mut text = String::new();
    if only.is_none() {
        text += "Codes: L - local, C - connected, S - static, R - RIP\n       * - candidate default\n\n";
        let default = all.iter().find(|route| route.to.prefix_len() == 0);
        text += &match default.and_then(|route| route.via) {
            Some(via) => format!("Gateway of last resort is {via} to network 0.0.0.0\n\n"),
            None => "Gateway of last resort is not set\n\n".into(),
        };
    }
    // (network, line without its name), grouped by the class A, B or C network.
    let mut groups: BTreeMap<Ipv4Net, Vec<(Ipv4Net, char, String)>> = BTreeMap::new();
    let mut default = String::new();
    for route in &all {
        let way = way(route, console);
        if route.to.prefix_len() == 0 {
            default += &format!("{}*   0.0.0.0/0 {way}\n", code(route.source));
            continue;
        }
        let major = classful(route.to.addr());
        let major = if major.prefix_len() > route.to.prefix_len() { route.to } else { major };
        let group = groups.entry(major).or_default();
        group.push((route.to, code(route.source), way));
        if route.source == Source::Connected
            && let Some(name) = &route.interface
            && only.is_none()
            && let Some(net) =
                system.interfaces().await.iter().find(|i| i.name == *name).and_then(|i| i.address)
        {
            let line = format!("is directly connected, {}", label(console, name));
            group.push((Ipv4Net::from(net.addr()), 'L', line));
        }
    }
    for (major, mut lines) in groups {
        lines.sort();
        lines.dedup();
        let mut masks: Vec<u8> = lines.iter().map(|(to, ..)| to.prefix_len()).collect();
        masks.sort_unstable();
        masks.dedup();
        let alone = lines.len() == 1 && lines[0].0 == major;
        if !alone {
            let count = if masks.len() == 1 {
                format!("{major} is subnetted, {} subnets", lines.len())
            } else {
                format!(
                    "{major} is variably subnetted, {} subnets, {} masks",
                    lines.len(),
                    masks.len()
                )
            };
            text += &format!("     {count}\n");
        }
        for (to, code, way) in lines {
            let indent = if alone { "    " } else { "       " };
            text += &format!("{code}{indent}{to} {way}\n");
        }
    }
    Ok(text + &default)
}

pub(super) fn way(route: &RouteState, console: &Console) -> String {
    let interface = route.interface.as_deref().map(|name| label(console, name));
    match (route.source, route.via) {
        (_, None) => format!("is directly connected, {}", interface.unwrap_or("Null0".into())),
        (Source::Rip, Some(via)) => format!(
            "[{}/{}] via {via}, {}, {}",
            route.distance,
            route.metric,
            time::hms(route.age.unwrap_or_default()),
            interface.unwrap_or_default()
        ),
        (_, Some(via)) => format!("[{}/{}] via {via}", route.distance, route.metric),
    }
}

pub(super) fn one_route(
    address: Ipv4Addr,
    all: &[RouteState],
    console: &Console,
) -> Result<String, String> {
    let fitting = all.iter().filter(|route| route.to.contains(&address));
    let route = fitting
        .max_by_key(|route| (route.to.prefix_len(), std::cmp::Reverse(route.distance)))
        .ok_or("Network not in table")?;
    let known = match route.source {
        Source::Connected => "connected",
        Source::Static => "static",
        Source::Dhcp => "static (from DHCP)",
        Source::Rip => "rip",
    };
    Ok(format!(
        "Routing entry for {}\n  Known via \"{known}\", distance {}, metric {}\n  Routing Descriptor Blocks:\n  * {}\n",
        route.to,
        route.distance,
        route.metric,
        way(route, console)
    ))
}

pub(super) async fn protocols(console: &Console, system: &dyn System) -> String {
    let Some(rip) = &console.config().rip else {
        return "No routing protocol is configured\n".into();
    };
    let [update, invalid, hold, flush] = rip.timers.unwrap_or([30, 180, 180, 240]);
    let mut text = format!(
        "Routing Protocol is \"rip\"\n  Sending updates every {update} seconds\n  Invalid after {invalid} seconds, hold down {hold}, flushed after {flush}\n"
    );
    text += "  Default version control: send version 2, receive version 2\n";
    text += "  Automatic network summarization is not in effect\n  Routing for Networks:\n";
    for network in &rip.networks {
        text += &format!("    {network}\n");
    }
    text += "  Passive Interface(s):\n";
    for link in console.names().links().iter().filter(|link| rip.is_passive(link)) {
        text += &format!("    {}\n", label(console, link));
    }
    text += "  Routing Information Sources:\n    Gateway         Distance      Last Update\n";
    let mut sources: BTreeMap<Ipv4Addr, Duration> = BTreeMap::new();
    for entry in system.rip().await {
        if let Some(via) = entry.via {
            let age = sources.entry(via).or_insert(entry.age);
            *age = (*age).min(entry.age);
        }
    }
    for (via, age) in sources {
        text += &format!("    {:<15} {:>8}      {}\n", via.to_string(), 120, time::hms(age));
    }
    text + "  Distance: (default is 120)\n"
}

pub(super) async fn rip_database(console: &Console, system: &dyn System) -> String {
    let mut text = String::new();
    let mut entries = system.rip().await;
    entries.sort_by_key(|entry| entry.to);
    for entry in entries {
        let interface =
            entry.interface.as_deref().map(|name| label(console, name)).unwrap_or_default();
        match entry.via {
            None if interface.is_empty() => text += &format!("{}    redistributed\n", entry.to),
            None => text += &format!("{}    directly connected, {interface}\n", entry.to),
            Some(_) if entry.metric >= 16 => text += &format!("{} is possibly down\n", entry.to),
            Some(via) => {
                let hops = entry.metric.saturating_sub(1);
                text += &format!(
                    "{}\n    [{hops}] via {via}, {}, {interface}\n",
                    entry.to,
                    time::hms(entry.age)
                );
            }
        }
    }
    text
}
