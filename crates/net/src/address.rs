//! Addresses of interfaces.

use ipnet::{IpNet, Ipv4Net};
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use serde::Serialize;

use crate::{Error, Netlink, Result};

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LinkAddress {
    /// The interface's number.
    pub link: u32,
    /// The address with its prefix length.
    pub network: IpNet,
}

impl LinkAddress {
    /// Reads the kernel's message; `None` for one without an address.
    pub(crate) fn read(message: &AddressMessage) -> Option<Self> {
        let mut found = None;
        for attribute in &message.attributes {
            match attribute {
                // On a point-to-point link `Address` is the other end's: the local one wins.
                AddressAttribute::Local(address) => {
                    found = Some(*address);
                    break;
                }
                AddressAttribute::Address(address) => found = Some(*address),
                _ => {}
            }
        }
        let network = IpNet::new(found?, message.header.prefix_len).ok()?;
        Some(Self { link: message.header.index, network })
    }
}

impl Netlink {
    /// The addresses of one interface, or of all.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub async fn addresses(&self, link: Option<u32>) -> Result<Vec<LinkAddress>> {
        let messages: Vec<AddressMessage> =
            self.list("listing addresses", || self.handle.address().get().execute()).await?;
        let addresses = messages.iter().filter_map(LinkAddress::read);
        Ok(addresses.filter(|a| link.is_none_or(|index| a.link == index)).collect())
    }

    /// The IPv4 addresses of one interface, the primary one first.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub async fn ipv4_addresses(&self, link: u32) -> Result<Vec<Ipv4Net>> {
        let addresses = self.addresses(Some(link)).await?;
        let ipv4 = addresses.into_iter().filter_map(|address| match address.network {
            IpNet::V4(network) => Some(network),
            IpNet::V6(_) => None,
        });
        Ok(ipv4.collect())
    }

    /// Gives an interface an address with its broadcast address; one that is there already stays.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn add_address(&self, link: u32, address: IpNet) -> Result<()> {
        let request = self.handle.address().add(link, address.addr(), address.prefix_len());
        let done = request.replace().execute().await;
        done.map_err(|error| Error::netlink(format!("adding {address} to interface {link}"), error))
    }

    /// Takes an address from an interface; one that is not there is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn delete_address(&self, link: u32, address: IpNet) -> Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = match address {
            IpNet::V4(_) => rtnetlink::packet_route::AddressFamily::Inet,
            IpNet::V6(_) => rtnetlink::packet_route::AddressFamily::Inet6,
        };
        message.header.prefix_len = address.prefix_len();
        message.header.index = link;
        message.attributes.push(AddressAttribute::Local(address.addr()));
        message.attributes.push(AddressAttribute::Address(address.addr()));
        let done = self.handle.address().del(message).execute().await;
        let done = done.map_err(|error| {
            Error::netlink(format!("removing {address} from interface {link}"), error)
        });
        crate::error::ignoring(done, &[libc::EADDRNOTAVAIL])
    }

    /// Takes all IPv4 addresses from an interface, and with them the routes they brought.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn flush_addresses(&self, link: u32) -> Result<()> {
        for address in self.ipv4_addresses(link).await? {
            // Removing a primary address may have removed its secondaries already.
            self.delete_address(link, address.into()).await?;
        }
        Ok(())
    }
}
