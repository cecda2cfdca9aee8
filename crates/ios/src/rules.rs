//! Access list entries, read from their words and written back.

use std::net::Ipv4Addr;

use crate::config::{AccessList, Addresses, Ports, RouterConfig, Rule, Verdict};

/// Names of ports that may stand for their numbers.
const PORTS: [(&str, u16); 24] = [
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("www", 80),
    ("http", 80),
    ("pop2", 109),
    ("pop3", 110),
    ("sunrpc", 111),
    ("nntp", 119),
    ("ntp", 123),
    ("imap", 143),
    ("snmp", 161),
    ("snmptrap", 162),
    ("bgp", 179),
    ("https", 443),
    ("syslog", 514),
    ("rip", 520),
];

/// Names of ICMP messages with type and code.
const ICMP: [(&str, (u8, Option<u8>)); 9] = [
    ("echo-reply", (0, None)),
    ("echo", (8, None)),
    ("unreachable", (3, None)),
    ("net-unreachable", (3, Some(0))),
    ("host-unreachable", (3, Some(1))),
    ("port-unreachable", (3, Some(3))),
    ("redirect", (5, None)),
    ("ttl-exceeded", (11, Some(0))),
    ("time-exceeded", (11, None)),
];

const PROTOCOLS: [(&str, u8); 6] =
    [("icmp", 1), ("tcp", 6), ("udp", 17), ("gre", 47), ("esp", 50), ("ospf", 89)];

/// The list of this name, made where it is missing.
pub(crate) fn list<'a>(
    config: &'a mut RouterConfig,
    name: &str,
    extended: bool,
) -> Result<&'a mut AccessList, String> {
    if let Ok(number) = name.parse::<u32>() {
        let (first, second) =
            if extended { (100..=199, 2000..=2699) } else { (1..=99, 1300..=1999) };
        if !first.contains(&number) && !second.contains(&number) {
            let kind = if extended {
                "an extended list: 100 to 199, 2000 to 2699"
            } else {
                "a standard list: 1 to 99, 1300 to 1999"
            };
            return Err(format!("{number} is not the number of {kind}"));
        }
    }
    let at = config.access_lists.iter().position(|list| list.name == name).unwrap_or_else(|| {
        config.access_lists.push(AccessList { name: name.to_owned(), extended, rules: Vec::new() });
        config.access_lists.len() - 1
    });
    let list = &mut config.access_lists[at];
    if list.extended != extended {
        let kind = if list.extended { "an extended" } else { "a standard" };
        return Err(format!(
            "{name} is {kind} access list already: remove it first or choose another name"
        ));
    }
    Ok(list)
}

/// Adds, replaces or removes one entry.
pub(crate) fn edit(
    config: &mut RouterConfig,
    name: &str,
    extended: bool,
    no: bool,
    words: &[&str],
) -> Result<(), String> {
    let list = list(config, name, extended)?;
    let (sequence, words) = match words {
        [number, rest @ ..] if number.parse::<u32>().is_ok() => (number.parse().ok(), rest),
        _ => (None, words),
    };
    if no && words.is_empty() {
        list.rules.retain(|rule| Some(rule.sequence) != sequence);
        return Ok(());
    }
    let next = list.rules.iter().map(|rule| rule.sequence).max().unwrap_or(0) / 10 * 10 + 10;
    let mut rule = read(words, extended)?;
    let same = |other: &Rule| Rule { sequence: 0, ..other.clone() } == rule;
    if no {
        list.rules.retain(|other| !same(other));
        return Ok(());
    }
    if list.rules.iter().any(same) {
        return Ok(());
    }
    rule.sequence = sequence.unwrap_or(next);
    list.rules.retain(|other| other.sequence != rule.sequence);
    list.rules.push(rule);
    list.rules.sort_by_key(|rule| rule.sequence);
    Ok(())
}

struct Words<'a>(&'a [&'a str]);

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn next_if(&mut self, test: impl Fn(&str) -> bool) -> Option<&'a str> {
        if self.0.first().is_some_and(|word| test(word)) { self.next() } else { None }
    }

    fn addresses(&mut self, wildcard_needed: bool) -> Result<Addresses, String> {
        let missing = || "an address is missing".to_owned();
        let parse = |text: &str| {
            text.parse::<Ipv4Addr>().map_err(|_| format!("`{text}` is not an address"))
        };
        match self.next().ok_or_else(missing)? {
            "any" => Ok(Addresses::ANY),
            "host" => Ok(Addresses::host(parse(self.next().ok_or_else(missing)?)?)),
            text => {
                let address = parse(text)?;
                let wildcard = self.next_if(|word| word.parse::<Ipv4Addr>().is_ok());
                if wildcard.is_none() && wildcard_needed {
                    return Err(format!("the wildcard mask after {address} is missing"));
                }
                let wildcard = wildcard.map_or(Ok(Ipv4Addr::UNSPECIFIED), parse)?;
                let care = !u32::from(wildcard);
                Ok(Addresses { address: Ipv4Addr::from(u32::from(address) & care), wildcard })
            }
        }
    }

    fn ports(&mut self) -> Result<Option<Ports>, String> {
        let Some(operator) = self.next_if(|w| matches!(w, "eq" | "gt" | "lt" | "neq" | "range"))
        else {
            return Ok(None);
        };
        let first = port(self.next().unwrap_or_default())?;
        Ok(Some(match operator {
            "eq" => Ports::Between(first, first),
            "neq" => Ports::Not(first),
            "gt" => Ports::Between(
                first.checked_add(1).ok_or("no port is greater than 65535")?,
                u16::MAX,
            ),
            "lt" => Ports::Between(0, first.checked_sub(1).ok_or("no port is less than 0")?),
            _ => {
                let last = port(self.next().unwrap_or_default())?;
                Ports::Between(first.min(last), first.max(last))
            }
        }))
    }
}

fn port(text: &str) -> Result<u16, String> {
    let named =
        PORTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, port)| *port);
    named.or_else(|| text.parse().ok()).ok_or_else(|| {
        format!("`{text}` is not a port: a number from 0 to 65535, or a name such as www, smtp, pop3, domain")
    })
}

/// Reads an entry's words from `permit`, `deny` or `remark` on.
fn read(words: &[&str], extended: bool) -> Result<Rule, String> {
    let mut words = Words(words);
    let mut rule = Rule {
        sequence: 0,
        verdict: None,
        remark: None,
        protocol: None,
        source: Addresses::ANY,
        source_port: None,
        destination: Addresses::ANY,
        destination_port: None,
        icmp: None,
        established: false,
        log: false,
    };
    match words.next() {
        Some("remark") => {
            rule.remark = Some(words.0.join(" "));
            return Ok(rule);
        }
        Some("permit") => rule.verdict = Some(Verdict::Permit),
        _ => rule.verdict = Some(Verdict::Deny),
    }
    if extended {
        let name = words.next().unwrap_or("ip");
        rule.protocol = match PROTOCOLS.iter().find(|(other, _)| *other == name) {
            Some((_, number)) => Some(*number),
            None => name.parse().ok(),
        };
        rule.source = words.addresses(true)?;
        rule.source_port = words.ports()?;
        rule.destination = words.addresses(true)?;
        rule.destination_port = words.ports()?;
        if rule.protocol == Some(1)
            && let Some(kind) = words.next_if(|word| word != "log")
        {
            rule.icmp = match ICMP.iter().find(|(name, _)| *name == kind) {
                Some((_, message)) => Some(*message),
                None => {
                    let code = words.next_if(|word| word.parse::<u8>().is_ok());
                    let number =
                        kind.parse().map_err(|_| format!("`{kind}` is not an ICMP message"))?;
                    Some((number, code.and_then(|code| code.parse().ok())))
                }
            };
        }
        rule.established = words.next_if(|word| word == "established").is_some();
        if rule.established && rule.protocol != Some(6) {
            return Err("`established` is for tcp only".into());
        }
    } else {
        rule.source = words.addresses(false)?;
    }
    rule.log = words.next_if(|word| word == "log").is_some();
    Ok(rule)
}

fn write_addresses(addresses: &Addresses, standard: bool) -> String {
    match addresses {
        a if a.is_any() => "any".into(),
        a if a.wildcard.is_unspecified() && standard => a.address.to_string(),
        a if a.wildcard.is_unspecified() => format!("host {}", a.address),
        a => format!("{} {}", a.address, a.wildcard),
    }
}

fn write_ports(ports: &Option<Ports>) -> String {
    let name = |port: u16| {
        let named = PORTS.iter().find(|(name, p)| *p == port && *name != "http");
        named.map_or(port.to_string(), |(name, _)| (*name).into())
    };
    match *ports {
        None => String::new(),
        Some(Ports::Not(port)) => format!(" neq {}", name(port)),
        Some(Ports::Between(a, b)) if a == b => format!(" eq {}", name(a)),
        Some(Ports::Between(0, b)) => format!(" lt {}", name(b.saturating_add(1))),
        Some(Ports::Between(a, u16::MAX)) => format!(" gt {}", name(a.saturating_sub(1))),
        Some(Ports::Between(a, b)) => format!(" range {} {}", name(a), name(b)),
    }
}

/// Writes an entry as it is typed, without its sequence number.
pub(crate) fn write(rule: &Rule, extended: bool) -> String {
    let Some(verdict) = rule.verdict else {
        return format!("remark {}", rule.remark.as_deref().unwrap_or_default());
    };
    let mut text = String::from(if verdict == Verdict::Permit { "permit" } else { "deny" });
    if extended {
        let number = rule.protocol;
        let named =
            PROTOCOLS.iter().find(|(_, n)| Some(*n) == number).map(|(name, _)| (*name).to_owned());
        let protocol = named.or(number.map(|n| n.to_string())).unwrap_or("ip".into());
        text += &format!(
            " {protocol} {}{} {}{}",
            write_addresses(&rule.source, false),
            write_ports(&rule.source_port),
            write_addresses(&rule.destination, false),
            write_ports(&rule.destination_port)
        );
        if let Some(message) = rule.icmp {
            match ICMP.iter().find(|(_, other)| *other == message) {
                Some((name, _)) => text += &format!(" {name}"),
                None => {
                    text += &format!(" {}", message.0);
                    text += &message.1.map(|code| format!(" {code}")).unwrap_or_default();
                }
            }
        }
        if rule.established {
            text += " established";
        }
    } else {
        text += &format!(" {}", write_addresses(&rule.source, true));
    }
    if rule.log {
        text += " log";
    }
    text
}
