//! DNS servers: zones from records, and the records that follow from the rest of the lab.

mod derived;
mod finish;
mod record;
mod transfers;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::Builder;
use crate::diagnostic::{Problem, Span};
use crate::plan::{Dns, Record, Zone};

pub(crate) use record::{TYPES, parse_record, within};
use record::{usual_zone, zone_name};

impl Builder<'_> {
    pub(super) fn names(&mut self) {
        let servers: Vec<usize> = (0..self.plan.nodes.len())
            .filter(|at| self.file.nodes.0.get(*at).is_some_and(|(_, n)| n.services.dns.is_some()))
            .collect();
        for at in &servers {
            let dns = self.server_zones(*at);
            self.plan.nodes[*at].services.dns = Some(dns);
        }
        self.derived_names(&servers);
        self.transfers(&servers);
        for at in servers {
            self.finish_zones(at);
        }
    }

    fn bad_record(&mut self, span: Span, why: String) {
        self.problems.push(
            Problem::error("dns::record", span, why)
                .help("as in a zone file: `mail.com. A 192.168.1.2`, `mail.com. MX 10 mail.com.`"),
        );
    }

    /// The zones that the author's records make.
    fn server_zones(&mut self, at: usize) -> Dns {
        let (name, said) = match self.file.nodes.0.get(at) {
            Some((name, node)) => (name.clone(), node.services.dns.clone()),
            None => {
                return Dns {
                    enabled: true,
                    zones: Vec::new(),
                    forward: Vec::new(),
                    root_hints: Vec::new(),
                };
            }
        };
        let said = said.unwrap_or_else(silent_server);
        let mut zones: Vec<Zone> = Vec::new();
        for (zone, form) in said.zones.iter() {
            let origin = zone_name(zone);
            let mut records = Vec::new();
            for (index, line) in form.records.iter().enumerate() {
                match parse_record(line, Some(&origin)) {
                    Ok(record)
                        if !within(&record.name, if origin == "." { "" } else { &origin }) =>
                    {
                        let span = self.record_span(&name, Some(zone), index);
                        self.bad_record(
                            span,
                            format!("{} is not below the zone {origin}", record.name),
                        );
                    }
                    Ok(record) => records.push(record),
                    Err(why) => {
                        let span = self.record_span(&name, Some(zone), index);
                        self.bad_record(span, why);
                    }
                }
            }
            zones.push(Zone {
                name: origin,
                records,
                primaries: form.primaries.to_vec(),
                allow_transfer: form
                    .allow_transfer
                    .iter()
                    .flatten()
                    .map(|who| self.subnet_text(who))
                    .collect(),
                notify: form.notify.clone().unwrap_or_default().0,
                dnssec: form.dnssec.unwrap_or(said.dnssec),
                derived: false,
            });
        }
        let mut records = Vec::new();
        for (index, line) in said.records.iter().enumerate() {
            match parse_record(line, None) {
                Ok(record) => records.push(record),
                Err(why) => {
                    let span = self.record_span(&name, None, index);
                    self.bad_record(span, why);
                }
            }
        }
        let mut origins: BTreeSet<String> = zones.iter().map(|zone| zone.name.clone()).collect();
        origins.extend(
            records
                .iter()
                .filter(|r| r.r#type == "SOA")
                .map(|r| r.name.trim_end_matches('.').to_owned()),
        );
        for node in &self.plan.nodes {
            if let Some(mail) = &node.services.mail {
                origins.extend(mail.domains.iter().map(|domain| domain.name.to_ascii_lowercase()));
            }
        }
        for record in records {
            let best = origins
                .iter()
                .filter(|zone| within(&record.name, if *zone == "." { "" } else { zone }))
                .max_by_key(|zone| zone.len());
            let zone = best.cloned().unwrap_or_else(|| usual_zone(&record.name));
            match zones.iter_mut().find(|z| z.name == zone) {
                Some(zone) => zone.records.push(record),
                None => zones.push(new_zone(zone, vec![record], said.dnssec, false)),
            }
        }
        Dns {
            enabled: said.enabled,
            zones,
            forward: said
                .forward
                .map(|f| f.0.0.into_iter().map(|(zone, servers)| (zone, servers.0)).collect())
                .unwrap_or_default(),
            root_hints: said.root_hints.0.into_iter().map(|(name, list)| (name, list.0)).collect(),
        }
    }

    /// A network's name, an address or a subnet, as a subnet.
    fn subnet_text(&self, who: &str) -> String {
        match (self.plan.network(who), who.parse::<Ipv4Addr>()) {
            (Some(network), _) => network.subnet.to_string(),
            (None, Ok(address)) => format!("{address}/32"),
            (None, Err(_)) => who.to_owned(),
        }
    }

    fn record_span(&self, node: &str, zone: Option<&str>, index: usize) -> Span {
        let index = index.to_string();
        let base = ["nodes", node, "services", "dns"];
        let mut candidates: Vec<Vec<&str>> = Vec::new();
        match zone {
            Some(zone) => {
                candidates.push([&base[..], &["zones", zone, "records", &index]].concat());
                candidates.push([&base[..], &["zones", zone, &index]].concat());
            }
            None => {
                candidates.push([&base[..], &["records", &index]].concat());
                candidates.push([&base[..], &[index.as_str()]].concat());
            }
        }
        let found =
            candidates.iter().find_map(|path| self.tree.at(path).filter(|n| n.text().is_some()));
        found.map_or_else(|| self.tree.span_of(&base), |node| node.span)
    }
}

fn new_zone(name: String, records: Vec<Record>, dnssec: bool, derived: bool) -> Zone {
    Zone {
        name,
        records,
        primaries: Vec::new(),
        allow_transfer: Vec::new(),
        notify: Vec::new(),
        dnssec,
        derived,
    }
}

/// The DNS server that says nothing.
fn silent_server() -> crate::file::Dns {
    crate::file::Dns {
        records: Default::default(),
        zones: Default::default(),
        forward: None,
        root_hints: Default::default(),
        derive: true,
        dnssec: false,
        enabled: true,
    }
}
