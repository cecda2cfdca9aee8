//! What the server is told: one YAML document.
//!
//! ```yaml
//! state: /var/lib/labctl/dhcp
//! admin: /run/labctl/dhcp.sock
//! pools:
//!   - name: LAN
//!     subnet: 192.168.0.0/24
//!     excluded: [192.168.0.1-192.168.0.50]
//!     router: 192.168.0.1
//!     dns: [192.168.0.1]
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The whole configuration of a server and relay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder of the lease database; made where it is missing.
    #[serde(default = "default_state")]
    pub state: PathBuf,
    /// The admin socket; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<PathBuf>,
    /// Interfaces to listen on; every one but `lo` where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<String>,
    /// Whether clients that ask for an address of a foreign network are told so (DHCPNAK).
    #[serde(default = "yes")]
    pub authoritative: bool,
    /// How long an address is probed (ARP on the link, ping behind a relay) before its first
    /// offer, in milliseconds; 0 offers at once.
    #[serde(default = "default_probe")]
    pub probe_ms: u64,
    /// How long an address that a client declined or a probe found taken is kept back, in seconds.
    #[serde(default = "default_quarantine")]
    pub quarantine: u32,
    /// The most leases one hardware address may hold at once; a starvation attack ends there
    /// when it uses one address.
    #[serde(default = "default_per_client")]
    pub leases_per_client: u32,
    /// The address pools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<Pool>,
    /// Interfaces whose clients are served by a server elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relay: Vec<Relay>,
}

/// One pool: a subnet, what may be given out of it, and what clients are told with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Its name, unique in the file.
    pub name: String,
    /// The subnet. Its prefix length is the clients' mask.
    pub subnet: Ipv4Net,
    /// What may be given out, `first-last`; the whole subnet where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
    /// What may not, `first-last` or a single address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<Range>,
    /// Default gateway (option 3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<Ipv4Addr>,
    /// DNS servers (option 6).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<Ipv4Addr>,
    /// Domain name (option 15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Broadcast address (option 28); the subnet's last where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<Ipv4Addr>,
    /// Time servers (option 42).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ntp: Vec<Ipv4Addr>,
    /// Static routes (options 121 and 33).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Lease time in seconds; 4294967295 is for ever.
    #[serde(default = "default_lease")]
    pub lease: u32,
    /// Renewal time in seconds; half of the lease where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t1: Option<u32>,
    /// Rebinding time in seconds; seven eighths of the lease where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t2: Option<u32>,
    /// Any option by its number: text, or `hex:…`, `ip:a,b`, `u8:…`, `u16:…`, `u32:…`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<u8, OptionValue>,
    /// Addresses that belong to one client each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reservations: Vec<Reservation>,
}

/// An address that belongs to one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// The client's MAC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Or its client identifier (option 61), in hex with or without colons or dots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The address.
    pub address: Ipv4Addr,
    /// A host name it is told (option 12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

/// A static route that clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Where to.
    pub to: Ipv4Net,
    /// The next hop.
    pub via: Ipv4Addr,
}

/// One interface whose clients are relayed (`ip helper-address`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// The interface the clients are on.
    pub interface: String,
    /// The servers; each gets every request.
    pub servers: Vec<Ipv4Addr>,
    /// Whether relay agent information (option 82) with the interface's name is added.
    #[serde(default)]
    pub option82: bool,
}

/// Addresses from a first to a last, both in: `192.168.0.1-192.168.0.50`, or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub first: Ipv4Addr,
    /// The last.
    pub last: Ipv4Addr,
}

impl Range {
    /// Whether the address lies in it.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.first <= address && address <= self.last
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |part: &str| {
            part.trim().parse::<Ipv4Addr>().map_err(|_| {
                format!(
                    "`{text}` is not a range: write FIRST-LAST, such as 192.168.0.51-192.168.0.99"
                )
            })
        };
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (parse(first)?, parse(last)?),
            None => (parse(text)?, parse(text)?),
        };
        if first > last {
            return Err(format!("the range `{text}` ends before it begins: swap its addresses"));
        }
        Ok(Self { first, last })
    }
}

impl Serialize for Range {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The bytes of an option, written as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionValue {
    /// As written.
    pub text: String,
    /// As sent.
    pub bytes: Vec<u8>,
}

impl FromStr for OptionValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |digits: &str, max: u64| {
                digits.trim().parse::<u64>().ok().filter(|n| *n <= max).ok_or_else(|| {
                    format!("the option value `{text}` is not a number from 0 to {max}")
                })
            };
        let bytes = match text.split_once(':') {
            Some(("hex", hex)) => parse_hex(hex)
                .ok_or_else(|| format!("the option value `{text}` is not hexadecimal"))?,
            Some(("ip", list)) => {
                let mut bytes = Vec::new();
                for part in list.split(',') {
                    let address = part.trim().parse::<Ipv4Addr>().map_err(|_| {
                        format!("the option value `{text}` is not a list of addresses: ip:A,B")
                    })?;
                    bytes.extend(address.octets());
                }
                bytes
            }
            Some(("u8", n)) => vec![number(n, 0xff)? as u8],
            Some(("u16", n)) => (number(n, 0xffff)? as u16).to_be_bytes().to_vec(),
            Some(("u32", n)) => (number(n, 0xffff_ffff)? as u32).to_be_bytes().to_vec(),
            Some(("text", rest)) => rest.as_bytes().to_vec(),
            _ => text.as_bytes().to_vec(),
        };
        if bytes.len() > 1024 {
            return Err(format!("an option of {} bytes is too long: 1024 at most", bytes.len()));
        }
        Ok(Self { text: text.to_owned(), bytes })
    }
}

impl Serialize for OptionValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for OptionValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Reads hexadecimal digits with `:`, `-`, `.` or spaces between them.
pub fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !matches!(c, ':' | '-' | '.' | ' '))
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect::<Option<_>>()?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Reads a MAC address in any usual notation.
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    parse_hex(text)?.try_into().ok()
}

fn default_state() -> PathBuf {
    PathBuf::from("/var/lib/labctl/dhcp")
}

fn yes() -> bool {
    true
}

fn default_probe() -> u64 {
    100
}

fn default_quarantine() -> u32 {
    86_400
}

fn default_per_client() -> u32 {
    16
}

fn default_lease() -> u32 {
    86_400
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state: default_state(),
            admin: None,
            interfaces: Vec::new(),
            authoritative: true,
            probe_ms: default_probe(),
            quarantine: default_quarantine(),
            leases_per_client: default_per_client(),
            pools: Vec::new(),
            relay: Vec::new(),
        }
    }
}

impl Pool {
    /// A pool of the whole subnet with no options.
    pub fn new(name: &str, subnet: Ipv4Net) -> Self {
        Self {
            name: name.to_owned(),
            subnet: subnet.trunc(),
            ranges: Vec::new(),
            excluded: Vec::new(),
            router: None,
            dns: Vec::new(),
            domain: None,
            broadcast: None,
            ntp: Vec::new(),
            routes: Vec::new(),
            lease: default_lease(),
            t1: None,
            t2: None,
            options: BTreeMap::new(),
            reservations: Vec::new(),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("the configuration {path} is wrong: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// A pool cannot work.
    #[error("pool {pool}: {message}")]
    Pool {
        /// The pool.
        pool: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// A relayed interface cannot work.
    #[error("relay on {interface}: {message}")]
    Relay {
        /// The interface.
        interface: String,
        /// What is wrong and what to do.
        message: String,
    },
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Where the file cannot be read, is not YAML of this shape, or cannot work.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self = serde_saphyr::from_str(&text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first pool or relay that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (at, pool) in self.pools.iter().enumerate() {
            let wrong = |message: String| ConfigError::Pool { pool: pool.name.clone(), message };
            if self.pools[..at].iter().any(|other| other.name == pool.name) {
                return Err(wrong("the name is used twice: give each pool its own".into()));
            }
            if pool.subnet.prefix_len() > 30 {
                return Err(wrong(format!("{} has no room for clients", pool.subnet)));
            }
            if pool.subnet.prefix_len() < 8 {
                return Err(wrong(format!("{} is too large: /8 at most", pool.subnet)));
            }
            for range in &pool.ranges {
                if !pool.subnet.contains(&range.first) || !pool.subnet.contains(&range.last) {
                    return Err(wrong(format!(
                        "the range {range} lies outside of {}",
                        pool.subnet
                    )));
                }
            }
            if let Some(router) = pool.router
                && !pool.subnet.contains(&router)
            {
                return Err(wrong(format!("the router {router} lies outside of {}", pool.subnet)));
            }
            if pool.lease == 0 {
                return Err(wrong("a lease of 0 seconds is none: give at least 1".into()));
            }
            let (t1, t2) = (pool.t1.unwrap_or(0), pool.t2.unwrap_or(pool.lease));
            if t1 > t2 || t2 > pool.lease {
                return Err(wrong("the times must rise: t1 <= t2 <= lease".into()));
            }
            for code in [0, 53, 255] {
                if pool.options.contains_key(&code) {
                    return Err(wrong(format!("option {code} is the protocol's own")));
                }
            }
            for reservation in &pool.reservations {
                let address = reservation.address;
                if !pool.subnet.contains(&address) {
                    return Err(wrong(format!(
                        "the reserved {address} lies outside of {}",
                        pool.subnet
                    )));
                }
                match (&reservation.mac, &reservation.client_id) {
                    (None, None) => {
                        return Err(wrong(format!(
                            "the reserved {address} has no owner: give `mac` or `client_id`"
                        )));
                    }
                    (Some(mac), _) if parse_mac(mac).is_none() => {
                        return Err(wrong(format!("`{mac}` is not a MAC address")));
                    }
                    (_, Some(id)) if parse_hex(id).is_none_or(|id| id.is_empty()) => {
                        return Err(wrong(format!("the client_id `{id}` is not hexadecimal")));
                    }
                    _ => {}
                }
            }
        }
        for relay in &self.relay {
            if relay.servers.is_empty() {
                return Err(ConfigError::Relay {
                    interface: relay.interface.clone(),
                    message: "no server is given: add one to `servers`".into(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sheets_pool_reads_and_survives_a_round_trip() {
        let text = "pools:\n  - name: R1_DHCP\n    subnet: 192.168.0.0/24\n    excluded: [192.168.0.1-192.168.0.50]\n    router: 192.168.0.1\n    dns: [192.168.0.1]\n    options: {150: 'ip:10.0.0.1', 67: boot.bin, 43: 'hex:f1:04'}\n";
        let config: Config = serde_saphyr::from_str(text).unwrap();
        config.check().unwrap();
        assert_eq!(config.pools[0].options[&150].bytes, [10, 0, 0, 1]);
        let again: Config =
            serde_saphyr::from_str(&serde_saphyr::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
    }

    #[test]
    fn what_cannot_work_is_named() {
        let mut config = Config::default();
        let mut pool = Pool::new("LAN", "10.0.0.0/24".parse().unwrap());
        pool.router = Some(Ipv4Addr::new(10, 0, 1, 1));
        config.pools.push(pool);
        assert!(config.check().unwrap_err().to_string().contains("outside of 10.0.0.0/24"));
        assert!("10.0.0.9-10.0.0.1".parse::<Range>().unwrap_err().contains("swap"));
        assert!(serde_saphyr::from_str::<Config>("pool: []").is_err());
    }
}
