//! Scenarios and wrong variants.

use std::collections::{BTreeSet, HashMap};

use super::Lint;
use crate::build::names::parse_record;
use crate::check::{Action, Plug, Service, Step, Tried};
use crate::decode::suggestion;
use crate::diagnostic::{Problem, Span};

impl Lint<'_> {
    pub(super) fn scenarios(&mut self) {
        let mut names: HashMap<&str, Span> = HashMap::new();
        // The plan has the same steps with short forms completed.
        for (index, scenario) in self.plan.scenarios.iter().enumerate() {
            let index = index.to_string();
            let span = self.place(&["scenarios", &index, "name"]);
            if let Some(first) = names.insert(&scenario.name, span) {
                self.problems.push(
                    Problem::error(
                        "check::duplicate-name",
                        span,
                        format!("two scenarios are called `{}`", scenario.name),
                    )
                    .help("give each scenario its own name")
                    .and(first, "first here"),
                );
            }
            for (at, step) in scenario.steps.iter().enumerate() {
                self.step(step, &["scenarios", &index, "steps", &at.to_string()]);
            }
            let tries = |step: &Step| matches!(step.action, Action::Check(_) | Action::Until(_));
            if !scenario.steps.iter().any(tries) {
                self.error(
                    "check::never-fails",
                    span,
                    "this scenario cannot fail: it has no check".to_owned(),
                    "add a `check:` step",
                );
            }
        }
        let checks: BTreeSet<&str> = self.plan.checks.iter().map(|c| c.name.as_str()).collect();
        for (index, wrong) in self.plan.wrong.iter().enumerate() {
            let index = index.to_string();
            for (at, step) in wrong.actions.iter().enumerate() {
                self.step(step, &["wrong", &index, "do", &at.to_string()]);
            }
            for (at, name) in wrong.fails.iter().enumerate() {
                if !checks.contains(name.as_str()) {
                    let span = self.place(&["wrong", &index, "fails", &at.to_string()]);
                    self.error(
                        "check::unknown-need",
                        span,
                        format!("there is no check `{name}`"),
                        suggestion(name, checks.iter().copied()),
                    );
                }
            }
        }
    }

    fn step(&mut self, step: &Step, path: &[&str]) {
        let under = |field: &'static str, more: &[&'static str]| -> Vec<&str> {
            path.iter().copied().chain([field]).chain(more.iter().copied()).collect()
        };
        match &step.action {
            Action::Off(service) => self.service(service, &under("off", &[])),
            Action::On(service) => self.service(service, &under("on", &[])),
            Action::Down(plug) => self.plug(plug, &under("down", &[])),
            Action::Up(plug) => self.plug(plug, &under("up", &[])),
            Action::Stop(node) => drop(self.node_at(node, &under("stop", &[])).is_some()),
            Action::Start(node) => drop(self.node_at(node, &under("start", &[])).is_some()),
            Action::Restart(node) => drop(self.node_at(node, &under("restart", &[])).is_some()),
            Action::Impair(impair) => self.plug(&impair.link, &under("impair", &["link"])),
            Action::AddUser(user) => self.has(&user.node, "mail", &under("add_user", &["node"])),
            Action::RemoveUser(user) => {
                self.has(&user.node, "mail", &under("remove_user", &["node"]))
            }
            Action::Record(record) => {
                self.has(&record.node, "dns", &under("record", &["node"]));
                for line in &record.add {
                    if let Err(why) = parse_record(line, None) {
                        let span = self.place(&under("record", &["add"]));
                        self.error(
                            "dns::record",
                            span,
                            why,
                            "as in a zone file: `mail.com. A 192.168.1.2`",
                        );
                    }
                }
            }
            Action::Address(set) => self.plug(&set.link, &under("address", &["link"])),
            Action::Ios(lines) => {
                let router = self
                    .node_at(&lines.node, &under("ios", &["node"]))
                    .map(crate::plan::Node::is_router);
                if router == Some(false) {
                    let span = self.place(&under("ios", &["node"]));
                    self.error(
                        "net::not-a-router",
                        span,
                        format!("{} has no console: it is no router", lines.node),
                        "name a router",
                    );
                }
            }
            Action::Check(tried) | Action::Until(tried) => {
                let word = if matches!(step.action, Action::Check(_)) { "check" } else { "until" };
                match &**tried {
                    Tried::Kind(kind) => self.kind(kind, &step.expect, &under(word, &[])),
                    Tried::Named(name) => {
                        let names: Vec<&str> =
                            self.plan.checks.iter().map(|c| c.name.as_str()).collect();
                        if !names.contains(&name.as_str()) {
                            let span = self.place(&under(word, &[]));
                            self.error(
                                "check::unknown-need",
                                span,
                                format!("there is no check `{name}`"),
                                suggestion(name, names),
                            );
                        }
                    }
                }
            }
        }
    }

    fn has(&mut self, name: &str, service: &str, path: &[&str]) {
        let there = self.node_at(name, path).map(|node| match service {
            "mail" => node.services.mail.is_some(),
            "dns" => node.services.dns.is_some(),
            "dhcp" => node.services.dhcp.is_some(),
            "web" => node.services.web.is_some(),
            _ => false,
        });
        if there == Some(false) {
            let span = self.place(path);
            let what = if service.is_empty() {
                "service at all".to_owned()
            } else {
                format!("{service} service")
            };
            self.error(
                "check::no-service",
                span,
                format!("{name} has no {what}"),
                format!("add it under `services:` of {name}, or name another node"),
            );
        }
    }

    fn service(&mut self, service: &Service, path: &[&str]) {
        self.has(&service.node, &service.service, path);
        if let Some(protocol) = &service.protocol {
            let of = crate::check::service_of(protocol);
            if of != Some(service.service.as_str()) {
                let span = self.place(path);
                let known = crate::check::SERVICE_WORDS.iter().copied();
                self.error(
                    "check::unknown-service",
                    span,
                    format!("`{protocol}` is no protocol of {}", service.service),
                    suggestion(protocol, known),
                );
            }
        }
    }

    fn plug(&mut self, plug: &Plug, path: &[&str]) {
        if self.node_at(&plug.node, path).is_some() {
            self.network_at(&plug.node, &plug.network, path);
        }
    }
}
