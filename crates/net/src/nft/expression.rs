//! Rules as the kernel's little machine of expressions and registers.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::attributes::{self, Attributes, nested, string};
use super::{Action, Counter, Match, Rule};

/// `NFT_REG_VERDICT`, `NFT_REG_1`, `NFT_REG_2`, `NFT_REG_3`.
const VERDICT: u32 = 0;
const A: u32 = 1;
const B: u32 = 2;
const C: u32 = 3;

/// Headers that a payload is taken from.
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

/// Comparisons.
const EQUAL: u32 = 0;
const UNEQUAL: u32 = 1;
const LESS: u32 = 2;

/// Keys of `meta`.
const META_IN_NAME: u32 = 6;
const META_OUT_NAME: u32 = 7;
const META_PROTOCOL: u32 = 16;

/// Bits of a connection's state: established, related.
const KNOWN: u32 = 2 | 4;
/// TCP flags ACK and RST.
const ACK_RST: u8 = 0x10 | 0x04;
/// The modulus of [`Match::Chance`].
const MILLION: u32 = 1_000_000;

/// Longest name of an interface with its end.
const NAME: usize = 16;

/// Attribute numbers.
const LIST_ELEMENT: u16 = 1;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USER_DATA: u16 = 7;
const COUNTER_BYTES: u16 = 1;
const COUNTER_PACKETS: u16 = 2;
/// In a rule's user data: the comment that `nft list` shows.
const COMMENT: u8 = 0;
/// Longest [`Rule::id`] kept.
const MAX_ID: usize = 200;

/// Expressions being written.
#[derive(Default)]
struct Program(Attributes);

impl Program {
    fn add(&mut self, name: &str, parts: &[(u16, &[u8])]) {
        let mut data = Attributes::default();
        for (kind, value) in parts {
            data.add(*kind, value);
        }
        let mut expression = Attributes::default();
        expression.add(EXPRESSION_NAME, &string(name));
        expression.add(nested(EXPRESSION_DATA), data.bytes());
        self.0.add(nested(LIST_ELEMENT), expression.bytes());
    }

    fn meta(&mut self, key: u32) {
        self.add("meta", &[(1, &A.to_be_bytes()), (2, &key.to_be_bytes())]);
    }

    fn payload(&mut self, header: u32, offset: u32, length: u32) {
        let values = [A, header, offset, length].map(u32::to_be_bytes);
        self.add("payload", &[(1, &values[0]), (2, &values[1]), (3, &values[2]), (4, &values[3])]);
    }

    fn mask(&mut self, mask: &[u8]) {
        let length = (mask.len() as u32).to_be_bytes();
        let (a, mask, zero) = (A.to_be_bytes(), value(mask), value(&vec![0; mask.len()]));
        let parts: [(u16, &[u8]); 5] =
            [(1, &a), (2, &a), (3, &length), (nested(4), &mask), (nested(5), &zero)];
        self.add("bitwise", &parts);
    }

    fn compare(&mut self, how: u32, with: &[u8]) {
        let with = value(with);
        self.add("cmp", &[(1, &A.to_be_bytes()), (2, &how.to_be_bytes()), (nested(3), &with)]);
    }

    fn link(&mut self, key: u32, name: &str) {
        let mut bytes = string(name);
        bytes.resize(NAME, 0);
        self.meta(key);
        self.compare(EQUAL, &bytes);
    }

    fn address(&mut self, offset: u32, address: Ipv4Addr, mask: Ipv4Addr) {
        self.payload(NETWORK, offset, 4);
        self.mask(&mask.octets());
        self.compare(EQUAL, &(address & mask).octets());
    }

    fn port(&mut self, offset: u32, ports: &RangeInclusive<u16>, inside: bool) {
        let how = if inside { EQUAL } else { UNEQUAL };
        self.payload(TRANSPORT, offset, 2);
        let (first, last) = (ports.start().to_be_bytes(), ports.end().to_be_bytes());
        if first == last {
            self.compare(how, &first);
            return;
        }
        let (first, last) = (value(&first), value(&last));
        let (a, how) = (A.to_be_bytes(), how.to_be_bytes());
        self.add("range", &[(1, &a), (2, &how), (nested(3), &first), (nested(4), &last)]);
    }

    fn matching(&mut self, condition: &Match) {
        match condition {
            Match::InLink(name) => self.link(META_IN_NAME, name),
            Match::OutLink(name) => self.link(META_OUT_NAME, name),
            Match::Protocol(number) => {
                self.meta(META_PROTOCOL);
                self.compare(EQUAL, &[*number]);
            }
            Match::Source(address, mask) => self.address(12, *address, *mask),
            Match::Destination(address, mask) => self.address(16, *address, *mask),
            Match::SourcePort(ports, inside) => self.port(0, ports, *inside),
            Match::DestinationPort(ports, inside) => self.port(2, ports, *inside),
            Match::IcmpType(number) => {
                self.payload(TRANSPORT, 0, 1);
                self.compare(EQUAL, &[*number]);
            }
            Match::IcmpCode(number) => {
                self.payload(TRANSPORT, 1, 1);
                self.compare(EQUAL, &[*number]);
            }
            Match::TcpEstablished => {
                self.payload(TRANSPORT, 13, 1);
                self.mask(&[ACK_RST]);
                self.compare(UNEQUAL, &[0]);
            }
            Match::Known => {
                self.add("ct", &[(1, &A.to_be_bytes()), (2, &0u32.to_be_bytes())]);
                // A connection's state is in the machine's own byte order.
                self.mask(&KNOWN.to_ne_bytes());
                self.compare(UNEQUAL, &0u32.to_ne_bytes());
            }
            Match::Chance(times) => {
                let (a, modulus, random) =
                    (A.to_be_bytes(), MILLION.to_be_bytes(), 1u32.to_be_bytes());
                self.add("numgen", &[(1, &a), (2, &modulus), (3, &random)]);
                // Comparisons are of bytes: the number is turned first (operation 1, length and
                // size 4).
                let four = 4u32.to_be_bytes();
                self.add("byteorder", &[(1, &a), (2, &a), (3, &random), (4, &four), (5, &four)]);
                self.compare(LESS, &times.to_be_bytes());
            }
            Match::Above(rate) => {
                // A tenth of a second's bytes may come at once, and never less than two packets.
                let burst = u32::try_from(rate / 10).unwrap_or(u32::MAX).max(3_200);
                let (one, bytes) = (1u64.to_be_bytes(), 1u32.to_be_bytes());
                self.add(
                    "limit",
                    &[
                        (1, &rate.to_be_bytes()),
                        (2, &one),
                        (3, &burst.to_be_bytes()),
                        (4, &bytes),
                        (5, &bytes),
                    ],
                );
            }
        }
    }

    fn verdict(&mut self, code: i32, chain: Option<&str>) {
        let mut verdict = Attributes::default();
        verdict.add(1, &code.to_be_bytes());
        if let Some(chain) = chain {
            verdict.add(2, &string(chain));
        }
        let mut data = Attributes::default();
        data.add(nested(DATA_VERDICT), verdict.bytes());
        self.add("immediate", &[(1, &VERDICT.to_be_bytes()), (nested(2), data.bytes())]);
    }

    fn immediate(&mut self, register: u32, bytes: &[u8]) {
        self.add("immediate", &[(1, &register.to_be_bytes()), (nested(2), &value(bytes))]);
    }

    /// `kind` 0 changes the source, 1 the destination.
    fn nat(&mut self, kind: u32, first: Ipv4Addr, last: Ipv4Addr, port: Option<u16>) {
        self.immediate(A, &first.octets());
        let (kind, family) = (kind.to_be_bytes(), 2u32.to_be_bytes());
        let (a, b, c) = (A.to_be_bytes(), B.to_be_bytes(), C.to_be_bytes());
        let mut parts: Vec<(u16, &[u8])> = vec![(1, &kind), (2, &family), (3, &a)];
        if last != first {
            self.immediate(C, &last.octets());
            parts.push((4, &c));
        }
        if let Some(port) = port {
            self.immediate(B, &port.to_be_bytes());
            parts.push((5, &b));
        }
        self.add("nat", &parts);
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Drop => self.verdict(0, None),
            Action::Accept => self.verdict(1, None),
            Action::Return => self.verdict(-5, None),
            Action::Jump(chain) => self.verdict(-3, Some(chain)),
            Action::Prohibit => self.add("reject", &[(1, &0u32.to_be_bytes()), (2, &[13])]),
            Action::Reset => self.add("reject", &[(1, &1u32.to_be_bytes())]),
            Action::Masquerade => self.add("masq", &[]),
            Action::Source(first, last) => self.nat(0, *first, *last, None),
            Action::Destination(address, port) => self.nat(1, *address, *address, *port),
            Action::Nothing => {}
        }
    }
}

fn value(bytes: &[u8]) -> Vec<u8> {
    crate::link::nla(DATA_VALUE, bytes)
}

/// A rule's expressions.
pub(super) fn rule(rule: &Rule) -> Vec<u8> {
    let mut program = Program::default();
    for condition in &rule.matches {
        program.matching(condition);
    }
    if !rule.id.is_empty() {
        let zero = 0u64.to_be_bytes();
        program.add("counter", &[(COUNTER_BYTES, &zero), (COUNTER_PACKETS, &zero)]);
    }
    program.act(&rule.action);
    program.0.bytes().to_vec()
}

/// A rule's name, as a comment: kind, length, text with its end.
pub(super) fn user_data(id: &str) -> Vec<u8> {
    let mut end = id.len().min(MAX_ID);
    while !id.is_char_boundary(end) {
        end -= 1;
    }
    let text = string(&id[..end]);
    let mut bytes = vec![COMMENT, text.len() as u8];
    bytes.extend(text);
    bytes
}

/// The counter of a rule as the kernel lists it.
pub(super) fn read_counter(rule: &[u8]) -> Option<Counter> {
    let comment = attributes::find(rule, RULE_USER_DATA)?;
    let (&COMMENT, rest) = comment.split_first()? else { return None };
    let (&length, text) = rest.split_first()?;
    let text = text.get(..usize::from(length))?;
    let id = String::from_utf8_lossy(text).trim_end_matches('\0').to_owned();
    let expressions = attributes::find(rule, RULE_EXPRESSIONS)?;
    attributes::read(expressions).find_map(|(_, expression)| {
        if attributes::find(expression, EXPRESSION_NAME)? != b"counter\0" {
            return None;
        }
        let data = attributes::find(expression, EXPRESSION_DATA)?;
        let number = |kind| attributes::find(data, kind).and_then(attributes::number);
        let (packets, bytes) = (number(COUNTER_PACKETS)?, number(COUNTER_BYTES)?);
        Some(Counter { id: id.clone(), packets, bytes })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_was_not_counted_or_named_has_no_counter() {
        assert_eq!(read_counter(&[]), None);
        let mut rule = Attributes::default();
        rule.add(RULE_USER_DATA, &[COMMENT, 200, b'x']);
        assert_eq!(read_counter(rule.bytes()), None);
    }

    #[test]
    fn a_counter_is_read_back_from_what_a_rule_is_written_as() {
        let counted = Rule { id: "ä".repeat(150), matches: vec![], action: Action::Drop };
        let mut listed = Attributes::default();
        listed.add(nested(RULE_EXPRESSIONS), &rule(&counted));
        listed.add(RULE_USER_DATA, &user_data(&counted.id));
        let counter = read_counter(listed.bytes()).unwrap();
        assert_eq!((counter.id, counter.packets), ("ä".repeat(100), 0));
    }
}
