//! The speaker at work: one multicast socket per interface, the clock, and a table of routes.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ipnet::Ipv4Net;
use socket2::{Domain, InterfaceIndexOrAddress, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::settings::{Interface, Settings};
use crate::speaker::{Output, Route, Shown, Speaker};
use crate::wire::{GROUP, PORT};

/// Where learnt routes go.
pub trait RouteTable: Send + 'static {
    /// Installs a route, or replaces the one to the same network.
    fn install(&mut self, route: Route) -> impl Future<Output = ()> + Send;
    /// Removes the route to a network.
    fn remove(&mut self, to: Ipv4Net) -> impl Future<Output = ()> + Send;
}

/// What a running speaker can be told.
#[derive(Debug)]
pub enum Command {
    /// The cable of this interface is plugged in.
    LinkUp(String),
    /// The cable of this interface is pulled.
    LinkDown(String),
    /// Other settings.
    Replace(Settings),
    /// Show the table.
    Show(oneshot::Sender<Vec<Shown>>),
}

/// A socket and the task that reads it.
struct Link {
    address: Ipv4Addr,
    socket: std::sync::Arc<UdpSocket>,
    reader: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

struct Heard {
    interface: String,
    source: SocketAddrV4,
    bytes: Vec<u8>,
}

/// Speaks RIP until `commands` closes; learnt routes are then removed.
///
/// # Errors
/// Where the runtime ends. An interface that has no socket yet is tried again when its link comes
/// up and with every update.
pub async fn run<T: RouteTable>(
    settings: Settings,
    mut table: T,
    mut commands: mpsc::Receiver<Command>,
) -> io::Result<()> {
    let origin = Instant::now();
    let epoch =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as u32);
    let (sender, mut packets) = mpsc::channel::<Heard>(256);
    let mut links = BTreeMap::new();
    open(&settings, &mut links, &sender);
    let (mut speaker, outputs) = Speaker::new(settings, epoch, rand::random(), Duration::ZERO);
    let mut installed = Vec::new();
    carry_out(outputs, &links, &mut table, &mut installed).await;
    loop {
        let timer = tokio::time::sleep_until(origin + speaker.deadline());
        let outputs = tokio::select! {
            command = commands.recv() => match command {
                Some(Command::LinkUp(name)) => {
                    open(speaker.settings(), &mut links, &sender);
                    speaker.link_up(&name, origin.elapsed())
                }
                Some(Command::LinkDown(name)) => speaker.link_down(&name, origin.elapsed()),
                Some(Command::Replace(settings)) => {
                    let same = |name: &String, link: &Link| settings.interfaces.iter().any(|i| i.name == *name && i.address.addr() == link.address);
                    links.retain(|name, link| same(name, link));
                    open(&settings, &mut links, &sender);
                    speaker.replace(settings, origin.elapsed())
                }
                Some(Command::Show(back)) => {
                    let _ = back.send(speaker.table(origin.elapsed()));
                    Vec::new()
                }
                None => break,
            },
            Some(heard) = packets.recv() => {
                let source = (*heard.source.ip(), heard.source.port());
                speaker.on_packet(&heard.interface, source, &heard.bytes, origin.elapsed())
            }
            () = timer => {
                open(speaker.settings(), &mut links, &sender);
                speaker.on_timer(origin.elapsed())
            }
        };
        carry_out(outputs, &links, &mut table, &mut installed).await;
    }
    for to in installed {
        table.remove(to).await;
    }
    Ok(())
}

async fn carry_out<T: RouteTable>(
    outputs: Vec<Output>,
    links: &BTreeMap<String, Link>,
    table: &mut T,
    installed: &mut Vec<Ipv4Net>,
) {
    for output in outputs {
        match output {
            Output::Send { interface, to, bytes } => {
                let Some(link) = links.get(&interface) else { continue };
                let (address, port) = to.unwrap_or((GROUP, PORT));
                // A link that is down refuses; the next update follows.
                if let Err(error) =
                    link.socket.send_to(&bytes, SocketAddrV4::new(address, port)).await
                {
                    tracing::debug!("RIP on {interface}: {error}");
                }
            }
            Output::Install(route) => {
                if !installed.contains(&route.to) {
                    installed.push(route.to);
                }
                table.install(route).await;
            }
            Output::Remove(to) => {
                installed.retain(|other| *other != to);
                table.remove(to).await;
            }
        }
    }
}

/// Opens the sockets that are missing.
fn open(settings: &Settings, links: &mut BTreeMap<String, Link>, sender: &mpsc::Sender<Heard>) {
    for interface in &settings.interfaces {
        if links.contains_key(&interface.name) {
            continue;
        }
        match socket(interface) {
            Ok(socket) => {
                let socket = std::sync::Arc::new(socket);
                let reader =
                    tokio::spawn(read(interface.name.clone(), socket.clone(), sender.clone()));
                links.insert(
                    interface.name.clone(),
                    Link { address: interface.address.addr(), socket, reader },
                );
            }
            Err(error) => tracing::warn!("RIP cannot speak on {} yet: {error}", interface.name),
        }
    }
}

fn socket(interface: &Interface) -> io::Result<UdpSocket> {
    // By index: the interface may get its address later.
    let index = nix::net::if_::if_nametoindex(interface.name.as_str())?;
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), None)?;
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(interface.name.as_bytes()))?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT).into())?;
    socket.join_multicast_v4_n(&GROUP, &InterfaceIndexOrAddress::Index(index))?;
    socket.set_multicast_loop_v4(false)?;
    // RIP is for neighbours only.
    socket.set_multicast_ttl_v4(1)?;
    socket.set_ttl_v4(1)?;
    socket.set_tos_v4(0xc0)?;
    UdpSocket::from_std(socket.into())
}

async fn read(interface: String, socket: std::sync::Arc<UdpSocket>, sender: mpsc::Sender<Heard>) {
    let mut buffer = [0; 1024];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, SocketAddr::V4(source))) => {
                let heard = Heard {
                    interface: interface.clone(),
                    source,
                    bytes: buffer[..length].to_vec(),
                };
                if sender.send(heard).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            // "Network is down" is reported once for each change; let others run before the next.
            Err(error) => {
                tracing::debug!("RIP on {interface}: {error}");
                tokio::task::yield_now().await;
            }
        }
    }
}
