//! Many datagrams in one system call, each answered from the address it was sent to.
//!
//! `recvmmsg` and `sendmmsg` halve the cost of a query; neither the standard library nor tokio
//! has them, so that this file talks to libc.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

/// Datagrams in a batch.
pub(super) const SIZE: usize = 32;

/// The longest request taken; longer ones are cut and so malformed.
const BUFFER: usize = 4096;

/// Room for the destination address of one datagram.
const CONTROL: usize = 64;

/// Where a datagram came from and was sent to: what its answer needs.
#[derive(Clone, Copy)]
pub(super) struct Way {
    name: libc::sockaddr_storage,
    name_size: libc::socklen_t,
    control: [u64; CONTROL / 8],
    control_size: usize,
}

// SAFETY: all-zero bytes are a valid sockaddr_storage (of no family).
fn empty_name() -> libc::sockaddr_storage {
    unsafe { mem::zeroed() }
}

impl Way {
    fn empty() -> Self {
        Self { name: empty_name(), name_size: 0, control: [0; CONTROL / 8], control_size: 0 }
    }

    /// Who sent it.
    pub(super) fn client(&self) -> Option<SocketAddr> {
        match i32::from(self.name.ss_family) {
            libc::AF_INET => {
                // SAFETY: the kernel says that this is an IPv4 address, which is smaller than the storage.
                let name = unsafe { &*ptr::from_ref(&self.name).cast::<libc::sockaddr_in>() };
                let address = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
                Some(SocketAddrV4::new(address, u16::from_be(name.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: as above, for IPv6.
                let name = unsafe { &*ptr::from_ref(&self.name).cast::<libc::sockaddr_in6>() };
                let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
                Some(
                    SocketAddrV6::new(address, u16::from_be(name.sin6_port), 0, name.sin6_scope_id)
                        .into(),
                )
            }
            _ => None,
        }
    }

    /// Leaves the choice of the interface to the routing table: only the source address stays.
    fn forget_interface(&mut self) {
        let header = mem::size_of::<libc::cmsghdr>();
        if self.control_size < header + mem::size_of::<libc::in_pktinfo>() {
            return;
        }
        // SAFETY: the buffer is aligned for cmsghdr and, as just checked, holds one with its data.
        unsafe {
            let message = &*self.control.as_ptr().cast::<libc::cmsghdr>();
            if message.cmsg_level == libc::IPPROTO_IP && message.cmsg_type == libc::IP_PKTINFO {
                let info =
                    self.control.as_mut_ptr().cast::<u8>().add(header).cast::<libc::in_pktinfo>();
                (*info).ipi_ifindex = 0;
            }
        }
    }
}

/// Asks the kernel to tell where datagrams were sent to, so that a server on 0.0.0.0 answers from
/// the right one of its addresses.
pub(super) fn tell_destination(socket: &UdpSocket) -> io::Result<()> {
    if socket.local_addr()?.is_ipv6() {
        return Ok(());
    }
    let yes: libc::c_int = 1;
    // SAFETY: the option's value is an int that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_PKTINFO,
            ptr::from_ref(&yes).cast(),
            libc::socklen_t::try_from(mem::size_of_val(&yes)).unwrap_or(4),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The buffers of a batch.
pub(super) struct Batch {
    requests: Vec<[u8; BUFFER]>,
    sizes: [usize; SIZE],
    ways: [Way; SIZE],
    /// The answers; an empty one is not sent.
    pub(super) replies: Vec<Vec<u8>>,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            requests: vec![[0; BUFFER]; SIZE],
            sizes: [0; SIZE],
            ways: [Way::empty(); SIZE],
            replies: (0..SIZE).map(|_| Vec::with_capacity(1500)).collect(),
        }
    }

    /// Takes what waits on the socket; gives how many there were.
    pub(super) fn receive(&mut self, socket: RawFd) -> io::Result<usize> {
        // SAFETY: all-zero is a valid value of these plain C structures.
        let mut parts: [libc::iovec; SIZE] = unsafe { mem::zeroed() };
        let mut headers: [libc::mmsghdr; SIZE] = unsafe { mem::zeroed() };
        for n in 0..SIZE {
            let way = &mut self.ways[n];
            parts[n] =
                libc::iovec { iov_base: self.requests[n].as_mut_ptr().cast(), iov_len: BUFFER };
            let header = &mut headers[n].msg_hdr;
            header.msg_name = ptr::from_mut(&mut way.name).cast();
            header.msg_namelen =
                libc::socklen_t::try_from(mem::size_of_val(&way.name)).unwrap_or(128);
            header.msg_iov = &raw mut parts[n];
            header.msg_iovlen = 1;
            header.msg_control = way.control.as_mut_ptr().cast();
            header.msg_controllen = CONTROL;
        }
        let count = libc::c_uint::try_from(SIZE).unwrap_or(1);
        // SAFETY: every pointer in the headers is to a buffer of the given size that lives in
        // `self` or on this stack until the call returns.
        let got = unsafe {
            libc::recvmmsg(
                socket,
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        for (n, header) in headers.iter().enumerate().take(got) {
            self.sizes[n] = usize::try_from(header.msg_len).unwrap_or(0).min(BUFFER);
            self.ways[n].name_size = header.msg_hdr.msg_namelen;
            self.ways[n].control_size = header.msg_hdr.msg_controllen.min(CONTROL);
            self.replies[n].clear();
        }
        Ok(got)
    }

    /// A request with its way back, and the buffer of its answer.
    pub(super) fn request(&mut self, n: usize) -> (&[u8], &Way, &mut Vec<u8>) {
        (&self.requests[n][..self.sizes[n]], &self.ways[n], &mut self.replies[n])
    }

    /// Sends the answers of the first `count`. What the socket has no room for is dropped, as the
    /// network might drop it; the client asks again.
    pub(super) fn send(&mut self, socket: RawFd, count: usize) {
        // SAFETY: all-zero is a valid value of these plain C structures.
        let mut parts: [libc::iovec; SIZE] = unsafe { mem::zeroed() };
        let mut headers: [libc::mmsghdr; SIZE] = unsafe { mem::zeroed() };
        let mut used = 0;
        for (reply, way) in self.replies.iter_mut().zip(&mut self.ways).take(count) {
            if reply.is_empty() {
                continue;
            }
            way.forget_interface();
            parts[used] = libc::iovec { iov_base: reply.as_mut_ptr().cast(), iov_len: reply.len() };
            fill(&mut headers[used].msg_hdr, &mut parts[used], way);
            used += 1;
        }
        let mut sent = 0;
        while sent < used {
            let rest = libc::c_uint::try_from(used - sent).unwrap_or(0);
            // SAFETY: as in `receive`; `sent` is below the length of `headers`.
            let done = unsafe {
                libc::sendmmsg(
                    socket,
                    headers.as_mut_ptr().add(sent),
                    rest,
                    libc::MSG_DONTWAIT as _,
                )
            };
            match usize::try_from(done) {
                Ok(done) if done > 0 => sent += done,
                // This one cannot be sent (no route, refused earlier): the next may.
                _ => sent += 1,
            }
        }
    }
}

fn fill(header: &mut libc::msghdr, part: &mut libc::iovec, way: &mut Way) {
    header.msg_name = ptr::from_mut(&mut way.name).cast();
    header.msg_namelen = way.name_size;
    header.msg_iov = part;
    header.msg_iovlen = 1;
    if way.control_size > 0 {
        header.msg_control = way.control.as_mut_ptr().cast();
        header.msg_controllen = way.control_size;
    }
}

/// Sends one late answer on the way its request came.
pub(super) fn send_one(socket: RawFd, way: &Way, reply: &mut [u8]) {
    let mut way = *way;
    way.forget_interface();
    let mut part = libc::iovec { iov_base: reply.as_mut_ptr().cast(), iov_len: reply.len() };
    // SAFETY: all-zero is a valid msghdr; its pointers are filled with buffers of this stack.
    unsafe {
        let mut header: libc::msghdr = mem::zeroed();
        fill(&mut header, &mut part, &mut way);
        libc::sendmsg(socket, &raw const header, libc::MSG_DONTWAIT);
    }
}
