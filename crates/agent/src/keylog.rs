//! Follows the node's TLS key log, so that a capture carries the keys of what it holds.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// What is read at once, in bytes.
const MAX_READ: u64 = 256 << 10;

/// A place in the key log.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    at: u64,
}

impl Tail {
    /// At the end of what is there now.
    pub(crate) fn begin(path: &Path) -> Self {
        let at = std::fs::symlink_metadata(path).map_or(0, |meta| meta.len());
        Self { path: path.into(), at }
    }

    /// The whole lines that were added since. A log that begins anew is read from its beginning;
    /// what is no plain file is not read at all: who is root in the node may put anything there.
    pub(crate) fn lines(&mut self) -> String {
        self.read().unwrap_or_default()
    }

    fn read(&mut self) -> std::io::Result<String> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let mut file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(&self.path)?;
        let meta = file.metadata()?;
        if !meta.is_file() || meta.len() == self.at {
            return Ok(String::new());
        }
        if meta.len() < self.at {
            self.at = 0;
        }
        file.seek(SeekFrom::Start(self.at))?;
        let mut bytes = Vec::new();
        file.take(MAX_READ).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.truncate(whole);
        self.at += whole as u64;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_added_comes_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.log");
        std::fs::write(&path, "old\n").unwrap();
        let mut tail = Tail::begin(&path);
        assert_eq!(tail.lines(), "");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(tail.lines(), "one\n");
        file.write_all(b"o\n").unwrap();
        assert_eq!(tail.lines(), "two\n");
        // It began anew.
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(tail.lines(), "new\n");
        // A pipe would wait for ever, a link could lead anywhere.
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(tail.lines(), "");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(tail.lines(), "");
    }
}
