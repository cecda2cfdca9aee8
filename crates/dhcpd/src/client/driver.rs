//! The client at work: a packet socket until it is bound, UDP for renewals, and the clock.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Command, Event, Machine, Options, Output, State, To};
use crate::link::{self, EVERYONE, Route};
use crate::wire::{CLIENT_PORT, Packet, SERVER_PORT};

/// Why a client cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no such interface.
    #[error("there is no interface {0}: see `ip link`")]
    NoInterface(String),
    /// A socket.
    #[error("DHCP on {interface}: {what}: {source}")]
    Socket {
        /// The interface.
        interface: String,
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// A client's sockets.
struct Client {
    interface: String,
    index: u32,
    mac: [u8; 6],
    packets: AsyncFd<Socket>,
    arp: AsyncFd<Socket>,
    /// Sends renewals; receives nothing that `packets` does not, but keeps the kernel from
    /// answering "port unreachable".
    udp: Option<Socket>,
    /// Which station sent the last reply: the server, or the router towards it.
    station: Option<[u8; 6]>,
    machine: Machine,
    origin: Instant,
}

/// Keeps a lease on an interface until `commands` closes or nobody takes the events any more.
/// The address is given back only on [`Command::Release`].
///
/// # Errors
/// Where there is no such interface or the capability NET_RAW is missing.
pub async fn run(
    interface: String,
    mac: [u8; 6],
    options: Options,
    events: mpsc::Sender<Event>,
    mut commands: mpsc::Receiver<Command>,
) -> Result<(), ClientError> {
    let index = nix::net::if_::if_nametoindex(interface.as_str())
        .map_err(|_| ClientError::NoInterface(interface.clone()))?;
    let name = interface.clone();
    let fail = |what: &'static str| {
        let interface = name.clone();
        move |source| ClientError::Socket { interface, what, source }
    };
    let watch = |socket: io::Result<Socket>| socket.and_then(link::watched);
    let packets = watch(link::client_socket(index))
        .map_err(fail("cannot open a packet socket (the capability NET_RAW is needed)"))?;
    let arp = watch(link::arp_socket()).map_err(fail("cannot open an ARP socket"))?;
    let machine = Machine::new(mac, options, rand::random());
    let origin = Instant::now();
    let mut client =
        Client { interface, index, mac, packets, arp, udp: None, station: None, machine, origin };
    loop {
        let deadline = client.machine.deadline();
        let timer = async {
            match deadline.and_then(|deadline| origin.checked_add(deadline)) {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let outputs = tokio::select! {
            command = commands.recv() => match command {
                Some(command) => client.machine.command(command, client.now()),
                None => return Ok(()),
            },
            ready = client.packets.readable() => {
                ready.map_err(fail("the packet socket broke"))?.clear_ready();
                client.receive()
            }
            ready = client.arp.readable() => {
                ready.map_err(fail("the ARP socket broke"))?.clear_ready();
                client.hear()
            }
            () = timer => client.machine.timer(client.now()),
        };
        for output in outputs {
            match output {
                Output::Send(to, packet) => {
                    if let Err(error) = client.send(to, &packet) {
                        // A link that is down, a server that is unreachable: the retry comes.
                        tracing::debug!("DHCP on {}: {error}", client.interface);
                    }
                }
                Output::Probe(address) => {
                    let socket = client.arp.get_ref();
                    let _ = link::send_arp(socket, index, mac, Ipv4Addr::UNSPECIFIED, address);
                }
                Output::Tell(event) => {
                    match event {
                        Event::Lost(_) => client.udp = None,
                        _ if client.udp.is_none() => client.udp = client.open_udp().ok(),
                        _ => {}
                    }
                    if events.send(event).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

impl Client {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn receive(&mut self) -> Vec<Output> {
        let mut buffer = [0; 2048];
        let mut outputs = Vec::new();
        // The rest of a queue that never empties waits for the next turn.
        for _ in 0..64 {
            let Ok((length, station)) = link::receive_from(self.packets.get_ref(), &mut buffer)
            else {
                break;
            };
            let Some((_, payload)) = link::read_udp(&buffer[..length]) else { continue };
            let Ok(packet) = Packet::decode(payload) else { continue };
            let now = self.now();
            let more = self.machine.packet(&packet, now);
            if !more.is_empty() {
                self.station = station;
            }
            outputs.extend(more);
        }
        outputs
    }

    /// Looks whether someone answers for the address that is probed.
    fn hear(&mut self) -> Vec<Output> {
        let mut buffer = [0; 64];
        let mut outputs = Vec::new();
        for _ in 0..64 {
            let Ok(bytes) = link::receive(self.arp.get_ref(), &mut buffer) else { break };
            let Some(arp) = link::read_arp(bytes) else { continue };
            let State::Probing(held) = self.machine.state() else { continue };
            let address = held.lease.address.addr();
            let (mac, now) = (self.mac, self.now());
            // RFC 5227 section 2.1.1: it is used, or another station probes for it as well.
            let used = arp.sender.1 == address;
            let rival = arp.sender.1.is_unspecified() && arp.target.1 == address && !arp.reply;
            if arp.sender.0 != mac && (used || rival) {
                outputs.extend(self.machine.conflict(address, now));
            }
        }
        outputs
    }

    fn send(&self, to: To, packet: &Packet) -> io::Result<()> {
        let bytes = packet.encode(&[], usize::MAX);
        let (source, destination, mac) = match (to, &self.udp, self.station) {
            // The last word before the address goes away must not wait for ARP.
            (To::Server(source, server), _, Some(station))
                if packet.kind() == Some(crate::wire::Kind::Release) =>
            {
                (source, server, station)
            }
            (To::Server(_, server), Some(udp), _) => {
                let to = SocketAddrV4::new(server, SERVER_PORT).into();
                return udp.send_to(&bytes, &to).map(drop);
            }
            (To::Server(source, server), None, station) => {
                (source, server, station.unwrap_or(EVERYONE))
            }
            (To::Everyone(source), ..) => (source, Ipv4Addr::BROADCAST, EVERYONE),
        };
        let route = Route {
            interface: self.index,
            mac,
            source: (source, CLIENT_PORT),
            destination: (destination, SERVER_PORT),
        };
        link::send_udp(self.packets.get_ref(), route, &bytes)
    }

    fn open_udp(&self) -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), None)?;
        socket.set_reuse_address(true)?;
        socket.bind_device(Some(self.interface.as_bytes()))?;
        // What arrives here is read from the packet socket; it may overflow early.
        let _ = socket.set_recv_buffer_size(0);
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT).into())?;
        Ok(socket)
    }
}
