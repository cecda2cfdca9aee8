//! The netfilter netlink socket: transactions and lists.

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket as Netlink, SocketAddr};

use super::attributes::Attributes;
use crate::{Error, Result};

/// `NFNL_SUBSYS_NFTABLES`, `NFNL_SUBSYS_CTNETLINK`.
const NFTABLES: u16 = 10 << 8;
const CONNTRACK: u16 = 1 << 8;

/// Message types and flags of `linux/netlink.h` and `linux/netfilter/nfnetlink.h`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

/// Bytes of the headers before the attributes: netlink's and netfilter's.
const HEADER: usize = 16;
const HEADERS: usize = HEADER + 4;
/// A list's chunk is never longer, in bytes.
const CHUNK: usize = 64 << 10;
/// What an answer to the largest transaction may take, in bytes.
const RECEIVE_BUFFER: usize = 4 << 20;

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Message {
    family: u8,
    kind: u16,
    attributes: Attributes,
    doing: String,
}

impl Message {
    pub(super) const NEW_TABLE: u16 = NFTABLES;
    pub(super) const DELETE_TABLE: u16 = NFTABLES | 2;
    pub(super) const NEW_CHAIN: u16 = NFTABLES | 3;
    pub(super) const NEW_RULE: u16 = NFTABLES | 6;
    pub(super) const GET_RULE: u16 = NFTABLES | 7;
    pub(super) const GET_CONNECTIONS: u16 = CONNTRACK | 1;

    /// A request; `doing` names it in an error.
    pub(super) fn new(family: u8, kind: u16, attributes: Attributes, doing: String) -> Self {
        Self { family, kind, attributes, doing }
    }

    fn write(&self, flags: u16, sequence: u32, to: &mut Vec<u8>) {
        write(to, self.kind, flags, sequence, self.family, 0, self.attributes.bytes());
    }
}

fn write(
    to: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    sequence: u32,
    family: u8,
    resource: u16,
    body: &[u8],
) {
    let length = (HEADERS + body.len()) as u32;
    to.extend(length.to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(flags.to_ne_bytes());
    to.extend(sequence.to_ne_bytes());
    to.extend(0u32.to_ne_bytes());
    to.extend([family, 0]);
    to.extend(resource.to_be_bytes());
    to.extend(body);
    to.resize(to.len().next_multiple_of(4), 0);
}

/// A message of the kernel.
struct Answer<'a> {
    kind: u16,
    sequence: u32,
    /// All after netlink's header.
    body: &'a [u8],
}

/// The messages in a datagram.
fn answers(mut bytes: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(bytes.get(0..4)?.try_into().ok()?) as usize;
        let message = bytes.get(..length).filter(|message| message.len() >= HEADER)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        let kind = u16::from_ne_bytes(message[4..6].try_into().ok()?);
        let sequence = u32::from_ne_bytes(message[8..12].try_into().ok()?);
        Some(Answer { kind, sequence, body: &message[HEADER..] })
    })
}

impl Answer<'_> {
    /// The kernel's error number; 0 for an acknowledgement.
    fn errno(&self) -> i32 {
        let code = self.body.get(..4).and_then(|code| code.try_into().ok());
        code.map_or(libc::EPROTO, |code| i32::from_ne_bytes(code).saturating_neg())
    }
}

pub(super) struct Socket(Netlink);

impl Socket {
    pub(super) fn open() -> Result<Self> {
        let open = || {
            let mut socket = Netlink::new(NETLINK_NETFILTER)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            socket.set_rx_buf_sz(RECEIVE_BUFFER as u32)?;
            Ok(Self(socket))
        };
        open().map_err(|source| Error::Io { doing: "opening the packet filter".into(), source })
    }

    /// Does all of `messages` or none.
    pub(super) fn transaction(&self, messages: &[Message]) -> Result<()> {
        let mut bytes = Vec::new();
        let resource = NFTABLES >> 8;
        write(&mut bytes, BATCH_BEGIN, REQUEST, 0, 0, resource, &[]);
        for (index, message) in messages.iter().enumerate() {
            let flags = REQUEST | ACK | CREATE | APPEND;
            let flags = if message.kind == Message::DELETE_TABLE { REQUEST | ACK } else { flags };
            message.write(flags, index as u32 + 1, &mut bytes);
        }
        let last = messages.len() as u32 + 1;
        write(&mut bytes, BATCH_END, REQUEST, last, 0, resource, &[]);
        let doing = "changing the packet filter";
        self.send(&bytes, doing)?;
        // The kernel has done its work when the message is sent: what it says of each request is
        // there already. The first refusal is why nothing was done.
        let mut acknowledged = 0;
        while acknowledged < messages.len() {
            let bytes = self.receive(doing)?;
            for answer in answers(&bytes).filter(|answer| answer.kind == ERROR) {
                acknowledged += 1;
                let errno = answer.errno();
                if errno != 0 {
                    let message = (answer.sequence as usize).checked_sub(1);
                    let message = message.and_then(|index| messages.get(index));
                    let doing =
                        message.map_or(doing.into(), |m| format!("setting the {}", m.doing));
                    return Err(Error::Refused { doing, errno });
                }
            }
        }
        Ok(())
    }

    /// The attributes of each thing in a list.
    pub(super) fn list(&self, request: &Message) -> Result<Vec<Vec<u8>>> {
        let mut bytes = Vec::new();
        request.write(REQUEST | DUMP, 1, &mut bytes);
        self.send(&bytes, &request.doing)?;
        let mut found = Vec::new();
        loop {
            let bytes = self.receive(&request.doing)?;
            for answer in answers(&bytes) {
                match answer.kind {
                    DONE => return Ok(found),
                    ERROR if answer.errno() == libc::ENOENT => return Ok(found),
                    ERROR => {
                        let doing = request.doing.clone();
                        return Err(Error::Refused { doing, errno: answer.errno() });
                    }
                    _ => found.extend(answer.body.get(4..).map(<[u8]>::to_vec)),
                }
            }
        }
    }

    fn send(&self, bytes: &[u8], doing: &str) -> Result<()> {
        let sent = self.0.send(bytes, 0);
        sent.map(|_| ()).map_err(|source| Error::Io { doing: doing.into(), source })
    }

    /// One datagram. The kernel answers at once, so none is an error and never a wait.
    fn receive(&self, doing: &str) -> Result<Vec<u8>> {
        let mut buffer = Vec::with_capacity(CHUNK);
        let received = self.0.recv(&mut buffer, libc::MSG_DONTWAIT);
        received.map_err(|source| Error::Io { doing: doing.into(), source })?;
        Ok(buffer)
    }
}
