//! The packet filter of a host: `firewall:` in the lab file.
//!
//! A rule is `ACTION DIRECTION [PROTOCOL [PORT[-PORT]]] [from NET] [to NET]`, as `deny in tcp 25`,
//! `accept in icmp`, `reject out udp 53 to 192.168.1.5`. Actions are `accept` (or `allow`,
//! `permit`), `drop` (or `deny`) and `reject`, directions `in`, `out` and, on a router, `forward`.
//! The first rule that fits decides about a new connection; what fits none passes, and so does
//! what belongs to a connection that was let through.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::Ipv4Net;
use net::nft::{Action, Chain, Family, Hook, Match, Rule, Table};

/// The name of the table.
pub(crate) const TABLE: &str = "firewall";

/// One line.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    text: String,
    direction: Direction,
    verdict: Verdict,
    protocol: Option<u8>,
    ports: Option<RangeInclusive<u16>>,
    from: Option<Ipv4Net>,
    to: Option<Ipv4Net>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Direction {
    In,
    Out,
    Forward,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Allow,
    /// Silently, as a personal firewall does.
    Deny,
    /// With an answer.
    Reject,
}

/// A line that is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the firewall line `{line}` is not understood: {why}; a rule is, for instance, `deny in tcp 25` or `deny out udp 53 to 192.168.1.5`"
)]
pub struct Invalid {
    /// The line.
    pub line: String,
    /// What is wrong with it.
    pub why: String,
}

/// Checks lines as the agent will read them.
///
/// # Errors
/// The first line that is not a rule.
pub fn check(lines: &[String]) -> Result<(), Invalid> {
    lines.iter().try_for_each(|line| line.parse::<Line>().map(|_| ()))
}

/// The filter table of these lines.
pub(crate) fn table(lines: &[String]) -> Result<Table, Invalid> {
    let lines: Vec<Line> = lines.iter().map(|line| line.parse()).collect::<Result<_, _>>()?;
    let chain = |name: &str, hook, direction| {
        let known = Rule { id: String::new(), matches: vec![Match::Known], action: Action::Accept };
        let rules = lines.iter().filter(|line| line.direction == direction).flat_map(Line::rules);
        let rules = std::iter::once(known).chain(rules).collect();
        Chain { name: name.into(), hook: Some(hook), rules }
    };
    Ok(Table {
        family: Family::Ipv4,
        name: TABLE.into(),
        chains: vec![
            chain("in", Hook::Input, Direction::In),
            chain("out", Hook::Output, Direction::Out),
            chain("forward", Hook::Forward, Direction::Forward),
        ],
    })
}

impl Line {
    fn rules(&self) -> Vec<Rule> {
        let mut matches = Vec::new();
        // A node speaks to itself whatever its firewall says.
        let (loopback, mask) = (Ipv4Addr::new(127, 0, 0, 0), Ipv4Addr::new(255, 0, 0, 0));
        let itself = Rule {
            id: String::new(),
            matches: vec![Match::Destination(loopback, mask)],
            action: Action::Accept,
        };
        matches.extend(self.from.map(|net| Match::Source(net.network(), net.netmask())));
        matches.extend(self.to.map(|net| Match::Destination(net.network(), net.netmask())));
        matches.extend(self.protocol.map(Match::Protocol));
        let tcp = self.protocol == Some(6);
        matches.extend(self.ports.clone().map(|ports| Match::DestinationPort(ports, true)));
        let action = match self.verdict {
            Verdict::Allow => Action::Accept,
            Verdict::Deny => Action::Drop,
            Verdict::Reject if tcp => Action::Reset,
            Verdict::Reject => Action::Prohibit,
        };
        vec![itself, Rule { id: self.text.clone(), matches, action }]
    }
}

impl FromStr for Line {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = |why: String| Invalid { line: text.into(), why };
        let mut words = text.split_whitespace().peekable();
        let verdict = match words.next() {
            Some("accept" | "allow" | "permit") => Verdict::Allow,
            Some("deny" | "drop") => Verdict::Deny,
            Some("reject") => Verdict::Reject,
            other => {
                let other = other.unwrap_or_default();
                return Err(invalid(format!(
                    "it begins with `{other}`, not accept, drop or reject"
                )));
            }
        };
        let direction = match words.next() {
            Some("in") => Direction::In,
            Some("out") => Direction::Out,
            Some("forward") => Direction::Forward,
            _ => return Err(invalid("`in`, `out` or `forward` is missing".into())),
        };
        let mut line = Line {
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            direction,
            verdict,
            protocol: None,
            ports: None,
            from: None,
            to: None,
        };
        let protocol = words.next_if(|word| !["from", "to"].contains(word));
        line.protocol = match protocol {
            None | Some("any" | "ip") => None,
            Some("icmp") => Some(1),
            Some("tcp") => Some(6),
            Some("udp") => Some(17),
            Some(other) => {
                return Err(invalid(format!("`{other}` is not a protocol (tcp, udp, icmp, any)")));
            }
        };
        if let Some(word) = words.next_if(|word| !["from", "to"].contains(word)) {
            if !matches!(line.protocol, Some(6 | 17)) {
                return Err(invalid("only tcp and udp have ports".into()));
            }
            line.ports = Some(ports(word).ok_or_else(|| invalid(format!("`{word}` is no port")))?);
        }
        while let Some(word) = words.next() {
            let place = match word {
                "from" if line.from.is_none() => &mut line.from,
                "to" if line.to.is_none() => &mut line.to,
                other => return Err(invalid(format!("`{other}` is out of place"))),
            };
            let word = words.next().unwrap_or_default();
            *place = Some(network(word).ok_or_else(|| invalid(format!("`{word}` is no address")))?);
        }
        Ok(line)
    }
}

fn ports(word: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(first..=last)
}

fn network(word: &str) -> Option<Ipv4Net> {
    word.parse().ok().or_else(|| word.parse::<Ipv4Addr>().ok().map(Ipv4Net::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_spoken() {
        let line: Line = "deny  out udp 53 to 192.168.1.5".parse().unwrap();
        assert_eq!(line.text, "deny out udp 53 to 192.168.1.5");
        assert_eq!(
            (line.direction, line.protocol, line.ports),
            (Direction::Out, Some(17), Some(53..=53))
        );
        assert_eq!(line.to, Some("192.168.1.5/32".parse().unwrap()));
        let line: Line = "allow in tcp 20-25 from 10.0.0.0/8".parse().unwrap();
        assert_eq!((line.ports, line.from), (Some(20..=25), Some("10.0.0.0/8".parse().unwrap())));
        assert_eq!("deny in".parse::<Line>().unwrap().protocol, None);
        assert_eq!("allow in icmp".parse::<Line>().unwrap().protocol, Some(1));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        for (line, why) in [
            ("", "begins with ``"),
            ("block in tcp 25", "begins with `block`"),
            ("deny tcp 25", "`in`, `out` or `forward` is missing"),
            ("deny in http", "`http` is not a protocol"),
            ("deny in icmp 8", "only tcp and udp have ports"),
            ("deny in tcp 70000", "`70000` is no port"),
            ("deny in tcp 25-20", "`25-20` is no port"),
            ("deny in tcp 25 from here", "`here` is no address"),
            ("deny in tcp 25 from", "`` is no address"),
            ("deny in tcp 25 26", "`26` is out of place"),
        ] {
            let error = check(&[line.to_owned()]).unwrap_err();
            assert!(error.why.contains(why), "{line}: {error}");
        }
    }
}
