//! Reads expressions.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Error, Filter, Side};

/// How deep parentheses may lie in each other.
const MAX_DEPTH: usize = 32;
/// The words of an expression at most.
const MAX_WORDS: usize = 500;
/// Words that are a condition by themselves.
const PROTOCOLS: [&str; 18] = [
    "arp", "ip", "ip6", "tcp", "udp", "icmp", "icmp6", "icmpv6", "vlan", "dns", "dhcp", "rip",
    "smtp", "pop3", "imap", "http", "tls", "igmp",
];
/// The names of ports that tcpdump takes from the list of services.
const SERVICES: [(&str, u16); 16] = [
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("http", 80),
    ("pop3", 110),
    ("imap2", 143),
    ("imap", 143),
    ("https", 443),
    ("submission", 587),
    ("submissions", 465),
    ("imaps", 993),
    ("pop3s", 995),
];

/// What a value alone takes over.
#[derive(Clone, Copy, Debug)]
struct Before<'a> {
    protocol: Option<&'a str>,
    side: Side,
    kind: &'a str,
}

struct Parser<'a> {
    words: &'a [&'a str],
    at: usize,
    before: Option<Before<'a>>,
}

pub fn parse(expression: &str) -> Result<Filter, Error> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('!', " ! ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let fail =
        |at: usize, reason: String| Error { expression: expression.into(), word: at + 1, reason };
    if words.is_empty() {
        return Ok(Filter::All);
    }
    if words.len() > MAX_WORDS {
        return Err(fail(MAX_WORDS, format!("it has more than {MAX_WORDS} words")));
    }
    let mut parser = Parser { words: &words, at: 0, before: None };
    let filter = parser.any_of(0).map_err(|reason| fail(parser.at, reason))?;
    match parser.peek() {
        None => Ok(filter),
        Some(word) => {
            Err(fail(parser.at, format!("`{word}` does not follow; join with `and` or `or`")))
        }
    }
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn take(&mut self, one_of: &[&str]) -> Option<&'a str> {
        let word = self.peek().filter(|word| one_of.contains(word))?;
        self.at += 1;
        Some(word)
    }

    fn any_of(&mut self, depth: usize) -> Result<Filter, String> {
        let mut filters = vec![self.all_of(depth)?];
        while self.take(&["or", "||"]).is_some() {
            filters.push(self.all_of(depth)?);
        }
        Ok(if filters.len() == 1 { filters.remove(0) } else { Filter::Or(filters) })
    }

    fn all_of(&mut self, depth: usize) -> Result<Filter, String> {
        let mut filters = vec![self.factor(depth)?];
        loop {
            let joined = self.take(&["and", "&&"]).is_some();
            let follows = self.peek().is_some_and(|word| !["or", "||", ")"].contains(&word));
            if !joined && !follows {
                break;
            }
            filters.push(self.factor(depth)?);
        }
        Ok(if filters.len() == 1 { filters.remove(0) } else { Filter::And(filters) })
    }

    fn factor(&mut self, depth: usize) -> Result<Filter, String> {
        if depth > MAX_DEPTH {
            return Err("too many parentheses".into());
        }
        if self.take(&["not", "!"]).is_some() {
            return Ok(Filter::Not(Box::new(self.factor(depth + 1)?)));
        }
        if self.take(&["("]).is_some() {
            let inner = self.any_of(depth + 1)?;
            return match self.take(&[")"]) {
                Some(_) => Ok(inner),
                None => Err("`)` is missing".into()),
            };
        }
        self.primitive()
    }

    /// The last word is not what it should be.
    fn wrong<T>(&mut self, reason: String) -> Result<T, String> {
        self.at -= 1;
        Err(reason)
    }

    fn argument(&mut self, what: &str) -> Result<&'a str, String> {
        let word = self.peek().ok_or_else(|| format!("{what} is missing"))?;
        self.at += 1;
        Ok(word)
    }

    fn primitive(&mut self) -> Result<Filter, String> {
        if self.take(&["ether"]).is_some() {
            return self.ether();
        }
        let start = self.at;
        let protocol = self.take(&["ip", "ip6", "arp", "tcp", "udp"]);
        if protocol == Some("ip") && self.take(&["proto"]).is_some() {
            return Ok(Filter::Number(self.number("a protocol's number", "proto")?));
        }
        let side = match self.take(&["src", "dst"]) {
            Some("src") => Side::Source,
            Some(_) => Side::Destination,
            None => Side::Any,
        };
        let kind = self.take(&["host", "net", "port", "portrange"]);
        let before = match (protocol, side, kind) {
            (_, _, Some(kind)) => Before { protocol, side, kind },
            // `src 10.0.0.1` is `src host 10.0.0.1`.
            (_, Side::Source | Side::Destination, None) => Before { protocol, side, kind: "host" },
            _ => {
                self.at = start;
                return self.word();
            }
        };
        self.before = Some(before);
        self.value(before)
    }

    /// The value that follows the words `before`.
    fn value(&mut self, before: Before<'a>) -> Result<Filter, String> {
        let Before { protocol, side, kind } = before;
        let filter = match kind {
            "port" => {
                let port = self.port()?;
                Filter::Port(side, port..=port)
            }
            "portrange" => {
                let text = self.argument("a range of ports")?;
                let ends = text
                    .split_once('-')
                    .and_then(|(a, b)| Some((a.parse::<u16>().ok()?, b.parse::<u16>().ok()?)));
                match ends.filter(|(a, b)| a <= b) {
                    Some((a, b)) => Filter::Port(side, a..=b),
                    None => return self.wrong(format!("`{text}` is not a range such as 20-25")),
                }
            }
            "net" => {
                let text = self.argument("a prefix")?;
                match text.parse() {
                    Ok(net) => Filter::Net(side, net),
                    Err(_) => {
                        return self.wrong(format!("`{text}` is not a prefix such as 10.0.0.0/8"));
                    }
                }
            }
            _ => {
                let text = self.argument("an address")?;
                match text.parse::<IpAddr>() {
                    Ok(address) => Filter::Net(side, IpNet::from(address)),
                    Err(_) => {
                        return self.wrong(format!(
                            "`{text}` is not an address; `node {text}` means a node"
                        ));
                    }
                }
            }
        };
        Ok(match protocol {
            Some(protocol) => Filter::And(vec![Filter::Protocol(protocol.into()), filter]),
            None => filter,
        })
    }

    fn ether(&mut self) -> Result<Filter, String> {
        let side = match self.take(&["src", "dst", "host", "broadcast", "multicast"]) {
            Some("src") => Side::Source,
            Some("dst") => Side::Destination,
            Some("broadcast") => return Ok(Filter::Group { broadcast: true }),
            Some("multicast") => return Ok(Filter::Group { broadcast: false }),
            _ => Side::Any,
        };
        Ok(Filter::Mac(side, self.argument("a MAC address")?.to_ascii_lowercase()))
    }

    /// A condition that is one word, or a word and a value.
    fn word(&mut self) -> Result<Filter, String> {
        match self.argument("a condition")? {
            "broadcast" => Ok(Filter::Group { broadcast: true }),
            "multicast" => Ok(Filter::Group { broadcast: false }),
            "less" => Ok(Filter::Length(0..=self.number("a length", "less")?)),
            "greater" => Ok(Filter::Length(self.number("a length", "greater")?..=u32::MAX)),
            "mac" => {
                Ok(Filter::Mac(Side::Any, self.argument("a MAC address")?.to_ascii_lowercase()))
            }
            "node" => Ok(Filter::Node(self.argument("a node")?.to_owned())),
            "network" => Ok(Filter::Network(self.argument("a network")?.to_owned())),
            word if PROTOCOLS.contains(&word) => Ok(Filter::Protocol(word.to_owned())),
            word => {
                self.at -= 1;
                if let Some(before) = self.before {
                    let at = self.at;
                    if let Ok(filter) = self.value(before) {
                        return Ok(filter);
                    }
                    self.at = at;
                }
                Err(format!(
                    "`{word}` is not a condition; try `port 25`, `host 192.168.1.2`, `node pc0`, `arp`"
                ))
            }
        }
    }

    fn port(&mut self) -> Result<u16, String> {
        let text = self.argument("a port")?;
        let named = SERVICES.iter().find(|(name, _)| *name == text).map(|(_, port)| *port);
        match named.or_else(|| text.parse().ok()) {
            Some(port) => Ok(port),
            None => self.wrong(format!("`{text}` is not a port")),
        }
    }

    fn number<T: std::str::FromStr>(&mut self, what: &str, after: &str) -> Result<T, String> {
        let text = self.argument(what)?;
        match text.parse() {
            Ok(number) => Ok(number),
            Err(_) => self.wrong(format!("after `{after}` comes {what}, not `{text}`")),
        }
    }
}
