//! Why a check failed: the layers from the bottom, and the first one that is broken.
//!
//! The walk compares the running node with the plan (its links, addresses, gateway, DNS servers,
//! mail settings) and asks the network itself (who answers on the link, where the way ends, what
//! the port does). It only looks at what the failed check needs: a wrong gateway is no reason for
//! a neighbour that does not answer.

mod host;
mod name;
mod relay;
mod service;
mod way;

use lab::check::Kind;
use probes::{Layer, facts};

use crate::trial::{Failure, Unasked};
use crate::verdict::{Explanation, Rung};
use crate::world::World;

/// What a failed check depends on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Needs {
    /// The node that asks.
    pub asker: String,
    /// The node that is asked, where the plan has one.
    pub target: Option<String>,
    /// The name that must resolve, and the addresses the plan has for it.
    pub name: Option<String>,
    /// The port that must accept: number, UDP, the service and protocol behind it.
    pub port: Option<(u16, bool)>,
    /// Whether the asker's mail settings count.
    pub mail: bool,
}

/// What the walk has seen.
pub(crate) struct Walk<'a, 'w> {
    pub world: &'a World<'w>,
    pub needs: &'a Needs,
    pub rungs: Vec<Rung>,
}

/// The first thing that is broken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Broken {
    pub layer: Layer,
    pub says: String,
    pub evidence: Vec<String>,
    pub help: Option<String>,
}

impl Broken {
    pub fn new(layer: Layer, says: impl Into<String>) -> Self {
        Self { layer, says: says.into(), evidence: Vec::new(), help: None }
    }

    #[must_use]
    pub fn evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}

/// `Err` is the first broken layer; the walk ends there.
pub(crate) type Step = Result<(), Broken>;

impl Walk<'_, '_> {
    /// A layer that is in order.
    pub fn fine(&mut self, layer: Layer, says: impl Into<String>) {
        self.rungs.push(Rung { layer, ok: true, says: says.into() });
    }
}

/// An answer that labctl itself could not get counts for nothing; a node that is dead is the node
/// layer's.
pub(crate) fn unasked(unasked: Unasked) -> Option<Broken> {
    match unasked {
        Unasked::Trouble(_) => None,
        Unasked::Broken(failure) => Some(Broken {
            layer: failure.layer.unwrap_or(Layer::Reply),
            says: failure.message,
            evidence: failure.evidence,
            help: None,
        }),
    }
}

/// Explains the failure of a check.
pub async fn explain(world: &World<'_>, kind: &Kind, failure: &Failure) -> Explanation {
    let needs = needs(world, kind, failure);
    let mut walk = Walk { world, needs: &needs, rungs: Vec::new() };
    let broken = match walk.climb(kind, failure).await {
        Err(broken) => broken,
        Ok(()) => Broken {
            layer: failure.layer.unwrap_or(Layer::Reply),
            says: failure.message.clone(),
            evidence: Vec::new(),
            help: None,
        },
    };
    let mut evidence = broken.evidence;
    if broken.says != failure.message {
        evidence.push(format!("seen: {}", failure.message));
    }
    for line in &failure.evidence {
        // A dialogue's own words for what was said already add nothing.
        if !evidence.contains(line) && !failure.message.contains(line.trim_start_matches("* ")) {
            evidence.push(line.clone());
        }
    }
    walk.rungs.push(Rung { layer: broken.layer, ok: false, says: broken.says.clone() });
    Explanation {
        layer: broken.layer,
        says: broken.says,
        evidence,
        help: broken.help,
        walked: walk.rungs,
    }
}

impl Walk<'_, '_> {
    async fn climb(&mut self, kind: &Kind, failure: &Failure) -> Step {
        // A host that answered with a refusal is there: only what is above the network is left.
        let asker = self.needs.asker.clone();
        self.host(&asker).await?;
        let involved = self.involved();
        for node in &involved {
            self.host(node).await?;
        }
        if let Kind::Lease(_) | Kind::Address(_) | Kind::Link(_) = kind {
            return Ok(());
        }
        let facts = match self.world.facts(&asker).await {
            Ok(facts) => facts,
            Err(error) => return unasked(error).map_or(Ok(()), Err),
        };
        self.twice(&asker, &facts).await?;
        for node in &involved {
            self.way(&facts, node).await?;
        }
        if self.needs.mail {
            self.settings(&facts)?;
        }
        if let Some(name) = self.needs.name.clone() {
            self.name(&facts, &name).await?;
        }
        self.service(failure).await?;
        match kind {
            Kind::Mail(check) if failure.layer == Some(Layer::Mailbox) => {
                self.underway(&check.from).await
            }
            _ => Ok(()),
        }
    }

    /// The other nodes that the check depends on, in the order of the dependencies.
    fn involved(&self) -> Vec<String> {
        let mut nodes = Vec::new();
        let plan = self.world.plan;
        if self.needs.name.is_some()
            && let Some(asker) = plan.node(&self.needs.asker)
        {
            let servers = asker.dns.iter().filter_map(|server| plan.node_of(*server));
            nodes.extend(servers.map(|node| node.name.clone()));
        }
        nodes.extend(self.needs.target.clone());
        let mut seen = vec![self.needs.asker.clone()];
        nodes.retain(|node| {
            let new = !seen.contains(node);
            seen.push(node.clone());
            new
        });
        nodes
    }
}

/// What a check depends on. Where the failure names another node than the asker (the recipient who
/// could not fetch), that one asks.
pub(crate) fn needs(world: &World<'_>, kind: &Kind, failure: &Failure) -> Needs {
    let asker = failure
        .who
        .clone()
        .or_else(|| crate::kinds::asker(kind).map(str::to_owned))
        .unwrap_or_default();
    let mut needs = Needs { asker: asker.clone(), ..Needs::default() };
    let aim = |needs: &mut Needs, text: &str| {
        if let Some(node) = world.plan.node(text) {
            needs.target = Some(node.name.clone());
        } else if let Ok(address) = text.parse() {
            needs.target = world.plan.node_of(address).map(|node| node.name.clone());
        } else {
            needs.name = Some(text.to_owned());
            let planned = world.planned_addresses(text);
            let node = planned.first().and_then(|address| world.plan.node_of(*address));
            needs.target = node.map(|node| node.name.clone());
        }
    };
    match kind {
        Kind::Ping(check) => aim(&mut needs, &check.to),
        Kind::Trace(check) => aim(&mut needs, &check.to),
        Kind::Arp(check) => aim(&mut needs, &check.to),
        Kind::Port(check) => {
            aim(&mut needs, &check.to);
            needs.port = Some((check.port, check.transport == lab::check::Transport::Udp));
        }
        Kind::Http(check) => {
            if let Ok(url) = probes::http::Url::parse(&check.url) {
                aim(&mut needs, &url.host);
                needs.port = Some((url.port, false));
            }
        }
        Kind::Dns(check) => {
            match &check.server {
                Some(server) => aim(&mut needs, server),
                None => needs.name = Some(check.name.clone()),
            }
            needs.port = check.server.as_ref().map(|_| (53, true));
        }
        Kind::Mail(check) => {
            mail_needs(world, &mut needs, &asker, failure, check.server.as_deref(), &aim)
        }
        Kind::Imap(_) | Kind::Pop3(_) => {
            mail_needs(world, &mut needs, &asker, failure, None, &aim);
        }
        Kind::Ports(check) => return self::needs(world, &check.during, failure),
        Kind::Route(_)
        | Kind::Link(_)
        | Kind::Address(_)
        | Kind::Lease(_)
        | Kind::Queue(_)
        | Kind::Transcript(_)
        | Kind::Exec(_) => {}
    }
    needs
}

fn mail_needs(
    world: &World<'_>,
    needs: &mut Needs,
    asker: &str,
    failure: &Failure,
    server: Option<&str>,
    aim: &dyn Fn(&mut Needs, &str),
) {
    let Some(settings) = world.plan.node(asker).and_then(|node| node.mail.as_ref()) else { return };
    let fetching = failure.phase == crate::trial::Phase::Fetch;
    let host = match server {
        Some(server) if !fetching => server,
        _ if fetching => &settings.incoming,
        _ => &settings.outgoing,
    };
    aim(needs, host);
    needs.mail = server.is_none();
    needs.port = Some((mail_port(settings, fetching), false));
}

/// The port that a mail program uses, by its settings.
fn mail_port(settings: &node::config::MailClient, fetching: bool) -> u16 {
    use node::config::{Fetch, Security};
    match (fetching, settings.security, settings.fetch) {
        (false, Security::Plain, _) => 25,
        (false, Security::Starttls, _) => 587,
        (false, Security::Tls, _) => 465,
        (true, Security::Tls, Fetch::Pop3) => 995,
        (true, _, Fetch::Pop3) => 110,
        (true, Security::Tls, Fetch::Imap) => 993,
        (true, _, Fetch::Imap) => 143,
    }
}

/// An address with the name of its node.
pub(crate) fn named(world: &World<'_>, address: std::net::Ipv4Addr) -> String {
    world
        .plan
        .node_of(address)
        .map_or_else(|| address.to_string(), |node| format!("{address} ({})", node.name))
}

/// The routes of a node as evidence.
pub(crate) fn routes(facts: &facts::Outcome) -> Vec<String> {
    facts
        .routes
        .iter()
        .map(|route| match route.via {
            Some(via) => format!("route {} via {via}", route.to),
            None => format!("route {} directly on {}", route.to, route.interface),
        })
        .collect()
}
