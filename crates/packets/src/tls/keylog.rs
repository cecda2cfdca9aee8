//! The key log of NSS (`SSLKEYLOGFILE`, draft-ietf-tls-keylogfile): one secret a line.

use std::collections::HashMap;

/// The most secrets that are kept: 10,000 connections.
const MAX_SECRETS: usize = 50_000;
/// The longest secret, in bytes: a SHA-384 output; TLS 1.2's master secret has as many.
const MAX_SECRET: usize = 48;

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// TLS 1.2: the master secret.
    Master,
    /// TLS 1.3: the client's handshake messages.
    ClientHandshake,
    /// TLS 1.3: the server's handshake messages.
    ServerHandshake,
    /// TLS 1.3: what the client says.
    Client,
    /// TLS 1.3: what the server says.
    Server,
    /// A secret that is not needed to read a dialogue.
    Other,
}

/// Secrets of connections, by the random of the client's hello.
#[derive(Clone, Default)]
pub struct KeyLog {
    secrets: HashMap<([u8; 32], Label), Vec<u8>>,
}

impl std::fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyLog").field("secrets", &self.secrets.len()).finish()
    }
}

impl KeyLog {
    /// The secrets of lines; what is none is passed over.
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut log = Self::default();
        for line in lines {
            if let Some((label, random, secret)) = read(line)
                && label != Label::Other
                && log.secrets.len() < MAX_SECRETS
            {
                log.secrets.insert((random, label), secret);
            }
        }
        log
    }

    /// Whether a line is one of a key log.
    pub fn is_line(line: &str) -> bool {
        read(line).is_some()
    }

    /// Whether it holds no secret.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// A connection's secret.
    pub fn get(&self, random: &[u8; 32], label: Label) -> Option<&[u8]> {
        self.secrets.get(&(*random, label)).map(Vec::as_slice)
    }
}

fn read(line: &str) -> Option<(Label, [u8; 32], Vec<u8>)> {
    let mut words = line.split_ascii_whitespace();
    let label = match words.next()? {
        "CLIENT_RANDOM" => Label::Master,
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Label::ClientHandshake,
        "SERVER_HANDSHAKE_TRAFFIC_SECRET" => Label::ServerHandshake,
        "CLIENT_TRAFFIC_SECRET_0" => Label::Client,
        "SERVER_TRAFFIC_SECRET_0" => Label::Server,
        "EXPORTER_SECRET" | "EARLY_EXPORTER_SECRET" | "CLIENT_EARLY_TRAFFIC_SECRET" => Label::Other,
        _ => return None,
    };
    let random = hex(words.next()?, 32)?.try_into().ok()?;
    let secret = hex(words.next()?, MAX_SECRET)?;
    (words.next().is_none() && secret.len() >= 32).then_some((label, random, secret))
}

fn hex(text: &str, most: usize) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.len() > 2 * most {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|n| u8::try_from(n).ok());
    text.as_bytes().chunks_exact(2).map(|two| Some(digit(two[0])? << 4 | digit(two[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_are_not() {
        let random = "ab".repeat(32);
        let line = format!("CLIENT_TRAFFIC_SECRET_0 {random} {}", "01".repeat(32));
        let log = KeyLog::of([line.as_str(), "# a remark", ""]);
        assert_eq!(log.get(&[0xab; 32], Label::Client), Some(&[1; 32][..]));
        assert!(!format!("{log:?}").contains("01"));
        for wrong in [
            format!("CLIENT_TRAFFIC_SECRET_0 {random} {}", "01".repeat(31)),
            format!("CLIENT_TRAFFIC_SECRET_0 {random} {} x", "01".repeat(32)),
            format!("CLIENT_TRAFFIC_SECRET_0 {random} {}", "0g".repeat(32)),
            format!("CLIENT_TRAFFIC_SECRET_0 ab {}", "01".repeat(32)),
            format!("RSA {random} {}", "01".repeat(32)),
        ] {
            assert!(!KeyLog::is_line(&wrong), "{wrong}");
        }
    }
}
