//! The node's changed state as one archive, and back.

use std::io::Read;
use std::path::{Component, Path};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use node::request::Error;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::files;

/// What an archive may unfold to, in bytes.
const MAX_UNPACKED: u64 = 256 << 20;
/// What fits into one answer, as base64 in JSON.
const MAX_ARCHIVE: usize = node::frame::MAX_PAYLOAD - 1024;

/// Packs what services and agent keep, and those of the lab's files that were changed.
pub(crate) fn take(agent: &Agent) -> Result<Value, Error> {
    let failed = |error: std::io::Error| {
        Error::new(
            "snapshot",
            format!("the state of {} cannot be read: {error}", agent.config.node),
        )
    };
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    tar.follow_symlinks(false);
    let state = Path::new(node::paths::STATE);
    if state.exists() {
        pack(&mut tar, state).map_err(failed)?;
    }
    for (name, content) in &agent.config.files {
        let path = files::place(name);
        match std::fs::read(&path) {
            Ok(have) if have != content.as_bytes() => {
                tar.append_path_with_name(&path, relative(&path)).map_err(failed)?;
            }
            _ => {}
        }
    }
    let archive = tar.into_inner().and_then(GzEncoder::finish).map_err(failed)?;
    let archive = STANDARD.encode(archive);
    if archive.len() > MAX_ARCHIVE {
        let size = archive.len() >> 20;
        return Err(Error::new("too-large", format!("the state is too large to take: {size} MiB"))
            .help("delete old mail in the node first"));
    }
    Ok(json!({ "archive": archive }))
}

/// Adds a folder with the folders and files in it.
fn pack<W: std::io::Write>(tar: &mut tar::Builder<W>, path: &Path) -> std::io::Result<()> {
    let kind = path.symlink_metadata()?.file_type();
    if kind.is_dir() {
        tar.append_dir(relative(path), path)?;
        for entry in std::fs::read_dir(path)? {
            pack(tar, &entry?.path())?;
        }
    } else if kind.is_file() {
        match tar.append_path_with_name(path, relative(path)) {
            // A service removed it in the meantime.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Stops the services, puts an archive in the place of what they keep, and starts them again.
pub(crate) async fn put_back(agent: &Arc<Agent>, archive: &str) -> Result<Value, Error> {
    let bytes = STANDARD
        .decode(archive)
        .map_err(|error| Error::new("bad-request", format!("the archive is damaged: {error}")))?;
    // Nothing is touched before the whole archive is known to be in order.
    check(agent, &bytes)?;
    for service in &agent.services {
        service.switch(false).await;
    }
    let replaced = replace(&bytes);
    agent.kept.reload();
    if let Some(router) = &agent.router {
        router.reload(agent.kept.get().router);
    }
    for service in &agent.services {
        service.switch(agent.should_run(service.name())).await;
    }
    let failed = |error: &dyn std::fmt::Display| {
        let node = &agent.config.node;
        Error::new("restore", format!("the state of {node} cannot be put back: {error}"))
    };
    replaced.map_err(|error| failed(&error))?;
    agent.set_up_network().await.map_err(|error| failed(&error))?;
    agent.tell_programs();
    agent.changes.bump();
    Ok(Value::Null)
}

fn archive(bytes: &[u8]) -> tar::Archive<impl Read> {
    tar::Archive::new(GzDecoder::new(bytes).take(MAX_UNPACKED))
}

/// An archive holds only folders and files of the state and of the lab's files.
fn check(agent: &Agent, bytes: &[u8]) -> Result<(), Error> {
    let damaged = |error: std::io::Error| {
        Error::new("bad-request", format!("the archive is damaged: {error}"))
    };
    for entry in archive(bytes).entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?;
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        let state = path.starts_with(relative(Path::new(node::paths::STATE)));
        let file = agent.config.files.keys().any(|name| relative(&files::place(name)) == path);
        let kind = entry.header().entry_type();
        if !plain || !(state || file) || !(kind.is_file() || kind.is_dir()) {
            let path = path.display();
            return Err(Error::new("bad-request", format!("{path} does not belong in an archive")));
        }
    }
    Ok(())
}

fn replace(bytes: &[u8]) -> std::io::Result<()> {
    let state = Path::new(node::paths::STATE);
    // The folder itself may be a mount.
    if state.exists() {
        for entry in std::fs::read_dir(state)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => std::fs::remove_dir_all(entry.path())?,
                false => std::fs::remove_file(entry.path())?,
            }
        }
    }
    let mut archive = archive(bytes);
    archive.set_preserve_permissions(true);
    archive.set_overwrite(true);
    archive.unpack("/")
}
