//! The files beside a lab: sites, templates, includes.
//!
//! A lab file may come from a stranger. So only regular files below the lab file's own folder are
//! read: no device that never ends, no pipe that nobody writes to, no `../../etc/passwd`, also not
//! by a symbolic link; and no more of them than a lab needs.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The most bytes of one file, and of one site's folder.
const MAX_SITE: u64 = 4 << 20;
/// The most bytes of all files of a lab.
const MAX_LAB: u64 = 16 << 20;
/// The most files and folders of one site.
const MAX_ENTRIES: u32 = 2_000;
/// The deepest folder of a site.
const MAX_DEPTH: u32 = 8;

/// Where the pieces of a lab beside its file are read from.
pub(crate) trait Folder {
    /// The bytes of a file by its path relative to the lab file, `most` of them.
    fn bytes(&self, path: &str, most: u64) -> Result<Vec<u8>, String>;
    /// The files below a folder: path relative to it, and text.
    fn files(&self, path: &str) -> Result<BTreeMap<String, String>, String>;

    /// The text of a file.
    fn text(&self, path: &str) -> Result<String, String> {
        let bytes = self.bytes(path, MAX_SITE)?;
        String::from_utf8(bytes).map_err(|_| "it is not a text (UTF-8)".to_owned())
    }
}

/// No folder: what a lab that came as a text alone has.
pub(crate) struct Nowhere;

impl Folder for Nowhere {
    fn bytes(&self, _: &str, _: u64) -> Result<Vec<u8>, String> {
        Err("the lab has no folder to read it from".to_owned())
    }
    fn files(&self, _: &str) -> Result<BTreeMap<String, String>, String> {
        Err("the lab has no folder to read it from".to_owned())
    }
}

/// A folder of the file system.
pub(crate) struct Disk {
    folder: PathBuf,
    /// Bytes that may still be read.
    left: Cell<u64>,
}

impl Disk {
    /// The folder of a lab file.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), left: Cell::new(MAX_LAB) }
    }

    /// The true place of a path, where it lies below the folder.
    fn below(&self, path: &Path) -> Result<PathBuf, String> {
        let root = self.folder.canonicalize().map_err(|e| e.to_string())?;
        let place = self.folder.join(path).canonicalize().map_err(|e| e.to_string())?;
        if place.starts_with(&root) {
            Ok(place)
        } else {
            Err("it lies outside of the lab file's folder".to_owned())
        }
    }

    fn read(&self, place: &Path, most: u64) -> Result<Vec<u8>, String> {
        // Asked before it is opened: to open a pipe that nobody writes to waits for ever.
        let meta = fs::metadata(place).map_err(|e| e.to_string())?;
        if meta.is_dir() {
            return Err("it is a folder".to_owned());
        }
        if !meta.is_file() {
            return Err("it is not a file but a device, a pipe or a socket".to_owned());
        }
        let most = most.min(self.left.get());
        let mut bytes = Vec::new();
        let file = fs::File::open(place).map_err(|e| e.to_string())?;
        file.take(most + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        let length = bytes.len() as u64;
        if length > most {
            return Err(if most < MAX_SITE && most == self.left.get() {
                format!("the files of the lab have more than {MAX_LAB} bytes in all")
            } else {
                format!("it has more than {most} bytes")
            });
        }
        self.left.set(self.left.get() - length);
        Ok(bytes)
    }
}

impl Folder for Disk {
    fn bytes(&self, path: &str, most: u64) -> Result<Vec<u8>, String> {
        self.read(&self.below(Path::new(path))?, most)
    }

    fn files(&self, path: &str) -> Result<BTreeMap<String, String>, String> {
        let root = self.below(Path::new(path))?;
        if !root.is_dir() {
            return Err("it is not a folder".to_owned());
        }
        let mut walk = Walk { disk: self, left: MAX_SITE, entries: 0, files: BTreeMap::new() };
        walk.folder(&root, "", 0)?;
        Ok(walk.files)
    }
}

/// A walk through a site's folder.
struct Walk<'a> {
    disk: &'a Disk,
    left: u64,
    entries: u32,
    files: BTreeMap<String, String>,
}

impl Walk<'_> {
    fn folder(&mut self, place: &Path, below: &str, depth: u32) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("its folders are nested deeper than {MAX_DEPTH}"));
        }
        for entry in fs::read_dir(place).map_err(|e| e.to_string())? {
            let entry = entry.map_err(|e| e.to_string())?;
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(format!("it has more than {MAX_ENTRIES} files and folders"));
            }
            let Ok(name) = entry.file_name().into_string() else {
                return Err("a file's name is not UTF-8".to_owned());
            };
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            let told = |why: String| format!("{path}: {why}");
            let place = self.disk.below(&entry.path()).map_err(told)?;
            if place.is_dir() {
                self.folder(&place, &path, depth + 1)?;
                continue;
            }
            let bytes = self.disk.read(&place, self.left).map_err(told)?;
            self.left -= bytes.len() as u64;
            let text = String::from_utf8(bytes).map_err(|_| {
                format!("{path} is not a text (UTF-8): only text files are carried into a node")
            })?;
            self.files.insert(path, text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_below_the_folder_are_read() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("lab");
        fs::create_dir_all(folder.join("www/sub")).unwrap();
        fs::write(outer.path().join("secret"), "s").unwrap();
        fs::write(folder.join("www/sub/a.txt"), "a").unwrap();
        fs::write(folder.join("big"), vec![b'x'; 5 << 20]).unwrap();
        let disk = Disk::new(&folder);
        assert_eq!(disk.text("www/sub/../sub/a.txt").unwrap(), "a");
        let files: Vec<_> = disk.files("./www").unwrap().into_keys().collect();
        assert_eq!(files, ["sub/a.txt"]);
        for (path, why) in [
            ("../secret", "outside"),
            ("/etc/passwd", "outside"),
            ("/dev/zero", "outside"),
            ("www", "folder"),
            ("big", "more than"),
            ("nothing", "No such file"),
        ] {
            let error = disk.text(path).unwrap_err();
            assert!(error.contains(why), "{path}: {error}");
        }
        assert!(disk.files("..").unwrap_err().contains("outside"));
        assert!(disk.files("big").unwrap_err().contains("not a folder"));
    }

    #[cfg(unix)]
    #[test]
    fn links_pipes_and_loops_lead_nowhere() {
        use std::os::unix::fs::symlink;
        use std::os::unix::net::UnixListener;
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("lab");
        fs::create_dir_all(folder.join("www")).unwrap();
        fs::write(outer.path().join("secret"), "s").unwrap();
        let disk = Disk::new(&folder);
        symlink("../secret", folder.join("link")).unwrap();
        assert!(disk.text("link").unwrap_err().contains("outside"));
        let _socket = UnixListener::bind(folder.join("socket")).unwrap();
        assert!(disk.text("socket").unwrap_err().contains("a pipe or a socket"));
        for name in ["a", "b", "c", "d", "e", "f"] {
            symlink(".", folder.join("www").join(name)).unwrap();
        }
        let error = disk.files("www").unwrap_err();
        assert!(error.contains("more than") || error.contains("deeper"), "{error}");
    }
}
