//! Netlink: links, addresses, routes, neighbours and packet filters. The only crate that speaks it.
//!
//! [`Netlink`] is a handle on the kernel's network configuration in the namespace of the thread
//! that opened it; it needs a tokio runtime. [`Monitor`] tells of changes as they happen. [`nft`]
//! speaks to the packet filter. Nothing here runs a program, and nothing here has policy.

mod address;
pub mod bridge;
mod error;
mod link;
mod mac;
mod monitor;
mod neighbour;
mod route;
mod sysctl;

pub use address::LinkAddress;
pub use error::{Error, Result};
pub use link::{Counters, Link};
pub use mac::{InvalidMac, Mac};
pub use monitor::{Change, Monitor};
pub use neighbour::{Neighbour, Reachability};
pub use route::{Protocol, Route};
pub use sysctl::{read as read_sysctl, write as write_sysctl};

/// A handle on the network configuration of one namespace. Clones share the socket.
#[derive(Clone, Debug)]
pub struct Netlink {
    handle: rtnetlink::Handle,
}

impl Netlink {
    /// Opens the socket in the calling thread's network namespace and serves it on the current
    /// runtime. The handle stays with that namespace whatever the thread does later.
    ///
    /// # Errors
    /// When the kernel gives no netlink socket.
    pub fn open() -> Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(|source| Error::Io {
            doing: "opening a netlink socket".into(),
            source,
        })?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }
}
