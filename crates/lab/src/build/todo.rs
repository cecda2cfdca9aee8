//! The student's work: from the parts that an author names to what a node lacks at the start.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;

use super::Builder;
use super::names::parse_record;
use crate::decode::suggestion;
use crate::diagnostic::{Problem, Span};
use crate::file::{Interface, Routing};
use crate::plan::{Address, Node};
use crate::todo::{Change, MAIL_FIELDS, Work};

/// Why a part or its start cannot be used: the code, a sentence, and what to do.
type Refused = (&'static str, String, String);

const PART: &str = "todo::part";
const START: &str = "todo::start";

/// The parts of a node.
const PARTS: &[&str] =
    &["interfaces", "gateway", "dns", "mail", "services", "routes", "routing", "ios"];

impl Builder<'_> {
    pub(super) fn todo(&mut self) {
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        // What is left of a router's commands after the entries so far.
        let mut ios: BTreeMap<String, String> = BTreeMap::new();
        let mut found = Vec::new();
        for (index, todo) in self.file.todo.iter().enumerate() {
            let index = index.to_string();
            let entry = ["todo", index.as_str()];
            let field = |name| match self.tree.at(&[entry[0], entry[1], name]) {
                Some(_) => self.tree.span_of(&[entry[0], entry[1], name]),
                None => self.tree.span_of(&entry),
            };
            let span = field("part");
            let part = todo.part.strip_prefix("nodes.").unwrap_or(&todo.part);
            if let Some(first) = seen.insert(part, span) {
                let problem = Problem::error(PART, span, format!("`{part}` is there twice"));
                self.problems.push(problem.help("leave one out").and(first, "first here"));
                continue;
            }
            match self.work(part, &todo.start, &mut ios) {
                Ok((node, change)) => found.push(Work {
                    part: part.to_owned(),
                    node,
                    change,
                    line: self.sources.line(span),
                }),
                Err((code, message, help)) => {
                    let span = if code == START { field("start") } else { span };
                    self.problems.push(Problem::error(code, span, message).help(help));
                }
            }
        }
        // A router's commands say its addresses anew, so they go before those.
        found.sort_by_key(|work| !matches!(work.change, Change::Router { .. }));
        self.plan.todo = found;
    }

    fn work(
        &self,
        part: &str,
        start: &[String],
        ios: &mut BTreeMap<String, String>,
    ) -> Result<(String, Change), Refused> {
        let (name, rest) = part.split_once('.').unwrap_or((part, ""));
        let Some(node) = self.plan.node(name) else {
            let known = self.plan.nodes.iter().map(|node| node.name.as_str());
            return Err(unknown(
                part,
                format!("there is no node `{name}`"),
                suggestion(name, known),
            ));
        };
        let (word, rest) = rest.split_once('.').unwrap_or((rest, ""));
        let lacks = |what: &str| {
            unknown(part, format!("{name} has no {what}"), "name a part that the lab has".into())
        };
        let change = match (word, rest) {
            ("interfaces", network) => {
                let Some(link) = node.link(network) else {
                    let known = node.links.iter().map(|link| link.network.as_str());
                    let what = format!("{name} has no interface on `{network}`");
                    return Err(unknown(part, what, suggestion(network, known)));
                };
                if link.address == Address::None {
                    return Err(lacks(&format!("address on {network}")));
                }
                let start = match at_most_one(start)? {
                    None | Some("none") => Address::None,
                    Some("dhcp") => Address::Dhcp,
                    Some(text) => Address::Static(self.address(text, network)?),
                };
                Change::Address { network: network.to_owned(), start }
            }
            ("gateway", "") if node.gateway.is_none() => return Err(lacks("gateway")),
            ("gateway", "") => Change::Gateway(one_address(start)?),
            ("dns", "") if node.dns.is_empty() => return Err(lacks("DNS server")),
            ("dns", "") => {
                Change::Dns(start.iter().map(|text| address(text)).collect::<Result<_, _>>()?)
            }
            ("mail", field) => {
                if node.mail.is_none() {
                    return Err(lacks("mail program"));
                }
                match field {
                    "" if start.is_empty() => Change::Mail,
                    "" => {
                        return Err((
                            START,
                            "a mail program has several settings".into(),
                            format!("name the one that is wrong: `{name}.mail.outgoing`"),
                        ));
                    }
                    field if MAIL_FIELDS.contains(&field) => Change::MailField {
                        field: field.to_owned(),
                        start: at_most_one(start)?.unwrap_or_default().to_owned(),
                    },
                    field => {
                        let what = format!("a mail program has no setting `{field}`");
                        return Err(unknown(
                            part,
                            what,
                            suggestion(field, MAIL_FIELDS.iter().copied()),
                        ));
                    }
                }
            }
            ("services", rest) => service(node, part, rest, start)?,
            ("routes", to) => self.routes_work(node, part, to, start)?,
            ("routing", "") => {
                none_given(start)?;
                let config = node.router.clone().filter(|_| node.routing != Some(Routing::Static));
                let config = config.and_then(|config| serde_json::from_value(config).ok());
                let Some(mut config) = config else {
                    return Err(lacks("routes that are worked out or learnt"));
                };
                let config: &mut ios::RouterConfig = &mut config;
                config.rip = None;
                Change::Router { config: json(config), routing: true }
            }
            ("ios", prefix) => self.ios_work(node, part, prefix, start, ios)?,
            (word, _) => {
                let what = match word {
                    "" => format!("`{part}` is a whole node"),
                    word => format!("`{word}` is no part that can be left to a student"),
                };
                return Err(unknown(part, what, suggestion(word, PARTS.iter().copied())));
            }
        };
        Ok((name.to_owned(), change))
    }

    /// An address with its prefix length, or the network's.
    fn address(&self, text: &str, network: &str) -> Result<Ipv4Net, Refused> {
        if text.contains('/') {
            return text.parse().map_err(|_| not_an_address(text));
        }
        let subnet = self.plan.network(network).map_or(24, |network| network.subnet.prefix_len());
        Ipv4Net::new(address(text)?, subnet).map_err(|_| not_an_address(text))
    }

    fn routes_work(
        &self,
        node: &Node,
        part: &str,
        to: &str,
        start: &[String],
    ) -> Result<Change, Refused> {
        let said = self.file.nodes.get(&node.name);
        let known: Vec<&str> = said.iter().flat_map(|said| said.routes.names()).collect();
        let lacks = |help: String| unknown(part, format!("{} has no such route", node.name), help);
        if to.is_empty() {
            none_given(start)?;
            if known.is_empty() {
                return Err(lacks("write the route under `routes:` of the node".into()));
            }
            return Ok(Change::Routes { to: None, start: None });
        }
        if !known.contains(&to) {
            return Err(lacks(suggestion(to, known)));
        }
        let subnet = match to {
            "default" => Some(Ipv4Net::default()),
            to => self.plan.network(to).map(|net| net.subnet).or_else(|| to.parse().ok()),
        };
        let subnet = subnet.ok_or_else(|| lacks("see `net::route`".into()))?;
        Ok(Change::Routes { to: Some(subnet.trunc()), start: one_address(start)? })
    }

    fn ios_work(
        &self,
        node: &Node,
        part: &str,
        prefix: &str,
        start: &[String],
        left: &mut BTreeMap<String, String>,
    ) -> Result<Change, Refused> {
        let said = self.file.nodes.get(&node.name);
        let Some(text) = said.and_then(|said| said.ios.clone()) else {
            let what = format!("{} has no `ios:` block", node.name);
            return Err(unknown(part, what, "its interfaces and routes are parts as well".into()));
        };
        let text = left.get(&node.name).cloned().unwrap_or(text);
        let Some(text) = without(&text, prefix, start) else {
            let known: Vec<&str> =
                text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let what = format!("no command of {} begins with `{prefix}`", node.name);
            return Err(unknown(part, what, suggestion(prefix, known)));
        };
        let links: Vec<String> = node.links.iter().map(|link| link.name.clone()).collect();
        let config = crate::router::parse(&text, &links).map_err(|wrong| {
            let why = wrong.into_iter().next().map(|wrong| wrong.message).unwrap_or_default();
            let code = if start.is_empty() { PART } else { START };
            let help = "indent what stands under a command such as `ip dhcp pool LAN` by a blank";
            (code, format!("what is left of the commands cannot be read: {why}"), help.to_owned())
        })?;
        left.insert(node.name.clone(), text);
        let had_rip = self.ios.get(&node.name).is_some_and(|config| config.rip.is_some());
        // Only what the lab says outside of the block may be filled in.
        let mut bare = node.clone();
        let typed = |network: &str| {
            said.and_then(|said| said.interfaces.get(network)) == Some(&Interface::None)
        };
        for link in bare.links.iter_mut().filter(|link| typed(&link.network)) {
            link.address = Address::None;
        }
        let routing = had_rip && config.rip.is_none();
        if routing {
            bare.routing = Some(Routing::Static);
        }
        let config = crate::router::complete(Some(config), &bare);
        Ok(Change::Router { config: json(&config), routing })
    }
}

fn service(node: &Node, part: &str, rest: &str, start: &[String]) -> Result<Change, Refused> {
    let (service, rest) = rest.split_once('.').unwrap_or((rest, ""));
    let services = &node.services;
    let have = [
        ("dhcp", services.dhcp.as_ref().is_some_and(|own| own.pools.iter().any(|pool| !pool.ios))),
        ("dns", services.dns.is_some()),
        ("mail", services.mail.is_some()),
        ("web", services.web.is_some()),
    ];
    let known = have.iter().filter(|(_, have)| *have).map(|(name, _)| *name);
    if !known.clone().any(|name| name == service) {
        let what = format!("{} has no service `{service}`", node.name);
        return Err(unknown(part, what, suggestion(service, known)));
    }
    match (service, rest) {
        (service, "") => {
            none_given(start)?;
            Ok(Change::Service(service.to_owned()))
        }
        ("dns", "records") => {
            none_given(start)?;
            Ok(Change::Records { only: None, start: Vec::new() })
        }
        ("dns", rest) if rest.starts_with("records.") => {
            records(node, part, rest.trim_start_matches("records."), start)
        }
        ("mail", rest) if rest.starts_with("accounts.") => {
            let user = rest.trim_start_matches("accounts.");
            let accounts = services.mail.iter().flat_map(|mail| mail.settings.accounts.names());
            let accounts: Vec<&str> = accounts.collect();
            if !accounts.contains(&user) {
                let what = format!("{} has no account `{user}`", node.name);
                return Err(unknown(part, what, suggestion(user, accounts)));
            }
            let start = at_most_one(start)?.map(str::to_owned);
            Ok(Change::Account { user: user.to_owned(), start })
        }
        ("mail", word) => {
            let protocols = services.mail.iter().flat_map(|mail| &mail.protocols);
            let known: Vec<&str> = protocols.map(|own| own.protocol.word()).collect();
            if !known.contains(&word) {
                let what = format!("a mail server has no part `{word}` for a student");
                let known = known.into_iter().chain(["accounts.USER"]);
                return Err(unknown(part, what, suggestion(word, known)));
            }
            none_given(start)?;
            Ok(Change::Protocol(word.to_owned()))
        }
        (service, rest) => {
            let known: &[&str] = if service == "dns" { &["records"] } else { &[] };
            let what = format!("`{rest}` of the service {service} cannot be left to a student");
            let help = match known {
                [] => format!("the whole service can: `{}.services.{service}`", node.name),
                known => suggestion(rest, known.iter().copied()),
            };
            Err(unknown(part, what, help))
        }
    }
}

fn records(node: &Node, part: &str, text: &str, start: &[String]) -> Result<Change, Refused> {
    let (name, kind) = match text.split_once(' ') {
        Some((name, kind)) => (name, Some(kind.trim().to_ascii_uppercase())),
        None => (text, None),
    };
    let name = format!("{}.", name.trim_end_matches('.').to_ascii_lowercase());
    let zones = node.services.dns.iter().flat_map(|dns| &dns.zones);
    let all: Vec<_> = zones.flat_map(|zone| &zone.records).filter(|r| r.r#type != "SOA").collect();
    let fits = |record: &&&crate::plan::Record| {
        record.name.eq_ignore_ascii_case(&name)
            && kind.as_ref().is_none_or(|kind| record.r#type == *kind)
    };
    if !all.iter().any(|record| fits(&record)) {
        let known: Vec<String> =
            all.iter().map(|record| format!("{} {}", record.name, record.r#type)).collect();
        let what = format!("{} has no record `{text}`", node.name);
        return Err(unknown(part, what, suggestion(text, known.iter().map(String::as_str))));
    }
    let mut data = Vec::new();
    for wrong in start {
        let Some(kind) = &kind else {
            let help = format!("name the type as well: `records.{name} A`");
            return Err((START, "a record at the start needs a type".into(), help));
        };
        let record = parse_record(&format!("{name} {kind} {wrong}"), None)
            .map_err(|why| (START, why, "give the data only, such as 192.168.1.9".to_owned()))?;
        data.push(record.data);
    }
    Ok(Change::Records { only: Some((name, kind)), start: data })
}

/// The lines without those that begin with `prefix`, and what is indented below them; `start`
/// stands in their place. `None` where no line begins so.
fn without(text: &str, prefix: &str, start: &[String]) -> Option<String> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let begins = |line: &str| {
        let line = line.trim();
        let rest = line.strip_prefix(prefix.trim());
        !line.is_empty()
            && rest
                .is_some_and(|rest| rest.is_empty() || prefix.is_empty() || rest.starts_with(' '))
    };
    let mut out: Vec<String> = Vec::new();
    let mut found = false;
    let mut under: Option<usize> = None;
    for line in text.lines() {
        if under.is_some_and(|deep| line.trim().is_empty() || depth(line) > deep) {
            continue;
        }
        under = begins(line).then(|| depth(line));
        if under.is_none() {
            out.push(line.to_owned());
        } else if !found {
            found = true;
            let indent = " ".repeat(depth(line));
            out.extend(
                start.iter().flat_map(|text| text.lines()).map(|line| format!("{indent}{line}")),
            );
        }
    }
    found.then(|| out.join("\n"))
}

fn json(config: &ios::RouterConfig) -> serde_json::Value {
    serde_json::to_value(config).unwrap_or_default()
}

fn unknown(part: &str, what: String, help: String) -> Refused {
    let what = if what.contains(part) { what } else { format!("`{part}` is not there: {what}") };
    (PART, what, help)
}

fn none_given(start: &[String]) -> Result<(), Refused> {
    match start {
        [] => Ok(()),
        _ => Err((
            START,
            "this part is only absent, or off, at the start".into(),
            "leave `start:` out".into(),
        )),
    }
}

fn at_most_one(start: &[String]) -> Result<Option<&str>, Refused> {
    match start {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err((START, "this part has one value".into(), "give one".into())),
    }
}

fn one_address(start: &[String]) -> Result<Option<std::net::Ipv4Addr>, Refused> {
    at_most_one(start)?.map(address).transpose()
}

fn address(text: &str) -> Result<std::net::Ipv4Addr, Refused> {
    text.parse().map_err(|_| not_an_address(text))
}

fn not_an_address(text: &str) -> Refused {
    (START, format!("`{text}` is not an address"), "for example 192.168.1.9".into())
}
