//! The names that follow from mail domains and web sites.

use std::net::Ipv4Addr;

use super::record::{record, usual_zone, within};
use super::{Builder, new_zone};
use crate::plan::Zone;

impl Builder<'_> {
    /// A mail domain's MX and A, a web site's A: where a server of the lab has the zone, or there
    /// is only one DNS server to have it.
    pub(super) fn derived_names(&mut self, servers: &[usize]) {
        let mut wanted: Vec<(String, Option<String>, Ipv4Addr)> = Vec::new();
        for node in &self.plan.nodes {
            let Some(address) = node.address() else { continue };
            if let Some(mail) = &node.services.mail {
                for domain in &mail.domains {
                    let name =
                        format!("{}.", domain.name.trim_end_matches('.').to_ascii_lowercase());
                    wanted.push((name.clone(), Some(name), address));
                    for alias in domain.aliases.iter() {
                        let alias =
                            format!("{}.", alias.trim_end_matches('.').to_ascii_lowercase());
                        wanted.push((alias.clone(), Some(alias), address));
                    }
                }
                // The name it greets with, where that is a name of its own.
                let greets = mail.hostname.trim_end_matches('.').to_ascii_lowercase();
                if greets.contains('.') && !wanted.iter().any(|w| w.0 == format!("{greets}.")) {
                    wanted.push((format!("{greets}."), None, address));
                }
            }
            for name in
                node.services.web.iter().flat_map(|web| &web.sites).flat_map(|site| &site.names)
            {
                if name.contains('.') && name.parse::<Ipv4Addr>().is_err() {
                    wanted.push((
                        format!("{}.", name.trim_end_matches('.').to_ascii_lowercase()),
                        None,
                        address,
                    ));
                }
            }
        }
        for (name, mail, address) in wanted {
            let mut homes: Vec<(usize, String)> = Vec::new();
            let mut served = false;
            for at in servers {
                let Some(dns) = &self.plan.nodes[*at].services.dns else { continue };
                let best = dns
                    .zones
                    .iter()
                    .filter(|zone| zone.name != "." && within(&name, &zone.name))
                    .max_by_key(|zone| zone.name.len());
                if let Some(zone) = best {
                    served = true;
                    if zone.primaries.is_empty() {
                        homes.push((*at, zone.name.clone()));
                    }
                }
            }
            if !served && let [only] = servers {
                let zone = if mail.is_some() {
                    name.trim_end_matches('.').to_owned()
                } else {
                    usual_zone(&name)
                };
                homes.push((*only, zone));
            }
            for (at, zone) in homes {
                let said = self.services(at).and_then(|services| services.dns.as_ref());
                let derive = said.is_some_and(|dns| dns.derive);
                let dnssec = said.is_some_and(|dns| dns.dnssec);
                let Some(dns) = self.plan.nodes[at].services.dns.as_mut().filter(|_| derive) else {
                    continue;
                };
                if !dns.zones.iter().any(|z| z.name == zone) {
                    dns.zones.push(new_zone(zone.clone(), Vec::new(), dnssec, true));
                }
                let Some(zone) = dns.zones.iter_mut().find(|z| z.name == zone) else { continue };
                let has = |zone: &Zone, kinds: &[&str]| {
                    zone.records
                        .iter()
                        .any(|r| r.name == name && kinds.contains(&r.r#type.as_str()))
                };
                let mx = has(zone, &["MX"]);
                let addressed = has(zone, &["A", "CNAME"]);
                if !addressed && (mail.is_none() || !mx) {
                    zone.records.push(record(name.clone(), "A", address.to_string()));
                }
                if let Some(host) = &mail
                    && !mx
                    && !has(zone, &["CNAME"])
                {
                    zone.records.push(record(name.clone(), "MX", format!("10 {host}")));
                }
            }
        }
    }
}
