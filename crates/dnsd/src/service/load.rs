//! Loading zones: from files, from what was changed before, from copies of primaries.

use std::path::PathBuf;
use std::sync::Arc;

use dnswire::{Name, NameError};

use crate::authority::{Authority, Held};
use crate::config::{self, Config};
use crate::master::{self, Entry, Mistake};
use crate::service::now_s;
use crate::sign::{self, Key};
use crate::store::{self, Store, fingerprint};
use crate::zone::{Zone, build};
use crate::{edit, zone};

/// Zone files larger than this are refused, in bytes.
const LARGEST: u64 = 256 << 20;

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is not one.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// State cannot be kept.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Names cannot be resolved as configured.
    #[error(transparent)]
    Resolve(#[from] crate::resolve::Error),
    /// A zone's name is not one.
    #[error("zone: {0}")]
    Name(#[from] NameError),
    /// A zone's file cannot be read.
    #[error("zone {zone}: {} cannot be read: {reason}", path.display())]
    Read {
        /// The zone.
        zone: Name,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A zone's text has a mistake.
    #[error("zone {zone}: {place}{mistake}")]
    Zone {
        /// The zone.
        zone: Name,
        /// The file with a colon, or nothing.
        place: String,
        /// Where and what.
        mistake: Mistake,
    },
    /// A zone cannot be signed.
    #[error("zone {zone}: {source}")]
    Sign {
        /// The zone.
        zone: Name,
        /// Why.
        source: sign::Error,
    },
}

/// Loads all zones; the lines are for the log.
/// `old` are the zones so far, whose keys go on where none is kept.
pub(super) fn all(
    config: &Config,
    store: Option<&Store>,
    old: &Authority,
) -> Result<(Authority, Vec<String>), Error> {
    let mut authority = Authority::default();
    let mut said = Vec::new();
    for settings in &config.zones {
        let origin = Name::complete(&settings.name)?;
        let known = old.get(&origin).and_then(|held| held.key.clone());
        let key = key(&origin, settings, store, known)?;
        let zone = if settings.primaries.is_empty() {
            Some(primary(&origin, settings, store, key.as_deref(), &mut said)?)
        } else {
            copy(&origin, store)
        };
        let zone = zone.map(Arc::new);
        if let Some(zone) = &zone {
            said.extend(zone.warnings.iter().map(|warning| format!("zone {origin}: {warning}")));
        }
        authority.put(Held { key, ..Held::new(origin, Arc::new(settings.clone()), zone) });
    }
    Ok((authority, said))
}

/// A zone's text as its author gave it, and where it stands.
///
/// # Errors
/// [`Error::Read`].
pub fn source_text(origin: &Name, settings: &config::Zone) -> Result<(String, String), Error> {
    let Some(path) = &settings.file else {
        return Ok((settings.text.clone().unwrap_or_default(), String::new()));
    };
    let failed = |reason: String| Error::Read { zone: origin.clone(), path: path.clone(), reason };
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > LARGEST {
        return Err(failed(format!("it has {size} bytes; {LARGEST} are the most")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    Ok((text, format!("{}: ", path.display())))
}

fn primary(
    origin: &Name,
    settings: &config::Zone,
    store: Option<&Store>,
    key: Option<&Key>,
    said: &mut Vec<String>,
) -> Result<Zone, Error> {
    let (text, place) = source_text(origin, settings)?;
    let mistake = |mistake| Error::Zone { zone: origin.clone(), place: place.clone(), mistake };
    let mut zone =
        master::parse(origin, &text).and_then(|entries| build(origin, entries)).map_err(mistake)?;
    if let Some(kept) = store.and_then(|store| store.zone(origin)) {
        let old = master::parse(origin, &kept.text).and_then(|entries| build(origin, entries));
        match old {
            // Changed at run time, and its author has not given another text since.
            Ok(old) if kept.mark == fingerprint(&text) => zone = old,
            // Another text: it holds, and its serial goes on from the one last seen.
            Ok(old) if !edit::is_later(zone.soa.serial, old.soa.serial) => {
                let next = edit::next_serial(old.soa.serial);
                zone = with_serial(&zone, next).map_err(mistake)?;
                said.push(format!("zone {origin}: its file is new; the changes made before are gone, the serial goes on at {next}"));
            }
            Ok(_) => {}
            Err(error) => said.push(format!(
                "zone {origin}: what was kept of it is not whole ({error}); its file is used"
            )),
        }
    }
    signed(settings, key, zone)
}

fn with_serial(zone: &Zone, serial: u32) -> Result<Zone, Mistake> {
    let mut entries = zone.written();
    for entry in entries.iter_mut().filter(|entry| entry.kind == dnswire::RecordType::SOA) {
        edit::set_serial(&mut entry.data, serial);
    }
    build(&zone.origin, entries)
}

/// The key of a zone that is to be signed: the kept one, the one so far, or a new one.
fn key(
    origin: &Name,
    settings: &config::Zone,
    store: Option<&Store>,
    known: Option<Arc<Key>>,
) -> Result<Option<Arc<Key>>, Error> {
    if !settings.dnssec {
        return Ok(None);
    }
    let failed = |source| Error::Sign { zone: origin.clone(), source };
    if let Some(kept) = store.and_then(|store| store.key(origin)) {
        return Ok(Some(Arc::new(Key::read(&kept).map_err(failed)?)));
    }
    let key = match known {
        Some(key) => key,
        None => Arc::new(Key::make().map_err(failed)?),
    };
    if let Some(store) = store {
        store.keep_key(origin, key.pkcs8())?;
    }
    Ok(Some(key))
}

/// Signs a zone where it has a key.
pub(super) fn signed(
    settings: &config::Zone,
    key: Option<&Key>,
    zone: Zone,
) -> Result<Zone, Error> {
    let Some(key) = key else { return Ok(zone) };
    let origin = zone.origin.clone();
    let failed = |source| Error::Sign { zone: origin.clone(), source };
    let mut entries = zone.written();
    entries.extend(sign::sign(&zone, key, settings.denial, now_s()).map_err(failed)?);
    build(&origin, entries).map_err(|mistake| Error::Zone {
        zone: origin.clone(),
        place: String::new(),
        mistake,
    })
}

/// A secondary's last copy, unless it has expired (RFC 1035 section 3.3.13).
fn copy(origin: &Name, store: Option<&Store>) -> Option<Zone> {
    let kept = store?.zone(origin)?;
    let entries: Vec<Entry> = master::parse(origin, &kept.text).ok()?;
    let zone = zone::build(origin, entries).ok()?;
    let confirmed: u32 = kept.mark.parse().ok()?;
    (now_s().saturating_sub(confirmed) < zone.soa.expire).then_some(zone)
}
