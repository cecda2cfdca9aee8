//! Sends TCP segments of 536 bytes out of an interface to a station at a rate: `flood INTERFACE MAC
//! MBIT SECONDS`. Prints how many went out and how fast. For `bench/capture.sh`: two TCP stacks on one machine do
//! not reach 1 Gbit/s of small segments, a packet socket does.
#![allow(unsafe_code)] // sendmmsg; nix's form of it cannot be used again without allocating

use std::io::{Error, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Segments of one call.
const SEGMENTS: usize = 64;
/// Ethernet, IPv4 and TCP without options.
const HEADS: usize = 14 + 20 + 20;
const PAYLOAD: usize = 536;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, interface, station, mbit, seconds] = arguments.as_slice() else {
        return Err("usage: flood INTERFACE MAC MBIT SECONDS".into());
    };
    let rate = mbit.parse::<f64>()? * 1e6 / 8.0 / (HEADS + PAYLOAD) as f64;
    let length = Duration::from_secs(seconds.parse()?);
    let socket = open(interface)?;
    let mut frames: Vec<Vec<u8>> = vec![segment(interface, station)?; SEGMENTS];
    let start = Instant::now();
    let (mut sent, mut sequence) = (0_u64, 1_u32);
    while start.elapsed() < length {
        if sent as f64 > start.elapsed().as_secs_f64() * rate {
            std::hint::spin_loop();
            continue;
        }
        for frame in &mut frames {
            frame[38..42].copy_from_slice(&sequence.to_be_bytes());
            sequence = sequence.wrapping_add(PAYLOAD as u32);
        }
        sent += send(&socket, &frames)?;
    }
    let bits = sent as f64 * (HEADS + PAYLOAD) as f64 * 8.0 / start.elapsed().as_secs_f64();
    writeln!(std::io::stdout().lock(), "{sent} segments sent, {:.0} Mbit/s", bits / 1e6)?;
    Ok(())
}

/// A segment from this interface's station to that one, of 10.9.9.1:40000 to 10.9.9.2:9: no stack
/// answers it. TCP's checksum is left undone, as veth leaves it; IP's is good, for bridges look.
fn segment(interface: &str, station: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let own = nix::ifaddrs::getifaddrs()?
        .filter(|one| one.interface_name == interface)
        .find_map(|one| one.address?.as_link_addr()?.addr())
        .ok_or("the interface has no MAC address")?;
    let station = station.split(':').map(|byte| u8::from_str_radix(byte, 16));
    let mut frame = station.collect::<Result<Vec<_>, _>>()?;
    frame.extend_from_slice(&own);
    frame.extend_from_slice(&[0x08, 0x00]);
    let total = u16::try_from(HEADS - 14 + PAYLOAD).unwrap_or_default().to_be_bytes();
    frame.extend_from_slice(&[0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, 6, 0x12, 0xa4]);
    frame.extend_from_slice(&[10, 9, 9, 1, 10, 9, 9, 2]);
    frame.extend_from_slice(&[0x9c, 0x40, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff]);
    frame.extend_from_slice(&[0, 0, 0, 0]);
    frame.resize(HEADS + PAYLOAD, b'x');
    Ok(frame)
}

/// A packet socket that sends past the queueing discipline.
fn open(interface: &str) -> Result<OwnedFd, Box<dyn std::error::Error>> {
    let index = nix::net::if_::if_nametoindex(interface)?;
    // SAFETY: plain numbers; the result is checked.
    let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(Error::last_os_error().into());
    }
    // SAFETY: the descriptor is new and ours.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let one: libc::c_int = 1;
    // SAFETY: the pointer is to an int of that length.
    let bypass = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_QDISC_BYPASS,
            (&raw const one).cast(),
            size_of_val(&one) as libc::socklen_t,
        )
    };
    // SAFETY: all-zero is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = i32::try_from(index)?;
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer is to a sockaddr_ll of that length.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if bypass < 0 || bound < 0 { Err(Error::last_os_error().into()) } else { Ok(socket) }
}

/// Sends them; how many went out.
fn send(socket: &OwnedFd, frames: &[Vec<u8>]) -> Result<u64, Error> {
    // SAFETY: all-zero is a valid value of these plain structures of the kernel.
    let mut vectors: [libc::iovec; SEGMENTS] = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let mut headers: [libc::mmsghdr; SEGMENTS] = unsafe { std::mem::zeroed() };
    for ((frame, vector), header) in frames.iter().zip(&mut vectors).zip(&mut headers) {
        *vector = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    let count = frames.len().min(SEGMENTS) as libc::c_uint;
    // SAFETY: each header points to a frame that outlives the call; the kernel only reads it.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
    match u64::try_from(sent) {
        Ok(sent) => Ok(sent),
        Err(_) => match Error::last_os_error() {
            full if full.raw_os_error() == Some(libc::ENOBUFS) => Ok(0),
            other => Err(other),
        },
    }
}
