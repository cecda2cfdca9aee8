//! Mail: domains, accounts, programs.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::Lint;
use crate::decode::suggestion;
use crate::diagnostic::{Problem, Span};

impl Lint<'_> {
    /// A smarthost whose name nobody knows.
    fn smarthosts(&mut self) {
        let foreign = self.plan.nodes.iter().any(|node| node.image.is_some());
        for node in &self.plan.nodes {
            let relay = node.services.mail.as_ref().and_then(|mail| mail.settings.relay.as_ref());
            let Some(host) = relay.and_then(|relay| relay.smarthost.as_ref()).map(|s| &s.host)
            else {
                continue;
            };
            let known = host.parse::<Ipv4Addr>().is_ok()
                || node.hosts.iter().any(|(name, _)| name == host)
                || !self.facts.addresses(host).is_empty();
            if !known && !foreign {
                let path = ["nodes", &node.name, "services", "mail", "relay", "smarthost"];
                let long = [&path[..], &["host"]].concat();
                let span = self.place(if self.tree.at(&long).is_some() { &long } else { &path });
                self.warn(
                    "mail::smarthost",
                    span,
                    format!("the smarthost {host} has no address in the lab"),
                    "add an A record for it, or write the server's address",
                );
            }
        }
    }

    pub(super) fn mail(&mut self) {
        self.smarthosts();
        let mut domains: HashMap<String, &str> = HashMap::new();
        let mut accounts: HashMap<String, Span> = HashMap::new();
        for (node, said) in self.plan.nodes.iter().zip(self.file.nodes.values()) {
            let Some(mail) = &said.services.mail else { continue };
            let name = node.name.as_str();
            let base = ["nodes", name, "services", "mail"];
            let own: Vec<String> = mail
                .domain
                .iter()
                .chain(&mail.domains)
                .flat_map(|d| std::iter::once(&d.name).chain(&d.aliases))
                .map(|d| d.to_ascii_lowercase())
                .collect();
            if own.is_empty() {
                let span = self.key(&base);
                self.error(
                    "mail::no-domain",
                    span,
                    format!("the mail server {name} has no domain"),
                    "add `domain: example.com`",
                );
                continue;
            }
            for domain in &own {
                if domain.split('.').any(|label| !super::is_host_name(label)) {
                    let span = self.place(&[&base[..], &["domain"]].concat());
                    self.error(
                        "mail::domain",
                        span,
                        format!("`{domain}` is not a domain"),
                        "for example mail.com",
                    );
                }
                if let Some(other) = domains.insert(domain.clone(), name)
                    && other != name
                {
                    let span = self.place(&[&base[..], &["domain"]].concat());
                    self.warn("mail::two-servers", span, format!("{other} and {name} both serve {domain}"), "each message reaches only one of them; keep one, or give the MX records different preferences on purpose");
                }
            }
            for (user, account) in mail.accounts.iter() {
                let path = [&base[..], &["accounts", user]].concat();
                let span = self.key(&path);
                let (local, domain) = user.split_once('@').unwrap_or((user, &own[0]));
                if local.is_empty()
                    || local.len() > 64
                    || local
                        .chars()
                        .any(|c| c.is_whitespace() || c.is_control() || "()<>[]:;,\\\"".contains(c))
                {
                    self.error(
                        "mail::user",
                        span,
                        format!("`{user}` cannot be a mail user"),
                        "a name such as client1, or a whole address",
                    );
                }
                if !own.contains(&domain.to_ascii_lowercase()) {
                    self.error(
                        "mail::unknown-domain",
                        span,
                        format!("{name} does not serve the domain {domain}"),
                        suggestion(domain, own.iter().map(String::as_str)),
                    );
                }
                let address =
                    format!("{}@{}", local.to_ascii_lowercase(), domain.to_ascii_lowercase());
                if let Some(first) = accounts.insert(format!("{name} {address}"), span) {
                    self.problems.push(
                        Problem::error(
                            "mail::duplicate-account",
                            span,
                            format!("the account {address} is there twice"),
                        )
                        .help("keep one of the two")
                        .and(first, "first here"),
                    );
                }
                if account.password.is_none() && account.forward.is_empty() {
                    self.warn(
                        "mail::no-password",
                        span,
                        format!("nobody can log in as {user}: the account has no password"),
                        "add `password:`",
                    );
                }
            }
            let known = |target: &str| {
                let address = match target.split_once('@') {
                    Some((local, domain)) if own.contains(&domain.to_ascii_lowercase()) => {
                        format!("{local}@{}", domain.to_ascii_lowercase())
                    }
                    Some(_) => return true,
                    None => format!("{target}@{}", own[0]),
                };
                let local = address.split('@').next().unwrap_or_default();
                accounts.contains_key(&format!("{name} {}", address.to_ascii_lowercase()))
                    || mail
                        .aliases
                        .names()
                        .chain(mail.lists.names())
                        .any(|n| n == address || n == local)
            };
            let mut lost: Vec<(Vec<&str>, String)> = Vec::new();
            for (alias, targets) in mail.aliases.iter() {
                lost.extend(
                    targets
                        .iter()
                        .filter(|t| !known(t))
                        .map(|t| (vec!["aliases", alias], t.clone())),
                );
            }
            for (list, form) in mail.lists.iter() {
                lost.extend(
                    form.members
                        .iter()
                        .filter(|t| !known(t))
                        .map(|t| (vec!["lists", list], t.clone())),
                );
            }
            for (user, account) in mail.accounts.iter() {
                lost.extend(
                    account
                        .forward
                        .iter()
                        .filter(|t| !known(t))
                        .map(|t| (vec!["accounts", user, "forward"], t.clone())),
                );
            }
            for (path, target) in lost {
                let span = self.key(&[&base[..], &path].concat());
                self.warn(
                    "mail::unknown-user",
                    span,
                    format!("{name} has no user `{target}`"),
                    suggestion(&target, mail.accounts.names()),
                );
            }
            let networks = mail.relay.iter().flat_map(|r| r.networks.iter().enumerate());
            for (index, network) in networks {
                let good = self.facts.networks.contains_key(network.as_str())
                    || network.parse::<ipnet::Ipv4Net>().is_ok();
                if !good {
                    let index = index.to_string();
                    let span = self.place(&[&base[..], &["relay", "networks", &index]].concat());
                    self.error(
                        "net::unknown-network",
                        span,
                        format!("`{network}` is not a network or subnet"),
                        suggestion(network, self.facts.networks.keys().copied()),
                    );
                }
            }
        }
        self.programs(&domains);
    }

    /// The settings of mail programs.
    fn programs(&mut self, domains: &HashMap<String, &str>) {
        for (node, said) in self.plan.nodes.iter().zip(self.file.nodes.values()) {
            let (Some(mail), Some(said)) = (&node.mail, &said.mail) else { continue };
            let base = ["nodes", node.name.as_str(), "mail"];
            let place = |lint: &Self, field: &str| {
                let span = lint.place(&[&base[..], &[field]].concat());
                if lint.tree.at(&[&base[..], &[field]].concat()).is_some() {
                    span
                } else {
                    lint.place(&[&base[..], &["address"]].concat())
                }
            };
            let address = mail.address.to_ascii_lowercase();
            let Some((local, domain)) =
                address.split_once('@').filter(|(l, d)| !l.is_empty() && !d.is_empty())
            else {
                let span = place(self, "address");
                self.error(
                    "mail::address",
                    span,
                    format!("`{}` is not a mail address", mail.address),
                    "for example client1@mail.com",
                );
                continue;
            };
            let foreign = self.plan.nodes.iter().any(|n| n.image.is_some());
            match domains.get(domain) {
                None if !foreign => {
                    let span = place(self, "address");
                    self.warn(
                        "mail::domain-unserved",
                        span,
                        format!("no mail server of the lab serves {domain}"),
                        suggestion(domain, domains.keys().map(String::as_str)),
                    );
                }
                Some(server) => {
                    let account =
                        self.plan.accounts.iter().find(|a| {
                            a.node == *server && a.address.eq_ignore_ascii_case(&address)
                        });
                    match account {
                        None => {
                            let span = place(self, "address");
                            let users: Vec<&str> = self
                                .plan
                                .accounts
                                .iter()
                                .filter(|a| a.node == *server)
                                .map(|a| a.user.as_str())
                                .collect();
                            self.warn(
                                "mail::no-account",
                                span,
                                format!("{server} has no account {local}@{domain}"),
                                suggestion(local, users),
                            );
                        }
                        Some(account)
                            if said
                                .password
                                .as_ref()
                                .is_some_and(|password| *password != account.password) =>
                        {
                            let span = place(self, "password");
                            self.warn(
                                "mail::password-differs",
                                span,
                                format!(
                                    "the password of {local}@{domain} is another one on {server}"
                                ),
                                "leave it out to take the account's",
                            );
                        }
                        Some(_) => {}
                    }
                }
                None => {}
            }
            for (field, server) in [("outgoing", &mail.outgoing), ("incoming", &mail.incoming)] {
                let span = place(self, field);
                let addresses: Vec<Ipv4Addr> = match server.parse::<Ipv4Addr>() {
                    Ok(address) => vec![address],
                    Err(_) => {
                        let hosts =
                            node.hosts.iter().filter(|(name, _)| name == server).map(|(_, a)| *a);
                        let found: Vec<_> = hosts.chain(self.facts.addresses(server)).collect();
                        if found.is_empty() && !foreign {
                            self.warn(
                                "mail::server-name",
                                span,
                                format!("the {field} server {server} has no address in the lab"),
                                "add an A record for it, or write the server's address",
                            );
                        }
                        found
                    }
                };
                let Some(first) = addresses.first() else { continue };
                match self.facts.owner(*first) {
                    None if !foreign => self.warn(
                        "mail::server",
                        span,
                        format!("nobody has the address {first} of the {field} server"),
                        "name the mail server's address or name",
                    ),
                    Some(owner) if owner.services.mail.is_none() && owner.image.is_none() => {
                        let message = format!(
                            "the {field} server {server} is {}, which is no mail server",
                            owner.name
                        );
                        self.warn(
                            "mail::server",
                            span,
                            message,
                            "name the mail server's address or name",
                        );
                    }
                    _ => {}
                }
            }
        }
    }
}
