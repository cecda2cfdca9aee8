//! The configuration file of webd.
//!
//! ```yaml
//! state: /var/lib/labctl/web
//! admin: /run/labctl/web.sock
//! sites:
//!   - names: [www.mastertech.com, mastertech.com]
//!     pages:
//!       index.html: "<h1>Welcome to {{ company }}</h1>"
//!     variables: { company: MasterTech }
//!   - names: [intranet.mastertech.com]
//!     root: /srv/intranet
//! tls: { certificate: /etc/labctl/web.crt, key: /etc/labctl/web.key }
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What webd is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder for what it keeps: which protocols are off.
    #[serde(default = "state")]
    pub state: PathBuf,
    /// Its admin socket; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<PathBuf>,
    /// The address it listens on.
    #[serde(default = "any")]
    pub listen: IpAddr,
    /// The port of HTTP; `null` for none.
    #[serde(default = "http")]
    pub http: Option<u16>,
    /// The port of HTTPS; only opened where `tls` is given.
    #[serde(default = "https")]
    pub https: Option<u16>,
    /// Certificate and key of HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The sites; a request for a name that no site has gets the first.
    #[serde(default)]
    pub sites: Vec<Site>,
    /// Bounds.
    #[serde(default)]
    pub limits: Limits,
}

/// Certificate and key, PEM: as files, or as the text itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Path of the certificate chain, or the chain itself (`-----BEGIN …`).
    pub certificate: String,
    /// Path of the private key, or the key itself.
    pub key: String,
    /// Where the secrets of TLS connections are written, in the form of `SSLKEYLOGFILE`: for
    /// teaching, so that a capture can be read. Nowhere where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keylog: Option<std::path::PathBuf>,
}

/// One site (a virtual host).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The names it answers to; the first is the one pages call `{{ site }}`.
    #[serde(default)]
    pub names: Vec<String>,
    /// The folder of its files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// Pages given here instead of in the folder: path to text. They come before the folder's
    /// files and are templates where they end in `.html` or `.txt`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pages: BTreeMap<String, String>,
    /// Whether `*.html` files of the folder are templates as well.
    #[serde(default)]
    pub templates: bool,
    /// What templates may use beside `site`, `host`, `path`, `client` and `server`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Bytes of request head.
    pub head_bytes: usize,
    /// Seconds until the request's head must be there.
    pub head_seconds: u64,
    /// Bytes of the largest page that is a template.
    pub template_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 256, head_bytes: 16 << 10, head_seconds: 10, template_bytes: 1 << 20 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state: state(),
            admin: None,
            listen: any(),
            http: http(),
            https: https(),
            tls: None,
            sites: Vec::new(),
            limits: Limits::default(),
        }
    }
}

fn state() -> PathBuf {
    PathBuf::from("/var/lib/labctl/web")
}

fn any() -> IpAddr {
    IpAddr::V4(Ipv4Addr::UNSPECIFIED)
}

#[allow(clippy::unnecessary_wraps, reason = "serde's default has the field's type")]
fn http() -> Option<u16> {
    Some(80)
}

#[allow(clippy::unnecessary_wraps, reason = "serde's default has the field's type")]
fn https() -> Option<u16> {
    Some(443)
}

/// Why a configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}: give an existing file with --config")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is not what this module describes.
    #[error("{path} is not a configuration of webd: {error}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: String,
    },
    /// It contradicts itself.
    #[error("{0}")]
    Invalid(String),
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Read { path: path.into(), error })?;
        let config = serde_saphyr::from_str::<Self>(&text)
            .map_err(|error| ConfigError::Parse { path: path.into(), error: error.to_string() })?;
        config.check()?;
        Ok(config)
    }

    /// # Errors
    /// A name that two sites have, or no protocol at all.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut seen = std::collections::BTreeSet::new();
        for name in self.sites.iter().flat_map(|site| &site.names) {
            if !seen.insert(name.trim_end_matches('.').to_ascii_lowercase()) {
                return Err(ConfigError::Invalid(format!(
                    "two sites have the name {name}: a name belongs to one site"
                )));
            }
        }
        if self.http.is_none() && (self.https.is_none() || self.tls.is_none()) {
            return Err(ConfigError::Invalid(
                "neither http nor https (with tls) is on: give one a port".into(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_file_is_enough_and_mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yaml");
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Config::load(&path)
        };
        let config = load("sites: [{names: [www.x], pages: {index.html: hello}}]").unwrap();
        assert_eq!(config.http, Some(80));
        assert_eq!(config.https, Some(443));
        let text = load("sitess: []").unwrap_err().to_string();
        assert!(text.contains("sitess"), "{text}");
        let text = load("sites: [{names: [a]}, {names: [A.]}]").unwrap_err().to_string();
        assert!(text.contains("two sites"), "{text}");
        assert!(load("http: null").unwrap_err().to_string().contains("neither"));
    }
}
