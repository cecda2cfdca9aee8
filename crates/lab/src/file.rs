//! The types of a lab file, field by field as an author writes them.
//!
//! The doc comments are the descriptions in the JSON Schema, which editors show.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::check::{Check, Scenario, Security, Wrong};
use crate::decode::{Decode, Decoder, List, Map, record, words};
use crate::units::{Seconds, bytes};
use crate::yaml::{Node as Tree, Value};

record! {
    /// A network lab: networks (switches), nodes (PCs, servers, routers) and what must hold.
    pub struct File {
        /// The lab's name: lower-case letters, digits and dashes.
        pub name: String,
        /// A title for people.
        #[serde(default)] pub title: Option<String>,
        /// What the lab is about, for people.
        #[serde(default)] pub description: Option<String>,
        /// Values for `{{ … }}` in this file; `--set key=value` overrides them.
        #[serde(default)] pub vars: Option<serde_json::Value>,
        /// Other lab files whose networks, nodes and checks belong to this lab.
        #[serde(default)] pub include: List<String>,
        /// The networks: name to subnet.
        #[serde(default)] pub networks: Map<Network>,
        /// The nodes by name; a name is also the node's host name.
        #[serde(default)] pub nodes: Map<Node>,
        /// What must hold. Without it the obvious is checked.
        #[serde(default)] pub checks: Option<List<Check>>,
        /// Ordered steps of actions and checks.
        #[serde(default)] pub scenarios: List<Scenario>,
        /// Wrong variants of the lab and what labctl must find in each: tests of the lab.
        #[serde(default)] pub wrong: List<Wrong>,
        /// The lab's own templates instead of labctl's: `zone: ./my.zone.j2`.
        #[serde(default)] pub templates: Map<String>,
    }
}

record! {
    /// A network: one switch.
    pub struct Network {
        /// Its subnet, such as 192.168.1.0/24.
        #[schemars(with = "String")] pub subnet: Ipv4Net,
        /// The default gateway of its hosts; the network's only router where left out.
        #[serde(default)] pub gateway: Option<Ipv4Addr>,
        /// A word for people.
        #[serde(default)] pub title: Option<String>,
    }
    short(node, decoder) { Some(Self { subnet: Ipv4Net::decode(node, decoder)?, gateway: None, title: None }) }
}

words! {
    /// What a node is.
    pub enum NodeKind {
        /// A workstation.
        Pc = "pc",
        /// A host with services.
        Server = "server",
        /// A host that forwards packets.
        Router = "router",
    }
}

words! {
    /// Where a router's routes come from.
    pub enum Routing {
        /// labctl works them out (shortest way).
        Auto = "auto",
        /// Only those under `routes:` and in `ios:`.
        Static = "static",
        /// RIP version 2 on every interface.
        Rip = "rip",
    }
}

record! {
    /// A PC, server or router.
    pub struct Node {
        /// What it is.
        #[serde(default)] pub kind: Option<NodeKind>,
        /// A word for people, shown in pictures.
        #[serde(default)] pub title: Option<String>,
        /// Its interfaces: network to address, `dhcp` or `none`.
        #[serde(default)] pub interfaces: Map<Interface>,
        /// Its default gateway; the network's only router where left out; `none` for none.
        #[serde(default)] pub gateway: Option<Maybe<Ipv4Addr>>,
        /// Its DNS servers; the lab's only DNS server where left out; `none` for none.
        #[serde(default)] pub dns: Option<Maybe<List<Ipv4Addr>>>,
        /// Domains appended to short names.
        #[serde(default)] pub search: List<String>,
        /// Lines of its hosts file: name to address.
        #[serde(default)] pub hosts: Map<Ipv4Addr>,
        /// What it serves.
        #[serde(default)] pub services: Services = Services::default(),
        /// Its mail program's settings ("Configure Mail").
        #[serde(default)] pub mail: Option<MailClient>,
        /// A router's way to its routes: auto, static or rip.
        #[serde(default)] pub routing: Option<Routing>,
        /// Static routes: subnet, network or `default`, to the next hop.
        #[serde(default)] pub routes: Map<Ipv4Addr>,
        /// A router's configuration in the words of its console, as a lab sheet prints it.
        #[serde(default)] pub ios: Option<String>,
        /// Its packet filter, one rule a line: `drop in tcp 25`.
        #[serde(default)] pub firewall: List<String>,
        /// A container image that runs beside labctl's agent in this node's network (Docker only).
        #[serde(default)] pub image: Option<String>,
        /// The image's command.
        #[serde(default)] pub command: List<String>,
        /// The image's environment.
        #[serde(default)] pub env: Map<String>,
        /// Bounds.
        #[serde(default)] pub limits: Option<Limits>,
    }
}

record! {
    /// Bounds of a node.
    pub struct Limits {
        /// Memory: 64M, 1G.
        #[serde(default)] pub memory: Option<Size>,
        /// Processes and threads.
        #[serde(default)] pub processes: Option<u32>,
        /// Share of a processor: 0.5.
        #[serde(default)] pub cpu: Option<f64>,
        /// Disk: 100M.
        #[serde(default)] pub disk: Option<Size>,
    }
}

/// A size in bytes: `64M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Size(pub u64);

impl Decode for Size {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text().and_then(bytes) {
            Some(size) => Some(Self(size)),
            None => decoder.expected(node, "a size", "64M"),
        }
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "a size: 64M, 1G, or bytes", "type": ["string", "integer"] })
    }
}

/// A value, or the word `none`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Maybe<T> {
    /// None, as the author said.
    None,
    /// This.
    Is(T),
}

impl<T: Decode> Decode for Maybe<T> {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text() {
            Some("none") => Some(Self::None),
            _ => T::decode(node, decoder).map(Self::Is),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Maybe<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Maybe_{}", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "none" }, generator.subschema_for::<T>()] })
    }
}

/// An interface: its address (the network's prefix length, unless one is given), `dhcp`, `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// This address; the prefix length where it is not the network's.
    Static(Ipv4Addr, Option<u8>),
    /// From a DHCP server.
    Dhcp,
    /// None.
    None,
}

impl Decode for Interface {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text() {
            Some("dhcp") => Some(Self::Dhcp),
            Some("none") => Some(Self::None),
            Some(text) if text.contains('/') => {
                let net = text.parse::<Ipv4Net>();
                match net {
                    Ok(net) => Some(Self::Static(net.addr(), Some(net.prefix_len()))),
                    Err(_) => decoder.refuse(
                        node,
                        "net::address",
                        format!("`{text}` is not an IPv4 address with a prefix length"),
                        "for example `192.168.1.2` or `192.168.1.2/24`",
                    ),
                }
            }
            Some(_) => Ipv4Addr::decode(node, decoder).map(|address| Self::Static(address, None)),
            None => decoder.expected(node, "an address, `dhcp` or `none`", "192.168.1.2"),
        }
    }
}

impl JsonSchema for Interface {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Interface".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "an address such as 192.168.1.2, dhcp, or none",
            "type": "string",
            "pattern": "^(dhcp|none|[0-9]{1,3}(\\.[0-9]{1,3}){3}(/[0-9]{1,2})?)$"
        })
    }
}

impl Decode for Ipv4Addr {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text() {
            Some(text) => match text.parse() {
                Ok(address) => Some(address),
                Err(_) => decoder.refuse(
                    node,
                    "net::address",
                    format!("`{text}` is not an IPv4 address"),
                    address_help(text),
                ),
            },
            None => decoder.expected(node, "an IPv4 address", "192.168.1.2"),
        }
    }
}

/// What is wrong with an address, as far as it can be told.
fn address_help(text: &str) -> String {
    let parts: Vec<&str> = text.split('.').collect();
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if text.contains(':') {
        return "labs use IPv4".to_owned();
    }
    if !parts.iter().all(digits) {
        return "an address has four numbers, such as 192.168.1.2; names are not understood here"
            .to_owned();
    }
    if parts.len() != 4 {
        return format!("an address has four numbers, this one has {}", parts.len());
    }
    match parts.iter().find(|part| part.parse::<u8>().is_err()) {
        Some(part) => format!("{part} is more than 255"),
        None => "write the numbers without leading zeros".to_owned(),
    }
}

impl Decode for Ipv4Net {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Some(text) = node.text() else {
            return decoder.expected(node, "a subnet", "192.168.1.0/24");
        };
        let Ok(net) = text.parse::<Ipv4Net>() else {
            let help = if text.parse::<Ipv4Addr>().is_ok() {
                format!("the prefix length is missing: {text}/24")
            } else {
                "for example 192.168.1.0/24".to_owned()
            };
            return decoder.refuse(node, "net::subnet", format!("`{text}` is not a subnet"), help);
        };
        if net.trunc() != net {
            return decoder.refuse(
                node,
                "net::subnet",
                format!("`{text}` has host bits: it names a host, not a subnet"),
                format!("did you mean `{}`?", net.trunc()),
            );
        }
        Some(net)
    }
}

record! {
    /// What a node serves.
    #[derive(Default)]
    pub struct Services {
        /// A DHCP server.
        #[serde(default)] pub dhcp: Option<Dhcp>,
        /// A DNS server.
        #[serde(default)] pub dns: Option<Dns>,
        /// A mail server: SMTP, POP3, IMAP.
        #[serde(default)] pub mail: Option<Mail>,
        /// A web server.
        #[serde(default)] pub web: Option<Web>,
    }
}

record! {
    /// A DHCP server: one pool's fields at once, or `pools:`.
    pub struct DhcpServer {
        /// The pools by name.
        #[serde(default)] pub pools: Map<Pool>,
        /// Networks whose clients are relayed: network to servers.
        #[serde(default)] pub relay: Map<List<Ipv4Addr>>,
        /// Whether it runs from the start.
        #[serde(default = "yes")] pub enabled: bool = true,
    }
}

record! {
    /// Addresses for the clients of one network, and what they are told.
    pub struct Pool {
        /// The network or subnet; the server's only network where left out.
        #[serde(default)] pub network: Option<String>,
        /// What may be given out: `192.168.1.100-192.168.1.200`; all but the static addresses where left out.
        #[serde(default)] pub range: List<Range>,
        /// What may not be given out.
        #[serde(default)] pub exclude: List<Range>,
        /// Default gateway; the network's only router where left out.
        #[serde(default)] pub router: Option<Maybe<Ipv4Addr>>,
        /// DNS servers; the lab's only one where left out.
        #[serde(default)] pub dns: Option<Maybe<List<Ipv4Addr>>>,
        /// Domain name.
        #[serde(default)] pub domain: Option<String>,
        /// Lease time; a day where left out.
        #[serde(default)] pub lease: Option<LeaseTime>,
        /// Options by number.
        #[serde(default)] pub options: Map<String>,
        /// Addresses kept for nodes: node (or MAC address) to address.
        #[serde(default)] pub reservations: Map<Ipv4Addr>,
    }
}

/// A DHCP server: its pools, or the fields of its only pool in `dhcp:` itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dhcp(pub DhcpServer);

impl Decode for Dhcp {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            return decoder.expected(
                node,
                "a mapping with the pool's fields, or `pools:`",
                "dhcp: { range: 192.168.1.100-192.168.1.200 }",
            );
        };
        let (pool, own): (Vec<_>, Vec<_>) =
            entries.iter().cloned().partition(|(key, _)| Pool::FIELDS.contains(&key.name.as_str()));
        // `dhcp: {}` is one pool of all defaults.
        let lone = pool.is_empty()
            && !own.iter().any(|(key, _)| matches!(key.name.as_str(), "pools" | "relay"));
        let server = DhcpServer::decode(&Tree { value: Value::Map(own), span: node.span }, decoder);
        if pool.is_empty() && !lone {
            return server.map(Self);
        }
        let pool = Pool::decode(&Tree { value: Value::Map(pool), span: node.span }, decoder);
        let mut server = server?;
        server.pools.0.push(("LAN".to_owned(), pool?));
        Some(Self(server))
    }
}

impl JsonSchema for Dhcp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dhcp".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [generator.subschema_for::<DhcpServer>(), generator.subschema_for::<Pool>()] })
    }
}

/// A lease time: a time, or `infinite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaseTime(pub u32);

impl Decode for LeaseTime {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        let time = match node.text() {
            Some("infinite") => Some(u32::MAX),
            Some(text) => match text.strip_suffix('d') {
                Some(days) => {
                    days.trim().parse::<u32>().ok().and_then(|days| days.checked_mul(86_400))
                }
                None => Seconds::parse(text).and_then(|s| u32::try_from(s.millis() / 1000).ok()),
            },
            None => None,
        };
        match time.filter(|time| *time > 0) {
            Some(time) => Some(Self(time)),
            None => decoder.expected(node, "a lease time", "1h, 1d or infinite"),
        }
    }
}

impl JsonSchema for LeaseTime {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LeaseTime".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "a time: 600 (seconds), 10m, 1h, 1d, infinite", "type": ["string", "integer"] })
    }
}

/// Addresses from a first to a last: `192.168.1.100-192.168.1.200`, or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub first: Ipv4Addr,
    /// The last.
    pub last: Ipv4Addr,
}

impl Range {
    /// Whether the address lies in it.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    /// Reads `A-B`, `A - B` or `A`.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last).then_some(Self { first, last })
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for Range {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a range")))
    }
}

impl Decode for Range {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text().map(|text| (text, Self::parse(text))) {
            Some((_, Some(range))) => Some(range),
            Some((text, None)) => decoder.refuse(
                node,
                "net::range",
                format!("`{text}` is not a range of addresses"),
                "write FIRST-LAST, such as 192.168.1.100-192.168.1.200",
            ),
            None => decoder.expected(node, "a range of addresses", "192.168.1.100-192.168.1.200"),
        }
    }
}

impl JsonSchema for Range {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Range".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "192.168.1.100-192.168.1.200, or one address", "type": "string" })
    }
}

record! {
    /// A DNS server.
    pub struct Dns {
        /// Records in master-file notation: `mail.com. A 192.168.1.2`. Zones are made of them.
        #[serde(default)] pub records: List<String>,
        /// Zones by name, where more is to be said.
        #[serde(default)] pub zones: Map<Zone>,
        /// Servers asked for all other names; or zone to servers.
        #[serde(default)] pub forward: Option<Forward>,
        /// Resolves from these root servers down: name to addresses.
        #[serde(default)] pub root_hints: Map<List<Ipv4Addr>>,
        /// Whether records that follow from the rest of the lab are added (SOA, NS, MX, mail and web names, reverse zones).
        #[serde(default = "yes")] pub derive: bool = true,
        /// Whether the zones are signed.
        #[serde(default)] pub dnssec: bool = false,
        /// Whether it runs from the start.
        #[serde(default = "yes")] pub enabled: bool = true,
    }
    short(node, decoder) {
        match node.value {
            Value::Null => Some(Self { records: List::default(), zones: Map::default(), forward: None, root_hints: Map::default(), derive: true, dnssec: false, enabled: true }),
            Value::List(_) => Some(Self { records: List::decode(node, decoder)?, zones: Map::default(), forward: None, root_hints: Map::default(), derive: true, dnssec: false, enabled: true }),
            _ => decoder.expected(node, "a mapping, or a list of records", "dns: [mail.com. A 192.168.1.2]"),
        }
    }
}

record! {
    /// A zone.
    pub struct Zone {
        /// Its records; names without a final dot are below the zone.
        #[serde(default)] pub records: List<String>,
        /// It is copied from these servers (a secondary zone).
        #[serde(default)] pub primaries: List<Ipv4Addr>,
        /// Who may copy it; the lab's secondary servers where left out.
        #[serde(default)] pub allow_transfer: List<String>,
        /// Whether it is signed.
        #[serde(default)] pub dnssec: Option<bool>,
    }
    short(node, decoder) {
        Some(Self { records: List::decode(node, decoder)?, primaries: List::default(), allow_transfer: List::default(), dnssec: None })
    }
}

/// Where a DNS server asks for names that are not its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Forward(pub Map<List<Ipv4Addr>>);

impl Decode for Forward {
    fn decode(node: &Tree, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.value {
            Value::Map(_) => Map::decode(node, decoder).map(Self),
            _ => Some(Self(Map(vec![(".".to_owned(), List::decode(node, decoder)?)]))),
        }
    }
}

impl JsonSchema for Forward {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Forward".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<List<Ipv4Addr>>();
        json_schema!({ "description": "servers, or zone to servers", "anyOf": [list, { "type": "object", "additionalProperties": list }] })
    }
}

record! {
    /// A mail server.
    pub struct Mail {
        /// The domains whose mail ends here; the first is the accounts' own.
        #[serde(default)] pub domain: List<MailDomain>,
        /// The same, where there are several.
        #[serde(default)] pub domains: List<MailDomain>,
        /// Mail users: name (or whole address) to password or settings.
        #[serde(default)] pub accounts: Map<Account>,
        /// Other names: name to addresses.
        #[serde(default)] pub aliases: Map<List<String>>,
        /// Distribution lists: name to members.
        #[serde(default)] pub lists: Map<MailList>,
        /// Protocols that are off at the start: smtp, submission, submissions, pop3, pop3s, imap, imaps.
        #[serde(default)] pub off: List<MailProtocol>,
        /// Other ports: protocol to port.
        #[serde(default)] pub ports: Map<u16>,
        /// The name it greets with; the first domain where left out.
        #[serde(default)] pub hostname: Option<String>,
        /// Whether outgoing mail is signed (DKIM); the key's record is added to the domain's zone.
        #[serde(default)] pub dkim: bool = false,
        /// Mail to other domains.
        #[serde(default)] pub relay: Option<Relay>,
        /// What is asked of clients.
        #[serde(default)] pub policy: Option<Policy>,
        /// The largest message.
        #[serde(default)] pub message_limit: Option<Size>,
        /// Waits before each further try to deliver.
        #[serde(default)] pub retry: List<Seconds>,
        /// Whether it runs from the start.
        #[serde(default = "yes")] pub enabled: bool = true,
    }
}

words! {
    /// A mail protocol with a port of its own.
    pub enum MailProtocol {
        /// 25.
        Smtp = "smtp",
        /// 587.
        Submission = "submission",
        /// 465.
        Submissions = "submissions",
        /// 110.
        Pop3 = "pop3",
        /// 995.
        Pop3s = "pop3s",
        /// 143.
        Imap = "imap",
        /// 993.
        Imaps = "imaps",
    }
}

impl MailProtocol {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Smtp,
        Self::Submission,
        Self::Submissions,
        Self::Pop3,
        Self::Pop3s,
        Self::Imap,
        Self::Imaps,
    ];

    /// The port that IANA gave it.
    pub const fn port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Submission => 587,
            Self::Submissions => 465,
            Self::Pop3 => 110,
            Self::Pop3s => 995,
            Self::Imap => 143,
            Self::Imaps => 993,
        }
    }
}

record! {
    /// A mail domain: its name, or more.
    pub struct MailDomain {
        /// Its name.
        pub name: String,
        /// Other names of the same domain.
        #[serde(default)] pub aliases: List<String>,
        /// Who gets mail for unknown users.
        #[serde(default)] pub catch_all: Option<String>,
    }
    short(node, decoder) { Some(Self { name: String::decode(node, decoder)?, aliases: List::default(), catch_all: None }) }
}

record! {
    /// A mail user: its password, or more.
    pub struct Account {
        /// The password.
        #[serde(default)] pub password: Option<String>,
        /// Addresses that get a copy.
        #[serde(default)] pub forward: List<String>,
        /// Whether a forwarded message is kept as well.
        #[serde(default = "yes")] pub keep: bool = true,
        /// An answer to each sender.
        #[serde(default)] pub auto_reply: Option<AutoReply>,
        /// Text below each message that the user sends.
        #[serde(default)] pub signature: Option<String>,
        /// The most the mailbox holds.
        #[serde(default)] pub quota: Option<Size>,
        /// Faults for lessons.
        #[serde(default)] pub faults: List<Fault>,
    }
    short(node, decoder) {
        Some(Self { password: Some(String::decode(node, decoder)?), forward: List::default(), keep: true, auto_reply: None, signature: None, quota: None, faults: List::default() })
    }
}

record! {
    /// An automatic answer: its text, or more.
    pub struct AutoReply {
        /// The subject.
        #[serde(default)] pub subject: Option<String>,
        /// The text.
        pub text: String,
        /// The same sender is answered again only after this time; a week where left out.
        #[serde(default)] pub every: Option<LeaseTime>,
    }
    short(node, decoder) { Some(Self { subject: None, text: String::decode(node, decoder)?, every: None }) }
}

words! {
    /// Where in a dialogue a fault strikes.
    pub enum Stage {
        /// Instead of the greeting.
        Connect = "connect",
        /// EHLO and HELO.
        Helo = "helo",
        /// The login.
        Auth = "auth",
        /// MAIL FROM.
        Mail = "mail",
        /// RCPT TO.
        Rcpt = "rcpt",
        /// DATA.
        Data = "data",
        /// After the message.
        Message = "message",
        /// SELECT and EXAMINE of IMAP.
        Select = "select",
        /// RETR, TOP and FETCH.
        Fetch = "fetch",
    }
}

record! {
    /// A fault for a lesson.
    pub struct Fault {
        /// Where it strikes.
        pub stage: Stage,
        /// The reply instead of the true one: `451 4.3.0 come back later`.
        #[serde(default)] pub reply: Option<String>,
        /// Waits so long first.
        #[serde(default)] pub delay: Option<Seconds>,
        /// Closes the connection without a reply.
        #[serde(default)] pub drop: bool = false,
        /// How often it strikes: 0 to 1.
        #[serde(default)] pub probability: Option<f64>,
        /// Strikes only so many times.
        #[serde(default)] pub times: Option<u32>,
    }
}

words! {
    /// Who may write to a list.
    pub enum ListFrom {
        /// Everybody.
        Anyone = "anyone",
        /// Its members.
        Members = "members",
        /// Users who have logged in.
        Users = "users",
    }
}

record! {
    /// A distribution list: its members, or more.
    pub struct MailList {
        /// Who gets each message.
        pub members: List<String>,
        /// Who may write to it.
        #[serde(default)] pub from: Option<ListFrom>,
    }
    short(node, decoder) { Some(Self { members: List::decode(node, decoder)?, from: None }) }
}

record! {
    /// Mail to other domains: true, false, or more.
    pub struct Relay {
        /// Whether such mail is sent on at all.
        #[serde(default = "yes")] pub enabled: bool = true,
        /// Networks or subnets whose hosts need no login for it.
        #[serde(default)] pub networks: List<String>,
        /// The server that takes everything.
        #[serde(default)] pub smarthost: Option<Smarthost>,
    }
    short(node, decoder) { Some(Self { enabled: bool::decode(node, decoder)?, networks: List::default(), smarthost: None }) }
}

words! {
    /// How a connection to another server is protected.
    pub enum RelayTls {
        /// STARTTLS where offered.
        Opportunistic = "opportunistic",
        /// STARTTLS or nothing.
        Starttls = "starttls",
        /// From the first byte.
        Tls = "tls",
        /// Never.
        None = "none",
    }
}

record! {
    /// A server that takes all mail to other domains: its name, or more.
    pub struct Smarthost {
        /// Name or address.
        pub host: String,
        /// Port.
        #[serde(default)] pub port: Option<u16>,
        /// User.
        #[serde(default)] pub user: Option<String>,
        /// Password.
        #[serde(default)] pub password: Option<String>,
        /// How the connection is protected.
        #[serde(default)] pub tls: Option<RelayTls>,
    }
    short(node, decoder) { Some(Self { host: String::decode(node, decoder)?, port: None, user: None, password: None, tls: None }) }
}

record! {
    /// What is asked of clients.
    pub struct Policy {
        /// Whether passwords are accepted without TLS (yes).
        #[serde(default)] pub plain_passwords: Option<bool>,
        /// Whether port 25 offers a login (yes).
        #[serde(default)] pub auth_on_smtp: Option<bool>,
        /// Whether 587 and 465 take mail without a login from relay.networks (no).
        #[serde(default)] pub submission_without_auth: Option<bool>,
        /// Whether a user may only send as an own address (no).
        #[serde(default)] pub own_sender_only: Option<bool>,
        /// CRAM-MD5 and APOP (no).
        #[serde(default)] pub cram_md5: Option<bool>,
        /// Whether VRFY says who exists (no).
        #[serde(default)] pub vrfy: Option<bool>,
        /// Whether SPF, DKIM and DMARC of incoming mail are checked (no).
        #[serde(default)] pub verify: Option<bool>,
        /// Whether mail that DMARC tells to reject is refused (no).
        #[serde(default)] pub dmarc_reject: Option<bool>,
        /// Whether bare CR and LF are taken for CRLF (no).
        #[serde(default)] pub lenient_newlines: Option<bool>,
        /// Whether local parts such as `451` answer with that fault (no).
        #[serde(default)] pub fault_addresses: Option<bool>,
        /// Whether the transcript shows passwords (no).
        #[serde(default)] pub show_secrets: Option<bool>,
    }
}

record! {
    /// A web server: one site's fields at once, or `sites:`.
    pub struct Web {
        /// A folder with the site's files, beside the lab file.
        #[serde(default)] pub site: Option<String>,
        /// The names it answers to.
        #[serde(default)] pub names: List<String>,
        /// Pages given here: path to text; templates.
        #[serde(default)] pub pages: Map<String>,
        /// What templates may use.
        #[serde(default)] pub variables: Map<String>,
        /// More sites.
        #[serde(default)] pub sites: List<Site>,
        /// Whether HTTPS is served as well.
        #[serde(default = "yes")] pub tls: bool = true,
        /// Whether it runs from the start.
        #[serde(default = "yes")] pub enabled: bool = true,
    }
    short(node, decoder) {
        match node.text() {
            Some(folder) => Some(Self { site: Some(folder.to_owned()), names: List::default(), pages: Map::default(), variables: Map::default(), sites: List::default(), tls: true, enabled: true }),
            None => decoder.expected(node, "a folder or a mapping", "web: { names: [www.example.com] }"),
        }
    }
}

record! {
    /// One site of a web server.
    pub struct Site {
        /// A folder with its files, beside the lab file.
        #[serde(default)] pub site: Option<String>,
        /// The names it answers to.
        #[serde(default)] pub names: List<String>,
        /// Pages given here: path to text; templates.
        #[serde(default)] pub pages: Map<String>,
        /// What templates may use.
        #[serde(default)] pub variables: Map<String>,
    }
}

words! {
    /// By what a mail program fetches.
    pub enum FetchBy {
        /// POP3.
        Pop3 = "pop3",
        /// IMAP.
        Imap = "imap",
    }
}

record! {
    /// A mail program's settings: Packet Tracer's "Configure Mail".
    pub struct MailClient {
        /// "Your Name".
        #[serde(default)] pub name: Option<String>,
        /// "Email Address".
        pub address: String,
        /// "User Name"; the part of the address before the @ where left out.
        #[serde(default)] pub user: Option<String>,
        /// "Password"; the account's where left out.
        #[serde(default)] pub password: Option<String>,
        /// "Outgoing Mail Server"; the address's domain where left out.
        #[serde(default)] pub outgoing: Option<String>,
        /// "Incoming Mail Server"; the address's domain where left out.
        #[serde(default)] pub incoming: Option<String>,
        /// How connections are protected; plain where left out.
        #[serde(default)] pub security: Option<Security>,
        /// By what it fetches; POP3 where left out.
        #[serde(default)] pub fetch: Option<FetchBy>,
    }
}

fn yes() -> bool {
    true
}
