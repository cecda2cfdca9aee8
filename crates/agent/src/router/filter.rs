//! A router's access lists and address translation as tables of the packet filter.

use std::net::Ipv4Addr;

use ios::RouterConfig;
use ios::config::{AccessList, NatOutside, NatRule, NatSide, Ports, Rule as AccessRule, Verdict};
use net::nft::{Action, Chain, Family, Hook, Match, Rule, Table};

/// The tables' names.
pub(crate) const ACCESS: &str = "access";
pub(crate) const NAT: &str = "nat";

/// The counter of a rule: the list's name and the rule's number in it.
pub(crate) fn counter(list: &str, sequence: u32) -> String {
    format!("{list} {sequence}")
}

/// The access lists in use; `None` when none is.
///
/// A list at an interface's entry sees packets to the router and through it, one at its exit only
/// those through it, as IOS has it. What fits no rule is denied. A list that does not exist denies
/// nothing.
pub(crate) fn access(config: &RouterConfig) -> Option<Table> {
    let (mut input, mut forward, mut used) = (Vec::new(), Vec::new(), Vec::new());
    for interface in &config.interfaces {
        let mut apply = |list: &Option<String>, condition: Match, to: &mut Vec<Rule>| {
            if let Some(list) = list.as_ref().and_then(|name| config.access_list(name)) {
                to.push(plain(vec![condition], Action::Jump(chain_name(list))));
                if !used.iter().any(|have: &&AccessList| have.name == list.name) {
                    used.push(list);
                }
            }
        };
        let (enters, leaves) =
            (Match::InLink(interface.name.clone()), Match::OutLink(interface.name.clone()));
        apply(&interface.access_in, enters.clone(), &mut input);
        apply(&interface.access_in, enters, &mut forward);
        apply(&interface.access_out, leaves, &mut forward);
    }
    if used.is_empty() {
        return None;
    }
    let mut chains: Vec<Chain> = used.into_iter().map(list_chain).collect();
    let based = |name: &str, hook, rules| Chain { name: name.into(), hook: Some(hook), rules };
    chains.push(based("input", Hook::Input, input));
    chains.push(based("forward", Hook::Forward, forward));
    Some(Table { family: Family::Ipv4, name: ACCESS.into(), chains })
}

fn chain_name(list: &AccessList) -> String {
    format!("list-{}", list.name)
}

fn plain(matches: Vec<Match>, action: Action) -> Rule {
    Rule { id: String::new(), matches, action }
}

fn list_chain(list: &AccessList) -> Chain {
    let counted = list.rules.iter().filter_map(|rule| {
        let action = match rule.verdict? {
            Verdict::Permit => Action::Return,
            Verdict::Deny => Action::Prohibit,
        };
        let id = counter(&list.name, rule.sequence);
        Some(Rule { id, matches: conditions(rule), action })
    });
    let mut rules: Vec<Rule> = counted.collect();
    // A list with nothing but remarks denies nothing.
    if !rules.is_empty() {
        rules.push(plain(Vec::new(), Action::Prohibit));
    }
    Chain { name: chain_name(list), hook: None, rules }
}

/// What a rule of an access list asks of a packet.
fn conditions(rule: &AccessRule) -> Vec<Match> {
    let mut matches = Vec::new();
    if !rule.source.is_any() {
        matches.push(Match::Source(rule.source.address, rule.source.mask()));
    }
    if !rule.destination.is_any() {
        matches.push(Match::Destination(rule.destination.address, rule.destination.mask()));
    }
    matches.extend(rule.protocol.map(Match::Protocol));
    let ports = |ports: Ports| match ports {
        Ports::Between(first, last) => (first..=last, true),
        Ports::Not(port) => (port..=port, false),
    };
    if matches!(rule.protocol, Some(6 | 17)) {
        let source = rule.source_port.map(ports);
        matches.extend(source.map(|(ports, inside)| Match::SourcePort(ports, inside)));
        let destination = rule.destination_port.map(ports);
        matches.extend(destination.map(|(ports, inside)| Match::DestinationPort(ports, inside)));
    }
    if let (Some(1), Some((kind, code))) = (rule.protocol, rule.icmp) {
        matches.push(Match::IcmpType(kind));
        matches.extend(code.map(Match::IcmpCode));
    }
    if rule.established && rule.protocol == Some(6) {
        matches.push(Match::TcpEstablished);
    }
    matches
}

/// The address translation; `None` where there is none.
pub(crate) fn nat(config: &RouterConfig) -> Option<Table> {
    if config.nat.rules.is_empty() {
        return None;
    }
    let outside: Vec<&str> = config
        .interfaces
        .iter()
        .filter(|interface| interface.nat == Some(NatSide::Outside))
        .map(|interface| interface.name.as_str())
        .collect();
    let (mut chains, mut enters, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
    // What has an address or port of its own goes before what shares one.
    for rule in &config.nat.rules {
        match rule {
            NatRule::Static { inside, outside: public } => {
                for link in &outside {
                    let to = vec![Match::InLink((*link).into()), exactly_to(*public)];
                    enters.push(plain(to, Action::Destination(*inside, None)));
                    let from = vec![Match::OutLink((*link).into()), exactly_from(*inside)];
                    leaves.push(plain(from, Action::Source(*public, *public)));
                }
            }
            NatRule::Forward { protocol, inside, inside_port, outside: public, outside_port } => {
                let mut to = match public {
                    NatOutside::Address(address) => vec![exactly_to(*address)],
                    NatOutside::Interface(name) => {
                        let own = config.interface(name).and_then(|interface| interface.address);
                        // Where DHCP gives the address, whatever comes in there is for it.
                        let own = own.map(|network| exactly_to(network.addr()));
                        std::iter::once(Match::InLink(name.clone())).chain(own).collect()
                    }
                };
                to.push(Match::Protocol(*protocol));
                to.push(Match::DestinationPort(*outside_port..=*outside_port, true));
                enters.push(plain(to, Action::Destination(*inside, Some(*inside_port))));
            }
            NatRule::Masquerade { .. } | NatRule::Pool { .. } => {}
        }
    }
    for (index, rule) in config.nat.rules.iter().enumerate() {
        let (list, links, action) = match rule {
            NatRule::Masquerade { list, interface } => {
                (list, vec![interface.as_str()], Action::Masquerade)
            }
            NatRule::Pool { list, pool, .. } => {
                let Some(pool) = config.nat.pools.iter().find(|have| have.name == *pool) else {
                    continue;
                };
                (list, outside.clone(), Action::Source(pool.first, pool.last))
            }
            NatRule::Static { .. } | NatRule::Forward { .. } => continue,
        };
        let Some(list) = config.access_list(list) else { continue };
        let name = format!("rule-{index}");
        let decided = list.rules.iter().filter_map(|rule| {
            Some(plain(
                conditions(rule),
                match rule.verdict? {
                    Verdict::Permit => action.clone(),
                    Verdict::Deny => Action::Return,
                },
            ))
        });
        chains.push(Chain { name: name.clone(), hook: None, rules: decided.collect() });
        for link in links {
            leaves.push(plain(vec![Match::OutLink(link.into())], Action::Jump(name.clone())));
        }
    }
    let based = |name: &str, hook, rules| Chain { name: name.into(), hook: Some(hook), rules };
    chains.push(based("enters", Hook::DestinationNat, enters));
    chains.push(based("leaves", Hook::SourceNat, leaves));
    Some(Table { family: Family::Ipv4, name: NAT.into(), chains })
}

/// The public addresses beside its own that a router answers for on its outer side.
pub(crate) fn public_addresses(config: &RouterConfig, interface: &str) -> Vec<Ipv4Addr> {
    let Some(interface) = config.interface(interface) else { return Vec::new() };
    let (Some(own), Some(NatSide::Outside)) = (interface.address, interface.nat) else {
        return Vec::new();
    };
    let mut addresses = Vec::new();
    for rule in &config.nat.rules {
        match rule {
            NatRule::Static { outside, .. } => addresses.push(*outside),
            NatRule::Forward { outside: NatOutside::Address(address), .. } => {
                addresses.push(*address);
            }
            NatRule::Pool { pool, .. } => {
                let pool = config.nat.pools.iter().find(|have| have.name == *pool);
                let range = pool.map(|pool| u32::from(pool.first)..=u32::from(pool.last));
                // A pool is at most as large as a class C network.
                addresses.extend(range.into_iter().flatten().take(256).map(Ipv4Addr::from));
            }
            NatRule::Forward { .. } | NatRule::Masquerade { .. } => {}
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses.retain(|address| own.contains(address) && *address != own.addr());
    addresses
}

fn exactly_to(address: Ipv4Addr) -> Match {
    Match::Destination(address, Ipv4Addr::BROADCAST)
}

fn exactly_from(address: Ipv4Addr) -> Match {
    Match::Source(address, Ipv4Addr::BROADCAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> RouterConfig {
        ios::parse_for(text, &["lan", "wan"]).unwrap()
    }

    #[test]
    fn a_list_is_one_chain_whatever_uses_it_and_ends_in_a_denial() {
        let config = config(
            "access-list 100 permit tcp 192.168.1.0 0.0.0.255 any eq 80\n\
             access-list 100 deny icmp any any\n\
             access-list 7 permit any\n\
             interface FastEthernet0/0\n ip address 192.168.1.1 255.255.255.0\n\
             \x20ip access-group 100 in\n\
             interface FastEthernet0/1\n ip address 10.0.0.1 255.255.255.0\n\
             \x20ip access-group 100 out\n",
        );
        let table = access(&config).unwrap();
        let names: Vec<_> = table.chains.iter().map(|chain| chain.name.as_str()).collect();
        assert_eq!(names, ["list-100", "input", "forward"]);
        let list = &table.chains[0].rules;
        assert_eq!(list.len(), 3);
        assert_eq!((list[0].id.as_str(), &list[0].action), ("100 10", &Action::Return));
        assert_eq!(
            list[0].matches,
            [
                Match::Source([192, 168, 1, 0].into(), [255, 255, 255, 0].into()),
                Match::Protocol(6),
                Match::DestinationPort(80..=80, true),
            ]
        );
        assert_eq!((list[2].id.as_str(), &list[2].action), ("", &Action::Prohibit));
        assert_eq!((table.chains[1].rules.len(), table.chains[2].rules.len()), (1, 2));
        assert_eq!(access(&RouterConfig::default()), None);
    }

    #[test]
    fn translations_of_one_address_go_before_those_that_share_one() {
        let config = config(
            "access-list 1 permit 192.168.1.0 0.0.0.255\n\
             ip nat inside source list 1 interface FastEthernet0/1 overload\n\
             ip nat inside source static tcp 192.168.1.2 80 10.0.0.1 8080\n\
             ip nat inside source static 192.168.1.3 10.0.0.3\n\
             interface FastEthernet0/0\n ip address 192.168.1.1 255.255.255.0\n ip nat inside\n\
             interface FastEthernet0/1\n ip address 10.0.0.1 255.255.255.0\n ip nat outside\n",
        );
        let table = nat(&config).unwrap();
        let chain = |name: &str| {
            table.chains.iter().find(|chain| chain.name == name).unwrap().rules.clone()
        };
        assert_eq!(chain("rule-0")[0].action, Action::Masquerade);
        let enters: Vec<_> = chain("enters").into_iter().map(|rule| rule.action).collect();
        assert_eq!(
            enters,
            [
                Action::Destination([192, 168, 1, 2].into(), Some(80)),
                Action::Destination([192, 168, 1, 3].into(), None),
            ]
        );
        let leaves: Vec<_> = chain("leaves").into_iter().map(|rule| rule.action).collect();
        let public = Ipv4Addr::new(10, 0, 0, 3);
        assert_eq!(leaves, [Action::Source(public, public), Action::Jump("rule-0".into())]);
        assert_eq!(public_addresses(&config, "wan"), [public]);
        assert!(public_addresses(&config, "lan").is_empty());
    }
}
