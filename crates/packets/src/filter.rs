//! Filter expressions for captures: `tcp port 25 and host 192.168.1.2`, `not arp`.
//!
//! ```text
//! expression = term { ("or" | "||") term }
//! term       = factor { ("and" | "&&") factor }
//! factor     = ("not" | "!") factor | "(" expression ")" | primitive
//! primitive  = arp | ip | ip6 | tcp | udp | icmp | dns | dhcp | rip | smtp | pop3 | imap | http | tls
//!            | [tcp|udp] [src|dst] port N | [src|dst] host ADDRESS | [src|dst] net PREFIX
//!            | [src|dst] mac MAC | node NAME | network NAME
//! ```

use std::net::IpAddr;

use ipnet::IpNet;

use crate::dissect::Dissection;
use crate::frame::Sighting;

/// How deep parentheses may lie in each other.
const MAX_DEPTH: usize = 32;
/// The words of an expression at most.
const MAX_WORDS: usize = 500;

/// Why an expression is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the filter `{expression}` is not understood at word {word}: {reason}")]
pub struct Error {
    /// The expression.
    pub expression: String,
    /// The word's number, from 1.
    pub word: usize,
    /// Why.
    pub reason: String,
}

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Everything.
    All,
    /// One of them.
    Or(Vec<Filter>),
    /// All of them.
    And(Vec<Filter>),
    /// Not it.
    Not(Box<Filter>),
    /// A protocol on any layer.
    Protocol(String),
    /// A port.
    Port(Side, Option<String>, u16),
    /// An address.
    Net(Side, IpNet),
    /// A MAC address.
    Mac(Side, String),
    /// A node that sent or received it.
    Node(String),
    /// A network.
    Network(String),
}

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Either.
    Any,
    /// The sender's.
    Source,
    /// The receiver's.
    Destination,
}

impl Filter {
    /// Reads an expression; the empty one is everything.
    ///
    /// # Errors
    /// At which word it is not understood, and why.
    pub fn parse(expression: &str) -> Result<Self, Error> {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('!', " ! ");
        let words: Vec<&str> = spaced.split_whitespace().take(MAX_WORDS).collect();
        if words.is_empty() {
            return Ok(Self::All);
        }
        let mut parser = Parser { words: &words, at: 0 };
        let fail = |at: usize, reason: String| Error {
            expression: expression.into(),
            word: at + 1,
            reason,
        };
        let filter = parser.any_of(0).map_err(|reason| fail(parser.at, reason))?;
        match parser.peek() {
            None => Ok(filter),
            Some(word) => {
                Err(fail(parser.at, format!("`{word}` does not follow; join with `and` or `or`")))
            }
        }
    }

    /// Whether a frame passes.
    pub fn passes(&self, sighting: &Sighting, found: &Dissection) -> bool {
        match self {
            Self::All => true,
            Self::Or(filters) => filters.iter().any(|filter| filter.passes(sighting, found)),
            Self::And(filters) => filters.iter().all(|filter| filter.passes(sighting, found)),
            Self::Not(filter) => !filter.passes(sighting, found),
            Self::Protocol(name) => match name.as_str() {
                "ip" => found.ip.is_some_and(|ip| ip.source.is_ipv4()),
                "ip6" => found.ip.is_some_and(|ip| ip.source.is_ipv6()),
                "tcp" => found.tcp.is_some(),
                "udp" => found.udp.is_some(),
                "arp" => found.arp.is_some(),
                "icmp" => found.icmp.is_some(),
                name => {
                    let by_port =
                        |port| crate::dissect::by_port(port).is_some_and(|app| app.name == name);
                    found.protocol == *name
                        || found
                            .tcp
                            .as_ref()
                            .is_some_and(|tcp| by_port(tcp.source) || by_port(tcp.destination))
                }
            },
            Self::Port(side, transport, port) => {
                let right = match transport.as_deref() {
                    Some("tcp") => found.tcp.is_some(),
                    Some("udp") => found.udp.is_some(),
                    _ => true,
                };
                right && found.ports().is_some_and(|(s, d)| side.either(s == *port, d == *port))
            }
            Self::Net(side, net) => {
                let ends: Option<(IpAddr, IpAddr)> = match (&found.ip, &found.arp) {
                    (Some(ip), _) => Some((ip.source, ip.destination)),
                    (None, Some(arp)) => Some((arp.sender.1.into(), arp.target.1.into())),
                    _ => None,
                };
                ends.is_some_and(|(s, d)| side.either(net.contains(&s), net.contains(&d)))
            }
            Self::Mac(side, mac) => found
                .macs
                .is_some_and(|(s, d)| side.either(s.to_string() == *mac, d.to_string() == *mac)),
            Self::Node(name) => {
                sighting.sender.as_deref() == Some(name.as_str())
                    || sighting.receivers.iter().any(|one| one == name)
            }
            Self::Network(name) => sighting.network == *name,
        }
    }
}

impl Side {
    fn either(self, source: bool, destination: bool) -> bool {
        match self {
            Self::Any => source || destination,
            Self::Source => source,
            Self::Destination => destination,
        }
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn take(&mut self, one_of: &[&str]) -> bool {
        let here = self.peek().is_some_and(|word| one_of.contains(&word));
        self.at += usize::from(here);
        here
    }

    fn any_of(&mut self, depth: usize) -> Result<Filter, String> {
        let mut filters = vec![self.all_of(depth)?];
        while self.take(&["or", "||"]) {
            filters.push(self.all_of(depth)?);
        }
        Ok(if filters.len() == 1 { filters.remove(0) } else { Filter::Or(filters) })
    }

    fn all_of(&mut self, depth: usize) -> Result<Filter, String> {
        let mut filters = vec![self.factor(depth)?];
        while self.take(&["and", "&&"]) {
            filters.push(self.factor(depth)?);
        }
        Ok(if filters.len() == 1 { filters.remove(0) } else { Filter::And(filters) })
    }

    fn factor(&mut self, depth: usize) -> Result<Filter, String> {
        if depth > MAX_DEPTH {
            return Err("too many parentheses".into());
        }
        if self.take(&["not", "!"]) {
            return Ok(Filter::Not(Box::new(self.factor(depth + 1)?)));
        }
        if self.take(&["("]) {
            let inner = self.any_of(depth + 1)?;
            return if self.take(&[")"]) { Ok(inner) } else { Err("`)` is missing".into()) };
        }
        self.primitive()
    }

    /// The last word is not what it should be.
    fn wrong(&mut self, reason: String) -> String {
        self.at -= 1;
        reason
    }

    fn argument(&mut self, what: &str) -> Result<&'a str, String> {
        let word = self.peek().ok_or_else(|| format!("{what} is missing"))?;
        self.at += 1;
        Ok(word)
    }

    fn primitive(&mut self) -> Result<Filter, String> {
        const PROTOCOLS: [&str; 15] = [
            "arp", "ip", "ip6", "tcp", "udp", "icmp", "dns", "dhcp", "rip", "smtp", "pop3", "imap",
            "http", "tls", "icmpv6",
        ];
        let mut word = self.argument("a condition")?;
        let mut transport = None;
        if matches!(word, "tcp" | "udp") && matches!(self.peek(), Some("port" | "src" | "dst")) {
            transport = Some(word.to_owned());
            word = self.argument("`port`")?;
        }
        let side = match word {
            "src" => Side::Source,
            "dst" => Side::Destination,
            _ => Side::Any,
        };
        if side != Side::Any {
            word = self.argument("`host`, `net`, `port` or `mac`")?;
        }
        match word {
            "port" => {
                let number = self.argument("a port")?;
                let port =
                    number.parse().map_err(|_| self.wrong(format!("`{number}` is not a port")))?;
                Ok(Filter::Port(side, transport, port))
            }
            _ if transport.is_some() => Err("after `tcp` or `udp` and a side comes `port`".into()),
            "host" => {
                let text = self.argument("an address")?;
                let address: IpAddr =
                    text.parse().map_err(|_| self.wrong(format!("`{text}` is not an address")))?;
                Ok(Filter::Net(side, IpNet::from(address)))
            }
            "net" => {
                let text = self.argument("a prefix")?;
                let why = || format!("`{text}` is not a prefix such as 10.0.0.0/8");
                let net = text.parse().map_err(|_| self.wrong(why()))?;
                Ok(Filter::Net(side, net))
            }
            "mac" => Ok(Filter::Mac(side, self.argument("a MAC address")?.to_ascii_lowercase())),
            "node" => Ok(Filter::Node(self.argument("a node")?.to_owned())),
            "network" => Ok(Filter::Network(self.argument("a network")?.to_owned())),
            word if side == Side::Any && PROTOCOLS.contains(&word) => {
                Ok(Filter::Protocol(word.to_owned()))
            }
            word => Err(self.wrong(format!(
                "`{word}` is not a condition; try `port 25`, `host 192.168.1.2`, `node pc0`, `arp`"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read() {
        assert_eq!(Filter::parse(" ").unwrap(), Filter::All);
        let filter = Filter::parse("tcp port 25 and not (host 10.0.0.1 or !arp)").unwrap();
        assert!(matches!(filter, Filter::And(ref all) if all.len() == 2), "{filter:?}");
        assert!(Filter::parse("tcp dst port 110").is_ok());
        assert!(Filter::parse("src net 10.0.0.0/8 || node pc0").is_ok());
    }

    #[test]
    fn mistakes_say_where() {
        for (text, word) in
            [("tcp udp", 2), ("port x", 2), ("foo", 1), ("( arp", 3), ("host", 2), ("arp and", 3)]
        {
            let error = Filter::parse(text).unwrap_err();
            assert_eq!(error.word, word, "{error}");
        }
        assert!(Filter::parse(&"(".repeat(400)).is_err());
    }
}
