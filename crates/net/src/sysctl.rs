//! Kernel settings under `/proc/sys/net`, and the same through netlink where that is read-only.

use std::path::PathBuf;

use crate::link::{DEVCONF_ARP_NOTIFY, DEVCONF_FORWARDING, DEVCONF_RP_FILTER};
use crate::{Error, Netlink, Result};

/// Where a setting such as `net.ipv4.ip_forward` lies. An interface's name may hold dots, so the
/// parts are given one by one.
fn path(parts: &[&str]) -> PathBuf {
    let mut path = PathBuf::from("/proc/sys/net");
    path.extend(parts);
    path
}

/// Reads a setting: `["ipv4", "ip_forward"]`.
///
/// # Errors
/// When there is no such setting.
pub fn read(parts: &[&str]) -> Result<String> {
    let path = path(parts);
    std::fs::read_to_string(&path)
        .map(|text| text.trim_end().to_owned())
        .map_err(|source| Error::Io { doing: format!("reading {}", path.display()), source })
}

/// Writes a setting unless it has that value already.
///
/// # Errors
/// When there is no such setting or it is read-only.
pub fn write(parts: &[&str], value: &str) -> Result<()> {
    if read(parts)? == value {
        return Ok(());
    }
    let path = path(parts);
    std::fs::write(&path, value)
        .map_err(|source| Error::Io { doing: format!("writing {}", path.display()), source })
}

impl Netlink {
    /// Switches IPv4 forwarding on all interfaces on or off: by `/proc/sys` where it can be
    /// written, else interface by interface through netlink.
    ///
    /// # Errors
    /// When neither is allowed.
    pub async fn set_forwarding(&self, on: bool) -> Result<()> {
        if write(&["ipv4", "ip_forward"], if on { "1" } else { "0" }).is_ok() {
            return Ok(());
        }
        for link in self.links().await? {
            self.set_link_forwarding(link.index, on).await?;
        }
        Ok(())
    }

    /// Switches IPv4 forwarding of packets that come in by one interface.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn set_link_forwarding(&self, index: u32, on: bool) -> Result<()> {
        self.set_devconf(index, DEVCONF_FORWARDING, on.into()).await
    }

    /// Accepts packets whatever way their answer would go (`rp_filter` off), which a router with
    /// two ways to a place needs. What the namespace demands of all interfaces stays.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn accept_any_way(&self, index: u32) -> Result<()> {
        self.set_devconf(index, DEVCONF_RP_FILTER, 0).await
    }

    /// Has an interface tell its neighbours of each address that it gets and each time that it
    /// comes up (gratuitous ARP), so that nobody keeps the hardware address of who had it before.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn announce_addresses(&self, index: u32) -> Result<()> {
        self.set_devconf(index, DEVCONF_ARP_NOTIFY, 1).await
    }
}
