//! Queries over UDP.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::Limiter;
use super::batch::{self, Batch};
use crate::answer::{Asked, Verdict, answer};
use crate::service::{Service, now_ms};

/// Answers for as long as it is let.
pub(super) async fn serve(service: Arc<Service>, socket: std::net::UdpSocket) {
    let socket = match UdpSocket::from_std(socket) {
        Ok(socket) => Arc::new(socket),
        Err(error) => {
            service.say(&format!("UDP cannot be served: {error}"));
            return;
        }
    };
    let mut batch = Box::new(Batch::new());
    let mut limiter = Limiter::default();
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        let fd = socket.as_raw_fd();
        // An error of an earlier answer (port unreachable) ends here; the socket goes on.
        let Ok(count) = socket.try_io(Interest::READABLE, || batch.receive(fd)) else { continue };
        let authority = service.authority();
        let at_ms = now_ms();
        let most = service.config.limits.per_client;
        for n in 0..count {
            let started = Instant::now();
            let (request, way, reply) = batch.request(n);
            let Some(client) = way.client() else { continue };
            if !limiter.allows(client.ip(), at_ms / 1000, most) {
                service.dropped();
                continue;
            }
            let asked = Asked {
                tcp: false,
                recursion: service.resolves_for(client.ip()),
                udp_size: service.config.limits.udp_size,
            };
            let verdict = answer(&authority, request, asked, reply);
            match verdict {
                Verdict::Reply => service.note(at_ms, client, false, request, Some(reply), started),
                Verdict::Drop => reply.clear(),
                Verdict::Resolve | Verdict::Notify | Verdict::Transfer => {
                    let (service, socket) = (service.clone(), socket.clone());
                    let (request, partial, way) = (request.to_vec(), std::mem::take(reply), *way);
                    tokio::spawn(async move {
                        let mut reply =
                            service.later(verdict, &request, partial, asked, client).await;
                        service.note(at_ms, client, false, &request, Some(&reply), started);
                        batch::send_one(socket.as_raw_fd(), &way, &mut reply);
                    });
                }
            }
        }
        batch.send(fd, count);
    }
}
