//! The server's UDP socket: one for all interfaces, which tells where each packet came in and
//! chooses where each goes out (IP_PKTINFO).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Socket, Type};
use tokio::io::unix::AsyncFd;

/// How a datagram came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Its length in the buffer.
    pub length: usize,
    /// The interface's index.
    pub interface: u32,
    /// The address it was sent to.
    pub destination: Ipv4Addr,
}

/// The socket.
#[derive(Debug)]
pub struct ServerSocket {
    inner: AsyncFd<Socket>,
}

impl ServerSocket {
    /// Binds a port on every interface.
    ///
    /// # Errors
    /// Where the port is taken, or the capability NET_BIND_SERVICE is missing.
    pub fn bind(port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), None)?;
        socket.set_reuse_address(true)?;
        socket.set_broadcast(true)?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        // A classroom that is switched on at once: let the bursts wait here. Only root may force.
        const BURST: usize = 4 << 20;
        if setsockopt(&socket, sockopt::RcvBufForce, &BURST).is_err() {
            let _ = socket.set_recv_buffer_size(BURST);
        }
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into())?;
        Ok(Self { inner: crate::link::watched(socket)? })
    }

    /// Waits until something can be received.
    ///
    /// # Errors
    /// Where the runtime ends.
    pub async fn readable(&self) -> io::Result<()> {
        let mut guard = self.inner.readable().await?;
        // The caller drains until `WouldBlock`.
        guard.clear_ready();
        Ok(())
    }

    /// Receives one datagram.
    ///
    /// # Errors
    /// `WouldBlock` where none waits.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Arrival> {
        let mut control = nix::cmsg_space!(libc::in_pktinfo);
        let mut slices = [IoSliceMut::new(buffer)];
        let fd = self.inner.get_ref().as_raw_fd();
        let message =
            recvmsg::<SockaddrIn>(fd, &mut slices, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
        let mut arrival =
            Arrival { length: message.bytes, interface: 0, destination: Ipv4Addr::UNSPECIFIED };
        for control in message.cmsgs()? {
            if let ControlMessageOwned::Ipv4PacketInfo(info) = control {
                arrival.interface = info.ipi_ifindex.unsigned_abs();
                arrival.destination = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr));
            }
        }
        Ok(arrival)
    }

    /// Sends one datagram from an own address; by this interface where one is given, else where
    /// the routes lead.
    ///
    /// # Errors
    /// Where there is no route or the interface is down.
    pub fn send(
        &self,
        bytes: &[u8],
        source: Ipv4Addr,
        to: SocketAddrV4,
        interface: Option<u32>,
    ) -> io::Result<()> {
        let info = libc::in_pktinfo {
            ipi_ifindex: interface.unwrap_or(0) as i32,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from(source).to_be() },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let fd = self.inner.get_ref().as_raw_fd();
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        sendmsg(
            fd,
            &[IoSlice::new(bytes)],
            &control,
            MsgFlags::MSG_DONTWAIT,
            Some(&SockaddrIn::from(to)),
        )?;
        Ok(())
    }
}
