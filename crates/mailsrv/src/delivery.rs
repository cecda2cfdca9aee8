//! What becomes of a message that has come in whole: mailboxes, queue, answers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom};
use std::net::IpAddr;
use std::sync::Arc;

use crate::directory::Expansion;
use crate::headers;
use crate::queue::dsn::Kind;
use crate::queue::{self, Envelope, Recipient};
use crate::server::Server;
use crate::smtp::reply::Reply;
use crate::smtp::session::Transaction;
use crate::store::{self, Body, Change, Flags, Spooled};

/// A message with everything known about it.
pub struct Incoming {
    /// From whom, to whom.
    pub transaction: Transaction,
    /// Its bytes.
    pub body: Body,
    /// Whether there are bytes above 127.
    pub eight_bit: bool,
    /// EHLO's name.
    pub helo: String,
    /// Who sent it.
    pub peer: IpAddr,
    /// Who has logged in.
    pub user: Option<String>,
    /// The protocol for the Received line.
    pub with: String,
    /// Whether it came by 587 or 465.
    pub submission: bool,
    /// Whether the peer is in a network that may relay.
    pub trusted: bool,
}

/// Recipients that get the same bytes.
#[derive(Default)]
struct Group {
    boxes: BTreeSet<String>,
    elsewhere: Vec<Recipient>,
}

/// Delivers: when this returns the message's number, it is on disk in every mailbox and in the
/// queue. Otherwise the reply to give, and nothing has been delivered.
pub async fn accept(server: &Arc<Server>, mut incoming: Incoming) -> Result<u64, Reply> {
    let id = server.store.number();
    let now = headers::now();
    let head = head_of(&mut incoming.body, server.directory.limits().header)
        .map_err(|_| Reply::new(451, "4.3.0", "the message cannot be read back"))?;
    let fields = headers::fields(&head);
    // Many programs say SMTPUTF8 always; only what needs it asks it of the next server.
    incoming.transaction.utf8 &= !head.is_ascii() || !incoming.transaction.is_ascii();
    let mut added = String::new();
    if incoming.user.is_none() && !incoming.trusted && server.directory.policy().verify {
        let verdict = server.authentication.verify(server, &mut incoming).await;
        if verdict.reject && server.directory.policy().dmarc_reject {
            let text = "the policy of the sender's domain says: reject (DMARC)";
            return Err(Reply::new(550, "5.7.1", text));
        }
        added.push_str(&verdict.header);
    }
    let own = incoming.user.is_some() || incoming.submission || incoming.trusted;
    if own {
        sign_below(server, &mut incoming, &fields);
    }
    let mut completed = String::new();
    if incoming.user.is_some() || incoming.submission {
        complete(&mut completed, &fields, id, now, &server.config.hostname);
    }
    let signature = if own {
        server.authentication.sign(&fields, &completed, &mut incoming.body)
    } else {
        String::new()
    };
    let received = received_line(server, &incoming, id, now);
    let top = format!("{received}{added}{signature}{completed}");
    let groups = groups(&incoming.transaction);
    let (spooled, changes) =
        spool(server, &incoming, groups, &top, id, now).await.map_err(|error| refusal(&error))?;
    server.store.commit(changes).await.map_err(|error| refusal(&error))?;
    spooled.into_iter().for_each(Spooled::adopt);
    tracing::info!(
        "{id}: from <{}> by {} for {} recipient(s)",
        incoming.transaction.sender,
        incoming.peer,
        incoming.transaction.recipients.len()
    );
    afterwards(server, &incoming.transaction, &fields, &head, id, now).await;
    Ok(id)
}

/// Writes the files and says what is to be committed.
async fn spool(
    server: &Arc<Server>,
    incoming: &Incoming,
    groups: BTreeMap<Option<String>, Group>,
    top: &str,
    id: u64,
    now: i64,
) -> Result<(Vec<Spooled>, Vec<Change>), store::Error> {
    let transaction = &incoming.transaction;
    let (mut spooled, mut changes) = (Vec::new(), Vec::new());
    let return_path = format!("Return-Path: <{}>\r\n", transaction.sender);
    for (list, group) in groups {
        let list_lines = list.as_ref().map(|list| list_header(list)).unwrap_or_default();
        if !group.boxes.is_empty() {
            let prefix = format!("{return_path}{list_lines}{top}").into_bytes();
            let file = server.store.spool(prefix, again(server, &incoming.body)?).await?;
            changes.extend(group.boxes.iter().map(|account| Change::Add {
                account: account.clone(),
                mailbox: "INBOX".into(),
                file: file.id(),
                size: file.size(),
                received: now,
                flags: Flags::default(),
                quota: Some(server.directory.quota(account)),
            }));
            spooled.push(file);
        }
        if !group.elsewhere.is_empty() {
            // Return-Path is the last server's to write (RFC 5321, 4.4).
            let prefix = format!("{list_lines}{top}").into_bytes();
            let file = server.store.spool(prefix, again(server, &incoming.body)?).await?;
            changes.push(Change::Queue(Box::new(Envelope {
                id: if list.is_none() { id } else { server.store.number() },
                file: file.id(),
                size: file.size(),
                sender: transaction.sender.clone(),
                recipients: group.elsewhere,
                created: now,
                next: now,
                headers_only: transaction.headers_only,
                envid: transaction.envid.clone(),
                utf8: transaction.utf8,
                eight_bit: incoming.eight_bit,
                ..Envelope::default()
            })));
            spooled.push(file);
        }
    }
    Ok((spooled, changes))
}

/// The same bytes once more.
fn again(server: &Server, body: &Body) -> Result<Body, store::Error> {
    match body {
        Body::Memory(bytes) => Ok(Body::Memory(bytes.clone())),
        Body::File(file) => file.try_clone().map(Body::File).map_err(|error| store::Error::Disk {
            folder: server.config.state.clone(),
            reason: error.to_string(),
        }),
    }
}

/// The header, of a long message from its file.
fn head_of(body: &mut Body, limit: u64) -> std::io::Result<Vec<u8>> {
    match body {
        Body::Memory(bytes) => Ok(bytes[..headers::length(bytes)].to_vec()),
        Body::File(file) => {
            let mut head = Vec::new();
            file.seek(SeekFrom::Start(0))?;
            file.take(limit).read_to_end(&mut head)?;
            head.truncate(headers::length(&head));
            Ok(head)
        }
    }
}

/// Who gets which bytes: those of a list have its lines on top.
fn groups(transaction: &Transaction) -> BTreeMap<Option<String>, Group> {
    let mut groups: BTreeMap<Option<String>, Group> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for target in &transaction.recipients {
        let recipient = |address: &str, orcpt: Option<String>| Recipient {
            address: address.to_owned(),
            notify: target.notify,
            orcpt,
            ..Recipient::default()
        };
        match &target.own {
            None => {
                let address = target.address.to_string();
                if seen.insert(address.clone()) {
                    let orcpt = target.orcpt.clone();
                    groups.entry(None).or_default().elsewhere.push(recipient(&address, orcpt));
                }
            }
            Some(expansion) => {
                let group = groups.entry(expansion.list.clone()).or_default();
                group.boxes.extend(expansion.boxes.iter().cloned());
                let notify = match onward(expansion) {
                    None => target.notify,
                    Some(_) => queue::Notify { success: false, ..target.notify },
                };
                for address in &expansion.elsewhere {
                    if seen.insert(address.clone()) {
                        let orcpt = target
                            .orcpt
                            .clone()
                            .or_else(|| Some(format!("rfc822;{}", target.address)));
                        group.elsewhere.push(Recipient { notify, ..recipient(address, orcpt) });
                    }
                }
            }
        }
    }
    // Whoever gets it directly does not get it from a list as well.
    let direct = groups.get(&None).map(|group| group.boxes.clone()).unwrap_or_default();
    for (list, group) in &mut groups {
        if list.is_some() {
            group.boxes.retain(|account| !direct.contains(account));
        }
    }
    groups
}

/// Of what a sender who asked for notices of success is told here; `None` where the message goes
/// on to one other address, whose server will tell (RFC 3461, 5.2.7).
fn onward(expansion: &Expansion) -> Option<Kind> {
    if expansion.list.is_some() || expansion.elsewhere.is_empty() {
        return Some(Kind::Success);
    }
    let passed_on = expansion.boxes.is_empty() && expansion.elsewhere.len() == 1;
    (!passed_on).then_some(Kind::Expanded)
}

fn list_header(list: &str) -> String {
    format!("List-Id: <{}>\r\nPrecedence: list\r\n", list.replace('@', "."))
}

fn received_line(server: &Server, incoming: &Incoming, id: u64, now: i64) -> String {
    let helo = headers::host_word(&incoming.helo);
    let hostname = &server.config.hostname;
    let peer = match incoming.peer {
        IpAddr::V4(peer) => peer.to_string(),
        IpAddr::V6(peer) => format!("IPv6:{peer}"),
    };
    let mut line = format!("Received: from {helo} ([{peer}])\r\n");
    line.push_str(&format!("\tby {hostname} with {} id {id}", incoming.with));
    // With several recipients that would tell the blind copies (RFC 5321, 7.2).
    if let [only] = incoming.transaction.recipients.as_slice() {
        line.push_str(&format!("\r\n\tfor <{}>", only.address));
    }
    line.push_str(&format!(";\r\n\t{}\r\n", headers::date(now)));
    line
}

/// Adds what a mail program left out (RFC 6409, 8).
fn complete(into: &mut String, fields: &[(String, String)], id: u64, now: i64, hostname: &str) {
    if headers::field(fields, "Date").is_none() {
        into.push_str(&format!("Date: {}\r\n", headers::date(now)));
    }
    if headers::field(fields, "Message-ID").is_none() {
        into.push_str(&format!("Message-ID: <{now}.{id}@{hostname}>\r\n"));
    }
}

/// Puts the user's signature below a plain text.
fn sign_below(server: &Server, incoming: &mut Incoming, fields: &[(String, String)]) {
    let name = incoming.user.clone().unwrap_or_else(|| incoming.transaction.sender.clone());
    let Some((_, entry)) = server.directory.login(&name) else { return };
    let (Some(signature), Body::Memory(bytes)) = (entry.signature, &mut incoming.body) else {
        return;
    };
    let is = |field: &str, good: &[&str]| {
        headers::field(fields, field)
            .is_none_or(|value| good.iter().any(|g| value.to_ascii_lowercase().starts_with(g)))
    };
    let utf8 = headers::field(fields, "Content-Type")
        .is_some_and(|value| value.to_ascii_lowercase().contains("utf-8"));
    let plain = is("Content-Type", &["text/plain"])
        && is("Content-Transfer-Encoding", &["7bit", "8bit"])
        && (signature.is_ascii() || utf8);
    if !plain {
        return;
    }
    if !bytes.ends_with(b"\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"-- \r\n");
    for line in signature.lines() {
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
}

/// Notices of success and automatic answers. The message itself is delivered already: what fails
/// here is only logged.
async fn afterwards(
    server: &Arc<Server>,
    transaction: &Transaction,
    fields: &[(String, String)],
    head: &[u8],
    id: u64,
    now: i64,
) {
    for kind in [Kind::Success, Kind::Expanded] {
        let told: Vec<Recipient> = transaction
            .recipients
            .iter()
            .filter(|target| target.notify.success)
            .filter(|target| target.own.as_ref().and_then(onward) == Some(kind))
            .map(|target| Recipient {
                address: target.address.to_string(),
                state: queue::State::Delivered,
                notify: target.notify,
                orcpt: target.orcpt.clone(),
                reply: Some("250 2.1.5 delivered".into()),
                ..Recipient::default()
            })
            .collect();
        if told.is_empty() || transaction.sender.is_empty() {
            continue;
        }
        let envelope = Envelope {
            id,
            sender: transaction.sender.clone(),
            recipients: told,
            created: now,
            envid: transaction.envid.clone(),
            headers_only: true,
            ..Envelope::default()
        };
        let notice = queue::dsn::notice(&server.config.hostname, &envelope, kind, head, now);
        if let Err(error) = send_notice(server, &transaction.sender, notice).await {
            tracing::warn!("{id}: no notice of delivery: {error}");
        }
    }
    for target in &transaction.recipients {
        // Members do not answer for their list (RFC 3834, 2).
        let own = target.own.iter().filter(|own| own.list.is_none());
        let reached = own.flat_map(|own| own.reached.iter());
        for account in reached {
            let to = target.address.to_string();
            crate::auto_reply::answer(server, account, &to, &transaction.sender, fields, now).await;
        }
    }
}

/// A message that is on disk but not yet in any mailbox or the queue: its files, and the changes
/// that put it there.
pub type Prepared = (Vec<Spooled>, Vec<Change>);

/// Delivers a notice or an answer of this server: with an empty reverse path, here or elsewhere.
pub async fn send_notice(
    server: &Arc<Server>,
    to: &str,
    message: Vec<u8>,
) -> Result<(), store::Error> {
    let (spooled, changes) = prepare_notice(server, to, message).await?;
    server.store.commit(changes).await?;
    spooled.into_iter().for_each(Spooled::adopt);
    Ok(())
}

/// Prepares a notice, to be committed together with what it tells of.
pub async fn prepare_notice(
    server: &Arc<Server>,
    to: &str,
    message: Vec<u8>,
) -> Result<Prepared, store::Error> {
    use crate::address::Address;
    use crate::directory::{Sender, Verdict};
    let nobody = (Vec::new(), Vec::new());
    let Ok(address) = Address::parse(to, true) else { return Ok(nobody) };
    let verdict = {
        let data = server.directory.data();
        data.expand(&address, Sender { address: "", authenticated: true })
    };
    let own = match verdict {
        Verdict::Own(expansion) => Some(expansion),
        Verdict::Elsewhere => None,
        // Nobody to tell.
        Verdict::Unknown | Verdict::NotAllowed => return Ok(nobody),
    };
    let transaction = Transaction {
        utf8: !address.is_ascii(),
        recipients: vec![crate::smtp::session::Target {
            address,
            own,
            notify: queue::Notify::NEVER,
            orcpt: None,
        }],
        ..Transaction::default()
    };
    let (id, now) = (server.store.number(), headers::now());
    let groups = groups(&transaction);
    let eight_bit = !message.is_ascii();
    let incoming = Incoming {
        transaction,
        body: Body::Memory(message),
        eight_bit,
        helo: "localhost".into(),
        peer: IpAddr::from([127, 0, 0, 1]),
        user: None,
        with: "LOCAL".into(),
        submission: false,
        trusted: true,
    };
    let top = received_line(server, &incoming, id, now);
    spool(server, &incoming, groups, &top, id, now).await
}

fn refusal(error: &store::Error) -> Reply {
    match error {
        store::Error::OverQuota { .. } => Reply::new(452, "4.2.2", "a mailbox is full"),
        error => {
            tracing::error!("{error}");
            Reply::new(451, "4.3.0", "the message cannot be kept now, try again later")
        }
    }
}
