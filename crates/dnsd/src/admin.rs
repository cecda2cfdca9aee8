//! The admin socket's requests.

use std::sync::Arc;

use dnswire::{Name, RecordType, rdata};
use node::Error;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};

use crate::edit::{Edit, read_line, read_removal};
use crate::service::{ChangeError, Service};
use crate::sign::Key;
use crate::zone::Zone;

/// Records listed at most in one answer.
const LISTED: usize = 20_000;

/// One request: `{"op": "...", ...}`.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Request {
    Status {},
    Switch {
        protocol: Option<String>,
        on: bool,
    },
    Zones {},
    Records {
        zone: Option<String>,
        name: Option<String>,
        #[serde(rename = "type")]
        kind: Option<String>,
    },
    Add {
        zone: Option<String>,
        record: String,
    },
    Change {
        zone: Option<String>,
        record: String,
    },
    Remove {
        zone: Option<String>,
        record: String,
    },
    Zone {
        zone: String,
    },
    Keys {
        zone: Option<String>,
    },
    Reload {},
    Flush {
        name: Option<String>,
    },
    Cache {
        name: Option<String>,
    },
    Queries {
        #[serde(default)]
        follow: bool,
        last: Option<usize>,
    },
}

/// Answers on the admin socket.
#[derive(Debug)]
pub struct Admin(pub Arc<Service>);

impl node::admin::Admin for Admin {
    async fn answer(&self, request: Value, items: mpsc::Sender<Value>) -> Result<Value, Error> {
        let request = serde_json::from_value::<Request>(request).map_err(|error| {
            Error::new("bad-request", error).help(
                "the operations are status, switch, zones, records, add, change, remove, zone, keys, reload, flush, cache, queries",
            )
        })?;
        let service = &self.0;
        match request {
            Request::Status {} => Ok(status(service)),
            Request::Switch { protocol, on } => {
                if let Some(other) = protocol.filter(|protocol| protocol != "dns") {
                    return Err(Error::new(
                        "no-such-protocol",
                        format!("`{other}` is no protocol of this service"),
                    )
                    .help("it has one: dns"));
                }
                service.switch(on).await.map_err(|error| Error::new("switch-failed", error))?;
                Ok(status(service))
            }
            Request::Zones {} => Ok(zones(service)),
            Request::Records { zone, name, kind } => records(service, zone, name, kind),
            Request::Add { zone, record } => {
                edit(service, zone, &record, |zone, line| read_line(zone, line).map(Edit::Add))
            }
            Request::Change { zone, record } => {
                edit(service, zone, &record, |zone, line| read_line(zone, line).map(Edit::Replace))
            }
            Request::Remove { zone, record } => edit(service, zone, &record, read_removal),
            Request::Zone { zone } => {
                let held = service.authority();
                let held = held.get(&name_of(&zone)?).ok_or_else(|| no_zone(&zone))?;
                let zone = held.zone.as_ref().ok_or_else(|| no_zone(&zone))?;
                Ok(json!({ "zone": held.origin.to_string(), "text": zone.text(false) }))
            }
            Request::Keys { zone } => keys(service, zone.as_deref()),
            Request::Reload {} => {
                service.reload().map_err(|error| {
                    Error::new("bad-zone", error).help("the old zones are still served")
                })?;
                Ok(zones(service))
            }
            Request::Flush { name } => {
                let name = name.as_deref().map(name_of).transpose()?;
                Ok(json!({ "flushed": service.flush(name.as_ref()) }))
            }
            Request::Cache { name } => {
                let name = name.as_deref().map(name_of).transpose()?;
                Ok(json!({ "entries": service.cached(name.as_ref(), LISTED) }))
            }
            Request::Queries { follow, last } => queries(service, follow, last, items).await,
        }
    }
}

fn name_of(text: &str) -> Result<Name, Error> {
    Name::complete(text).map_err(|error| Error::new("bad-name", error))
}

fn no_zone(name: impl std::fmt::Display) -> Error {
    Error::new("no-such-zone", format!("{name} is in no zone of this server"))
        .help("`zones` lists them")
}

fn status(service: &Service) -> Value {
    let listening = service.listening().borrow().clone();
    let (answered, dropped) = service.counts();
    let addresses: Vec<_> = listening.addresses.iter().map(ToString::to_string).collect();
    json!({
        "protocols": [{ "protocol": "dns", "on": *service.on().borrow() && listening.error.is_none() }],
        "listen": addresses,
        "error": listening.error,
        "zones": service.authority().all().len(),
        "answered": answered,
        "dropped": dropped,
    })
}

fn zones(service: &Service) -> Value {
    let authority = service.authority();
    let one = |held: &Arc<crate::authority::Held>| {
        let zone = held.zone.as_deref();
        let secondary = !held.settings.primaries.is_empty();
        json!({
            "zone": held.origin.to_string(),
            "kind": if secondary { "secondary" } else { "primary" },
            "loaded": zone.is_some(),
            "serial": zone.map(|zone| zone.soa.serial),
            "records": zone.map_or(0, |zone| zone.count),
            "signed": zone.is_some_and(|zone| !matches!(zone.proofs, crate::zone::Proofs::None)),
            "warnings": zone.map(|zone| zone.warnings.clone()).unwrap_or_default(),
        })
    };
    json!({ "zones": authority.all().into_iter().map(one).collect::<Vec<_>>() })
}

fn records(
    service: &Service,
    zone: Option<String>,
    name: Option<String>,
    kind: Option<String>,
) -> Result<Value, Error> {
    let authority = service.authority();
    let only = zone.as_deref().map(name_of).transpose()?;
    let kind = kind
        .map(|kind| kind.parse::<RecordType>().map_err(|why| Error::new("bad-type", why)))
        .transpose()?;
    let mut found = Vec::new();
    let mut known = only.is_none();
    for held in authority.all() {
        if only.as_ref().is_some_and(|only| *only != held.origin) {
            continue;
        }
        known = true;
        let Some(zone) = &held.zone else { continue };
        let name = name.as_deref().map(|text| Name::parse(text, Some(&held.origin)));
        let name = name.transpose().map_err(|error| Error::new("bad-name", error))?;
        for entry in zone.sorted() {
            let fits = name.as_ref().is_none_or(|name| *name == entry.name)
                && kind.is_none_or(|kind| kind == entry.kind);
            if fits {
                found.push(json!({
                    "zone": held.origin.to_string(),
                    "name": entry.name.to_string(),
                    "ttl": entry.ttl,
                    "type": entry.kind.to_string(),
                    "data": rdata::show(entry.kind, &entry.data),
                }));
            }
        }
    }
    if !known {
        return Err(no_zone(only.map(|name| name.to_string()).unwrap_or_default()));
    }
    let more = found.len().saturating_sub(LISTED);
    found.truncate(LISTED);
    Ok(json!({ "records": found, "left_out": more }))
}

/// The zone that a line is for: the one named, or the closest to the line's complete name.
fn zone_of(
    service: &Service,
    zone: Option<String>,
    line: &str,
) -> Result<(Name, Arc<Zone>), Error> {
    let name = match zone {
        Some(zone) => {
            let name = name_of(&zone)?;
            if service.authority().get(&name).is_none() {
                return Err(no_zone(zone));
            }
            name
        }
        None => name_of(line.split_whitespace().next().unwrap_or_default())?,
    };
    let (held, zone) = service.changeable(&name).map_err(refusal)?;
    Ok((held.origin.clone(), zone))
}

fn refusal(error: ChangeError) -> Error {
    let code = match &error {
        ChangeError::NoZone(_) => "no-such-zone",
        ChangeError::Secondary(_) => "secondary",
        ChangeError::Empty(_) => "no-data",
        ChangeError::Mistake(_) => "bad-record",
        ChangeError::Load(_) => "failed",
    };
    Error::new(code, error).help("nothing was changed")
}

fn edit(
    service: &Service,
    zone: Option<String>,
    line: &str,
    read: impl Fn(&Zone, &str) -> Result<Edit, crate::master::Mistake>,
) -> Result<Value, Error> {
    let complete = zone.is_none();
    let (origin, present) = zone_of(service, zone, line)?;
    // Without a zone the line's first name is complete, whether or not it ends with a dot.
    let line = match line.trim_start().split_once(char::is_whitespace) {
        Some((name, rest)) if complete => format!("{} {rest}", name_of(name)?),
        None if complete => name_of(line.trim())?.to_string(),
        _ => line.to_owned(),
    };
    let edit = read(&present, &line).map_err(|mistake| refusal(mistake.into()))?;
    let zone = service.change(&origin, vec![edit]).map_err(refusal)?;
    Ok(json!({
        "zone": origin.to_string(),
        "serial": zone.soa.serial,
        "records": zone.count,
        "warnings": zone.warnings,
    }))
}

fn keys(service: &Service, zone: Option<&str>) -> Result<Value, Error> {
    let only = zone.map(name_of).transpose()?;
    let mut found = Vec::new();
    for held in service.authority().all() {
        if only.as_ref().is_some_and(|only| *only != held.origin) {
            continue;
        }
        let set = held.zone.as_ref().and_then(|zone| {
            zone.apex().and_then(|(_, node)| node.set(RecordType::DNSKEY)).cloned()
        });
        let Some(set) = set else { continue };
        for data in &set.data {
            found.push(json!({
                "zone": held.origin.to_string(),
                "dnskey": rdata::show(RecordType::DNSKEY, data),
                "ds": Key::ds_of(&held.origin, data).map(|ds| rdata::show(RecordType::DS, &ds)),
            }));
        }
    }
    Ok(json!({ "keys": found }))
}

async fn queries(
    service: &Service,
    follow: bool,
    last: Option<usize>,
    items: mpsc::Sender<Value>,
) -> Result<Value, Error> {
    // Subscribed before the past is read: nothing is lost between them.
    let mut live = service.log.follow();
    let last = last.unwrap_or(if follow { 0 } else { 100 });
    let past: Vec<_> = service.log.last(last).iter().map(crate::log::Line::json).collect();
    if !follow {
        return Ok(json!({ "queries": past }));
    }
    for line in past {
        if items.send(line).await.is_err() {
            return Ok(Value::Null);
        }
    }
    loop {
        let item = match live.recv().await {
            Ok(line) => line.json(),
            Err(broadcast::error::RecvError::Lagged(count)) => json!({ "missed": count }),
            Err(broadcast::error::RecvError::Closed) => return Ok(Value::Null),
        };
        if items.send(item).await.is_err() {
            return Ok(Value::Null);
        }
    }
}
