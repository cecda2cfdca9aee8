//! DNS servers: zones from records, and the records that follow from the rest of the lab.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Builder;
use crate::diagnostic::{Problem, Span};
use crate::plan::{Dns, Record, Zone};

/// Seconds to live of a record that does not say.
const TTL: u32 = 3600;

/// The types whose data is names: how many words come before the name.
fn names_in(kind: &str) -> &'static [usize] {
    match kind {
        "NS" | "CNAME" | "PTR" | "DNAME" => &[0],
        "MX" => &[1],
        "SRV" => &[3],
        "SOA" => &[0, 1],
        _ => &[],
    }
}

/// Types that a lab's records may have.
pub(crate) const TYPES: &[&str] = &[
    "A", "AAAA", "NS", "CNAME", "DNAME", "PTR", "MX", "TXT", "SOA", "SRV", "CAA", "SPF", "HINFO",
    "NAPTR", "SSHFP", "TLSA", "DS", "DNSKEY", "SVCB", "HTTPS", "LOC", "RP",
];

/// Splits a line at blanks; quotes hold together, and what follows `;` is a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.push(c);
            }
            ';' if !quoted => break,
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// A name with final dot: as it stands, or below `origin`.
fn absolute(name: &str, origin: Option<&str>) -> String {
    let lower = name.to_ascii_lowercase();
    match origin {
        _ if lower.ends_with('.') => lower,
        Some(origin) if name == "@" => format!("{}.", origin.trim_end_matches('.')),
        Some(".") => format!("{lower}."),
        Some(origin) => format!("{lower}.{}.", origin.trim_end_matches('.')),
        None => format!("{lower}."),
    }
}

/// Whether a text may be a domain name in a record.
fn is_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.is_empty()
        || name.len() <= 253
            && name.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|b| {
                        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'*' | b'/')
                    })
            })
}

/// Reads one record in master-file notation: `mail.com. 3600 IN MX 10 mail.com.`. Names without a
/// final dot are below `origin`, or whole where there is none.
pub(crate) fn parse_record(line: &str, origin: Option<&str>) -> Result<Record, String> {
    let mut words = words(line).into_iter();
    let Some(owner) = words.next() else { return Err("the record is empty".to_owned()) };
    if owner == "@" && origin.is_none() {
        return Err("`@` needs a zone: write the name, or the record under `zones:`".to_owned());
    }
    if owner.starts_with('$') {
        return Err(format!("`{owner}` belongs into a zone file; here each line is one record"));
    }
    if !is_name(&owner) && owner != "@" {
        return Err(format!("`{owner}` is not a domain name"));
    }
    let (mut ttl, mut kind) = (TTL, None);
    for word in words.by_ref() {
        let upper = word.to_ascii_uppercase();
        if let Ok(seconds) = word.parse::<u32>() {
            ttl = seconds;
        } else if upper == "IN" {
        } else {
            kind = Some(upper);
            break;
        }
    }
    let Some(kind) = kind else { return Err("the record has no type".to_owned()) };
    if !TYPES.contains(&kind.as_str()) && !kind.starts_with("TYPE") {
        let help = crate::decode::nearest(&kind, TYPES.iter().copied());
        return Err(match help {
            Some(near) => format!("`{kind}` is not a record type; did you mean `{near}`?"),
            None => format!("`{kind}` is not a record type such as A, MX, CNAME, NS, PTR, TXT"),
        });
    }
    let mut data: Vec<String> = words.collect();
    let least = match kind.as_str() {
        "MX" => 2,
        "SRV" => 4,
        "SOA" => 7,
        _ => 1,
    };
    if kind == "MX" && data.len() == 1 && data[0].parse::<u16>().is_err() {
        return Err(format!("MX needs a preference before the name: MX 10 {}", data[0]));
    }
    if data.len() < least {
        return Err(format!(
            "{kind} needs {least} {} of data",
            if least == 1 { "word" } else { "words" }
        ));
    }
    match kind.as_str() {
        "A" if data.len() != 1 || data[0].parse::<Ipv4Addr>().is_err() => {
            return Err(format!("A needs one IPv4 address, not `{}`", data.join(" ")));
        }
        "AAAA" if data[0].parse::<std::net::Ipv6Addr>().is_err() => {
            return Err(format!("AAAA needs an IPv6 address, not `{}`", data[0]));
        }
        "MX" if data[0].parse::<u16>().is_err() => {
            return Err(format!("the preference of MX is a number, not `{}`", data[0]));
        }
        "TXT" | "SPF" => {
            for word in &mut data {
                if !word.starts_with('"') {
                    *word = format!("\"{word}\"");
                }
            }
        }
        _ => {}
    }
    for at in names_in(&kind) {
        if let Some(name) = data.get_mut(*at) {
            if !is_name(name) && name != "@" {
                return Err(format!("`{name}` is not a domain name"));
            }
            *name = absolute(name, origin);
        }
    }
    Ok(Record {
        name: absolute(&owner, origin),
        ttl,
        r#type: kind,
        data: data.join(" "),
        derived: false,
    })
}

/// The reverse zone of a network: whole octets, `1.168.192.in-addr.arpa` for a /24 and longer.
pub(crate) fn reverse_zone(net: Ipv4Net) -> String {
    let octets = net.network().octets();
    let count = usize::from(net.prefix_len() / 8).clamp(1, 3);
    let labels: Vec<String> = octets[..count].iter().rev().map(ToString::to_string).collect();
    format!("{}.in-addr.arpa", labels.join("."))
}

fn reverse_name(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
}

/// Whether `name` is `zone` or below it; both may have a final dot.
pub(crate) fn within(name: &str, zone: &str) -> bool {
    let (name, zone) = (name.trim_end_matches('.'), zone.trim_end_matches('.'));
    zone.is_empty()
        || name == zone
        || name.strip_suffix(zone).is_some_and(|front| front.ends_with('.'))
}

/// The zone that a name belongs to where nobody said: its last two labels.
fn usual_zone(name: &str) -> String {
    let name = name.trim_end_matches('.');
    let labels: Vec<&str> = name.split('.').collect();
    let keep = if name.ends_with(".in-addr.arpa") {
        labels.len().saturating_sub(1).clamp(3, 5)
    } else {
        2
    };
    labels[labels.len().saturating_sub(keep)..].join(".")
}

fn record(name: String, kind: &str, data: String) -> Record {
    Record { name, ttl: TTL, r#type: kind.to_owned(), data, derived: true }
}

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
            let origin = if zone == "." {
                ".".to_owned()
            } else {
                zone.trim_end_matches('.').to_ascii_lowercase()
            };
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
                    .map(|who| self.subnet_text(who))
                    .collect(),
                notify: Vec::new(),
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

    /// A mail domain's MX and A, a web site's A: where a server of the lab has the zone, or there
    /// is only one DNS server to have it.
    fn derived_names(&mut self, servers: &[usize]) {
        let mut wanted: Vec<(String, Option<String>, Ipv4Addr)> = Vec::new();
        for node in &self.plan.nodes {
            let Some(address) = node.address() else { continue };
            if let Some(mail) = &node.services.mail {
                for domain in &mail.domains {
                    let name =
                        format!("{}.", domain.name.trim_end_matches('.').to_ascii_lowercase());
                    wanted.push((name.clone(), Some(name), address));
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
                let derive = self
                    .file
                    .nodes
                    .0
                    .get(at)
                    .and_then(|(_, n)| n.services.dns.as_ref())
                    .is_some_and(|dns| dns.derive);
                let dnssec = self
                    .file
                    .nodes
                    .0
                    .get(at)
                    .and_then(|(_, n)| n.services.dns.as_ref())
                    .is_some_and(|dns| dns.dnssec);
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

    /// A secondary of the lab may copy the zone from its primary, and is told about changes.
    fn transfers(&mut self, servers: &[usize]) {
        let mut copies: Vec<(Ipv4Addr, String, Ipv4Addr)> = Vec::new();
        for at in servers {
            let node = &self.plan.nodes[*at];
            let (Some(own), Some(dns)) = (node.address(), &node.services.dns) else { continue };
            for zone in &dns.zones {
                copies.extend(
                    zone.primaries.iter().map(|primary| (*primary, zone.name.clone(), own)),
                );
            }
        }
        for (primary, zone, secondary) in copies {
            let Some(at) = servers
                .iter()
                .find(|at| self.plan.nodes[**at].addresses().any(|net| net.addr() == primary))
            else {
                continue;
            };
            if let Some(dns) = &mut self.plan.nodes[*at].services.dns
                && let Some(zone) = dns.zones.iter_mut().find(|z| z.name == zone)
            {
                let host = format!("{secondary}/32");
                let ours = |who: &String| zone.notify.iter().any(|a| *who == format!("{a}/32"));
                if zone.allow_transfer.iter().all(ours) {
                    zone.allow_transfer.push(host);
                }
                zone.notify.push(secondary);
            }
        }
    }

    /// SOA and NS of each zone, and the reverse zones of its addresses.
    fn finish_zones(&mut self, at: usize) {
        let derive = self
            .file
            .nodes
            .0
            .get(at)
            .and_then(|(_, n)| n.services.dns.as_ref())
            .is_some_and(|dns| dns.derive);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_in_a_zone_file() {
        let read = |line: &str, origin: Option<&str>| {
            parse_record(line, origin)
                .map(|r| format!("{} {} {} {}", r.name, r.ttl, r.r#type, r.data))
        };
        assert_eq!(read("mail.com. A 192.168.1.2", None).unwrap(), "mail.com. 3600 A 192.168.1.2");
        assert_eq!(
            read("Mail.com 60 IN MX 10 mail.com", None).unwrap(),
            "mail.com. 60 MX 10 mail.com."
        );
        assert_eq!(read("@ IN 60 NS ns ; first", Some("a.b")).unwrap(), "a.b. 60 NS ns.a.b.");
        assert_eq!(
            read("x TXT \"v=spf1 mx -all\"", Some("a.b")).unwrap(),
            "x.a.b. 3600 TXT \"v=spf1 mx -all\""
        );
        assert_eq!(read("x CNAME @", Some("a.b")).unwrap(), "x.a.b. 3600 CNAME a.b.");
        for (line, why) in [
            ("", "empty"),
            ("a.b", "no type"),
            ("a.b. AX 1.2.3.4", "AX"),
            ("a.b. A 1.2.3", "1.2.3"),
            ("a.b. MX mail.com.", "MX 10 mail.com."),
            ("a..b A 1.2.3.4", "a..b"),
            ("@ A 1.2.3.4", "@"),
            ("a SOA b c", "7 words"),
        ] {
            let error = parse_record(line, None).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn zones_are_told_from_names() {
        assert_eq!(usual_zone("www.mastertech.com."), "mastertech.com");
        assert_eq!(usual_zone("com."), "com");
        assert_eq!(usual_zone("2.1.168.192.in-addr.arpa."), "1.168.192.in-addr.arpa");
        assert_eq!(reverse_zone("192.168.1.0/24".parse().unwrap()), "1.168.192.in-addr.arpa");
        assert_eq!(reverse_zone("10.0.0.0/8".parse().unwrap()), "10.in-addr.arpa");
        assert_eq!(reverse_zone("192.168.1.128/25".parse().unwrap()), "1.168.192.in-addr.arpa");
        assert!(
            within("mail.com.", "mail.com")
                && within("a.mail.com", "mail.com.")
                && !within("xmail.com", "mail.com")
        );
    }
}
