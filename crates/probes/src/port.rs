//! A TCP or UDP port.

use std::net::Ipv4Addr;
use std::time::Duration;

use node::config::Transport;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::{Env, Error, Layer};

/// Which port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Address or name.
    pub to: String,
    /// Its number.
    pub port: u16,
    /// TCP or UDP.
    pub transport: Transport,
    /// Milliseconds to wait for an answer.
    pub timeout_ms: u64,
    /// What to send: to TCP after connecting, to UDP as the datagram (empty where absent).
    pub send: Option<String>,
    /// Wait for the first line (TCP) or an answer.
    pub banner: bool,
    /// Speak TLS first, trusting the node's certificates.
    pub tls: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            to: String::new(),
            port: 0,
            transport: Transport::Tcp,
            timeout_ms: 1000,
            send: None,
            banner: false,
            tls: false,
        }
    }
}

/// What a port does with who knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Accepts; for UDP: answered.
    Open,
    /// Says that nobody listens (reset, port unreachable).
    Refused,
    /// Says nothing: a packet filter, or no host.
    Silent,
    /// A router or the own host says that there is no way.
    Unreachable,
    /// Somebody says that it is forbidden (administratively prohibited).
    Prohibited,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The address that was tried.
    pub address: Ipv4Addr,
    /// What it did.
    pub state: State,
    /// The first line or the answer, where asked for and given; at most 512 bytes.
    #[serde(default)]
    pub banner: Option<String>,
    /// Milliseconds until it was known.
    pub ms: f64,
    /// What the system said.
    #[serde(default)]
    pub detail: String,
}

/// Bytes of a banner that are kept.
const BANNER: usize = 512;
/// A DNS question for the root's name servers: what a UDP probe of port 53 says.
const DNS_QUESTION: &[u8] = b"\x4c\x41\x01\0\0\x01\0\0\0\0\0\0\0\0\x02\0\x01";

/// Knocks.
///
/// # Errors
/// [`Layer::Name`] when the name does not resolve; [`Layer::Banner`] when TLS was asked for and
/// fails. What the port does is an outcome, never an error.
pub async fn run(request: &Request, env: &Env) -> Result<Outcome, Error> {
    let address = crate::resolve(&request.to, env).await?;
    let start = Instant::now();
    let end = start + Duration::from_millis(request.timeout_ms);
    let (state, banner, detail) = match request.transport {
        Transport::Tcp => tcp(request, address, end, env).await?,
        Transport::Udp => udp(request, address, end).await,
    };
    Ok(Outcome { address, state, banner, ms: start.elapsed().as_secs_f64() * 1000.0, detail })
}

type Found = (State, Option<String>, String);

async fn tcp(
    request: &Request,
    address: Ipv4Addr,
    end: Instant,
    env: &Env,
) -> Result<Found, Error> {
    let connecting = tokio::net::TcpStream::connect((address, request.port));
    let mut stream = match tokio::time::timeout_at(end, connecting).await {
        Err(_) => return Ok((State::Silent, None, "no answer".into())),
        Ok(Err(error)) => return Ok((refusal(&error), None, error.to_string())),
        Ok(Ok(stream)) => stream,
    };
    let _ = stream.set_nodelay(true);
    if request.tls {
        let talk = async {
            let (mut stream, _) = crate::tls::connect(stream, &request.to, env, false).await?;
            Ok::<_, Error>(hear(&mut stream, request).await)
        };
        let banner = tokio::time::timeout_at(end, talk).await.unwrap_or_else(|_| {
            Err(Error::new(Layer::Banner, "the TLS handshake takes too long").code("silent"))
        })?;
        return Ok((State::Open, banner, String::new()));
    }
    let banner = tokio::time::timeout_at(end, hear(&mut stream, request)).await;
    Ok((State::Open, banner.unwrap_or_default(), String::new()))
}

/// Says what is to be said and hears the first line, where it is wanted.
async fn hear<S>(stream: &mut S, request: &Request) -> Option<String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    if let Some(text) = &request.send {
        stream.write_all(text.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
    }
    if !request.banner {
        return None;
    }
    let mut line = Vec::new();
    let mut byte = [0; 1];
    while line.len() < BANNER {
        match stream.read(&mut byte).await {
            Ok(1) if byte[0] == b'\n' => break,
            Ok(1) => line.push(byte[0]),
            _ => break,
        }
    }
    (!line.is_empty()).then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
}

async fn udp(request: &Request, address: Ipv4Addr, end: Instant) -> Found {
    let talk = async {
        let socket = tokio::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        socket.connect((address, request.port)).await?;
        let text = request
            .send
            .as_deref()
            .map_or(if request.port == 53 { DNS_QUESTION } else { b"" }, str::as_bytes);
        socket.send(text).await?;
        let mut buffer = [0; 2048];
        let length = socket.recv(&mut buffer).await?;
        Ok::<_, std::io::Error>(buffer[..length.min(BANNER)].to_vec())
    };
    match tokio::time::timeout_at(end, talk).await {
        Err(_) => (State::Silent, None, "no answer".into()),
        Ok(Err(error)) => (refusal(&error), None, error.to_string()),
        Ok(Ok(bytes)) => {
            let banner = request.banner.then(|| String::from_utf8_lossy(&bytes).into_owned());
            (State::Open, banner, format!("{} bytes answered", bytes.len()))
        }
    }
}

/// What the system's error says of the port.
fn refusal(error: &std::io::Error) -> State {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused | Kind::ConnectionReset => State::Refused,
        Kind::HostUnreachable | Kind::NetworkUnreachable => State::Unreachable,
        Kind::PermissionDenied => State::Prohibited,
        _ => State::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn look(port: u16, transport: Transport, banner: bool) -> Outcome {
        let request = Request {
            to: "127.0.0.1".into(),
            port,
            transport,
            banner,
            timeout_ms: 300,
            ..Request::default()
        };
        run(&request, &Env::default()).await.unwrap()
    }

    #[tokio::test]
    async fn open_refused_and_silent_are_told_apart() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 hello\r\nmore").await.unwrap();
        });
        let open = look(port, Transport::Tcp, true).await;
        assert_eq!((open.state, open.banner.as_deref()), (State::Open, Some("220 hello")));
        server.await.unwrap();
        assert_eq!(look(port, Transport::Tcp, false).await.state, State::Refused);

        let quiet = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = quiet.local_addr().unwrap().port();
        assert_eq!(look(port, Transport::Udp, false).await.state, State::Silent);
        drop(quiet);
        assert_eq!(look(port, Transport::Udp, false).await.state, State::Refused);
    }
}
