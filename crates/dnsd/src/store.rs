//! What outlives the process: changed zones, secondary copies, keys, the switch.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use dnswire::Name;
use ring::digest;

/// The state folder.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

/// A zone as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it was made from: the hash of its source, or the time a copy was last confirmed.
    pub mark: String,
    /// Its master file.
    pub text: String,
}

/// Why state cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be {what}: {source}; look at the folder's owner and space", path.display())]
pub struct Error {
    path: PathBuf,
    what: &'static str,
    source: std::io::Error,
}

/// The hash of a zone's source text.
pub fn fingerprint(text: &str) -> String {
    dnswire::text::hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

impl Store {
    /// Opens the folder, made where it is not there.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        for part in ["zones", "keys"] {
            let path = folder.join(part);
            std::fs::create_dir_all(&path).map_err(|source| Error {
                path,
                what: "made",
                source,
            })?;
        }
        Ok(Self { folder: folder.into() })
    }

    /// A file of a zone; no byte of its name can leave the folder.
    fn path(&self, part: &str, origin: &Name, ending: &str) -> PathBuf {
        let clean = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c.to_string()
            } else {
                format!("%{:02x}", u32::from(c))
            }
        };
        let name: String = origin.lower().short().chars().map(clean).collect();
        let name = if name == "." { "root".into() } else { name };
        self.folder.join(part).join(format!("{name}.{ending}"))
    }

    /// Reads a kept zone; `None` where there is none or it is not whole.
    pub fn zone(&self, origin: &Name) -> Option<Kept> {
        let text = std::fs::read_to_string(self.path("zones", origin, "zone")).ok()?;
        let (first, rest) = text.split_once('\n')?;
        let mark = first.strip_prefix("; from ")?.to_owned();
        Some(Kept { mark, text: rest.into() })
    }

    /// Keeps a zone.
    ///
    /// # Errors
    /// [`Error`].
    pub fn keep_zone(&self, origin: &Name, mark: &str, text: &str) -> Result<(), Error> {
        let whole = format!("; from {mark}\n{text}");
        replace(&self.path("zones", origin, "zone"), whole.as_bytes())
    }

    /// Forgets a kept zone.
    pub fn forget_zone(&self, origin: &Name) {
        let _ = std::fs::remove_file(self.path("zones", origin, "zone"));
    }

    /// A zone's private key (PKCS #8).
    pub fn key(&self, origin: &Name) -> Option<Vec<u8>> {
        std::fs::read(self.path("keys", origin, "pkcs8")).ok()
    }

    /// Keeps a zone's private key.
    ///
    /// # Errors
    /// [`Error`].
    pub fn keep_key(&self, origin: &Name, key: &[u8]) -> Result<(), Error> {
        replace(&self.path("keys", origin, "pkcs8"), key)
    }

    /// Whether the service was switched on when it last ran.
    pub fn on(&self) -> bool {
        !self.folder.join("off").exists()
    }

    /// Keeps the switch.
    ///
    /// # Errors
    /// [`Error`].
    pub fn keep_on(&self, on: bool) -> Result<(), Error> {
        let path = self.folder.join("off");
        if !on {
            return replace(&path, b"");
        }
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error { path, what: "removed", source })
            }
            _ => Ok(()),
        }
    }
}

/// Writes a file whole or not at all, readable by its owner only.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let new = path.with_extension("new");
    let write = || {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        std::fs::rename(&new, path)
    };
    write().map_err(|source| Error { path: path.into(), what: "written", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_names_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let name = Name::complete("Mail.com").unwrap();
        assert_eq!(store.zone(&name), None);
        store.keep_zone(&name, "x", "text\n").unwrap();
        assert_eq!(store.zone(&name).unwrap(), Kept { mark: "x".into(), text: "text\n".into() });
        store.keep_key(&Name::root(), b"key").unwrap();
        assert_eq!(store.key(&Name::root()).unwrap(), b"key");
        assert!(store.on());
        store.keep_on(false).unwrap();
        assert!(!Store::open(folder.path()).unwrap().on());
        store.keep_on(true).unwrap();
        assert!(store.on());
        let odd = Name::complete("a/\\.\\./b").unwrap();
        assert_eq!(
            store.path("zones", &odd, "zone").parent().unwrap(),
            folder.path().join("zones")
        );
    }
}
