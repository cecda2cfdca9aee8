//! How checks, scenarios and wrong variants are read from a lab file.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use crate::check::{
    Action, Check, Expect, Impair, IosLines, Kind, Plug, Refusal, Scenario, Service, SetAddress,
    Step, Tried, Way, Wrong,
};
use crate::decode::{Decode, Decoder, List, suggestion};
use crate::diagnostic::Problem;
use crate::units::{Seconds, rate, share};
use crate::yaml::{Key, Node, Value};

/// The fields of a check beside its kind.
const CHECK_FIELDS: &[&str] = &["name", "points", "group", "needs", "within", "hint", "expect"];
/// The fields of a step beside its action.
const STEP_FIELDS: &[&str] = &["name", "expect", "within"];
/// The actions of a step.
const ACTIONS: &[&str] = &[
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

/// Reads a field of a mapping; `default` where it is absent or wrong (and reported).
fn field<T: Decode>(
    node: &Node,
    name: &str,
    decoder: &mut Decoder<'_>,
    complete: &mut bool,
) -> Option<T> {
    match node.get(name) {
        Some(value) => {
            let read = T::decode(value, decoder);
            *complete &= read.is_some();
            read
        }
        None => None,
    }
}

fn kind(key: &Key, value: &Node, decoder: &mut Decoder<'_>) -> Option<Kind> {
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
        "exec" => {
            let mut exec: crate::check::Exec = Decode::decode(value, decoder)?;
            if let [line] = exec.command.as_slice() {
                let at = value.get("command").unwrap_or(value);
                match split(line) {
                    Some(words) if !words.is_empty() => exec.command = words.into(),
                    _ => {
                        return decoder.refuse(
                            at,
                            "check::command",
                            format!("`{line}` is not a command line"),
                            "a quote is not closed, or there is no word",
                        );
                    }
                }
            }
            Kind::Exec(exec)
        }
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

/// Splits a command line at blanks; `'…'` and `"…"` hold words together.
fn split(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut open, mut quote) = (Vec::new(), String::new(), false, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => (quote, open) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if open {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (_, c) => {
                word.push(c);
                open = true;
            }
        }
    }
    if open {
        words.push(word);
    }
    quote.is_none().then_some(words)
}

impl Decode for Kind {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.entries() {
            [(key, value)] => kind(key, value, decoder),
            _ => decoder.expected(node, "one check", "ping: { from: pc0, to: pc1 }"),
        }
    }
}

/// The one key of a mapping that is none of `known`, with its value.
fn single<'n>(
    node: &'n Node,
    known: &[&str],
    what: &str,
    choices: &[&str],
    decoder: &mut Decoder<'_>,
) -> Option<(&'n Key, &'n Node)> {
    let Value::Map(entries) = &node.value else {
        return decoder.expected(node, &format!("a {what}, a mapping"), "");
    };
    let mut rest = entries.iter().filter(|(key, _)| !known.contains(&key.name.as_str()));
    let Some((key, value)) = rest.next() else {
        return decoder.refuse(
            node,
            "check::nothing-to-do",
            format!("this {what} does not say what is tried or done"),
            format!("give one of: {}", choices.join(", ")),
        );
    };
    let mut complete = true;
    for (other, _) in rest {
        complete = false;
        let (code, message, help) = if choices.contains(&other.name.as_str()) {
            (
                "check::two-kinds",
                format!("this {what} has both `{}` and `{}`", key.name, other.name),
                format!("a {what} is one thing: write a second one"),
            )
        } else {
            (
                "yaml::unknown-field",
                format!("there is no field `{}` here", other.name),
                suggestion(&other.name, choices.iter().chain(known).copied()),
            )
        };
        decoder.problems.push(Problem::error(code, other.span, message).help(help));
    }
    // The unknown field may stand before the real one.
    if !complete && !choices.contains(&key.name.as_str()) {
        decoder.problems.push(
            Problem::error(
                "yaml::unknown-field",
                key.span,
                format!("there is no field `{}` here", key.name),
            )
            .help(suggestion(&key.name, choices.iter().chain(known).copied())),
        );
    }
    complete.then_some((key, value))
}

impl Decode for Check {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let (key, value) = single(node, CHECK_FIELDS, "check", Kind::WORDS, decoder)?;
        let kind = kind(key, value, decoder);
        let mut complete = kind.is_some();
        let points = field::<f64>(node, "points", decoder, &mut complete).unwrap_or(1.0);
        if !(0.0..=10_000.0).contains(&points)
            && let Some(at) = node.get("points")
        {
            decoder.refuse::<()>(at, "check::points", "points are from 0 to 10000", "");
            complete = false;
        }
        let name = field::<String>(node, "name", decoder, &mut complete);
        let group = field(node, "group", decoder, &mut complete);
        let needs = field(node, "needs", decoder, &mut complete).unwrap_or_default();
        let within = field(node, "within", decoder, &mut complete);
        let hint = field(node, "hint", decoder, &mut complete);
        let expect = field(node, "expect", decoder, &mut complete).unwrap_or_default();
        let kind = kind?;
        complete.then(|| Self {
            name: name.unwrap_or_else(|| title(&kind)),
            points,
            group,
            needs,
            within,
            hint,
            expect,
            derived: false,
            line: decoder.line(node),
            kind,
        })
    }
}

/// A name for a check whose author gave none.
pub(crate) fn title(kind: &Kind) -> String {
    match kind {
        Kind::Link(c) => format!("{} is plugged in", c.node),
        Kind::Address(c) => format!("{} has its address", c.node),
        Kind::Lease(c) => format!("{} has a lease", c.node),
        Kind::Ping(c) => format!("{} pings {}", c.from, c.to),
        Kind::Route(c) => format!("{} has a route to {}", c.node, c.to),
        Kind::Trace(c) => format!("the way from {} to {}", c.from, c.to),
        Kind::Arp(c) => format!("{} finds {} by ARP", c.from, c.to),
        Kind::Dns(c) => format!("{} looks up {} {}", c.from, c.name, c.r#type),
        Kind::Port(c) => format!("{} tries {}/{} of {}", c.from, c.transport, c.port, c.to),
        Kind::Http(c) => format!("{} fetches {}", c.from, c.url),
        Kind::Mail(c) => format!("{} mails {}", c.from, c.to.join(", ")),
        Kind::Imap(c) => format!("one mailbox on {}", c.devices.join(", ")),
        Kind::Pop3(c) => format!("{} fetches by POP3", c.node),
        Kind::Queue(c) => format!("the queue of {}", c.node),
        Kind::Transcript(c) => format!("the {} transcript of {}", c.protocol, c.node),
        Kind::Ports(c) => format!("ports seen at {}", c.node),
        Kind::Exec(c) => format!("{} runs {}", c.node, c.command.join(" ")),
    }
}

impl Decode for Expect {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        const WORDS: &[&str] = &["pass", "fail", "unreachable", "silent", "refused", "fetch"];
        let example = "expect: { refused: 550 }";
        if let Some(text) = node.text() {
            return match text {
                "pass" => Some(Self::Pass),
                "fail" => Some(Self::Fail),
                "unreachable" | "blocked" => Some(Self::Unreachable),
                "silent" => Some(Self::Silent),
                "refused" => Some(Self::Refused(Refusal::Way(Way::Any))),
                other => decoder.refuse(
                    node,
                    "check::expect",
                    format!("`{other}` cannot be expected"),
                    suggestion(other, WORDS.iter().copied()),
                ),
            };
        }
        match node.entries() {
            [(key, value)] if key.name == "refused" => {
                Decode::decode(value, decoder).map(Self::Refused)
            }
            [(key, value)] if key.name == "fetch" => {
                Decode::decode(value, decoder).map(Self::Fetch)
            }
            [(key, _)] => decoder.refuse(
                node,
                "check::expect",
                format!("`{}` cannot be expected", key.name),
                suggestion(&key.name, WORDS.iter().copied()),
            ),
            _ => decoder.expected(node, "what is expected", example),
        }
    }
}

impl Decode for Refusal {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if let Some(code) = node.text().and_then(|text| text.parse::<u16>().ok()) {
            return match code {
                300..=599 => Some(Self::Code(code)),
                _ => decoder.refuse(
                    node,
                    "check::expect",
                    format!("{code} is not the code of a refusal"),
                    "codes of refusals are from 300 to 599",
                ),
            };
        }
        Way::decode(node, decoder).map(Self::Way)
    }
}

impl Decode for Scenario {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        const FIELDS: &[&str] = &["name", "points", "group", "needs", "hint", "steps"];
        let mut complete = known(node, FIELDS, "a scenario with name and steps", decoder)?;
        let name = field::<String>(node, "name", decoder, &mut complete);
        let points = field(node, "points", decoder, &mut complete).unwrap_or(0.0);
        let group = field(node, "group", decoder, &mut complete);
        let needs = field(node, "needs", decoder, &mut complete).unwrap_or_default();
        let hint = field(node, "hint", decoder, &mut complete);
        let steps: Option<List<Step>> = field(node, "steps", decoder, &mut complete);
        if node.get("steps").is_none_or(|steps| steps.items().is_empty()) {
            return decoder.refuse(
                node,
                "yaml::missing-field",
                "the scenario has no steps",
                "add `steps: [{ off: mail.smtp }, …]`",
            );
        }
        let steps = steps?;
        complete.then(|| Self {
            name: name.unwrap_or_else(|| "scenario".to_owned()),
            points,
            group,
            needs,
            hint,
            steps: steps.0,
            line: decoder.line(node),
        })
    }
}

/// Refuses fields that are not known; `None` where the node is no mapping.
fn known(node: &Node, fields: &[&str], what: &str, decoder: &mut Decoder<'_>) -> Option<bool> {
    let Value::Map(entries) = &node.value else {
        return decoder.expected(node, what, "");
    };
    let mut complete = true;
    for (key, _) in entries.iter().filter(|(key, _)| !fields.contains(&key.name.as_str())) {
        complete = false;
        decoder.problems.push(
            Problem::error(
                "yaml::unknown-field",
                key.span,
                format!("there is no field `{}` here", key.name),
            )
            .help(suggestion(&key.name, fields.iter().copied())),
        );
    }
    Some(complete)
}

impl Decode for Step {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let (key, value) = single(node, STEP_FIELDS, "step", ACTIONS, decoder)?;
        let mut complete = true;
        let action = action(key, value, decoder);
        let name = field::<String>(node, "name", decoder, &mut complete);
        let mut expect = field(node, "expect", decoder, &mut complete).unwrap_or_default();
        let mut within: Option<Seconds> = field(node, "within", decoder, &mut complete);
        // `check: { mail: …, expect: … }`: what stands inside counts as well.
        if matches!(key.name.as_str(), "check" | "until") {
            if let Some(inner) = field(value, "expect", decoder, &mut complete) {
                expect = inner;
            }
            if let Some(inner) = field(value, "within", decoder, &mut complete) {
                within = Some(inner);
            }
        } else if let Some((key, _)) = node.entry("expect").or_else(|| node.entry("within")) {
            decoder.problems.push(
                Problem::error(
                    "check::expect",
                    key.span,
                    format!("`{}` belongs to `check` and `until` steps", key.name),
                )
                .help("write a `check` step after this one"),
            );
            complete = false;
        }
        let action = action?;
        complete.then(|| Self {
            name: name.unwrap_or_else(|| describe(&action)),
            action,
            expect,
            within,
            line: decoder.line(node),
        })
    }
}

fn action(key: &Key, value: &Node, decoder: &mut Decoder<'_>) -> Option<Action> {
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

fn tried(node: &Node, decoder: &mut Decoder<'_>) -> Option<Tried> {
    if let Some(name) = node.text() {
        return Some(Tried::Named(name.to_owned()));
    }
    let (key, value) = single(node, &["expect", "within"], "check", Kind::WORDS, decoder)?;
    kind(key, value, decoder).map(Tried::Kind)
}

fn describe(action: &Action) -> String {
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

impl Decode for Service {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Some(text) = node.text() else {
            return decoder.expected(node, "a node's service", "mail.smtp");
        };
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

impl Decode for Wrong {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        const FIELDS: &[&str] = &["name", "patch", "do", "earned", "fails", "layer", "says"];
        let mut complete = known(node, FIELDS, "a wrong variant with name and patch", decoder)?;
        let name = field::<String>(node, "name", decoder, &mut complete);
        let actions: Option<List<Step>> = field(node, "do", decoder, &mut complete);
        let earned = field(node, "earned", decoder, &mut complete);
        let fails = field(node, "fails", decoder, &mut complete).unwrap_or_default();
        let layer = field(node, "layer", decoder, &mut complete);
        let says = field(node, "says", decoder, &mut complete);
        let patch = node.get("patch").map_or(serde_json::Value::Null, Node::to_json);
        if patch.is_null() && node.get("do").is_none() {
            return decoder.refuse(
                node,
                "check::nothing-to-do",
                "this wrong variant changes nothing",
                "give a `patch:` or `do:` steps",
            );
        }
        let Some(name) = name else {
            return decoder.refuse(
                node,
                "yaml::missing-field",
                "the field `name` is missing",
                "add `name: …`",
            );
        };
        complete.then(|| Self {
            name,
            patch,
            actions: actions.unwrap_or_default().0,
            earned,
            fails,
            layer,
            says,
            line: decoder.line(node),
        })
    }
}

/// A schema of a mapping with the fields of `fixed` and exactly one of `choices`.
fn choice_schema(
    fixed: &[(&str, Schema)],
    choices: Vec<(&str, Schema)>,
    description: &str,
) -> Schema {
    let mut properties = serde_json::Map::new();
    for (name, schema) in fixed.iter().map(|(n, s)| (*n, s.clone())).chain(choices) {
        properties.insert(name.to_owned(), schema.into());
    }
    json_schema!({
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": false
    })
}

fn said(description: &str, schema: serde_json::Value) -> Schema {
    let mut schema = schema;
    if let Some(map) = schema.as_object_mut() {
        map.insert("description".to_owned(), json!(description));
    }
    Schema::try_from(schema).unwrap_or_default()
}

fn kinds(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
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

/// The schema, or a text as its short form.
pub(crate) fn either(schema: Schema) -> Schema {
    json_schema!({ "anyOf": [{ "type": "string" }, schema] })
}

impl JsonSchema for Kind {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Tried".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        choice_schema(&[], kinds(generator), "what is tried")
    }
}

impl JsonSchema for Expect {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expect".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let refusal = json!({ "anyOf": [{ "type": "integer", "minimum": 300, "maximum": 599 }, { "enum": Way::WORDS }] });
        json_schema!({ "description": "what counts as passing", "anyOf": [
            { "enum": ["pass", "fail", "unreachable", "blocked", "silent", "refused"] },
            { "type": "object", "properties": { "refused": refusal, "fetch": refusal }, "additionalProperties": false }
        ] })
    }
}

impl JsonSchema for Check {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Check".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fixed = [
            ("name", said("what it is called in reports", json!({ "type": "string" }))),
            (
                "points",
                said(
                    "what it is worth; 1 where nothing is said",
                    json!({ "type": "number", "minimum": 0 }),
                ),
            ),
            ("group", said("the heading it stands under", json!({ "type": "string" }))),
            ("needs", generator.subschema_for::<List<String>>()),
            ("within", generator.subschema_for::<Seconds>()),
            ("hint", said("what a student reads whose check fails", json!({ "type": "string" }))),
            ("expect", generator.subschema_for::<Expect>()),
        ];
        choice_schema(
            &fixed,
            kinds(generator),
            "one thing that must hold, tried by a node's own client",
        )
    }
}

impl JsonSchema for Step {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = |description: &str| said(description, json!({ "type": "string" }));
        let fixed = [
            ("name", text("what it is called in reports")),
            ("expect", generator.subschema_for::<Expect>()),
            ("within", generator.subschema_for::<Seconds>()),
        ];
        let mut tried = kinds(generator);
        tried.push(("expect", generator.subschema_for::<Expect>()));
        tried.push(("within", generator.subschema_for::<Seconds>()));
        let tried = either(choice_schema(&[], tried, "a check by its name, or one of its own"));
        let choices = vec![
            ("off", text("switches a service or protocol off: mail.smtp, dns")),
            ("on", text("switches it on")),
            ("down", text("pulls a cable: pc0:lan")),
            ("up", text("plugs it in")),
            ("stop", text("stops a node")),
            ("start", text("starts a node")),
            ("restart", text("restarts a node")),
            (
                "impair",
                said(
                    "makes a link bad; only the link: good again",
                    json!({ "anyOf": [
                { "type": "string" },
                { "type": "object", "required": ["link"], "additionalProperties": false, "properties": {
                    "link": { "type": "string" }, "loss": { "type": ["string", "number"] },
                    "delay": { "type": ["string", "number"] }, "rate": { "type": ["string", "number"] } } } ] }),
                ),
            ),
            ("add_user", generator.subschema_for::<crate::check::AddUser>()),
            ("remove_user", generator.subschema_for::<crate::check::RemoveUser>()),
            ("record", generator.subschema_for::<crate::check::Record>()),
            (
                "address",
                said(
                    "gives an interface another address",
                    json!({ "type": "object", "required": ["link", "is"],
                "additionalProperties": false, "properties": { "link": { "type": "string" }, "is": { "type": "string" } } }),
                ),
            ),
            ("ios", generator.subschema_for::<IosLines>()),
            ("check", tried.clone()),
            ("until", tried),
        ];
        choice_schema(&fixed, choices, "one step: an action or a check")
    }
}

impl JsonSchema for Scenario {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scenario".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "an ordered list of actions and checks; the lab is put back afterwards",
            "required": ["steps"],
            "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "description": "what it is called in reports" },
                "points": { "type": "number", "minimum": 0, "description": "what it is worth" },
                "group": { "type": "string", "description": "the heading it stands under" },
                "needs": generator.subschema_for::<List<String>>(),
                "hint": { "type": "string", "description": "what a student reads whose scenario fails" },
                "steps": { "type": "array", "items": generator.subschema_for::<Step>() }
            }
        })
    }
}

impl JsonSchema for Wrong {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Wrong".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "a wrong variant of the lab, and what labctl must find",
            "required": ["name"],
            "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "description": "what is wrong" },
                "patch": { "type": "object", "description": "a merge patch on the lab: null removes" },
                "do": { "type": "array", "items": generator.subschema_for::<Step>(), "description": "actions after the lab is up" },
                "earned": { "type": "number", "description": "the points that are still earned" },
                "fails": generator.subschema_for::<List<String>>(),
                "layer": generator.subschema_for::<crate::check::Layer>(),
                "says": { "type": "string", "description": "a text in the explanation" }
            }
        })
    }
}
