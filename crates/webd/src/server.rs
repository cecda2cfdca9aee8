//! The sockets: one for each protocol, opened and closed while the server runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::answer::{Ends, answer};
use crate::config::Config;
use crate::journal::{Entry, Journal};
use crate::sites::Sites;

/// The whole server.
#[derive(Debug)]
pub struct Server {
    config: Config,
    /// What it serves.
    pub sites: Sites,
    /// Who came.
    pub journal: Journal,
    doors: Vec<Door>,
    room: Arc<Semaphore>,
}

/// One protocol.
struct Door {
    protocol: &'static str,
    port: u16,
    tls: Option<TlsAcceptor>,
    /// The open socket's stop signal; none while it is off.
    open: Mutex<Option<watch::Sender<()>>>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Door({} {})", self.protocol, self.port)
    }
}

/// Why the server does not start or a switch does not move.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A port cannot be had.
    #[error("cannot listen on {address} for {protocol}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// For what.
        protocol: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// No such protocol here.
    #[error("there is no protocol {0} here: http and, with a certificate, https")]
    Protocol(String),
    /// A site or the certificate cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// The switches cannot be kept.
    #[error("cannot write {path}: {error}")]
    State {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl Server {
    /// Prepares everything and opens the sockets that were not switched off.
    ///
    /// # Errors
    /// A page, a certificate or a port that cannot be used.
    pub async fn start(config: Config) -> Result<Arc<Self>, ServerError> {
        let sites =
            Sites::new(config.sites.clone(), config.limits).map_err(ServerError::Unusable)?;
        let mut doors = Vec::new();
        let door = |protocol, port, tls| Door { protocol, port, tls, open: Mutex::new(None) };
        if let Some(port) = config.http {
            doors.push(door("http", port, None));
        }
        if let (Some(port), Some(tls)) = (config.https, &config.tls) {
            let acceptor = crate::tls::acceptor(tls).map_err(ServerError::Unusable)?;
            doors.push(door("https", port, Some(acceptor)));
        }
        let room = Arc::new(Semaphore::new(config.limits.connections.max(1)));
        let server = Arc::new(Self { sites, journal: Journal::default(), doors, room, config });
        let off = server.kept();
        for door in &server.doors {
            if !off.iter().any(|protocol| protocol == door.protocol) {
                server.open(door).await?;
            }
        }
        Ok(server)
    }

    /// Each protocol and whether it accepts.
    pub fn protocols(&self) -> Vec<(&'static str, bool)> {
        self.doors.iter().map(|door| (door.protocol, door.signal().is_some())).collect()
    }

    /// Opens or closes one protocol, or all; kept over a restart.
    ///
    /// # Errors
    /// A protocol that is not there, a port that cannot be had, a state that cannot be kept.
    pub async fn switch(
        self: &Arc<Self>,
        protocol: Option<&str>,
        on: bool,
    ) -> Result<(), ServerError> {
        let chosen: Vec<&Door> = self
            .doors
            .iter()
            .filter(|door| protocol.is_none_or(|protocol| protocol == door.protocol))
            .collect();
        if let (true, Some(protocol)) = (chosen.is_empty(), protocol) {
            return Err(ServerError::Protocol(protocol.to_owned()));
        }
        for door in chosen {
            if on && door.signal().is_none() {
                self.open(door).await?;
            } else if !on {
                // The sender's end is the signal; the accept loop then drops its socket.
                let sender = door.signal().take();
                if let Some(sender) = sender {
                    let closed = sender.clone();
                    drop(sender);
                    let _ = closed.send(());
                    closed.closed().await;
                }
            }
        }
        self.keep()
    }

    async fn open(self: &Arc<Self>, door: &Door) -> Result<(), ServerError> {
        let address = SocketAddr::new(self.config.listen, door.port);
        let listener = listen(address).map_err(|error| ServerError::Listen {
            address,
            protocol: door.protocol,
            error,
        })?;
        let (sender, stop) = watch::channel(());
        *door.signal() = Some(sender);
        let (server, protocol, tls) = (self.clone(), door.protocol, door.tls.clone());
        tokio::spawn(async move { server.accept(listener, protocol, tls, stop).await });
        Ok(())
    }

    async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        protocol: &'static str,
        tls: Option<TlsAcceptor>,
        mut stop: watch::Receiver<()>,
    ) {
        // Connections end with the socket; they wait on this, not on `stop`, so that the switch
        // only waits for the socket.
        let (alive, over) = watch::channel(());
        loop {
            // A place first: when all are taken, visitors wait in the system's queue.
            let place = tokio::select! {
                place = self.room.clone().acquire_owned() => place,
                _ = stop.changed() => break,
            };
            let Ok(place) = place else { break };
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!("{protocol}: cannot accept: {error}");
                        tokio::task::yield_now().await;
                        continue;
                    }
                },
                _ = stop.changed() => break,
            };
            let (server, tls, over) = (self.clone(), tls.clone(), over.clone());
            tokio::spawn(async move {
                server.connection(stream, protocol, tls, over).await;
                drop(place);
            });
        }
        drop(listener);
        drop(alive);
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        protocol: &'static str,
        tls: Option<TlsAcceptor>,
        over: watch::Receiver<()>,
    ) {
        let _ = stream.set_nodelay(true);
        let text = |address: std::io::Result<SocketAddr>| {
            address.map_or_else(|_| "?".into(), |address| address.ip().to_string())
        };
        let ends = Ends { client: text(stream.peer_addr()), server: text(stream.local_addr()) };
        let Some(tls) = tls else { return self.speak(stream, protocol, ends, over).await };
        let patience = Duration::from_secs(self.config.limits.head_seconds);
        match tokio::time::timeout(patience, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.speak(stream, protocol, ends, over).await,
            Ok(Err(error)) => tracing::info!("https: {}: no handshake: {error}", ends.client),
            Err(_) => tracing::info!("https: {}: no handshake in time", ends.client),
        }
    }

    async fn speak<S>(
        self: Arc<Self>,
        stream: S,
        protocol: &'static str,
        ends: Ends,
        mut over: watch::Receiver<()>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let limits = self.config.limits;
        let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
            let response = answer(&request, &self.sites, &ends);
            let header = |name| {
                let value = request.headers().get(name);
                value
                    .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
                    .unwrap_or_default()
            };
            self.journal.write(Entry {
                time: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                client: ends.client.clone(),
                protocol,
                host: header(hyper::header::HOST),
                method: request.method().to_string(),
                path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
                status: response.status().as_u16(),
                bytes: response.body().length(),
                agent: header(hyper::header::USER_AGENT),
            });
            std::future::ready(Ok::<_, std::convert::Infallible>(response))
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(limits.head_seconds.max(1)))
            .max_buf_size(limits.head_bytes.max(8 << 10))
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => {}
            _ = over.changed() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }

    fn state_file(&self) -> PathBuf {
        self.config.state.join("off.json")
    }

    /// The protocols that were switched off before.
    fn kept(&self) -> Vec<String> {
        std::fs::read(self.state_file())
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn keep(&self) -> Result<(), ServerError> {
        let off: Vec<&str> =
            self.protocols().into_iter().filter(|(_, on)| !on).map(|(name, _)| name).collect();
        let path = self.state_file();
        let new = path.with_extension("new");
        let write = || {
            std::fs::create_dir_all(&self.config.state)?;
            std::fs::write(&new, serde_json::to_vec(&off)?)?;
            std::fs::rename(&new, &path)
        };
        write().map_err(|error| ServerError::State { path: path.clone(), error })
    }
}

impl Door {
    fn signal(&self) -> std::sync::MutexGuard<'_, Option<watch::Sender<()>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that can be opened again right after it was closed.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(512)
}
