//! Asking other servers: one message to one address, by UDP and TCP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use dnswire::{Flags, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// Why a server gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing came in time.
    #[error("no answer in time")]
    Silent,
    /// The network or the server's host refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came is not an answer.
    #[error("what came is not an answer to the question")]
    Wrong,
}

/// Whether a message answers a query.
fn answers(query: &Message, message: &Message) -> bool {
    message.flags.has(Flags::QR) && message.id == query.id && message.questions == query.questions
}

/// Asks over UDP, and over TCP when the answer was truncated.
///
/// # Errors
/// [`Error`].
pub async fn ask(query: &Message, server: SocketAddr, wait: Duration) -> Result<Message, Error> {
    let message =
        tokio::time::timeout(wait, udp(query, server)).await.map_err(|_| Error::Silent)??;
    if !message.flags.has(Flags::TC) {
        return Ok(message);
    }
    let asking = async {
        let mut stream = connect(query, server).await?;
        let message = next(&mut stream).await?;
        if answers(query, &message) { Ok(message) } else { Err(Error::Wrong) }
    };
    tokio::time::timeout(wait, asking).await.map_err(|_| Error::Silent)?
}

async fn udp(query: &Message, server: SocketAddr) -> Result<Message, Error> {
    let any: SocketAddr =
        if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    // A new socket each time: its random port and the random number guard against forged answers
    // (RFC 5452 section 9.2).
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(&query.write(65_535)).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let size = socket.recv(&mut buffer).await?;
        match Message::read(&buffer[..size]) {
            Ok(message) if answers(query, &message) => return Ok(message),
            _ => {}
        }
    }
}

/// Connects by TCP and sends the query.
///
/// # Errors
/// [`Error::Io`].
pub async fn connect(query: &Message, server: SocketAddr) -> Result<TcpStream, Error> {
    let mut stream = TcpStream::connect(server).await?;
    let bytes = query.write(65_535);
    let size = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    stream.write_all(&[&size[..], &bytes].concat()).await?;
    Ok(stream)
}

/// The next message of a TCP stream.
///
/// # Errors
/// [`Error`].
pub async fn next(stream: &mut TcpStream) -> Result<Message, Error> {
    let size = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(size)];
    stream.read_exact(&mut bytes).await?;
    Message::read(&bytes).map_err(|_| Error::Wrong)
}
