//! One record in master-file notation, and the names of zones.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::plan::Record;

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
    // One final dot; alone it is the root.
    let below = name.strip_suffix('.').unwrap_or(name);
    name == "."
        || below.len() <= 253
            && below.split('.').all(|label| {
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
pub(super) fn reverse_zone(net: Ipv4Net) -> String {
    let octets = net.network().octets();
    let count = usize::from(net.prefix_len() / 8).clamp(1, 3);
    let labels: Vec<String> = octets[..count].iter().rev().map(ToString::to_string).collect();
    format!("{}.in-addr.arpa", labels.join("."))
}

/// The name of an address in the reverse tree.
pub(super) fn reverse_name(address: Ipv4Addr) -> String {
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

/// A zone's name as plans have it: without the final dot, `.` for the root.
pub(super) fn zone_name(name: &str) -> String {
    match name.trim_end_matches('.') {
        "" => ".".to_owned(),
        name => name.to_ascii_lowercase(),
    }
}

/// The zone that a name belongs to where nobody said: its last two labels.
pub(super) fn usual_zone(name: &str) -> String {
    let name = name.trim_end_matches('.');
    let labels: Vec<&str> = name.split('.').collect();
    let keep = if name.ends_with(".in-addr.arpa") {
        labels.len().saturating_sub(1).clamp(3, 5)
    } else {
        2
    };
    labels[labels.len().saturating_sub(keep)..].join(".")
}

/// A record that follows from the rest of the lab.
pub(super) fn record(name: String, kind: &str, data: String) -> Record {
    Record { name, ttl: TTL, r#type: kind.to_owned(), data, derived: true }
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
            ("... A 1.2.3.4", "..."),
            ("a.b.. A 1.2.3.4", "a.b.."),
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
