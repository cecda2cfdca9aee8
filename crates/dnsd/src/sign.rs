//! Signing a zone (RFC 4034, 4035, 5155, 6605): one ECDSA P-256 key that signs everything.

use std::collections::BTreeMap;

use dnswire::{Name, RecordType, rdata};
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use crate::config::Denial;
use crate::denial;
use crate::master::Entry;
use crate::zone::{Place, Zone};

/// ECDSA P-256 with SHA-256.
const ALGORITHM: u8 = 13;

/// Seconds that signatures hold; a running server renews them long before.
pub const VALIDITY: u32 = 30 * 86_400;

/// Seconds that signatures reach back, for clocks that are behind.
const BEFORE: u32 = 3600;

/// A zone's key.
pub struct Key {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    pkcs8: Vec<u8>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key {{ tag: {} }}", self.tag())
    }
}

/// Why a zone cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The random source failed.
    #[error("no key can be made: the system's random source fails")]
    Make,
    /// The kept key is not one.
    #[error("the zone's key cannot be read; remove it from the state folder to get a new one")]
    Read,
    /// Signing failed.
    #[error("a signature cannot be made: the system's random source fails")]
    Sign,
}

impl Key {
    /// A new key.
    ///
    /// # Errors
    /// [`Error::Make`].
    pub fn make() -> Result<Self, Error> {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|_| Error::Make)?;
        Self::read(pkcs8.as_ref())
    }

    /// A key from its PKCS #8 bytes.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn read(pkcs8: &[u8]) -> Result<Self, Error> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)
            .map_err(|_| Error::Read)?;
        Ok(Self { pair, random, pkcs8: pkcs8.into() })
    }

    /// Its PKCS #8 bytes.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The DNSKEY record's data: zone key and entry point (flags 257).
    pub fn dnskey(&self) -> Box<[u8]> {
        let point = self.pair.public_key().as_ref();
        // The point without its form byte (RFC 6605 section 4).
        [&[1, 1, 3, ALGORITHM], &point[1..]].concat().into()
    }

    /// The tag of the key.
    pub fn tag(&self) -> u16 {
        tag(&self.dnskey())
    }

    /// The DS record's data for the parent (SHA-256), from a DNSKEY's data.
    pub fn ds_of(origin: &Name, dnskey: &[u8]) -> Option<Box<[u8]>> {
        let algorithm = *dnskey.get(3)?;
        let owner = origin.lower();
        let sum = digest::digest(&digest::SHA256, &[owner.wire(), dnskey].concat());
        Some([&tag(dnskey).to_be_bytes()[..], &[algorithm, 2], sum.as_ref()].concat().into())
    }
}

/// The tag of a key (RFC 4034 appendix B).
fn tag(dnskey: &[u8]) -> u16 {
    let sum = dnskey.chunks(2).fold(0u32, |sum, pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        sum + u32::from(u16::from_be_bytes([pair[0], low]))
    });
    u16::try_from((sum + (sum >> 16)) & 0xffff).unwrap_or_default()
}

/// What signing adds to a zone: DNSKEY, NSEC or NSEC3, RRSIG.
///
/// # Errors
/// [`Error::Sign`].
pub fn sign(zone: &Zone, key: &Key, how: Denial, now: u32) -> Result<Vec<Entry>, Error> {
    let ttl = zone.soa_set().map_or(3600, |set| set.ttl);
    let mut sets = BTreeMap::<(Name, RecordType), (u32, Vec<Box<[u8]>>)>::new();
    // Names that denial lists: what we have authority for, and cuts.
    let mut listed = BTreeMap::<Name, (bool, Vec<RecordType>)>::new();
    for (name, node) in zone.names() {
        if node.place == Place::Below {
            continue;
        }
        let cut = node.place == Place::Cut;
        let kinds = listed.entry(name.clone()).or_insert((cut, Vec::new()));
        for set in node.sets.iter().filter(|set| !crate::zone::is_made_by_signing(set.kind)) {
            if cut && !matches!(set.kind, RecordType::NS | RecordType::DS) {
                continue;
            }
            kinds.1.push(set.kind);
            if !cut || set.kind == RecordType::DS {
                sets.insert((name.clone(), set.kind), (set.ttl, set.data.clone()));
            }
        }
    }
    let origin = &zone.origin;
    sets.insert((origin.clone(), RecordType::DNSKEY), (ttl, vec![key.dnskey()]));
    if let Some((_, kinds)) = listed.get_mut(origin) {
        kinds.push(RecordType::DNSKEY);
        if how == Denial::Nsec3 {
            kinds.push(RecordType::NSEC3PARAM);
            sets.insert(
                (origin.clone(), RecordType::NSEC3PARAM),
                (0, vec![[1, 0, 0, 0, 0].into()]),
            );
        }
    }
    match how {
        Denial::Nsec => chain(zone, &listed, &mut sets),
        Denial::Nsec3 => hashed_chain(zone, &listed, &mut sets),
    }
    let mut entries = Vec::with_capacity(sets.len() * 2);
    for ((name, kind), (ttl, data)) in &sets {
        let signature = signature(origin, key, name, *kind, *ttl, data, now)?;
        let entry = |kind, data| Entry { line: 0, name: name.clone(), ttl: *ttl, kind, data };
        entries.push(entry(RecordType::RRSIG, signature));
        if crate::zone::is_made_by_signing(*kind) {
            entries.extend(data.iter().map(|data| entry(*kind, data.clone())));
        }
    }
    Ok(entries)
}

type Sets = BTreeMap<(Name, RecordType), (u32, Vec<Box<[u8]>>)>;

/// NSEC: each name with records points at the next (RFC 4034 section 4).
fn chain(zone: &Zone, listed: &BTreeMap<Name, (bool, Vec<RecordType>)>, sets: &mut Sets) {
    let names: Vec<_> = listed.iter().filter(|(_, (_, kinds))| !kinds.is_empty()).collect();
    for (n, (name, (_, kinds))) in names.iter().enumerate() {
        let next = names.get(n + 1).map_or(&zone.origin, |(next, _)| next);
        let mut kinds = kinds.clone();
        kinds.extend([RecordType::RRSIG, RecordType::NSEC]);
        let data = [next.wire(), &rdata::bitmap(&kinds)].concat().into();
        sets.insert(((*name).clone(), RecordType::NSEC), (zone.soa.negative, vec![data]));
    }
}

/// NSEC3: each name, the empty ones too, in order of hashes (RFC 5155 section 7.1).
fn hashed_chain(zone: &Zone, listed: &BTreeMap<Name, (bool, Vec<RecordType>)>, sets: &mut Sets) {
    let mut hashes: Vec<_> =
        listed.iter().map(|(name, kinds)| (denial::hash(name, &[], 0), kinds)).collect();
    hashes.sort_by(|a, b| a.0.cmp(&b.0));
    for (n, (hash, (cut, kinds))) in hashes.iter().enumerate() {
        let next = &hashes[(n + 1) % hashes.len()].0;
        let mut kinds = kinds.clone();
        // A name without signed records has no RRSIG: an empty one, a delegation without DS.
        if !kinds.is_empty() && (!cut || kinds.contains(&RecordType::DS)) {
            kinds.push(RecordType::RRSIG);
        }
        let size = u8::try_from(next.len()).unwrap_or(20);
        let data = [&[1, 0, 0, 0, 0, size], &next[..], &rdata::bitmap(&kinds)].concat().into();
        let label = dnswire::text::base32hex(hash).to_ascii_lowercase();
        if let Ok(owner) = zone.origin.child(label.as_bytes()) {
            sets.insert((owner, RecordType::NSEC3), (zone.soa.negative, vec![data]));
        }
    }
}

/// The data of an RRSIG over a set (RFC 4034 section 3.1.8.1).
fn signature(
    origin: &Name,
    key: &Key,
    owner: &Name,
    kind: RecordType,
    ttl: u32,
    data: &[Box<[u8]>],
    now: u32,
) -> Result<Box<[u8]>, Error> {
    let labels = owner.count() - usize::from(owner.is_wildcard());
    let mut head = Vec::with_capacity(256);
    head.extend(kind.0.to_be_bytes());
    head.extend([ALGORITHM, u8::try_from(labels).unwrap_or(127)]);
    head.extend(ttl.to_be_bytes());
    head.extend(now.wrapping_add(VALIDITY).to_be_bytes());
    head.extend(now.wrapping_sub(BEFORE).to_be_bytes());
    head.extend(key.tag().to_be_bytes());
    head.extend_from_slice(origin.lower().wire());
    let mut canonical: Vec<Vec<u8>> = data
        .iter()
        .map(|data| {
            let mut data = data.to_vec();
            rdata::canonical(kind, &mut data);
            data
        })
        .collect();
    canonical.sort_unstable();
    canonical.dedup();
    let mut input = head.clone();
    let owner = owner.lower();
    for data in canonical {
        input.extend_from_slice(owner.wire());
        input.extend(kind.0.to_be_bytes());
        input.extend([0, 1]);
        input.extend(ttl.to_be_bytes());
        input.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
        input.extend(data);
    }
    let signature = key.pair.sign(&key.random, &input).map_err(|_| Error::Sign)?;
    head.extend_from_slice(signature.as_ref());
    Ok(head.into())
}
