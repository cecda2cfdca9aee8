//! One delivery of one message to one host.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::reply::{self, Reply};
use super::target::Host;
use crate::config::{Config, RelayTls};
use crate::queue::{Envelope, Notify};
use crate::smtp::command::to_xtext;
use crate::transcript::{Dialogue, Transcript};

/// How TLS to other servers is made.
pub(crate) struct Outbound {
    /// For any certificate: opportunistic TLS.
    any: Arc<ClientConfig>,
    /// For good certificates only; none where no authority is trusted.
    good: Option<Arc<ClientConfig>>,
    /// Whether opportunistic TLS wants good ones as well.
    strict: bool,
}

impl Outbound {
    pub fn new(config: &Config) -> Result<Self, String> {
        let relay = &config.relay;
        let words = |error: pki::Error| error.to_string();
        let good = match &relay.trust {
            Some(path) => {
                let pem = std::fs::read_to_string(path)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                let good = pki::client_config([pem.as_str()]).map_err(words)?;
                Some(logging(config, good)?)
            }
            None if relay.verify_certificates => {
                return Err("`verify_certificates` needs a file in `trust`".into());
            }
            None => None,
        };
        let any = logging(config, pki::client_config_unverified().map_err(words)?)?;
        Ok(Self { any, good, strict: relay.verify_certificates })
    }

    /// TLS that was asked for by name is checked where an authority is known; opportunistic TLS
    /// takes what it gets, for the alternative is none (RFC 7435).
    fn config(&self, tls: RelayTls) -> Arc<ClientConfig> {
        let named = matches!(tls, RelayTls::Starttls | RelayTls::Tls);
        match &self.good {
            Some(good) if named || self.strict => good.clone(),
            _ => self.any.clone(),
        }
    }
}

/// The same, with its secrets written where the lab keeps them: a server that is not ours does not
/// write its own.
fn logging(config: &Config, tls: Arc<ClientConfig>) -> Result<Arc<ClientConfig>, String> {
    let Some(path) = config.tls.as_ref().and_then(|tls| tls.keylog.as_ref()) else {
        return Ok(tls);
    };
    let mut tls = Arc::unwrap_or_clone(tls);
    tls.key_log = pki::key_log(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Arc::new(tls))
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered(String),
    Failed(String),
    Later(String),
}

/// One attempt.
pub(crate) struct Attempt<'a> {
    pub outbound: &'a Outbound,
    pub transcript: &'a Transcript,
    pub connection: u64,
    pub hostname: &'a str,
    pub host: &'a Host,
    pub envelope: &'a Envelope,
    /// Which recipients of the envelope.
    pub recipients: &'a [usize],
    pub message: std::fs::File,
    pub timeout: Duration,
}

/// The host could not be spoken to: try the next one.
pub(crate) struct Unreachable(pub String);

impl Attempt<'_> {
    /// Delivers; a fate for each recipient, and whether the other server took over the duty of
    /// DSN.
    pub async fn run(self) -> Result<(Vec<Fate>, bool), Unreachable> {
        let dialogue = self.transcript.dialogue("relay", self.connection, self.host.address.ip());
        dialogue.event(&format!("to {} ({})", self.host.name, self.host.address));
        let mut result = self.talk(&dialogue, self.host.tls).await;
        let shaken = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionAborted;
        if self.host.tls == RelayTls::Opportunistic && result.as_ref().is_err_and(shaken) {
            // Mail in the clear is better than none (RFC 7435, 3).
            dialogue.event("the TLS handshake failed: once more without");
            result = self.talk(&dialogue, RelayTls::None).await;
        }
        if let Err(error) = &result {
            dialogue.event(&format!("it failed: {error}"));
        }
        result.map_err(|error| Unreachable(format!("{}: {error}", self.host.name)))
    }

    async fn talk(&self, dialogue: &Dialogue, tls: RelayTls) -> io::Result<(Vec<Fate>, bool)> {
        let connecting = TcpStream::connect(self.host.address);
        let tcp = tokio::time::timeout(self.timeout, connecting).await.map_err(|_| silent())??;
        // Else the last piece of a message waits for the acknowledgment of those before: 40 ms.
        let _ = tcp.set_nodelay(true);
        if tls == RelayTls::Tls {
            let mut session = self.session(dialogue, self.handshake(tcp, dialogue).await?);
            session.greeting().await?;
            let features = session.ehlo().await?;
            return session.deliver(features).await;
        }
        let mut session = self.session(dialogue, tcp);
        session.greeting().await?;
        let features = session.ehlo().await?;
        let offered = features.extension("STARTTLS").is_some();
        let wanted = match tls {
            RelayTls::Opportunistic => offered,
            RelayTls::Starttls if !offered => {
                return Err(io::Error::other("it does not offer STARTTLS, which `tls` demands"));
            }
            RelayTls::Starttls => true,
            RelayTls::Tls | RelayTls::None => false,
        };
        if !wanted {
            return session.deliver(features).await;
        }
        let reply = session.command("STARTTLS").await?;
        if !reply.is(2) {
            if tls == RelayTls::Opportunistic {
                // Then in the clear, as without the offer (RFC 3207, 4.1).
                return session.deliver(features).await;
            }
            return Err(io::Error::other(format!("it refused STARTTLS: {}", reply.text())));
        }
        // The buffer is dropped with what might have been sent ahead of the handshake.
        let tls = self.handshake(session.stream.into_inner(), dialogue).await?;
        let mut session = self.session(dialogue, tls);
        let features = session.ehlo().await?;
        session.deliver(features).await
    }

    /// The handshake; where it fails, that is a `ConnectionAborted`.
    async fn handshake(
        &self,
        tcp: TcpStream,
        dialogue: &Dialogue,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.host.name.trim_matches(['[', ']']).to_owned())
            .unwrap_or_else(|_| ServerName::IpAddress(self.host.address.ip().into()));
        let connecting = TlsConnector::from(self.outbound.config(self.host.tls)).connect(name, tcp);
        let connected = tokio::time::timeout(self.timeout, connecting).await;
        let stream = connected.map_err(|_| silent())?.map_err(|error| {
            let text = format!("the TLS handshake failed: {error}");
            io::Error::new(io::ErrorKind::ConnectionAborted, text)
        })?;
        dialogue.under_tls();
        dialogue.event("under TLS from here on");
        Ok(stream)
    }

    fn session<'a, S: AsyncRead + AsyncWrite + Unpin>(
        &'a self,
        dialogue: &'a Dialogue,
        stream: S,
    ) -> Session<'a, S> {
        Session { attempt: self, dialogue, stream: BufReader::new(stream) }
    }
}

fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it does not answer in time")
}

struct Session<'a, S> {
    attempt: &'a Attempt<'a>,
    dialogue: &'a Dialogue,
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<'_, S> {
    async fn read(&mut self) -> io::Result<Reply> {
        let dialogue = self.dialogue;
        let reading = reply::read(&mut self.stream, |line| dialogue.server(line));
        tokio::time::timeout(self.attempt.timeout, reading).await.map_err(|_| silent())?
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream.get_mut();
        let writing = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        tokio::time::timeout(self.attempt.timeout, writing).await.map_err(|_| silent())?
    }

    async fn command(&mut self, line: &str) -> io::Result<Reply> {
        self.dialogue.client(line.as_bytes());
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.read().await
    }

    async fn greeting(&mut self) -> io::Result<()> {
        let reply = self.read().await?;
        if reply.is(2) { Ok(()) } else { Err(io::Error::other(reply.text())) }
    }

    /// EHLO, or HELO where that is not known.
    async fn ehlo(&mut self) -> io::Result<Reply> {
        let name = self.attempt.hostname;
        let reply = self.command(&format!("EHLO {name}")).await?;
        if reply.is(2) {
            return Ok(reply);
        }
        if !reply.is(5) {
            return Err(io::Error::other(reply.text()));
        }
        let reply = self.command(&format!("HELO {name}")).await?;
        if reply.is(2) {
            // Its text is no list of extensions.
            return Ok(Reply { code: reply.code, lines: Vec::new() });
        }
        Err(io::Error::other(reply.text()))
    }

    async fn login(&mut self, features: &Reply) -> io::Result<()> {
        let Some((user, password)) = &self.attempt.host.login else { return Ok(()) };
        let offered = features.extension("AUTH").unwrap_or_default().to_ascii_uppercase();
        let has = |name: &str| offered.split(' ').any(|word| word == name);
        let reply = if has("PLAIN") {
            self.dialogue.client_secret(b"AUTH PLAIN", "AUTH PLAIN ***");
            let secret = BASE64.encode(format!("\0{user}\0{password}"));
            self.write(format!("AUTH PLAIN {secret}\r\n").as_bytes()).await?;
            self.read().await?
        } else if has("LOGIN") {
            let mut reply = self.command("AUTH LOGIN").await?;
            for secret in [user, password] {
                if reply.is(3) {
                    self.dialogue.client_secret(b"***", "***");
                    self.write(format!("{}\r\n", BASE64.encode(secret)).as_bytes()).await?;
                    reply = self.read().await?;
                }
            }
            reply
        } else {
            return Err(io::Error::other("it offers neither AUTH PLAIN nor LOGIN"));
        };
        if reply.is(2) {
            Ok(())
        } else {
            Err(io::Error::other(format!("the login was refused: {}", reply.text())))
        }
    }

    async fn deliver(mut self, features: Reply) -> io::Result<(Vec<Fate>, bool)> {
        self.login(&features).await?;
        let envelope = self.attempt.envelope;
        let dsn = features.extension("DSN").is_some();
        let all = |fate: Fate| (vec![fate; self.attempt.recipients.len()], dsn);
        if envelope.utf8 && features.extension("SMTPUTF8").is_none() {
            let _ = self.command("QUIT").await;
            return Ok(all(Fate::Failed("550 5.6.7 the next server has no SMTPUTF8".into())));
        }
        if envelope.eight_bit && !envelope.utf8 && features.extension("8BITMIME").is_none() {
            // Nor is it turned into seven bits here: bytes are kept as they came (RFC 6152, 3).
            let _ = self.command("QUIT").await;
            let reason = "554 5.6.3 the message has 8-bit bytes, the next server has no 8BITMIME";
            return Ok(all(Fate::Failed(reason.into())));
        }
        let reply = self.command(&self.mail_command(&features, dsn)).await?;
        if !reply.is(2) {
            let _ = self.command("QUIT").await;
            return Ok(all(fate(&reply)));
        }
        let mut fates = Vec::with_capacity(self.attempt.recipients.len());
        for index in self.attempt.recipients {
            let reply = self.command(&self.rcpt_command(*index, dsn)).await?;
            // Delivered means here: taken so far.
            fates.push(match reply.code {
                // "Too many recipients" in the words of RFC 821 (RFC 5321, 4.5.3.1.10).
                552 => Fate::Later(reply.text()),
                _ => fate(&reply),
            });
        }
        if fates.iter().any(|fate| matches!(fate, Fate::Delivered(_))) {
            let reply = self.command("DATA").await?;
            let end = if reply.is(3) { self.message().await? } else { reply };
            let last = fate(&end);
            for fate in &mut fates {
                if matches!(fate, Fate::Delivered(_)) {
                    *fate = last.clone();
                }
            }
        }
        // The message is delivered: whatever QUIT says changes nothing.
        let _ = self.command("QUIT").await;
        Ok((fates, dsn))
    }

    fn mail_command(&self, features: &Reply, dsn: bool) -> String {
        let envelope = self.attempt.envelope;
        let mut line = format!("MAIL FROM:<{}>", envelope.sender);
        if features.extension("SIZE").is_some() {
            line.push_str(&format!(" SIZE={}", envelope.size));
        }
        if envelope.eight_bit && features.extension("8BITMIME").is_some() {
            line.push_str(" BODY=8BITMIME");
        }
        if envelope.utf8 {
            line.push_str(" SMTPUTF8");
        }
        if dsn {
            line.push_str(if envelope.headers_only { " RET=HDRS" } else { " RET=FULL" });
            if let Some(envid) = &envelope.envid {
                line.push_str(&format!(" ENVID={}", to_xtext(envid)));
            }
        }
        line
    }

    fn rcpt_command(&self, index: usize, dsn: bool) -> String {
        let Some(recipient) = self.attempt.envelope.recipients.get(index) else {
            return "NOOP".into();
        };
        let mut line = format!("RCPT TO:<{}>", recipient.address);
        if dsn && recipient.notify != Notify::default() {
            let Notify { success, failure, delay } = recipient.notify;
            let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
            let words: Vec<_> = words.iter().filter(|(on, _)| *on).map(|(_, w)| *w).collect();
            let words = if words.is_empty() { "NEVER".into() } else { words.join(",") };
            line.push_str(&format!(" NOTIFY={words}"));
        }
        if dsn
            && let Some((kind, address)) =
                recipient.orcpt.as_deref().and_then(|o| o.split_once(';'))
        {
            line.push_str(&format!(" ORCPT={kind};{}", to_xtext(address)));
        }
        line
    }

    /// The bytes after DATA: dots stuffed, CRLF at the end, in pieces.
    async fn message(&mut self) -> io::Result<Reply> {
        let mut file = tokio::fs::File::from_std(self.attempt.message.try_clone()?);
        let (mut piece, mut out) = (vec![0; 32 << 10], Vec::with_capacity(34 << 10));
        let (mut stuffer, mut total) = (Stuffer::default(), 0_u64);
        loop {
            let read = file.read(&mut piece).await?;
            if read == 0 {
                break;
            }
            total += read as u64;
            out.clear();
            stuffer.stuff(&piece[..read], &mut out);
            if self.dialogue.wants_body() {
                for line in out.split_inclusive(|byte| *byte == b'\n') {
                    self.dialogue.body_line('C', line);
                }
            }
            self.write(&out).await?;
        }
        self.dialogue.body_end(total);
        self.dialogue.client(b".");
        let end: &[u8] = if stuffer.at_line_start() { b".\r\n" } else { b"\r\n.\r\n" };
        self.write(end).await?;
        self.read().await
    }
}

fn fate(reply: &Reply) -> Fate {
    match reply.code / 100 {
        2 => Fate::Delivered(reply.text()),
        5 => Fate::Failed(reply.text()),
        _ => Fate::Later(reply.text()),
    }
}

/// Doubles the dots that begin lines.
pub(crate) struct Stuffer {
    line_start: bool,
}

impl Default for Stuffer {
    fn default() -> Self {
        Self { line_start: true }
    }
}

impl Stuffer {
    pub fn stuff(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line_start && line.first() == Some(&b'.') {
                out.push(b'.');
            }
            out.extend_from_slice(line);
            self.line_start = line.ends_with(b"\n");
        }
    }

    pub fn at_line_start(&self) -> bool {
        self.line_start
    }
}
