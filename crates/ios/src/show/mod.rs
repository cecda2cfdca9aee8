//! The show commands, in the layout that lab sheets print.

mod interfaces;
mod routing;
mod services;

use std::net::Ipv4Addr;

use interfaces::{interface_brief, interfaces, ip_interface};
use routing::{protocols, rip_database, routes};
use services::{
    access_lists, bindings, conflicts, dhcp_statistics, nat_statistics, pools, translations,
};

use crate::config::RouterConfig;
use crate::console::Console;
use crate::system::System;
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
