//! Probes before an offer: ARP on the link, ping behind a relay.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::link;

/// Probes under way.
#[derive(Debug)]
pub struct Prober {
    patience: Duration,
    arp: Option<AsyncFd<Socket>>,
    icmp: Option<AsyncFd<Socket>>,
    /// The address, and when silence means that it is free.
    waiting: HashMap<Ipv4Addr, Instant>,
    /// Found taken, not told yet.
    taken: Vec<Ipv4Addr>,
}

impl Prober {
    /// A prober that waits so long for an answer; zero opens no sockets.
    ///
    /// # Errors
    /// Without the capability NET_RAW.
    pub fn new(patience: Duration) -> io::Result<Self> {
        let mut prober =
            Self { patience, arp: None, icmp: None, waiting: HashMap::new(), taken: Vec::new() };
        if !patience.is_zero() {
            prober.open()?;
        }
        Ok(prober)
    }

    fn open(&mut self) -> io::Result<()> {
        self.arp = Some(link::watched(link::arp_socket()?)?);
        let icmp = Socket::new(Domain::IPV4, Type::RAW.nonblocking(), Some(Protocol::ICMPV4))?;
        self.icmp = Some(link::watched(icmp)?);
        Ok(())
    }

    /// Waits so long from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
        if !patience.is_zero() && self.arp.is_none() {
            // Without the sockets a probe finds nobody, as if the address were free.
            let _ = self.open();
        }
    }

    /// Asks whether someone uses the address: on the link of `link` (index, own MAC) where it is
    /// given, else by a ping.
    pub fn start(&mut self, address: Ipv4Addr, link: Option<(u32, [u8; 6])>, source: Ipv4Addr) {
        let sent = match (link, &self.arp, &self.icmp) {
            (Some((index, mac)), Some(arp), _) => {
                link::send_arp(arp.get_ref(), index, mac, source, address)
            }
            (None, _, Some(icmp)) => {
                let to = SocketAddrV4::new(address, 0).into();
                icmp.get_ref().send_to(&ECHO, &to).map(drop)
            }
            _ => Ok(()),
        };
        if let Err(error) = sent {
            tracing::debug!("{address} cannot be probed: {error}");
        }
        self.waiting.insert(address, Instant::now() + self.patience);
    }

    /// Waits for the next outcome: the address, and whether it is taken. Cancel-safe.
    ///
    /// # Errors
    /// Where a socket breaks.
    pub async fn outcome(&mut self) -> io::Result<(Ipv4Addr, bool)> {
        loop {
            if let Some(address) = self.taken.pop() {
                self.waiting.remove(&address);
                return Ok((address, true));
            }
            let next = self.waiting.iter().min_by_key(|(_, at)| **at).map(|(a, at)| (*a, *at));
            let deadline = async {
                match next {
                    Some((address, at)) => {
                        tokio::time::sleep_until(at).await;
                        address
                    }
                    None => std::future::pending().await,
                }
            };
            // Answers that wait go before a deadline that has passed meanwhile.
            let heard = tokio::select! {
                biased;
                senders = senders(self.arp.as_ref(), |bytes| Some(link::read_arp(bytes)?.sender.1)) => senders?,
                senders = senders(self.icmp.as_ref(), echo_reply) => senders?,
                address = deadline => {
                    self.waiting.remove(&address);
                    return Ok((address, false));
                }
            };
            self.taken.extend(heard.into_iter().filter(|a| self.waiting.contains_key(a)));
        }
    }
}

/// An echo request with the checksum of its 8 bytes: type 8, code 0, id "la", sequence 1.
const ECHO: [u8; 8] = {
    let sum = 0x0800 + 0x6c61 + 0x0001;
    let check = !(sum as u16);
    [8, 0, (check >> 8) as u8, check as u8, 0x6c, 0x61, 0, 1]
};

/// Who answered, of an IP packet with an echo reply in it.
fn echo_reply(bytes: &[u8]) -> Option<Ipv4Addr> {
    let head = bytes.first_chunk::<20>()?;
    let icmp = bytes.get(usize::from(head[0] & 0x0f) * 4..)?;
    (icmp.first() == Some(&0)).then(|| Ipv4Addr::new(head[12], head[13], head[14], head[15]))
}

/// Waits for packets and tells their senders.
async fn senders(
    socket: Option<&AsyncFd<Socket>>,
    read: impl Fn(&[u8]) -> Option<Ipv4Addr>,
) -> io::Result<Vec<Ipv4Addr>> {
    let Some(socket) = socket else { return std::future::pending().await };
    loop {
        let mut guard = socket.readable().await?;
        let mut heard = Vec::new();
        let mut buffer = [0; 256];
        loop {
            match link::receive(socket.get_ref(), &mut buffer) {
                Ok(bytes) => heard.extend(read(bytes)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // A link that went down reports itself once.
                Err(error) => {
                    tracing::debug!("a probe's socket: {error}");
                    break;
                }
            }
        }
        guard.clear_ready();
        if !heard.is_empty() {
            return Ok(heard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_echo_request_has_a_right_checksum() {
        let sum: u32 =
            ECHO.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }
}
