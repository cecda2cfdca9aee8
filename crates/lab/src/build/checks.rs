//! The author's checks, scenarios and wrong variants; the obvious checks where there are none.

use super::Builder;
use crate::check::{self, Action, Check, Expect, Kind, Plug, Step};
use crate::decode::{List, Map};
use crate::file::NodeKind;
use crate::plan::Address;
use crate::units::Seconds;

/// How long derived checks try: services are ready before checks start, routing protocols may not be.
const PATIENCE: Seconds = Seconds(10.0);

impl Builder<'_> {
    pub(super) fn checks(&mut self) {
        let mut checks = match &self.file.checks {
            Some(list) => list.to_vec(),
            None => self.obvious(),
        };
        // Names that labctl made must not collide; the author's own are a diagnostic.
        let mut seen = std::collections::HashMap::new();
        for check in checks.iter_mut().filter(|c| c.derived) {
            let count = seen.entry(check.name.clone()).or_insert(0u32);
            *count += 1;
            if *count > 1 {
                check.name = format!("{} ({count})", check.name);
            }
        }
        self.plan.checks = checks;
        let mut scenarios = self.file.scenarios.to_vec();
        let mut wrong = self.file.wrong.to_vec();
        for step in scenarios.iter_mut().flat_map(|s| &mut s.steps) {
            self.complete_step(step);
        }
        for step in wrong.iter_mut().flat_map(|w| &mut w.actions) {
            self.complete_step(step);
        }
        self.plan.scenarios = scenarios;
        self.plan.wrong = wrong;
    }

    /// Fills in what a short form leaves out: the only link of a node, its only service.
    fn complete_step(&self, step: &mut Step) {
        let plug = |plug: &mut Plug| {
            if plug.network.is_empty()
                && let Some(link) = self.plan.node(&plug.node).and_then(|n| n.links.first())
            {
                plug.network.clone_from(&link.network);
            }
        };
        match &mut step.action {
            Action::Off(service) | Action::On(service) if service.service.is_empty() => {
                if let Some(node) = self.plan.node(&service.node) {
                    let services = &node.services;
                    let has = [
                        ("mail", services.mail.is_some()),
                        ("dns", services.dns.is_some()),
                        ("dhcp", services.dhcp.is_some()),
                        ("web", services.web.is_some()),
                    ];
                    if let Some((name, _)) = has.iter().find(|(_, has)| *has) {
                        service.service = (*name).to_owned();
                    }
                }
            }
            Action::Down(p) | Action::Up(p) => plug(p),
            Action::Impair(impair) => plug(&mut impair.link),
            Action::Address(set) => plug(&mut set.link),
            _ => {}
        }
    }

    fn obvious(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let mut add = |group: &str, kind: Kind| {
            checks.push(Check {
                name: crate::check::title(&kind),
                points: 1.0,
                group: Some(group.to_owned()),
                needs: List::default(),
                within: Some(PATIENCE),
                hint: None,
                expect: Expect::Pass,
                derived: true,
                line: 0,
                kind,
            });
        };
        let nodes = &self.plan.nodes;
        for node in nodes.iter().filter(|n| !n.links.is_empty()) {
            add(
                "links",
                Kind::Link(check::Link { node: node.name.clone(), network: None, up: true }),
            );
        }
        for node in nodes {
            for link in node.links.iter().filter(|l| l.address == Address::Dhcp) {
                add(
                    "leases",
                    Kind::Lease(check::Lease {
                        node: node.name.clone(),
                        network: Some(link.network.clone()),
                        from: None,
                        pool: None,
                        router: None,
                        dns: List::default(),
                        domain: None,
                        seconds: None,
                        options: Map::default(),
                    }),
                );
            }
        }
        let usable = |n: &&crate::plan::Node| n.address().is_some() || n.uses_dhcp();
        let clients: Vec<_> =
            nodes.iter().filter(|n| n.kind == NodeKind::Pc).filter(usable).collect();
        let first = clients.first().copied().or_else(|| nodes.iter().find(usable));
        if let Some(first) = first {
            for node in nodes.iter().filter(|n| n.name != first.name && n.address().is_some()) {
                add(
                    "reachability",
                    Kind::Ping(check::Ping {
                        from: first.name.clone(),
                        to: node.name.clone(),
                        count: 1,
                        size: None,
                    }),
                );
            }
        }
        let asker = clients.iter().find(|n| !n.dns.is_empty() || n.uses_dhcp()).copied();
        if let Some(asker) = asker {
            let mut sets: Vec<(String, String, Vec<String>, Option<String>)> = Vec::new();
            // The asker's own server answers what it has, or asks others; else the one that has it.
            let resolver = nodes.iter().find(|n| {
                n.services.dns.is_some() && n.addresses().any(|net| asker.dns.contains(&net.addr()))
            });
            let asks = resolver
                .and_then(|n| n.services.dns.as_ref())
                .is_none_or(|dns| !dns.forward.is_empty() || !dns.root_hints.is_empty());
            for (owner, dns) in nodes.iter().filter_map(|n| Some((n, n.services.dns.as_ref()?))) {
                let here = asks || resolver.is_some_and(|resolver| resolver.name == owner.name);
                let server = (!here).then(|| owner.name.clone());
                for record in
                    dns.zones.iter().filter(|z| z.primaries.is_empty()).flat_map(|z| &z.records)
                {
                    if record.derived
                        || record.name.contains('*')
                        || !matches!(record.r#type.as_str(), "A" | "MX" | "CNAME" | "PTR" | "TXT")
                    {
                        continue;
                    }
                    match sets
                        .iter_mut()
                        .find(|(name, kind, ..)| *name == record.name && *kind == record.r#type)
                    {
                        Some((_, _, data, _)) if !data.contains(&record.data) => {
                            data.push(record.data.clone())
                        }
                        Some(_) => {}
                        None => sets.push((
                            record.name.clone(),
                            record.r#type.clone(),
                            vec![record.data.clone()],
                            server.clone(),
                        )),
                    }
                }
            }
            for (name, kind, data, server) in sets {
                add(
                    "names",
                    Kind::Dns(check::Dns {
                        from: asker.name.clone(),
                        name: name.trim_end_matches('.').to_owned(),
                        r#type: kind,
                        server,
                        answer: data.into(),
                        authoritative: None,
                        status: check::DnsStatus::Noerror,
                        transport: check::Transport::Udp,
                    }),
                );
            }
        }
        let mailers: Vec<&str> =
            nodes.iter().filter(|n| n.mail.is_some()).map(|n| n.name.as_str()).collect();
        // Every pair of a few; of many, each one sends to the next.
        let pairs: Vec<(&str, &str)> = if mailers.len() <= 4 {
            mailers
                .iter()
                .flat_map(|a| mailers.iter().filter(move |b| *b != a).map(move |b| (*a, *b)))
                .collect()
        } else {
            mailers.iter().zip(mailers.iter().cycle().skip(1)).map(|(a, b)| (*a, *b)).collect()
        };
        for (from, to) in pairs {
            add(
                "mail",
                Kind::Mail(check::Mail {
                    from: from.to_owned(),
                    to: vec![to.to_owned()].into(),
                    fetch: None,
                    reply: false,
                    port: None,
                    security: None,
                    login: None,
                    password: None,
                    sender: None,
                    server: None,
                    attachment: None,
                    subject: None,
                    body: None,
                    contains: List::default(),
                }),
            );
        }
        if let Some(first) = first {
            for node in nodes {
                for site in node.services.web.iter().flat_map(|web| &web.sites) {
                    let host = match (site.names.first(), node.address()) {
                        (Some(name), _) => name.clone(),
                        (None, Some(address)) => address.to_string(),
                        (None, None) => continue,
                    };
                    let from = asker.unwrap_or(first);
                    if from.name != node.name {
                        add(
                            "web",
                            Kind::Http(check::Http {
                                from: from.name.clone(),
                                url: format!("http://{host}/"),
                                status: 200,
                                contains: List::default(),
                                headers: Map::default(),
                                verify: true,
                            }),
                        );
                    }
                }
            }
        }
        checks
    }
}
