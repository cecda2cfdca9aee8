//! `show interfaces`, `show ip interface`.

use super::{dotted, label};
use crate::console::Console;
use crate::system::{InterfaceState, System};

pub(super) fn states(interface: &InterfaceState) -> (&'static str, &'static str) {
    match (interface.enabled, interface.carrier) {
        (false, _) => ("administratively down", "down"),
        (true, false) => ("down", "down"),
        (true, true) => ("up", "up"),
    }
}

pub(super) async fn ordered(console: &Console, system: &dyn System) -> Vec<InterfaceState> {
    let order = |name: &str| console.names().links().iter().position(|link| link == name);
    let mut all = system.interfaces().await;
    all.retain(|interface| order(&interface.name).is_some());
    all.sort_by_key(|interface| order(&interface.name));
    all
}

pub(super) async fn interface_brief(console: &Console, system: &dyn System) -> String {
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

pub(super) fn wanted(typed: Option<&str>, console: &Console) -> Result<Option<String>, String> {
    typed.map(|typed| console.names().resolve(typed).map(|(name, _)| name)).transpose()
}

/// The interfaces that were asked for: one, or all.
pub(super) async fn chosen(
    typed: Option<&str>,
    console: &Console,
    system: &dyn System,
) -> Result<Vec<InterfaceState>, String> {
    let only = wanted(typed, console)?;
    let mut all = ordered(console, system).await;
    all.retain(|interface| only.as_ref().is_none_or(|only| *only == interface.name));
    Ok(all)
}

pub(super) fn state_line(interface: &InterfaceState, console: &Console) -> String {
    let (status, protocol) = states(interface);
    format!("{} is {status}, line protocol is {protocol}\n", label(console, &interface.name))
}

pub(super) async fn ip_interface(
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

pub(super) async fn interfaces(
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
