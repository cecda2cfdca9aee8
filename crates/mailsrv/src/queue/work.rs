//! The queue at work: what is due is tried, in parallel, and its fate is written down.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

use super::dsn::{self, Kind};
use super::{Envelope, Recipient, State};
use crate::address::Address;
use crate::delivery::{self, Prepared};
use crate::headers;
use crate::relay::{self, Attempt, Fate};
use crate::server::Server;
use crate::store::{self, Change, Spooled};

/// What cannot be written down (a full disk) is tried again only after this time: each try would
/// deliver anew to those whose delivery was not written down.
const PAUSE: Duration = Duration::from_secs(60);

/// Works until the process ends.
pub async fn run(server: Arc<Server>) {
    let mut news = server.store.watch_queue();
    let busy: Arc<Mutex<HashSet<u64>>> = Arc::default();
    let ended = Arc::new(Notify::new());
    let slots = Arc::new(Semaphore::new(server.config.queue.parallel.max(1)));
    loop {
        news.mark_unchanged();
        let now = headers::now();
        let mut next: Option<i64> = None;
        for envelope in server.store.queue() {
            let is_busy =
                busy.lock().unwrap_or_else(PoisonError::into_inner).contains(&envelope.id);
            if envelope.held || is_busy {
                continue;
            }
            if envelope.next > now {
                next = Some(next.map_or(envelope.next, |next| next.min(envelope.next)));
                continue;
            }
            busy.lock().unwrap_or_else(PoisonError::into_inner).insert(envelope.id);
            let (server, busy, slots) = (server.clone(), busy.clone(), slots.clone());
            let ended = ended.clone();
            tokio::spawn(async move {
                let settled = match slots.acquire().await {
                    Ok(_slot) => attempt(&server, envelope.id).await,
                    Err(_) => true,
                };
                if !settled {
                    tokio::time::sleep(PAUSE).await;
                }
                busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&envelope.id);
                ended.notify_one();
            });
        }
        let wait = next.map_or(3600, |next| next.saturating_sub(headers::now()).clamp(1, 3600));
        let wait = Duration::from_secs(wait.unsigned_abs());
        tokio::select! {
            _ = news.changed() => {}
            // Only now may the entry be looked at again.
            () = ended.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Tries one entry once; whether what became of it is written down.
async fn attempt(server: &Arc<Server>, id: u64) -> bool {
    let Some(found) = server.store.queued(id) else { return true };
    let mut envelope = (*found).clone();
    let domains = by_domain(&envelope);
    let mut dsn_passed_on = HashSet::new();
    for (domain, recipients) in domains {
        try_domain(server, &mut envelope, &domain, &recipients, &mut dsn_passed_on).await;
    }
    let settled = settle(server, envelope, &dsn_passed_on).await;
    if let Err(error) = &settled {
        tracing::error!("queue entry {id}: {error}");
    }
    settled.is_ok()
}

/// Waiting recipients, by domain; a smarthost takes them all the same.
fn by_domain(envelope: &Envelope) -> BTreeMap<String, Vec<usize>> {
    let mut domains: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, recipient) in envelope.recipients.iter().enumerate() {
        if recipient.state == State::Waiting {
            let domain = Address::parse(&recipient.address, true).map(|a| a.domain);
            domains.entry(domain.unwrap_or_default()).or_default().push(index);
        }
    }
    domains
}

async fn try_domain(
    server: &Arc<Server>,
    envelope: &mut Envelope,
    domain: &str,
    recipients: &[usize],
    dsn_passed_on: &mut HashSet<usize>,
) {
    let note = |envelope: &mut Envelope, index: usize, host: Option<&str>, fate: Fate| {
        let Some(recipient) = envelope.recipients.get_mut(index) else { return };
        let (state, reply) = match fate {
            Fate::Delivered(reply) => (State::Delivered, reply),
            Fate::Failed(reply) => (State::Failed, reply),
            Fate::Later(reply) => (State::Waiting, reply),
        };
        tracing::info!("{}: <{}> {state:?}: {reply}", envelope.id, recipient.address);
        (recipient.state, recipient.reply) = (state, Some(reply));
        recipient.host = host.map(str::to_owned);
    };
    let config = &server.config;
    let hosts = relay::hosts(&server.resolver, &config.relay, domain, &config.hostname).await;
    let hosts = match hosts {
        Ok(hosts) => hosts,
        Err(none) => {
            for index in recipients {
                let reason = none.reason.clone();
                let fate = if none.permanent { Fate::Failed(reason) } else { Fate::Later(reason) };
                note(envelope, *index, None, fate);
            }
            return;
        }
    };
    let (mut left, mut problem) = (recipients.to_vec(), String::new());
    for host in &hosts {
        let Ok(message) = server.store.open_file(envelope.file) else {
            problem = "451 4.3.0 the message file cannot be read".into();
            break;
        };
        let attempt = Attempt {
            outbound: &server.outbound,
            transcript: &server.transcript,
            connection: server.sessions.number(),
            hostname: &config.hostname,
            host,
            envelope,
            recipients: &left,
            message,
            timeout: Duration::from_secs(config.queue.timeout_s.max(1)),
        };
        match attempt.run().await {
            Ok((fates, dsn)) => {
                let mut later = Vec::new();
                for (index, fate) in left.iter().zip(fates) {
                    if dsn && matches!(fate, Fate::Delivered(_)) {
                        dsn_passed_on.insert(*index);
                    }
                    if matches!(fate, Fate::Later(_)) {
                        later.push(*index);
                    }
                    note(envelope, *index, Some(&host.name), fate);
                }
                // A temporary refusal is a reason to ask the next exchanger.
                left = later;
                problem.clear();
                if left.is_empty() {
                    return;
                }
            }
            Err(unreachable) => problem = format!("451 4.4.1 {}", unreachable.0),
        }
    }
    if !problem.is_empty() {
        for index in left {
            note(envelope, index, None, Fate::Later(problem.clone()));
        }
    }
}

/// Writes down what became of it, and tells the sender what there is to tell.
async fn settle(
    server: &Arc<Server>,
    mut envelope: Envelope,
    dsn_passed_on: &HashSet<usize>,
) -> Result<(), store::Error> {
    let now = headers::now();
    let queue = &server.config.queue;
    envelope.attempts += 1;
    let age = u64::try_from(now - envelope.created).unwrap_or(0);
    if age >= queue.expire_s {
        for recipient in envelope.recipients.iter_mut().filter(|r| r.state == State::Waiting) {
            recipient.state = State::Failed;
            let last = recipient.reply.take().unwrap_or_default();
            recipient.reply = Some(format!("554 5.4.7 given up after {age} seconds: {last}"));
        }
    }
    let step = usize::try_from(envelope.attempts - 1).unwrap_or(usize::MAX);
    let wait = queue.retry_s.get(step).or(queue.retry_s.last()).copied().unwrap_or(900);
    envelope.next = now.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX));
    let notices = tell(server, &mut envelope, dsn_passed_on, age, now).await?;
    let done = envelope.recipients.iter().all(|r| r.state != State::Waiting);
    // An administrator may have removed or held it meanwhile, and does not between here and the end.
    let _unchanged = server.queue_changes.read().await;
    let Some(present) = server.store.queued(envelope.id) else { return Ok(()) };
    envelope.held = present.held;
    let end = if done {
        Change::Unqueue { id: envelope.id }
    } else {
        // Those who are done need not be told of again.
        envelope.recipients.retain(|r| r.state == State::Waiting);
        Change::Queue(Box::new(envelope))
    };
    commit(server, notices, end).await
}

/// The notice and the end of what it tells of are one: a crash between would tell twice. A notice
/// that its mailbox has no room for is lost; what it tells of has happened all the same.
async fn commit(
    server: &Arc<Server>,
    (spooled, mut changes): Prepared,
    end: Change,
) -> Result<(), store::Error> {
    changes.push(end.clone());
    match server.store.commit(changes).await {
        Ok(_) => {
            spooled.into_iter().for_each(Spooled::adopt);
            Ok(())
        }
        Err(store::Error::OverQuota { account, .. }) => {
            tracing::warn!("no notice to {account}: its mailbox is full");
            server.store.commit(vec![end]).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

/// Prepares the notices that are due. Notices are never answered by notices.
async fn tell(
    server: &Arc<Server>,
    envelope: &mut Envelope,
    dsn_passed_on: &HashSet<usize>,
    age: u64,
    now: i64,
) -> Result<Prepared, store::Error> {
    let (mut spooled, mut changes) = (Vec::new(), Vec::new());
    if envelope.sender.is_empty() {
        return Ok((spooled, changes));
    }
    let late = !envelope.warned && age >= server.config.queue.warn_s;
    let wanted = |kind: Kind, index: usize, recipient: &Recipient| match kind {
        Kind::Failure => recipient.state == State::Failed && recipient.notify.failure,
        Kind::Relayed => {
            recipient.state == State::Delivered
                && recipient.notify.success
                && !dsn_passed_on.contains(&index)
        }
        // Not here: those are told of where they happen.
        Kind::Success | Kind::Expanded => false,
        Kind::Delay => late && recipient.state == State::Waiting && recipient.notify.delay,
    };
    for kind in [Kind::Failure, Kind::Relayed, Kind::Delay] {
        let about: Vec<Recipient> = envelope
            .recipients
            .iter()
            .enumerate()
            .filter(|(index, recipient)| wanted(kind, *index, recipient))
            .map(|(_, recipient)| recipient.clone())
            .collect();
        if about.is_empty() {
            continue;
        }
        // A long message does not come back whole: then its beginning is enough.
        let original = server.store.read_range(envelope.file, 0, dsn::MAX_RETURNED + 1);
        let original = original.unwrap_or_default();
        let about = Envelope { recipients: about, ..envelope.clone() };
        let notice = dsn::notice(&server.config.hostname, &about, kind, &original, now);
        let prepared = delivery::prepare_notice(server, &envelope.sender, notice).await?;
        spooled.extend(prepared.0);
        changes.extend(prepared.1);
    }
    envelope.warned |= late;
    Ok((spooled, changes))
}

/// Ends a queue entry for its administrator: with a notice to the sender, or without.
pub(crate) async fn give_up(
    server: &Arc<Server>,
    id: u64,
    notice: bool,
) -> Result<bool, store::Error> {
    let Some(found) = server.store.queued(id) else { return Ok(false) };
    let mut notices = (Vec::new(), Vec::new());
    if notice {
        let mut envelope = (*found).clone();
        for recipient in envelope.recipients.iter_mut().filter(|r| r.state == State::Waiting) {
            recipient.state = State::Failed;
            recipient.reply = Some("554 5.0.0 given up by the administrator".into());
        }
        notices = tell(server, &mut envelope, &HashSet::new(), 0, headers::now()).await?;
    }
    commit(server, notices, Change::Unqueue { id }).await?;
    Ok(true)
}
