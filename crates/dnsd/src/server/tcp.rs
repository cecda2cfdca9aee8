//! Queries over TCP (RFC 7766): several on a connection, answered in their order.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::answer::{Asked, Verdict, answer, refuse};
use crate::service::{Service, now_ms};
use crate::transfer;

/// Accepts for as long as it is let; connections end with it.
pub(super) async fn serve(service: Arc<Service>, listener: TcpListener) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            service.say(&format!("TCP cannot be served: {error}"));
            return;
        }
    };
    let places = Arc::new(Semaphore::new(service.config.limits.connections));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, client)) = listener.accept().await else {
            // Out of descriptors: let a connection end before the next try.
            if connections.join_next().await.is_none() {
                tokio::task::yield_now().await;
            }
            continue;
        };
        // Beyond the bound a connection is closed at once: the client sees it and comes again.
        let Ok(place) = places.clone().try_acquire_owned() else {
            service.dropped();
            continue;
        };
        let service = service.clone();
        connections.spawn(async move {
            let _ = connection(service, stream, client).await;
            drop(place);
        });
    }
}

async fn connection(
    service: Arc<Service>,
    mut stream: TcpStream,
    client: SocketAddr,
) -> io::Result<()> {
    let idle = Duration::from_secs(service.config.limits.seconds.max(1));
    let asked = Asked {
        tcp: true,
        recursion: service.resolves_for(client.ip()),
        udp_size: service.config.limits.udp_size,
    };
    stream.set_nodelay(true)?;
    let mut reply = Vec::new();
    let mut request = Vec::new();
    loop {
        // A request must be whole within the time; a slow sender holds no place for longer.
        let read = async {
            let size = stream.read_u16().await?;
            request.resize(usize::from(size), 0);
            stream.read_exact(&mut request).await
        };
        match tokio::time::timeout(idle, read).await {
            Ok(read) => read?,
            Err(_) => return Ok(()),
        };
        let (started, at_ms) = (Instant::now(), now_ms());
        let authority = service.authority();
        let verdict = answer(&authority, &request, asked, &mut reply);
        let messages = match verdict {
            Verdict::Drop => return Ok(()),
            Verdict::Reply => vec![std::mem::take(&mut reply)],
            Verdict::Transfer => match transfer::messages(&authority, &request, client.ip()) {
                Ok(messages) => messages,
                Err(code) => {
                    refuse(&request, code, asked, &mut reply);
                    vec![std::mem::take(&mut reply)]
                }
            },
            Verdict::Resolve | Verdict::Notify => {
                let partial = std::mem::take(&mut reply);
                vec![service.later(verdict, &request, partial, asked, client).await]
            }
        };
        service.note(at_ms, client, true, &request, messages.first().map(|m| &m[..]), started);
        for message in &messages {
            let size = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
            let write = async {
                stream.write_all(&size).await?;
                stream.write_all(message).await
            };
            tokio::time::timeout(idle, write).await.map_err(|_| io::ErrorKind::TimedOut)??;
        }
        if let [only] = &messages[..] {
            reply = Vec::with_capacity(only.len().min(4096));
        }
    }
}
