//! Changing zones while they are served.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use dnswire::Name;

use super::load::{self, Error};
use super::{Service, Task, now_s};
use crate::authority::{Authority, Held};
use crate::edit::{Edit, apply};
use crate::master::{Entry, Mistake};
use crate::query::{Query, code};
use crate::store::fingerprint;
use crate::zone::{Zone, build};

/// Why a change was not made; the old zone stays.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// No such zone.
    #[error("{0} is in no zone of this server; `zones` lists them")]
    NoZone(Name),
    /// It is a copy.
    #[error("{0} is a copy of its primary's: change it there")]
    Secondary(Name),
    /// It has no data now.
    #[error("{0} has no data yet: its primary has not been reached")]
    Empty(Name),
    /// The record is wrong.
    #[error("{0}")]
    Mistake(#[from] Mistake),
    /// It cannot be signed or kept.
    #[error("{0}")]
    Load(#[from] Error),
}

impl Service {
    /// The zone that a change is for, and its records.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub fn changeable(&self, name: &Name) -> Result<(Arc<Held>, Arc<Zone>), ChangeError> {
        let authority = self.authority();
        let lower = name.lower();
        let held =
            authority.closest(lower.wire()).ok_or_else(|| ChangeError::NoZone(name.clone()))?;
        if !held.settings.primaries.is_empty() {
            return Err(ChangeError::Secondary(held.origin.clone()));
        }
        let zone = held.zone.clone().ok_or_else(|| ChangeError::Empty(held.origin.clone()))?;
        Ok((Arc::new(held.clone()), zone))
    }

    /// Makes changes to one zone, all or none; gives the new zone.
    ///
    /// # Errors
    /// [`ChangeError`]; the old zone stays.
    pub fn change(&self, origin: &Name, edits: Vec<Edit>) -> Result<Arc<Zone>, ChangeError> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (held, zone) = self.changeable(origin)?;
        let new = apply(&zone, edits)?;
        self.keep_primary(&held, &new)?;
        let new = Arc::new(load::signed(&held.settings, held.key.as_deref(), new)?);
        self.put(held.followed_by(new.clone()));
        let _ = self.tasks.send(Task::Tell(held.origin.clone()));
        Ok(new)
    }

    fn keep_primary(&self, held: &Held, zone: &Zone) -> Result<(), ChangeError> {
        if let Some(store) = &self.store {
            let (source, _) = load::source_text(&held.origin, &held.settings)?;
            store
                .keep_zone(&held.origin, &fingerprint(&source), &zone.text(false))
                .map_err(Error::from)?;
        }
        Ok(())
    }

    fn put(&self, held: Held) {
        let mut authority = Authority::clone(&self.authority());
        authority.put(held);
        self.set_authority(authority);
    }

    /// Reads all zone files again; changes made at run time stay where a file is what it was.
    ///
    /// # Errors
    /// [`Error`]; the old zones stay.
    pub fn reload(&self) -> Result<(), Error> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (loaded, said) = load::all(&self.config, self.store.as_ref(), &self.authority())?;
        let mut authority = Authority::clone(&self.authority());
        for held in loaded.all() {
            let old = authority.get(&held.origin);
            let (Some(old), Some(new)) = (old, &held.zone) else { continue };
            let same = old.zone.as_ref().is_some_and(|old| old.soa.serial == new.soa.serial);
            if !same && held.settings.primaries.is_empty() {
                let followed = old.followed_by(new.clone());
                authority.put(followed);
                let _ = self.tasks.send(Task::Tell(held.origin.clone()));
            }
        }
        self.set_authority(authority);
        for line in said {
            self.say(&line);
        }
        Ok(())
    }

    /// Signs all zones again, so that their signatures do not run out.
    pub fn renew_signatures(&self) {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        for held in self.authority().all() {
            let Some(zone) = held.zone.as_ref().filter(|_| held.settings.dnssec) else { continue };
            // The next serial, so that secondaries fetch the new signatures.
            let new = apply(zone, Vec::new()).map_err(ChangeError::from).and_then(|new| {
                self.keep_primary(held, &new)?;
                Ok(load::signed(&held.settings, held.key.as_deref(), new)?)
            });
            match new {
                Ok(new) => {
                    self.put(held.followed_by(Arc::new(new)));
                    let _ = self.tasks.send(Task::Tell(held.origin.clone()));
                }
                Err(error) => self.say(&format!("zone {}: not signed again: {error}", held.origin)),
            }
        }
    }

    /// Takes a secondary's new copy.
    ///
    /// # Errors
    /// [`Mistake`]; the old copy stays.
    pub(crate) fn take_copy(&self, origin: &Name, entries: Vec<Entry>) -> Result<u32, Mistake> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let zone = Arc::new(build(origin, entries)?);
        let serial = zone.soa.serial;
        if let Some(store) = &self.store
            && let Err(error) = store.keep_zone(origin, &now_s().to_string(), &zone.text(true))
        {
            self.say(&error.to_string());
        }
        if let Some(held) = self.authority().get(origin) {
            self.put(held.followed_by(zone));
        }
        let _ = self.tasks.send(Task::Tell(origin.clone()));
        Ok(serial)
    }

    /// A primary confirmed that a copy is the present version.
    pub(crate) fn confirm_copy(&self, origin: &Name) {
        let zone = self.authority().get(origin).and_then(|held| held.zone.clone());
        if let (Some(store), Some(zone)) = (&self.store, zone)
            && let Err(error) = store.keep_zone(origin, &now_s().to_string(), &zone.text(true))
        {
            self.say(&error.to_string());
        }
    }

    /// A copy has expired: without its primary it is not answered from (RFC 1035 section 3.3.13).
    pub(crate) fn expire_copy(&self, origin: &Name) {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = self.authority().get(origin).filter(|held| held.zone.is_some()) {
            self.say(&format!(
                "zone {origin}: no primary was reached for too long; the copy has expired"
            ));
            self.put(Held { zone: None, ..Held::clone(held) });
        }
    }

    /// A NOTIFY came; gives the response code.
    pub(crate) fn notified(&self, request: &[u8], client: IpAddr) -> u16 {
        let Ok(query) = Query::read(request) else { return code::FORMERR };
        let authority = self.authority();
        let held = authority.by_key(&query.name.to_ascii_lowercase());
        let Some(held) = held.filter(|held| !held.settings.primaries.is_empty()) else {
            return code::NOTAUTH;
        };
        let client = client.to_canonical();
        if !held.settings.primaries.iter().any(|server| server.0.ip() == client) {
            return code::REFUSED;
        }
        let _ = self.tasks.send(Task::Refresh(held.origin.clone()));
        code::NOERROR
    }
}
