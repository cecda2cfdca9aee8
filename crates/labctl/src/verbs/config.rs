//! `labctl config`: how a host is set up, as in a PC's "IP Configuration" and "Configure Mail".

use ::lab::Plan;
use ipnet::Ipv4Net;
use node::config::{Address, Fetch, MailClient, Security};
use node::request::{Gateway, Host, HostChange, LinkAction, Request};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{ENGINE, Failure, INVALID, Outcome};
use crate::output;
use crate::verbs::lab;

/// The settings, as they are written.
const KEYS: &[&str] = &[
    "address",
    "gateway",
    "dns",
    "search",
    "mail.address",
    "mail.user",
    "mail.password",
    "mail.outgoing",
    "mail.incoming",
    "mail.name",
    "mail.security",
    "mail.fetch",
];

/// What the command line asks for.
#[derive(Debug, Default)]
struct Wanted {
    addresses: Vec<(String, Address)>,
    host: HostChange,
    mail: Vec<(String, String)>,
}

/// Runs the verb.
pub async fn run(context: &Context, node: &str, settings: &[String]) -> Outcome {
    let running = context.running().await?;
    let plan = lab::document(&running).await?.plan;
    let Some(planned) = plan.node(node) else {
        let failure = Failure::usage(format!("the lab has no node `{node}`"));
        let near = crate::names::nearest(node, plan.nodes.iter().map(|node| node.name.as_str()));
        return Err(match near {
            Some(near) => failure.help(format!("did you mean `{near}`?")),
            None => failure.help("`labctl ps` shows the nodes"),
        });
    };
    // Everything is understood before anything is changed.
    let mut wanted = read(&plan, planned, settings)?;
    if planned.is_router() && wanted.host.gateway.is_some() {
        return Err(Failure::usage(format!("{node} is a router and has no default gateway"))
            .help("`labctl console` and `ip route 0.0.0.0 0.0.0.0 ADDRESS` set a default route"));
    }
    let client = running.engine.control(&running.name, node).await?;
    let failed = |error: node::Error| {
        let code = if error.code.starts_with("no-such") { INVALID } else { ENGINE };
        Failure { code, ..Failure::from(error) }
    };
    for (network, address) in wanted.addresses {
        let request = Request::Link { network, action: LinkAction::Address(address) };
        client.call::<Value>(&request).await.map_err(failed)?;
    }
    if !wanted.mail.is_empty() {
        let now: Host =
            client.call(&Request::Configure(HostChange::default())).await.map_err(failed)?;
        wanted.host.mail = Some(mail(now.mail.unwrap_or_default(), &wanted.mail));
    }
    let now: Host = client.call(&Request::Configure(wanted.host)).await.map_err(failed)?;
    if context.json() {
        output::json(&json!({ "schema": 1, "node": node, "config": now }))?;
    } else {
        show(&now);
    }
    Ok(0)
}

fn read(plan: &Plan, node: &::lab::plan::Node, settings: &[String]) -> Result<Wanted, Failure> {
    let mut wanted = Wanted::default();
    for setting in settings {
        let Some((key, value)) = setting.split_once('=') else {
            return Err(Failure::usage(format!("`{setting}` has no `=`"))
                .help("write KEY=VALUE, such as dns=192.168.1.5"));
        };
        match key {
            "gateway" => {
                wanted.host.gateway = Some(match value {
                    "none" | "" => Gateway::None,
                    value => Gateway::Via(parse(key, value, "192.168.1.1")?),
                });
            }
            "dns" => {
                wanted.host.dns = Some(list(value, |value| parse(key, value, "192.168.1.5"))?);
            }
            "search" => wanted.host.search = Some(list(value, |value| Ok(value.to_owned()))?),
            "mail.security" => {
                one_of(key, value, &["plain", "starttls", "tls"])?;
                wanted.mail.push((key.into(), value.into()));
            }
            "mail.fetch" => {
                one_of(key, value, &["pop3", "imap"])?;
                wanted.mail.push((key.into(), value.into()));
            }
            "mail.address" if !value.contains('@') => {
                return Err(Failure::usage(format!("`{value}` is not a mail address"))
                    .help("for example client1@mail.com"));
            }
            key if KEYS.contains(&key) && key.starts_with("mail.") => {
                if value.chars().any(char::is_control) {
                    return Err(Failure::usage(format!("{key} has a control character in it")));
                }
                wanted.mail.push((key.into(), value.into()));
            }
            key if key == "address" || key.starts_with("address.") => {
                let network = network(node, key.strip_prefix("address.").unwrap_or_default())?;
                let address = address(plan, &network, value)?;
                wanted.addresses.push((network, address));
            }
            key => {
                let failure = Failure::usage(format!("there is no setting `{key}`"));
                return Err(match crate::names::nearest(key, KEYS.iter().copied()) {
                    Some(near) => failure.help(format!("did you mean `{near}`?")),
                    None => failure.help(format!("there are: {}", KEYS.join(", "))),
                });
            }
        }
    }
    Ok(wanted)
}

fn network(node: &::lab::plan::Node, named: &str) -> Result<String, Failure> {
    let all: Vec<&str> = node.links.iter().map(|link| link.network.as_str()).collect();
    match (named, &all[..]) {
        ("", [only]) => Ok((*only).to_owned()),
        ("", []) => Err(Failure::usage(format!("{} has no interface", node.name))),
        ("", _) => Err(Failure::usage(format!("{} has several interfaces", node.name))
            .help(format!("say which: address.{}=…", all.join("=… or address.")))),
        (named, all) if all.contains(&named) => Ok(named.to_owned()),
        (named, all) => Err(Failure::usage(format!("{} is not on `{named}`", node.name))
            .help(format!("it is on: {}", all.join(", ")))),
    }
}

fn address(plan: &Plan, network: &str, value: &str) -> Result<Address, Failure> {
    match value {
        "dhcp" => return Ok(Address::Dhcp),
        "none" | "" => return Ok(Address::None),
        _ => {}
    }
    if value.contains('/') {
        return Ok(Address::Static(parse("address", value, "192.168.1.4/24")?));
    }
    let address = parse("address", value, "192.168.1.4 or 192.168.1.4/24")?;
    // As a PC does when an address is typed: the mask of its network.
    let prefix = plan.network(network).map_or(24, |network| network.subnet.prefix_len());
    let net = Ipv4Net::new(address, prefix);
    net.map(Address::Static).map_err(|error| Failure::usage(error.to_string()))
}

fn parse<T: std::str::FromStr>(key: &str, value: &str, example: &str) -> Result<T, Failure> {
    value.parse().map_err(|_| {
        Failure::usage(format!("{key}: `{value}` is not an address"))
            .help(format!("for example {example}"))
    })
}

fn list<T>(value: &str, one: impl Fn(&str) -> Result<T, Failure>) -> Result<Vec<T>, Failure> {
    match value {
        "none" | "" => Ok(Vec::new()),
        value => value.split(',').map(|word| one(word.trim())).collect(),
    }
}

fn one_of(key: &str, value: &str, known: &[&str]) -> Result<(), Failure> {
    if known.contains(&value) {
        return Ok(());
    }
    Err(Failure::usage(format!("{key} cannot be `{value}`")).help(known.join(", ")))
}

/// The settings with some of them changed. What a mail program works out of the address, it works
/// out anew where nobody has said otherwise.
fn mail(mut mail: MailClient, set: &[(String, String)]) -> MailClient {
    for (key, value) in set {
        let value = value.clone();
        match key.trim_start_matches("mail.") {
            "address" => {
                let local = |address: &str| address.split('@').next().unwrap_or("").to_owned();
                for own in [&mut mail.user, &mut mail.name] {
                    if own.is_empty() || *own == local(&mail.address) {
                        *own = local(&value);
                    }
                }
                mail.address = value;
            }
            "user" => mail.user = value,
            "password" => mail.password = value,
            "outgoing" => mail.outgoing = value,
            "incoming" => mail.incoming = value,
            "name" => mail.name = value,
            "security" => {
                mail.security = match value.as_str() {
                    "starttls" => Security::Starttls,
                    "tls" => Security::Tls,
                    _ => Security::Plain,
                };
            }
            _ => mail.fetch = if value == "imap" { Fetch::Imap } else { Fetch::Pop3 },
        }
    }
    mail
}

fn show(host: &Host) {
    let list = |items: Vec<String>| match items.is_empty() {
        true => "none".to_owned(),
        false => items.join(", "),
    };
    let mut rows: Vec<(String, String)> = Vec::new();
    for link in &host.links {
        let how = if link.method == "dhcp" { " (dhcp)" } else { "" };
        let address = link.address.as_deref().unwrap_or("none");
        rows.push((format!("address.{}", link.network), format!("{address}{how}")));
    }
    rows.push(("gateway".into(), list(host.gateways.iter().map(ToString::to_string).collect())));
    rows.push(("dns".into(), list(host.dns.iter().map(ToString::to_string).collect())));
    if !host.search.is_empty() {
        rows.push(("search".into(), host.search.join(", ")));
    }
    match &host.mail {
        None => rows.push(("mail".into(), "not set up".into())),
        Some(mail) => {
            let security = json!(mail.security).as_str().unwrap_or_default().to_owned();
            let fetch = json!(mail.fetch).as_str().unwrap_or_default().to_owned();
            for (key, value) in [
                ("address", &mail.address),
                ("user", &mail.user),
                ("password", &mail.password),
                ("outgoing", &mail.outgoing),
                ("incoming", &mail.incoming),
                ("name", &mail.name),
                ("security", &security),
                ("fetch", &fetch),
            ] {
                rows.push((format!("mail.{key}"), value.clone()));
            }
        }
    }
    for (key, value) in rows {
        output::say(&format!("{key:<14} {value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_a_whole_and_mistakes_are_told() {
        let text = "name: a\nnetworks: { lan: 10.0.0.0/16 }\nnodes: { pc: { kind: pc, interfaces: { lan: none } } }\n";
        let lab = ::lab::load_text("a", text, None, &::lab::Vars::new()).unwrap();
        let node = lab.plan.node("pc").unwrap();
        let of = |words: &[&str]| {
            read(&lab.plan, node, &words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>())
        };
        let wanted =
            of(&["address=10.0.0.4", "gateway=10.0.0.1", "dns=10.0.0.5,10.0.0.6"]).unwrap();
        assert_eq!(wanted.addresses[0].1, Address::Static("10.0.0.4/16".parse().unwrap()));
        assert_eq!(wanted.host.dns.unwrap().len(), 2);
        assert!(of(&["addres=10.0.0.4"]).unwrap_err().help.unwrap().contains("`address`"));
        assert!(of(&["dns=ten"]).is_err() && of(&["dns"]).is_err());
        assert!(of(&["address.wan=10.0.0.4"]).unwrap_err().help.unwrap().contains("lan"));
        assert!(of(&["mail.fetch=pop4"]).is_err() && of(&["mail.address=x"]).is_err());
    }

    #[test]
    fn a_mail_program_works_out_the_user_of_an_address() {
        let set = [("mail.address".to_owned(), "client1@mail.com".to_owned())];
        let fresh = mail(MailClient::default(), &set);
        assert_eq!((fresh.user.as_str(), fresh.name.as_str()), ("client1", "client1"));
        let own = MailClient { user: "other".into(), ..MailClient::default() };
        assert_eq!(mail(own, &set).user, "other");
    }
}
