//! What every zone needs: SOA and NS; and the reverse zones of the addresses.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::record::{record, reverse_name, reverse_zone, within};
use super::{Builder, new_zone};
use crate::plan::Zone;

impl Builder<'_> {
    /// SOA and NS of each zone, and the reverse zones of its addresses.
    pub(super) fn finish_zones(&mut self, at: usize) {
        let said = self.services(at).and_then(|services| services.dns.as_ref());
        let derive = said.is_some_and(|dns| dns.derive);
        let own = self.plan.nodes[at].address();
        let networks: Vec<Ipv4Net> = self.plan.networks.iter().map(|n| n.subnet).collect();
        let Some(dns) = &mut self.plan.nodes[at].services.dns else { return };
        if derive {
            let mut reverse: Vec<Zone> = Vec::new();
            let mut named = BTreeSet::new();
            for record in
                dns.zones.iter().filter(|z| z.primaries.is_empty()).flat_map(|z| &z.records)
            {
                let Some(address) =
                    (record.r#type == "A").then(|| record.data.parse::<Ipv4Addr>().ok()).flatten()
                else {
                    continue;
                };
                let Some(net) = networks.iter().find(|net| net.contains(&address)) else {
                    continue;
                };
                let zone = reverse_zone(*net);
                if record.name.contains('*')
                    || !named.insert(address)
                    || dns.zones.iter().any(|z| within(&zone, &z.name) && z.name != ".")
                {
                    continue;
                }
                let pointer = self::record(reverse_name(address), "PTR", record.name.clone());
                match reverse.iter_mut().find(|z| z.name == zone) {
                    Some(zone) => zone.records.push(pointer),
                    None => reverse.push(new_zone(zone, vec![pointer], false, true)),
                }
            }
            dns.zones.extend(reverse);
        }
        // A forward zone's own name of this server; reverse zones borrow the first one.
        let mut server_name: Option<String> = None;
        for zone in dns.zones.iter_mut().filter(|zone| zone.primaries.is_empty()) {
            let apex = if zone.name == "." { ".".to_owned() } else { format!("{}.", zone.name) };
            let backwards = zone.name.ends_with("in-addr.arpa");
            let has = |zone: &Zone, kind: &str| {
                zone.records.iter().any(|r| r.name == apex && r.r#type == kind)
            };
            if !has(zone, "NS") {
                let below = own.and_then(|own| {
                    zone.records
                        .iter()
                        .find(|r| {
                            r.r#type == "A"
                                && r.name != apex
                                && r.data == own.to_string()
                                && !r.name.contains('*')
                        })
                        .map(|r| r.name.clone())
                });
                let name = match (below, &server_name) {
                    (Some(name), _) => name,
                    (None, Some(name)) if backwards => name.clone(),
                    (None, _) => {
                        let name =
                            if apex == "." { "ns.".to_owned() } else { format!("ns.{apex}") };
                        let exists = zone.records.iter().any(|r| r.name == name);
                        if let Some(own) = own.filter(|_| !exists) {
                            zone.records.push(record(name.clone(), "A", own.to_string()));
                        }
                        name
                    }
                };
                zone.records.insert(0, record(apex.clone(), "NS", name));
            }
            let first = zone
                .records
                .iter()
                .find(|r| r.name == apex && r.r#type == "NS")
                .map(|r| r.data.clone());
            if !backwards && server_name.is_none() {
                server_name.clone_from(&first);
            }
            if !has(zone, "SOA") {
                let main = first.unwrap_or_else(|| format!("ns.{apex}"));
                let mailbox = if apex == "." {
                    "hostmaster.".to_owned()
                } else {
                    format!("hostmaster.{apex}")
                };
                zone.records.insert(
                    0,
                    record(apex.clone(), "SOA", format!("{main} {mailbox} 1 3600 600 86400 300")),
                );
            } else if let Some(soa) = zone.records.iter().position(|r| r.r#type == "SOA") {
                let soa = zone.records.remove(soa);
                zone.records.insert(0, soa);
            }
        }
    }
}
