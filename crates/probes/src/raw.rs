//! Raw sockets on the runtime.

use std::io::{self, Read};

use socket2::Socket;
use tokio::io::unix::AsyncFd;

/// Puts a socket on the current runtime.
#[allow(unsafe_code, reason = "tokio asks for the promise in SAFETY")]
pub fn watch(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    socket.set_nonblocking(true)?;
    // SAFETY: a `Socket` owns its descriptor and gives the same one until it is dropped; nothing
    // here takes it out of the `AsyncFd`.
    Ok(unsafe { AsyncFd::register(socket) }?)
}

/// One packet, cut at `max` bytes.
pub async fn receive(socket: &AsyncFd<Socket>, max: usize) -> io::Result<Vec<u8>> {
    loop {
        let mut ready = socket.readable().await?;
        let received = ready.try_io(|socket| {
            let mut bytes = vec![0; max];
            let length = { socket.get_ref() }.read(&mut bytes)?;
            bytes.truncate(length);
            Ok(bytes)
        });
        if let Ok(received) = received {
            return received;
        }
    }
}
