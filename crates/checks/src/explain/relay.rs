//! Mail that was taken and did not arrive: what the sender's server says of it.

use std::net::Ipv4Addr;

use probes::Layer;
use serde_json::{Value, json};

use super::{Broken, Step, Walk};

/// Lines of the dialogues with other servers that are looked through.
const LAST: u32 = 1000;

impl Walk<'_, '_> {
    /// Where a message to the asker is: it waits on the sender's server, or the next one refused it.
    pub async fn underway(&self, from: &str) -> Step {
        let plan = self.world.plan;
        let mail = |node: &str| plan.node(node).and_then(|node| node.mail.as_ref());
        let (Some(sender), Some(recipient)) = (mail(from), mail(&self.needs.asker)) else {
            return Ok(());
        };
        let to = recipient.address.as_str();
        // The sender's server first; behind a smarthost it is another one that knows.
        let first = self.world.target(from, &sender.outgoing).await;
        let mut servers: Vec<String> =
            first.ok().and_then(|target| target.node).into_iter().collect();
        let all = plan.nodes.iter().filter(|node| node.services.mail.is_some());
        let known = servers.clone();
        servers.extend(all.map(|node| node.name.clone()).filter(|name| !known.contains(name)));
        for server in servers {
            self.server(&server, from, to).await?;
        }
        Ok(())
    }

    async fn server(&self, server: &str, from: &str, to: &str) -> Step {
        let ask = async |request: Value| self.world.admin_items(server, "mail", request).await;
        if let Ok((_, answer)) = ask(json!({ "op": "queue" })).await
            && let Some(why) = waits(&answer, to)
        {
            let says = format!("the message for {to} waits in {server}'s queue: {why}");
            return Err(Broken::new(Layer::Mailbox, says)
                .help(format!("`labctl mail {server} queue` shows when it is tried again")));
        }
        let dialogues = json!({ "op": "transcript", "protocol": "relay", "last": LAST });
        if let Ok((lines, _)) = ask(dialogues).await
            && let Some((peer, reply)) = refused(&lines, to)
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

/// What a recipient in the queue waits for: the last reply of the next server.
fn waits(answer: &Value, to: &str) -> Option<String> {
    let messages = answer.get("messages")?.as_array()?;
    let recipients = messages.iter().filter_map(|one| one.get("recipients")?.as_array()).flatten();
    let text = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).map(str::to_owned);
    recipients
        .filter(|one| text(one, "state").as_deref() == Some("waiting"))
        .find(|one| text(one, "address").is_some_and(|address| address.eq_ignore_ascii_case(to)))
        .map(|one| text(one, "reply").unwrap_or_else(|| "it has not been tried yet".into()))
}

/// Who refused the last message to this recipient, and how, as the dialogues with other servers tell.
fn refused(lines: &[Value], to: &str) -> Option<(String, String)> {
    let text = |line: &Value, key: &str| {
        line.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let command = format!("rcpt to:<{}>", to.to_ascii_lowercase());
    let last = lines.iter().rev().find(|line| {
        text(line, "side") == "C" && text(line, "text").to_ascii_lowercase().starts_with(&command)
    })?;
    let same = lines.iter().filter(|line| line.get("connection") == last.get("connection"));
    let reply = same
        .filter(|line| text(line, "side") == "S")
        .map(|line| text(line, "text"))
        .rfind(|reply| reply.starts_with(['4', '5']))?;
    Some((text(last, "peer"), reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_tells_what_a_recipient_waits_for() {
        let answer = json!({ "messages": [{ "recipients": [
            { "address": "x@b", "state": "delivered", "reply": "250 ok" },
            { "address": "Ann@a.edu", "state": "waiting", "reply": "451 later" },
            { "address": "tim@a.edu", "state": "waiting" },
        ] }] });
        assert_eq!(waits(&answer, "ann@a.edu").unwrap(), "451 later");
        assert_eq!(waits(&answer, "tim@a.edu").unwrap(), "it has not been tried yet");
        assert_eq!(waits(&answer, "x@b"), None);
        assert_eq!(waits(&json!(null), "x@b"), None);
    }

    #[test]
    fn a_refusal_is_of_the_last_dialogue_about_the_recipient() {
        let line = |connection: u32, side: &str, text: &str| json!({ "connection": connection, "peer": "10.0.0.9", "side": side, "text": text });
        let lines = [
            line(1, "C", "RCPT TO:<ann@a.edu>"),
            line(1, "S", "250 2.1.5 yes"),
            line(2, "C", "RCPT TO:<Ann@a.edu> NOTIFY=NEVER"),
            line(3, "S", "554 of another one"),
            line(2, "S", "250 2.1.5 yes"),
            line(2, "S", "550 5.7.1 no"),
            line(2, "S", "221 bye"),
        ];
        let told = refused(&lines, "ann@a.edu");
        assert_eq!(told, Some(("10.0.0.9".into(), "550 5.7.1 no".into())));
        assert_eq!(refused(&lines[..2], "ann@a.edu"), None);
        assert_eq!(refused(&lines, "tim@a.edu"), None);
    }
}
