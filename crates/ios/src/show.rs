//! The show commands, in the layout that lab sheets print.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use crate::config::{RouterConfig, classful};
use crate::console::Console;
use crate::rules;
use crate::system::{InterfaceState, RouteState, Source, System};
use crate::time;

/// The labels of interfaces: the configuration's where it has one.
fn label(console: &Console, name: &str) -> String {
    let known = console.config().label(name);
    if known == name { console.names().label(name) } else { known }
}

/// Runs one show command; `words` without `show`.
///
/// # Errors
/// A sentence where there is nothing to show.
pub(crate) async fn show(
    words: &[&str],
    console: &Console,
    system: &dyn System,
) -> Result<String, String> {
    Ok(match words {
        ["arp"] | ["ip", "arp"] => arp(console, system).await,
        ["clock"] => format!("{}\n", time::clock(system.now())),
        ["version"] => version(console, system),
        ["history"] => console.history().iter().map(|line| format!("  {line}\n")).collect(),
        ["hosts"] => hosts(console.config()),
        ["running-config", ..] => {
            let text = console.config().running_config();
            format!(
                "Building configuration...\n\nCurrent configuration : {} bytes\n{text}",
                text.len()
            )
        }
        ["startup-config", ..] => {
            format!("Using {} bytes\n{}", console.startup().len(), console.startup())
        }
        ["ip", "interface", "brief"] => interface_brief(console, system).await,
        ["ip", "interface", rest @ ..] => {
            ip_interface(rest.first().copied(), console, system).await?
        }
        ["interfaces", rest @ ..] => interfaces(rest.first().copied(), console, system).await?,
        ["ip", "route", rest @ ..] => routes(rest.first().copied(), console, system).await?,
        ["ip", "protocols"] => protocols(console, system).await,
        ["ip", "rip", "database"] => rip_database(console, system).await,
        ["ip", "dhcp", "binding", rest @ ..] => bindings(rest.first().copied(), system).await,
        ["ip", "dhcp", "conflict", ..] => conflicts(system).await,
        ["ip", "dhcp", "pool", rest @ ..] => pools(rest.first().copied(), system).await?,
        ["ip", "dhcp", "server", ..] => dhcp_statistics(system).await,
        ["access-lists", rest @ ..] | ["ip", "access-lists", rest @ ..] => {
            access_lists(rest.first().copied(), console, system).await?
        }
        ["ip", "nat", "translations"] => translations(system).await,
        ["ip", "nat", ..] => nat_statistics(console, system).await,
        _ => return Err("this cannot be shown".into()),
    })
}

/// `02:00:00:00:00:01` as `0200.0000.0001`, in capitals as the sheet prints it.
fn dotted(mac: &str) -> String {
    let digits: Vec<char> = mac.chars().filter(char::is_ascii_hexdigit).collect();
    let groups: Vec<String> = digits.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(".").to_uppercase()
}

async fn arp(console: &Console, system: &dyn System) -> String {
    let mut text =
        String::from("Protocol  Address          Age (min)  Hardware Addr   Type   Interface\n");
    let mut entries = system.arp().await;
    entries.sort_by_key(|entry| entry.address);
    for entry in entries {
        let age = entry.age.map_or("-".into(), |age| age.to_string());
        let mac = entry.mac.as_deref().map_or("Incomplete".into(), dotted);
        text += &format!(
            "Internet  {:<15}  {age:>9}  {mac:<14}  ARPA   {}\n",
            entry.address.to_string(),
            label(console, &entry.interface)
        );
    }
    text
}

fn version(console: &Console, system: &dyn System) -> String {
    let up = system.uptime();
    format!(
        "labctl router, version {}\n{} uptime is {} hours, {} minutes\n{} FastEthernet interfaces\n",
        env!("CARGO_PKG_VERSION"),
        console.config().hostname,
        up / 3600,
        up / 60 % 60,
        console.names().links().len()
    )
}

fn hosts(config: &RouterConfig) -> String {
    let domain = config.domain.as_deref().unwrap_or("not set");
    let servers: Vec<String> = config.name_servers.iter().map(Ipv4Addr::to_string).collect();
    let servers = if servers.is_empty() { "none".into() } else { servers.join(", ") };
    format!("Default domain is {domain}\nName servers are {servers}\n")
}

fn states(interface: &InterfaceState) -> (&'static str, &'static str) {
    match (interface.enabled, interface.carrier) {
        (false, _) => ("administratively down", "down"),
        (true, false) => ("down", "down"),
        (true, true) => ("up", "up"),
    }
}

async fn ordered(console: &Console, system: &dyn System) -> Vec<InterfaceState> {
    let order = |name: &str| console.names().links().iter().position(|link| link == name);
    let mut all = system.interfaces().await;
    all.retain(|interface| order(&interface.name).is_some());
    all.sort_by_key(|interface| order(&interface.name));
    all
}

async fn interface_brief(console: &Console, system: &dyn System) -> String {
    let mut text =
        format!("{:<27}{:<16}OK? Method {:<22}Protocol\n", "Interface", "IP-Address", "Status");
    for interface in ordered(console, system).await {
        let (status, protocol) = states(&interface);
        let address = interface.address.map_or("unassigned".into(), |net| net.addr().to_string());
        let method = match (interface.address, interface.dhcp) {
            (_, true) => "DHCP",
            (None, _) => "unset",
            _ => "manual",
        };
        let name = label(console, &interface.name);
        text += &format!("{name:<27}{address:<16}YES {method:<7}{status:<22}{protocol}\n");
    }
    text
}

fn wanted(typed: Option<&str>, console: &Console) -> Result<Option<String>, String> {
    typed.map(|typed| console.names().resolve(typed).map(|(name, _)| name)).transpose()
}

/// The interfaces that were asked for: one, or all.
async fn chosen(
    typed: Option<&str>,
    console: &Console,
    system: &dyn System,
) -> Result<Vec<InterfaceState>, String> {
    let only = wanted(typed, console)?;
    let mut all = ordered(console, system).await;
    all.retain(|interface| only.as_ref().is_none_or(|only| *only == interface.name));
    Ok(all)
}

fn state_line(interface: &InterfaceState, console: &Console) -> String {
    let (status, protocol) = states(interface);
    format!("{} is {status}, line protocol is {protocol}\n", label(console, &interface.name))
}

async fn ip_interface(
    typed: Option<&str>,
    console: &Console,
    system: &dyn System,
) -> Result<String, String> {
    let mut text = String::new();
    for interface in chosen(typed, console, system).await? {
        text += &state_line(&interface, console);
        match interface.address {
            Some(net) => {
                text += &format!(
                    "  Internet address is {net}\n  Broadcast address is 255.255.255.255\n"
                )
            }
            None => text += "  Internet protocol processing disabled\n",
        }
        text += &format!("  MTU is {} bytes\n", interface.mtu);
        if let Some(entry) = console.config().interface(&interface.name) {
            for helper in &entry.helpers {
                text += &format!("  Helper address is {helper}\n");
            }
            let set = |list: &Option<String>| list.clone().unwrap_or("not set".into());
            text += &format!("  Outgoing access list is {}\n", set(&entry.access_out));
            text += &format!("  Inbound  access list is {}\n", set(&entry.access_in));
        }
    }
    Ok(text)
}

async fn interfaces(
    typed: Option<&str>,
    console: &Console,
    system: &dyn System,
) -> Result<String, String> {
    let mut text = String::new();
    for interface in chosen(typed, console, system).await? {
        let mac = dotted(&interface.mac).to_lowercase();
        text += &state_line(&interface, console);
        text += &format!("  Hardware is Ethernet, address is {mac} (bia {mac})\n");
        let entry = console.config().interface(&interface.name);
        let description = entry.and_then(|entry| entry.description.clone());
        text +=
            &format!("  Description: {}\n", description.unwrap_or_else(|| interface.name.clone()));
        if let Some(net) = interface.address {
            text += &format!("  Internet address is {net}\n");
        }
        text += &format!("  MTU {} bytes\n", interface.mtu);
        text += &format!(
            "     {} packets input, {} bytes\n     {} input errors\n",
            interface.packets_in, interface.bytes_in, interface.errors_in
        );
        text += &format!(
            "     {} packets output, {} bytes\n     {} output errors\n",
            interface.packets_out, interface.bytes_out, interface.errors_out
        );
    }
    Ok(text)
}

fn code(source: Source) -> char {
    match source {
        Source::Connected => 'C',
        Source::Static | Source::Dhcp => 'S',
        Source::Rip => 'R',
    }
}

async fn routes(
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

fn way(route: &RouteState, console: &Console) -> String {
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

fn one_route(address: Ipv4Addr, all: &[RouteState], console: &Console) -> Result<String, String> {
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

async fn protocols(console: &Console, system: &dyn System) -> String {
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

async fn rip_database(console: &Console, system: &dyn System) -> String {
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

async fn bindings(only: Option<&str>, system: &dyn System) -> String {
    let mut text = format!(
        "{:<17}{:<24}{:<24}Type\n{:<17}Hardware address\n",
        "IP address", "Client-ID/", "Lease expiration", ""
    );
    for binding in system.bindings().await {
        let shown = binding.state == "bound" || binding.state == "reserved";
        if !shown || only.is_some_and(|only| only != binding.address.to_string()) {
            continue;
        }
        let expires = match (binding.state.as_str(), binding.expires) {
            ("reserved", _) => "--".into(),
            (_, None) => "Infinite".into(),
            (_, Some(at)) => time::date(at),
        };
        let kind = if binding.manual { "Manual" } else { "Automatic" };
        text += &format!(
            "{:<17}{:<24}{expires:<24}{kind}\n",
            binding.address.to_string(),
            dotted(&binding.mac)
        );
    }
    text
}

async fn conflicts(system: &dyn System) -> String {
    let mut text = format!("{:<17}{:<20}Detection time until\n", "IP address", "Detection method");
    for binding in system.bindings().await.iter().filter(|binding| binding.state == "quarantined") {
        let until = binding.expires.map(time::date).unwrap_or_default();
        text += &format!("{:<17}{:<20}{until}\n", binding.address.to_string(), "ARP or ping");
    }
    text
}

async fn pools(only: Option<&str>, system: &dyn System) -> Result<String, String> {
    let all = system.pools().await;
    if let Some(only) = only
        && !all.iter().any(|pool| pool.name == only)
    {
        return Err(format!("DHCP pool {only} does not exist"));
    }
    let mut text = String::new();
    for pool in all.iter().filter(|pool| only.is_none_or(|only| only == pool.name)) {
        let current = pool.next.unwrap_or(pool.last);
        text += &format!(
            "\nPool {} :\n Utilization mark (high/low)    : 100 / 0\n Subnet size (first/next)       : 0 / 0\n Total addresses                : {}\n Leased addresses               : {}\n Excluded addresses             : {}\n Pending event                  : {}\n\n 1 subnet is currently in the pool\n Current index        IP address range                    Leased/Excluded/Total\n {:<20} {:<16} - {:<16} {:<5}/ {:<8}/ {}\n",
            pool.name,
            pool.total,
            pool.leased,
            pool.excluded,
            if pool.exhausted { "exhausted" } else { "none" },
            current.to_string(),
            pool.first.to_string(),
            pool.last.to_string(),
            pool.leased,
            pool.excluded,
            pool.total
        );
    }
    Ok(text)
}

async fn dhcp_statistics(system: &dyn System) -> String {
    let bindings = system.bindings().await;
    let count = |test: &dyn Fn(&crate::system::Binding) -> bool| {
        bindings.iter().filter(|b| test(b)).count()
    };
    format!(
        "Address pools        {}\nAutomatic bindings   {}\nManual bindings      {}\nExpired bindings     {}\n",
        system.pools().await.len(),
        count(&|b| b.state == "bound" && !b.manual),
        count(&|b| b.manual),
        count(&|b| b.state == "expired")
    )
}

async fn access_lists(
    only: Option<&str>,
    console: &Console,
    system: &dyn System,
) -> Result<String, String> {
    let mut text = String::new();
    for list in &console.config().access_lists {
        if only.is_some_and(|only| only != list.name) {
            continue;
        }
        let kind = if list.extended { "Extended" } else { "Standard" };
        text += &format!("{kind} IP access list {}\n", list.name);
        let counters = system.counters(&list.name).await;
        for (at, rule) in list.rules.iter().enumerate() {
            if rule.verdict.is_none() {
                continue;
            }
            let mut entry = rules::write(rule, list.extended);
            let wildcard =
                !list.extended && !rule.source.is_any() && !rule.source.wildcard.is_unspecified();
            if wildcard {
                let (address, bits) = (rule.source.address, rule.source.wildcard);
                entry = entry.replace(
                    &format!("{address} {bits}"),
                    &format!("{address}, wildcard bits {bits}"),
                );
            }
            let matches = match counters.get(at).copied().unwrap_or(0) {
                0 => String::new(),
                1 => " (1 match)".into(),
                n => format!(" ({n} matches)"),
            };
            text += &format!("    {} {entry}{matches}\n", rule.sequence);
        }
    }
    match only {
        Some(only) if text.is_empty() => Err(format!("there is no access list {only}")),
        _ => Ok(text),
    }
}

async fn translations(system: &dyn System) -> String {
    let mut text = format!(
        "{:<5}{:<23}{:<23}{:<23}{}\n",
        "Pro", "Inside global", "Inside local", "Outside local", "Outside global"
    );
    for entry in system.translations().await {
        text += &format!(
            "{:<5}{:<23}{:<23}{:<23}{}\n",
            entry.protocol,
            entry.inside_global,
            entry.inside_local,
            entry.outside_local,
            entry.outside_global
        );
    }
    text
}

async fn nat_statistics(console: &Console, system: &dyn System) -> String {
    use crate::config::NatSide;
    let on = |side: NatSide| {
        let interfaces = console.config().interfaces.iter().filter(|i| i.nat == Some(side));
        interfaces.map(|i| i.label.clone()).collect::<Vec<_>>().join(", ")
    };
    format!(
        "Total translations: {}\nOutside interfaces: {}\nInside interfaces: {}\n",
        system.translations().await.len(),
        on(NatSide::Outside),
        on(NatSide::Inside)
    )
}
