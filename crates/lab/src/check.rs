//! The language of checks, scenarios and wrong variants, as crate `checks` gets it.
//!
//! Every field has the name it has in a lab file, so the JSON form of a [`Check`] is also its YAML
//! form. Node names, network names and mail addresses are plain texts here; [`crate::load`] has
//! verified that they exist.

use serde::{Deserialize, Serialize};

use crate::decode::{List, Map, record, words};
use crate::units::Seconds;

/// One thing that must hold, tried by a node's own client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What it is called in reports; unique in the lab.
    pub name: String,
    /// What it is worth; 1 where the author said nothing.
    pub points: f64,
    /// The heading it stands under in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Names of checks that must pass first; it is `blocked` where one of them does not.
    #[serde(default, skip_serializing_if = "empty")]
    pub needs: List<String>,
    /// Tried again until it passes or this many seconds are over; tried once where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Seconds>,
    /// What the author tells a student whose check fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What counts as passing.
    #[serde(default, skip_serializing_if = "Expect::is_pass")]
    pub expect: Expect,
    /// Whether labctl added it because the author wrote no checks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
    /// The line of the lab file it stands on; 0 for a derived one.
    #[serde(default)]
    pub line: usize,
    /// What is tried.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What counts as passing. In a lab file: `expect: pass`, `expect: unreachable`,
/// `expect: { refused: 550 }`, `expect: { fetch: connection }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// It works.
    #[default]
    Pass,
    /// It must not work, for whatever reason (a positive control must).
    Fail,
    /// No answer and no way: ping lost or answered with ICMP unreachable, no route.
    Unreachable,
    /// A connection gets no answer at all (filtered).
    Silent,
    /// Sending, connecting or asking is refused in this way.
    Refused(Refusal),
    /// Sending works; fetching is refused in this way.
    Fetch(Refusal),
}

impl Expect {
    /// Whether it must simply work.
    pub fn is_pass(&self) -> bool {
        *self == Self::Pass
    }
}

/// How something is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Refusal {
    /// With this SMTP or HTTP code.
    Code(u16),
    /// In this way.
    Way(Way),
}

words! {
    /// A way of being refused that has no number.
    pub enum Way {
        /// In any way.
        Any = "any",
        /// The connection is refused (nothing listens) or reset.
        Connection = "connection",
        /// The user name or the password is wrong.
        Login = "login",
        /// The server does not relay for this client.
        Relay = "relay",
        /// The certificate is not trusted or not for this name.
        Certificate = "certificate",
        /// The name does not resolve.
        Name = "name",
        /// Nothing arrived in the mailbox.
        Mailbox = "mailbox",
    }
}

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

record! {
    /// `link: pc0`, `link: { node: pc0, network: lan }`.
    pub struct Link {
        /// The node.
        pub node: String,
        /// One of its networks; all of them where absent.
        #[serde(default)] pub network: Option<String>,
        /// Up (the default) or down.
        #[serde(default = "yes")] pub up: bool = true,
    }
    short(node, decoder) { Some(Self { node: crate::decode::Decode::decode(node, decoder)?, network: None, up: true }) }
}

record! {
    /// `address: { node: pc0, is: 192.168.1.4/24 }`.
    pub struct Address {
        /// The node.
        pub node: String,
        /// One of its networks; its first where absent.
        #[serde(default)] pub network: Option<String>,
        /// The address it must have, with or without prefix length; the lab's own where absent.
        #[serde(default)] pub is: Option<String>,
        /// A subnet or a range `A - B` it must lie in.
        #[serde(default)] pub inside: Option<String>,
        /// The default gateway it must have.
        #[serde(default)] pub gateway: Option<String>,
        /// The DNS servers it must have.
        #[serde(default)] pub dns: List<String>,
    }
    short(node, decoder) { Some(Self { node: crate::decode::Decode::decode(node, decoder)?, network: None, is: None, inside: None, gateway: None, dns: List::default() }) }
}

record! {
    /// `lease: { node: pc-b1, from: r1 }`.
    pub struct Lease {
        /// The node.
        pub node: String,
        /// One of its networks; its first with DHCP where absent.
        #[serde(default)] pub network: Option<String>,
        /// The node whose DHCP server gave it.
        #[serde(default)] pub from: Option<String>,
        /// The subnet or range `A - B` it must lie in.
        #[serde(default)] pub pool: Option<String>,
        /// The default router it brings.
        #[serde(default)] pub router: Option<String>,
        /// The DNS servers it brings.
        #[serde(default)] pub dns: List<String>,
        /// The domain it brings.
        #[serde(default)] pub domain: Option<String>,
        /// Its duration.
        #[serde(default)] pub seconds: Option<u32>,
        /// Further options by number, as text.
        #[serde(default)] pub options: Map<String>,
    }
    short(node, decoder) { Some(Self { node: crate::decode::Decode::decode(node, decoder)?, network: None, from: None, pool: None, router: None, dns: List::default(), domain: None, seconds: None, options: Map::default() }) }
}

record! {
    /// `ping: { from: pc0, to: mail.com }`.
    pub struct Ping {
        /// The node that asks.
        pub from: String,
        /// A node, an address or a name.
        pub to: String,
        /// How many echoes; all but one must be answered where more than one.
        #[serde(default = "one")] pub count: u32 = 1,
        /// Bytes of payload.
        #[serde(default)] pub size: Option<u16>,
    }
}

record! {
    /// `route: { node: r1, to: 192.168.30.0/24, via: 10.0.0.2 }`.
    pub struct Route {
        /// The node.
        pub node: String,
        /// The destination: a subnet, a network's name, or `default`.
        pub to: String,
        /// The next hop: an address or a node.
        #[serde(default)] pub via: Option<String>,
        /// Whether there must be one; `false` asks that there is none.
        #[serde(default = "yes")] pub present: bool = true,
    }
}

record! {
    /// `trace: { from: pc-b1, to: web, through: [r1, r2] }`.
    pub struct Trace {
        /// The node that asks.
        pub from: String,
        /// A node, an address or a name.
        pub to: String,
        /// Nodes or addresses that must be passed, in this order.
        #[serde(default)] pub through: List<String>,
        /// Nodes or addresses that must not be passed.
        #[serde(default)] pub avoid: List<String>,
        /// How many hops, the destination counted.
        #[serde(default)] pub hops: Option<u8>,
    }
}

record! {
    /// `arp: { from: pc0, to: pc1 }`: the address of `to` is answered with the MAC of `to`.
    pub struct Arp {
        /// The node that asks.
        pub from: String,
        /// A node on the same network, or an address.
        pub to: String,
        /// The node whose MAC must answer; `to` itself where absent.
        #[serde(default)] pub is: Option<String>,
    }
}

words! {
    /// What a DNS reply must say.
    pub enum DnsStatus {
        /// An answer.
        Noerror = "noerror",
        /// The name does not exist.
        Nxdomain = "nxdomain",
        /// The server failed.
        Servfail = "servfail",
        /// The server refused.
        Refused = "refused",
        /// The name exists, without this type.
        Nodata = "nodata",
    }
}

words! {
    /// A transport protocol.
    pub enum Transport {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
    }
}

record! {
    /// `dns: { from: pc0, name: mail.com, type: MX, answer: 10 mail.com. }`.
    pub struct Dns {
        /// The node that asks.
        pub from: String,
        /// The name; an address for a reverse look-up.
        pub name: String,
        /// The record type: `A`, `MX`, `PTR`, …
        #[serde(default = "type_a")] pub r#type: String = type_a(),
        /// The server asked: a node or an address; the node's own resolver where absent.
        #[serde(default)] pub server: Option<String>,
        /// The data of the records, as in a zone file, in any order; any where empty.
        #[serde(default)] pub answer: List<String>,
        /// Whether the reply must be authoritative (or must not).
        #[serde(default)] pub authoritative: Option<bool>,
        /// The reply's status.
        #[serde(default = "noerror")] pub status: DnsStatus = DnsStatus::Noerror,
        /// Asked over UDP (then TCP when truncated) or TCP.
        #[serde(default = "udp")] pub transport: Transport = Transport::Udp,
    }
}

words! {
    /// What a port does.
    pub enum PortState {
        /// It accepts.
        Open = "open",
        /// It refuses (TCP reset, ICMP port unreachable).
        Refused = "refused",
        /// It does not answer (filtered).
        Silent = "silent",
    }
}

record! {
    /// `port: { from: pc0, to: mail, port: 25 }`.
    pub struct Port {
        /// The node that asks.
        pub from: String,
        /// A node, an address or a name.
        pub to: String,
        /// The port's number.
        pub port: u16,
        /// `tcp` or `udp`.
        #[serde(default = "tcp")] pub transport: Transport = Transport::Tcp,
        /// What it must do.
        #[serde(default = "open")] pub state: PortState = PortState::Open,
        /// What the server's first line must contain.
        #[serde(default)] pub banner: Option<String>,
    }
}

record! {
    /// `http: { from: pc0, url: "http://www.mastertech.com/", contains: MasterTech }`.
    pub struct Http {
        /// The node that asks.
        pub from: String,
        /// The address of the page.
        pub url: String,
        /// The status of the reply.
        #[serde(default = "ok")] pub status: u16 = 200,
        /// What the page must contain.
        #[serde(default)] pub contains: List<String>,
        /// Header lines that must be there.
        #[serde(default)] pub headers: Map<String>,
        /// Whether the server's certificate must be trusted and for this name.
        #[serde(default = "yes")] pub verify: bool = true,
    }
}

words! {
    /// By what mail is fetched.
    pub enum MailFetch {
        /// POP3.
        Pop3 = "pop3",
        /// IMAP.
        Imap = "imap",
        /// Both, one after the other.
        Both = "both",
        /// Not at all: only sending is tried.
        None = "none",
    }
}

words! {
    /// How a mail connection is protected.
    pub enum Security {
        /// Not at all.
        Plain = "plain",
        /// By STARTTLS.
        Starttls = "starttls",
        /// By TLS from the first byte.
        Tls = "tls",
    }
}

record! {
    /// `mail: { from: pc0, to: pc1, fetch: pop3 }`.
    pub struct Mail {
        /// The node that sends, with its own mail settings.
        pub from: String,
        /// Nodes with mail settings, or mail addresses. Nodes fetch.
        pub to: List<String>,
        /// How recipients fetch; as their settings say where absent.
        #[serde(default)] pub fetch: Option<MailFetch>,
        /// Recipients answer, and the sender fetches the answer.
        #[serde(default)] pub reply: bool = false,
        /// The port to send by; by `security` (25, 587, 465) where absent.
        #[serde(default)] pub port: Option<u16>,
        /// How the connection is protected; as the settings say where absent.
        #[serde(default)] pub security: Option<Security>,
        /// Whether the sender logs in; where absent, when the server offers it.
        #[serde(default)] pub login: Option<bool>,
        /// A password other than the settings' (a wrong one, for example).
        #[serde(default)] pub password: Option<String>,
        /// The envelope sender and `From:` other than the settings' address.
        #[serde(default)] pub sender: Option<String>,
        /// The server to send to other than the settings'; a node, an address or a name.
        #[serde(default)] pub server: Option<String>,
        /// An attachment of so many bytes must arrive unchanged.
        #[serde(default)] pub attachment: Option<u64>,
        /// The subject; labctl adds a nonce.
        #[serde(default)] pub subject: Option<String>,
        /// The text.
        #[serde(default)] pub body: Option<String>,
        /// Further `text` that the fetched message must contain (headers included).
        #[serde(default)] pub contains: List<String>,
    }
}

record! {
    /// `imap: { devices: [pc0, phone] }`: one mailbox, seen and deleted on all devices.
    pub struct Imap {
        /// Nodes; the first one's mail settings are the account on all of them.
        pub devices: List<String>,
        /// A message read on the first device is read on the others.
        #[serde(default = "yes")] pub seen: bool = true,
        /// A message deleted on the first device is gone on the others.
        #[serde(default = "yes")] pub deleted: bool = true,
        /// A folder made on the first device is there on the others.
        #[serde(default)] pub folders: bool = false,
    }
}

record! {
    /// `pop3: { node: pc0, keep: false }`: whether a fetched message is gone afterwards.
    pub struct Pop3 {
        /// The node that fetches.
        pub node: String,
        /// Whether it leaves the messages on the server.
        #[serde(default)] pub keep: bool = false,
    }
}

record! {
    /// `queue: { node: mail, messages: 0 }`.
    pub struct Queue {
        /// The mail server.
        pub node: String,
        /// How many messages wait.
        #[serde(default)] pub messages: u32 = 0,
        /// Only those to this address or domain.
        #[serde(default)] pub to: Option<String>,
    }
    short(node, decoder) { Some(Self { node: crate::decode::Decode::decode(node, decoder)?, messages: 0, to: None }) }
}

record! {
    /// `transcript: { node: mail, protocol: smtp, contains: ["MAIL FROM:<client1@mail.com>", "250"] }`.
    pub struct Transcript {
        /// The server.
        pub node: String,
        /// `smtp`, `pop3` or `imap`.
        pub protocol: String,
        /// The client's node, where it matters.
        #[serde(default)] pub client: Option<String>,
        /// Texts in the lines of one session, in this order.
        pub contains: List<String>,
        /// Texts that no line may contain.
        #[serde(default)] pub lacks: List<String>,
    }
}

record! {
    /// `ports: { node: pc0, network: lan, seen: [tcp/25, tcp/110], during: { mail: { from: pc0, to: pc1 } } }`.
    pub struct Ports {
        /// The node whose link is listened on.
        pub node: String,
        /// Which link; the node's first where absent.
        #[serde(default)] pub network: Option<String>,
        /// `tcp/25`, `udp/53`, … that must be seen.
        pub seen: List<String>,
        /// Those that must not be seen.
        #[serde(default)] pub unseen: List<String>,
        /// What is done meanwhile.
        pub during: Box<Kind>,
    }
}

record! {
    /// `exec: { node: pc0, command: "nslookup mail.com", contains: 192.168.1.2 }`: the last resort.
    pub struct Exec {
        /// The node.
        pub node: String,
        /// The command: a line that is split at blanks (quotes are understood), or a list.
        pub command: List<String>,
        /// Its exit code.
        #[serde(default)] pub code: i32 = 0,
        /// What its output must contain.
        #[serde(default)] pub contains: List<String>,
        /// What its output must not contain.
        #[serde(default)] pub lacks: List<String>,
    }
}

/// An ordered list of actions and checks; the lab is put back as it was at its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is called in reports; unique in the lab.
    pub name: String,
    /// What it is worth when every step is as expected; 0 where the author said nothing.
    #[serde(default)]
    pub points: f64,
    /// The heading it stands under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Names of checks that must pass first.
    #[serde(default, skip_serializing_if = "empty")]
    pub needs: List<String>,
    /// What the author tells a student whose scenario fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The line of the lab file it stands on.
    #[serde(default)]
    pub line: usize,
}

/// One step of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What it is called in reports; made from the action where the author gave none.
    pub name: String,
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
    /// For `check` and `until`: what counts as passing.
    #[serde(default, skip_serializing_if = "Expect::is_pass")]
    pub expect: Expect,
    /// For `check` and `until`: the deadline; `until` reports the time it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Seconds>,
    /// The line of the lab file it stands on.
    #[serde(default)]
    pub line: usize,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Switches a service or one protocol off: `off: mail.smtp`, `off: dns`.
    Off(Service),
    /// Switches it on.
    On(Service),
    /// Pulls a cable: `down: pc0:lan`.
    Down(Plug),
    /// Plugs it in.
    Up(Plug),
    /// Stops a node.
    Stop(String),
    /// Starts a node.
    Start(String),
    /// Restarts a node.
    Restart(String),
    /// Makes a link bad; without loss, delay and rate it is made good again.
    Impair(Impair),
    /// Adds a mail user (or changes its password).
    AddUser(AddUser),
    /// Removes a mail user.
    RemoveUser(RemoveUser),
    /// Adds or removes a DNS record.
    Record(Record),
    /// Gives an interface another address.
    Address(SetAddress),
    /// Lines for a router's console.
    Ios(IosLines),
    /// Tries something now.
    Check(Box<Tried>),
    /// Tries something again and again until it is as expected; the time is measured.
    Until(Box<Tried>),
}

/// What a `check:` or `until:` step tries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tried {
    /// A check of the lab, by its name.
    Named(String),
    /// One of its own.
    Kind(Kind),
}

/// A service of a node, or one protocol of it: in a lab file `mail.smtp` or `dns`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The node.
    pub node: String,
    /// `mail`, `dns`, `dhcp` or `web`.
    pub service: String,
    /// `smtp`, `pop3`, …; the whole service where absent.
    #[serde(default)]
    pub protocol: Option<String>,
}

/// A node's interface on a network: in a lab file `pc0:lan`, or `pc0` where it has one link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plug {
    /// The node.
    pub node: String,
    /// The network.
    pub network: String,
}

/// `impair: { link: pc0:lan, loss: 10%, delay: 50ms, rate: 1mbit }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Impair {
    /// The link.
    pub link: Plug,
    /// Share of frames lost, 0 to 1.
    #[serde(default)]
    pub loss: Option<f64>,
    /// Delay in milliseconds.
    #[serde(default)]
    pub delay_ms: Option<u64>,
    /// Bits a second.
    #[serde(default)]
    pub rate_bps: Option<u64>,
}

record! {
    /// `add_user: { node: mail, user: client3, password: admin }`.
    pub struct AddUser {
        /// The mail server.
        pub node: String,
        /// The user, with `@domain` where the server has several.
        pub user: String,
        /// The password.
        pub password: String,
    }
}

record! {
    /// `remove_user: { node: mail, user: client2 }`.
    pub struct RemoveUser {
        /// The mail server.
        pub node: String,
        /// The user, with `@domain` where the server has several.
        pub user: String,
    }
}

record! {
    /// `record: { node: dns, add: mail.com. A 192.168.1.9, remove: mail.com. A 192.168.1.2 }`.
    pub struct Record {
        /// The DNS server.
        pub node: String,
        /// Records to add, in master-file notation.
        #[serde(default)] pub add: List<String>,
        /// Records to remove; without data, all of that name and type.
        #[serde(default)] pub remove: List<String>,
    }
}

/// `address: { link: pc0:lan, is: 192.168.2.4/24 }` (or `is: dhcp`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetAddress {
    /// The link.
    pub link: Plug,
    /// An address with its prefix length, or `dhcp`, or `none`.
    pub is: String,
}

record! {
    /// `ios: { node: r1, lines: "no router rip" }`.
    pub struct IosLines {
        /// The router.
        pub node: String,
        /// The lines, as typed in configuration mode.
        pub lines: String,
    }
}

words! {
    /// The layers of an explanation, from the bottom: the first broken one is named.
    pub enum Layer {
        /// The node runs.
        Node = "node",
        /// Its link is up.
        Link = "link",
        /// It has its address (mask, gateway).
        Address = "address",
        /// There is a way.
        Route = "route",
        /// The neighbour answers.
        Arp = "arp",
        /// The name resolves.
        Name = "name",
        /// The port is open.
        Port = "port",
        /// The server greets.
        Banner = "banner",
        /// The login is accepted.
        Login = "login",
        /// The server's reply is good.
        Reply = "reply",
        /// The message is in the mailbox.
        Mailbox = "mailbox",
    }
}

/// A wrong variant of the lab, and what labctl must find: how an author tests a lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrong {
    /// What is wrong, as a title.
    pub name: String,
    /// A merge patch (RFC 7396) on the lab file: `null` removes. Applied by
    /// [`crate::Lab::patched`].
    #[serde(default)]
    pub patch: serde_json::Value,
    /// Actions after the lab is up.
    #[serde(default, rename = "do")]
    pub actions: Vec<Step>,
    /// The points that are still earned.
    #[serde(default)]
    pub earned: Option<f64>,
    /// The checks that fail (`fail` or `blocked`): exactly these, where the list is not empty.
    #[serde(default)]
    pub fails: List<String>,
    /// The first broken layer that the first failing check's explanation names.
    #[serde(default)]
    pub layer: Option<Layer>,
    /// A text that the explanation contains.
    #[serde(default)]
    pub says: Option<String>,
    /// The line of the lab file it stands on.
    #[serde(default)]
    pub line: usize,
}

fn yes() -> bool {
    true
}
fn one() -> u32 {
    1
}
fn ok() -> u16 {
    200
}
fn type_a() -> String {
    "A".to_owned()
}
fn noerror() -> DnsStatus {
    DnsStatus::Noerror
}
fn udp() -> Transport {
    Transport::Udp
}
fn tcp() -> Transport {
    Transport::Tcp
}
fn open() -> PortState {
    PortState::Open
}
fn empty(list: &List<String>) -> bool {
    list.0.is_empty()
}
