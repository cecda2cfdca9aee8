//! Sockets: listening while the service is switched on, UDP in batches, TCP by connection.

mod batch;
mod limit;
mod tcp;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::service::Service;

pub use limit::Limiter;

/// The listening sockets of one address.
struct Sockets {
    udp: std::net::UdpSocket,
    tcp: std::net::TcpListener,
}

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} ({transport}): {source}; another server may be there, or the right to open low ports is missing"
)]
pub struct Error {
    address: SocketAddr,
    transport: &'static str,
    source: io::Error,
}

fn open(address: SocketAddr) -> Result<Sockets, Error> {
    use socket2::{Domain, Protocol, Socket, Type};
    let domain = Domain::for_address(address);
    let failed = |transport| move |source| Error { address, transport, source };
    let tcp = || {
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(128)?;
        socket.set_nonblocking(true)?;
        Ok(std::net::TcpListener::from(socket))
    };
    let tcp: std::net::TcpListener = tcp().map_err(failed("TCP"))?;
    // Port 0 gets one from TCP; UDP then takes the same.
    let address = tcp.local_addr().map_err(failed("TCP"))?;
    let udp = || {
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Queries wait here while a batch is answered.
        let _ = socket.set_recv_buffer_size(1 << 20);
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        let socket = std::net::UdpSocket::from(socket);
        batch::tell_destination(&socket)?;
        Ok(socket)
    };
    let udp = udp().map_err(failed("UDP"))?;
    Ok(Sockets { udp, tcp })
}

/// Listens whenever the service is on, until the process ends.
///
/// # Errors
/// [`Error`], when the first attempt to listen fails.
pub async fn run(service: Arc<Service>) -> Result<(), Error> {
    let mut on = service.on();
    let mut first = true;
    loop {
        if *on.borrow_and_update() {
            match listen(&service) {
                Ok(mut tasks) => {
                    first = false;
                    // Until the switch moves; the tasks themselves do not end.
                    let _ = on.changed().await;
                    tasks.shutdown().await;
                    service.listens(Vec::new(), None);
                    continue;
                }
                Err(error) if first => return Err(error),
                Err(error) => service.listens(Vec::new(), Some(error.to_string())),
            }
        } else {
            first = false;
            service.listens(Vec::new(), None);
        }
        if on.changed().await.is_err() {
            return Ok(());
        }
    }
}

fn listen(service: &Arc<Service>) -> Result<JoinSet<()>, Error> {
    let sockets = service.config.listen.iter().map(|address| open(*address));
    let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    let mut tasks = JoinSet::new();
    let mut addresses = Vec::new();
    for Sockets { udp, tcp } in sockets {
        addresses.extend(tcp.local_addr());
        tasks.spawn(udp::serve(service.clone(), udp));
        tasks.spawn(tcp::serve(service.clone(), tcp));
    }
    service.listens(addresses, None);
    Ok(tasks)
}
