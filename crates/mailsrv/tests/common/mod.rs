//! A server of its own for each test, on ports that the system chooses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says what went wrong by a panic"
)]
#![allow(dead_code, reason = "each test uses some of it")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mailsrv::Server;
use mailsrv::config::{Config, Protocol};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A running server; it ends with the test's runtime.
pub struct Running {
    pub server: Arc<Server>,
    pub folder: TempDir,
}

/// Accounts u1 and u2 of a.test, both with the password `pw`.
pub const BASE: &str = r#"
hostname: mx.a.test
listen: 127.0.0.1
domains: [ { name: a.test, aliases: [alias.test] } ]
accounts: { u1: pw, u2: pw, full: { password: pw, quota: 500 }, note: { password: pw, auto_reply: { text: I am away. } }, away: { password: pw, forward: [u2], keep: false } }
aliases: { info: [u1, u2] }
lists: { all: { members: [u1, u2] }, inner: { members: [u1], from: members } }
"#;

/// Starts a server; `more` is YAML beside [`BASE`].
pub async fn start(more: &str) -> Running {
    let folder = tempfile::tempdir().expect("a temporary folder");
    start_in(folder, BASE, more).await
}

/// Starts a server in a folder.
pub async fn start_in(folder: TempDir, base: &str, more: &str) -> Running {
    let text = format!("{base}\n{more}\nstate: {}\n", folder.path().display());
    let mut config = Config::parse(&text).expect("a good configuration");
    for protocol in Protocol::ALL {
        config.protocols.entry(protocol).or_default().port = Some(0);
    }
    let server = Server::open(config).expect("the server opens");
    server.start().await.expect("the server starts");
    Running { server, folder }
}

impl Running {
    /// Where a protocol listens.
    pub async fn port(&self, protocol: Protocol) -> u16 {
        self.server.address(protocol).await.expect("the protocol is on").port()
    }

    pub async fn address(&self, protocol: Protocol) -> SocketAddr {
        self.server.address(protocol).await.expect("the protocol is on")
    }

    /// The authority's certificate.
    pub fn ca(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// All ports as JSON, for scripts.
    pub async fn ports(&self) -> Value {
        let mut ports = json!({});
        for protocol in Protocol::ALL {
            ports[protocol.name()] = json!(self.port(protocol).await);
        }
        ports
    }

    /// The messages in INBOX of an account, raw.
    pub fn inbox(&self, account: &str) -> Vec<String> {
        let store = &self.server.store;
        let files = store
            .with_mailbox(account, "INBOX", |m| {
                m.messages.iter().map(|m| m.file).collect::<Vec<_>>()
            })
            .unwrap_or_default();
        files
            .into_iter()
            .map(|file| {
                String::from_utf8_lossy(&store.read(file).expect("the file is there")).into_owned()
            })
            .collect()
    }

    /// Waits until the inbox holds so many messages.
    pub async fn inbox_of(&self, account: &str, count: usize) -> Vec<String> {
        let mut watch = self.server.store.watch(account);
        let waiting = async {
            loop {
                watch.mark_unchanged();
                let inbox = self.inbox(account);
                if inbox.len() >= count {
                    return inbox;
                }
                watch.changed().await.expect("the store lives");
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| {
            let dialogue: Vec<_> = self
                .server
                .transcript
                .lines(None, None)
                .iter()
                .map(|line| format!("{} {}: {}", line.protocol, line.side, line.text))
                .collect();
            panic!(
                "{account} has {} of {count} messages; queue: {:?}\n{}",
                self.inbox(account).len(),
                self.server.store.queue(),
                dialogue.join("\n")
            )
        })
    }
}

/// Whether a program is there; where it must be and is not, that is a failure.
pub fn has(program: &str) -> bool {
    let folders = std::env::var("PATH").unwrap_or_default();
    let found = folders
        .split(':')
        .chain(["/usr/sbin", "/usr/local/sbin"])
        .any(|folder| Path::new(folder).join(program).exists());
    if !found {
        assert!(std::env::var_os("LABCTL_CI").is_none(), "{program} is not installed");
        println!("SKIPPED: {program} is not installed");
    }
    found
}
