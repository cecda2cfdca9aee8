//! Finding the daemon as the `docker` command does, and saying why there is none.
//!
//! bollard 0.21 knows `DOCKER_HOST` but not contexts, so those are resolved here, in the order of
//! the Docker CLI: `DOCKER_HOST`, `DOCKER_CONTEXT`, `currentContext`, the usual sockets.

use std::path::{Path, PathBuf};

use bollard::Docker;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Connects to `host` (`unix:///…`, `tcp://…`), or to what the environment names.
pub fn connect(host: Option<&str>) -> Result<Docker> {
    let host = match host {
        Some(host) => host.to_owned(),
        None => discover()?,
    };
    Docker::connect_with_host(&host).map_err(|error| unavailable(&host, &error))
}

fn discover() -> Result<String> {
    if let Some(host) = variable("DOCKER_HOST") {
        return Ok(host);
    }
    let folder = variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")));
    let named = variable("DOCKER_CONTEXT").or_else(|| current_context(folder.as_deref()?));
    match named.as_deref() {
        None | Some("default") => Ok(usual_socket()),
        Some(name) => context(folder.as_deref(), name),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn current_context(folder: &Path) -> Option<String> {
    Some(json(&folder.join("config.json"))?.get("currentContext")?.as_str()?.to_owned())
}

fn context(folder: Option<&Path>, name: &str) -> Result<String> {
    let id: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    folder
        .and_then(|folder| json(&folder.join("contexts/meta").join(id).join("meta.json")))
        .and_then(|meta| Some(meta.pointer("/Endpoints/docker/Host")?.as_str()?.to_owned()))
        .ok_or_else(|| Error::Unavailable {
            message: format!("the Docker context `{name}` does not exist"),
            help: "`docker context ls` lists them; unset DOCKER_CONTEXT for the default".into(),
        })
}

fn usual_socket() -> String {
    let rootless = variable("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("docker.sock"));
    match rootless {
        Some(path) if path.exists() => format!("unix://{}", path.display()),
        _ => "unix:///var/run/docker.sock".into(),
    }
}

/// Why the daemon at `host` cannot be used, and what to do.
pub fn unavailable(host: &str, error: &bollard::errors::Error) -> Error {
    let text = chain(error);
    if text.contains("Permission denied") {
        Error::Unavailable {
            message: format!("Docker at {host} refuses this user: permission denied"),
            help:
                "add yourself to the group `docker` (`sudo usermod -aG docker $USER`, then log in \
                   again), or use `--engine embedded`"
                    .into(),
        }
    } else {
        Error::Unavailable {
            message: format!("no Docker daemon answers at {host}: {text}"),
            help:
                "start it (`sudo systemctl start docker`, or Docker Desktop), set DOCKER_HOST, or \
                   use `--engine embedded`, which needs no Docker"
                    .into(),
        }
    }
}

/// An error with its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_names_its_host_and_an_unknown_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        // sha256("lab")
        let id: String = Sha256::digest("lab").iter().map(|b| format!("{b:02x}")).collect();
        let meta = folder.path().join("contexts/meta").join(id);
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(
            meta.join("meta.json"),
            r#"{"Name":"lab","Endpoints":{"docker":{"Host":"tcp://192.0.2.1:2375"}}}"#,
        )
        .unwrap();
        assert_eq!(context(Some(folder.path()), "lab").unwrap(), "tcp://192.0.2.1:2375");
        let error = context(Some(folder.path()), "gone").unwrap_err();
        assert!(error.help().unwrap().contains("docker context ls"));
    }
}
