//! A small resolver: MX and A at the configured DNS servers, by UDP, by TCP where truncated.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// Each server is asked so often.
const ROUNDS: usize = 2;
/// An answer may take so long.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Aliases followed at most.
const MAX_ALIASES: usize = 8;

/// A mail exchanger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// Its name, without the last dot; empty for "no mail" (RFC 7505).
    pub host: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no such name.
    #[error("{0} does not exist (NXDOMAIN)")]
    NoName(String),
    /// No server answered, or not well.
    #[error("no answer about {name}: {reason}")]
    NoAnswer {
        /// The question.
        name: String,
        /// The last reason.
        reason: String,
    },
}

/// The resolver.
#[derive(Clone, Debug)]
pub struct Resolver {
    configured: Vec<SocketAddr>,
}

impl Resolver {
    /// Asks these; where there are none, those of `/etc/resolv.conf` at the moment of asking.
    pub fn new(configured: Vec<SocketAddr>) -> Self {
        Self { configured }
    }

    /// The servers that are asked now.
    pub fn servers(&self) -> Vec<SocketAddr> {
        if !self.configured.is_empty() {
            return self.configured.clone();
        }
        // Read each time: DHCP may have changed it.
        let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        text.lines()
            .filter_map(|line| line.strip_prefix("nameserver"))
            .filter_map(|rest| rest.trim().parse::<IpAddr>().ok())
            .map(|address| SocketAddr::new(address, 53))
            .collect()
    }

    /// The exchangers of a domain, best first; none where it has only addresses.
    pub async fn mx(&self, domain: &str) -> Result<Vec<Mx>, Failure> {
        let answer = self.ask(domain, RecordType::MX).await?;
        let mut found: Vec<Mx> = answer
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::MX(mx) => Some(Mx {
                    preference: mx.preference,
                    host: mx.exchange.to_utf8().trim_end_matches('.').to_lowercase(),
                }),
                _ => None,
            })
            .collect();
        found.sort();
        Ok(found)
    }

    /// The IPv4 addresses of a host. An address stands for itself.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        let mut name = host.to_owned();
        for _ in 0..MAX_ALIASES {
            let answer = self.ask(&name, RecordType::A).await?;
            let addresses: Vec<IpAddr> = answer
                .answers
                .iter()
                .filter_map(|record| match &record.data {
                    RData::A(a) => Some(IpAddr::V4(a.0)),
                    _ => None,
                })
                .collect();
            let alias = answer.answers.iter().rev().find_map(|record| match &record.data {
                RData::CNAME(alias) => Some(alias.0.to_utf8()),
                _ => None,
            });
            match alias {
                Some(alias) if addresses.is_empty() => name = alias,
                _ => return Ok(addresses),
            }
        }
        Err(Failure::NoAnswer { name, reason: "too many aliases".into() })
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Message, Failure> {
        let failure = |reason: String| Failure::NoAnswer { name: name.to_owned(), reason };
        let mut wanted = Name::from_str(name).map_err(|error| failure(error.to_string()))?;
        wanted.set_fqdn(true);
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(wanted, kind));
        let bytes = message.to_vec().map_err(|error| failure(error.to_string()))?;
        let servers = self.servers();
        let mut reason = "no DNS server is configured; set `dns`".to_owned();
        for server in servers.iter().cycle().take(servers.len() * ROUNDS) {
            match tokio::time::timeout(TIMEOUT, exchange(*server, &bytes, &message)).await {
                Ok(Ok(answer)) => match answer.metadata.response_code {
                    ResponseCode::NoError => return Ok(answer),
                    ResponseCode::NXDomain => return Err(Failure::NoName(name.to_owned())),
                    code => reason = format!("{} says {code}", server.ip()),
                },
                Ok(Err(error)) => reason = format!("{}: {error}", server.ip()),
                Err(_) => reason = format!("{} does not answer", server.ip()),
            }
        }
        Err(failure(reason))
    }
}

async fn exchange(server: SocketAddr, bytes: &[u8], asked: &Message) -> std::io::Result<Message> {
    let local: SocketAddr =
        if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // What is not the answer is not waited for by anybody.
        let Ok(answer) = Message::from_vec(&buffer[..length]) else { continue };
        if answer.metadata.id != asked.metadata.id || answer.queries != asked.queries {
            continue;
        }
        if answer.metadata.truncation {
            return by_tcp(server, bytes).await;
        }
        return Ok(answer);
    }
}

async fn by_tcp(server: SocketAddr, bytes: &[u8]) -> std::io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(bytes.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Message::from_vec(&answer).map_err(std::io::Error::other)
}
