use super::*;
use crate::config::{Reservation, Route};
use crate::reply::To;
use proptest::prelude::*;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);
const NOW: Seconds = 1_000_000;

fn config() -> Config {
    let mut pool = config::Pool::new("LAN", "192.168.0.0/24".parse().unwrap());
    pool.ranges.push("192.168.0.51-192.168.0.53".parse().unwrap());
    pool.router = Some(SERVER);
    pool.dns = vec![SERVER];
    pool.lease = 1000;
    Config { pools: vec![pool], probe_ms: 0, quarantine: 600, ..Config::default() }
}

fn server() -> Server {
    Server::new(&config(), [])
}

fn meta() -> Meta {
    Meta { interface: 2, local: SERVER, networks: vec!["192.168.0.1/24".parse().unwrap()] }
}

fn mac(n: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, n]
}

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 0, last)
}

fn replies(actions: Vec<Action>) -> Vec<(To, Packet)> {
    let reply = |action| match action {
        Action::Send(reply) => Some((reply.to, Packet::decode(&reply.bytes).unwrap())),
        Action::Probe { .. } => None,
    };
    actions.into_iter().filter_map(reply).collect()
}

fn one(server: &mut Server, packet: &Packet, now: Seconds) -> Option<(To, Packet)> {
    let mut all = replies(server.answer(packet, &meta(), now));
    assert!(all.len() <= 1);
    all.pop()
}

fn discover(n: u8) -> Packet {
    Packet::request(Kind::Discover, u32::from(n), mac(n))
}

fn selecting(n: u8, address: Ipv4Addr) -> Packet {
    let mut packet = Packet::request(Kind::Request, u32::from(n), mac(n));
    packet.set_address(option::REQUESTED_ADDRESS, address);
    packet.set_address(option::SERVER_ID, SERVER);
    packet
}

fn rebooting(n: u8, address: Ipv4Addr) -> Packet {
    let mut packet = selecting(n, address);
    packet.options.remove(&option::SERVER_ID);
    packet
}

fn renewing(n: u8, address: Ipv4Addr) -> Packet {
    let mut packet = Packet::request(Kind::Request, u32::from(n), mac(n));
    packet.ciaddr = address;
    packet
}

fn kind(reply: &Option<(To, Packet)>) -> Option<Kind> {
    reply.as_ref().and_then(|(_, packet)| packet.kind())
}

fn lease(server: &mut Server, n: u8, now: Seconds) -> Option<Ipv4Addr> {
    let (_, offer) = one(server, &discover(n), now)?;
    let ack = one(server, &selecting(n, offer.yiaddr), now);
    assert_eq!(kind(&ack), Some(Kind::Ack));
    Some(offer.yiaddr)
}

#[test]
fn the_first_client_gets_the_first_address_with_everything_it_needs() {
    let mut server = server();
    let (to, offer) = one(&mut server, &discover(1), NOW).unwrap();
    assert_eq!(offer.kind(), Some(Kind::Offer));
    assert_eq!(to, To::Frame(mac(1), ip(51)));
    assert_eq!(offer.yiaddr, ip(51));
    assert_eq!(offer.address(option::SUBNET_MASK), Some(Ipv4Addr::new(255, 255, 255, 0)));
    assert_eq!(offer.address(option::BROADCAST), Some(ip(255)));
    assert_eq!((offer.u32(51), offer.u32(58), offer.u32(59)), (Some(1000), Some(500), Some(875)));
    assert!(server.take_records().is_empty(), "an offer is no promise yet");
    let ack = one(&mut server, &selecting(1, ip(51)), NOW);
    assert_eq!(kind(&ack), Some(Kind::Ack));
    assert!(
        matches!(&server.take_records()[..], [Record::Put(lease)] if lease.state == State::Bound(NOW + 1000))
    );
}

#[test]
fn replies_go_where_the_client_can_hear_them() {
    let mut server = server();
    let mut request = discover(1);
    request.broadcast = true;
    assert_eq!(one(&mut server, &request, NOW).unwrap().0, To::Broadcast);
    let mut relayed = discover(2);
    relayed.giaddr = ip(200);
    relayed.options.insert(option::RELAY_INFO, vec![1, 3, b'l', b'a', b'n']);
    let (to, offer) = one(&mut server, &relayed, NOW).unwrap();
    assert_eq!(to, To::Relay(ip(200)));
    assert_eq!(offer.options[&option::RELAY_INFO], [1, 3, b'l', b'a', b'n']);
    assert_eq!(offer.giaddr, ip(200));
    let address = lease(&mut server, 3, NOW).unwrap();
    assert_eq!(one(&mut server, &renewing(3, address), NOW).unwrap().0, To::Client(address));
}

#[test]
fn the_pool_is_that_of_the_relay_the_link_or_the_selected_link() {
    let mut config = config();
    config.pools.push(config::Pool::new("FAR", "10.5.0.0/24".parse().unwrap()));
    config.pools.push(config::Pool::new("FARTHER", "10.6.0.0/24".parse().unwrap()));
    let mut server = Server::new(&config, []);
    let mut packet = discover(1);
    packet.giaddr = Ipv4Addr::new(10, 5, 0, 1);
    assert_eq!(one(&mut server, &packet, NOW).unwrap().1.yiaddr, Ipv4Addr::new(10, 5, 0, 1));
    packet.options.insert(option::RELAY_INFO, vec![5, 4, 10, 6, 0, 1]);
    assert_eq!(one(&mut server, &packet, NOW).unwrap().1.yiaddr, Ipv4Addr::new(10, 6, 0, 1));
    packet.giaddr = Ipv4Addr::new(10, 9, 0, 1);
    packet.options.clear();
    packet.set_kind(Kind::Discover);
    assert_eq!(one(&mut server, &packet, NOW), None);
}

#[test]
fn a_client_keeps_its_address_over_discovers_expiry_and_release() {
    let mut server = server();
    assert_eq!(lease(&mut server, 1, NOW), Some(ip(51)));
    assert_eq!(lease(&mut server, 2, NOW), Some(ip(52)));
    assert_eq!(lease(&mut server, 1, NOW + 10), Some(ip(51)));
    assert_eq!(lease(&mut server, 2, NOW + 5000), Some(ip(52)));
    let mut release = renewing(2, ip(52));
    release.set_kind(Kind::Release);
    assert_eq!(one(&mut server, &release, NOW + 5000), None);
    assert_eq!(lease(&mut server, 3, NOW + 5000), Some(ip(53)));
    assert_eq!(lease(&mut server, 2, NOW + 5000), Some(ip(52)));
}

#[test]
fn a_full_pool_reuses_what_is_longest_free_and_says_when_it_is_exhausted() {
    let mut server = server();
    for n in 1..4 {
        lease(&mut server, n, NOW + Seconds::from(n)).unwrap();
    }
    assert_eq!(lease(&mut server, 4, NOW + 10), None);
    assert!(server.take_log().iter().any(|line| line.contains("pool LAN is exhausted")));
    let report = server.pool_reports(NOW + 10).remove(0);
    assert_eq!((report.exhausted, report.leased, report.refused), (true, 3, 1));
    assert_eq!(lease(&mut server, 4, NOW + 1001), Some(ip(51)));
}

#[test]
fn an_offer_is_held_a_minute_or_until_another_server_is_chosen() {
    let mut server = server();
    one(&mut server, &discover(1), NOW).unwrap();
    assert_eq!(one(&mut server, &discover(2), NOW).unwrap().1.yiaddr, ip(52));
    let mut other = selecting(1, ip(99));
    other.set_address(option::SERVER_ID, ip(2));
    assert_eq!(one(&mut server, &other, NOW), None);
    assert_eq!(one(&mut server, &discover(3), NOW).unwrap().1.yiaddr, ip(51));
    assert_eq!(one(&mut server, &discover(4), NOW + 61).unwrap().1.yiaddr, ip(51));
}

#[test]
fn init_reboot_is_answered_only_where_something_is_known() {
    let mut server = server();
    lease(&mut server, 1, NOW).unwrap();
    assert_eq!(kind(&one(&mut server, &rebooting(1, ip(51)), NOW)), Some(Kind::Ack));
    assert_eq!(kind(&one(&mut server, &rebooting(1, ip(52)), NOW)), Some(Kind::Nak));
    assert_eq!(one(&mut server, &rebooting(9, ip(53)), NOW), None);
    let (to, nak) = one(&mut server, &rebooting(9, Ipv4Addr::new(10, 1, 1, 1)), NOW).unwrap();
    assert_eq!((to, nak.kind()), (To::Broadcast, Some(Kind::Nak)));
    assert!(nak.yiaddr.is_unspecified() && !nak.options.contains_key(&option::LEASE_TIME));
    assert_eq!(kind(&one(&mut server, &rebooting(9, ip(51)), NOW)), Some(Kind::Nak));
    let mut meek = Server::new(&Config { authoritative: false, ..config() }, []);
    assert_eq!(one(&mut meek, &rebooting(9, Ipv4Addr::new(10, 1, 1, 1)), NOW), None);
}

#[test]
fn a_nak_behind_a_relay_is_broadcast_there() {
    let mut server = server();
    let mut packet = rebooting(9, Ipv4Addr::new(10, 1, 1, 1));
    packet.giaddr = ip(200);
    let (to, nak) = one(&mut server, &packet, NOW).unwrap();
    assert!(to == To::Relay(ip(200)) && nak.broadcast);
}

#[test]
fn a_renewal_extends_and_a_foreign_one_is_refused() {
    let mut server = server();
    lease(&mut server, 1, NOW).unwrap();
    assert_eq!(kind(&one(&mut server, &renewing(1, ip(51)), NOW + 500)), Some(Kind::Ack));
    assert!(server.book.get(ip(51)).unwrap().is_bound(NOW + 1400));
    assert_eq!(kind(&one(&mut server, &renewing(2, ip(51)), NOW + 500)), Some(Kind::Nak));
    assert_eq!(kind(&one(&mut server, &renewing(2, ip(99)), NOW + 500)), Some(Kind::Nak));
    // A lost database: the client's word stands.
    assert_eq!(kind(&one(&mut server, &renewing(3, ip(53)), NOW + 500)), Some(Kind::Ack));
}

#[test]
fn a_restart_between_offer_and_request_breaks_nothing() {
    let mut first = server();
    let (_, offer) = one(&mut first, &discover(1), NOW).unwrap();
    let mut second = server();
    assert_eq!(kind(&one(&mut second, &selecting(1, offer.yiaddr), NOW)), Some(Kind::Ack));
}

#[test]
fn a_declined_address_is_kept_back_and_another_given() {
    let mut server = server();
    lease(&mut server, 1, NOW).unwrap();
    let mut decline = selecting(1, ip(51));
    decline.set_kind(Kind::Decline);
    let mut forged = decline.clone();
    forged.chaddr = mac(9).to_vec();
    one(&mut server, &forged, NOW);
    assert!(server.book.get(ip(51)).unwrap().is_bound(NOW));
    one(&mut server, &decline, NOW);
    assert_eq!(lease(&mut server, 1, NOW), Some(ip(52)));
    assert_eq!(server.bindings(NOW)[0].state, "quarantined");
    assert_eq!(server.clear_conflicts(None), 1);
    assert_eq!(lease(&mut server, 7, NOW), Some(ip(51)));
}

#[test]
fn a_probe_decides_before_the_first_offer_only() {
    let mut server = Server::new(&Config { probe_ms: 100, ..config() }, []);
    let probe = |address| Action::Probe { address, interface: Some(2), source: SERVER };
    assert_eq!(server.answer(&discover(1), &meta(), NOW), [probe(ip(51))]);
    assert!(server.answer(&discover(1), &meta(), NOW).is_empty(), "it is on its way");
    assert_eq!(server.probed(ip(51), true, NOW), [probe(ip(52))]);
    let offer = replies(server.probed(ip(52), false, NOW)).remove(0).1;
    assert_eq!((offer.kind(), offer.yiaddr), (Some(Kind::Offer), ip(52)));
    assert_eq!(kind(&one(&mut server, &selecting(1, ip(52)), NOW)), Some(Kind::Ack));
    assert_eq!(one(&mut server, &discover(1), NOW).unwrap().1.yiaddr, ip(52));
}

#[test]
fn reservations_belong_to_their_owners() {
    let mut config = config();
    config.pools[0].reservations = vec![
        Reservation {
            mac: Some("02:00:00:00:00:07".into()),
            client_id: None,
            address: ip(9),
            hostname: Some("printer".into()),
        },
        Reservation {
            mac: None,
            client_id: Some("ff0102".into()),
            address: ip(51),
            hostname: None,
        },
    ];
    let mut server = Server::new(&config, []);
    let (_, offer) = one(&mut server, &discover(7), NOW).unwrap();
    assert_eq!((offer.yiaddr, offer.text(option::HOSTNAME).as_deref()), (ip(9), Some("printer")));
    assert_eq!(lease(&mut server, 1, NOW), Some(ip(52)));
    assert_eq!(kind(&one(&mut server, &selecting(2, ip(51)), NOW)), Some(Kind::Nak));
    let mut by_id = discover(3);
    by_id.options.insert(option::CLIENT_ID, vec![0xff, 1, 2]);
    assert_eq!(one(&mut server, &by_id, NOW).unwrap().1.yiaddr, ip(51));
    let reservation = Reservation {
        mac: Some("02:00:00:00:00:01".into()),
        client_id: None,
        address: ip(20),
        hostname: None,
    };
    server.reserve(reservation).unwrap();
    assert_eq!(kind(&one(&mut server, &renewing(1, ip(52)), NOW)), Some(Kind::Nak));
    assert_eq!(lease(&mut server, 1, NOW), Some(ip(20)));
}

#[test]
fn an_empty_client_id_is_none_and_a_given_one_comes_back() {
    let mut server = server();
    for n in [1, 2] {
        let mut packet = discover(n);
        packet.options.insert(option::CLIENT_ID, Vec::new());
        assert_eq!(one(&mut server, &packet, NOW).unwrap().1.yiaddr, ip(50 + n));
    }
    let mut packet = discover(3);
    packet.options.insert(option::CLIENT_ID, vec![0xff, 9, 9]);
    assert_eq!(one(&mut server, &packet, NOW).unwrap().1.options[&option::CLIENT_ID], [0xff, 9, 9]);
}

#[test]
fn inform_tells_the_options_and_leases_nothing() {
    let mut server = server();
    let mut packet = renewing(1, ip(77));
    packet.set_kind(Kind::Inform);
    let (to, ack) = one(&mut server, &packet, NOW).unwrap();
    assert_eq!((to, ack.kind()), (To::Client(ip(77)), Some(Kind::Ack)));
    assert!(ack.yiaddr.is_unspecified() && !ack.options.contains_key(&option::LEASE_TIME));
    assert_eq!(ack.addresses(option::DNS), [SERVER]);
    assert_eq!(server.book.iter().count(), 0);
}

#[test]
fn routes_bring_the_default_route_along() {
    let mut config = config();
    config.pools[0].routes = vec![Route { to: "10.0.0.0/8".parse().unwrap(), via: ip(2) }];
    let mut server = Server::new(&config, []);
    let (_, offer) = one(&mut server, &discover(1), NOW).unwrap();
    let routes = crate::wire::read_classless_routes(&offer.options[&option::CLASSLESS_ROUTES]);
    assert_eq!(routes, [(Ipv4Net::default(), SERVER), ("10.0.0.0/8".parse().unwrap(), ip(2))]);
}

#[test]
fn one_hardware_address_cannot_take_everything() {
    let mut server = Server::new(&Config { leases_per_client: 2, ..config() }, []);
    let mut take = |n: u8| {
        let mut packet = discover(1);
        packet.options.insert(option::CLIENT_ID, vec![n, n]);
        let (_, offer) = one(&mut server, &packet, NOW)?;
        let mut request = selecting(1, offer.yiaddr);
        request.options.insert(option::CLIENT_ID, vec![n, n]);
        one(&mut server, &request, NOW)
    };
    assert!(take(1).is_some() && take(2).is_some() && take(3).is_none());
}

#[test]
fn what_it_is_told_at_run_time() {
    let mut server = server();
    lease(&mut server, 1, NOW).unwrap();
    assert!(server.release_address(ip(99), NOW).is_err());
    server.release_address(ip(51), NOW).unwrap();
    assert_eq!(server.bindings(NOW)[0].state, "released");
    assert_eq!(server.clear(None).unwrap(), 1);
    assert_eq!(lease(&mut server, 2, NOW), Some(ip(51)));
}

#[test]
fn the_servers_own_addresses_are_never_given() {
    let mut server = server();
    server.set_own(vec![SERVER, ip(51)]);
    assert_eq!(lease(&mut server, 1, NOW), Some(ip(52)));
    assert_eq!(kind(&one(&mut server, &selecting(2, ip(51)), NOW)), Some(Kind::Nak));
}

proptest! {
    /// Whatever clients send, in any order: no panic, and no address is two clients' at once.
    #[test]
    fn no_address_is_ever_given_twice(
        steps in proptest::collection::vec((1u8..6, 0u8..9, 50u8..56, 0u64..700), 1..120), probing: bool,
    ) {
        let mut server = Server::new(&Config { probe_ms: u64::from(probing), ..config() }, []);
        let mut now = NOW;
        let mut held: std::collections::HashMap<u8, (Ipv4Addr, Seconds)> = std::collections::HashMap::new();
        for (n, step, last, pass) in steps {
            now += pass;
            let packet = match step {
                0 | 1 => discover(n),
                2 => selecting(n, ip(last)),
                3 => rebooting(n, ip(last)),
                4 => renewing(n, ip(last)),
                5 => {
                    let mut packet = renewing(n, ip(last));
                    packet.set_kind(Kind::Release);
                    packet
                }
                6 => {
                    let mut packet = selecting(n, ip(last));
                    packet.set_kind(Kind::Decline);
                    packet
                }
                7 => {
                    let mut packet = renewing(n, ip(last));
                    packet.set_kind(Kind::Inform);
                    packet
                }
                _ => {
                    let mut packet = selecting(n, ip(last));
                    packet.set_address(option::SERVER_ID, ip(2));
                    packet
                }
            };
            if (step == 5 || step == 6) && held.get(&n).is_some_and(|(address, _)| *address == ip(last)) {
                held.remove(&n);
            }
            let mut actions = server.answer(&packet, &meta(), now);
            while let Some(Action::Probe { address, .. }) = actions.first() {
                let address = *address;
                actions = server.probed(address, last == 50, now);
            }
            for (_, reply) in replies(actions) {
                let address = reply.yiaddr;
                if reply.kind() == Some(Kind::Ack) && !address.is_unspecified() {
                    let rival = held.iter().find(|(other, (a, until))| **other != n && *a == address && *until > now);
                    prop_assert!(rival.is_none(), "{} is {:?}'s and given to {}", address, rival, n);
                    prop_assert!((51..=53).contains(&address.octets()[3]));
                    held.insert(n, (address, now + 1000));
                }
            }
            // What the disk would hold is what the server knows.
            let mut disk = std::collections::BTreeMap::new();
            for record in server.take_records() {
                match record {
                    Record::Put(lease) => drop(disk.insert(lease.address, lease)),
                    Record::Forget(address) => drop(disk.remove(&address)),
                }
            }
            for (address, lease) in disk {
                prop_assert_eq!(server.book.get(address), Some(&lease));
            }
        }
    }

    #[test]
    fn any_packet_is_answered_or_ignored(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..12) {
        let mut whole = Packet::request(Kind::Discover, 1, mac(1)).encode(&[], 1472);
        for (at, byte) in bytes.iter().enumerate() {
            if at != 0 && at != 2 && !(236..243).contains(&at) {
                whole[at] = *byte;
            }
        }
        whole[242] = kind;
        let mut server = server();
        if let Ok(packet) = Packet::decode(&whole) {
            for action in server.answer(&packet, &meta(), NOW) {
                if let Action::Send(reply) = action {
                    prop_assert!(Packet::decode(&reply.bytes).is_ok());
                }
            }
        }
    }
}
