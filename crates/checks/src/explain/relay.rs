//! Mail that was taken and did not arrive: what the lab's mail servers say of it.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use probes::Layer;
use serde_json::{Value, json};

use super::{Broken, Step, Walk};

/// Lines of the dialogues with other servers that are looked through.
const LAST: u32 = 1000;
/// An older refusal is of another message: a check is explained right after it has waited.
const RECENT: Duration = Duration::from_secs(120);

impl Walk<'_, '_> {
    /// Where a message to the asker is: it waits on the sender's server, or the next one refused it.
    pub async fn underway(&self, from: &str) -> Step {
        let plan = self.world.plan;
        let mail = |node: &str| plan.node(node).and_then(|node| node.mail.as_ref());
        let (Some(sender), Some(recipient)) = (mail(from), mail(&self.needs.asker)) else {
            return Ok(());
        };
        // The sender's server first; behind a smarthost it is another one that knows.
        let first = self.world.target(from, &sender.outgoing).await.ok().and_then(|it| it.node);
        let servers = plan.nodes.iter().filter(|node| node.services.mail.is_some());
        let others = servers.map(|node| &node.name).filter(|name| first.as_ref() != Some(*name));
        let route = (sender.address.as_str(), recipient.address.as_str());
        for server in first.iter().chain(others) {
            self.server(server, from, route).await?;
        }
        Ok(())
    }

    async fn server(&self, server: &str, from: &str, route: (&str, &str)) -> Step {
        let ask = async |request: Value| self.world.admin_items(server, "mail", request).await;
        let to = route.1;
        if let Ok((_, answer)) = ask(json!({ "op": "queue" })).await
            && let Some(why) = waits(&answer, route)
        {
            let says = format!("the message for {to} waits in {server}'s queue: {why}");
            return Err(Broken::new(Layer::Mailbox, says)
                .help(format!("`labctl mail {server} queue` shows when it is tried again")));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = now.saturating_sub(RECENT).as_millis();
        let dialogues = json!({ "op": "transcript", "protocol": "relay", "last": LAST });
        if let Ok((lines, _)) = ask(dialogues).await
            && let Some((peer, reply)) = refused(&lines, route, since)
        {
            let next = peer.parse::<Ipv4Addr>().ok();
            let next = next.and_then(|peer| self.world.plan.node_of(peer));
            let next = next.map_or(peer, |node| node.name.clone());
            let says =
                format!("{server} took the message for {to}, but {next} refused it: {reply}");
            return Err(Broken::new(Layer::Mailbox, says)
                .help(format!("a notice with the reason is in {from}'s mailbox")));
        }
        Ok(())
    }
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What a message of this sender to this recipient waits for in the queue: the last reply of the
/// next server.
fn waits(answer: &Value, (from, to): (&str, &str)) -> Option<String> {
    let messages = answer.get("messages")?.as_array()?.iter();
    let recipients = messages
        .filter(|one| text(one, "from").eq_ignore_ascii_case(from))
        .filter_map(|one| one.get("recipients")?.as_array())
        .flatten();
    let waiting = recipients.filter(|one| text(one, "state") == "waiting");
    let reply = waiting
        .filter(|one| text(one, "address").eq_ignore_ascii_case(to))
        .map(|one| text(one, "reply"))
        .next_back()?;
    Some(if reply.is_empty() { "it has not been tried yet".into() } else { reply })
}

/// Who refused the last message of this sender to this recipient, and how, as the dialogues with
/// other servers tell since that time: milliseconds since 1970.
fn refused(lines: &[Value], (from, to): (&str, &str), since: u128) -> Option<(String, String)> {
    let number = |line: &Value, key: &str| line.get(key).and_then(Value::as_u64);
    let recent: Vec<&Value> = lines
        .iter()
        .filter(|line| number(line, "time_ms").is_some_and(|time| u128::from(time) >= since))
        .collect();
    let says = |line: &Value, command: &str, address: &str| {
        let wanted = format!("{command}:<{address}>").to_ascii_lowercase();
        text(line, "side") == "C" && text(line, "text").to_ascii_lowercase().starts_with(&wanted)
    };
    let last = recent.iter().rfind(|line| says(line, "rcpt to", to))?;
    let same =
        || recent.iter().filter(|line| number(line, "connection") == number(last, "connection"));
    same().find(|line| says(line, "mail from", from))?;
    let reply = same()
        .filter(|line| text(line, "side") == "S")
        .map(|line| text(line, "text"))
        .rfind(|reply| reply.starts_with(['4', '5']))?;
    Some((text(last, "peer"), reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_tells_what_a_message_waits_for() {
        let answer = json!({ "messages": [
            { "from": "Bob@b.edu", "recipients": [
                { "address": "x@b", "state": "delivered", "reply": "250 ok" },
                { "address": "Ann@a.edu", "state": "waiting", "reply": "451 later" },
                { "address": "tim@a.edu", "state": "waiting" },
            ] },
            { "from": "eve@b.edu", "recipients": [
                { "address": "ann@a.edu", "state": "waiting", "reply": "452 full" },
            ] },
        ] });
        let waits = |to| super::waits(&answer, ("bob@b.edu", to));
        assert_eq!(waits("ann@a.edu").unwrap(), "451 later");
        assert_eq!(waits("tim@a.edu").unwrap(), "it has not been tried yet");
        assert_eq!(waits("x@b"), None);
        assert_eq!(super::waits(&json!(null), ("a", "b")), None);
    }

    #[test]
    fn a_refusal_is_of_the_last_dialogue_about_the_message() {
        let line = |connection: u32, side: &str, text: &str| json!({ "time_ms": 1000 + connection, "connection": connection, "peer": "10.0.0.9", "side": side, "text": text });
        let lines = [
            line(1, "C", "MAIL FROM:<bob@b.edu>"),
            line(1, "C", "RCPT TO:<ann@a.edu>"),
            line(1, "S", "250 2.1.5 yes"),
            line(2, "C", "MAIL FROM:<bob@b.edu> SIZE=7"),
            line(2, "C", "RCPT TO:<Ann@a.edu> NOTIFY=NEVER"),
            line(3, "S", "554 of another one"),
            line(2, "S", "250 2.1.5 yes"),
            line(2, "S", "550 5.7.1 no"),
            line(2, "S", "221 bye"),
        ];
        let route = ("bob@b.edu", "ann@a.edu");
        let told = Some(("10.0.0.9".into(), "550 5.7.1 no".into()));
        assert_eq!(refused(&lines, route, 0), told);
        assert_eq!(refused(&lines, route, 1003), None, "that was long ago");
        assert_eq!(refused(&lines[..3], route, 0), None);
        assert_eq!(refused(&lines, ("bob@b.edu", "tim@a.edu"), 0), None);
        assert_eq!(refused(&lines, ("eve@b.edu", "ann@a.edu"), 0), None);
    }
}
