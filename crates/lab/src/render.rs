//! From the plan to what each node is told: its configuration with every file in it.
//!
//! Files are made by minijinja from `templates/`; a lab may bring its own for any of them
//! (`templates: { zone: ./my.zone.j2 }`). Same plan and secrets, same bytes.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use node::config::{Address, Config, Kind, Link, Port, Resolver, Route, Service, Transport};
use node::paths;
use serde_json::{Value, json};

use crate::file::NodeKind;
use crate::plan::{self, Node, Plan};
use crate::secrets::Secrets;

/// Why a node's files could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such node.
    #[error("the lab has no node `{0}`; `labctl plan` lists them")]
    NoNode(String),
    /// A template is wrong.
    #[error(
        "{node}: the template `{template}` cannot be used: {error}; the lab's `templates:` names its own"
    )]
    Template {
        /// For which node.
        node: String,
        /// Which template.
        template: String,
        /// Where and why.
        error: String,
    },
}

/// labctl's own templates by name.
pub const TEMPLATES: &[(&str, &str)] = &[
    ("zone", include_str!("../../../templates/zone.j2")),
    ("dnsd", include_str!("../../../templates/dnsd.yaml.j2")),
    ("dhcpd", include_str!("../../../templates/dhcpd.yaml.j2")),
    ("mailsrv", include_str!("../../../templates/mailsrv.yaml.j2")),
    ("webd", include_str!("../../../templates/webd.yaml.j2")),
    ("index", include_str!("../../../templates/index.html.j2")),
];

/// The configuration of one node.
///
/// # Errors
/// Where there is no such node, or a template of the lab is wrong.
pub fn node_config(plan: &Plan, name: &str, secrets: &Secrets) -> Result<Config, Error> {
    let node = plan.node(name).ok_or_else(|| Error::NoNode(name.to_owned()))?;
    let mut renderer =
        Renderer { plan, node, secrets, environment: environment(), files: BTreeMap::new() };
    let services = renderer.services()?;
    Ok(Config {
        lab: plan.lab.clone(),
        node: node.name.clone(),
        kind: match node.kind {
            NodeKind::Pc => Kind::Pc,
            NodeKind::Server => Kind::Server,
            NodeKind::Router => Kind::Router,
        },
        links: node
            .links
            .iter()
            .map(|link| Link {
                network: link.network.clone(),
                name: link.name.clone(),
                mac: link.mac.clone(),
                address: match link.address {
                    plan::Address::Static(net) => Address::Static(net),
                    plan::Address::Dhcp => Address::Dhcp,
                    plan::Address::None => Address::None,
                },
                transport: None,
            })
            .collect(),
        routes: node
            .routes
            .iter()
            .map(|route| Route { to: route.to, via: route.via, metric: route.metric })
            .collect(),
        forwarding: node.is_router(),
        resolver: Resolver {
            servers: node.dns.iter().map(|server| (*server).into()).collect(),
            search: node.search.clone(),
            hosts: node
                .hosts
                .iter()
                .map(|(name, address)| ((*address).into(), vec![name.clone()]))
                .collect(),
        },
        services,
        files: renderer.files,
        router: node.router.clone(),
        firewall: node.firewall.clone(),
        mail: node.mail.clone(),
        trust: if secrets.ca.is_empty() { Vec::new() } else { vec![secrets.ca.clone()] },
        keylog: plan.keylog,
    })
}

/// The configuration of every node, in the order of the file.
///
/// # Errors
/// As [`node_config`].
pub fn all(plan: &Plan, secrets: &Secrets) -> Result<Vec<Config>, Error> {
    plan.nodes.iter().map(|node| node_config(plan, &node.name, secrets)).collect()
}

/// Blocks on lines of their own leave nothing behind, in labctl's templates and in lab files.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // `if` may ask whether something is there; printing what is not is an error.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    // What an error would show of the variables holds passwords.
    environment.set_debug(false);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build();
    if let Ok(syntax) = syntax {
        environment.set_syntax(syntax);
    }
    // A template of a lab may loop; it must end. One unit is a step or 64 bytes: 32 MB at most.
    environment.set_fuel(Some(500_000));
    environment
}

struct Renderer<'a> {
    plan: &'a Plan,
    node: &'a Node,
    secrets: &'a Secrets,
    environment: Environment<'static>,
    files: BTreeMap<String, String>,
}

impl Renderer<'_> {
    fn render(&self, template: &str, extra: Value) -> Result<String, Error> {
        let own =
            TEMPLATES.iter().find(|(name, _)| *name == template).map_or("", |(_, text)| *text);
        let text = self.plan.templates.get(template).map_or(own, String::as_str);
        let mut shown = json!({
            "lab": self.plan.lab,
            "title": self.plan.title,
            "node": self.node,
            "state": paths::STATE,
            "run": paths::RUN,
            "keylog": self.plan.keylog.then_some(paths::KEYLOG),
        });
        if let (Some(all), Value::Object(extra)) = (shown.as_object_mut(), extra) {
            all.extend(extra);
        }
        // The ending decides about escaping: only pages are HTML.
        let ending = if template == "index" { "index.html" } else { template };
        self.environment.render_named_str(ending, text, Serde(&shown)).map_err(|error| {
            Error::Template {
                node: self.node.name.clone(),
                template: template.to_owned(),
                error: error.to_string(),
            }
        })
    }

    fn put(&mut self, name: &str, text: String) -> String {
        let path = format!("{}/{name}", paths::FILES);
        self.files.insert(path.clone(), text);
        path
    }

    fn services(&mut self) -> Result<Vec<Service>, Error> {
        let mut services = Vec::new();
        let port = |protocol: &str, transport, port| Port {
            protocol: protocol.to_owned(),
            transport,
            port,
        };
        if let Some(dhcp) = &self.node.services.dhcp {
            let relay: Vec<_> = dhcp
                .relay
                .iter()
                .map(|(network, servers)| {
                    let name = self.node.link(network).map_or(network, |link| &link.name);
                    json!([name, servers])
                })
                .collect();
            let mut shown = json!({ "dhcp": dhcp });
            shown["dhcp"]["relay"] = relay.into();
            let text = self.render("dhcpd", shown)?;
            let config = self.put("dhcpd.yaml", text);
            let ports = vec![port("dhcp", Transport::Udp, 67)];
            services.push(service("dhcp", "dhcpd", config, dhcp.enabled, ports));
        }
        if let Some(dns) = &self.node.services.dns {
            let config = self.dns(dns)?;
            let ports = vec![port("dns", Transport::Udp, 53), port("dns", Transport::Tcp, 53)];
            services.push(service("dns", "dnsd", config, dns.enabled, ports));
        }
        if let Some(mail) = &self.node.services.mail {
            let config = self.mail(mail)?;
            let ports = mail
                .protocols
                .iter()
                .filter(|p| p.on)
                .map(|p| port(p.protocol.word(), Transport::Tcp, p.port))
                .collect();
            services.push(service("mail", "mailsrv", config, mail.enabled, ports));
        }
        if let Some(web) = &self.node.services.web {
            let config = self.web(web)?;
            let mut ports = vec![port("http", Transport::Tcp, 80)];
            if web.tls {
                ports.push(port("https", Transport::Tcp, 443));
            }
            services.push(service("web", "webd", config, web.enabled, ports));
        }
        Ok(services)
    }

    fn dns(&mut self, dns: &plan::Dns) -> Result<String, Error> {
        let mut shown = json!({ "dns": dns });
        for (at, zone) in dns.zones.iter().enumerate() {
            if !zone.primaries.is_empty() {
                continue;
            }
            let mut zone = zone.clone();
            for (domain, key) in &self.secrets.dkim {
                let name = format!("{}._domainkey.{}.", key.selector, domain.to_ascii_lowercase());
                if crate::build::within(&name, &zone.name)
                    && zone.name != "."
                    && !zone.name.ends_with("in-addr.arpa")
                {
                    zone.records.push(plan::Record {
                        name,
                        ttl: 3600,
                        r#type: "TXT".to_owned(),
                        data: format!("\"{}\"", key.record),
                        derived: true,
                    });
                }
            }
            let text = self.render("zone", json!({ "zone": zone }))?;
            let name = if zone.name == "." { "root" } else { &zone.name };
            // A `/` of a classless reverse zone (RFC 2317) is no folder.
            let path = self.put(&format!("zones/{}.zone", name.replace('/', "-")), text);
            shown["dns"]["zones"][at]["file"] = path.into();
        }
        let text = self.render("dnsd", shown)?;
        Ok(self.put("dnsd.yaml", text))
    }

    fn certificate(&mut self) -> (String, String) {
        let leaf = self.secrets.leaves.get(&self.node.name).cloned();
        let (cert, key) = leaf.map_or_else(Default::default, |leaf| (leaf.cert, leaf.key));
        (self.put("tls/cert.pem", cert), self.put("tls/key.pem", key))
    }

    fn mail(&mut self, mail: &plan::Mail) -> Result<String, Error> {
        let (cert, key) = self.certificate();
        let trust = self.put("tls/ca.pem", self.secrets.ca.clone());
        let mut dkim = Vec::new();
        if mail.settings.dkim {
            for domain in &mail.domains {
                if let Some(own) = self.secrets.dkim.get(&domain.name) {
                    let (selector, text) = (own.selector.clone(), own.key.clone());
                    let file = self.put(&format!("dkim/{}.pem", domain.name), text);
                    dkim.push(json!({ "domain": domain.name, "selector": selector, "file": file }));
                }
            }
        }
        // The sheets' servers take mail for other domains from the lab's own hosts without a login;
        // an author who writes `relay:` says who may.
        let networks: Vec<String> = match &mail.settings.relay {
            None => self.plan.networks.iter().map(|network| network.subnet.to_string()).collect(),
            Some(relay) => relay
                .networks
                .iter()
                .map(|name| {
                    self.plan.network(name).map_or_else(|| name.clone(), |n| n.subnet.to_string())
                })
                .collect(),
        };
        let retry: Vec<u64> =
            mail.settings.retry.iter().map(|s| s.millis().div_ceil(1000).max(1)).collect();
        let text = self.render(
            "mailsrv",
            json!({
                "mail": mail, "cert": cert, "key": key, "trust": trust, "dkim": dkim,
                "relay_networks": networks, "retry": retry,
            }),
        )?;
        Ok(self.put("mailsrv.yaml", text))
    }

    fn web(&mut self, web: &plan::Web) -> Result<String, Error> {
        let (cert, key) = if web.tls { self.certificate() } else { Default::default() };
        let mut sites = Vec::new();
        for (at, site) in web.sites.iter().enumerate() {
            for (path, text) in &site.files {
                self.put(&format!("www/{at}/{path}"), text.clone());
            }
            if !site.files.contains_key("index.html") && !site.pages.contains_key("index.html") {
                let name = site.names.first().unwrap_or(&self.node.name).clone();
                let text = self.render("index", json!({ "name": name }))?;
                self.put(&format!("www/{at}/index.html"), text);
            } else if site.files.is_empty() {
                // The folder has to exist.
                self.put(&format!("www/{at}/.keep"), String::new());
            }
            sites.push(json!({
                "names": site.names,
                "root": format!("{}/www/{at}", paths::FILES),
                "pages": site.pages,
                "variables": site.variables,
            }));
        }
        let text =
            self.render("webd", json!({ "web": web, "sites": sites, "cert": cert, "key": key }))?;
        Ok(self.put("webd.yaml", text))
    }
}

fn service(name: &str, program: &str, config: String, enabled: bool, ports: Vec<Port>) -> Service {
    Service { name: name.to_owned(), program: program.to_owned(), config, enabled, ports }
}
