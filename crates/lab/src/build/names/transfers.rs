//! Secondary zones: who may copy a zone, and who is told when it changes.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Builder;
use crate::plan::Node;

impl Builder<'_> {
    /// The lab's own secondary servers may copy a zone from its primary, and are told about
    /// changes, unless the author said who.
    pub(super) fn transfers(&mut self, servers: &[usize]) {
        let mut copies: Vec<(Ipv4Addr, String, usize)> = Vec::new();
        for at in servers {
            for zone in self.plan.nodes[*at].services.dns.iter().flat_map(|dns| &dns.zones) {
                copies.extend(zone.primaries.iter().map(|from| (*from, zone.name.clone(), *at)));
            }
        }
        for (from, zone, secondary) in copies {
            let owns = |node: &Node| node.addresses().any(|net| net.addr() == from);
            let Some(primary) = servers.iter().find(|at| owns(&self.plan.nodes[**at])) else {
                continue;
            };
            let (may, told) = self.said_of_transfers(*primary, &zone);
            let near: BTreeSet<&str> =
                self.plan.nodes[*primary].links.iter().map(|l| l.network.as_str()).collect();
            let secondary = &self.plan.nodes[secondary];
            // It asks from whichever of its addresses is on the way, and is told on the nearest.
            let addresses: Vec<Ipv4Addr> = secondary.addresses().map(|net| net.addr()).collect();
            let beside = secondary.links.iter().find(|link| near.contains(link.network.as_str()));
            let nearest = beside.and_then(|link| link.address.fixed()).map(|net| net.addr());
            let nearest = nearest.or(secondary.address());
            let Some(dns) = &mut self.plan.nodes[*primary].services.dns else { continue };
            let Some(zone) = dns.zones.iter_mut().find(|z| z.name == zone) else { continue };
            for host in addresses.iter().map(|address| Ipv4Net::from(*address).to_string()) {
                if !may && !zone.allow_transfer.contains(&host) {
                    zone.allow_transfer.push(host);
                }
            }
            if let Some(address) = nearest.filter(|a| !told && !zone.notify.contains(a)) {
                zone.notify.push(address);
            }
        }
    }

    /// Whether the author said who may copy a zone, and who is told.
    fn said_of_transfers(&self, at: usize, zone: &str) -> (bool, bool) {
        let dns = self.file.nodes.0.get(at).and_then(|(_, node)| node.services.dns.as_ref());
        let said = dns.and_then(|dns| {
            let is = |name: &str| zone == super::record::zone_name(name);
            dns.zones.iter().find(|(name, _)| is(name)).map(|(_, form)| form)
        });
        said.map_or((false, false), |said| (said.allow_transfer.is_some(), said.notify.is_some()))
    }
}
