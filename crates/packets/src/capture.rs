//! Listens on interfaces by AF_PACKET: every frame that goes out or comes in, with its time.
//!
//! Needs CAP_NET_RAW in the network namespace of the calling thread.
#![allow(unsafe_code)] // sockaddr_ll and PACKET_STATISTICS have no safe form in nix or socket2

use std::io::{Error as IoError, ErrorKind, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use crate::frame::{Batch, Frame};

/// What the kernel keeps for us while we are busy, in bytes.
const RECEIVE_BUFFER: usize = 8 << 20;
/// The most frames of one batch.
const MAX_BATCH: usize = 256;
/// The most bytes of one batch, before base64.
const MAX_BATCH_BYTES: usize = 256 << 10;
/// No frame is longer: with segmentation offload the kernel hands over up to 64 KiB.
const MAX_FRAME: usize = 66_000;

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
    socket: AsyncFd<OwnedFd>,
}

/// Captures until `sender` is closed. The first batch is empty and `started`: every frame after
/// it is caught. Frames are kept in the kernel (bounded) while the receiver is slow; what does not
/// fit is counted in [`Batch::dropped`].
///
/// # Errors
/// When an interface does not exist or the kernel refuses.
pub async fn run(
    interfaces: Vec<Interface>,
    snaplen: u32,
    sender: mpsc::Sender<Batch>,
) -> Result<(), Error> {
    let taps = interfaces.into_iter().map(Tap::open).collect::<Result<Vec<_>, _>>()?;
    let _ = sender.send(Batch { started: true, ..Batch::default() }).await;
    let running = taps.into_iter().map(|tap| tap.run(snaplen, sender.clone()));
    let mut tasks = tokio::task::JoinSet::new();
    for tap in running {
        tasks.spawn(tap);
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
    fn open(interface: Interface) -> Result<Self, Error> {
        let name = interface.name.clone();
        let fail = |source: IoError| Error::Socket { interface: name.clone(), source };
        let index = nix::net::if_::if_nametoindex(name.as_str())
            .map_err(|_| Error::NoInterface(name.clone()))?;
        let socket = bound(index).map_err(fail)?;
        let errno = |error: nix::Error| fail(error.into());
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).map_err(errno)?;
        // Without CAP_NET_ADMIN the system's own limit holds.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            let _ = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
        }
        // SAFETY: an OwnedFd keeps its descriptor open and the same for as long as it lives.
        let socket =
            unsafe { AsyncFd::register(socket) }.map_err(|error| fail(IoError::from(error)))?;
        Ok(Self { interface, socket })
    }

    async fn run(self, snaplen: u32, sender: mpsc::Sender<Batch>) -> Result<(), Error> {
        let fail = |source| Error::Socket { interface: self.interface.name.clone(), source };
        let mut buffer = vec![0; MAX_FRAME];
        loop {
            let mut ready = self.socket.readable().await.map_err(fail)?;
            let mut batch = Batch::default();
            let mut bytes = 0;
            let drained = loop {
                if batch.frames.len() >= MAX_BATCH || bytes >= MAX_BATCH_BYTES {
                    break false;
                }
                match self.read(&mut buffer, snaplen) {
                    Ok(frame) => {
                        bytes += frame.data.len();
                        batch.frames.push(frame);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break true,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // The interface went down; it may come up again.
                    Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => break true,
                    Err(error) => return Err(fail(error)),
                }
            };
            if drained {
                ready.clear_ready();
            }
            drop(ready);
            batch.dropped = self.dropped();
            if (!batch.frames.is_empty() || batch.dropped > 0) && sender.send(batch).await.is_err()
            {
                return Ok(());
            }
        }
    }

    fn read(&self, buffer: &mut [u8], snaplen: u32) -> Result<Frame, IoError> {
        let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
        let mut slices = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<LinkAddr>(fd, &mut slices, Some(&mut control), flags)?;
        let length = message.bytes;
        let outgoing = message.address.is_some_and(|from| from.pkttype() == libc::PACKET_OUTGOING);
        let stamp = message.cmsgs().ok().into_iter().flatten().find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(time) => {
                let seconds = u64::try_from(time.tv_sec()).ok()?;
                Some(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec()).ok()?)
            }
            _ => None,
        });
        let keep = length.min(snaplen as usize).min(buffer.len());
        Ok(Frame {
            network: self.interface.network.clone(),
            interface: self.interface.name.clone(),
            at_ns: stamp.unwrap_or_else(now_ns),
            outgoing,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            data: buffer[..keep].to_vec(),
        })
    }

    /// How many frames the kernel dropped since the last question.
    fn dropped(&self) -> u64 {
        let mut statistics = [0_u32; 2];
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

/// A raw packet socket for all protocols on the interface with that index.
fn bound(index: u32) -> Result<OwnedFd, IoError> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // Protocol 0: nothing is received before the socket is bound, so no foreign frame gets in.
    // SAFETY: plain numbers; the result is checked below.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(IoError::last_os_error());
    }
    // SAFETY: the descriptor is new and ours.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all-zero is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
    address.sll_protocol = u16::try_from(libc::ETH_P_ALL).unwrap_or_default().to_be();
    address.sll_ifindex = i32::try_from(index).map_err(IoError::other)?;
    let length = libc::socklen_t::try_from(size_of_val(&address)).map_err(IoError::other)?;
    // SAFETY: the pointer is to a sockaddr_ll of that length.
    let result = unsafe { libc::bind(fd, (&raw const address).cast(), length) };
    if result < 0 { Err(IoError::last_os_error()) } else { Ok(socket) }
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
