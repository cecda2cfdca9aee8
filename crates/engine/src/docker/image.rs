//! The node image, made of labctl's own executable: no registry, no build.
//!
//! It holds the program, the shared libraries that this very process has mapped, the loader, and
//! links for every command. The files belong to user 1 and are not writable, and a node's root has
//! no CAP_DAC_OVERRIDE and no CAP_FOWNER: to the student the system is read-only, while Docker's
//! own `/etc/hosts` and `/etc/resolv.conf` stay writable for the agent (with `ReadonlyRootfs` they
//! would not be).

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bollard::query_parameters::ImportImageOptionsBuilder;
use bytes::Bytes;
use futures::StreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::labels;
use crate::error::{Error, Result};

/// The repository of node images.
pub const REPOSITORY: &str = "labctl/node";

/// Everything that goes into the image: path inside to path outside.
struct Parts {
    files: BTreeMap<String, PathBuf>,
    links: BTreeMap<String, String>,
}

/// The tag of the image of this build of labctl, whether or not it is loaded.
pub fn tag(commands: &[String]) -> Result<String> {
    Parts::collect(commands)
        .and_then(|parts| parts.key())
        .map(|key| format!("{REPOSITORY}:{key}"))
        .map_err(|error| Error::failed("look at labctl's own files", error))
}

/// Finds the image of this build of labctl, or loads it; returns its tag.
pub async fn ensure(
    docker: &bollard::Docker,
    commands: &[String],
    loading: impl Fn(),
) -> Result<String> {
    let parts =
        Parts::collect(commands).map_err(|e| Error::failed("look at labctl's own files", e))?;
    let tag = format!("{REPOSITORY}:{}", parts.key().map_err(|e| Error::failed("stat labctl", e))?);
    match docker.inspect_image(&tag).await {
        Ok(_) => return Ok(tag),
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {}
        Err(error) => return Err(Error::failed("look for the node image", error)),
    }
    loading();
    let name = tag.clone();
    let archive = tokio::task::spawn_blocking(move || parts.archive(&name))
        .await
        .map_err(|error| Error::failed("make the node image", error))?
        .map_err(|error| Error::failed("make the node image", error))?;
    let options = ImportImageOptionsBuilder::default().quiet(true).build();
    let mut lines = docker.import_image(options, bollard::body_full(Bytes::from(archive)), None);
    while let Some(line) = lines.next().await {
        let line = line.map_err(|error| Error::failed("load the node image", error))?;
        if let Some(detail) = line.error_detail {
            let why = detail.message.unwrap_or_else(|| "no reason given".into());
            return Err(Error::failed("load the node image", why));
        }
    }
    Ok(tag)
}

impl Parts {
    fn collect(commands: &[String]) -> std::io::Result<Self> {
        // The link in /proc stays right when the file was replaced by a newer build meanwhile.
        let program = std::fs::read_link("/proc/self/exe")?;
        let mut files = BTreeMap::new();
        let mut links = BTreeMap::new();
        let interpreter = interpreter(Path::new("/proc/self/exe"))?;
        for library in mapped_libraries(&program)? {
            let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(interpreter) = &interpreter
                && std::fs::canonicalize(interpreter).ok().as_ref() == Some(&library)
            {
                files.insert(interpreter.clone(), library.clone());
                continue;
            }
            // One folder that every loader searches; with it the names by which the library is
            // asked for where they are links to the mapped file (`libm.so.6` to `libm-2.31.so`).
            for alias in aliases(&library)? {
                if alias != name {
                    links.insert(format!("/lib/{alias}"), name.clone());
                }
            }
            files.insert(format!("/lib/{name}"), library);
        }
        for command in commands {
            links.insert(format!("/bin/{command}"), "labctl".into());
        }
        Ok(Self { files, links })
    }

    /// A cheap key of this build: no byte of the program is read for it.
    fn key(&self) -> std::io::Result<String> {
        let mut hash = Sha256::new();
        let mut add = |inside: &str, outside: &Path| -> std::io::Result<()> {
            let meta = std::fs::metadata(outside)?;
            hash.update(format!(
                "{inside}\0{}\0{}\0{}.{}\n",
                outside.display(),
                meta.len(),
                meta.mtime(),
                meta.mtime_nsec()
            ));
            Ok(())
        };
        add("/bin/labctl", Path::new("/proc/self/exe"))?;
        for (inside, outside) in &self.files {
            add(inside, outside)?;
        }
        hash.update(format!("{:?}", self.links));
        Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// What `docker save` would write.
    fn archive(&self, tag: &str) -> std::io::Result<Vec<u8>> {
        let layer = self.layer()?;
        let diff = hex(&Sha256::digest(&layer));
        let config = json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": {
                "Entrypoint": [node::paths::PROGRAM, "agent"],
                "Env": ["PATH=/bin", "HOME=/root"],
                "WorkingDir": "/",
                "StopSignal": "SIGTERM",
                "Labels": { labels::IMAGE: env!("CARGO_PKG_VERSION") },
            },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff}")] },
            "history": [{ "created_by": "labctl, from its own executable" }],
        })
        .to_string();
        let config_name = format!("{}.json", hex(&Sha256::digest(&config)));
        let manifest = json!([{
            "Config": config_name,
            "RepoTags": [tag],
            "Layers": ["layer.tar"],
        }])
        .to_string();
        let mut tar = tar::Builder::new(Vec::with_capacity(layer.len() + 8192));
        for (name, bytes) in [
            (config_name.as_str(), config.as_bytes()),
            ("manifest.json", manifest.as_bytes()),
            ("layer.tar", &layer),
        ] {
            let mut header = header(tar::EntryType::Regular, 0o644, 0);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, name, bytes)?;
        }
        tar.into_inner()
    }

    fn layer(&self) -> std::io::Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        // `/etc` as well: by a file of the loader's there, code of the student's would run in the relay.
        for folder in ["bin", "etc", "lib", "lib64", "usr", "usr/lib", "var", "var/lib"] {
            tar.append_data(
                &mut header(tar::EntryType::Directory, 0o555, 1),
                folder,
                std::io::empty(),
            )?;
        }
        for (folder, mode) in [
            ("etc/labctl", 0o700),
            ("run", 0o755),
            ("run/labctl", 0o700),
            ("root", 0o700),
            ("tmp", 0o1777),
            ("var/lib/labctl", 0o755),
        ] {
            tar.append_data(
                &mut header(tar::EntryType::Directory, mode, 0),
                folder,
                std::io::empty(),
            )?;
        }
        for (name, text) in [
            (
                "etc/passwd",
                "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
            ),
            ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
            ("etc/nsswitch.conf", "hosts: files dns\n"),
        ] {
            let mut header = header(tar::EntryType::Regular, 0o644, 0);
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, name, text.as_bytes())?;
        }
        let mut program = std::fs::File::open("/proc/self/exe")?;
        append(&mut tar, "/bin/labctl", &mut program)?;
        for (inside, outside) in &self.files {
            append(&mut tar, inside, &mut std::fs::File::open(outside)?)?;
        }
        for (link, target) in &self.links {
            tar.append_link(
                &mut header(tar::EntryType::Symlink, 0o777, 1),
                link.trim_start_matches('/'),
                target,
            )?;
        }
        tar.into_inner()
    }
}

fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    inside: &str,
    file: &mut std::fs::File,
) -> std::io::Result<()> {
    let mut header = header(tar::EntryType::Regular, 0o555, 1);
    header.set_size(file.metadata()?.len());
    tar.append_data(&mut header, inside.trim_start_matches('/'), file)
}

/// The time is left at zero, so that the same build gives the same image.
fn header(kind: tar::EntryType, mode: u32, owner: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_size(0);
    header
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files other than the program that this process has mapped for execution.
fn mapped_libraries(program: &Path) -> std::io::Result<Vec<PathBuf>> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let mut found: Vec<PathBuf> = maps
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let executable = fields.nth(1)?.contains('x');
            let path = fields.nth(3)?;
            (executable && path.starts_with('/')).then(|| PathBuf::from(path))
        })
        .filter(|path| path != program && path.exists())
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// The names in a library's folder that are it.
fn aliases(library: &Path) -> std::io::Result<Vec<String>> {
    let (Some(folder), Some(stem)) = (
        library.parent(),
        library
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.split(['-', '.']).next()),
    ) else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(stem)
            && name.contains(".so.")
            && std::fs::canonicalize(entry.path()).ok().as_deref() == Some(library)
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// The program's loader (`PT_INTERP` of a 64-bit little-endian ELF file); none when static.
fn interpreter(program: &Path) -> std::io::Result<Option<String>> {
    let mut start = Vec::new();
    std::fs::File::open(program)?.take(64 << 10).read_to_end(&mut start)?;
    let number = |at: usize, len: usize| -> Option<usize> {
        let bytes = start.get(at..at + len)?;
        Some(bytes.iter().rev().fold(0usize, |sum, byte| sum << 8 | *byte as usize))
    };
    let find = || -> Option<String> {
        let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        for index in 0..count {
            let entry = table + index * size;
            if number(entry, 4)? == 3 {
                let (at, len) = (number(entry + 8, 8)?, number(entry + 32, 8)?);
                let text = start.get(at..at + len)?;
                return Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
            }
        }
        None
    };
    Ok(find())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_holds_program_loader_and_libraries() {
        let parts = Parts::collect(&["ping".into()]).unwrap();
        assert!(parts.files.keys().any(|path| path.contains("libc.so")));
        assert!(parts.files.keys().any(|path| path.contains("ld-")));
        assert_eq!(parts.links["/bin/ping"], "labctl");
        assert_eq!(parts.key().unwrap(), parts.key().unwrap());
    }
}
