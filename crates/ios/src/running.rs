//! Printing a configuration as `show running-config` does; [`crate::parse`] reads it back.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::config::*;
use crate::names::Names;
use crate::rules;

struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }
}

fn masked(net: &Ipv4Net) -> String {
    format!("{} {}", net.addr(), net.netmask())
}

fn list(addresses: &[Ipv4Addr]) -> String {
    addresses.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(" ")
}

impl RouterConfig {
    /// The whole configuration as commands.
    pub fn running_config(&self) -> String {
        let mut page = Page { text: String::new() };
        page.line("!");
        let global = |line: &&Remembered| line.under.is_empty();
        for line in self.remembered.iter().filter(global) {
            page.line(&line.line);
        }
        page.line(format!(
            "hostname {}",
            if self.hostname.is_empty() { "Router" } else { &self.hostname }
        ));
        page.line("!");
        if self.dhcp.off {
            page.line("no service dhcp");
        }
        for server in &self.name_servers {
            page.line(format!("ip name-server {server}"));
        }
        if let Some(domain) = &self.domain {
            page.line(format!("ip domain-name {domain}"));
        }
        for chain in &self.key_chains {
            page.line(format!("key chain {}", chain.name));
            for (id, secret) in &chain.keys {
                page.line(format!(" key {id}"));
                page.line(format!("  key-string {secret}"));
            }
            page.line("!");
        }
        self.dhcp_lines(&mut page);
        for interface in &self.interfaces {
            self.interface_lines(interface, &mut page);
        }
        if let Some(rip) = &self.rip {
            self.rip_lines(rip, &mut page);
        }
        self.nat_lines(&mut page);
        for route in &self.routes {
            let via = match &route.via {
                NextHop::Address(via) => via.to_string(),
                NextHop::Interface(name) => self.label(name),
                NextHop::Discard => "Null0".into(),
            };
            let distance =
                if route.distance == 1 { String::new() } else { format!(" {}", route.distance) };
            page.line(format!("ip route {} {via}{distance}", masked(&route.to)));
        }
        if !self.routes.is_empty() {
            page.line("!");
        }
        for list in &self.access_lists {
            let numbered = list.name.parse::<u32>().is_ok();
            if !numbered {
                let kind = if list.extended { "extended" } else { "standard" };
                page.line(format!("ip access-list {kind} {}", list.name));
            }
            for rule in &list.rules {
                let text = rules::write(rule, list.extended);
                page.line(match numbered {
                    true => format!("access-list {} {text}", list.name),
                    false => format!(" {} {text}", rule.sequence)
                        .replace(&format!(" {} remark", rule.sequence), " remark"),
                });
            }
            page.line("!");
        }
        for opener in self.remembered.iter().filter(|line| line.line.is_empty()) {
            page.line(&opener.under);
            for line in
                self.remembered.iter().filter(|l| l.under == opener.under && !l.line.is_empty())
            {
                page.line(format!(" {}", line.line));
            }
        }
        page.line("!");
        page.line("end");
        page.text
    }

    /// The console's name of an interface.
    pub fn label(&self, name: &str) -> String {
        let known = self.interface(name).map(|i| i.label.clone()).filter(|label| !label.is_empty());
        known.unwrap_or_else(|| name.to_owned())
    }

    /// Gives every link an entry with its console name, so that the running configuration shows
    /// all interfaces.
    pub fn complete(&mut self, names: &Names) {
        for link in names.links() {
            let label = names.label(link);
            let entry = crate::apply::interface_entry(self, link, &label);
            if entry.label.is_empty() || entry.label == entry.name {
                entry.label = label;
            }
        }
        let order = |name: &str| names.links().iter().position(|link| link == name);
        self.interfaces.sort_by_key(|interface| order(&interface.name).unwrap_or(usize::MAX));
    }

    fn dhcp_lines(&self, page: &mut Page) {
        for (first, last) in &self.dhcp.excluded {
            if first == last {
                page.line(format!("ip dhcp excluded-address {first}"));
            } else {
                page.line(format!("ip dhcp excluded-address {first} {last}"));
            }
        }
        match self.dhcp.ping_timeout {
            Some(0) => page.line("ip dhcp ping packets 0"),
            Some(n) => page.line(format!("ip dhcp ping timeout {n}")),
            None => {}
        }
        for pool in &self.dhcp.pools {
            page.line(format!("ip dhcp pool {}", pool.name));
            if let Some(net) = &pool.network {
                page.line(format!(" network {}", masked(net)));
            }
            if let Some(net) = &pool.host {
                page.line(format!(" host {}", masked(net)));
            }
            if let Some(mac) = &pool.hardware_address {
                page.line(format!(" hardware-address {mac}"));
            }
            if let Some(id) = &pool.client_identifier {
                page.line(format!(" client-identifier {id}"));
            }
            if let Some(name) = &pool.client_name {
                page.line(format!(" client-name {name}"));
            }
            if !pool.default_router.is_empty() {
                page.line(format!(" default-router {}", list(&pool.default_router)));
            }
            if !pool.dns_server.is_empty() {
                page.line(format!(" dns-server {}", list(&pool.dns_server)));
            }
            if let Some(domain) = &pool.domain_name {
                page.line(format!(" domain-name {domain}"));
            }
            for (number, value) in &pool.options {
                let value = match value.split_once(':') {
                    Some(("ip", list)) => format!("ip {}", list.replace(',', " ")),
                    Some(("hex", hex)) => format!("hex {hex}"),
                    Some(("text", text)) => format!("ascii {text}"),
                    _ => format!("ascii {value}"),
                };
                page.line(format!(" option {number} {value}"));
            }
            match pool.lease {
                Some(u32::MAX) => page.line(" lease infinite"),
                Some(seconds) => page.line(format!(
                    " lease {} {} {}",
                    seconds / 86_400,
                    seconds / 3600 % 24,
                    seconds / 60 % 60
                )),
                None => {}
            }
            page.line("!");
        }
    }

    fn interface_lines(&self, interface: &Interface, page: &mut Page) {
        let label = if interface.label.is_empty() { &interface.name } else { &interface.label };
        page.line(format!("interface {label}"));
        if let Some(text) = &interface.description {
            page.line(format!(" description {text}"));
        }
        match (&interface.address, interface.dhcp) {
            (_, true) => page.line(" ip address dhcp"),
            (Some(net), _) => page.line(format!(" ip address {}", masked(net))),
            (None, _) => page.line(" no ip address"),
        }
        for helper in &interface.helpers {
            page.line(format!(" ip helper-address {helper}"));
        }
        if let Some(list) = &interface.access_in {
            page.line(format!(" ip access-group {list} in"));
        }
        if let Some(list) = &interface.access_out {
            page.line(format!(" ip access-group {list} out"));
        }
        match interface.nat {
            Some(NatSide::Inside) => page.line(" ip nat inside"),
            Some(NatSide::Outside) => page.line(" ip nat outside"),
            None => {}
        }
        if interface.rip_md5 {
            page.line(" ip rip authentication mode md5");
        }
        if let Some(chain) = &interface.rip_key_chain {
            page.line(format!(" ip rip authentication key-chain {chain}"));
        }
        if interface.no_split_horizon {
            page.line(" no ip split-horizon");
        }
        let under = format!("interface {label}");
        for line in self.remembered.iter().filter(|line| line.under == under) {
            page.line(format!(" {}", line.line));
        }
        if interface.shutdown {
            page.line(" shutdown");
        }
        page.line("!");
    }

    fn rip_lines(&self, rip: &Rip, page: &mut Page) {
        page.line("router rip");
        if rip.version > 0 {
            page.line(format!(" version {}", rip.version));
        }
        if let Some([update, invalid, hold, flush]) = rip.timers {
            page.line(format!(" timers basic {update} {invalid} {hold} {flush}"));
        }
        if rip.redistribute_connected {
            page.line(" redistribute connected");
        }
        if rip.redistribute_static {
            page.line(" redistribute static");
        }
        if rip.passive_default {
            page.line(" passive-interface default");
        }
        for name in &rip.active {
            page.line(format!(" no passive-interface {}", self.label(name)));
        }
        for name in &rip.passive {
            page.line(format!(" passive-interface {}", self.label(name)));
        }
        for network in &rip.networks {
            page.line(format!(" network {network}"));
        }
        if rip.default_originate {
            page.line(" default-information originate");
        }
        if rip.no_auto_summary {
            page.line(" no auto-summary");
        }
        for line in self.remembered.iter().filter(|line| line.under == "router rip") {
            page.line(format!(" {}", line.line));
        }
        page.line("!");
    }

    fn nat_lines(&self, page: &mut Page) {
        for pool in &self.nat.pools {
            page.line(format!(
                "ip nat pool {} {} {} prefix-length {}",
                pool.name, pool.first, pool.last, pool.prefix
            ));
        }
        for rule in &self.nat.rules {
            page.line(match rule {
                NatRule::Masquerade { list, interface } => {
                    format!("ip nat inside source list {list} interface {} overload", self.label(interface))
                }
                NatRule::Pool { list, pool, overload } => {
                    let overload = if *overload { " overload" } else { "" };
                    format!("ip nat inside source list {list} pool {pool}{overload}")
                }
                NatRule::Static { inside, outside } => {
                    format!("ip nat inside source static {inside} {outside}")
                }
                NatRule::Forward { protocol, inside, inside_port, outside, outside_port } => {
                    let protocol = if *protocol == 6 { "tcp" } else { "udp" };
                    let outside = match outside {
                        NatOutside::Address(address) => address.to_string(),
                        NatOutside::Interface(name) => format!("interface {}", self.label(name)),
                    };
                    format!("ip nat inside source static {protocol} {inside} {inside_port} {outside} {outside_port}")
                }
            });
        }
        if !self.nat.rules.is_empty() || !self.nat.pools.is_empty() {
            page.line("!");
        }
    }
}
