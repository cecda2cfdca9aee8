//! Message files: written beside, synced, renamed into place.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Error;
use super::model::{FileId, State};

/// The bytes of a message on their way in.
#[derive(Debug)]
pub enum Body {
    /// Short ones.
    Memory(Vec<u8>),
    /// Long ones: a file from [`super::Store::scratch`].
    File(File),
}

#[derive(Clone)]
pub(super) struct Files {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    messages: PathBuf,
    scratch: PathBuf,
    next: AtomicU64,
    /// Held as long as the store is open.
    _lock: File,
}

/// A message file on disk that no mailbox names yet. It is removed when this is dropped, unless
/// it was adopted after its commit.
pub struct Spooled {
    files: Files,
    id: FileId,
    size: u32,
    adopted: bool,
}

impl Spooled {
    /// Its number.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// Its size in bytes.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// A commit named it: from now on the store removes it with its last name.
    pub fn adopt(mut self) {
        self.adopted = true;
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        if !self.adopted {
            self.files.remove(self.id);
        }
    }
}

impl Files {
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let disk = |error: std::io::Error| Error::Disk {
            folder: folder.into(),
            reason: error.to_string(),
        };
        let (messages, scratch) = (folder.join("messages"), folder.join("tmp"));
        for path in [folder, &messages, &scratch] {
            std::fs::create_dir_all(path).map_err(disk)?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))
            .map_err(disk)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(Error::Locked(folder.into())),
            Err(std::fs::TryLockError::Error(error)) => return Err(disk(error)),
        }
        let inner = Inner {
            folder: folder.into(),
            messages,
            scratch,
            next: AtomicU64::new(1),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Removes what nothing names, and continues the numbers after the highest one seen.
    pub fn sweep(&self, state: &State) {
        let mut highest = state.names.keys().copied().max().unwrap_or(0);
        highest = highest.max(state.queue.keys().copied().max().unwrap_or(0));
        for folder in [&self.inner.scratch, &self.inner.messages] {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for entry in entries {
                let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
                let number: FileId = number.unwrap_or(0);
                highest = highest.max(number);
                let named = *folder == self.inner.messages && state.names.contains_key(&number);
                if !named {
                    // What cannot be removed now is tried again at the next start.
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
        // Numbers given before a crash may have been seen in a transcript: leave a gap.
        self.inner.next.store(highest + 1000, Ordering::Relaxed);
    }

    pub fn number(&self) -> FileId {
        self.inner.next.fetch_add(1, Ordering::Relaxed)
    }

    pub fn path(&self, id: FileId) -> PathBuf {
        self.inner.messages.join(id.to_string())
    }

    pub fn remove(&self, id: FileId) {
        // Left behind it costs space until the next start sweeps it.
        let _ = std::fs::remove_file(self.path(id));
    }

    pub fn sync_folder(&self) -> std::io::Result<()> {
        File::open(&self.inner.messages)?.sync_all()
    }

    pub fn scratch(&self) -> Result<File, Error> {
        let path = self.inner.scratch.join(self.number().to_string());
        let open = OpenOptions::new().create_new(true).read(true).write(true).open(&path);
        let file = open.map_err(|error| self.disk(&error))?;
        // Without a name it goes away by itself, also after a crash.
        std::fs::remove_file(&path).map_err(|error| self.disk(&error))?;
        Ok(file)
    }

    /// Blocks: writes, syncs, renames.
    pub fn write(&self, prefix: &[u8], body: Body) -> Result<Spooled, Error> {
        let id = self.number();
        let beside = self.inner.scratch.join(id.to_string());
        match self.write_to(id, &beside, prefix, body) {
            Ok(size) => Ok(Spooled { files: self.clone(), id, size, adopted: false }),
            Err(error) => {
                let _ = std::fs::remove_file(&beside);
                Err(self.disk(&error))
            }
        }
    }

    fn write_to(
        &self,
        id: FileId,
        beside: &Path,
        prefix: &[u8],
        body: Body,
    ) -> std::io::Result<u32> {
        let mut file = File::create(beside)?;
        let mut size = prefix.len() as u64;
        match body {
            Body::Memory(bytes) => {
                // One write for the usual short message.
                let mut whole = prefix.to_vec();
                whole.extend_from_slice(&bytes);
                file.write_all(&whole)?;
                size += bytes.len() as u64;
            }
            Body::File(mut source) => {
                file.write_all(prefix)?;
                source.seek(SeekFrom::Start(0))?;
                size += std::io::copy(&mut source, &mut file)?;
            }
        }
        file.sync_data()?;
        std::fs::rename(beside, self.path(id))?;
        u32::try_from(size).map_err(|_| std::io::Error::other("a message of more than 4 GiB"))
    }

    fn disk(&self, error: &std::io::Error) -> Error {
        Error::Disk { folder: self.inner.folder.clone(), reason: error.to_string() }
    }
}
