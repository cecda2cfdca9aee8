//! Actions of a scenario that know how to put back what they changed.

use engine::Engine;
use lab::check::{Action, AddUser, Plug, Record, RemoveUser, Service, SetAddress};
use node::Request;
use node::config::Address;
use node::request::{LinkAction, Output};
use serde_json::{Value, json};

use crate::actions::{self, Power};
use crate::world::World;

/// How to put one thing back.
#[derive(Clone, Debug)]
enum Undo {
    Service(Service, bool),
    Link(Plug, LinkAction),
    Start(String),
    Stop(String),
    Admin { node: String, service: &'static str, requests: Vec<Value> },
    Names,
    Restore { node: String, archive: String },
}

/// What a scenario has changed, the latest last.
#[derive(Debug, Default)]
pub(crate) struct Changed(Vec<Undo>);

/// Does one action and notes how to put it back.
pub(crate) async fn act(
    world: &World<'_>,
    action: &Action,
    changed: &mut Changed,
) -> Result<String, String> {
    let (engine, instance) = (world.engine, world.instance);
    let undo = &mut changed.0;
    match action {
        Action::Off(service) => switch(world, service, false, undo).await,
        Action::On(service) => switch(world, service, true, undo).await,
        Action::Down(plug) => cable(world, plug, false, undo).await,
        Action::Up(plug) => cable(world, plug, true, undo).await,
        Action::Stop(node) => {
            if runs(engine, instance, node).await? {
                undo.push(Undo::Start(node.clone()));
                power(world, node, Power::Stop).await?;
            }
            Ok(format!("{node} is stopped"))
        }
        Action::Start(node) => {
            if !runs(engine, instance, node).await? {
                undo.push(Undo::Stop(node.clone()));
                power(world, node, Power::Start).await?;
            }
            Ok(format!("{node} is ready"))
        }
        Action::Restart(node) => {
            power(world, node, Power::Restart).await?;
            Ok(format!("{node} is ready again"))
        }
        Action::Impair(impair) => {
            let good = LinkAction::Impair { loss: None, delay_ms: None, rate_bps: None };
            undo.push(Undo::Link(impair.link.clone(), good));
            let action = LinkAction::Impair {
                loss: impair.loss,
                delay_ms: impair.delay_ms,
                rate_bps: impair.rate_bps,
            };
            link(world, &impair.link, action).await?;
            Ok(format!("{}:{} is impaired", impair.link.node, impair.link.network))
        }
        Action::AddUser(add) => add_user(world, add, undo).await,
        Action::RemoveUser(remove) => remove_user(world, remove, undo).await,
        Action::Record(record) => change_records(world, record, undo).await,
        Action::Address(address) => set_address(world, address, undo).await,
        Action::Ios(ios) => {
            let archive = ask(world, &ios.node, &Request::Snapshot).await?;
            let archive = archive.get("archive").and_then(Value::as_str).unwrap_or_default();
            undo.push(Undo::Restore { node: ios.node.clone(), archive: archive.to_owned() });
            let mut said = Vec::new();
            let lines = ["enable", "configure terminal"].into_iter().chain(ios.lines.lines());
            for line in lines.chain(["end"]) {
                let request = Request::Console { line: line.to_owned() };
                let output: Output = serde_json::from_value(ask(world, &ios.node, &request).await?)
                    .map_err(|error| error.to_string())?;
                if output.code != 0 || output.stdout.contains('%') {
                    return Err(format!(
                        "{}: {line}: {}{}",
                        ios.node, output.stdout, output.stderr
                    ));
                }
                said.push(line);
            }
            Ok(format!("{} lines typed on {}", said.len() - 3, ios.node))
        }
        Action::Check(_) | Action::Until(_) => Ok(String::new()),
    }
}

impl Changed {
    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts everything back, the latest first; goes on after what fails and tells it.
    pub async fn put_back(self, world: &World<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut nodes = Vec::new();
        for undo in self.0.into_iter().rev() {
            let done = match undo {
                Undo::Service(service, on) => {
                    nodes.push(service.node.clone());
                    set_service(world, &service, on).await
                }
                Undo::Link(plug, action) => {
                    nodes.push(plug.node.clone());
                    link(world, &plug, action).await
                }
                Undo::Start(node) => power(world, &node, Power::Start).await,
                Undo::Stop(node) => power(world, &node, Power::Stop).await,
                Undo::Names => {
                    world.set_renamed(false);
                    Ok(())
                }
                Undo::Admin { node, service, requests } => {
                    let mut result = Ok(());
                    for request in requests {
                        result =
                            result.and(admin(world, &node, service, request).await.map(|_| ()));
                    }
                    result
                }
                Undo::Restore { node, archive } => {
                    nodes.push(node.clone());
                    ask(world, &node, &Request::Restore { archive }).await.map(|_| ())
                }
            };
            problems.extend(done.err());
        }
        nodes.sort();
        nodes.dedup();
        for node in nodes {
            if let Err(error) = actions::ready(world.engine, world.instance, &node).await {
                problems.push(format!("{node} is not ready again: {error}"));
            }
        }
        problems
    }
}

async fn runs(engine: &dyn Engine, instance: &str, node: &str) -> Result<bool, String> {
    let states = engine.nodes(instance).await.map_err(|error| error.to_string())?;
    let state = states.iter().find(|state| state.name == node);
    state.map(|state| state.state == "running").ok_or_else(|| format!("there is no node {node}"))
}

async fn power(world: &World<'_>, node: &str, what: Power) -> Result<(), String> {
    actions::power(world.engine, world.instance, node, what)
        .await
        .map_err(|error| format!("{node}: {error}"))
}

async fn ask(world: &World<'_>, node: &str, request: &Request) -> Result<Value, String> {
    let said = |error: &dyn std::fmt::Display| format!("{node}: {error}");
    let client = world.engine.control(world.instance, node).await.map_err(|error| said(&error))?;
    client.call(request).await.map_err(|error| said(&error))
}

async fn admin(
    world: &World<'_>,
    node: &str,
    service: &str,
    request: Value,
) -> Result<Value, String> {
    ask(world, node, &Request::Admin { service: service.to_owned(), request }).await
}

async fn link(world: &World<'_>, plug: &Plug, action: LinkAction) -> Result<(), String> {
    let request = Request::Link { network: plug.network.clone(), action };
    ask(world, &plug.node, &request).await.map(|_| ())
}

async fn set_service(world: &World<'_>, service: &Service, on: bool) -> Result<(), String> {
    let request = Request::Service {
        service: service.service.clone(),
        protocol: service.protocol.clone(),
        on: Some(on),
    };
    ask(world, &service.node, &request).await.map(|_| ())
}

async fn switch(
    world: &World<'_>,
    service: &Service,
    on: bool,
    undo: &mut Vec<Undo>,
) -> Result<String, String> {
    let tell = Request::Service {
        service: service.service.clone(),
        protocol: service.protocol.clone(),
        on: None,
    };
    let before = ask(world, &service.node, &tell).await?;
    let before = before.get("on").and_then(Value::as_bool).unwrap_or(!on);
    undo.push(Undo::Service(service.clone(), before));
    set_service(world, service, on).await?;
    let protocol = service.protocol.as_ref().map_or(String::new(), |name| format!(".{name}"));
    let word = if on { "on" } else { "off" };
    Ok(format!("{} {}{protocol} is {word}", service.node, service.service))
}

async fn cable(
    world: &World<'_>,
    plug: &Plug,
    up: bool,
    undo: &mut Vec<Undo>,
) -> Result<String, String> {
    let show = Request::Link { network: plug.network.clone(), action: LinkAction::Show };
    let before = ask(world, &plug.node, &show).await?;
    let was = before.get("up").and_then(Value::as_bool).unwrap_or(!up);
    let action = |up: bool| if up { LinkAction::Up } else { LinkAction::Down };
    undo.push(Undo::Link(plug.clone(), action(was)));
    link(world, plug, action(up)).await?;
    let word = if up { "up" } else { "down" };
    Ok(format!("{}:{} is {word}", plug.node, plug.network))
}

/// A user's whole address: with the server's first domain where none was given.
fn whole(world: &World<'_>, node: &str, user: &str) -> String {
    if user.contains('@') {
        return user.to_owned();
    }
    let mail = world.plan.node(node).and_then(|node| node.services.mail.as_ref());
    match mail.and_then(|mail| mail.domains.first()) {
        Some(domain) => format!("{user}@{}", domain.name),
        None => user.to_owned(),
    }
}

async fn add_user(
    world: &World<'_>,
    add: &AddUser,
    undo: &mut Vec<Undo>,
) -> Result<String, String> {
    let account = whole(world, &add.node, &add.user);
    // An account of the lab only gets another password for a while.
    let back = match world.plan.account(&account) {
        Some(known) => {
            json!({ "op": "account-add", "account": account, "password": known.password })
        }
        None => json!({ "op": "account-remove", "account": account }),
    };
    undo.push(Undo::Admin { node: add.node.clone(), service: "mail", requests: vec![back] });
    let request = json!({ "op": "account-add", "account": account, "password": add.password });
    admin(world, &add.node, "mail", request).await?;
    Ok(format!("{account} has an account"))
}

async fn remove_user(
    world: &World<'_>,
    remove: &RemoveUser,
    undo: &mut Vec<Undo>,
) -> Result<String, String> {
    let account = whole(world, &remove.node, &remove.user);
    let request = json!({ "op": "account-remove", "account": account });
    // What an earlier step has added is gone for good, as it was before the scenario.
    let added = undo.iter().position(|done| {
        matches!(done, Undo::Admin { node, requests, .. }
            if *node == remove.node && requests.first() == Some(&request))
    });
    match (added, world.plan.account(&account)) {
        (Some(at), _) => {
            undo.remove(at);
        }
        (None, Some(known)) => {
            let add =
                json!({ "op": "account-add", "account": account, "password": known.password });
            let node = remove.node.clone();
            undo.push(Undo::Admin { node, service: "mail", requests: vec![add] });
        }
        (None, None) => {
            return Err(format!(
                "{account} is no account of the lab, and no step before this one added it"
            ));
        }
    }
    admin(world, &remove.node, "mail", request).await?;
    Ok(format!("{account} has no account"))
}

async fn change_records(
    world: &World<'_>,
    record: &Record,
    undo: &mut Vec<Undo>,
) -> Result<String, String> {
    let node = &record.node;
    undo.push(Undo::Names);
    world.set_renamed(true);
    for line in record.remove.iter() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = words.first().copied().unwrap_or_default();
        let kind = words.iter().skip(1).find(|word| is_type(word)).copied().unwrap_or("A");
        let shown = json!({ "op": "records", "name": name, "type": kind });
        let before = admin(world, node, "dns", shown).await?;
        let lines = lines_of(&before);
        let requests = lines.iter().map(|line| json!({ "op": "add", "record": line })).collect();
        undo.push(Undo::Admin { node: node.clone(), service: "dns", requests });
        admin(world, node, "dns", json!({ "op": "remove", "record": line })).await?;
    }
    for line in record.add.iter() {
        let remove = json!({ "op": "remove", "record": line });
        undo.push(Undo::Admin { node: node.clone(), service: "dns", requests: vec![remove] });
        admin(world, node, "dns", json!({ "op": "add", "record": line })).await?;
    }
    Ok(format!("{} records changed on {node}", record.add.len() + record.remove.len()))
}

/// A word that names a record type and no number, class or address.
fn is_type(word: &str) -> bool {
    word != "IN"
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
        && word.starts_with(|c: char| c.is_ascii_uppercase())
}

/// Records of an answer as lines of a master file.
fn lines_of(answer: &Value) -> Vec<String> {
    let list = answer.as_array().or_else(|| answer.as_object()?.values().find_map(Value::as_array));
    list.into_iter()
        .flatten()
        .filter_map(|record| {
            if let Some(line) = record.as_str() {
                return Some(line.to_owned());
            }
            let text = |key: &str| record.get(key).and_then(Value::as_str);
            let ttl = record.get("ttl").and_then(Value::as_u64).unwrap_or(3600);
            let kind = text("type").or_else(|| text("record"))?;
            Some(format!("{} {ttl} IN {kind} {}", text("name")?, text("data")?))
        })
        .collect()
}

async fn set_address(
    world: &World<'_>,
    address: &SetAddress,
    undo: &mut Vec<Undo>,
) -> Result<String, String> {
    let plug = &address.link;
    let show = Request::Link { network: plug.network.clone(), action: LinkAction::Show };
    let before = ask(world, &plug.node, &show).await?;
    let text = |key: &str| before.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let old = match text("method").as_str() {
        "dhcp" => Address::Dhcp,
        _ => parse(&text("address")).unwrap_or(Address::None),
    };
    let new = parse(&address.is).ok_or_else(|| format!("{:?} is no address", address.is))?;
    undo.push(Undo::Link(plug.clone(), LinkAction::Address(old)));
    link(world, plug, LinkAction::Address(new)).await?;
    Ok(format!("{}:{} has {}", plug.node, plug.network, address.is))
}

fn parse(text: &str) -> Option<Address> {
    match text {
        "dhcp" => Some(Address::Dhcp),
        "none" | "" => Some(Address::None),
        text => text.parse().ok().map(Address::Static),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_lines_again() {
        let answer = json!({ "records": [
            { "name": "mail.com.", "ttl": 60, "type": "A", "data": "10.0.0.1" },
            "x. 5 IN A 10.0.0.2",
        ]});
        assert_eq!(lines_of(&answer), ["mail.com. 60 IN A 10.0.0.1", "x. 5 IN A 10.0.0.2"]);
        assert!(
            is_type("MX") && is_type("A") && !is_type("IN") && !is_type("10") && !is_type("mail.")
        );
    }
}
