//! Checks: what they name exists, they can fail, and their ends can reach each other.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use super::Lint;
use crate::check::Expect;
use crate::decode::suggestion;
use crate::diagnostic::{Problem, Span};
use crate::plan::Node;

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
    pub(super) fn target(&mut self, to: &str, expect: &Expect, path: &[&str]) -> Option<Ipv4Addr> {
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

    pub(super) fn way(&mut self, from: &str, to: Option<Ipv4Addr>, expect: &Expect, path: &[&str]) {
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
        if !self.facts.translates
            && let (Some(owner), Some(own)) = (self.facts.owner(to), node.address())
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

    /// A name is looked up by a node that has nobody to ask.
    pub(super) fn resolver(&mut self, from: &str, name: &str, expect: &Expect, path: &[&str]) {
        let Some(node) = self.facts.node(from) else { return };
        let looked_up = self.facts.node(name).is_none() && name.parse::<Ipv4Addr>().is_err();
        if !looked_up || !expect.is_pass() || self.facts.resolves(node, name) {
            return;
        }
        let span = self.place(path);
        let (what, help) = if node.uses_dhcp() {
            ("its lease brings no DNS server", "give the pool `dns:`")
        } else {
            ("it has no DNS server", "give it `dns:`, or name the check's `server:`")
        };
        self.warn(
            "check::no-resolver",
            span,
            format!("{from} looks up {name}, and {what}, so this cannot pass"),
            help,
        );
    }

    pub(super) fn never_fails(&mut self, span: Span, why: &str) {
        self.error(
            "check::never-fails",
            span,
            format!("this check cannot fail: {why}"),
            "say what must hold",
        );
    }

    pub(super) fn mailer(&mut self, name: &str, path: &[&str]) {
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

    pub(super) fn server(&mut self, name: &str, service: &str, path: &[&str]) {
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
}
