//! What a matched command does to the configuration.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::commands::Mode;
use crate::config::*;
use crate::names::Names;
use crate::rules;

/// Carries out one matched command; tells the mode it opens.
///
/// # Errors
/// Where the words fit the grammar but not each other: a sentence.
pub(crate) fn apply(
    config: &mut RouterConfig,
    mode: &Mode,
    negated: bool,
    words: &[String],
    names: &Names,
) -> Result<Option<Mode>, String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match mode {
        Mode::User | Mode::Enable => Ok(None),
        Mode::Global => global(config, negated, &words, names),
        Mode::Interface(name) => interface(config, name, negated, &words).map(|()| None),
        Mode::DhcpPool(name) => dhcp_pool(config, name, negated, &words).map(|()| None),
        Mode::Rip => rip(config, negated, &words, names).map(|()| None),
        Mode::StandardList(name) | Mode::ExtendedList(name) => {
            let extended = matches!(mode, Mode::ExtendedList(_));
            rules::edit(config, name, extended, negated, &words).map(|()| None)
        }
        Mode::KeyChain(chain) => {
            let ["key", id] = words[..] else { return Ok(None) };
            let id =
                id.parse().map_err(|_| format!("the key number {id} is not one from 0 to 255"))?;
            let keys = &mut key_chain(config, chain).keys;
            if negated {
                keys.retain(|(other, _)| *other != id);
                return Ok(None);
            }
            if !keys.iter().any(|(other, _)| *other == id) {
                keys.push((id, String::new()));
            }
            Ok(Some(Mode::Key(chain.clone(), id)))
        }
        Mode::Key(chain, id) => {
            let found = key_chain(config, chain).keys.iter_mut().find(|(other, _)| other == id);
            if let (["key-string", rest @ ..], Some((_, secret))) = (&words[..], found) {
                *secret =
                    if negated { String::new() } else { rest.first().unwrap_or(&"").to_string() };
            }
            Ok(None)
        }
        Mode::Line(under) => {
            // A password on a console line is accepted and not kept: nobody is asked for it.
            if words[0] != "password" {
                remember(config, under, negated, &words);
            }
            Ok(None)
        }
    }
}

fn address(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an address"))
}

fn network(address_text: &str, mask: &str) -> Result<Ipv4Net, String> {
    let host = address(address_text)?;
    Ipv4Net::with_netmask(host, address(mask)?)
        .map_err(|_| format!("`{mask}` is not a subnet mask"))
}

fn push_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// Adds, or removes after `no`.
fn toggle<T: PartialEq>(list: &mut Vec<T>, item: T, negated: bool) {
    if negated {
        list.retain(|other| *other != item);
    } else {
        push_once(list, item);
    }
}

/// Keeps a line that changes nothing, so that `show running-config` gives it back.
fn remember(config: &mut RouterConfig, under: &str, negated: bool, words: &[&str]) {
    let plain = words.join(" ");
    let head = words[0];
    let same = |other: &Remembered| {
        other.under == under
            && (other.line == plain
                || other.line == format!("no {plain}")
                || (!under.is_empty() && other.line.split(' ').next() == Some(head)))
    };
    config.remembered.retain(|other| !same(other));
    let line = if negated { format!("no {plain}") } else { plain };
    config.remembered.push(Remembered { under: under.to_owned(), line });
}

fn key_chain<'a>(config: &'a mut RouterConfig, name: &str) -> &'a mut KeyChain {
    let at = config.key_chains.iter().position(|chain| chain.name == name).unwrap_or_else(|| {
        config.key_chains.push(KeyChain { name: name.to_owned(), keys: Vec::new() });
        config.key_chains.len() - 1
    });
    &mut config.key_chains[at]
}

/// The interface's entry, made where it is missing.
pub(crate) fn interface_entry<'a>(
    config: &'a mut RouterConfig,
    name: &str,
    label: &str,
) -> &'a mut Interface {
    let at = config.interfaces.iter().position(|i| i.name == name).unwrap_or_else(|| {
        config.interfaces.push(Interface {
            name: name.into(),
            label: label.into(),
            ..Interface::default()
        });
        config.interfaces.len() - 1
    });
    &mut config.interfaces[at]
}

fn global(
    config: &mut RouterConfig,
    no: bool,
    words: &[&str],
    names: &Names,
) -> Result<Option<Mode>, String> {
    match words {
        ["hostname", name @ ..] => {
            config.hostname =
                if no { "Router".into() } else { name.first().unwrap_or(&"Router").to_string() };
        }
        ["interface", typed] => {
            let (name, label) = names.resolve(typed)?;
            let entry = interface_entry(config, &name, &label);
            if !label.is_empty() && crate::names::is_interface(typed) {
                entry.label = label;
            }
            return Ok(Some(Mode::Interface(name)));
        }
        ["ip", "route", to, mask, rest @ ..] => {
            let to = network(to, mask)?;
            if to != to.trunc() {
                return Err(format!("{to} has host bits set: the network is {}", to.trunc()));
            }
            let via = match rest.first() {
                None => None,
                Some(&"Null0") => Some(NextHop::Discard),
                Some(via) => Some(match via.parse() {
                    Ok(via) => NextHop::Address(via),
                    Err(_) => NextHop::Interface(names.resolve(via)?.0),
                }),
            };
            config
                .routes
                .retain(|r| !(r.to == to && (via.is_none() || via.as_ref() == Some(&r.via))));
            if let Some(via) = via.filter(|_| !no) {
                let distance = rest.get(1).and_then(|d| d.parse().ok()).unwrap_or(1);
                config.routes.push(StaticRoute { to, via, distance });
            }
        }
        ["ip", "dhcp", "excluded-address", first, last @ ..] => {
            let first = address(first)?;
            let last = last.first().map_or(Ok(first), |last| address(last))?;
            if last < first {
                return Err(format!("{last} comes before {first}: swap them"));
            }
            toggle(&mut config.dhcp.excluded, (first, last), no);
        }
        ["ip", "dhcp", "pool", name] => {
            let pools = &mut config.dhcp.pools;
            if no {
                pools.retain(|pool| pool.name != *name);
                return Ok(None);
            }
            if !pools.iter().any(|pool| pool.name == *name) {
                pools.push(DhcpPool { name: name.to_string(), ..DhcpPool::default() });
            }
            return Ok(Some(Mode::DhcpPool(name.to_string())));
        }
        ["ip", "dhcp", "ping", "timeout", n] => {
            config.dhcp.ping_timeout = n.parse().ok().filter(|_| !no)
        }
        ["ip", "dhcp", "ping", "packets", n] => {
            config.dhcp.ping_timeout = (*n == "0" && !no).then_some(0);
        }
        ["service", "dhcp"] => config.dhcp.off = no,
        ["router", "rip"] if no => config.rip = None,
        ["router", "rip"] => {
            config.rip.get_or_insert_with(Rip::default);
            return Ok(Some(Mode::Rip));
        }
        ["access-list", number] => config.access_lists.retain(|list| list.name != *number),
        ["access-list", number, rest @ ..] => {
            let extended = number
                .parse()
                .is_ok_and(|n: u32| (100..=199).contains(&n) || (2000..=2699).contains(&n));
            rules::edit(config, number, extended, no, rest)?;
        }
        ["ip", "access-list", kind, name] => {
            if no {
                config.access_lists.retain(|list| list.name != *name);
                return Ok(None);
            }
            let extended = *kind == "extended";
            rules::list(config, name, extended)?;
            let name = name.to_string();
            return Ok(Some(if extended {
                Mode::ExtendedList(name)
            } else {
                Mode::StandardList(name)
            }));
        }
        ["ip", "nat", rest @ ..] => nat(&mut config.nat, no, rest, names)?,
        ["key", "chain", name] if no => config.key_chains.retain(|chain| chain.name != *name),
        ["key", "chain", name] => {
            key_chain(config, name);
            return Ok(Some(Mode::KeyChain(name.to_string())));
        }
        ["ip", "name-server", servers @ ..] => {
            if servers.is_empty() {
                config.name_servers.clear();
            }
            for server in servers {
                toggle(&mut config.name_servers, address(server)?, no);
            }
        }
        ["ip", "domain-name", name @ ..] | ["ip", "domain", "name", name @ ..] => {
            config.domain = name.first().filter(|_| !no).map(|name| name.to_string());
        }
        ["line", ..] => {
            let under = words.join(" ");
            let opener = Remembered { under: under.clone(), line: String::new() };
            push_once(&mut config.remembered, opener);
            return Ok(Some(Mode::Line(under)));
        }
        // Whoever is on a lab's console may do everything: a password would be asked of nobody.
        ["enable" | "username", ..] => {}
        _ => remember(config, "", no, words),
    }
    Ok(None)
}

fn nat(nat: &mut Nat, no: bool, words: &[&str], names: &Names) -> Result<(), String> {
    match words {
        ["pool", name] => nat.pools.retain(|pool| pool.name != *name),
        ["pool", name, first, last, kind, size] => {
            let first = address(first)?;
            let prefix = match *kind {
                "netmask" => network(&first.to_string(), size)?.prefix_len(),
                _ => size.parse().map_err(|_| format!("`{size}` is not a prefix length"))?,
            };
            nat.pools.retain(|pool| pool.name != *name);
            if !no {
                nat.pools.push(NatPool {
                    name: name.to_string(),
                    first,
                    last: address(last)?,
                    prefix,
                });
            }
        }
        ["inside", "source", "list", list, "interface", interface, ..] => {
            let interface = names.resolve(interface)?.0;
            toggle(&mut nat.rules, NatRule::Masquerade { list: list.to_string(), interface }, no);
        }
        ["inside", "source", "list", list, "pool", pool, overload @ ..] => {
            let (list, pool, overload) = (list.to_string(), pool.to_string(), !overload.is_empty());
            toggle(&mut nat.rules, NatRule::Pool { list, pool, overload }, no);
        }
        [
            "inside",
            "source",
            "static",
            protocol @ ("tcp" | "udp"),
            inside,
            inside_port,
            outside @ ..,
            outside_port,
        ] => {
            let outside = match outside {
                ["interface", interface] => NatOutside::Interface(names.resolve(interface)?.0),
                [outside, ..] => NatOutside::Address(address(outside)?),
                [] => return Err("the public address is missing".into()),
            };
            let port =
                |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is not a port"));
            let rule = NatRule::Forward {
                protocol: if *protocol == "tcp" { 6 } else { 17 },
                inside: address(inside)?,
                inside_port: port(inside_port)?,
                outside,
                outside_port: port(outside_port)?,
            };
            toggle(&mut nat.rules, rule, no);
        }
        ["inside", "source", "static", inside, outside] => {
            let rule = NatRule::Static { inside: address(inside)?, outside: address(outside)? };
            toggle(&mut nat.rules, rule, no);
        }
        _ => {}
    }
    Ok(())
}

fn interface(
    config: &mut RouterConfig,
    name: &str,
    no: bool,
    words: &[&str],
) -> Result<(), String> {
    let entry = interface_entry(config, name, name);
    match words {
        ["ip", "address", "dhcp"] => {
            entry.dhcp = !no;
            entry.address = entry.address.filter(|_| no);
        }
        ["ip", "address"] => {
            entry.dhcp = false;
            entry.address = None;
        }
        ["ip", "address", host, mask] => {
            let net = network(host, mask)?;
            if !no
                && net.prefix_len() < 31
                && (net.addr() == net.network() || net.addr() == net.broadcast())
            {
                return Err(format!(
                    "{host} is the network's own or its broadcast address under the mask {mask}"
                ));
            }
            entry.dhcp = false;
            entry.address = (!no).then_some(net);
        }
        ["shutdown"] => entry.shutdown = !no,
        ["description", text @ ..] => {
            entry.description = text.first().filter(|_| !no).map(|t| t.to_string())
        }
        ["ip", "helper-address"] => entry.helpers.clear(),
        ["ip", "helper-address", server] => toggle(&mut entry.helpers, address(server)?, no),
        ["ip", "access-group", list, direction] => {
            let list = (!no).then(|| list.to_string());
            match *direction {
                "in" => entry.access_in = list,
                _ => entry.access_out = list,
            }
        }
        ["ip", "nat", side] => {
            let side = if *side == "inside" { NatSide::Inside } else { NatSide::Outside };
            entry.nat = (!no).then_some(side);
        }
        ["ip", "rip", "authentication", "key-chain", chain @ ..] => {
            entry.rip_key_chain = chain.first().filter(|_| !no).map(|chain| chain.to_string());
        }
        ["ip", "rip", "authentication", "mode", mode @ ..] => {
            entry.rip_md5 = !no && *mode == ["md5"]
        }
        ["ip", "split-horizon"] => entry.no_split_horizon = no,
        _ => {
            let label = format!("interface {}", entry.label);
            remember(config, &label, no, words);
        }
    }
    Ok(())
}

fn dhcp_pool(
    config: &mut RouterConfig,
    name: &str,
    no: bool,
    words: &[&str],
) -> Result<(), String> {
    let Some(pool) = config.dhcp.pools.iter_mut().find(|pool| pool.name == name) else {
        return Err(format!("the pool {name} was removed: `ip dhcp pool {name}` makes it again"));
    };
    let list = |list: &mut Vec<Ipv4Addr>, items: &[&str]| -> Result<(), String> {
        if items.is_empty() || !no {
            list.clear();
        }
        for item in items {
            toggle(list, address(item)?, no);
        }
        Ok(())
    };
    let subnet = |host: &str, mask: &[&str]| match mask.first() {
        None => Ok(Ipv4Net::new_assert(address(host)?, classful(address(host)?).prefix_len())),
        Some(mask) => match mask.strip_prefix('/').and_then(|prefix| prefix.parse().ok()) {
            Some(prefix) => Ipv4Net::new(address(host)?, prefix)
                .map_err(|_| format!("`{mask}` is not a prefix length")),
            None => network(host, mask),
        },
    };
    match words {
        ["network", ..] if no => pool.network = None,
        ["network", host, mask @ ..] => {
            let net = subnet(host, mask)?.trunc();
            if net.prefix_len() > 30 {
                return Err(format!("{net} has no room for clients"));
            }
            pool.network = Some(net);
        }
        ["host", ..] if no => pool.host = None,
        ["host", host, mask @ ..] => pool.host = Some(subnet(host, mask)?),
        ["hardware-address", mac, ..] => pool.hardware_address = (!no).then(|| colons(mac)),
        ["client-identifier", id] => {
            let id = colons(id);
            if id.is_empty() {
                return Err(
                    "a client identifier is written in hex, such as 0100.1a2b.3c4d.5e".into()
                );
            }
            pool.client_identifier = (!no).then_some(id);
        }
        ["client-name", name] => pool.client_name = (!no).then(|| name.to_string()),
        ["default-router", routers @ ..] => list(&mut pool.default_router, routers)?,
        ["dns-server", servers @ ..] => list(&mut pool.dns_server, servers)?,
        ["domain-name", domain @ ..] => {
            pool.domain_name = domain.first().filter(|_| !no).map(|d| d.to_string())
        }
        ["lease", ..] if no => pool.lease = None,
        ["lease", "infinite"] => pool.lease = Some(u32::MAX),
        ["lease", times @ ..] => {
            let part = |at: usize| times.get(at).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
            let seconds = part(0) * 86_400 + part(1) * 3600 + part(2) * 60;
            if seconds == 0 {
                return Err("a lease of no time is none: give days, hours or minutes".into());
            }
            pool.lease = Some(seconds);
        }
        ["netbios-name-server", servers @ ..] => {
            option(pool, 44, no, format!("ip:{}", servers.join(",")))
        }
        ["bootfile", file] => option(pool, 67, no, format!("text:{file}")),
        ["next-server", server] => option(pool, 66, no, format!("text:{server}")),
        ["option", number, rest @ ..] => {
            let number =
                number.parse().map_err(|_| format!("`{number}` is not an option number"))?;
            let value = match rest {
                ["ip", list @ ..] => format!("ip:{}", list.join(",")),
                ["ascii", text] => format!("text:{}", text.trim_matches('"')),
                ["hex", text] => format!("hex:{}", text.replace([' ', '.'], "")),
                _ => String::new(),
            };
            option(pool, number, no, value);
        }
        _ => {}
    }
    Ok(())
}

fn option(pool: &mut DhcpPool, number: u8, no: bool, value: String) {
    pool.options.retain(|(other, _)| *other != number);
    if !no {
        pool.options.push((number, value));
        pool.options.sort();
    }
}

/// Hex digits of any notation as `aa:bb:…`.
fn colons(text: &str) -> String {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
    let pairs: Vec<String> =
        digits.chunks(2).map(|pair| pair.iter().collect::<String>().to_lowercase()).collect();
    pairs.join(":")
}

fn rip(config: &mut RouterConfig, no: bool, words: &[&str], names: &Names) -> Result<(), String> {
    let rip = config.rip.get_or_insert_with(Rip::default);
    match words {
        ["version", version @ ..] => {
            rip.version = version.first().filter(|_| !no).and_then(|v| v.parse().ok()).unwrap_or(0)
        }
        ["network", network] => {
            let network = address(network)?;
            let network =
                if network.is_unspecified() { network } else { classful(network).network() };
            toggle(&mut rip.networks, network, no);
        }
        ["passive-interface", "default"] => {
            rip.passive_default = !no;
            rip.active.clear();
        }
        ["passive-interface", typed] => {
            let name = names.resolve(typed)?.0;
            if rip.passive_default {
                toggle(&mut rip.active, name, !no);
            } else {
                toggle(&mut rip.passive, name, no);
            }
        }
        ["auto-summary"] => rip.no_auto_summary = no,
        ["default-information", "originate"] => rip.default_originate = !no,
        ["redistribute", "connected", ..] => rip.redistribute_connected = !no,
        ["redistribute", "static", ..] => rip.redistribute_static = !no,
        ["timers", "basic", times @ ..] => {
            let mut values = [30, 180, 180, 240];
            for (value, text) in values.iter_mut().zip(times) {
                *value =
                    text.parse().map_err(|_| format!("`{text}` is not a number of seconds"))?;
            }
            rip.timers = (!no).then_some(values);
        }
        _ => remember(config, "router rip", no, words),
    }
    Ok(())
}
