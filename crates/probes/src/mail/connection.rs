//! A line-wise connection that keeps its dialogue, can turn to TLS and never outlives its deadline.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tls;
use super::types::{Failure, Protocol, Security, Server, Stage};
use crate::Env;
use crate::env::Deadline;

/// The longest line read, in bytes.
const MAX_LINE: usize = 64 << 10;
/// The most lines kept of a dialogue; what comes later is counted only.
const MAX_TRANSCRIPT: usize = 2_000;
/// The most characters kept of a line of the dialogue.
const MAX_SHOWN: usize = 1_000;

/// A byte stream, plain or under TLS.
trait Io: AsyncRead + AsyncWrite + Unpin + std::marker::Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + std::marker::Send> Io for T {}

/// The dialogue of one or several connections.
#[derive(Clone, Debug, Default)]
pub struct Transcript(Arc<Mutex<Vec<String>>>);

impl Transcript {
    fn add(&self, who: &str, text: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MAX_TRANSCRIPT {
            lines.push("… the dialogue goes on".into());
        }
        if lines.len() < MAX_TRANSCRIPT {
            let mut shown: String = text.chars().take(MAX_SHOWN).collect();
            if shown.len() < text.len() {
                shown.push('…');
            }
            lines.push(format!("{who} {shown}"));
        }
    }

    /// A remark that neither side sent.
    pub fn note(&self, text: &str) {
        self.add("*", text);
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A connection to a mail server.
pub struct Connection {
    io: Box<dyn Io>,
    buffer: Vec<u8>,
    by: Deadline,
    transcript: Transcript,
    name: String,
    peer: SocketAddr,
    tls: Option<String>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).field("tls", &self.tls).finish()
    }
}

impl Connection {
    /// Connects; under TLS at once where the server is so set up.
    ///
    /// # Errors
    /// [`Stage::Name`], [`Stage::ConnectRefused`], [`Stage::ConnectTimeout`] or [`Stage::Tls`].
    pub async fn open(
        server: &Server,
        protocol: Protocol,
        env: &Env,
        by: Deadline,
        transcript: &Transcript,
    ) -> Result<Self, Failure> {
        let port = server.port.unwrap_or_else(|| protocol.port(server.security));
        let addresses =
            tokio::time::timeout_at(by.at(), crate::resolve::resolve_all(&server.host, env))
                .await
                .map_err(|_| {
                    Failure::new(
                        Stage::Name,
                        format!("no DNS server answered for {} in time", server.host),
                    )
                })?
                .map_err(|error| Failure::new(Stage::Name, error))?;
        let mut last = Failure::new(Stage::Name, format!("{} has no address", server.host));
        for address in addresses {
            let peer = SocketAddr::new(address.into(), port);
            match connect(server, peer, by).await {
                Ok(stream) => {
                    transcript.note(&format!("connected to {peer}"));
                    let mut connection = Self {
                        io: Box::new(stream),
                        buffer: Vec::new(),
                        by,
                        transcript: transcript.clone(),
                        name: server.tls_name.clone().unwrap_or_else(|| server.host.clone()),
                        peer,
                        tls: None,
                    };
                    if server.security == Security::Tls {
                        connection.start_tls(env).await?;
                    }
                    return Ok(connection);
                }
                Err(failure) => last = failure,
            }
        }
        transcript.note(&last.message);
        Err(last)
    }

    /// Where it is connected to.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Version and cipher suite once it is under TLS.
    pub fn tls(&self) -> Option<&str> {
        self.tls.as_deref()
    }

    /// The time by which everything must have ended.
    pub fn deadline(&self) -> Deadline {
        self.by
    }

    /// Turns to TLS; the server must have agreed already.
    ///
    /// # Errors
    /// [`Stage::Tls`].
    pub async fn start_tls(&mut self, env: &Env) -> Result<(), Failure> {
        if !self.buffer.is_empty() {
            return Err(Failure::new(
                Stage::Tls,
                "the server sent more before TLS began: somebody may have put it in",
            ));
        }
        let config = tls::config(env)?;
        let name = tls::server_name(&self.name)?;
        let plain = std::mem::replace(
            &mut self.io,
            Box::new(tokio::io::join(tokio::io::empty(), tokio::io::sink())),
        );
        let connecting = TlsConnector::from(config).connect(name, plain);
        let stream = match tokio::time::timeout_at(self.by.at(), connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let message = format!("TLS with {} failed: {error}", self.name);
                self.transcript.note(&message);
                return Err(Failure::new(Stage::Tls, message));
            }
            Err(_) => {
                return Err(Failure::new(Stage::Tls, "the server did not agree on TLS in time"));
            }
        };
        let session = stream.get_ref().1;
        let version = session.protocol_version().and_then(|v| v.as_str().map(str::to_owned));
        let suite =
            session.negotiated_cipher_suite().and_then(|s| s.suite().as_str().map(str::to_owned));
        let tls = [version, suite].into_iter().flatten().collect::<Vec<_>>().join(" ");
        self.transcript.note(&format!("under TLS: {tls}"));
        self.tls = Some(tls);
        self.io = Box::new(stream);
        Ok(())
    }

    /// The next line without its line end, as it should be shown; recorded.
    ///
    /// # Errors
    /// `stage` when the connection ends, is silent until the deadline, or the line is too long.
    pub async fn line(&mut self, stage: Stage) -> Result<String, Failure> {
        let line = self.raw_line(stage).await?;
        let line = String::from_utf8_lossy(&line).into_owned();
        self.transcript.add("S:", &line);
        Ok(line)
    }

    /// The next line without its line end; not recorded.
    ///
    /// # Errors
    /// As [`Connection::line`].
    pub async fn raw_line(&mut self, stage: Stage) -> Result<Vec<u8>, Failure> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|b| *b == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=searched + at).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            searched = self.buffer.len();
            if searched > MAX_LINE {
                return Err(Failure::new(stage, "the server sent a line of more than 64 KiB"));
            }
            self.fill(stage).await?;
        }
    }

    /// Exactly `n` bytes; not recorded.
    ///
    /// # Errors
    /// As [`Connection::line`].
    pub async fn bytes(&mut self, n: usize, stage: Stage) -> Result<Vec<u8>, Failure> {
        while self.buffer.len() < n {
            self.fill(stage).await?;
        }
        Ok(self.buffer.drain(..n).collect())
    }

    async fn fill(&mut self, stage: Stage) -> Result<(), Failure> {
        let mut chunk = [0; 8 << 10];
        match tokio::time::timeout_at(self.by.at(), self.io.read(&mut chunk)).await {
            Ok(Ok(0)) => self.fail(stage, "the server closed the connection"),
            Ok(Ok(n)) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                Ok(())
            }
            Ok(Err(error)) => self.fail(stage, &format!("the connection broke: {error}")),
            Err(_) => self.fail(stage, "the server did not answer in time"),
        }
    }

    fn fail(&self, stage: Stage, message: &str) -> Result<(), Failure> {
        self.transcript.note(message);
        Err(Failure::new(stage, format!("{message} ({})", self.peer)))
    }

    /// Sends a line; recorded.
    ///
    /// # Errors
    /// [`Stage::Command`] when the line holds a line end or the connection is gone.
    pub async fn send(&mut self, line: &str) -> Result<(), Failure> {
        self.send_as(line, line).await
    }

    /// Sends a line of which the dialogue shows `shown` only.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_as(&mut self, line: &str, shown: &str) -> Result<(), Failure> {
        if line.contains(['\r', '\n', '\0']) {
            return Err(Failure::new(Stage::Command, "a command cannot hold a line end"));
        }
        self.transcript.add("C:", shown);
        self.write(&[line.as_bytes(), b"\r\n"].concat()).await
    }

    /// Sends bytes as they are, of which the dialogue shows `shown`.
    ///
    /// # Errors
    /// [`Stage::Command`] when the connection is gone.
    pub async fn send_bytes(&mut self, bytes: &[u8], shown: &[String]) -> Result<(), Failure> {
        for line in shown {
            self.transcript.add("C:", line);
        }
        self.write(bytes).await
    }

    /// Records lines that the server sent and that were read raw.
    pub fn record(&self, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            self.transcript.add("S:", &line);
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let writing = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        match tokio::time::timeout_at(self.by.at(), writing).await {
            Ok(Ok(())) => Ok(()),
            // The server may have said why before it closed: let the reader find it.
            Ok(Err(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Ok(Err(error)) => self.fail(Stage::Command, &format!("the connection broke: {error}")),
            Err(_) => self.fail(Stage::Command, "the server did not take the data in time"),
        }
    }

    /// Whether bytes are there or come before `by`; `false` when none came.
    ///
    /// # Errors
    /// [`Stage::Command`] when the connection is gone.
    pub async fn wait(&mut self, by: Deadline) -> Result<bool, Failure> {
        if !self.buffer.is_empty() {
            return Ok(true);
        }
        let whole = std::mem::replace(&mut self.by, by);
        let mut chunk = [0; 8 << 10];
        let read = tokio::time::timeout_at(by.at(), self.io.read(&mut chunk)).await;
        self.by = whole;
        match read {
            Ok(Ok(0)) => {
                self.fail(Stage::Command, "the server closed the connection").map(|()| false)
            }
            Ok(Ok(n)) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                Ok(true)
            }
            Ok(Err(error)) => {
                self.fail(Stage::Command, &format!("the connection broke: {error}")).map(|()| false)
            }
            Err(_) => Ok(false),
        }
    }
}

async fn connect(server: &Server, peer: SocketAddr, by: Deadline) -> Result<TcpStream, Failure> {
    let host = if server.host == peer.ip().to_string() {
        server.host.clone()
    } else {
        format!("{} ({})", server.host, peer.ip())
    };
    let port = peer.port();
    match tokio::time::timeout_at(by.at(), TcpStream::connect(peer)).await {
        Ok(Ok(stream)) => {
            // Commands are small and wait for replies: Nagle's algorithm would only delay them.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => Err(match error.kind() {
            ErrorKind::ConnectionRefused => Failure::new(
                Stage::ConnectRefused,
                format!("{host}: the server refused the connection on port {port}"),
            ),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                Failure::new(Stage::ConnectTimeout, format!("{host} cannot be reached: {error}"))
            }
            ErrorKind::ConnectionReset => Failure::new(
                Stage::ConnectRefused,
                format!("{host}: the connection on port {port} was cut"),
            ),
            _ => Failure::new(
                Stage::ConnectTimeout,
                format!("{host}: no connection on port {port}: {error}"),
            ),
        }),
        Err(_) => Err(Failure::new(
            Stage::ConnectTimeout,
            format!("{host} did not answer on port {port}"),
        )),
    }
}
