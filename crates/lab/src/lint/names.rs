//! DNS: records that lead nowhere, zones that contradict themselves, names of web sites.

use std::collections::HashMap;

use super::Lint;
use crate::build::names::parse_record;
use crate::diagnostic::Span;

impl Lint<'_> {
    /// The author's records of a server, with their places.
    fn author_records(&self, at: usize) -> Vec<(crate::plan::Record, Span)> {
        let mut list = Vec::new();
        let Some((name, Some(dns))) =
            self.file.nodes.0.get(at).map(|(n, said)| (n, said.services.dns.as_ref()))
        else {
            return list;
        };
        let base = ["nodes", name.as_str(), "services", "dns"];
        let place = |path: &[&str], index: usize| {
            let index = index.to_string();
            let full: Vec<&str> = base.iter().copied().chain(path.iter().copied()).collect();
            let with = [&full[..], &["records", &index]].concat();
            let without = [&full[..], &[index.as_str()]].concat();
            match self.tree.at(&with).or_else(|| self.tree.at(&without)) {
                Some(node) => node.span,
                None => self.tree.span_of(&full),
            }
        };
        for (index, line) in dns.records.iter().enumerate() {
            if let Ok(record) = parse_record(line, None) {
                list.push((record, place(&[], index)));
            }
        }
        for (zone, form) in dns.zones.iter() {
            for (index, line) in form.records.iter().enumerate() {
                if let Ok(record) = parse_record(line, Some(zone)) {
                    list.push((record, place(&["zones", zone], index)));
                }
            }
        }
        list
    }

    pub(super) fn names(&mut self) {
        let foreign = self.plan.nodes.iter().any(|n| n.image.is_some());
        for at in 0..self.plan.nodes.len() {
            let records = self.author_records(at);
            let mut seen: HashMap<(String, String, String), Span> = HashMap::new();
            for (record, span) in &records {
                let span = *span;
                let key = (record.name.clone(), record.r#type.clone(), record.data.clone());
                if seen.insert(key, span).is_some() {
                    self.warn(
                        "dns::duplicate-record",
                        span,
                        format!("{} {} {} is there twice", record.name, record.r#type, record.data),
                        "keep one of them",
                    );
                }
                match record.r#type.as_str() {
                    "A" => {
                        let Ok(address) = record.data.parse::<std::net::Ipv4Addr>() else {
                            continue;
                        };
                        let leased = self
                            .plan
                            .nodes
                            .iter()
                            .filter_map(|n| n.services.dhcp.as_ref())
                            .flat_map(|d| &d.pools)
                            .any(|p| p.subnet.contains(&address));
                        if self.facts.owner(address).is_none() && !leased && !foreign {
                            self.warn(
                                "dns::nobody",
                                span,
                                format!(
                                    "{} points to {address}, and nobody has that address",
                                    record.name
                                ),
                                "give a node the address, or correct the record",
                            );
                        }
                    }
                    "MX" | "NS" | "SRV" => {
                        let target = record.data.rsplit(' ').next().unwrap_or_default();
                        let (code, what) = match record.r#type.as_str() {
                            "MX" => ("dns::mx-without-address", "mail server"),
                            "NS" => ("dns::ns-without-address", "name server"),
                            _ => ("dns::srv-without-address", "server"),
                        };
                        let known = !self.facts.addresses(target).is_empty();
                        if target != "."
                            && !known
                            && (self.facts.lookup(target, "A").is_empty())
                            && !self.elsewhere(target)
                        {
                            self.warn(
                                code,
                                span,
                                format!(
                                    "{} names the {what} {target}, which has no address in the lab",
                                    record.name
                                ),
                                format!("add the record `{target} A …`"),
                            );
                        }
                    }
                    "CNAME" => {
                        let others = records.iter().filter(|(other, _)| {
                            other.name == record.name && other.r#type != "RRSIG"
                        });
                        if others.count() > 1 {
                            self.error(
                                "dns::cname",
                                span,
                                format!(
                                    "{} is an alias and has other records as well",
                                    record.name
                                ),
                                "a name with CNAME has nothing else (RFC 1034, 3.6.2)",
                            );
                        }
                    }
                    _ => {}
                }
            }
            self.zones(at);
        }
    }

    /// Whether a name may be answered by something that the lab does not describe.
    fn elsewhere(&self, name: &str) -> bool {
        self.plan.nodes.iter().any(|n| n.image.is_some()) && !self.facts.covered(name)
    }

    fn zones(&mut self, at: usize) {
        let Some((name, Some(dns))) =
            self.file.nodes.0.get(at).map(|(n, said)| (n, said.services.dns.as_ref()))
        else {
            return;
        };
        for (zone, form) in dns.zones.iter() {
            if !form.records.is_empty() && !form.primaries.is_empty() {
                let span = self.key(&["nodes", name, "services", "dns", "zones", zone]);
                self.error(
                    "dns::zone",
                    span,
                    format!("the zone {zone} has records and is copied from a primary server"),
                    "keep one of the two",
                );
            }
            for (index, primary) in form.primaries.iter().enumerate() {
                let owner = self.facts.owner(*primary);
                if owner.is_none_or(|n| n.services.dns.is_none() && n.image.is_none()) {
                    let span = self.place(&[
                        "nodes",
                        name,
                        "services",
                        "dns",
                        "zones",
                        zone,
                        "primaries",
                        &index.to_string(),
                    ]);
                    self.warn(
                        "dns::primary",
                        span,
                        format!("{primary} is no DNS server of the lab"),
                        "name the address of a node with a `dns:` service",
                    );
                }
            }
            for (index, server) in form.notify.iter().flatten().enumerate() {
                let owner = self.facts.owner(*server);
                if owner.is_none_or(|n| n.services.dns.is_none() && n.image.is_none()) {
                    let index = index.to_string();
                    let path =
                        ["nodes", name, "services", "dns", "zones", zone, "notify", index.as_str()];
                    let span = self.place(&path);
                    self.warn(
                        "dns::notify",
                        span,
                        format!("{server} is no DNS server of the lab"),
                        "name the address of a node with a `dns:` service",
                    );
                }
            }
            for (index, who) in form.allow_transfer.iter().flatten().enumerate() {
                let good = self.facts.networks.contains_key(who.as_str())
                    || who.parse::<ipnet::Ipv4Net>().is_ok()
                    || who.parse::<std::net::Ipv4Addr>().is_ok();
                if !good {
                    let span = self.place(&[
                        "nodes",
                        name,
                        "services",
                        "dns",
                        "zones",
                        zone,
                        "allow_transfer",
                        &index.to_string(),
                    ]);
                    self.error(
                        "net::subnet",
                        span,
                        format!("`{who}` is not a network, subnet or address"),
                        "for example 192.168.1.6",
                    );
                }
            }
        }
        for (zone, servers) in dns.forward.iter().flat_map(|f| f.0.iter()) {
            if servers.is_empty() {
                let span = self.key(&["nodes", name, "services", "dns", "forward", zone]);
                self.error(
                    "dns::zone",
                    span,
                    format!("nobody is asked for {zone}"),
                    "name at least one server",
                );
            }
        }
    }
}
