//! `mail`: a message is sent, and that very message is fetched.

use std::time::Duration;

use lab::check::{Expect, Mail, MailFetch, Refusal, Security, Way};
use probes::mail::{self, Attachment, Outcome, Protocol, Request, Stage};
use probes::{Layer, MailSettings, Probe};

use super::{Attempt, Seen};
use crate::trial::{Absence, Failure, Phase, Unasked};
use crate::world::World;

/// How long a fetch waits for a message that should come.
const DELIVERY: Duration = Duration::from_secs(5);
/// How long one waits for a message that should not come.
const NO_DELIVERY: Duration = Duration::from_secs(2);
/// Messages that are looked through, the newest first.
const LOOKED: usize = 50;
/// Lines of a dialogue that are shown as evidence.
const SHOWN: usize = 12;

pub async fn attempt(world: &World<'_>, check: &Mail, attempt: &Attempt) -> Seen {
    let from = &check.from;
    let settings = settings(world, from).await?;
    let mut to = Vec::new();
    for recipient in check.to.iter() {
        to.push(address_of(world, recipient)?);
    }
    let subject = check.subject.as_deref().unwrap_or("A message of labctl");
    let subject = format!("{subject} {}", attempt.nonce);
    let body = check.body.as_deref().unwrap_or("Sent to see whether mail arrives.");
    let body = format!("{body}\r\n\r\n{}\r\n", attempt.nonce);
    let mut send = settings.send(&to, &subject, &body);
    if let Some(security) = check.security {
        send.server.security = security_of(security);
    }
    send.server.port = check.port;
    if let Some(server) = &check.server {
        let target = world.target(from, server).await?;
        send.server.host = target.host;
    }
    if let Some(sender) = &check.sender {
        send.from.clone_from(sender);
    }
    let password = check.password.clone().unwrap_or_else(|| settings.password.clone());
    match check.login {
        Some(true) => send.login = Some((settings.user.clone(), password)),
        Some(false) => send.login = None,
        // A password that is given is meant to be tried.
        None if check.password.is_some() => send.login = Some((settings.user.clone(), password)),
        None if send.server.security != probes::mail::Security::Plain => {
            send.login = Some((settings.user.clone(), password));
        }
        None => {}
    }
    let content = check.attachment.map(|size| content(size, &attempt.nonce));
    if let Some(content) = &content {
        send.attachment = Some(Attachment::new("labctl.bin", "application/octet-stream", content));
    }
    let host = send.server.host.clone();
    // A mail program logs in when the server wants it; what is about not logging in says so.
    let may_log_in = check.login.is_none() && check.server.is_none() && send.login.is_none();
    let sent = match talk(world, from, Request::Send(send.clone()), Phase::First).await {
        Err(Unasked::Broken(failure)) if may_log_in && wants_login(&failure) => {
            send.login = Some((settings.user.clone(), settings.password.clone()));
            talk(world, from, Request::Send(send), Phase::First).await?
        }
        sent => sent?,
    };
    verify_peer(world, from, &host, &sent).await?;

    let fetch = check.fetch;
    let mut seen = vec![sent.reply.clone().unwrap_or_else(|| "sent".into())];
    if fetch == Some(MailFetch::None) {
        return Ok(seen.remove(0));
    }
    for recipient in check.to.iter().filter(|name| world.plan.node(name).is_some()) {
        for (protocol, last) in protocols(fetch) {
            let found = fetched(world, recipient, protocol, &attempt.nonce, last, attempt).await?;
            inspect(check, recipient, &found, content.as_deref())?;
            seen.push(format!("{recipient} fetched it"));
        }
        if check.reply {
            let nonce = format!("{}-reply", attempt.nonce);
            answer(world, recipient, &settings.address, &subject, &nonce, &sent).await?;
            let (protocol, _) = protocols(fetch)[0];
            fetched(world, from, protocol, &nonce, true, attempt).await?;
            seen.push(format!("{from} fetched the answer"));
        }
    }
    Ok(seen.join("; "))
}

/// Whether a server refused somebody who had not logged in (RFC 4954 section 6: 530).
fn wants_login(failure: &Failure) -> bool {
    failure.way == Some(Way::Relay) || failure.code == Some(530)
}

/// The protocols to fetch by; the last one deletes what it fetched.
fn protocols(fetch: Option<MailFetch>) -> Vec<(Option<Protocol>, bool)> {
    match fetch {
        Some(MailFetch::Both) => vec![(Some(Protocol::Imap), false), (Some(Protocol::Pop3), true)],
        Some(MailFetch::Pop3) => vec![(Some(Protocol::Pop3), true)],
        Some(MailFetch::Imap) => vec![(Some(Protocol::Imap), true)],
        Some(MailFetch::None) | None => vec![(None, true)],
    }
}

/// A node's own mail settings, as the node has them.
pub(crate) async fn settings(world: &World<'_>, node: &str) -> Result<MailSettings, Unasked> {
    let facts = world.facts(node).await?;
    facts.mail.ok_or_else(|| {
        Failure::on(Layer::Login, format!("{node}'s mail program is not set up")).who(node).into()
    })
}

/// The address of a recipient: a node's, as planned, or as it stands.
fn address_of(world: &World<'_>, recipient: &str) -> Result<String, Unasked> {
    match world.plan.node(recipient) {
        Some(node) => match &node.mail {
            Some(mail) => Ok(mail.address.clone()),
            None => Err(Unasked::Trouble(format!("{recipient} has no mail settings in the lab"))),
        },
        None => Ok(recipient.to_owned()),
    }
}

fn security_of(security: Security) -> mail::Security {
    match security {
        Security::Plain => mail::Security::Plain,
        Security::Starttls => mail::Security::Starttls,
        Security::Tls => mail::Security::Tls,
    }
}

/// Bytes that look like nothing else, the same for the same nonce.
fn content(size: u64, nonce: &str) -> Vec<u8> {
    let size = usize::try_from(size.min(64 << 20)).unwrap_or_default();
    nonce
        .bytes()
        .cycle()
        .zip(0_usize..)
        .map(|(byte, at)| byte ^ (at / 7) as u8)
        .take(size)
        .collect()
}

/// Runs a mail request in a node; what failed says so with the end of the dialogue.
pub(crate) async fn talk(
    world: &World<'_>,
    node: &str,
    request: Request,
    phase: Phase,
) -> Result<Outcome, Unasked> {
    let outcome: Outcome = world.probe(node, Probe::Mail(request)).await?;
    match &outcome.failure {
        None => Ok(outcome),
        Some(failure) => Err(broken(failure, &outcome, phase).who(node).into()),
    }
}

fn broken(failure: &mail::Failure, outcome: &Outcome, phase: Phase) -> Failure {
    let text = failure.reply.as_deref().unwrap_or(&failure.message).to_ascii_lowercase();
    let (layer, way, absence) = match failure.stage {
        Stage::Name => (Layer::Name, Some(Way::Name), None),
        Stage::ConnectRefused => (Layer::Port, Some(Way::Connection), None),
        Stage::ConnectTimeout => (Layer::Port, None, Some(Absence::Silent)),
        Stage::Banner => (Layer::Banner, None, None),
        Stage::Tls => (Layer::Banner, Some(Way::Certificate), None),
        Stage::Login => (Layer::Login, Some(Way::Login), None),
        Stage::Command if text.contains("relay") => (Layer::Reply, Some(Way::Relay), None),
        Stage::Command => (Layer::Reply, None, None),
        Stage::Mailbox => (Layer::Mailbox, Some(Way::Mailbox), None),
    };
    let mut evidence: Vec<String> = failure.reply.iter().cloned().collect();
    let skip = outcome.transcript.len().saturating_sub(SHOWN);
    evidence.extend(outcome.transcript.iter().skip(skip).cloned());
    Failure {
        phase,
        layer: Some(layer),
        way,
        code: failure.code.or(outcome.code),
        absence,
        message: failure.message.clone(),
        evidence,
        who: None,
    }
}

/// The name of the mail server must have led to the planned host.
async fn verify_peer(
    world: &World<'_>,
    node: &str,
    host: &str,
    outcome: &Outcome,
) -> Result<(), Unasked> {
    if let Some(std::net::IpAddr::V4(seen)) = outcome.peer.map(|peer| peer.ip()) {
        let target = world.target(node, host).await?;
        target.verify(seen, world).map_err(|failure| failure.who(node))?;
    }
    Ok(())
}

/// Fetches the message with the nonce.
async fn fetched(
    world: &World<'_>,
    node: &str,
    protocol: Option<Protocol>,
    nonce: &str,
    delete: bool,
    attempt: &Attempt,
) -> Result<mail::Letter, Unasked> {
    let settings = settings(world, node).await?;
    let mut fetch = settings.fetch(protocol);
    let nothing = attempt.expect == Expect::Fetch(Refusal::Way(Way::Mailbox));
    let wait = if nothing { NO_DELIVERY } else { DELIVERY };
    fetch.find = Some(nonce.to_owned());
    fetch.wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    fetch.delete = delete;
    fetch.limit = LOOKED;
    let host = fetch.server.host.clone();
    let outcome = talk(world, node, Request::Fetch(fetch), Phase::Fetch).await?;
    verify_peer(world, node, &host, &outcome).await?;
    outcome.found.ok_or_else(|| {
        let mut failure =
            Failure::on(Layer::Mailbox, format!("the message is not in {node}'s mailbox"));
        (failure.phase, failure.way) = (Phase::Fetch, Some(Way::Mailbox));
        failure.who(node).into()
    })
}

/// What arrived must be what was sent.
fn inspect(
    check: &Mail,
    node: &str,
    letter: &mail::Letter,
    content: Option<&[u8]>,
) -> Result<(), Unasked> {
    let broken = |message: String| {
        let failure = Failure { phase: Phase::Fetch, ..Failure::on(Layer::Mailbox, message) };
        Err(Unasked::from(failure.who(node)))
    };
    if let Some(content) = content {
        let right = Attachment::new("", "", content);
        let same = letter.attachments.iter().any(|attached| {
            attached.size == content.len() as u64 && attached.sha256 == digest(content)
        });
        if !same {
            let size = right.base64.len();
            return broken(format!(
                "the attachment did not arrive unchanged ({size} bytes of base64)"
            ));
        }
    }
    let headers = letter.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
    let whole = format!("{}\n{}", headers.collect::<String>(), letter.body);
    for wanted in check.contains.iter() {
        if !whole.contains(wanted.as_str()) {
            return broken(format!("the message that {node} fetched does not contain {wanted:?}"));
        }
    }
    Ok(())
}

fn digest(content: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The recipient answers.
async fn answer(
    world: &World<'_>,
    node: &str,
    to: &str,
    subject: &str,
    nonce: &str,
    sent: &Outcome,
) -> Result<(), Unasked> {
    let settings = settings(world, node).await?;
    let body = format!("It arrived.\r\n\r\n{nonce}\r\n");
    let mut send = settings.send(&[to.to_owned()], &format!("Re: {subject}"), &body);
    if let Some(id) = &sent.message_id {
        send.headers.push(("In-Reply-To".into(), id.clone()));
    }
    talk(world, node, Request::Send(send), Phase::First).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_become_layers_and_ways() {
        let of = |stage, reply: &str| {
            let failure = mail::Failure::new(stage, "x").reply(reply);
            broken(&failure, &Outcome::default(), Phase::First)
        };
        assert_eq!(of(Stage::Command, "550 5.7.1 Relaying denied").way, Some(Way::Relay));
        assert_eq!(of(Stage::Command, "550 5.1.1 no such user").way, None);
        assert_eq!(of(Stage::ConnectTimeout, "").absence, Some(Absence::Silent));
        assert_eq!(of(Stage::ConnectRefused, "").absence, None);
    }

    #[test]
    fn attachments_are_of_the_wanted_size_and_of_the_nonce() {
        assert_eq!(content(1000, "a").len(), 1000);
        assert_ne!(content(1000, "a"), content(1000, "b"));
    }
}
