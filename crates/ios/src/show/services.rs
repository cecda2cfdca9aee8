//! What a router serves and filters: `show ip dhcp`, `show access-lists`, `show ip nat`.

use super::dotted;
use crate::console::Console;
use crate::rules;
use crate::system::System;
use crate::time;

pub(super) async fn bindings(only: Option<&str>, system: &dyn System) -> String {
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

pub(super) async fn conflicts(system: &dyn System) -> String {
    let mut text = format!("{:<17}{:<20}Detection time until\n", "IP address", "Detection method");
    for binding in system.bindings().await.iter().filter(|binding| binding.state == "quarantined") {
        let until = binding.expires.map(time::date).unwrap_or_default();
        text += &format!("{:<17}{:<20}{until}\n", binding.address.to_string(), "ARP or ping");
    }
    text
}

pub(super) async fn pools(only: Option<&str>, system: &dyn System) -> Result<String, String> {
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

pub(super) async fn dhcp_statistics(system: &dyn System) -> String {
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

pub(super) async fn access_lists(
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

pub(super) async fn translations(system: &dyn System) -> String {
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

pub(super) async fn nat_statistics(console: &Console, system: &dyn System) -> String {
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
