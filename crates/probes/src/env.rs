//! What a node's clients know about their surroundings.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The surroundings of a probe: the node's resolver, its trust and its mail settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Env {
    /// The node's name, used where a protocol asks who is calling.
    #[serde(default)]
    pub node: String,
    /// DNS servers in order.
    #[serde(default)]
    pub servers: Vec<IpAddr>,
    /// Search domains.
    #[serde(default)]
    pub search: Vec<String>,
    /// Entries of `/etc/hosts`.
    #[serde(default)]
    pub hosts: Vec<(IpAddr, Vec<String>)>,
    /// Certificates (PEM) of the authorities that the node trusts; no others are trusted.
    #[serde(default)]
    pub trust: Vec<String>,
    /// The mail program's settings.
    #[serde(default)]
    pub mail: Option<MailSettings>,
    /// The file to which the secrets of TLS connections are written, where the lab wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keylog: Option<PathBuf>,
}

/// Where the resolver's servers stand; DHCP rewrites it.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Names without a DNS server.
const HOSTS: &str = "/etc/hosts";
/// No settings file of a node is longer than this, in bytes.
const MAX_FILE: u64 = 16 << 20;

impl Env {
    /// The node that this process runs in: `node.json`, `/etc/resolv.conf`, `/etc/hosts`. A file
    /// that is missing or broken leaves its part empty.
    pub fn load() -> Self {
        let mut env = read(Path::new(node::paths::CONFIG))
            .and_then(|text| serde_json::from_str::<node::Config>(&text).ok())
            .map_or_else(Self::default, |config| Self::from_config(&config));
        env.refresh(Path::new(RESOLV_CONF), Path::new(HOSTS));
        env
    }

    /// What a node's configuration says; without what DHCP brought.
    pub fn from_config(config: &node::Config) -> Self {
        Self {
            node: config.node.clone(),
            servers: config.resolver.servers.clone(),
            search: config.resolver.search.clone(),
            hosts: config.resolver.hosts.clone(),
            trust: config.trust.clone(),
            mail: config.mail.as_ref().map(MailSettings::from),
            keylog: config.keylog.then(|| node::paths::KEYLOG.into()),
        }
    }

    /// Takes servers and search domains from a `resolv.conf` and names from a `hosts`, where the
    /// files exist: what they say now counts, not what the node once was told.
    pub fn refresh(&mut self, resolv_conf: &Path, hosts: &Path) {
        if let Some(text) = read(resolv_conf) {
            (self.servers, self.search) = parse_resolv_conf(&text);
        }
        if let Some(text) = read(hosts) {
            self.hosts = parse_hosts(&text);
        }
    }

    /// The address that `/etc/hosts` has for a name; IPv4 only.
    pub fn host(&self, name: &str) -> Option<Ipv4Addr> {
        let name = name.trim_end_matches('.');
        self.hosts.iter().find_map(|(address, names)| match address {
            IpAddr::V4(address) if names.iter().any(|n| n.eq_ignore_ascii_case(name)) => {
                Some(*address)
            }
            _ => None,
        })
    }
}

fn read(path: &Path) -> Option<String> {
    use std::io::Read;
    let file = std::fs::File::open(path).ok()?;
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text).ok()?;
    Some(text)
}

/// `nameserver` lines and the last `search` or `domain` line.
fn parse_resolv_conf(text: &str) -> (Vec<IpAddr>, Vec<String>) {
    let mut servers = Vec::new();
    let mut search = Vec::new();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()))
            }
            Some("search" | "domain") => search = words.map(str::to_owned).collect(),
            _ => {}
        }
    }
    (servers, search)
}

fn parse_hosts(text: &str) -> Vec<(IpAddr, Vec<String>)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address = words.next()?.parse().ok()?;
            Some((address, words.map(str::to_owned).collect()))
        })
        .collect()
}

/// "Configure Mail": how a node's mail program is set up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MailSettings {
    /// "Your Name".
    #[serde(default)]
    pub name: String,
    /// "Email Address".
    pub address: String,
    /// "User Name".
    pub user: String,
    /// "Password".
    pub password: String,
    /// "Outgoing Mail Server".
    pub outgoing: String,
    /// "Incoming Mail Server".
    pub incoming: String,
    /// How connections are protected.
    #[serde(default)]
    pub security: crate::mail::Security,
    /// How mail is fetched where nothing else is said.
    #[serde(default)]
    pub fetch: crate::mail::Protocol,
}

impl From<&node::config::MailClient> for MailSettings {
    fn from(client: &node::config::MailClient) -> Self {
        Self {
            name: client.name.clone(),
            address: client.address.clone(),
            user: client.user.clone(),
            password: client.password.clone(),
            outgoing: client.outgoing.clone(),
            incoming: client.incoming.clone(),
            security: match client.security {
                node::config::Security::Plain => crate::mail::Security::Plain,
                node::config::Security::Starttls => crate::mail::Security::Starttls,
                node::config::Security::Tls => crate::mail::Security::Tls,
            },
            fetch: match client.fetch {
                node::config::Fetch::Pop3 => crate::mail::Protocol::Pop3,
                node::config::Fetch::Imap => crate::mail::Protocol::Imap,
            },
        }
    }
}

/// A time by which a probe must have ended.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(tokio::time::Instant);

impl Deadline {
    /// So long from now.
    pub fn after(duration: Duration) -> Self {
        Self(tokio::time::Instant::now() + duration)
    }

    /// The time itself.
    pub fn at(self) -> tokio::time::Instant {
        self.0
    }

    /// What is left; zero when it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(tokio::time::Instant::now())
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        self.left().is_zero()
    }

    /// The earlier of this one and `duration` from now.
    pub fn within(self, duration: Duration) -> Self {
        Self(self.0.min(tokio::time::Instant::now() + duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_and_hosts_are_read_as_libc_reads_them() {
        let (servers, search) = parse_resolv_conf(
            "# comment\nnameserver 192.168.1.5\nnameserver nonsense\nsearch a.lan b.lan ; x\n",
        );
        assert_eq!(servers, ["192.168.1.5".parse::<IpAddr>().unwrap()]);
        assert_eq!(search, ["a.lan", "b.lan"]);
        let env = Env {
            hosts: parse_hosts("127.0.0.1 localhost\n::1 six\n10.0.0.1 R1 r1.lan # router\n"),
            ..Env::default()
        };
        assert_eq!(env.host("r1"), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(env.host("R1.lan."), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(env.host("six"), None);
    }

    #[test]
    fn an_empty_resolv_conf_means_no_resolver_whatever_the_node_was_told() {
        let folder = tempfile::tempdir().unwrap();
        let resolv = folder.path().join("resolv.conf");
        std::fs::write(&resolv, "").unwrap();
        let mut env = Env { servers: vec!["10.0.0.1".parse().unwrap()], ..Env::default() };
        env.refresh(&resolv, &folder.path().join("absent"));
        assert!(env.servers.is_empty());
    }
}
