//! Which kinds of checks there are: one word, one type each.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::read::{choice_schema, either};
use super::{
    Address, Arp, CHECK_FIELDS, Dns, Exec, Http, Imap, Lease, Link, Mail, Ping, Pop3, Port, Ports,
    Queue, Route, Trace, Transcript,
};
use crate::decode::{Decode, Decoder, suggestion};
use crate::diagnostic::Problem;
use crate::yaml::{Key, Node};

/// What is tried, one of:
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An interface is up (or down).
    Link(Link),
    /// An interface has an address.
    Address(Address),
    /// An interface holds a lease.
    Lease(Lease),
    /// An echo is answered.
    Ping(Ping),
    /// A node has a route.
    Route(Route),
    /// Packets go this way (`trace:` and `path:` are the same).
    Trace(Trace),
    /// A neighbour is known by its hardware address.
    Arp(Arp),
    /// A name server answers.
    Dns(Dns),
    /// A port is open, refused or silent.
    Port(Port),
    /// A page is fetched.
    Http(Http),
    /// Mail is sent and fetched.
    Mail(Mail),
    /// One mailbox on several devices at once.
    Imap(Imap),
    /// POP3 deletes or keeps.
    Pop3(Pop3),
    /// The state of a mail server's queue.
    Queue(Queue),
    /// A server's transcript contains lines.
    Transcript(Transcript),
    /// Ports seen on a link while something is done.
    Ports(Ports),
    /// A command's output.
    Exec(Exec),
}

impl Kind {
    /// The key it is written with in a lab file.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Link(_) => "link",
            Self::Address(_) => "address",
            Self::Lease(_) => "lease",
            Self::Ping(_) => "ping",
            Self::Route(_) => "route",
            Self::Trace(_) => "trace",
            Self::Arp(_) => "arp",
            Self::Dns(_) => "dns",
            Self::Port(_) => "port",
            Self::Http(_) => "http",
            Self::Mail(_) => "mail",
            Self::Imap(_) => "imap",
            Self::Pop3(_) => "pop3",
            Self::Queue(_) => "queue",
            Self::Transcript(_) => "transcript",
            Self::Ports(_) => "ports",
            Self::Exec(_) => "exec",
        }
    }

    /// Every key, `path` beside `trace`.
    pub const WORDS: &[&str] = &[
        "link",
        "address",
        "lease",
        "ping",
        "route",
        "trace",
        "path",
        "arp",
        "dns",
        "port",
        "http",
        "mail",
        "imap",
        "pop3",
        "queue",
        "transcript",
        "ports",
        "exec",
    ];
}

/// Reads a kind by its word.
pub(super) fn kind(key: &Key, value: &Node, decoder: &mut Decoder<'_>) -> Option<Kind> {
    Some(match key.name.as_str() {
        "link" => Kind::Link(Decode::decode(value, decoder)?),
        "address" => Kind::Address(Decode::decode(value, decoder)?),
        "lease" => Kind::Lease(Decode::decode(value, decoder)?),
        "ping" => Kind::Ping(Decode::decode(value, decoder)?),
        "route" => Kind::Route(Decode::decode(value, decoder)?),
        "trace" | "path" => Kind::Trace(Decode::decode(value, decoder)?),
        "arp" => Kind::Arp(Decode::decode(value, decoder)?),
        "dns" => Kind::Dns(Decode::decode(value, decoder)?),
        "port" => Kind::Port(Decode::decode(value, decoder)?),
        "http" => Kind::Http(Decode::decode(value, decoder)?),
        "mail" => Kind::Mail(Decode::decode(value, decoder)?),
        "imap" => Kind::Imap(Decode::decode(value, decoder)?),
        "pop3" => Kind::Pop3(Decode::decode(value, decoder)?),
        "queue" => Kind::Queue(Decode::decode(value, decoder)?),
        "transcript" => Kind::Transcript(Decode::decode(value, decoder)?),
        "ports" => Kind::Ports(Decode::decode(value, decoder)?),
        "exec" => Kind::Exec(super::observe::exec(value, decoder)?),
        other => {
            decoder.problems.push(
                Problem::error(
                    "check::unknown-kind",
                    key.span,
                    format!("there is no check `{other}`"),
                )
                .help(suggestion(other, Kind::WORDS.iter().chain(CHECK_FIELDS).copied())),
            );
            return None;
        }
    })
}

impl Decode for Kind {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.entries() {
            [(key, value)] => kind(key, value, decoder),
            _ => decoder.expected(node, "one check", "ping: { from: pc0, to: pc1 }"),
        }
    }
}

/// A name for a check whose author gave none.
pub(crate) fn title(kind: &Kind) -> String {
    match kind {
        Kind::Link(c) if !c.up => format!("{} is unplugged", c.node),
        Kind::Link(c) => format!("{} is plugged in", c.node),
        Kind::Address(c) => format!("{} has its address", c.node),
        Kind::Lease(c) => format!("{} has a lease", c.node),
        Kind::Ping(c) => format!("{} pings {}", c.from, c.to),
        Kind::Route(c) if !c.present => format!("{} has no route to {}", c.node, c.to),
        Kind::Route(c) => format!("{} has a route to {}", c.node, c.to),
        Kind::Trace(c) => format!("the way from {} to {}", c.from, c.to),
        Kind::Arp(c) => format!("{} finds {} by ARP", c.from, c.to),
        Kind::Dns(c) => format!("{} looks up {} {}", c.from, c.name, c.r#type),
        Kind::Port(c) => format!("{} tries {}/{} of {}", c.from, c.transport, c.port, c.to),
        Kind::Http(c) => format!("{} fetches {}", c.from, c.url),
        Kind::Mail(c) => format!("{} mails {}", c.from, c.to.join(" and ")),
        Kind::Imap(c) => format!("one mailbox on {}", c.devices.join(" and ")),
        Kind::Pop3(c) => format!("{} fetches by POP3", c.node),
        Kind::Queue(c) => format!("the queue of {}", c.node),
        Kind::Transcript(c) => format!("the {} transcript of {}", c.protocol, c.node),
        Kind::Ports(c) => format!("ports seen at {}", c.node),
        Kind::Exec(c) => format!("{} runs {}", c.node, c.command.join(" ")),
    }
}

/// The schemas of all kinds by their words.
pub(super) fn kinds(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
    use crate::check as c;
    let trace = generator.subschema_for::<c::Trace>();
    vec![
        ("link", either(generator.subschema_for::<c::Link>())),
        ("address", either(generator.subschema_for::<c::Address>())),
        ("lease", either(generator.subschema_for::<c::Lease>())),
        ("ping", generator.subschema_for::<c::Ping>()),
        ("route", generator.subschema_for::<c::Route>()),
        ("trace", trace.clone()),
        ("path", trace),
        ("arp", generator.subschema_for::<c::Arp>()),
        ("dns", generator.subschema_for::<c::Dns>()),
        ("port", generator.subschema_for::<c::Port>()),
        ("http", generator.subschema_for::<c::Http>()),
        ("mail", generator.subschema_for::<c::Mail>()),
        ("imap", generator.subschema_for::<c::Imap>()),
        ("pop3", generator.subschema_for::<c::Pop3>()),
        ("queue", either(generator.subschema_for::<c::Queue>())),
        ("transcript", generator.subschema_for::<c::Transcript>()),
        ("ports", generator.subschema_for::<c::Ports>()),
        ("exec", generator.subschema_for::<c::Exec>()),
    ]
}

impl JsonSchema for Kind {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Tried".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        choice_schema(&[], kinds(generator), "what is tried")
    }
}
