//! Delay on the way out of an interface: the `netem` queue, which not every kernel has.

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use crate::link::nla;
use crate::{Error, Result};

/// `RTM_NEWQDISC`, `RTM_DELQDISC` (linux/rtnetlink.h).
const NEW_QUEUE: u16 = 36;
const DELETE_QUEUE: u16 = 37;
/// `NLM_F_REQUEST | NLM_F_ACK`, and with them `NLM_F_CREATE | NLM_F_REPLACE`.
const REQUEST_ACK: u16 = 5;
const CREATE_REPLACE: u16 = 0x500;
/// `TC_H_ROOT`.
const ROOT: u32 = 0xFFFF_FFFF;
/// `TCA_KIND`, `TCA_OPTIONS`.
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
/// Nanoseconds of one tick of the packet scheduler.
const TICK: u64 = 64;
/// Packets that may wait at once.
const LIMIT: u32 = 10_000;

/// Delays every frame that leaves by an interface; `None` ends that.
///
/// # Errors
/// When the kernel refuses; [`Error::is_unsupported`] when it has no `netem`.
pub fn set_delay(link: u32, milliseconds: Option<u64>) -> Result<()> {
    match milliseconds {
        Some(milliseconds) => {
            let ticks = milliseconds.saturating_mul(1_000_000) / TICK;
            let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
            // struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter.
            let options: Vec<u8> =
                [ticks, LIMIT, 0, 0, 0, 0].iter().flat_map(|n| n.to_ne_bytes()).collect();
            let mut attributes = nla(KIND, b"netem\0");
            attributes.extend(nla(OPTIONS, &options));
            let doing = format!("delaying by {milliseconds} ms with netem on interface {link}");
            request(NEW_QUEUE, REQUEST_ACK | CREATE_REPLACE, link, &attributes, doing)
        }
        None => {
            let doing = format!("ending the delay on interface {link}");
            let done = request(DELETE_QUEUE, REQUEST_ACK, link, &[], doing);
            // There was none: the queue that every interface has is not one to remove.
            crate::error::ignoring(done, &[libc::ENOENT, libc::EINVAL])
        }
    }
}

fn request(kind: u16, flags: u16, link: u32, attributes: &[u8], doing: String) -> Result<()> {
    let mut message = Vec::new();
    let length = 16 + 20 + attributes.len() as u32;
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    // struct tcmsg: family and padding, interface, handle, parent, info.
    message.extend([0; 4]);
    message.extend(link.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(ROOT.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(attributes);
    let answer = || -> std::io::Result<Vec<u8>> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.send(&message, 0)?;
        let mut answer = Vec::with_capacity(8 << 10);
        // The kernel has answered when the request is sent.
        socket.recv(&mut answer, libc::MSG_DONTWAIT)?;
        Ok(answer)
    };
    let answer = match answer() {
        Ok(answer) => answer,
        Err(source) => return Err(Error::Io { doing, source }),
    };
    let code = answer.get(16..20).and_then(|code| code.try_into().ok()).map(i32::from_ne_bytes);
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(Error::Refused { doing, errno: code.saturating_neg() }),
        None => Err(Error::Answer { doing, what: "it is too short".into() }),
    }
}
