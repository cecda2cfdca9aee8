//! Which node an address belongs to: by the lab, by what frames show.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::dissect::Mac;
use crate::topology::Topology;

use super::fragments::Seen;

/// What is known of addresses.
#[derive(Debug)]
pub struct Addresses<'a> {
    topology: &'a Topology,
    by_mac: HashMap<Mac, String>,
    by_ip: HashMap<IpAddr, String>,
}

impl<'a> Addresses<'a> {
    /// Learns from all frames: who sent which MAC address, whose leases and ARP entries are whose.
    pub fn learn(topology: &'a Topology, frames: &[Seen<'_>]) -> Self {
        let mut known = Self { topology, by_mac: HashMap::new(), by_ip: HashMap::new() };
        for Seen { sighting, found, .. } in frames {
            let Some((source, _)) = found.macs else { continue };
            let name = topology.by_mac(&source.to_string()).or(sighting.sender.as_deref());
            if let Some(name) = name {
                known.by_mac.entry(source).or_insert_with(|| name.to_owned());
            }
        }
        for Seen { found, .. } in frames {
            if let Some(arp) = &found.arp
                && !arp.sender.1.is_unspecified()
            {
                known.note(arp.sender.1.into(), arp.sender.0);
            }
            if let Some(dhcp) = &found.dhcp
                && dhcp.kind == "ACK"
                && let Some(address) = dhcp.your
                && let Some(name) = topology.by_mac(&dhcp.client)
            {
                known.by_ip.entry(address.into()).or_insert_with(|| name.to_owned());
            }
        }
        known
    }

    fn note(&mut self, address: IpAddr, mac: Mac) {
        if let Some(name) = self.mac(mac) {
            let name = name.to_owned();
            self.by_ip.entry(address).or_insert(name);
        }
    }

    /// The node with that MAC address.
    pub fn mac(&self, mac: Mac) -> Option<&str> {
        self.by_mac.get(&mac).map(String::as_str).or_else(|| self.topology.by_mac(&mac.to_string()))
    }

    /// The node with that address, else the address itself.
    pub fn ip(&self, address: IpAddr) -> String {
        if let Some(name) = self.topology.by_address(address) {
            return name.to_owned();
        }
        if let Some(name) = self.by_ip.get(&address) {
            return name.clone();
        }
        let many = match address {
            IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast(),
            IpAddr::V6(v6) => v6.is_multicast(),
        };
        if many { "*".into() } else { address.to_string() }
    }
}
