//! The server at work: sockets, disk, clock and admin requests round the pure parts.
//!
//! Every turn drains what waits. Replies that promise nothing go at once; the others go to the
//! writing thread with their changes and come back when the disk has them (group commit): a busy
//! server so commits many leases with one `fdatasync` and never waits for it.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use socket2::Socket;
use tokio::sync::{mpsc, oneshot};

use crate::admin::{Asked, Memory};
use crate::config::Config;
use crate::leases::Seconds;
use crate::link::{self, Interface};
use crate::probe::Prober;
use crate::relay;
use crate::reply::{Reply, To};
use crate::server::{Action, Meta, Server};
use crate::socket::ServerSocket;
use crate::store::{Store, StoreError};
use crate::wire::{CLIENT_PORT, Packet, SERVER_PORT};
use crate::writer::{Job, Writer, Written};

/// Datagrams that one commit may gather.
const BATCH: usize = 1024;
/// How long what is known of the interfaces counts as fresh.
const FRESH: Duration = Duration::from_millis(500);

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A socket.
    #[error("{what}: {source}")]
    Socket {
        /// What was tried and what it needs.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// A running server.
#[derive(Debug)]
pub struct Driver {
    pub(crate) config: Config,
    pub(crate) server: Server,
    writer: Writer,
    pub(crate) memory: Memory,
    socket: Option<ServerSocket>,
    frames: Socket,
    prober: Prober,
    interfaces: HashMap<u32, Interface>,
    looked: Option<Instant>,
    /// Replies that may be sent.
    outbox: Vec<Reply>,
    /// Changes of this turn, and the replies that promise them.
    job: Job,
    /// Whether the disk refused the last commit; told once.
    disk_refuses: bool,
    /// Packets received, malformed ones, replies sent, commits.
    pub(crate) counters: [u64; 4],
}

/// The time as leases count it.
pub fn now() -> Seconds {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Driver {
    /// Opens the database and the sockets.
    ///
    /// # Errors
    /// Where one of them cannot be opened.
    pub fn new(config: Config) -> Result<Self, DriverError> {
        let opened = Store::open(&config.state)?;
        let memory = Memory::load(&config.state);
        let mut server = Server::new(&config, opened.leases);
        for reservation in &memory.reservations {
            if let Err(refusal) = server.reserve(reservation.clone()) {
                tracing::warn!("a kept reservation is dropped: {refusal}");
            }
        }
        if opened.damaged > 0 {
            tracing::warn!("{} torn lines of the lease database were dropped", opened.damaged);
        }
        let frames = link::frame_sender().map_err(|source| DriverError::Socket {
            what: "cannot open a packet socket (the capability NET_RAW is needed)",
            source,
        })?;
        let prober = Prober::new(Duration::from_millis(config.probe_ms)).map_err(|source| {
            DriverError::Socket {
                what: "cannot open the sockets for probes (the capability NET_RAW is needed)",
                source,
            }
        })?;
        let writer = Writer::start(opened.store).map_err(|source| DriverError::Socket {
            what: "cannot start the thread that writes the leases",
            source,
        })?;
        let mut driver = Self {
            server,
            writer,
            memory,
            socket: None,
            frames,
            prober,
            interfaces: HashMap::new(),
            looked: None,
            outbox: Vec::new(),
            job: Job::default(),
            disk_refuses: false,
            counters: [0; 4],
            config,
        };
        if driver.memory.on {
            driver.open()?;
        }
        Ok(driver)
    }

    /// Whether requests are answered.
    pub(crate) fn is_on(&self) -> bool {
        self.socket.is_some()
    }

    /// Opens the port.
    pub(crate) fn open(&mut self) -> Result<(), DriverError> {
        if self.socket.is_none() {
            let socket = ServerSocket::bind(SERVER_PORT).map_err(|source| DriverError::Socket {
                what: "cannot listen on UDP port 67 (is another DHCP server running? is the capability NET_BIND_SERVICE there?)",
                source,
            })?;
            self.socket = Some(socket);
        }
        Ok(())
    }

    /// Closes the port.
    pub(crate) fn close(&mut self) {
        self.socket = None;
    }

    /// Takes another configuration; leases stay.
    pub(crate) fn configure(&mut self, config: Config) {
        self.server.configure(&config);
        for reservation in &self.memory.reservations {
            let _ = self.server.reserve(reservation.clone());
        }
        self.prober.set_patience(Duration::from_millis(config.probe_ms));
        self.config =
            Config { state: self.config.state.clone(), admin: self.config.admin.clone(), ..config };
        self.looked = None;
    }

    /// Runs until `asked` closes.
    ///
    /// # Errors
    /// Where a socket breaks for good.
    pub async fn run(
        mut self,
        mut asked: mpsc::Receiver<(Asked, oneshot::Sender<crate::admin::Answer>)>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 4096];
        loop {
            tokio::select! {
                request = asked.recv() => match request {
                    Some((request, back)) => {
                        self.look(true);
                        let answer = self.admin(request);
                        // The answer waits for the disk, if it made changes.
                        self.act(Vec::new());
                        if self.job.records.is_empty() {
                            let _ = back.send(answer);
                        } else {
                            self.job.asked = Some((back, answer));
                        }
                        self.commit();
                    }
                    None => return Ok(()),
                },
                ready = readable(self.socket.as_ref()) => {
                    ready?;
                    self.drain(&mut buffer);
                }
                written = self.writer.written() => self.written(written),
                taken = self.prober.outcome() => {
                    let (address, taken) = taken?;
                    let actions = self.server.probed(address, taken, now());
                    self.act(actions);
                    self.commit();
                }
            }
        }
    }

    /// Answers everything that waits.
    fn drain(&mut self, buffer: &mut [u8]) {
        loop {
            let mut whole = false;
            for _ in 0..BATCH {
                let Some(socket) = &self.socket else { return };
                match socket.receive(buffer) {
                    Ok(arrival) => {
                        let bytes = &buffer[..arrival.length];
                        self.counters[0] += 1;
                        match Packet::decode(bytes) {
                            Ok(packet) => {
                                self.packet(packet, arrival.interface, arrival.destination)
                            }
                            Err(malformed) => {
                                self.counters[1] += 1;
                                tracing::debug!("a packet is dropped: {malformed}");
                            }
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        whole = true;
                        break;
                    }
                    // An ICMP error about an earlier reply arrives here; the next call is clean.
                    Err(error) => tracing::debug!("receiving: {error}"),
                }
            }
            self.commit();
            if whole {
                return;
            }
        }
    }

    fn packet(&mut self, packet: Packet, index: u32, destination: Ipv4Addr) {
        self.look(false);
        if !self.interfaces.contains_key(&index) {
            self.look(true);
        }
        let Some(interface) = self.interfaces.get(&index) else { return };
        if !packet.request {
            self.relay_reply(packet);
            return;
        }
        if let Some(relay) =
            self.config.relay.iter().find(|relay| relay.interface == interface.name)
        {
            if let Some(own) = interface.addresses.first()
                && let Some(forward) = relay::forward(relay, own.addr(), packet)
                && let Some(socket) = &self.socket
            {
                for server in &forward.servers {
                    let to = SocketAddrV4::new(*server, SERVER_PORT);
                    if let Err(error) = socket.send(&forward.bytes, forward.source, to, None) {
                        tracing::warn!("a request cannot be relayed to {server}: {error}");
                    }
                }
            }
            return;
        }
        if !self.config.interfaces.is_empty() && !self.config.interfaces.contains(&interface.name) {
            return;
        }
        let own = self.interfaces.values().flat_map(|i| i.addresses.iter().map(|a| a.addr()));
        let local = own.clone().find(|own| *own == destination);
        let Some(local) = local.or(interface.addresses.first().map(|net| net.addr())) else {
            tracing::debug!("a request came in on {}, which has no address", interface.name);
            return;
        };
        let meta = Meta { interface: index, local, networks: interface.addresses.clone() };
        let actions = self.server.answer(&packet, &meta, now());
        self.act(actions);
    }

    /// Hands a server's reply on to the client on the relayed interface.
    fn relay_reply(&mut self, packet: Packet) {
        let giaddr = packet.giaddr;
        let Some(interface) =
            self.interfaces.values().find(|i| i.addresses.iter().any(|net| net.addr() == giaddr))
        else {
            return;
        };
        if !self.config.relay.iter().any(|relay| relay.interface == interface.name) {
            return;
        }
        let index = interface.index;
        if let Some(deliver) = relay::deliver(packet) {
            self.outbox.push(Reply {
                to: deliver.to,
                interface: index,
                source: giaddr,
                bytes: deliver.bytes,
            });
        }
    }

    /// Carries out what the server wants; replies to changes wait for them.
    fn act(&mut self, actions: Vec<Action>) {
        let records = self.server.take_records();
        let promises = !records.is_empty();
        self.job.records.extend(records);
        for action in actions {
            match action {
                Action::Send(reply) if promises => self.job.replies.push(reply),
                Action::Send(reply) => self.outbox.push(reply),
                Action::Probe { address, interface, source } => {
                    let link = interface.and_then(|index| self.interfaces.get(&index));
                    let mac = link.and_then(|link| Some((link.index, link.mac?)));
                    self.prober.start(address, mac, source);
                }
            }
        }
    }

    /// Hands the changes of this turn to the disk and sends what does not depend on them.
    fn commit(&mut self) {
        if !self.job.records.is_empty() {
            self.writer.write(std::mem::take(&mut self.job));
        }
        self.post();
        let lines = self.server.take_log();
        if !lines.is_empty() {
            tracing::info!("{}", lines.join("\n"));
        }
    }

    fn written(&mut self, written: Written) {
        match written {
            Written::Done(replies) => {
                self.counters[3] += 1;
                self.disk_refuses = false;
                self.outbox.extend(replies);
                self.post();
            }
            // An ACK that is not on the disk is a promise that a restart would break.
            Written::Refused(why) => {
                if !self.disk_refuses {
                    tracing::error!("no lease is given until the disk takes it: {why}");
                }
                self.disk_refuses = true;
            }
        }
    }

    fn post(&mut self) {
        for reply in std::mem::take(&mut self.outbox) {
            self.counters[2] += 1;
            if let Err(error) = self.send(&reply) {
                tracing::warn!("a reply to {:?} cannot be sent: {error}", reply.to);
            }
        }
    }

    fn send(&self, reply: &Reply) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let at = |address, port| SocketAddrV4::new(address, port);
        match reply.to {
            To::Relay(relay) => {
                socket.send(&reply.bytes, reply.source, at(relay, SERVER_PORT), None)
            }
            To::Client(client) => {
                // With a single interface on that link the routes agree; with two, the one asked.
                let link = self.interfaces.get(&reply.interface);
                let direct =
                    link.is_some_and(|l| l.addresses.iter().any(|net| net.contains(&client)));
                socket.send(
                    &reply.bytes,
                    reply.source,
                    at(client, CLIENT_PORT),
                    direct.then_some(reply.interface),
                )
            }
            To::Broadcast => {
                let to = at(Ipv4Addr::BROADCAST, CLIENT_PORT);
                socket.send(&reply.bytes, reply.source, to, Some(reply.interface))
            }
            To::Frame(mac, address) => {
                let route = link::Route {
                    interface: reply.interface,
                    mac,
                    source: (reply.source, SERVER_PORT),
                    destination: (address, CLIENT_PORT),
                };
                link::send_udp(&self.frames, route, &reply.bytes)
            }
        }
    }

    /// Looks at the interfaces again where what is known is stale.
    fn look(&mut self, again: bool) {
        if !again && self.looked.is_some_and(|looked| looked.elapsed() < FRESH) {
            return;
        }
        match link::interfaces() {
            Ok(found) => {
                self.interfaces = found.into_iter().map(|i| (i.index, i)).collect();
                let own =
                    self.interfaces.values().flat_map(|i| i.addresses.iter().map(|a| a.addr()));
                self.server.set_own(own.collect());
            }
            Err(error) => tracing::warn!("the interfaces cannot be listed: {error}"),
        }
        self.looked = Some(Instant::now());
    }
}

async fn readable(socket: Option<&ServerSocket>) -> io::Result<()> {
    match socket {
        Some(socket) => socket.readable().await,
        None => std::future::pending().await,
    }
}
