//! Switches and cables of the embedded engine: bridges in the calling process's network namespace
//! and veth pairs whose far end is born in another one.
//!
//! A cable is one `RTM_NEWLINK` message: it names the bridge the near end belongs to, and the
//! process in whose namespace the far end appears with its final name and hardware address. So no
//! interface ever exists in a namespace it does not belong to, and there is nothing to clean up when
//! the caller dies half way: veth pairs end with the namespace of either end.
//!
//! The socket blocks; the kernel answers each request before `send` returns.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::error::{Error, Result};

/// Bytes of requests sent at once; a batch is cut into as many pieces as it needs.
const BATCH: usize = 16 << 10;

/// The switches and cables of one network namespace.
#[derive(Debug)]
pub struct Bridges {
    socket: Socket,
    sequence: u32,
}

/// One cable from a switch into another namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cable {
    /// The near end's name, in the caller's namespace.
    pub port: String,
    /// The near end's interface index, free in the caller's namespace.
    pub index: u32,
    /// The interface index of the bridge it is plugged into.
    pub bridge: u32,
    /// A process in the namespace of the far end.
    pub process: u32,
    /// The far end's name there, at most 15 characters.
    pub name: String,
    /// The far end's hardware address.
    pub mac: crate::Mac,
}

impl Bridges {
    /// Opens the socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// When the kernel gives no netlink socket.
    pub fn open() -> Result<Self> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            // Acknowledgements need not repeat the request.
            socket.set_cap_ack(true)?;
            Ok(socket)
        };
        let socket = open()
            .map_err(|source| Error::Io { doing: "opening a netlink socket".into(), source })?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Makes a switch: no spanning tree, so that ports forward at once, and no multicast snooping,
    /// so that it floods as a plain switch does.
    ///
    /// # Errors
    /// What the kernel says, such as `EPERM` without `CAP_NET_ADMIN`.
    pub fn add(&mut self, name: &str, index: u32) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        message.attributes = vec![
            LinkAttribute::IfName(name.into()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Bridge),
                LinkInfo::Data(InfoData::Bridge(vec![
                    InfoBridge::StpState(BridgeStpState::Disabled),
                    InfoBridge::ForwardDelay(0),
                    InfoBridge::MulticastSnooping(false),
                ])),
            ]),
        ];
        let create = NLM_F_CREATE | NLM_F_EXCL;
        self.send(vec![(RouteNetlinkMessage::NewLink(message), create)])
            .map_err(|source| Error::Io { doing: format!("making the switch {name}"), source })
    }

    /// Removes a switch; its cables stay, unplugged.
    ///
    /// # Errors
    /// What the kernel says, such as `ENODEV`.
    pub fn remove(&mut self, index: u32) -> Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        self.send(vec![(RouteNetlinkMessage::DelLink(message), 0)])
            .map_err(|source| Error::Io { doing: format!("removing switch {index}"), source })
    }

    /// Plugs all cables, in as few system calls as they need. The near ends are up; the far ends
    /// are down, theirs to set up.
    ///
    /// # Errors
    /// The first error the kernel reports; the cables before and after it may be there.
    pub fn plug(&mut self, cables: &[Cable]) -> Result<()> {
        let messages = cables
            .iter()
            .map(|cable| (RouteNetlinkMessage::NewLink(veth(cable)), NLM_F_CREATE | NLM_F_EXCL))
            .collect();
        self.send(messages).map_err(|source| Error::Io {
            doing: format!(
                "plugging {}",
                cables.iter().map(|cable| cable.name.as_str()).collect::<Vec<_>>().join(", ")
            ),
            source,
        })
    }

    /// Pulls cables by the names of their near ends; both ends are gone at the return. One that has
    /// gone by itself, with the namespace of its far end, is no error.
    ///
    /// # Errors
    /// The first other error the kernel reports.
    pub fn unplug(&mut self, ports: &[String]) -> Result<()> {
        for port in ports {
            let mut message = LinkMessage::default();
            message.attributes = vec![LinkAttribute::IfName(port.clone())];
            match self.send(vec![(RouteNetlinkMessage::DelLink(message), 0)]) {
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                other => other
                    .map_err(|source| Error::Io { doing: format!("unplugging {port}"), source })?,
            }
        }
        Ok(())
    }

    /// Has the kernel act at once on the carrier of cables whose far ends have just come up: the
    /// switch forwards by them at the return. By itself it does so in a queue of the whole machine,
    /// which takes some hundred interfaces and leaves the rest for up to a second: with a hundred
    /// labs at once the first pings are lost. (To ask for one interface settles it,
    /// `linkwatch_sync_dev` of the kernel's `rtnl_getlink`.)
    ///
    /// # Errors
    /// The first error the kernel reports, such as `ENODEV` for a cable that has gone.
    pub fn settle(&mut self, ports: &[String]) -> Result<()> {
        let ask = |port: &String| {
            let mut message = LinkMessage::default();
            message.attributes = vec![LinkAttribute::IfName(port.clone())];
            (RouteNetlinkMessage::GetLink(message), 0)
        };
        self.send(ports.iter().map(ask).collect())
            .map_err(|source| Error::Io { doing: format!("settling {}", ports.join(", ")), source })
    }

    fn send(&mut self, messages: Vec<(RouteNetlinkMessage, u16)>) -> io::Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut count = 0;
        let mut first = Ok(());
        for (message, flags) in messages {
            let mut message = NetlinkMessage::from(message);
            self.sequence = self.sequence.wrapping_add(1);
            message.header.sequence_number = self.sequence;
            message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
            message.finalize();
            let (start, length) = (batch.len(), message.buffer_len());
            if count > 0 && start + length > BATCH {
                first = first.and(self.flush(&mut batch, &mut count));
            }
            let start = batch.len();
            // Messages in one datagram begin at multiples of four.
            batch.resize(start + length.next_multiple_of(4), 0);
            message.serialize(&mut batch[start..start + length]);
            count += 1;
        }
        first.and(self.flush(&mut batch, &mut count))
    }

    /// Sends what is waiting and takes one acknowledgement for each message.
    fn flush(&mut self, batch: &mut Vec<u8>, count: &mut usize) -> io::Result<()> {
        if *count == 0 {
            return Ok(());
        }
        self.socket.send(batch, 0)?;
        batch.clear();
        let mut first = Ok(());
        while *count > 0 {
            let (bytes, _) = self.socket.recv_from_full()?;
            let mut rest = bytes.as_slice();
            while let Ok(buffer) = NetlinkBuffer::new_checked(rest) {
                let length = (buffer.length() as usize).next_multiple_of(4);
                let message =
                    NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(|error| {
                        io::Error::new(io::ErrorKind::InvalidData, error.to_string())
                    })?;
                if let NetlinkPayload::Error(error) = message.payload {
                    *count = count.saturating_sub(1);
                    if error.code.is_some() && first.is_ok() {
                        first = Err(error.to_io());
                    }
                }
                rest = rest.get(length..).unwrap_or_default();
                if rest.is_empty() {
                    break;
                }
            }
        }
        first
    }
}

fn veth(cable: &Cable) -> LinkMessage {
    let mut far = LinkMessage::default();
    far.attributes = vec![
        LinkAttribute::IfName(cable.name.clone()),
        LinkAttribute::Address(cable.mac.0.to_vec()),
        LinkAttribute::NetNsPid(cable.process),
    ];
    let mut near = LinkMessage::default();
    near.header.index = cable.index;
    near.header.flags = LinkFlags::Up;
    near.header.change_mask = LinkFlags::Up;
    near.attributes = vec![
        LinkAttribute::IfName(cable.port.clone()),
        LinkAttribute::Controller(cable.bridge),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(far))),
        ]),
    ];
    near
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CloneFlags, unshare};

    /// Runs in the test's own thread, which gets a network namespace of its own.
    fn in_namespace() -> bool {
        if unshare(CloneFlags::CLONE_NEWNET).is_ok() {
            return true;
        }
        assert!(std::env::var_os("LABCTL_CI").is_none(), "this test needs CAP_SYS_ADMIN");
        println!("SKIPPED: making a network namespace needs root");
        false
    }

    #[test]
    fn cables_reach_another_namespace_with_their_final_names() {
        if !in_namespace() {
            return;
        }
        let mut bridges = Bridges::open().unwrap();
        bridges.add("br0", 1000).unwrap();
        assert!(bridges.add("br0", 1001).is_err(), "names are unique");
        // Another thread stands for a node: its own namespace, known by its thread number.
        let (tell, told) = std::sync::mpsc::channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let node = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            tell.send(nix::unistd::gettid()).unwrap();
            wait.recv().unwrap();
            let names = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
            (0..100).filter(|n| names.contains(&format!("lan{n}:"))).count()
        });
        let thread = told.recv().unwrap();
        let cables: Vec<Cable> = (0..100u8)
            .map(|n| Cable {
                port: format!("p{n}"),
                index: 2000 + u32::from(n),
                bridge: 1000,
                process: thread.as_raw() as u32,
                name: format!("lan{n}"),
                mac: format!("02:00:00:00:00:{n:02x}").parse().unwrap(),
            })
            .collect();
        bridges.plug(&cables).unwrap();
        let again = bridges.plug(&cables[..1]).unwrap_err().to_string();
        assert!(again.contains("lan0"), "{again}");
        bridges.settle(&["p0", "p99"].map(str::to_owned)).unwrap();
        assert!(bridges.settle(&["never-there".to_owned()]).is_err());
        let pulled = ["p0", "p1", "never-there"].map(str::to_owned);
        bridges.unplug(&pulled).unwrap();
        go.send(()).unwrap();
        assert_eq!(node.join().unwrap(), 98);
        bridges.remove(1000).unwrap();
    }
}
