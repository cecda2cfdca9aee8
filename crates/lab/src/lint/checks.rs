//! Checks: what they name exists, they can fail, and their ends can reach each other.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use super::Lint;
use crate::check::{Expect, Kind};
use crate::decode::suggestion;
use crate::diagnostic::{Problem, Span};
use crate::file::Range;
use crate::plan::{Address, Node};

impl Lint<'_> {
    pub(super) fn checks(&mut self) {
        let mut names: HashMap<&str, Span> = HashMap::new();
        let Some(list) = &self.file.checks else { return };
        for (index, check) in list.iter().enumerate() {
            let index = index.to_string();
            let path = ["checks", index.as_str()];
            let span = self.place(&[&path[..], &["name"]].concat());
            if let Some(first) = names.insert(&check.name, span) {
                self.problems.push(
                    Problem::error(
                        "check::duplicate-name",
                        span,
                        format!("two checks are called `{}`", check.name),
                    )
                    .help("give each check its own name")
                    .and(first, "first here"),
                );
            }
            self.kind(&check.kind, &check.expect, &path);
        }
        for (index, check) in list.iter().enumerate() {
            self.needs(
                &check.needs,
                &["checks", &index.to_string()],
                &names.keys().copied().collect(),
            );
        }
        for (index, scenario) in self.file.scenarios.iter().enumerate() {
            self.needs(
                &scenario.needs,
                &["scenarios", &index.to_string()],
                &names.keys().copied().collect(),
            );
        }
        self.cycles();
    }

    fn needs(&mut self, needs: &[String], path: &[&str], names: &BTreeSet<&str>) {
        for (at, need) in needs.iter().enumerate() {
            if !names.contains(need.as_str()) {
                let span = self.place(&[path, &["needs", &at.to_string()]].concat());
                self.error(
                    "check::unknown-need",
                    span,
                    format!("there is no check `{need}`"),
                    suggestion(need, names.iter().copied()),
                );
            }
        }
    }

    /// Checks that need each other would all wait for ever.
    fn cycles(&mut self) {
        let Some(list) = &self.file.checks else { return };
        let place: HashMap<&str, usize> =
            list.iter().enumerate().map(|(at, c)| (c.name.as_str(), at)).collect();
        // 0 not seen, 1 on the way, 2 done.
        let mut state = vec![0u8; list.len()];
        for start in 0..list.len() {
            let mut stack = vec![(start, 0usize)];
            while let Some((at, next)) = stack.pop() {
                if next == 0 && state[at] == 2 {
                    continue;
                }
                state[at] = 1;
                match list.get(at).and_then(|check| check.needs.get(next)) {
                    None => state[at] = 2,
                    Some(need) => {
                        stack.push((at, next + 1));
                        match place.get(need.as_str()) {
                            Some(to) if state[*to] == 1 => {
                                let span = self.place(&[
                                    "checks",
                                    &at.to_string(),
                                    "needs",
                                    &next.to_string(),
                                ]);
                                self.error(
                                    "check::need-cycle",
                                    span,
                                    format!("`{}` and `{need}` need each other", list[at].name),
                                    "take one of the two `needs` away",
                                );
                                state[*to] = 2;
                            }
                            Some(to) if state[*to] == 0 => stack.push((*to, 0)),
                            _ => {}
                        }
                    }
                }
            }
        }
    }

    /// A node that must exist.
    pub(super) fn node_at(&mut self, name: &str, path: &[&str]) -> Option<&'_ Node> {
        if !self.facts.nodes.contains_key(name) {
            let span = self.place(path);
            let help = suggestion(name, self.plan.nodes.iter().map(|n| n.name.as_str()));
            self.error("check::unknown-node", span, format!("there is no node `{name}`"), help);
            return None;
        }
        self.facts.node(name)
    }

    /// A network that the node must be on.
    pub(super) fn network_at(&mut self, node: &str, network: &str, path: &[&str]) {
        let links: Vec<String> = self
            .facts
            .node(node)
            .map(|n| n.links.iter().map(|l| l.network.clone()).collect())
            .unwrap_or_default();
        if !links.iter().any(|own| own == network) {
            let span = self.place(path);
            self.error(
                "check::unknown-network",
                span,
                format!("{node} is not on a network `{network}`"),
                suggestion(network, links.iter().map(String::as_str)),
            );
        }
    }

    /// What a check is aimed at: a node, an address or a name. Gives the address where it is known.
    fn target(&mut self, to: &str, expect: &Expect, path: &[&str]) -> Option<Ipv4Addr> {
        if let Some(node) = self.facts.node(to) {
            return node.address();
        }
        if let Ok(address) = to.parse::<Ipv4Addr>() {
            return Some(address);
        }
        if !to.contains('.') {
            // A short name may be completed by a search domain or a hosts file.
            let short = self
                .plan
                .nodes
                .iter()
                .any(|n| !n.search.is_empty() || n.hosts.iter().any(|(name, _)| name == to));
            if !short {
                let span = self.place(path);
                let help = suggestion(to, self.plan.nodes.iter().map(|n| n.name.as_str()));
                self.error(
                    "check::unknown-node",
                    span,
                    format!("`{to}` is no node, no address and no domain name of the lab"),
                    help,
                );
            }
            return None;
        }
        let found = self.facts.addresses(to);
        let foreign = self
            .plan
            .nodes
            .iter()
            .any(|n| n.image.is_some() || n.hosts.iter().any(|(name, _)| name == to));
        if found.is_empty() && expect.is_pass() && !foreign {
            let span = self.place(path);
            self.warn(
                "check::unresolved",
                span,
                format!("{to} has no address in the lab's DNS, so this cannot pass"),
                "add an A record for it",
            );
        }
        found.first().copied()
    }

    fn way(&mut self, from: &str, to: Option<Ipv4Addr>, expect: &Expect, path: &[&str]) {
        let (Some(node), Some(to), true) = (self.facts.node(from), to, expect.is_pass()) else {
            return;
        };
        if let Some(why) = self.facts.unreachable(node, to) {
            let span = self.place(path);
            self.warn(
                "check::no-route",
                span,
                format!("there is no way from {from} to {to}, so this cannot pass"),
                why,
            );
            return;
        }
        // And the answer's way back.
        if let (Some(owner), Some(own)) = (self.facts.owner(to), node.address())
            && let Some(why) = self.facts.unreachable(owner, own)
        {
            let span = self.place(path);
            self.warn(
                "check::no-route",
                span,
                format!("there is no way back from {} to {from}, so this cannot pass", owner.name),
                why,
            );
        }
    }

    fn never_fails(&mut self, span: Span, why: &str) {
        self.error(
            "check::never-fails",
            span,
            format!("this check cannot fail: {why}"),
            "say what must hold",
        );
    }

    fn mailer(&mut self, name: &str, path: &[&str]) {
        if let Some(node) = self.node_at(name, path)
            && node.mail.is_none()
        {
            let span = self.place(path);
            self.error(
                "check::no-mail-settings",
                span,
                format!("{name} has no mail settings"),
                format!("add `mail: {{ address: … }}` to {name}"),
            );
        }
    }

    fn server(&mut self, name: &str, service: &str, path: &[&str]) {
        let Some(node) = self.node_at(name, path) else { return };
        let services = &node.services;
        let has = match service {
            "mail" => services.mail.is_some(),
            "dns" => services.dns.is_some(),
            "dhcp" => services.dhcp.is_some(),
            _ => services.web.is_some(),
        };
        if !has && node.image.is_none() {
            let span = self.place(path);
            self.error(
                "check::no-service",
                span,
                format!("{name} has no {service} service"),
                format!("add it under `services:` of {name}, or name another node"),
            );
        }
    }

    /// Looks at one kind; `path` leads to the check that holds it.
    #[allow(clippy::too_many_lines, reason = "one arm for each kind of check")]
    pub(super) fn kind(&mut self, kind: &Kind, expect: &Expect, path: &[&str]) {
        let word = match kind {
            Kind::Trace(_) if self.tree.at(path).is_some_and(|n| n.get("trace").is_none()) => {
                "path"
            }
            _ => kind.word(),
        };
        let full: Vec<&str> = path.iter().copied().chain([word]).collect();
        let scalar = self.tree.at(&full).is_some_and(|n| n.text().is_some());
        let at = |field: &'static str| -> Vec<&str> {
            if scalar { full.clone() } else { full.iter().copied().chain([field]).collect() }
        };
        let here = self.key(&full);
        match kind {
            Kind::Link(c) => {
                if self.node_at(&c.node, &at("node")).is_some()
                    && let Some(network) = &c.network
                {
                    self.network_at(&c.node, network, &at("network"));
                }
            }
            Kind::Address(c) => {
                if self.node_at(&c.node, &at("node")).is_none() {
                    return;
                }
                if let Some(network) = &c.network {
                    self.network_at(&c.node, network, &at("network"));
                }
                if let Some(is) = &c.is
                    && is.parse::<ipnet::Ipv4Net>().is_err()
                    && is.parse::<Ipv4Addr>().is_err()
                {
                    let span = self.place(&at("is"));
                    self.error(
                        "net::address",
                        span,
                        format!("`{is}` is not an address"),
                        "for example 192.168.1.4 or 192.168.1.4/24",
                    );
                }
                self.pool_text(c.inside.as_deref(), &at("inside"));
                for (field, text) in [
                    ("gateway", c.gateway.iter().collect::<Vec<_>>()),
                    ("dns", c.dns.iter().collect()),
                ] {
                    self.address_texts(&text, &at(field));
                }
            }
            Kind::Lease(c) => {
                let Some(node) = self.node_at(&c.node, &at("node")) else { return };
                let leased = node.links.iter().any(|l| {
                    l.address == Address::Dhcp && c.network.as_ref().is_none_or(|n| *n == l.network)
                });
                if !leased {
                    let span = self.place(&at("node"));
                    self.error(
                        "check::no-lease",
                        span,
                        format!("{} does not ask for a lease", c.node),
                        "give its interface the address `dhcp`, or check its `address`",
                    );
                }
                if let Some(network) = &c.network {
                    self.network_at(&c.node, network, &at("network"));
                }
                if let Some(from) = &c.from {
                    self.server(from, "dhcp", &at("from"));
                }
                self.pool_text(c.pool.as_deref(), &at("pool"));
                for (field, text) in [
                    ("router", c.router.iter().collect::<Vec<_>>()),
                    ("dns", c.dns.iter().collect()),
                ] {
                    self.address_texts(&text, &at(field));
                }
                for (number, _) in c.options.iter() {
                    if number.parse::<u8>().is_err() {
                        let span = self.place(&at("options"));
                        self.error(
                            "dhcp::option",
                            span,
                            format!("`{number}` is not the number of a DHCP option"),
                            "1 to 254",
                        );
                    }
                }
            }
            Kind::Ping(c) => {
                if self.node_at(&c.from, &at("from")).is_some() {
                    let to = self.target(&c.to, expect, &at("to"));
                    let itself = c.to == c.from
                        || to.is_some_and(|to| {
                            to.is_loopback()
                                || self
                                    .facts
                                    .node(&c.from)
                                    .is_some_and(|n| n.addresses().any(|own| own.addr() == to))
                        });
                    if itself {
                        self.never_fails(here, "a node always reaches itself");
                    }
                    self.way(&c.from, to, expect, &at("to"));
                }
                if !(1..=1000).contains(&c.count) {
                    let span = self.place(&at("count"));
                    self.error("check::count", span, "a ping has 1 to 1000 echoes".to_owned(), "");
                }
            }
            Kind::Route(c) => {
                if self.node_at(&c.node, &at("node")).is_none() {
                    return;
                }
                let known = c.to == "default"
                    || self.facts.networks.contains_key(c.to.as_str())
                    || c.to.parse::<ipnet::Ipv4Net>().is_ok();
                if !known {
                    let span = self.place(&at("to"));
                    let names = self.facts.networks.keys().copied().chain(["default"]);
                    self.error(
                        "check::unknown-network",
                        span,
                        format!("`{}` is no subnet and no network", c.to),
                        suggestion(&c.to, names),
                    );
                }
                if let Some(via) = &c.via
                    && via.parse::<Ipv4Addr>().is_err()
                {
                    self.node_at(via, &at("via"));
                }
            }
            Kind::Trace(c) => {
                if self.node_at(&c.from, &at("from")).is_some() {
                    let to = self.target(&c.to, expect, &at("to"));
                    self.way(&c.from, to, expect, &at("to"));
                }
                for (field, list) in [("through", &c.through), ("avoid", &c.avoid)] {
                    for (index, hop) in
                        list.iter().enumerate().filter(|(_, hop)| hop.parse::<Ipv4Addr>().is_err())
                    {
                        let index = index.to_string();
                        let mut path = at(field);
                        path.push(&index);
                        self.node_at(hop, &path);
                    }
                }
            }
            Kind::Arp(c) => {
                self.node_at(&c.from, &at("from"));
                self.target(&c.to, expect, &at("to"));
                if let Some(is) = &c.is {
                    self.node_at(is, &at("is"));
                }
            }
            Kind::Dns(c) => {
                if self.node_at(&c.from, &at("from")).is_none() {
                    return;
                }
                let types = crate::build::names::TYPES;
                let upper = c.r#type.to_ascii_uppercase();
                if !types.contains(&upper.as_str()) && upper != "ANY" && upper != "AXFR" {
                    let span = self.place(&at("type"));
                    self.error(
                        "dns::record",
                        span,
                        format!("`{}` is not a record type", c.r#type),
                        suggestion(&upper, types.iter().copied()),
                    );
                }
                match &c.server {
                    Some(server) if server.parse::<Ipv4Addr>().is_err() => {
                        self.server(server, "dns", &at("server"))
                    }
                    Some(_) => {}
                    None => {
                        let node = self.facts.node(&c.from);
                        if node.is_some_and(|n| n.dns.is_empty() && !n.uses_dhcp())
                            && expect.is_pass()
                        {
                            let span = self.place(&at("from"));
                            self.warn(
                                "check::no-resolver",
                                span,
                                format!("{} has no DNS server, so this cannot pass", c.from),
                                "give it `dns:`, or the check `server:`",
                            );
                        }
                    }
                }
            }
            Kind::Port(c) => {
                if self.node_at(&c.from, &at("from")).is_some() {
                    let to = self.target(&c.to, expect, &at("to"));
                    self.way(&c.from, to, expect, &at("to"));
                }
                if c.port == 0 {
                    let span = self.place(&at("port"));
                    self.error("check::count", span, "a port is from 1 to 65535".to_owned(), "");
                }
            }
            Kind::Http(c) => {
                let from = self.node_at(&c.from, &at("from")).is_some();
                let rest = c.url.strip_prefix("http://").or_else(|| c.url.strip_prefix("https://"));
                let host = rest
                    .map(|rest| rest.split(['/', ':', '?']).next().unwrap_or_default())
                    .unwrap_or_default()
                    .to_owned();
                if host.is_empty() {
                    let span = self.place(&at("url"));
                    self.error(
                        "check::url",
                        span,
                        format!("`{}` is not the address of a page", c.url),
                        "for example http://www.example.com/",
                    );
                } else {
                    let to = self.target(&host, expect, &at("url"));
                    if from {
                        self.way(&c.from, to, expect, &at("url"));
                    }
                }
            }
            Kind::Mail(c) => {
                self.mailer(&c.from, &at("from"));
                if c.to.is_empty() {
                    self.never_fails(here, "it sends to nobody");
                }
                for (index, to) in c.to.iter().enumerate().filter(|(_, to)| !to.contains('@')) {
                    let index = index.to_string();
                    let mut path = at("to");
                    path.push(&index);
                    self.mailer(to, &path);
                }
                if let Some(server) = &c.server {
                    self.target(server, expect, &at("server"));
                }
            }
            Kind::Imap(c) => {
                for (index, device) in c.devices.iter().enumerate() {
                    let index = index.to_string();
                    let mut path = at("devices");
                    path.push(&index);
                    if index == "0" {
                        self.mailer(device, &path);
                    } else {
                        self.node_at(device, &path);
                    }
                }
                if c.devices.len() < 2 {
                    let span = self.place(&at("devices"));
                    self.error(
                        "check::count",
                        span,
                        "one mailbox on several devices needs two of them".to_owned(),
                        "devices: [pc0, phone]",
                    );
                }
                if !c.seen && !c.deleted && !c.folders {
                    self.never_fails(here, "it compares nothing");
                }
            }
            Kind::Pop3(c) => self.mailer(&c.node, &at("node")),
            Kind::Queue(c) => self.server(&c.node, "mail", &at("node")),
            Kind::Transcript(c) => {
                self.server(&c.node, "mail", &at("node"));
                if crate::read_check::service_of(&c.protocol) != Some("mail") {
                    let span = self.place(&at("protocol"));
                    self.error(
                        "check::unknown-service",
                        span,
                        format!("`{}` has no transcript", c.protocol),
                        "smtp, pop3 or imap",
                    );
                }
                if let Some(client) = &c.client {
                    self.node_at(client, &at("client"));
                }
                if c.contains.is_empty() && c.lacks.is_empty() {
                    self.never_fails(here, "it looks for nothing");
                }
            }
            Kind::Ports(c) => {
                if self.node_at(&c.node, &at("node")).is_some()
                    && let Some(network) = &c.network
                {
                    self.network_at(&c.node, network, &at("network"));
                }
                if c.seen.is_empty() && c.unseen.is_empty() {
                    self.never_fails(here, "it looks for no port");
                }
                for (field, list) in [("seen", &c.seen), ("unseen", &c.unseen)] {
                    for (index, port) in list.iter().enumerate() {
                        let good = port.split_once('/').is_some_and(|(p, n)| {
                            matches!(p, "tcp" | "udp") && n.parse::<u16>().is_ok_and(|n| n > 0)
                        });
                        if !good {
                            let index = index.to_string();
                            let mut path = at(field);
                            path.push(&index);
                            let span = self.place(&path);
                            self.error(
                                "check::port",
                                span,
                                format!("`{port}` is not a port"),
                                "write tcp/25 or udp/53",
                            );
                        }
                    }
                }
                let during: Vec<&str> = full.iter().copied().chain(["during"]).collect();
                self.kind(&c.during, &Expect::Pass, &during);
            }
            Kind::Exec(c) => {
                self.node_at(&c.node, &at("node"));
                let harmless =
                    matches!(c.command.first().map(String::as_str), Some("true" | "echo" | ":"));
                if c.command.is_empty()
                    || harmless && c.contains.is_empty() && c.lacks.is_empty() && c.code == 0
                {
                    self.never_fails(here, "the command always succeeds");
                }
            }
        }
    }

    fn pool_text(&mut self, text: Option<&str>, path: &[&str]) {
        let Some(text) = text else { return };
        let known = text.parse::<ipnet::Ipv4Net>().is_ok()
            || Range::parse(text).is_some()
            || self.facts.networks.contains_key(text);
        if !known {
            let span = self.place(path);
            self.error(
                "net::range",
                span,
                format!("`{text}` is no subnet and no range"),
                "for example 192.168.10.0/24 or 192.168.10.51-192.168.10.254",
            );
        }
    }

    fn address_texts(&mut self, texts: &[&String], path: &[&str]) {
        for (index, text) in texts.iter().enumerate() {
            if text.parse::<Ipv4Addr>().is_err() && !self.facts.nodes.contains_key(text.as_str()) {
                let index = index.to_string();
                let span = self.place(&[path, &[index.as_str()]].concat());
                self.error(
                    "net::address",
                    span,
                    format!("`{text}` is not an address"),
                    "for example 192.168.1.1",
                );
            }
        }
    }
}
