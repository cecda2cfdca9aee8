//! Interfaces.

use rtnetlink::packet_core::DefaultNla;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::{LinkMessageBuilder, LinkUnspec};
use serde::Serialize;

use crate::{Error, Mac, Netlink, Result};

/// `IFLA_AF_SPEC`, nested (linux/if_link.h).
const IFLA_AF_SPEC: u16 = 26 | 0x8000;
/// `IFLA_INET_CONF`, nested.
const IFLA_INET_CONF: u16 = 1 | 0x8000;
/// `IPV4_DEVCONF_FORWARDING` (linux/ip.h).
pub(crate) const DEVCONF_FORWARDING: u16 = 1;
/// `IPV4_DEVCONF_ARP_NOTIFY`.
pub(crate) const DEVCONF_ARP_NOTIFY: u16 = 22;
/// `IPV4_DEVCONF_RP_FILTER`.
pub(crate) const DEVCONF_RP_FILTER: u16 = 8;

/// An interface as the kernel has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address; zero where it has none.
    pub mac: Mac,
    /// Switched on by the administrator.
    pub up: bool,
    /// The cable is in: the other end is up.
    pub carrier: bool,
    /// Whether it is the loopback.
    pub loopback: bool,
    /// The largest packet in bytes.
    pub mtu: u32,
    /// The other end's or the underlying interface's number, where it has one.
    pub peer: Option<u32>,
    /// The bridge it is a port of.
    pub controller: Option<u32>,
    /// What went through.
    pub counters: Counters,
}

/// What went through an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets received with errors.
    pub rx_errors: u64,
    /// Received packets dropped.
    pub rx_dropped: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
    /// Packets dropped before they were sent.
    pub tx_dropped: u64,
}

impl From<&LinkMessage> for Link {
    fn from(message: &LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut link = Link {
            index: message.header.index,
            up: flags.contains(LinkFlags::Up),
            carrier: flags.contains(LinkFlags::LowerUp),
            loopback: flags.contains(LinkFlags::Loopback),
            ..Link::default()
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Address(bytes) => {
                    link.mac = Mac::try_from(bytes.as_slice()).unwrap_or_default();
                }
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::Link(peer) => link.peer = Some(*peer),
                LinkAttribute::Controller(bridge) => link.controller = Some(*bridge),
                LinkAttribute::Stats64(stats) => {
                    link.counters = Counters {
                        rx_packets: stats.rx_packets,
                        rx_bytes: stats.rx_bytes,
                        rx_errors: stats.rx_errors,
                        rx_dropped: stats.rx_dropped,
                        tx_packets: stats.tx_packets,
                        tx_bytes: stats.tx_bytes,
                        tx_errors: stats.tx_errors,
                        tx_dropped: stats.tx_dropped,
                    };
                }
                _ => {}
            }
        }
        link
    }
}

impl Netlink {
    /// All interfaces, in the order of their numbers.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub async fn links(&self) -> Result<Vec<Link>> {
        let messages: Vec<LinkMessage> =
            self.list("listing interfaces", || self.handle.link().get().execute()).await?;
        let mut links: Vec<Link> = messages.iter().map(Link::from).collect();
        links.sort_by_key(|link| link.index);
        Ok(links)
    }

    /// The interface of that name.
    ///
    /// # Errors
    /// [`Error::NoLink`] when there is none.
    pub async fn link(&self, name: &str) -> Result<Link> {
        let found = self.links().await?.into_iter().find(|link| link.name == name);
        found.ok_or_else(|| Error::NoLink(name.into()))
    }

    /// The interface of that number.
    ///
    /// # Errors
    /// [`Error::NoLink`] when there is none.
    pub async fn link_by_index(&self, index: u32) -> Result<Link> {
        let found = self.links().await?.into_iter().find(|link| link.index == index);
        found.ok_or_else(|| Error::NoLink(format!("number {index}")))
    }

    /// The interface of that hardware address.
    ///
    /// # Errors
    /// [`Error::NoLink`] when there is none.
    pub async fn link_by_mac(&self, mac: Mac) -> Result<Link> {
        let found = self.links().await?.into_iter().find(|link| link.mac == mac && !link.loopback);
        found.ok_or_else(|| Error::NoLink(format!("with the hardware address {mac}")))
    }

    /// The interface that has that address.
    ///
    /// # Errors
    /// [`Error::NoLink`] when there is none.
    pub async fn link_by_address(&self, address: std::net::IpAddr) -> Result<Link> {
        let addresses = self.addresses(None).await?;
        match addresses.iter().find(|have| have.network.addr() == address) {
            Some(have) => self.link_by_index(have.link).await,
            None => Err(Error::NoLink(format!("with the address {address}"))),
        }
    }

    /// Switches an interface on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn up(&self, index: u32) -> Result<()> {
        self.set_link(index, "switching on", |link| link.up()).await
    }

    /// Switches an interface off; the kernel forgets the routes through it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn down(&self, index: u32) -> Result<()> {
        self.set_link(index, "switching off", |link| link.down()).await
    }

    /// Renames an interface, which must be off.
    ///
    /// # Errors
    /// When the name is taken or longer than 15 characters.
    pub async fn rename(&self, index: u32, name: &str) -> Result<()> {
        self.set_link(index, &format!("naming {name}"), |link| link.name(name)).await
    }

    /// Sets the hardware address of an interface, which should be off.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn set_mac(&self, index: u32, mac: Mac) -> Result<()> {
        let what = format!("setting the hardware address {mac} of");
        self.set_link(index, &what, |link| link.address(mac.0.to_vec())).await
    }

    /// Sets the largest packet, in bytes.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn set_mtu(&self, index: u32, mtu: u32) -> Result<()> {
        self.set_link(index, &format!("setting the MTU {mtu} of"), |link| link.mtu(mtu)).await
    }

    /// Removes an interface; one that is gone already is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn delete_link(&self, index: u32) -> Result<()> {
        let done = self.handle.link().del(index).execute().await;
        let done = done.map_err(|e| Error::netlink(format!("removing interface {index}"), e));
        crate::error::ignoring(done, &[libc::ENODEV])
    }

    /// Switches an IPv4 setting of an interface through netlink, which works where `/proc/sys` is
    /// read-only, as it is in a container without privileges.
    pub(crate) async fn set_devconf(&self, index: u32, setting: u16, value: u32) -> Result<()> {
        let leaf = nla(setting, &value.to_ne_bytes());
        // In this one list the attribute's type is the address family and bears no nested flag.
        let family = nla(libc::AF_INET as u16, &nla(IFLA_INET_CONF, &leaf));
        let attribute = LinkAttribute::Other(DefaultNla::new(IFLA_AF_SPEC, family));
        let what = format!("setting IPv4 option {setting} of");
        self.set_link(index, &what, |link| link.append_extra_attribute(attribute)).await
    }

    async fn set_link(
        &self,
        index: u32,
        what: &str,
        change: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
    ) -> Result<()> {
        let message = change(LinkUnspec::new_with_index(index)).build();
        let done = self.handle.link().set(message).execute().await;
        done.map_err(|error| Error::netlink(format!("{what} interface {index}"), error))
    }
}

/// One netlink attribute: length, type, value, padded to four bytes.
pub(crate) fn nla(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (value.len() + 4) as u16;
    let mut bytes = Vec::with_capacity(value.len() + 8);
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
