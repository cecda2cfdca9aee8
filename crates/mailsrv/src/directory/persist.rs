//! What was changed at run time, in `state/directory.json`, written beside and renamed.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Data;
use crate::config::Config;

/// The changes could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk.
    #[error("cannot keep changes in {path}: {error}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is not what was written.
    #[error("{path} is damaged: {error}; remove it to begin with what the configuration says")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        error: serde_json::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Kept {
    /// Of the configuration that the changes were made to.
    fingerprint: String,
    data: Data,
}

/// What tells one configuration from another. A changed file wins over changes made to the old
/// one: its author has spoken last.
pub fn fingerprint(config: &Config) -> Result<String, Error> {
    let json = serde_json::to_vec(config)
        .map_err(|error| Error::Damaged { path: config.state.clone(), error })?;
    Ok(Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect())
}

pub fn load(path: &Path, fingerprint: &str) -> Result<Option<Data>, Error> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::Disk { path: path.into(), error }),
    };
    let kept: Kept = serde_json::from_slice(&text)
        .map_err(|error| Error::Damaged { path: path.into(), error })?;
    Ok((kept.fingerprint == fingerprint).then_some(kept.data))
}

pub fn save(path: &Path, fingerprint: &str, data: &Data) -> Result<(), Error> {
    let kept = Kept { fingerprint: fingerprint.to_owned(), data: data.clone() };
    let text = serde_json::to_vec_pretty(&kept)
        .map_err(|error| Error::Damaged { path: path.into(), error })?;
    write(path, &text).map_err(|error| Error::Disk { path: path.into(), error })
}

fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    // Password hashes: for the owner only.
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
