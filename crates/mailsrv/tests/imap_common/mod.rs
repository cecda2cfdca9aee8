//! A mail server on loopback for the IMAP tests, and a line-wise client.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses a part of it, and a test may panic"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mailsrv::config::{Account, Config, Listener, Protocol};
use mailsrv::server::Server;
use mailsrv::store::{Body, Flags};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// How long a reply is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server with the accounts `u1` and `u2`, password `pw`.
pub struct Lab {
    /// The server.
    pub server: Arc<Server>,
    /// Where IMAP listens.
    pub imap: SocketAddr,
    folder: tempfile::TempDir,
}

impl Lab {
    /// Starts one on free ports.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts one with another configuration.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), change).await
    }

    /// Another server with what is on the disk of this one now, as after `kill -9`: the old one
    /// still holds its folder, so the new one gets its bytes.
    pub async fn restart(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = format!("{}/.", self.folder.path().display());
        let copied =
            std::process::Command::new("cp").arg("-a").arg(from).arg(folder.path()).status();
        assert!(copied.unwrap().success());
        Self::start_in(folder, |_| {}).await
    }

    async fn start_in(folder: tempfile::TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new("lab.test", folder.path());
        config.listen = [127, 0, 0, 1].into();
        for protocol in Protocol::ALL {
            config.protocols.insert(protocol, Listener { port: Some(0), ..Listener::default() });
        }
        for user in ["u1", "u2"] {
            config.accounts.insert(user.into(), Account::with_password("pw"));
        }
        change(&mut config);
        let server = Server::open(config).unwrap();
        server.start().await.unwrap();
        let imap = server.address(Protocol::Imap).await.unwrap();
        Self { server, imap, folder }
    }

    /// The authority that signed the server's certificate, as a PEM file.
    pub fn authority(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Where a protocol listens.
    pub async fn port(&self, protocol: Protocol) -> u16 {
        self.server.address(protocol).await.unwrap().port()
    }

    /// Puts a message into an INBOX, as a delivery does.
    pub async fn deliver(&self, user: &str, message: &[u8]) {
        let store = &self.server.store;
        let account = format!("{user}@lab.test");
        let spooled = store.spool(Vec::new(), Body::Memory(message.to_vec())).await.unwrap();
        store
            .append(&account, "INBOX", spooled, Flags::default(), 1_700_000_000, None)
            .await
            .unwrap();
    }

    /// A connection to another protocol.
    pub async fn connect_to(&self, protocol: Protocol) -> Line {
        let stream = TcpStream::connect(("127.0.0.1", self.port(protocol).await)).await.unwrap();
        Line { stream: BufReader::new(stream) }
    }

    /// A connection to IMAP.
    pub async fn connect(&self) -> Line {
        Line { stream: BufReader::new(TcpStream::connect(self.imap).await.unwrap()) }
    }
}

/// A line-wise client.
pub struct Line {
    stream: BufReader<TcpStream>,
}

impl Line {
    /// Sends a line.
    pub async fn send(&mut self, line: &str) {
        self.raw(format!("{line}\r\n").as_bytes()).await;
    }

    /// Sends bytes.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
    }

    /// Reads a line; `<closed>` at the end.
    pub async fn read(&mut self, place: &str) -> String {
        let mut line = Vec::new();
        let read = self.stream.read_until(b'\n', &mut line);
        let n = tokio::time::timeout(PATIENCE, read)
            .await
            .unwrap_or_else(|_| panic!("{place}: the server says nothing"))
            .unwrap();
        if n == 0 {
            return "<closed>".into();
        }
        String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Sends a command and reads up to its tagged answer.
    pub async fn ask(&mut self, tag: &str, command: &str) -> Vec<String> {
        self.send(&format!("{tag} {command}")).await;
        let mut lines = Vec::new();
        loop {
            let line = self.read(command).await;
            let last = line.starts_with(&format!("{tag} ")) || line == "<closed>";
            lines.push(line);
            if last {
                return lines;
            }
        }
    }
}

/// Whether a line is as wanted; `…` stands for anything.
pub fn matches(wanted: &str, got: &str) -> bool {
    let pieces: Vec<&str> = wanted.split('…').collect();
    if pieces.len() == 1 {
        return wanted == got;
    }
    let (first, last) = (pieces[0], pieces[pieces.len() - 1]);
    if got.len() < first.len() + last.len() || !got.starts_with(first) || !got.ends_with(last) {
        return false;
    }
    let mut rest = &got[first.len()..got.len() - last.len()];
    for piece in &pieces[1..pieces.len() - 1] {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}
