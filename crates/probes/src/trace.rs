//! The hops to a host (traceroute).

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::icmp::{self, Body, IcmpSocket};
use crate::{Env, Error, Layer};

/// Whom to trace and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Address or name.
    pub to: String,
    /// Hops tried.
    pub max_hops: u8,
    /// Probes for each hop.
    pub probes: u8,
    /// Milliseconds to wait for each answer.
    pub timeout_ms: u64,
    /// Send ICMP echo instead of UDP.
    pub icmp: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self { to: String::new(), max_hops: 30, probes: 1, timeout_ms: 1000, icmp: false }
    }
}

/// The way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The address that was traced.
    pub address: Ipv4Addr,
    /// The hops in order.
    pub hops: Vec<Hop>,
    /// Whether the last hop is the address itself.
    pub reached: bool,
}

/// One hop; one answer for each probe, `None` where none came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// Its number, from 1.
    pub ttl: u8,
    /// The answers.
    pub answers: Vec<Option<HopAnswer>>,
}

/// One answer of a hop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HopAnswer {
    /// Who answered.
    pub from: Ipv4Addr,
    /// Round trip in milliseconds.
    pub ms: f64,
    /// `!H`, `!N`, `!X`, as traceroute prints them; absent where all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
}

/// The first port that traceroute uses; one more for each probe.
const FIRST_PORT: u16 = 33434;

/// Traces.
///
/// # Errors
/// [`Layer::Name`] when the name does not resolve, [`Layer::Route`] when the node has no way,
/// [`Layer::Probe`] when it may not send.
pub async fn run(request: &Request, env: &Env) -> Result<Outcome, Error> {
    let address = crate::resolve(&request.to, env).await?;
    trace(address, request, |_| {}).await
}

/// Traces an address and tells each hop as it is known. Dropping it ends it.
///
/// # Errors
/// As [`run`].
pub async fn trace(
    address: Ipv4Addr,
    request: &Request,
    mut on_hop: impl FnMut(&Hop),
) -> Result<Outcome, Error> {
    let mut tracer = Tracer::open(address, request)?;
    let mut outcome = Outcome { address, hops: Vec::new(), reached: false };
    for ttl in 1..=request.max_hops {
        let mut hop = Hop { ttl, answers: Vec::new() };
        let mut last = false;
        for _ in 0..request.probes.max(1) {
            let answer = tracer.ask(ttl).await?;
            last |= answer.as_ref().is_some_and(|(_, last)| *last);
            hop.answers.push(answer.map(|(answer, _)| answer));
        }
        outcome.reached |= hop.answers.iter().flatten().any(|answer| answer.from == address);
        on_hop(&hop);
        outcome.hops.push(hop);
        if last {
            break;
        }
    }
    Ok(outcome)
}

struct Tracer {
    icmp: IcmpSocket,
    udp: Option<(socket2::Socket, u16)>,
    address: Ipv4Addr,
    timeout: Duration,
    id: u16,
    probes: u16,
}

impl Tracer {
    fn open(address: Ipv4Addr, request: &Request) -> Result<Self, Error> {
        let icmp = IcmpSocket::open()?;
        let udp = if request.icmp { None } else { Some(udp_socket()?) };
        Ok(Self {
            icmp,
            udp,
            address,
            timeout: Duration::from_millis(request.timeout_ms),
            id: rand::random(),
            probes: 0,
        })
    }

    /// Sends one probe; the answer, and whether the trace ends with it.
    async fn ask(&mut self, ttl: u8) -> Result<Option<(HopAnswer, bool)>, Error> {
        let number = self.probes;
        self.probes = self.probes.wrapping_add(1);
        let start = Instant::now();
        let sent = self.send(ttl, number);
        if let Err(error) = sent {
            return match error.kind() {
                std::io::ErrorKind::NetworkUnreachable => Err(Error::new(
                    Layer::Route,
                    format!("Network is unreachable: no route to {}", self.address),
                )
                .code("no-route")),
                std::io::ErrorKind::HostUnreachable => Ok(None),
                _ => Err(Error::new(Layer::Probe, format!("cannot send: {error}")).code("send")),
            };
        }
        let end = start + self.timeout;
        loop {
            let message = match tokio::time::timeout_at(end, self.icmp.receive()).await {
                Err(_) => return Ok(None),
                Ok(Err(error)) => {
                    return Err(Error::new(Layer::Probe, format!("cannot receive ICMP: {error}")));
                }
                Ok(Ok(message)) => message,
            };
            let answer = |mark: Option<&str>| HopAnswer {
                from: message.from,
                ms: start.elapsed().as_secs_f64() * 1000.0,
                mark: mark.map(str::to_owned),
            };
            match &message.body {
                Body::Reply { id, seq, .. } if *id == self.id && *seq == number => {
                    return Ok(Some((answer(None), true)));
                }
                Body::Error { kind, code, .. } if self.is_mine(&message.body, number) => {
                    let last = !icmp::is_time_exceeded(*kind);
                    return Ok(Some((answer(icmp::mark(*kind, *code)), last)));
                }
                _ => {}
            }
        }
    }

    fn send(&self, ttl: u8, number: u16) -> std::io::Result<()> {
        match &self.udp {
            None => {
                self.icmp.set_ttl(ttl.into())?;
                self.icmp.send(&icmp::echo_request(self.id, number, &[b'l'; 24]), self.address)
            }
            Some((socket, _)) => {
                socket.set_ttl_v4(ttl.into())?;
                let port = FIRST_PORT.wrapping_add(number);
                let to = std::net::SocketAddrV4::new(self.address, port).into();
                match socket.send_to(&[b'l'; 24], &to) {
                    // The error of an earlier probe, told by the kernel at the next send.
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                        socket.send_to(&[b'l'; 24], &to).map(|_| ())
                    }
                    sent => sent.map(|_| ()),
                }
            }
        }
    }

    fn is_mine(&self, body: &Body, number: u16) -> bool {
        match &self.udp {
            None => body.about_echo() == Some((self.id, number)),
            Some((_, source)) => {
                body.about_udp() == Some((*source, FIRST_PORT.wrapping_add(number)))
            }
        }
    }
}

/// An unconnected datagram socket and its port.
fn udp_socket() -> Result<(socket2::Socket, u16), Error> {
    let open = || {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&std::net::SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).into())?;
        let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
        Ok::<_, std::io::Error>((socket, port))
    };
    open().map_err(|error| Error::new(Layer::Probe, format!("no UDP socket: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_own_host_is_one_hop_away_by_udp_and_by_icmp() {
        if IcmpSocket::open().is_err() {
            assert!(std::env::var_os("LABCTL_CI").is_none(), "CI must run tests with NET_RAW");
            eprintln!("SKIPPED: traceroute needs NET_RAW");
            return;
        }
        for icmp in [false, true] {
            let request = Request { to: "127.0.0.1".into(), icmp, ..Request::default() };
            let outcome = run(&request, &Env::default()).await.unwrap();
            assert!(outcome.reached, "{outcome:?}");
            assert_eq!(outcome.hops.len(), 1);
        }
    }
}
