//! `transcript`: a server's dialogue holds these lines, in one connection and in this order.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lab::check::Transcript;
use probes::Layer;
use serde_json::{Value, json};

use super::Seen;
use crate::trial::{Failure, Unasked};
use crate::world::World;

/// Lines that are looked through.
const LAST: u32 = 5000;
/// Lines that are shown as evidence.
const SHOWN: usize = 12;

pub async fn attempt(world: &World<'_>, check: &Transcript) -> Seen {
    let request = json!({ "op": "transcript", "protocol": check.protocol, "last": LAST });
    let (mut lines, answer) = world.admin_items(&check.node, "mail", request).await?;
    if let Some(list) = answer.as_array().or_else(|| answer.get("lines").and_then(Value::as_array))
    {
        lines.extend(list.iter().cloned());
    }
    let client: Option<Vec<IpAddr>> = match &check.client {
        None => None,
        Some(node) => {
            let addresses = world.node(node)?.addresses().map(|net| IpAddr::V4(net.addr()));
            let mut addresses: Vec<IpAddr> = addresses.collect();
            if addresses.is_empty() {
                addresses.push(IpAddr::V4(world.leased_address(node).await?));
            }
            Some(addresses)
        }
    };
    let mut sessions: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in &lines {
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        let peer = text("peer").parse::<IpAddr>().ok();
        let ours = client.as_ref().is_none_or(|own| peer.is_some_and(|peer| own.contains(&peer)));
        if ours && is_protocol(text("protocol"), &check.protocol) {
            let connection = line.get("connection").and_then(Value::as_u64).unwrap_or_default();
            let text = format!("{}: {}", text("side"), text("text"));
            sessions.entry(connection).or_default().push(text);
        }
    }
    let good = |lines: &Vec<String>| {
        let mut rest = lines.iter();
        check.contains.iter().all(|wanted| rest.any(|line| line.contains(wanted.as_str())))
    };
    let broken = |message: String, lines: Option<&Vec<String>>| {
        let mut failure = Failure::on(Layer::Reply, message).who(&check.node);
        failure.evidence.extend(lines.into_iter().flatten().take(SHOWN).cloned());
        Err(Unasked::from(failure))
    };
    for lines in sessions.values() {
        for unwanted in check.lacks.iter() {
            if lines.iter().any(|line| line.contains(unwanted.as_str())) {
                return broken(format!("a session has a line with {unwanted:?}"), Some(lines));
            }
        }
    }
    match sessions.iter().rev().find(|(_, lines)| good(lines)) {
        Some((connection, lines)) => {
            Ok(format!("session {connection} has it, in {} lines", lines.len()))
        }
        None => broken(
            format!(
                "none of {} {} sessions has {:?} in this order",
                sessions.len(),
                check.protocol,
                check.contains.as_slice()
            ),
            sessions.values().next_back(),
        ),
    }
}

/// `smtp` also means the same protocol under TLS or on the submission port.
fn is_protocol(seen: &str, wanted: &str) -> bool {
    let family = |name: &str| match name {
        "smtps" | "submission" | "submissions" => "smtp".to_owned(),
        name => name
            .strip_suffix('s')
            .filter(|plain| matches!(*plain, "pop3" | "imap"))
            .unwrap_or(name)
            .to_owned(),
    };
    seen == wanted || family(seen) == wanted
}

#[cfg(test)]
mod tests {
    use super::is_protocol;

    #[test]
    fn a_protocol_is_itself_also_under_tls() {
        assert!(is_protocol("smtps", "smtp") && is_protocol("imaps", "imap"));
        assert!(!is_protocol("pop3", "imap") && !is_protocol("smtp", "smtps"));
    }
}
