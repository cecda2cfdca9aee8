//! Netlink: links, addresses, routes, neighbours and packet filters. The only crate that speaks it.
//!
//! [`Netlink`] is a handle on the kernel's network configuration in the namespace of the thread
//! that opened it; it needs a tokio runtime. [`Monitor`] tells of changes as they happen. [`nft`]
//! speaks to the packet filter. Nothing here runs a program, and nothing here has policy.

use std::sync::Arc;

use futures::{Stream, TryStreamExt};

mod address;
pub mod bridge;
mod delay;
mod error;
mod link;
mod mac;
mod monitor;
mod neighbour;
pub mod nft;
mod route;
mod sockets;
mod sysctl;

pub use address::LinkAddress;
pub use delay::set_delay;
pub use error::{Error, Result};
pub use link::{Counters, Link};
pub use mac::{InvalidMac, Mac};
pub use monitor::{Change, Monitor};
pub use neighbour::{Neighbour, Reachability};
pub use route::{Protocol, Route};
pub use sockets::{Ports, bound_ports};
pub use sysctl::{read as read_sysctl, write as write_sysctl};

/// A handle on the network configuration of one namespace. Clones share the socket.
#[derive(Clone, Debug)]
pub struct Netlink {
    handle: rtnetlink::Handle,
    dumping: Arc<tokio::sync::Mutex<()>>,
}

/// How often a list is asked for again while the kernel is still sending one that nobody wants.
const BUSY_RETRIES: usize = 10_000;

impl Netlink {
    /// Asks for a list. The kernel sends one list at a time on a socket and refuses a second
    /// request with `EBUSY`, so they are asked for one after the other. A list whose asker went
    /// away is still sent to its end: until then the next asker tries again.
    pub(crate) async fn list<T, S>(&self, doing: &str, ask: impl Fn() -> S) -> Result<Vec<T>>
    where
        S: Stream<Item = Result<T, rtnetlink::Error>>,
    {
        let _dumping = self.dumping.lock().await;
        let mut retries = 0;
        loop {
            match ask().try_collect().await.map_err(|error| Error::netlink(doing, error)) {
                Err(error) if error.errno() == Some(libc::EBUSY) && retries < BUSY_RETRIES => {
                    retries += 1;
                    tokio::task::yield_now().await;
                }
                other => return other,
            }
        }
    }

    /// Opens the socket in the calling thread's network namespace and serves it on the current
    /// runtime. The handle stays with that namespace whatever the thread does later.
    ///
    /// # Errors
    /// When the kernel gives no netlink socket.
    pub fn open() -> Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()
            .map_err(|source| Error::Io { doing: "opening a netlink socket".into(), source })?;
        tokio::spawn(connection);
        Ok(Self { handle, dumping: Arc::default() })
    }
}
