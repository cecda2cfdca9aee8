//! What the steps of a scenario do.

use serde::{Deserialize, Serialize};

use super::kind::title;
use super::read::{field, known};
use super::scenario::{STEP_FIELDS, Tried, tried};
use crate::decode::{Decode, Decoder, List, record, suggestion};
use crate::diagnostic::Problem;
use crate::units::{Seconds, rate, share};
use crate::yaml::{Key, Node};

/// The actions of a step.
pub(super) const ACTIONS: &[&str] = &[
    "off",
    "on",
    "down",
    "up",
    "stop",
    "start",
    "restart",
    "impair",
    "add_user",
    "remove_user",
    "record",
    "address",
    "ios",
    "check",
    "until",
];

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

/// Reads an action by its word.
pub(super) fn action(key: &Key, value: &Node, decoder: &mut Decoder<'_>) -> Option<Action> {
    Some(match key.name.as_str() {
        "off" => Action::Off(Decode::decode(value, decoder)?),
        "on" => Action::On(Decode::decode(value, decoder)?),
        "down" => Action::Down(Decode::decode(value, decoder)?),
        "up" => Action::Up(Decode::decode(value, decoder)?),
        "stop" => Action::Stop(Decode::decode(value, decoder)?),
        "start" => Action::Start(Decode::decode(value, decoder)?),
        "restart" => Action::Restart(Decode::decode(value, decoder)?),
        "impair" => Action::Impair(Decode::decode(value, decoder)?),
        "add_user" => Action::AddUser(Decode::decode(value, decoder)?),
        "remove_user" => Action::RemoveUser(Decode::decode(value, decoder)?),
        "record" => Action::Record(Decode::decode(value, decoder)?),
        "address" => Action::Address(Decode::decode(value, decoder)?),
        "ios" => Action::Ios(IosLines::decode(value, decoder)?),
        "check" => Action::Check(Box::new(tried(value, decoder)?)),
        "until" => Action::Until(Box::new(tried(value, decoder)?)),
        other => {
            decoder.problems.push(
                Problem::error(
                    "check::unknown-action",
                    key.span,
                    format!("there is no action `{other}`"),
                )
                .help(suggestion(other, ACTIONS.iter().chain(STEP_FIELDS).copied())),
            );
            return None;
        }
    })
}

/// A name for a step whose author gave none.
pub(super) fn describe(action: &Action) -> String {
    let plug = |plug: &Plug| {
        if plug.network.is_empty() {
            plug.node.clone()
        } else {
            format!("{}:{}", plug.node, plug.network)
        }
    };
    let service = |s: &Service| match (&s.protocol, s.service.as_str()) {
        (Some(protocol), _) => format!("{}.{protocol}", s.node),
        (None, service) => format!("{}.{service}", s.node),
    };
    match action {
        Action::Off(s) => format!("switch {} off", service(s)),
        Action::On(s) => format!("switch {} on", service(s)),
        Action::Down(p) => format!("unplug {}", plug(p)),
        Action::Up(p) => format!("plug in {}", plug(p)),
        Action::Stop(node) => format!("stop {node}"),
        Action::Start(node) => format!("start {node}"),
        Action::Restart(node) => format!("restart {node}"),
        Action::Impair(i) => format!("impair {}", plug(&i.link)),
        Action::AddUser(u) => format!("add the user {} to {}", u.user, u.node),
        Action::RemoveUser(u) => format!("remove the user {} from {}", u.user, u.node),
        Action::Record(r) => format!("change the records of {}", r.node),
        Action::Address(a) => format!("give {} the address {}", plug(&a.link), a.is),
        Action::Ios(i) => format!("type at the console of {}", i.node),
        Action::Check(t) | Action::Until(t) => match &**t {
            Tried::Named(name) => name.clone(),
            Tried::Kind(kind) => title(kind),
        },
    }
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

impl Decode for Service {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Some(text) = node.text() else {
            return decoder.expected(node, "a node's service", "mail.smtp");
        };
        if let Some((front, back)) = text.split_once(':') {
            return decoder.refuse(
                node,
                "check::unknown-service",
                format!("`{text}` is no service of a node"),
                format!("a dot stands between them: `{front}.{}`", back.trim()),
            );
        }
        // The service itself is known once the node is: `Lab` fills it in.
        let mut parts = text.splitn(3, '.');
        let name = parts.next().unwrap_or_default().to_owned();
        Some(match (parts.next(), parts.next()) {
            (None, _) => Self { node: name, service: String::new(), protocol: None },
            (Some(one), None) => match service_of(one) {
                Some(service) if service != one => {
                    Self { node: name, service: service.to_owned(), protocol: Some(one.to_owned()) }
                }
                Some(service) => Self { node: name, service: service.to_owned(), protocol: None },
                None => {
                    return decoder.refuse(
                        node,
                        "check::unknown-service",
                        format!("there is no service or protocol `{one}`"),
                        suggestion(one, SERVICE_WORDS.iter().copied()),
                    );
                }
            },
            (Some(service), Some(protocol)) => Self {
                node: name,
                service: service.to_owned(),
                protocol: Some(protocol.to_owned()),
            },
        })
    }
}

/// The words that may stand after a node's name.
pub(crate) const SERVICE_WORDS: &[&str] = &[
    "mail",
    "smtp",
    "submission",
    "smtps",
    "pop3",
    "pop3s",
    "imap",
    "imaps",
    "dns",
    "dhcp",
    "web",
    "http",
    "https",
];

/// The service that a protocol belongs to.
pub(crate) fn service_of(word: &str) -> Option<&'static str> {
    Some(match word {
        "mail" | "smtp" | "submission" | "smtps" | "submissions" | "pop3" | "pop3s" | "imap"
        | "imaps" => "mail",
        "dns" => "dns",
        "dhcp" => "dhcp",
        "web" | "http" | "https" => "web",
        _ => return None,
    })
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

impl Decode for Plug {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text() {
            Some(text) => {
                let (name, network) = text.split_once(':').unwrap_or((text, ""));
                Some(Self { node: name.to_owned(), network: network.to_owned() })
            }
            None => decoder.expected(node, "a link", "pc0:lan"),
        }
    }
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

impl Decode for Impair {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if node.text().is_some() {
            return Some(Self {
                link: Plug::decode(node, decoder)?,
                loss: None,
                delay_ms: None,
                rate_bps: None,
            });
        }
        let mut complete =
            known(node, &["link", "loss", "delay", "rate"], "a link and how bad it is", decoder)?;
        let link = field::<Plug>(node, "link", decoder, &mut complete);
        let delay: Option<Seconds> = field(node, "delay", decoder, &mut complete);
        let mut quantity = |name: &str, what: &str, example: &str, good: &dyn Fn(&str) -> bool| {
            let at = node.get(name)?;
            let text = at.text().filter(|text| good(text));
            if text.is_none() {
                decoder.expected::<()>(at, what, example);
                complete = false;
            }
            text.map(str::to_owned)
        };
        let loss = quantity("loss", "a share from 0 to 100%", "10%", &|text| share(text).is_some());
        let bits = quantity("rate", "a rate", "1mbit", &|text| rate(text).is_some());
        let Some(link) = link else {
            return decoder.refuse(
                node,
                "yaml::missing-field",
                "the field `link` is missing",
                "add `link: pc0:lan`",
            );
        };
        complete.then(|| Self {
            link,
            loss: loss.as_deref().and_then(share),
            delay_ms: delay.map(Seconds::millis),
            rate_bps: bits.as_deref().and_then(rate),
        })
    }
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

impl Decode for SetAddress {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let mut complete = known(node, &["link", "is"], "a link and its address", decoder)?;
        let link = field::<Plug>(node, "link", decoder, &mut complete);
        let is = field::<String>(node, "is", decoder, &mut complete);
        let (Some(link), Some(is)) = (link, is) else {
            return decoder.expected(
                node,
                "a link and its address",
                "address: { link: pc0:lan, is: 192.168.2.4/24 }",
            );
        };
        if !matches!(is.as_str(), "dhcp" | "none") && is.parse::<ipnet::Ipv4Net>().is_err() {
            return decoder.refuse(
                node.get("is").unwrap_or(node),
                "net::address",
                format!("`{is}` is not an address with its prefix length"),
                "for example 192.168.2.4/24, or dhcp, or none",
            );
        }
        complete.then_some(Self { link, is })
    }
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
