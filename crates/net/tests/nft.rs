//! The packet filter, in a network namespace of the test's own thread, over the loopback.

// A test says what failed by panicking, and what it skipped by printing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

use std::net::{Ipv4Addr, UdpSocket};
use std::ops::RangeInclusive;
use std::time::Duration;

use net::nft::{self, Action, Chain, Family, Hook, Match, Rule, Table};
use nix::sched::{CloneFlags, unshare};

/// Runs `test` in a new network namespace whose loopback is up, or says why not.
fn in_namespace(test: impl FnOnce()) {
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        assert!(std::env::var_os("LABCTL_CI").is_none(), "no namespace: {error}");
        println!("SKIPPED: a network namespace needs root: {error}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let net = net::Netlink::open().unwrap();
        net.up(net.link("lo").await.unwrap().index).await.unwrap();
    });
    test();
}

fn table(hook: Hook, rules: Vec<Rule>) -> Table {
    let chains = vec![Chain { name: "input".into(), hook: Some(hook), rules }];
    Table { family: Family::Ipv4, name: "test".into(), chains }
}

fn rule(id: &str, matches: Vec<Match>, action: Action) -> Rule {
    Rule { id: id.into(), matches, action }
}

fn port(ports: RangeInclusive<u16>) -> Vec<Match> {
    vec![Match::Protocol(17), Match::DestinationPort(ports, true)]
}

/// Whether a datagram to that port of the loopback arrives.
fn arrives(to: u16) -> bool {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, to)).unwrap();
    receiver.set_nonblocking(true).unwrap();
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // A filter on the way out refuses the sending itself. On the loopback what is sent has
    // arrived, or will not, when `send_to` returns.
    let _ = sender.send_to(b"x", (Ipv4Addr::LOCALHOST, to));
    receiver.recv(&mut [0; 8]).is_ok()
}

#[test]
fn rules_drop_and_count_and_a_table_is_replaced_as_a_whole() {
    in_namespace(|| {
        nft::remove(Family::Ipv4, "test").unwrap();
        let rules = vec![
            rule("one", port(2000..=2000), Action::Drop),
            rule("many", port(3000..=3010), Action::Drop),
            rule("rest", vec![], Action::Accept),
        ];
        nft::replace(&table(Hook::Input, rules)).unwrap();
        assert!(!arrives(2000) && !arrives(3000) && !arrives(3010));
        assert!(arrives(2001) && arrives(3011));
        let counters = nft::counters(Family::Ipv4, "test").unwrap();
        let seen: Vec<_> = counters.iter().map(|c| (c.id.as_str(), c.packets, c.bytes)).collect();
        assert_eq!(seen, [("one", 1, 29), ("many", 2, 58), ("rest", 2, 58)]);
        nft::replace(&table(Hook::Input, vec![rule("other", port(2001..=2001), Action::Drop)]))
            .unwrap();
        assert!(arrives(2000) && !arrives(2001));
        nft::remove(Family::Ipv4, "test").unwrap();
        assert!(arrives(2001));
        assert!(nft::counters(Family::Ipv4, "test").unwrap().is_empty());
    });
}

#[test]
fn every_condition_is_taken_by_the_kernel() {
    in_namespace(|| {
        let local = Ipv4Addr::LOCALHOST;
        let mask = Ipv4Addr::new(255, 0, 0, 255);
        let mut matches = port(4000..=4000);
        matches.extend([
            Match::Source(local, mask),
            Match::Destination(local, mask),
            Match::InLink("lo".into()),
            Match::SourcePort(1..=1, false),
        ]);
        let known = vec![Match::Known];
        let established = vec![Match::Protocol(6), Match::TcpEstablished];
        let echo = vec![Match::Protocol(1), Match::IcmpType(8)];
        let rules = vec![
            rule("known", known, Action::Accept),
            rule("established", established, Action::Accept),
            rule("echo", echo, Action::Prohibit),
            rule("all", matches, Action::Drop),
            rule("reset", vec![Match::Protocol(6)], Action::Reset),
        ];
        nft::replace(&table(Hook::Input, rules)).unwrap();
        assert!(!arrives(4000) && arrives(4001));
        let mut other = port(4001..=4001);
        other.push(Match::OutLink("eth9".into()));
        let rules = vec![rule("out", other, Action::Drop)];
        nft::replace(&table(Hook::Output, rules)).unwrap();
        assert!(arrives(4001));
    });
}

#[test]
fn a_connection_is_refused_at_once_by_a_reset() {
    in_namespace(|| {
        let rules = vec![rule(
            "smtp",
            vec![Match::Protocol(6), Match::DestinationPort(25..=25, true)],
            Action::Reset,
        )];
        nft::replace(&table(Hook::Input, rules)).unwrap();
        let address = (Ipv4Addr::LOCALHOST, 25).into();
        let error = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(5));
        assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn addresses_are_translated_and_the_table_of_connections_tells() {
    in_namespace(|| {
        let to = Action::Destination(Ipv4Addr::LOCALHOST, Some(5001));
        let chain = |name: &str, hook, rules| Chain { name: name.into(), hook: Some(hook), rules };
        let table = Table {
            family: Family::Ipv4,
            name: "nat".into(),
            chains: vec![
                chain("in", Hook::DestinationNat, vec![rule("forward", port(5000..=5000), to)]),
                chain(
                    "out",
                    Hook::SourceNat,
                    vec![
                        rule("masquerade", vec![Match::OutLink("eth0".into())], Action::Masquerade),
                        rule(
                            "source",
                            port(5002..=5002),
                            Action::Source([127, 0, 0, 7].into(), [127, 0, 0, 7].into()),
                        ),
                    ],
                ),
            ],
        };
        nft::replace(&table).unwrap();
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 5002)).unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        sender.send_to(b"x", (Ipv4Addr::LOCALHOST, 5002)).unwrap();
        let (_, from) = receiver.recv_from(&mut [0; 8]).unwrap();
        assert_eq!(from.ip(), Ipv4Addr::new(127, 0, 0, 7));
        let translations = nft::translations().unwrap();
        assert!(
            translations.iter().any(|t| t.protocol == 17
                && t.destination.port == 5002
                && t.source.address == Ipv4Addr::LOCALHOST
                && t.translated_source.address == Ipv4Addr::new(127, 0, 0, 7)),
            "{translations:?}"
        );
    });
}

#[test]
fn a_link_loses_what_it_is_told_to_lose() {
    in_namespace(|| {
        let impaired = |condition| Table {
            family: Family::Netdev,
            name: "bad".into(),
            chains: vec![Chain {
                name: "in".into(),
                hook: Some(Hook::Ingress("lo".into())),
                rules: vec![rule("lost", vec![condition], Action::Drop)],
            }],
        };
        nft::replace(&impaired(Match::Chance(1_000_000))).unwrap();
        assert!(!arrives(6000));
        nft::replace(&impaired(Match::Chance(500_000))).unwrap();
        let arrived = (0..400).filter(|_| arrives(6000)).count();
        assert!((100..300).contains(&arrived), "{arrived} of 400 arrived");
        nft::replace(&impaired(Match::Above(1))).unwrap();
        let arrived = (0..400).filter(|_| arrives(6000)).count();
        assert!((1..200).contains(&arrived), "{arrived} of 400 arrived");
        nft::remove(Family::Netdev, "bad").unwrap();
        assert!(arrives(6000));
    });
}

#[test]
fn a_refusal_names_the_rule() {
    in_namespace(|| {
        let nat_in_filter = vec![rule("wrong", vec![], Action::Jump("nowhere".into()))];
        let error = nft::replace(&table(Hook::Input, nat_in_filter)).unwrap_err();
        assert!(error.to_string().starts_with("setting the filter rule `wrong`"), "{error}");
        assert!(nft::counters(Family::Ipv4, "test").unwrap().is_empty());
    });
}
