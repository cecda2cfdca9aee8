//! Takes many frames off a packet socket with one call (recvmmsg).
//!
//! A ring shared with the kernel would save the copy as well, but its memory is counted by no
//! limit, so nodes may not have one (`docs/security.md`).
#![allow(unsafe_code)] // recvmmsg and control messages; nix's form of it holds pointers and is not Send

use std::io::Error;
use std::os::fd::{AsRawFd, OwnedFd};

/// The most frames of one call.
const FRAMES: usize = 16;
/// No frame is longer: with segmentation offload the kernel hands over up to 64 KiB.
const MAX_FRAME: usize = 66_000;
/// Room for the time of a frame, in bytes; aligned as a control message is.
const CONTROL: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// A frame that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    /// When, nanoseconds since 1970; `None` where the kernel did not say.
    pub at_ns: Option<u64>,
    /// Whether this node sent it.
    pub outgoing: bool,
    /// Its length on the wire, in bytes.
    pub length: u32,
    /// Its first bytes, as many as are kept.
    pub data: &'a [u8],
}

/// The buffers of the calls.
pub struct Receiver {
    size: usize,
    frames: Vec<u8>,
    controls: Vec<Control>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Receiver {
    /// Buffers that keep so many bytes of each frame. They are touched only as far as frames are
    /// long.
    pub fn new(snaplen: u32) -> Self {
        let size = (snaplen as usize).clamp(1, MAX_FRAME);
        let controls = vec![Control([0; CONTROL]); FRAMES];
        Self { size, frames: vec![0; size * FRAMES], controls }
    }

    /// Takes what is there, at most 16 frames, without waiting; whether there may be more.
    ///
    /// # Errors
    /// What the kernel says; nothing being there is none.
    pub fn take(
        &mut self,
        socket: &OwnedFd,
        mut each: impl FnMut(Taken<'_>),
    ) -> Result<bool, Error> {
        // SAFETY: all-zero is a valid value of these plain structures of the kernel.
        let mut addresses: [libc::sockaddr_ll; FRAMES] = unsafe { std::mem::zeroed() };
        // SAFETY: as above; null pointers with length 0.
        let mut vectors: [libc::iovec; FRAMES] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; FRAMES] = unsafe { std::mem::zeroed() };
        let buffers = self.frames.chunks_exact_mut(self.size);
        let places = buffers.zip(&mut self.controls).zip(&mut addresses).zip(&mut vectors);
        for ((((buffer, control), address), vector), message) in places.zip(&mut headers) {
            *vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            let header = &mut message.msg_hdr;
            header.msg_name = std::ptr::from_mut(address).cast();
            header.msg_namelen = u32::try_from(size_of_val(address)).unwrap_or_default();
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL as _;
        }
        // SAFETY: each header points to buffers of the lengths it says; they outlive the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                FRAMES as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_TRUNC,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::EAGAIN) => Ok(false),
                Some(libc::EINTR) => Ok(true),
                _ => Err(error),
            };
        };
        let frames = self.frames.chunks_exact(self.size).zip(&headers).zip(&addresses);
        for ((frame, message), address) in frames.take(count) {
            let kept = frame.len().min(message.msg_len as usize);
            each(Taken {
                at_ns: time(&message.msg_hdr),
                outgoing: address.sll_pkttype == libc::PACKET_OUTGOING,
                length: message.msg_len,
                data: &frame[..kept],
            });
        }
        Ok(count == FRAMES)
    }
}

/// The time that the kernel put beside a frame.
fn time(header: &libc::msghdr) -> Option<u64> {
    // SAFETY: the kernel filled the control buffer in and set its length.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: not null, so a whole head lies within the control buffer.
        let head = unsafe { &*control };
        if (head.cmsg_level, head.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
            // SAFETY: such a message holds a timespec; it is read without demands on alignment.
            let at = unsafe { libc::CMSG_DATA(control).cast::<libc::timespec>().read_unaligned() };
            let seconds = u64::try_from(at.tv_sec).ok()?;
            return Some(seconds * 1_000_000_000 + u64::try_from(at.tv_nsec).ok()?);
        }
        // SAFETY: `control` is one of this header's messages.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
    None
}
