//! The packet filter (nf_tables), spoken to over netlink: no `nft` or `iptables` in a node.
//!
//! A [`Table`] is written as a whole: [`replace`] puts it in the place of the table of that name
//! in one transaction, so no packet sees half of it. [`counters`] tells what each counted rule has
//! matched, by the rule's [`Rule::id`].
//!
//! All of it is IPv4 except the chains of [`Family::Netdev`], which see every frame of one
//! interface.

mod attributes;
mod expression;
mod socket;
mod translations;

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use crate::Result;
use attributes::{Attributes, nested, string};
use socket::{Message, Socket};

pub use translations::{Endpoint, Translation, translations};

/// What a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 packets.
    Ipv4,
    /// Frames of one interface.
    Netdev,
}

/// A table with its chains.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What it sees.
    pub family: Family,
    /// Its name.
    pub name: String,
    /// Its chains; one that is jumped to stands before those that jump.
    pub chains: Vec<Chain>,
}

/// A chain of rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Where packets enter it; `None` for one that is only jumped to.
    pub hook: Option<Hook>,
    /// Its rules in order.
    pub rules: Vec<Rule>,
}

/// Where packets enter a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Packets to this node.
    Input,
    /// Packets through this node.
    Forward,
    /// Packets from this node.
    Output,
    /// All packets that come in, before routing, for destination NAT.
    DestinationNat,
    /// All packets that go out, after routing, for source NAT.
    SourceNat,
    /// Frames that come in by an interface ([`Family::Netdev`]).
    Ingress(String),
    /// Frames that go out by an interface ([`Family::Netdev`]).
    Egress(String),
}

/// A rule: when all of it matches, it counts and acts.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name among the counters, at most 200 bytes; counted where not empty.
    pub id: String,
    /// What must hold.
    pub matches: Vec<Match>,
    /// What is done then.
    pub action: Action,
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Match {
    /// Came in by this interface.
    InLink(String),
    /// Goes out by this interface.
    OutLink(String),
    /// The IP protocol number.
    Protocol(u8),
    /// The source address, in the bits that the mask has set.
    Source(Ipv4Addr, Ipv4Addr),
    /// The destination address, in the bits that the mask has set.
    Destination(Ipv4Addr, Ipv4Addr),
    /// The source port of TCP or UDP lies in the range (or outside, when `false`). Stands after
    /// [`Match::Protocol`].
    SourcePort(RangeInclusive<u16>, bool),
    /// The destination port of TCP or UDP lies in the range (or outside, when `false`). Stands
    /// after [`Match::Protocol`].
    DestinationPort(RangeInclusive<u16>, bool),
    /// The ICMP type. Stands after [`Match::Protocol`].
    IcmpType(u8),
    /// The ICMP code. Stands after [`Match::Protocol`].
    IcmpCode(u8),
    /// The TCP segment has ACK or RST set: not the first of a connection. Stands after
    /// [`Match::Protocol`].
    TcpEstablished,
    /// Belongs to a connection that is known already.
    Known,
    /// By chance, so many times in a million.
    Chance(u32),
    /// Above this rate in bytes a second.
    Above(u64),
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lets pass.
    Accept,
    /// Drops silently.
    Drop,
    /// Drops and answers "administratively prohibited" (ICMP 3/13).
    Prohibit,
    /// Drops and answers a TCP reset.
    Reset,
    /// Goes back to the chain that jumped here.
    Return,
    /// Goes through another chain and comes back.
    Jump(String),
    /// Gives the packet the address of the interface it goes out by.
    Masquerade,
    /// Gives the packet a source from the first to the last of these.
    Source(Ipv4Addr, Ipv4Addr),
    /// Gives the packet this destination.
    Destination(Ipv4Addr, Option<u16>),
    /// Only counts.
    Nothing,
}

/// What a counted rule has matched.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counter {
    /// [`Rule::id`].
    pub id: String,
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Puts a table in the place of the one of its name, or where there was none.
///
/// # Errors
/// When the kernel refuses; [`crate::Error::is_unsupported`] when it lacks something of it.
pub fn replace(table: &Table) -> Result<()> {
    let mut messages = removal(table.family, &table.name);
    messages.push(table_message(table.family, &table.name, Message::NEW_TABLE));
    for chain in &table.chains {
        messages.push(chain_message(table, chain));
    }
    for chain in &table.chains {
        for rule in &chain.rules {
            messages.push(rule_message(table, chain, rule));
        }
    }
    Socket::open()?.transaction(&messages)
}

/// Removes a table; one that is not there is no error.
///
/// # Errors
/// When the kernel refuses.
pub fn remove(family: Family, name: &str) -> Result<()> {
    Socket::open()?.transaction(&removal(family, name))
}

/// What the counted rules of a table have matched, in the order of the rules. Rules of the same
/// [`Rule::id`] are counted together.
///
/// # Errors
/// When the kernel does not answer.
pub fn counters(family: Family, table: &str) -> Result<Vec<Counter>> {
    let mut attributes = Attributes::default();
    attributes.add(RULE_TABLE, &string(table));
    let doing = format!("reading the counters of table {table}");
    let request = Message::new(family.number(), Message::GET_RULE, attributes, doing);
    let mut counters: Vec<Counter> = Vec::new();
    for rule in Socket::open()?.list(&request)? {
        let Some(counter) = expression::read_counter(&rule) else { continue };
        match counters.iter_mut().find(|have| have.id == counter.id) {
            Some(have) => {
                have.packets += counter.packets;
                have.bytes += counter.bytes;
            }
            None => counters.push(counter),
        }
    }
    Ok(counters)
}

/// Attribute numbers of `linux/netfilter/nf_tables.h`.
const TABLE_NAME: u16 = 1;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEVICE: u16 = 3;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USER_DATA: u16 = 7;

impl Family {
    /// `NFPROTO_…`.
    fn number(self) -> u8 {
        match self {
            Family::Ipv4 => 2,
            Family::Netdev => 5,
        }
    }
}

impl Hook {
    /// Number (`NF_INET_…`, `NF_NETDEV_…`), priority, kind, device.
    fn parts(&self) -> (u32, i32, &'static str, Option<&str>) {
        match self {
            Hook::DestinationNat => (0, -100, "nat", None),
            Hook::Input => (1, 0, "filter", None),
            Hook::Forward => (2, 0, "filter", None),
            Hook::Output => (3, 0, "filter", None),
            Hook::SourceNat => (4, 100, "nat", None),
            Hook::Ingress(device) => (0, 0, "filter", Some(device)),
            Hook::Egress(device) => (1, 0, "filter", Some(device)),
        }
    }
}

/// To remove a table that may not be there, it is made first.
fn removal(family: Family, name: &str) -> Vec<Message> {
    vec![
        table_message(family, name, Message::NEW_TABLE),
        table_message(family, name, Message::DELETE_TABLE),
    ]
}

fn table_message(family: Family, name: &str, kind: u16) -> Message {
    let mut attributes = Attributes::default();
    attributes.add(TABLE_NAME, &string(name));
    Message::new(family.number(), kind, attributes, format!("filter table {name}"))
}

fn chain_message(table: &Table, chain: &Chain) -> Message {
    let mut attributes = Attributes::default();
    attributes.add(CHAIN_TABLE, &string(&table.name));
    attributes.add(CHAIN_NAME, &string(&chain.name));
    if let Some(hook) = &chain.hook {
        let (number, priority, kind, device) = hook.parts();
        let mut place = Attributes::default();
        place.add(HOOK_NUMBER, &number.to_be_bytes());
        place.add(HOOK_PRIORITY, &priority.to_be_bytes());
        if let Some(device) = device {
            place.add(HOOK_DEVICE, &string(device));
        }
        attributes.add(nested(CHAIN_HOOK), place.bytes());
        attributes.add(CHAIN_POLICY, &1u32.to_be_bytes());
        attributes.add(CHAIN_TYPE, &string(kind));
    }
    let doing = format!("filter chain {} of table {}", chain.name, table.name);
    Message::new(table.family.number(), Message::NEW_CHAIN, attributes, doing)
}

fn rule_message(table: &Table, chain: &Chain, rule: &Rule) -> Message {
    let mut attributes = Attributes::default();
    attributes.add(RULE_TABLE, &string(&table.name));
    attributes.add(RULE_CHAIN, &string(&chain.name));
    attributes.add(nested(RULE_EXPRESSIONS), &expression::rule(rule));
    if !rule.id.is_empty() {
        attributes.add(RULE_USER_DATA, &expression::user_data(&rule.id));
    }
    let doing = format!("filter rule `{}` of chain {}", rule.id, chain.name);
    Message::new(table.family.number(), Message::NEW_RULE, attributes, doing)
}
