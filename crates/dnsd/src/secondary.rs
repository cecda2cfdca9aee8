//! Copies of primaries' zones (RFC 1034 section 4.3.5), and telling secondaries (RFC 1996).

mod copy;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dnswire::{Flags, Message, Name, Record, RecordType};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::edit::{is_later, serial_of};
use crate::master::Entry;
use crate::service::{Service, Task};
use crate::upstream;

/// How long one server may take to answer.
const WAIT: Duration = Duration::from_secs(5);

/// How long a whole transfer may take.
const TRANSFER: Duration = Duration::from_secs(120);

/// Seconds until a zone without any copy is tried again, doubled each time up to the last.
const FIRST_RETRY: (u32, u32) = (1, 60);

/// When one secondary zone is looked after.
struct Watch {
    origin: Name,
    due: Instant,
    expires: Option<Instant>,
    wait: u32,
}

/// Looks after all zones until the process ends.
pub async fn run(service: Arc<Service>, mut tasks: mpsc::UnboundedReceiver<Task>) {
    let mut watches = HashMap::new();
    for held in service.authority().all() {
        if !held.settings.primaries.is_empty() {
            let soa = held.zone.as_ref().map(|zone| zone.soa);
            let expires = soa.map(|soa| Instant::now() + seconds(soa.expire));
            let watch = Watch {
                origin: held.origin.clone(),
                due: Instant::now(),
                expires,
                wait: FIRST_RETRY.0,
            };
            watches.insert(held.origin.clone(), watch);
        } else if held.zone.is_some() {
            // A restart may have brought another version.
            tokio::spawn(tell(service.clone(), held.origin.clone()));
        }
    }
    let renew = seconds(crate::sign::VALIDITY / 4);
    let mut sign = tokio::time::interval_at(Instant::now() + renew, renew);
    loop {
        let next = watches.values().map(|watch: &Watch| watch.due).min();
        tokio::select! {
            task = tasks.recv() => match task {
                Some(Task::Tell(origin)) => {
                    tokio::spawn(tell(service.clone(), origin));
                }
                Some(Task::Refresh(origin)) => {
                    if let Some(watch) = watches.get_mut(&origin) {
                        watch.due = Instant::now();
                    }
                }
                None => return,
            },
            () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                let now = Instant::now();
                for watch in watches.values_mut().filter(|watch| watch.due <= now) {
                    refresh(&service, watch).await;
                }
            }
            _ = sign.tick() => service.renew_signatures(),
        }
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

async fn refresh(service: &Arc<Service>, watch: &mut Watch) {
    let authority = service.authority();
    let Some(held) = authority.get(&watch.origin) else { return };
    let old = held.zone.clone();
    let mut reasons = Vec::new();
    for primary in &held.settings.primaries {
        match fetch(service, &watch.origin, old.as_deref(), primary.0).await {
            Ok(news) => {
                let present =
                    service.authority().get(&watch.origin).and_then(|held| held.zone.clone());
                if let Some(zone) = present {
                    watch.due = Instant::now() + seconds(zone.soa.refresh.max(1));
                    watch.expires = Some(Instant::now() + seconds(zone.soa.expire));
                    watch.wait = FIRST_RETRY.0;
                    if news {
                        service.say(&format!(
                            "zone {}: copied from {}, serial {}",
                            watch.origin, primary.0, zone.soa.serial
                        ));
                    }
                    return;
                }
            }
            Err(reason) => reasons.push(format!("{}: {reason}", primary.0)),
        }
    }
    let retry = match &old {
        Some(zone) => zone.soa.retry.max(1),
        None => {
            let wait = watch.wait;
            watch.wait = (wait * 2).min(FIRST_RETRY.1);
            wait
        }
    };
    service.say(&format!(
        "zone {}: no primary gives it ({}); next try in {retry} s",
        watch.origin,
        reasons.join("; ")
    ));
    watch.due = Instant::now() + seconds(retry);
    if watch.expires.is_some_and(|at| at <= Instant::now()) {
        watch.expires = None;
        service.expire_copy(&watch.origin);
    }
}

/// Asks one primary for its version and copies the zone when it is later; true when it was.
async fn fetch(
    service: &Arc<Service>,
    origin: &Name,
    old: Option<&crate::zone::Zone>,
    primary: SocketAddr,
) -> Result<bool, String> {
    let id = rand::random();
    let query = Message::query(id, origin.clone(), RecordType::SOA, false);
    let reply = upstream::ask(&query, primary, WAIT).await.map_err(|error| error.to_string())?;
    let soa = reply.answers.iter().find(|record| record.kind == RecordType::SOA);
    let soa = soa.filter(|_| reply.flags.has(Flags::AA));
    let soa =
        soa.ok_or_else(|| format!("it has no authority for the zone ({})", reply.rcode_word()))?;
    let serial = serial_of(&soa.data);
    if old.is_some_and(|old| !is_later(serial, old.soa.serial)) {
        service.confirm_copy(origin);
        return Ok(false);
    }
    let transfer = copy::transfer(origin, old, primary);
    let entries = tokio::time::timeout(TRANSFER, transfer)
        .await
        .map_err(|_| "the transfer takes too long".to_owned())??;
    service
        .take_copy(origin, entries)
        .map_err(|mistake| format!("its zone is wrong: {mistake}"))?;
    Ok(true)
}

/// Tells a zone's secondaries that it has changed, five times at most each (RFC 1996 section 3.6).
async fn tell(service: Arc<Service>, origin: Name) {
    let authority = service.authority();
    let Some(held) = authority.get(&origin) else { return };
    let Some(zone) = &held.zone else { return };
    let soa = zone.soa_records(&origin);
    if soa.is_empty() {
        return;
    }
    let mut told = tokio::task::JoinSet::new();
    for server in &held.settings.notify {
        let server = server.0;
        let mut query = Message::query(rand::random(), origin.clone(), RecordType::SOA, false);
        query.flags = Flags(4 << 11 | Flags::AA);
        query.edns = None;
        query.answers = soa.clone();
        let (service, origin) = (service.clone(), origin.clone());
        told.spawn(async move {
            let mut wait = Duration::from_secs(2);
            for _ in 0..5 {
                match upstream::ask(&query, server, wait).await {
                    Ok(_) => return,
                    // A refusal comes at once: the waiting is ours to do.
                    Err(upstream::Error::Io(_)) => tokio::time::sleep(wait).await,
                    Err(_) => {}
                }
                wait *= 2;
            }
            service.say(&format!("zone {origin}: {server} does not take the notice of the change"));
        });
    }
    while told.join_next().await.is_some() {}
}

/// A record of a message as one of a zone.
fn entry(record: Record) -> Entry {
    Entry { line: 0, name: record.name, ttl: record.ttl, kind: record.kind, data: record.data }
}
