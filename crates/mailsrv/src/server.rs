//! What all sessions of one server share, and the listening sockets.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::config::{Config, Protocol, Stage};
use crate::directory::{self, Directory};
use crate::faults::Faults;
use crate::password::Verifier;
use crate::relay::Resolver;
use crate::sessions::{Session, Sessions};
use crate::store::{self, Store};
use crate::stream::{self, Stream};
use crate::transcript::{Dialogue, Transcript};
use crate::{imap, pop3, queue, smtp, tls};

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Accounts and domains.
    #[error(transparent)]
    Directory(#[from] directory::Error),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// Keys for signing.
    #[error(transparent)]
    Dkim(#[from] crate::authentication::Error),
    /// The relay's trust.
    #[error("cannot use `relay.trust`: {0}")]
    Trust(String),
    /// A port.
    #[error("cannot listen for {protocol} on {address}: {error}; is another server using it?")]
    Listen {
        /// For which protocol.
        protocol: Protocol,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
}

/// One mail server.
pub struct Server {
    /// What it was started with.
    pub config: Config,
    /// Who has mail here.
    pub directory: Directory,
    /// Mailboxes and queue.
    pub store: Store,
    /// Dialogues.
    pub transcript: Transcript,
    /// For STARTTLS and the TLS ports.
    pub tls: TlsAcceptor,
    /// Who is connected.
    pub sessions: Sessions,
    /// For lessons.
    pub faults: Faults,
    /// Names of other servers.
    pub resolver: Resolver,
    /// Signs and checks.
    pub authentication: crate::authentication::Authentication,
    /// Connections to other servers: with a good certificate, and with any.
    pub(crate) outbound: crate::relay::Outbound,
    /// Mailboxes that a POP3 session holds.
    pub(crate) pop3_locks: Mutex<HashSet<String>>,
    /// Attempts write down what became of an entry side by side (read); an administrator's change
    /// of the queue is alone (write), so that neither is lost in the other.
    pub(crate) queue_changes: tokio::sync::RwLock<()>,
    verifier: Arc<Verifier>,
    listeners: tokio::sync::Mutex<BTreeMap<Protocol, Listening>>,
}

struct Listening {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

/// One accepted connection.
pub struct Connection {
    /// Its bytes.
    pub stream: Stream,
    /// Its entry in the list of sessions.
    pub session: Session,
    /// Its way into the transcript.
    pub dialogue: Dialogue,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// The other end.
    pub peer: SocketAddr,
    /// This end.
    pub local: SocketAddr,
}

impl Connection {
    /// The handshake of STARTTLS or STLS. Throw away what was read before it.
    pub async fn start_tls(mut self, server: &Server) -> std::io::Result<Self> {
        let idle = Duration::from_secs(server.directory.limits().idle_s);
        let upgraded = tokio::time::timeout(idle, self.stream.upgrade(&server.tls)).await;
        self.stream = match upgraded {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.dialogue.event(&format!("the TLS handshake failed: {error}"));
                return Err(error);
            }
            Err(_) => return Err(std::io::ErrorKind::TimedOut.into()),
        };
        self.session.under_tls();
        self.dialogue.under_tls();
        let cipher = self.stream.cipher().unwrap_or_default();
        self.dialogue.event(&format!("under TLS from here on: {cipher}"));
        Ok(self)
    }
}

impl Server {
    /// Opens state and certificate; nothing listens yet.
    pub fn open(config: Config) -> Result<Arc<Self>, Error> {
        let store = Store::open(&config.state)?;
        let directory = Directory::load(&config)?;
        let (capacity, show) = {
            let data = directory.data();
            (data.limits.transcript, data.policy.show_secrets)
        };
        Ok(Arc::new(Self {
            tls: tls::acceptor(&config)?,
            authentication: crate::authentication::Authentication::new(&config)?,
            outbound: crate::relay::Outbound::new(&config).map_err(Error::Trust)?,
            resolver: Resolver::new(config.dns.iter().map(|server| server.0).collect()),
            directory,
            store,
            transcript: Transcript::new(capacity, show),
            sessions: Sessions::default(),
            faults: Faults::default(),
            pop3_locks: Mutex::default(),
            queue_changes: tokio::sync::RwLock::default(),
            verifier: Arc::default(),
            listeners: tokio::sync::Mutex::default(),
            config,
        }))
    }

    /// Listens on every protocol that is on and starts the queue. A port that cannot be had is an
    /// error only now; later it is the answer to the switch.
    pub async fn start(self: &Arc<Self>) -> Result<(), Error> {
        for protocol in Protocol::ALL {
            if self.wanted(protocol) {
                self.listen(protocol).await?;
            }
        }
        tokio::spawn(queue::run(self.clone()));
        Ok(())
    }

    /// Whether a protocol should be on.
    fn wanted(&self, protocol: Protocol) -> bool {
        let switched = self.directory.data().switches.get(&protocol).copied();
        switched.unwrap_or_else(|| self.config.is_on(protocol))
    }

    /// Where a protocol listens now.
    pub async fn address(&self, protocol: Protocol) -> Option<SocketAddr> {
        self.listeners.lock().await.get(&protocol).map(|listening| listening.address)
    }

    /// Switches a protocol. When this returns, its port is open or closed.
    pub async fn switch(self: &Arc<Self>, protocol: Protocol, on: bool) -> Result<(), Error> {
        self.directory.change(|data| {
            data.switches.insert(protocol, on);
            Ok(())
        })?;
        if on {
            return self.listen(protocol).await;
        }
        let closing = self.listeners.lock().await.remove(&protocol);
        if let Some(listening) = closing {
            listening.accepting.abort();
            // Ends with "cancelled": then the socket is closed.
            let _ = listening.accepting.await;
        }
        Ok(())
    }

    async fn listen(self: &Arc<Self>, protocol: Protocol) -> Result<(), Error> {
        let mut listeners = self.listeners.lock().await;
        if listeners.contains_key(&protocol) {
            return Ok(());
        }
        let address = SocketAddr::new(self.config.listen, self.config.port(protocol));
        let failed = |error| Error::Listen { protocol, address, error };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let accepting = tokio::spawn(self.clone().accept(protocol, listener));
        listeners.insert(protocol, Listening { address, accepting });
        tracing::info!("{protocol} on {address}");
        Ok(())
    }

    async fn accept(self: Arc<Self>, protocol: Protocol, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    // Boxed: an idle connection should cost little.
                    tokio::spawn(Box::pin(self.clone().connection(protocol, stream, peer)));
                }
                Err(error) => {
                    tracing::warn!("cannot accept for {protocol}: {error}");
                    let freed = self.sessions.one_ends();
                    let _ = tokio::time::timeout(Duration::from_secs(1), freed).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, protocol: Protocol, stream: TcpStream, peer: SocketAddr) {
        let limits = self.directory.limits();
        let Ok(local) = stream.local_addr() else { return };
        // Replies are short and waited for.
        let _ = stream.set_nodelay(true);
        let begun =
            self.sessions.begin(protocol, peer, limits.connections, limits.connections_per_address);
        let Some(session) = begun else {
            refuse(protocol, stream, &self.config.hostname).await;
            return;
        };
        let dialogue = self.transcript.dialogue(protocol.name(), session.id(), peer.ip());
        dialogue.event(&format!("connected from {peer} to {local}"));
        let mut refusal = None;
        if let Some(strike) = self.faults.strike(&self.directory, Stage::Connect, None) {
            tokio::time::sleep(strike.delay).await;
            if strike.drop {
                dialogue.event("dropped by a fault");
                return;
            }
            refusal = strike.reply;
        }
        let stream = Stream::Plain(stream);
        let mut connection = Connection { stream, session, dialogue, protocol, peer, local };
        if protocol.implicit_tls() {
            connection = match connection.start_tls(&self).await {
                Ok(connection) => connection,
                Err(_) => return,
            };
        }
        if let Some(reply) = refusal {
            // Instead of the greeting, and so under TLS where the greeting would be.
            let line = refusal_line(protocol, &reply);
            connection.dialogue.server(line.as_bytes());
            let sent = tokio::io::AsyncWriteExt::write_all(&mut connection.stream, line.as_bytes());
            let _ = sent.await;
            stream::end(&mut connection.stream).await;
            return;
        }
        match protocol {
            Protocol::Smtp | Protocol::Submission | Protocol::Submissions => {
                smtp::serve(self, connection).await;
            }
            Protocol::Pop3 | Protocol::Pop3s => pop3::serve(self, connection).await,
            Protocol::Imap | Protocol::Imaps => imap::serve(self, connection).await,
        }
    }

    /// The account that this user and password open.
    pub async fn authenticate(&self, user: &str, password: String) -> Option<String> {
        let (name, credentials) = match self.directory.login(user) {
            Some((name, entry)) => (name, entry.credentials),
            None => (String::new(), None),
        };
        let good = self.verifier.verify(credentials, password).await;
        good.then_some(name)
    }

    /// Takes the mailbox of an account for a POP3 session; `None` where another one has it.
    pub(crate) fn lock_mailbox(self: &Arc<Self>, account: &str) -> Option<MailboxLock> {
        let mut locks = self.pop3_locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks
            .insert(account.to_owned())
            .then(|| MailboxLock { server: self.clone(), account: account.to_owned() })
    }
}

/// A mailbox held by a POP3 session until this is dropped.
pub(crate) struct MailboxLock {
    server: Arc<Server>,
    account: String,
}

impl MailboxLock {
    /// Whose mailbox it is.
    pub(crate) fn account(&self) -> &str {
        &self.account
    }
}

impl Drop for MailboxLock {
    fn drop(&mut self) {
        let locks = self.server.pop3_locks.lock();
        locks.unwrap_or_else(PoisonError::into_inner).remove(&self.account);
    }
}

/// Tells a client in its protocol that there are too many.
/// What a fault says instead of the greeting, in the words of the protocol.
fn refusal_line(protocol: Protocol, reply: &str) -> String {
    match protocol {
        Protocol::Smtp | Protocol::Submission | Protocol::Submissions => format!("{reply}\r\n"),
        Protocol::Pop3 | Protocol::Pop3s => {
            format!("-ERR {} {reply}\r\n", crate::faults::pop3_code(reply))
        }
        Protocol::Imap | Protocol::Imaps => {
            format!("* BYE {} {reply}\r\n", crate::faults::imap_code(reply))
        }
    }
}

async fn refuse(protocol: Protocol, mut stream: TcpStream, hostname: &str) {
    let line = match protocol {
        Protocol::Smtp | Protocol::Submission => {
            format!("421 4.7.0 {hostname} has too many connections, come back later\r\n")
        }
        Protocol::Pop3 => "-ERR [SYS/TEMP] too many connections, come back later\r\n".to_owned(),
        Protocol::Imap => {
            "* BYE [UNAVAILABLE] too many connections, come back later\r\n".to_owned()
        }
        // Under TLS it could not be read.
        Protocol::Submissions | Protocol::Pop3s | Protocol::Imaps => return,
    };
    let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, line.as_bytes()).await;
    stream::end(&mut stream).await;
}
