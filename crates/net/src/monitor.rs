//! Changes as they happen.

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::SocketAddr;
use tokio::task::JoinHandle;

use crate::{Error, Link, LinkAddress, Result, Route};

/// A change of the network configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An interface came or changed (name, state, carrier).
    Link(Link),
    /// An interface went.
    LinkGone(Link),
    /// An address came or changed.
    Address(LinkAddress),
    /// An address went.
    AddressGone(LinkAddress),
    /// A route came or changed.
    Route(Route),
    /// A route went.
    RouteGone(Route),
    /// Changes were lost: look at everything again.
    Missed,
}

/// Tells of changes in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Monitor {
    messages: UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>,
    task: JoinHandle<()>,
}

impl Monitor {
    /// Begins to listen; needs a tokio runtime.
    ///
    /// # Errors
    /// When the kernel gives no netlink socket.
    pub fn open() -> Result<Self> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv4Route];
        let (connection, _, messages) = rtnetlink::new_multicast_connection(&groups)
            .map_err(|source| Error::Io { doing: "listening for changes".into(), source })?;
        Ok(Self { messages, task: tokio::spawn(connection) })
    }

    /// The next change; `None` when the kernel's socket has failed.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            let (message, _) = self.messages.next().await?;
            let NetlinkPayload::InnerMessage(message) = message.payload else {
                return Some(Change::Missed);
            };
            if let Some(change) = read(&message) {
                return Some(change);
            }
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn read(message: &RouteNetlinkMessage) -> Option<Change> {
    match message {
        RouteNetlinkMessage::NewLink(link) => Some(Change::Link(link.into())),
        RouteNetlinkMessage::DelLink(link) => Some(Change::LinkGone(link.into())),
        RouteNetlinkMessage::NewAddress(address) => LinkAddress::read(address).map(Change::Address),
        RouteNetlinkMessage::DelAddress(address) => {
            LinkAddress::read(address).map(Change::AddressGone)
        }
        RouteNetlinkMessage::NewRoute(route) => Route::read(route).map(Change::Route),
        RouteNetlinkMessage::DelRoute(route) => Route::read(route).map(Change::RouteGone),
        _ => None,
    }
}
