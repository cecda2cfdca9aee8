//! What is wrong with a check, kind by kind.

use std::net::Ipv4Addr;

use super::Lint;
use crate::check::{Expect, Kind};
use crate::decode::suggestion;
use crate::file::Range;
use crate::plan::Address;

impl Lint<'_> {
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
                    self.resolver(&c.from, &c.to, expect, &at("from"));
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
                    self.resolver(&c.from, &c.to, expect, &at("from"));
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
                    None => self.resolver(&c.from, &c.name, expect, &at("from")),
                }
            }
            Kind::Port(c) => {
                if self.node_at(&c.from, &at("from")).is_some() {
                    let to = self.target(&c.to, expect, &at("to"));
                    self.way(&c.from, to, expect, &at("to"));
                    self.resolver(&c.from, &c.to, expect, &at("from"));
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
                        self.resolver(&c.from, &host, expect, &at("from"));
                    }
                }
            }
            Kind::Mail(c) => {
                self.mailer(&c.from, &at("from"));
                if let Some(client) = self.facts.node(&c.from).and_then(|n| n.mail.as_ref()) {
                    let server = c.server.clone().unwrap_or_else(|| client.outgoing.clone());
                    self.resolver(&c.from, &server, expect, &at("from"));
                }
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
                if crate::check::service_of(&c.protocol) != Some("mail") {
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
