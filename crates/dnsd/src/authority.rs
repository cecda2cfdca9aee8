//! The zones that the server has, and who may copy them.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use dnswire::{Name, parent_of};

use crate::config;
use crate::master::Entry;
use crate::sign::Key;
use crate::zone::{ByKey, Zone};

/// Versions kept for incremental transfers.
const HISTORY: usize = 64;

/// One step from a version of a zone to the next (RFC 1995).
#[derive(Clone, Debug)]
pub struct Step {
    /// The version before.
    pub serial: u32,
    /// Its SOA record.
    pub soa: Entry,
    /// The records that left.
    pub gone: Vec<Entry>,
    /// The records that came.
    pub came: Vec<Entry>,
}

/// A zone with what is said of it.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its name.
    pub origin: Name,
    /// Its settings.
    pub settings: Arc<config::Zone>,
    /// The key that it is signed with.
    pub key: Option<Arc<Key>>,
    /// Its records; none while a secondary has no copy or its copy has expired.
    pub zone: Option<Arc<Zone>>,
    /// Steps to the present version, oldest first.
    pub history: Arc<VecDeque<Step>>,
}

impl Held {
    /// A zone that has just been loaded.
    pub fn new(origin: Name, settings: Arc<config::Zone>, zone: Option<Arc<Zone>>) -> Self {
        Self { origin, settings, key: None, zone, history: Arc::default() }
    }

    /// With another version, the step to it kept.
    #[must_use]
    pub fn followed_by(&self, zone: Arc<Zone>) -> Self {
        let mut history = (*self.history).clone();
        if let Some(old) = &self.zone
            && let Some(soa) = old.soa()
        {
            let (gone, came) = crate::zone::diff(old, &zone);
            history.push_back(Step { serial: old.soa.serial, soa, gone, came });
            // Steps that are together larger than the zone are of no use to anybody.
            let size = |history: &VecDeque<Step>| {
                history.iter().map(|step| step.gone.len() + step.came.len()).sum::<usize>()
            };
            while history.len() > HISTORY || size(&history) > zone.count {
                history.pop_front();
            }
        }
        Self { zone: Some(zone), history: Arc::new(history), ..self.clone() }
    }

    /// Whether a client may copy the zone.
    pub fn may_transfer(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.settings.allow_transfer.iter().any(|net| net.contains(&client))
    }
}

/// All zones of the server; a change makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Authority {
    zones: ByKey<Arc<Held>>,
}

impl Authority {
    /// Puts a zone in, over the one of its name.
    pub fn put(&mut self, held: Held) {
        self.zones.insert(held.origin.wire().to_ascii_lowercase().into(), Arc::new(held));
    }

    /// The zones, by name.
    pub fn all(&self) -> Vec<&Arc<Held>> {
        let mut all: Vec<_> = self.zones.values().collect();
        all.sort_by(|a, b| a.origin.cmp(&b.origin));
        all
    }

    /// The zone of exactly this name.
    pub fn get(&self, origin: &Name) -> Option<&Arc<Held>> {
        self.zones.get(&origin.wire().to_ascii_lowercase()[..])
    }

    /// The zone of exactly this key.
    pub fn by_key(&self, key: &[u8]) -> Option<&Arc<Held>> {
        self.zones.get(key)
    }

    /// The closest zone that a name (lower-case wire bytes) lies in.
    pub fn closest(&self, name: &[u8]) -> Option<&Held> {
        if self.zones.is_empty() {
            return None;
        }
        let mut rest = Some(name);
        while let Some(suffix) = rest {
            if let Some(held) = self.zones.get(suffix) {
                return Some(held);
            }
            rest = parent_of(suffix);
        }
        None
    }
}
