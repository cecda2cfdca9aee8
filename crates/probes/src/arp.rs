//! Who has an address on a link (RFC 826).

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use socket2::Socket;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::{Env, Error, Layer, facts};

/// What to ask, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// The address asked for.
    pub address: Ipv4Addr,
    /// The interface; the one whose network holds the address where absent.
    pub interface: Option<String>,
    /// Milliseconds during which answers count.
    pub timeout_ms: u64,
    /// Ask as somebody who has no address yet (a probe, RFC 5227).
    pub probe: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self { address: Ipv4Addr::UNSPECIFIED, interface: None, timeout_ms: 500, probe: false }
    }
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The interface on which it was asked.
    pub interface: String,
    /// Each MAC address that claims it, once, in the order they answered. Two are one too many.
    /// The node's own, where the address is its own.
    pub macs: Vec<String>,
    /// Whether the asking node holds the address itself.
    pub own: bool,
}

/// Protocol number of ARP in an Ethernet frame.
const ETHERTYPE: u16 = 0x0806;
const REQUEST: u16 = 1;
const REPLY: u16 = 2;
/// Requests sent; one may be lost.
const TRIES: u32 = 3;

/// Asks who has the address.
///
/// # Errors
/// [`Layer::Route`] when no interface is on the address's network, [`Layer::Link`] when the
/// interface is down, [`Layer::Probe`] when it may not send.
pub async fn run(request: &Request, env: &Env) -> Result<Outcome, Error> {
    let facts = facts::run(&facts::Request::default(), env).await?;
    let link = match &request.interface {
        Some(name) => facts.links.iter().find(|link| link.name == *name),
        None => facts.link_of(request.address),
    }
    .ok_or_else(|| {
        Error::new(
            Layer::Route,
            format!("no interface of this node is on the network of {}", request.address),
        )
        .code("no-link")
    })?;
    if !link.up {
        return Err(Error::new(Layer::Link, format!("{} is down", link.name)).code("down"));
    }
    let mac: net::Mac = link.mac.parse().map_err(|error| Error::new(Layer::Probe, error))?;
    let own = link.addresses.iter().any(|net| net.addr() == request.address);
    let mut outcome = Outcome { interface: link.name.clone(), macs: Vec::new(), own };
    if own {
        outcome.macs.push(link.mac.clone());
    }
    // An answer to who already holds the address would go to itself: ask as nobody.
    let source = link
        .addresses
        .iter()
        .find(|net| net.contains(&request.address) && !own && !request.probe)
        .map_or(Ipv4Addr::UNSPECIFIED, ipnet::Ipv4Net::addr);
    let socket = open(link.index)?;
    let frame = question(mac.0, source, request.address);
    let start = Instant::now();
    let timeout = Duration::from_millis(request.timeout_ms);
    let end = start + timeout;
    for attempt in 0..TRIES {
        if attempt > 0 && !outcome.macs.is_empty() && !own {
            break;
        }
        send(&socket, &frame, &link.name).await?;
        let until = (start + timeout * (attempt + 1) / TRIES).min(end);
        while let Ok(received) =
            tokio::time::timeout_at(until, crate::raw::receive(&socket, 2048)).await
        {
            let frame = received.map_err(|error| {
                Error::new(Layer::Link, format!("cannot receive on {}: {error}", link.name))
            })?;
            if let Some(from) = answer(&frame, request.address) {
                let from = net::Mac(from).to_string();
                if !outcome.macs.contains(&from) {
                    outcome.macs.push(from);
                }
            }
        }
    }
    Ok(outcome)
}

fn question(mac: [u8; 6], source: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(mac);
    frame.extend(ETHERTYPE.to_be_bytes());
    frame.extend([0, 1, 8, 0, 6, 4]);
    frame.extend(REQUEST.to_be_bytes());
    frame.extend(mac);
    frame.extend(source.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame.resize(60, 0);
    frame
}

/// The MAC address that a frame says has `target`: a reply, or anybody who speaks as `target`.
fn answer(frame: &[u8], target: Ipv4Addr) -> Option<[u8; 6]> {
    let arp = frame.get(14..42)?;
    if frame[12..14] != ETHERTYPE.to_be_bytes() || arp[..6] != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let operation = u16::from_be_bytes([arp[6], arp[7]]);
    let from: [u8; 6] = *arp[8..14].first_chunk()?;
    let says = matches!(operation, REQUEST | REPLY) && arp[14..18] == target.octets();
    says.then_some(from)
}

#[allow(unsafe_code, reason = "the standard library has no address type for packet sockets")]
fn open(index: u32) -> Result<AsyncFd<Socket>, Error> {
    let open = || -> std::io::Result<AsyncFd<Socket>> {
        let protocol = i32::from(ETHERTYPE.to_be());
        let socket = Socket::new(
            socket2::Domain::PACKET,
            socket2::Type::RAW,
            Some(socket2::Protocol::from(protocol)),
        )?;
        // SAFETY: the storage is large enough for a sockaddr_ll, which has no invalid bit
        // patterns, and the length given back is that structure's.
        let ((), address) = unsafe {
            socket2::SockAddr::try_init(|storage, length| {
                let address = storage.cast::<libc::sockaddr_ll>();
                address.write(std::mem::zeroed());
                (*address).sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
                (*address).sll_protocol = ETHERTYPE.to_be();
                (*address).sll_ifindex = i32::try_from(index).unwrap_or_default();
                *length = u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or_default();
                Ok(())
            })?
        };
        socket.bind(&address)?;
        crate::raw::watch(socket)
    };
    open().map_err(|error| {
        Error::new(
            Layer::Probe,
            format!("no packet socket: {error}: the process needs the capability NET_RAW"),
        )
    })
}

async fn send(socket: &AsyncFd<Socket>, frame: &[u8], link: &str) -> Result<(), Error> {
    loop {
        let mut ready = socket.writable().await.map_err(|error| Error::new(Layer::Probe, error))?;
        if let Ok(sent) = ready.try_io(|socket| socket.get_ref().send(frame)) {
            return sent.map(|_| ()).map_err(|error| {
                Error::new(Layer::Link, format!("cannot send on {link}: {error}")).code("down")
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_speaks_as_the_address_has_it() {
        let target = Ipv4Addr::new(10, 0, 0, 9);
        let mine = question([2; 6], Ipv4Addr::new(10, 0, 0, 1), target);
        assert_eq!(answer(&mine, target), None);
        let mut reply = question([7; 6], target, Ipv4Addr::new(10, 0, 0, 1));
        reply[21] = 2;
        assert_eq!(answer(&reply, target), Some([7; 6]));
        for cut in 0..reply.len().min(42) {
            assert_eq!(answer(&reply[..cut], target), None);
        }
    }
}
