//! Passwords: argon2id at rest, SCRAM keys beside it, a cache of recent successes.
//!
//! The parameters are small on purpose: a lab has short passwords that stand on the sheet, and a
//! hundred nodes share one machine. Verifies run on a blocking thread, one at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

/// KiB for one hash.
const MEMORY_KIB: u32 = 4096;
/// Iterations of SCRAM (RFC 7677 asks for at least 4096).
const SCRAM_ITERATIONS: u32 = 4096;
/// A success is remembered so long.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Successes remembered at most.
const MAX_REMEMBERED: usize = 1000;

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// `$argon2id$…`.
    hash: String,
    /// Keys for SCRAM-SHA-256; none where only a hash was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scram: Option<Scram>,
    /// The password itself, only where the instructor asked for CRAM-MD5 and APOP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plain: Option<String>,
}

/// The server's half of SCRAM-SHA-256 (RFC 5802, 3), base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scram {
    /// Salt.
    pub salt: String,
    /// Iterations.
    pub iterations: u32,
    /// StoredKey.
    pub stored_key: String,
    /// ServerKey.
    pub server_key: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(***)")
    }
}

/// A hash could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("the password hash is not argon2: {0}; write the password itself or `$argon2id$…`")]
pub struct BadHash(String);

impl Credentials {
    /// From what a configuration says: a password or an argon2 hash.
    pub fn from_config(text: &str, keep_plain: bool) -> Result<Self, BadHash> {
        if text.starts_with("$argon2") {
            let parsed = PasswordHash::new(text).map_err(|error| BadHash(error.to_string()))?;
            if parsed.salt.is_none() || parsed.hash.is_none() {
                return Err(BadHash("it has no salt or no hash".into()));
            }
            return Ok(Self { hash: text.to_owned(), scram: None, plain: None });
        }
        let salt: [u8; 16] = rand::random();
        Self::new(text, salt, keep_plain)
    }

    /// From a password and a salt.
    pub fn new(password: &str, salt: [u8; 16], keep_plain: bool) -> Result<Self, BadHash> {
        let bad = |error: argon2::password_hash::Error| BadHash(error.to_string());
        let params = Params::new(MEMORY_KIB, 1, 1, None).map_err(|e| BadHash(e.to_string()))?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let encoded = SaltString::encode_b64(&salt).map_err(bad)?;
        let hash = argon.hash_password(password.as_bytes(), &encoded).map_err(bad)?.to_string();
        Ok(Self {
            hash,
            scram: Some(Scram::new(password, &salt)),
            plain: keep_plain.then(|| password.to_owned()),
        })
    }

    /// The keys for SCRAM.
    pub fn scram(&self) -> Option<&Scram> {
        self.scram.as_ref()
    }

    /// The password, where it is kept.
    pub fn plain(&self) -> Option<&str> {
        self.plain.as_deref()
    }

    fn matches(&self, password: &str) -> bool {
        // The parameters are those of the hash.
        PasswordHash::new(&self.hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    }
}

impl Scram {
    fn new(password: &str, salt: &[u8]) -> Self {
        let salted = pbkdf2(password.as_bytes(), salt, SCRAM_ITERATIONS);
        let client_key = mac(&salted, b"Client Key");
        Self {
            salt: BASE64.encode(salt),
            iterations: SCRAM_ITERATIONS,
            stored_key: BASE64.encode(Sha256::digest(client_key)),
            server_key: BASE64.encode(mac(&salted, b"Server Key")),
        }
    }
}

/// HMAC-SHA-256.
pub fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac.chain_update(text).finalize().into_bytes().into(),
        // HMAC takes keys of any length.
        Err(_) => [0; 32],
    }
}

/// PBKDF2-HMAC-SHA-256, one block: `Hi` of RFC 5802.
pub fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let Ok(keyed) = Hmac::<Sha256>::new_from_slice(password) else { return [0; 32] };
    let first = keyed.clone().chain_update(salt).chain_update(1_u32.to_be_bytes());
    let mut block: [u8; 32] = first.finalize().into_bytes().into();
    let mut sum = block;
    for _ in 1..iterations {
        block = keyed.clone().chain_update(block).finalize().into_bytes().into();
        sum.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

/// Whether two secrets are equal, in a time that does not depend on where they differ.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    let key: [u8; 32] = rand::random();
    mac(&key, a) == mac(&key, b)
}

/// Verifies passwords.
pub struct Verifier {
    /// Key of the cache; never leaves memory.
    key: [u8; 32],
    successes: Mutex<HashMap<[u8; 32], Instant>>,
    turn: Semaphore,
}

impl Default for Verifier {
    fn default() -> Self {
        Self { key: rand::random(), successes: Mutex::default(), turn: Semaphore::new(1) }
    }
}

impl Verifier {
    /// Whether the password is the one of these credentials. Unknown users cost the same time:
    /// give `None`.
    pub async fn verify(
        self: &Arc<Self>,
        credentials: Option<Credentials>,
        password: String,
    ) -> bool {
        let hash = credentials.as_ref().map_or("", |c| c.hash.as_str());
        let seal = mac(&self.key, format!("{hash}\0{password}").as_bytes());
        let now = Instant::now();
        if self.remembers(&seal, now) {
            return true;
        }
        let Ok(turn) = self.turn.acquire().await else { return false };
        // The same password may have been verified while this one waited.
        if self.remembers(&seal, Instant::now()) {
            return true;
        }
        let verify = move || match credentials {
            Some(credentials) => credentials.matches(&password),
            None => {
                let _ = Credentials::new(&password, [0; 16], false);
                false
            }
        };
        let good = tokio::task::spawn_blocking(verify).await.unwrap_or(false);
        drop(turn);
        if good {
            let mut successes = self.successes.lock().unwrap_or_else(PoisonError::into_inner);
            if successes.len() >= MAX_REMEMBERED {
                successes.clear();
            }
            successes.insert(seal, now);
        }
        good
    }

    fn remembers(&self, seal: &[u8; 32], now: Instant) -> bool {
        let successes = self.successes.lock().unwrap_or_else(PoisonError::into_inner);
        successes.get(seal).is_some_and(|at| now.duration_since(*at) < REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_right_password_is_taken_and_remembered() {
        let verifier = Arc::new(Verifier::default());
        let credentials = Credentials::new("admin", [7; 16], false).unwrap();
        assert!(verifier.verify(Some(credentials.clone()), "admin".into()).await);
        assert!(!verifier.verify(Some(credentials.clone()), "Admin".into()).await);
        assert!(!verifier.verify(None, "admin".into()).await);
        let started = Instant::now();
        for _ in 0..100 {
            assert!(verifier.verify(Some(credentials.clone()), "admin".into()).await);
        }
        assert!(started.elapsed() < Duration::from_millis(500));
        assert!(!format!("{credentials:?}").contains("argon"));
        // A changed password is another hash: the old one is not remembered for it.
        let changed = Credentials::new("other", [8; 16], false).unwrap();
        assert!(!verifier.verify(Some(changed), "admin".into()).await);
    }

    #[test]
    fn the_keys_are_those_of_rfc_7677() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let scram = Scram::new("pencil", &salt);
        assert_eq!(scram.stored_key, "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=");
        assert_eq!(scram.server_key, "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    }

    #[test]
    fn a_hash_in_the_configuration_is_taken_as_it_is() {
        let made = Credentials::new("pw", [1; 16], false).unwrap();
        let read = Credentials::from_config(&made.hash, true).unwrap();
        assert!(read.matches("pw") && read.plain().is_none());
        Credentials::from_config("$argon2id$nonsense", false).unwrap_err();
    }
}
