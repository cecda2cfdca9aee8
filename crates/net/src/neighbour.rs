//! The neighbour (ARP) table.

use std::net::IpAddr;

use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use serde::Serialize;

use crate::{Error, Mac, Netlink, Result};

/// A neighbour on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Neighbour {
    /// The interface's number.
    pub link: u32,
    /// Its address.
    pub address: IpAddr,
    /// Its hardware address, once it is known.
    pub mac: Option<Mac>,
    /// How sure the kernel is of it.
    pub state: Reachability,
}

/// How sure the kernel is of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reachability {
    /// Asked for, no answer yet.
    Incomplete,
    /// Heard of lately.
    Reachable,
    /// Not heard of lately.
    Stale,
    /// About to be asked again.
    Delay,
    /// Being asked again.
    Probe,
    /// Does not answer.
    Failed,
    /// Needs no question.
    Noarp,
    /// Set by hand.
    Permanent,
    /// Anything else.
    None,
}

impl From<NeighbourState> for Reachability {
    fn from(state: NeighbourState) -> Self {
        match state {
            NeighbourState::Incomplete => Self::Incomplete,
            NeighbourState::Reachable => Self::Reachable,
            NeighbourState::Stale => Self::Stale,
            NeighbourState::Delay => Self::Delay,
            NeighbourState::Probe => Self::Probe,
            NeighbourState::Failed => Self::Failed,
            NeighbourState::Noarp => Self::Noarp,
            NeighbourState::Permanent => Self::Permanent,
            _ => Self::None,
        }
    }
}

impl Netlink {
    /// The neighbours of all interfaces.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub async fn neighbours(&self) -> Result<Vec<Neighbour>> {
        let messages = self.neighbour_messages().await?;
        Ok(messages.iter().filter_map(read).collect())
    }

    /// Sets a neighbour by hand.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn set_neighbour(&self, link: u32, address: IpAddr, mac: Mac) -> Result<()> {
        let request = self.handle.neighbours().add(link, address).link_layer_address(&mac.0);
        let done = request.replace().execute().await;
        done.map_err(|error| Error::netlink(format!("setting the neighbour {address}"), error))
    }

    /// Forgets the neighbours of an interface, or of all (`clear arp`).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn flush_neighbours(&self, link: Option<u32>) -> Result<()> {
        for message in self.neighbour_messages().await? {
            let ours = link.is_none_or(|index| message.header.ifindex == index);
            if !ours || message.header.state == NeighbourState::Noarp {
                continue;
            }
            let done = self.handle.neighbours().del(message).execute().await;
            let done = done.map_err(|error| Error::netlink("forgetting a neighbour", error));
            crate::error::ignoring(done, &[libc::ENOENT])?;
        }
        Ok(())
    }

    async fn neighbour_messages(&self) -> Result<Vec<NeighbourMessage>> {
        self.list("listing neighbours", || self.handle.neighbours().get().execute()).await
    }
}

fn read(message: &NeighbourMessage) -> Option<Neighbour> {
    let (mut address, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(a)) => {
                address = Some((*a).into())
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(a)) => {
                address = Some((*a).into());
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = Mac::try_from(bytes.as_slice()).ok();
            }
            _ => {}
        }
    }
    let (link, state) = (message.header.ifindex, message.header.state.into());
    Some(Neighbour { link, address: address?, mac, state })
}
