//! ICMP echo (RFC 792).

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::icmp::{self, Body, IcmpSocket};
use crate::{Env, Error, Layer};

/// The largest payload of an echo request: what fits an IPv4 packet.
const MAX_PAYLOAD: usize = 65_507;

/// So many messages that wait already when the time is over are still looked at.
const LATE: u32 = 1000;

/// Whom to ping and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Address or name.
    pub to: String,
    /// How many echo requests.
    pub count: u32,
    /// Milliseconds between two requests.
    pub interval_ms: u64,
    /// Milliseconds to wait for each reply.
    pub timeout_ms: u64,
    /// Time to live; the system's own where absent.
    pub ttl: Option<u32>,
    /// Bytes of payload.
    pub size: usize,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            to: String::new(),
            count: 1,
            interval_ms: 200,
            timeout_ms: 1000,
            ttl: None,
            size: 56,
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The address that was pinged.
    pub address: Ipv4Addr,
    /// Echo requests sent.
    pub sent: u32,
    /// Echo requests answered.
    pub received: u32,
    /// One entry for each reply or error, in the order they came.
    pub replies: Vec<Reply>,
}

/// One reply or ICMP error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The sequence number it answers, from 1.
    pub seq: u32,
    /// Who sent it.
    pub from: Ipv4Addr,
    /// Round trip in milliseconds; for an error, the time until it came.
    pub ms: f64,
    /// Time to live left.
    pub ttl: u8,
    /// Bytes of ICMP.
    pub bytes: usize,
    /// `Destination Host Unreachable` and the like; absent for an echo reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Outcome {
    /// Share of requests that were not answered, 0 to 1.
    pub fn loss(&self) -> f64 {
        if self.sent == 0 {
            return 0.0;
        }
        1.0 - f64::from(self.received) / f64::from(self.sent)
    }

    /// The first ICMP error, where there was one: its text and who sent it.
    pub fn error(&self) -> Option<(&str, Ipv4Addr)> {
        self.replies.iter().find_map(|reply| Some((reply.error.as_deref()?, reply.from)))
    }
}

/// Pings.
///
/// # Errors
/// [`Layer::Name`] when the name does not resolve, [`Layer::Route`] when the node has no way,
/// [`Layer::Probe`] when it may not send.
pub async fn run(request: &Request, env: &Env) -> Result<Outcome, Error> {
    let address = crate::resolve(&request.to, env).await?;
    ping(address, request, |_| {}).await
}

/// What happens during a ping.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// So many requests are out.
    Sent(u32),
    /// One reply or error.
    Reply(&'a Reply),
}

/// Pings an address and tells what happens as it does. Dropping it ends it.
///
/// # Errors
/// As [`run`].
pub async fn ping(
    address: Ipv4Addr,
    request: &Request,
    mut tell: impl FnMut(Progress<'_>),
) -> Result<Outcome, Error> {
    let socket = IcmpSocket::open()?;
    if let Some(ttl) = request.ttl {
        socket.set_ttl(ttl).map_err(|error| Error::new(Layer::Probe, error).stage("ttl"))?;
    }
    // Identifier and payload are random, so that no other process's replies count.
    let id: u16 = rand::random();
    let nonce: [u8; 8] = rand::random();
    let mut payload = nonce.to_vec();
    payload.resize(request.size.clamp(nonce.len(), MAX_PAYLOAD), b'l');

    let mut outcome = Outcome { address, sent: 0, received: 0, replies: Vec::new() };
    let mut sent_at: Vec<Option<Instant>> = Vec::new();
    let timeout = Duration::from_millis(request.timeout_ms);
    let interval = Duration::from_millis(request.interval_ms.max(1));
    let mut next = Instant::now();
    let mut end = next + timeout;
    let mut late = 0;
    loop {
        let more = outcome.sent < request.count;
        if !more && sent_at.iter().all(Option::is_none) {
            return Ok(outcome);
        }
        let wake = if more { next } else { end };
        tokio::select! {
            biased;
            // What came in time counts, also where a busy machine lets this process look late.
            message = socket.receive(), if late < LATE => {
                let now = Instant::now();
                late += u32::from(now >= wake);
                let message = message.map_err(|error| {
                    Error::new(Layer::Probe, format!("cannot receive ICMP: {error}"))
                })?;
                let (seq, error) = match &message.body {
                    Body::Reply { id: theirs, seq, payload: echoed }
                        if *theirs == id && echoed.starts_with(&nonce)
                            && message.from == address => (*seq, None),
                    Body::Error { kind, code, .. } => match message.body.about_echo() {
                        Some((theirs, seq)) if theirs == id => {
                            (seq, Some(icmp::describe(*kind, *code)))
                        }
                        _ => continue,
                    },
                    Body::Reply { .. } => continue,
                };
                let Some(slot) = usize::from(seq).checked_sub(1).and_then(|i| sent_at.get_mut(i))
                else { continue };
                // A second answer to one request is not a second success.
                let Some(start) = slot.take() else { continue };
                if error.is_none() {
                    outcome.received += 1;
                }
                let reply = Reply {
                    seq: seq.into(),
                    from: message.from,
                    ms: (now - start).as_secs_f64() * 1000.0,
                    ttl: message.ttl,
                    bytes: message.bytes,
                    error,
                };
                tell(Progress::Reply(&reply));
                outcome.replies.push(reply);
            }
            () = tokio::time::sleep_until(wake) => {
                if !more {
                    return Ok(outcome);
                }
                late = 0;
                outcome.sent += 1;
                tell(Progress::Sent(outcome.sent));
                let now = Instant::now();
                let seq = u16::try_from(outcome.sent & 0xffff).unwrap_or_default();
                let message = icmp::echo_request(id, seq, &payload);
                sent_at.push(Some(now));
                (next, end) = (now + interval, now + timeout);
                if let Err(error) = socket.send(&message, address) {
                    let reply = not_sent(&error, address, outcome.sent)?;
                    sent_at.pop();
                    sent_at.push(None);
                    tell(Progress::Reply(&reply));
                    outcome.replies.push(reply);
                }
            }
        }
    }
}

/// What a send that failed means: an answer of the own host, or the end.
fn not_sent(error: &std::io::Error, to: Ipv4Addr, seq: u32) -> Result<Reply, Error> {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::NetworkUnreachable => {
            return Err(Error::new(
                Layer::Route,
                format!("Network is unreachable: no route to {to}"),
            )
            .code("no-route"));
        }
        Kind::HostUnreachable | Kind::PermissionDenied => {}
        _ => {
            return Err(
                Error::new(Layer::Probe, format!("cannot send to {to}: {error}")).code("send")
            );
        }
    }
    let text = if error.kind() == Kind::HostUnreachable {
        "Destination Host Unreachable"
    } else {
        "Operation not permitted: this node's packet filter"
    };
    Ok(Reply {
        seq,
        from: Ipv4Addr::UNSPECIFIED,
        ms: 0.0,
        ttl: 0,
        bytes: 0,
        error: Some(text.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Raw sockets need the capability; without it there is nothing to test here.
    pub(crate) fn allowed() -> bool {
        let allowed = IcmpSocket::open().is_ok();
        if !allowed {
            assert!(std::env::var_os("LABCTL_CI").is_none(), "CI must run tests with NET_RAW");
            eprintln!("SKIPPED: ping needs NET_RAW");
        }
        allowed
    }

    #[tokio::test]
    async fn the_own_host_answers_every_request() {
        if !allowed() {
            return;
        }
        let request =
            Request { to: "127.0.0.1".into(), count: 3, interval_ms: 5, ..Request::default() };
        let mut seen = 0;
        let outcome = ping(Ipv4Addr::LOCALHOST, &request, |p| {
            seen += u32::from(matches!(p, Progress::Reply(_)));
        })
        .await
        .unwrap();
        assert_eq!((outcome.sent, outcome.received, seen), (3, 3, 3));
        assert!(outcome.replies.iter().all(|reply| reply.ms < 1000.0 && reply.bytes == 64));
    }

    #[tokio::test]
    async fn two_at_once_do_not_hear_each_other() {
        if !allowed() {
            return;
        }
        let request = Request { count: 20, interval_ms: 1, ..Request::default() };
        let (a, b) = tokio::join!(
            ping(Ipv4Addr::LOCALHOST, &request, |_| {}),
            ping(Ipv4Addr::LOCALHOST, &request, |_| {})
        );
        assert_eq!((a.unwrap().received, b.unwrap().received), (20, 20));
    }
}
