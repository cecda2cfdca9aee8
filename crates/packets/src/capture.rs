//! Listens on interfaces by AF_PACKET: every frame that goes out or comes in, with its time.
//!
//! Needs CAP_NET_RAW in the network namespace of the calling thread.
#![allow(unsafe_code)] // sockaddr_ll and the options of packet sockets have no safe form in nix or socket2

use std::io::Error as IoError;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use crate::frame::Batch;
use crate::pace::{MOMENT, Pace};
use crate::receive::Receiver;

/// What the kernel keeps of one interface while we are busy, in bytes. In a node the system's own
/// bound for sockets holds (net.core.rmem_max).
const RECEIVE_BUFFER: usize = 8 << 20;
/// The most bytes of one batch, before base64.
const MAX_BATCH_BYTES: usize = 256 << 10;

/// An interface to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name in this network namespace.
    pub name: String,
    /// The network it is plugged into.
    pub network: String,
}

/// Why a capture could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such interface.
    #[error("there is no interface {0} to capture on")]
    NoInterface(String),
    /// The kernel refused.
    #[error("cannot capture on {interface}: {source}; CAP_NET_RAW is needed")]
    Socket {
        /// The interface.
        interface: String,
        /// What the kernel said.
        source: IoError,
    },
}

/// A packet socket bound to one interface.
struct Tap {
    interface: Interface,
    receiver: Receiver,
    pace: Pace,
    socket: OwnedFd,
}

/// Captures until `sender` is closed. The first batch is empty and `started`: every frame after
/// it is caught. Frames are kept in the kernel (bounded) while the receiver is slow; what does not
/// fit is counted in [`Batch::dropped`]. Each other batch is of one interface.
///
/// # Errors
/// When an interface does not exist or the kernel refuses.
pub async fn run(
    interfaces: Vec<Interface>,
    snaplen: u32,
    sender: mpsc::Sender<Batch>,
) -> Result<(), Error> {
    let open = |interface| Tap::open(interface, snaplen);
    let taps = interfaces.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let mut first = Batch::default();
    first.started = true;
    let _ = sender.send(first).await;
    let mut tasks = tokio::task::JoinSet::new();
    for tap in taps {
        tasks.spawn(tap.run(sender.clone()));
    }
    loop {
        tokio::select! {
            () = sender.closed() => return Ok(()),
            ended = tasks.join_next() => match ended {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return Err(error),
                Some(Err(_)) | None => return Ok(()),
            },
        }
    }
}

impl Tap {
    fn open(interface: Interface, snaplen: u32) -> Result<Self, Error> {
        let name = interface.name.clone();
        let fail = |source: IoError| Error::Socket { interface: name.clone(), source };
        let index = nix::net::if_::if_nametoindex(name.as_str())
            .map_err(|_| Error::NoInterface(name.clone()))?;
        let socket = unbound().map_err(fail)?;
        let errno = |error: nix::Error| fail(error.into());
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).map_err(errno)?;
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            let _ = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
        }
        let buffer = nix::sys::socket::getsockopt(&socket, sockopt::RcvBuf).map_err(errno)?;
        // From here on frames come.
        bind(&socket, index).map_err(fail)?;
        let pace = Pace::new(buffer, Instant::now());
        Ok(Self { interface, receiver: Receiver::new(snaplen), pace, socket })
    }

    async fn run(mut self, sender: mpsc::Sender<Batch>) -> Result<(), Error> {
        let name = self.interface.name.clone();
        let fail = |source| Error::Socket { interface: name.clone(), source };
        loop {
            if self.pace.gathers(Instant::now()) {
                tokio::time::sleep(MOMENT).await;
            } else {
                self.readable().await.map_err(fail)?;
            }
            let mut batch = Batch::new(&self.interface.network, &self.interface.name);
            loop {
                let more = self.receiver.take(&self.socket, |frame| {
                    let at_ns = frame.at_ns.unwrap_or_else(now_ns);
                    self.pace.saw(frame.length);
                    batch.push(at_ns, frame.outgoing, frame.length, frame.data);
                });
                match more {
                    Ok(true) if batch.size() >= MAX_BATCH_BYTES => break,
                    Ok(true) => {}
                    Ok(false) => break,
                    // The interface went down; it may come up again.
                    Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => break,
                    Err(error) => return Err(fail(error)),
                }
            }
            batch.dropped = self.dropped();
            if (!batch.is_empty() || batch.dropped > 0) && sender.send(batch).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Waits for a frame. The socket is watched for so long only: else each frame that comes while
    /// others gather would wake the runtime.
    async fn readable(&self) -> Result<(), IoError> {
        // SAFETY: the descriptor is `self`'s, which outlives the watch.
        let watch = unsafe { AsyncFd::register(self.socket.as_raw_fd()) }?;
        watch.readable().await.map(|mut ready| ready.retain_ready())
    }

    /// How many frames the kernel dropped since the last question.
    fn dropped(&self) -> u64 {
        let mut statistics = [0_u32; 3];
        let mut length = libc::socklen_t::try_from(size_of_val(&statistics)).unwrap_or(0);
        // SAFETY: the kernel writes at most `length` bytes, the size of the array.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                statistics.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if result == 0 { u64::from(statistics[1]) } else { 0 }
    }
}

/// A raw packet socket that receives nothing before it is bound: protocol 0.
fn unbound() -> Result<OwnedFd, IoError> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: plain numbers; the result is checked below.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(IoError::last_os_error());
    }
    // SAFETY: the descriptor is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Binds to all protocols on the interface with that index.
fn bind(socket: &OwnedFd, index: u32) -> Result<(), IoError> {
    // SAFETY: all-zero is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
    address.sll_protocol = u16::try_from(libc::ETH_P_ALL).unwrap_or_default().to_be();
    address.sll_ifindex = i32::try_from(index).map_err(IoError::other)?;
    let length = libc::socklen_t::try_from(size_of_val(&address)).map_err(IoError::other)?;
    // SAFETY: the pointer is to a sockaddr_ll of that length.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if result < 0 { Err(IoError::last_os_error()) } else { Ok(()) }
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
