//! The folder of an instance: `/run/labctl/<instance>/`, or `$XDG_RUNTIME_DIR/labctl/<instance>/`.
//!
//! It holds the supervisor's socket, `deployment.json` (what the instance shall be, with its
//! document), `supervisor.log` and the lock. Mode 0700: a deployment holds passwords and expected
//! answers. Everything else of an instance lives in the supervisor's namespaces and ends with them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use crate::{Deployment, Error, PATIENCE, Result};

/// What is kept of an instance beside its running processes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Seconds since the epoch.
    pub(super) created: i64,
    /// What the instance shall be.
    pub(super) deployment: Deployment,
}

/// The folder of one instance.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

/// Held while an instance is changed; another labctl waits.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code)] Flock<File>);

/// Held while this machine's labctl changes an instance of an engine that keeps no folder: other
/// labctl of this user wait for their turn.
#[derive(Debug)]
pub(crate) struct Turn {
    folder: Folder,
    _lock: Lock,
}

impl Turn {
    /// Waits for it. `None` where no folder of this user's can be made.
    ///
    /// # Errors
    /// When another labctl has been at it for a minute.
    pub(crate) async fn take(engine: &str, instance: &str) -> Result<Option<Self>> {
        let root = default_root();
        // A name that begins with a dot is no instance of the embedded engine.
        let own = root.join(format!(".{engine}"));
        if make_root(&root).and_then(|()| make_root(&own)).is_err() {
            return Ok(None);
        }
        let folder = Folder::new(&own, instance)?;
        let lock = folder.lock().await?;
        Ok(Some(Self { folder, _lock: lock }))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Who waits makes it again; one that stays is the next one's.
        let _ = self.folder.remove();
    }
}

/// How folders on their way out are called; no instance's name begins with a dot.
const GONE: &str = ".gone-";

/// Removes folders that a killed labctl was about to remove.
pub(super) fn sweep_gone(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(GONE) {
            // Another labctl may be removing the same one.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A new folder for one trial of the engine, of a name that no instance can have; if its labctl is
/// killed, `gc` removes it.
pub(super) fn probe(root: &Path) -> io::Result<PathBuf> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (pid, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = fs::canonicalize(root)?.join(format!("{GONE}probe-{pid}-{number}"));
    DirBuilder::new().mode(0o700).recursive(true).create(&path)?;
    Ok(path)
}

/// Where this user's instances are kept.
pub(super) fn default_root() -> PathBuf {
    let uid = nix::unistd::geteuid();
    if uid.is_root() {
        return "/run/labctl".into();
    }
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir).join("labctl"),
        None => PathBuf::from(format!("/tmp/labctl-{uid}")),
    }
}

/// Makes `root`, private to this user; refuses one that another user could have put there.
pub(super) fn make_root(root: &Path) -> Result<()> {
    let make = DirBuilder::new().mode(0o700).recursive(true).create(root);
    let metadata =
        make.and_then(|()| fs::symlink_metadata(root)).map_err(|error| Error::Unavailable {
            message: format!("cannot make the folder {}: {error}", root.display()),
            help: "set XDG_RUNTIME_DIR to a folder of yours".into(),
        })?;
    let owner = nix::unistd::geteuid().as_raw();
    if !metadata.is_dir() || metadata.uid() != owner || metadata.permissions().mode() & 0o077 != 0 {
        return Err(Error::Unavailable {
            message: format!("the folder {} is open to other users", root.display()),
            help: format!("make it private: `chmod 700 {}`, owned by you", root.display()),
        });
    }
    Ok(())
}

/// Whether `name` can be an instance's: it becomes a file name and part of a cgroup's.
pub(super) fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(allowed) {
        return Err(Error::failed(
            format!("the instance's name `{name}`"),
            "only letters, digits, dashes, dots and underscores are allowed, at most 100",
        ));
    }
    Ok(())
}

impl Folder {
    /// The folder of `instance`; it need not exist.
    pub(super) fn new(root: &Path, instance: &str) -> Result<Self> {
        check_name(instance)?;
        Ok(Self { path: root.join(instance) })
    }

    /// All instances under `root`, by name.
    pub(super) fn all(root: &Path) -> Vec<(String, Folder)> {
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        let mut found: Vec<(String, Folder)> = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let folder = Folder::new(root, &name).ok()?;
                Some((name, folder))
            })
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it exists.
    pub(super) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Makes the folder where needed and locks it, waiting for another labctl to finish.
    pub(super) async fn lock(&self) -> Result<Lock> {
        let what = || format!("locking {}", self.path.display());
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(2);
        loop {
            let made = match DirBuilder::new().mode(0o700).create(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => self.try_lock(),
            };
            match made.map_err(|error| Error::failed(what(), error))? {
                Some(lock) => return Ok(lock),
                None if Instant::now() > deadline => {
                    return Err(Error::failed(
                        what(),
                        "another labctl has been working on this instance for a minute; \
                         wait for it or end it",
                    ));
                }
                None => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// The lock, if the folder is there and its lock is free at once.
    pub(super) fn try_lock(&self) -> io::Result<Option<Lock>> {
        let path = self.path.join("lock");
        let open =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = match open {
            Ok(file) => file,
            // The folder was removed in between: the next try makes it again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let locked = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => locked,
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(errno.into()),
        };
        // Who held it before may have removed the folder; then this lock is on a dead file.
        let current = fs::metadata(&path).is_ok_and(|there| {
            locked
                .metadata()
                .is_ok_and(|ours| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
        });
        Ok(current.then_some(Lock(locked)))
    }

    /// The socket's path through a descriptor of the folder: socket paths end at 107 bytes.
    fn socket(directory: &File) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/socket", directory.as_raw_fd()))
    }

    /// Listens on the folder's socket, in place of a dead one.
    pub(super) fn listen(&self) -> io::Result<std::os::unix::net::UnixListener> {
        let directory = File::open(&self.path)?;
        let path = Self::socket(&directory);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::os::unix::net::UnixListener::bind(path)
    }

    /// Connects to the supervisor; `None` when there is surely none.
    pub(super) async fn connect(&self) -> Result<Option<UnixStream>> {
        use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound, WouldBlock};
        let fail = |error| {
            Err(Error::failed(
                format!("connecting to the supervisor in {}", self.path.display()),
                error,
            ))
        };
        let directory = match File::open(&self.path) {
            Ok(directory) => directory,
            Err(error) if error.kind() == NotFound => return Ok(None),
            Err(error) => return fail(error),
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            match UnixStream::connect(Self::socket(&directory)).await {
                Ok(stream) => return Ok(Some(stream)),
                // The queue of the socket is full: the supervisor lives and is busy.
                Err(error) if error.kind() == WouldBlock && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error)
                    if matches!(error.kind(), ConnectionRefused | ConnectionReset | NotFound) =>
                {
                    return Ok(None);
                }
                Err(error) => return fail(error),
            }
        }
    }

    /// What is kept, if it can be read.
    pub(super) fn kept(&self) -> Option<Kept> {
        read_kept(&self.path)
    }

    /// The process number of the supervisor, if it runs: known by its command line, which names the
    /// folder, so that no other process is taken for it. Its children have the same one until they
    /// are agents.
    pub(super) fn supervisor(&self) -> Option<i32> {
        let path = fs::canonicalize(&self.path).ok()?;
        let wanted = [&b"supervisor"[..], b"run", path.as_os_str().as_encoded_bytes()];
        let entries = fs::read_dir("/proc").ok()?.flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let found: Vec<i32> = pids
            .filter(|pid| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
                words.get(1..4).is_some_and(|words| words == wanted)
            })
            .collect();
        let parent = |pid: i32| -> Option<i32> {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
        };
        found.iter().copied().find(|pid| parent(*pid).is_some_and(|of| !found.contains(&of)))
    }

    /// The last lines that the supervisor wrote about itself, if there are any.
    pub(super) fn last_words(&self) -> Option<String> {
        let log = fs::read(self.path.join("supervisor.log")).ok()?;
        let from = log.len().saturating_sub(2000);
        let text = String::from_utf8_lossy(&log[from..]).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Removes the folder and all in it. It goes out of the way first, as a whole, so that another
    /// labctl finds either all of it or nothing.
    pub(super) fn remove(&self) -> io::Result<()> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let aside = self.path.with_file_name(format!("{GONE}{}-{number}", std::process::id()));
        match fs::rename(&self.path, &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => fs::remove_dir_all(aside),
        }
    }
}

/// What is kept in `folder`, if it can be read.
pub(super) fn read_kept(folder: &Path) -> Option<Kept> {
    serde_json::from_slice(&fs::read(folder.join("deployment.json")).ok()?).ok()
}

/// Writes what is kept, whole or not at all.
pub(super) fn write_kept(folder: &Path, kept: &Kept) -> io::Result<()> {
    let text = serde_json::to_vec(kept).map_err(io::Error::other)?;
    let new = folder.join("deployment.json.new");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(&text)?;
    fs::rename(new, folder.join("deployment.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_outlives_the_removal_of_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path(), "lab06").unwrap();
        let lock = folder.lock().await.unwrap();
        assert!(folder.try_lock().unwrap().is_none(), "it is held");
        let waiting = tokio::spawn({
            let folder = folder.clone();
            async move { folder.lock().await.map(|lock| (lock, folder.exists())) }
        });
        folder.remove().unwrap();
        drop(lock);
        let (_lock, exists) = waiting.await.unwrap().unwrap();
        assert!(exists, "who waited has a folder of its own");
    }

    #[tokio::test]
    async fn a_socket_may_lie_deep() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("x".repeat(120));
        fs::create_dir(&deep).unwrap();
        let folder = Folder::new(&deep, "lab").unwrap();
        let _lock = folder.lock().await.unwrap();
        assert!(folder.connect().await.unwrap().is_none());
        let listener = folder.listen().unwrap();
        assert!(folder.connect().await.unwrap().is_some());
        drop(listener);
        assert!(folder.connect().await.unwrap().is_none());
        let _again = folder.listen().unwrap();
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        for name in ["", "..", ".x", "a/b", "a b", "ä"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("lab06-student_7.b").is_ok());
    }

    #[test]
    fn a_folder_open_to_others_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("labctl");
        make_root(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(make_root(&path).unwrap_err().help().unwrap().contains("chmod 700"));
    }
}
