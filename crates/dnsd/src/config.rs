//! What the server is told: one YAML file, or a few words on the command line.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The configuration of one server.
///
/// ```yaml
/// listen: ["0.0.0.0:53"]
/// state: /var/lib/labctl/dns
/// admin: /run/labctl/dns.sock
/// zones:
///   - { name: mail.com, file: /etc/labctl/zones/mail.com.zone }
///   - { name: lab.test, primaries: [192.168.1.5] }
/// forward:
///   - { zone: ., servers: [192.168.30.53] }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Addresses that it answers on, UDP and TCP. `0.0.0.0` answers from the address asked.
    #[serde(default = "default_listen")]
    pub listen: Vec<SocketAddr>,
    /// The folder that keeps changes made at run time, secondary copies and keys. Without one
    /// nothing is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
    /// The admin socket. Without one there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<PathBuf>,
    /// The zones it has authority for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<Zone>,
    /// Names that are asked of other servers; the longest zone that fits wins, `.` is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forward: Vec<Forward>,
    /// Resolution from the root servers down, for what no zone and no forward rule covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recursion: Option<Recursion>,
    /// Who may have names resolved that are not the server's own (forwarding and recursion);
    /// everybody where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_recursion: Vec<IpNet>,
    /// Bounds on what clients may take.
    #[serde(default)]
    pub limits: Limits,
}

fn default_listen() -> Vec<SocketAddr> {
    vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 53))]
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: default_listen(),
            state: None,
            admin: None,
            zones: Vec::new(),
            forward: Vec::new(),
            recursion: None,
            allow_recursion: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// One zone: from a file, from text in place, or copied from a primary server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Its origin, such as `mail.com`; the final dot may be left out.
    pub name: String,
    /// A master file (RFC 1035 section 5). A relative path starts at the configuration's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The master file's text itself, instead of `file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The servers that a secondary zone is copied from, tried in order; port 53 unless said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub primaries: Vec<Server>,
    /// Who may copy the zone (AXFR, IXFR); nobody where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_transfer: Vec<IpNet>,
    /// Servers told when the zone changes (RFC 1996).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Server>,
    /// Whether the server signs it (ECDSA P-256, keys in the state folder).
    #[serde(default)]
    pub dnssec: bool,
    /// How a signed zone denies what it does not have.
    #[serde(default)]
    pub denial: Denial,
}

/// How a signed zone proves that a name or type does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Denial {
    /// By names in order (RFC 4034 section 4).
    #[default]
    Nsec,
    /// By hashes of names (RFC 5155), no salt, no extra iterations (RFC 9276).
    Nsec3,
}

/// Names asked of other servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// The names at and below it; `.` is all.
    pub zone: String,
    /// The servers, tried in order.
    pub servers: Vec<Server>,
}

/// Resolution from the root down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recursion {
    /// The root servers: name to addresses, as `a.root.lab: [10.0.0.1]`.
    #[serde(default)]
    pub root_hints: BTreeMap<String, Vec<IpAddr>>,
    /// The same as a master file (`named.root`); read beside `root_hints`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hints_file: Option<PathBuf>,
    /// The port that servers are asked on; 53 outside tests.
    #[serde(default = "dns_port", skip_serializing_if = "is_dns_port")]
    pub port: u16,
}

fn dns_port() -> u16 {
    53
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_dns_port(port: &u16) -> bool {
    *port == 53
}

/// Another server: `192.168.1.5` or `192.168.1.5:5353`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Server(pub SocketAddr);

impl TryFrom<String> for Server {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(SocketAddr::new(address, 53)));
        }
        text.parse().map(Self).map_err(|_| {
            format!(
                "`{text}` is not a server: write an address such as 192.168.1.5 or 192.168.1.5:5353"
            )
        })
    }
}

impl From<Server> for String {
    fn from(server: Server) -> Self {
        if server.0.port() == 53 { server.0.ip().to_string() } else { server.0.to_string() }
    }
}

/// Bounds on what clients may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Answers a second to one client address over UDP; 0 is no bound.
    pub per_client: u32,
    /// TCP connections at once.
    pub connections: usize,
    /// Seconds a TCP connection may be idle, and the most a whole resolution takes.
    pub seconds: u64,
    /// The largest UDP answer in bytes, whatever the client offers (RFC 9715).
    pub udp_size: u16,
    /// Records in the cache.
    pub cache: usize,
    /// Names resolved for clients at the same time.
    pub resolving: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_client: 20_000,
            connections: 256,
            seconds: 10,
            udp_size: 1232,
            cache: 10_000,
            resolving: 256,
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a configuration.
    #[error("{}: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A zone has no data, or too much.
    #[error("zone {zone}: give exactly one of `file`, `text` and `primaries`")]
    Source {
        /// The zone.
        zone: String,
    },
    /// The same zone twice.
    #[error("zone {zone} is there twice; keep one of them")]
    Twice {
        /// The zone.
        zone: String,
    },
    /// A forward rule without servers.
    #[error("forward {zone}: no servers; name at least one")]
    NoServers {
        /// The zone.
        zone: String,
    },
    /// Recursion without root servers.
    #[error("recursion: no root servers; give `root_hints` (name: [address]) or `hints_file`")]
    NoRoots,
    /// The command line is wrong.
    #[error("{0}; usage: dnsd --config FILE | dnsd --zone NAME=FILE... [--listen ADDRESS:PORT]...")]
    Usage(String),
}

impl Config {
    /// Reads a YAML file; relative paths in it start at its folder.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.into(), source })?;
        let mut config = serde_saphyr::from_str::<Self>(&text)
            .map_err(|error| Error::Parse { path: path.into(), reason: error.to_string() })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        for zone in &mut config.zones {
            if let Some(file) = &mut zone.file {
                *file = folder.join(&*file);
            }
        }
        if let Some(hints) = config.recursion.as_mut().and_then(|r| r.hints_file.as_mut()) {
            *hints = folder.join(&*hints);
        }
        config.check()?;
        Ok(config)
    }

    /// Whether the parts fit together.
    pub fn check(&self) -> Result<(), Error> {
        let mut seen = std::collections::BTreeSet::new();
        for zone in &self.zones {
            let sources = usize::from(zone.file.is_some())
                + usize::from(zone.text.is_some())
                + usize::from(!zone.primaries.is_empty());
            if sources != 1 {
                return Err(Error::Source { zone: zone.name.clone() });
            }
            if !seen.insert(zone.name.trim_end_matches('.').to_ascii_lowercase()) {
                return Err(Error::Twice { zone: zone.name.clone() });
            }
        }
        for rule in &self.forward {
            if rule.servers.is_empty() {
                return Err(Error::NoServers { zone: rule.zone.clone() });
            }
        }
        match &self.recursion {
            Some(r) if r.root_hints.is_empty() && r.hints_file.is_none() => Err(Error::NoRoots),
            _ => Ok(()),
        }
    }

    /// From a command line without the program's name.
    pub fn from_args(args: &[std::ffi::OsString]) -> Result<Self, Error> {
        let mut config = Self::default();
        let (mut listen, mut file) = (Vec::new(), None);
        let mut words = args.iter();
        while let Some(word) = words.next() {
            let word = word.to_string_lossy();
            let (name, value) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") && name != "--zone" => {
                    (name.to_owned(), value.to_owned())
                }
                _ => match words.next() {
                    Some(value) => (word.into_owned(), value.to_string_lossy().into_owned()),
                    None => return Err(Error::Usage(format!("`{word}` needs a value"))),
                },
            };
            match name.as_str() {
                "--config" => file = Some(PathBuf::from(value)),
                "--state" => config.state = Some(value.into()),
                "--admin" => config.admin = Some(value.into()),
                "--listen" => listen.push(value.parse().map_err(|_| {
                    Error::Usage(format!("`{value}` is not an address with a port"))
                })?),
                "--zone" => {
                    let (name, path) = value.split_once('=').ok_or_else(|| {
                        Error::Usage(format!("`{value}` is not of the form NAME=FILE"))
                    })?;
                    let (name, file) = (name.into(), Some(path.into()));
                    config.zones.push(Zone { name, file, ..Zone::default() });
                }
                other => return Err(Error::Usage(format!("`{other}` is not an option"))),
            }
        }
        if let Some(file) = file {
            if !config.zones.is_empty() {
                return Err(Error::Usage("`--config` and `--zone` exclude each other".into()));
            }
            let mut read = Self::read(&file)?;
            if !listen.is_empty() {
                read.listen = listen;
            }
            return Ok(read);
        }
        if config.zones.is_empty() {
            return Err(Error::Usage("nothing to serve".into()));
        }
        if !listen.is_empty() {
            config.listen = listen;
        }
        config.check()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_configuration_is_read_and_written() {
        let text = "
listen: ['127.0.0.1:5300']
state: /var/lib/labctl/dns
zones:
  - { name: mail.com, text: '@ SOA a b 1 2 3 4 5', allow_transfer: [10.0.0.0/8], notify: [10.0.0.2] }
  - { name: lab.test., primaries: ['10.0.0.2:5353'] }
forward: [{ zone: ., servers: [10.0.0.53] }]
recursion: { root_hints: { a.root.lab: [10.0.0.1] } }
";
        let config = serde_saphyr::from_str::<Config>(text).unwrap();
        config.check().unwrap();
        assert_eq!(config.zones[1].primaries[0].0.port(), 5353);
        assert_eq!(config.forward[0].servers[0].0.port(), 53);
        let again = serde_saphyr::to_string(&config).unwrap();
        assert_eq!(serde_saphyr::from_str::<Config>(&again).unwrap(), config);
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_name() {
        let zone = Zone { name: "a.test".into(), ..Zone::default() };
        let config = Config { zones: vec![zone], ..Config::default() };
        assert!(config.check().unwrap_err().to_string().contains("a.test"));
        let text = "zones: [{ name: a, text: x }, { name: A., text: y }]";
        let config = serde_saphyr::from_str::<Config>(text).unwrap();
        assert!(matches!(config.check(), Err(Error::Twice { .. })));
        assert!(serde_saphyr::from_str::<Config>("zone: []").is_err());
    }

    #[test]
    fn the_command_line_gives_zones_and_addresses() {
        let args = ["--zone", "a.test=a.zone", "--listen", "127.0.0.1:5300"].map(Into::into);
        let config = Config::from_args(&args).unwrap();
        assert_eq!(config.zones[0].name, "a.test");
        assert_eq!(config.listen.len(), 1);
        for bad in [&["--zone"][..], &["--zone", "x"], &["--listen", "x"], &["-x", "y"], &[]] {
            let args: Vec<_> = bad.iter().map(Into::into).collect();
            assert!(matches!(Config::from_args(&args), Err(Error::Usage(_))), "{bad:?}");
        }
    }
}
