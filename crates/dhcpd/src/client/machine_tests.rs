use super::*;
use proptest::prelude::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 51);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn machine(options: Options) -> Machine {
    Machine::new(MAC, options, 42)
}

fn sent(outputs: &[Output]) -> &Packet {
    match outputs.iter().find(|output| matches!(output, Output::Send(..))) {
        Some(Output::Send(_, packet)) => packet,
        _ => panic!("nothing is sent: {outputs:?}"),
    }
}

fn answer(to: &Packet, kind: Kind) -> Packet {
    let mut packet = Packet::reply(to, kind);
    packet.set_address(option::SERVER_ID, SERVER);
    if kind != Kind::Nak {
        packet.yiaddr = ADDRESS;
        packet.set_address(option::SUBNET_MASK, Ipv4Addr::new(255, 255, 255, 0));
        packet.set_u32(option::LEASE_TIME, 1000);
    }
    packet
}

fn bound(options: Options) -> Machine {
    let mut client = machine(options);
    let discover = client.timer(seconds(0));
    let request = client.packet(&answer(sent(&discover), Kind::Offer), seconds(0));
    let outputs = client.packet(&answer(sent(&request), Kind::Ack), seconds(0));
    assert!(
        matches!(outputs.last(), Some(Output::Tell(Event::Bound(lease))) if lease.t1 == 500 && lease.t2 == 875)
    );
    client
}

#[test]
fn a_fresh_client_discovers_requests_and_is_bound() {
    let client = bound(Options::default());
    assert_eq!(client.lease().unwrap().address.addr(), ADDRESS);
    assert_eq!(client.deadline(), Some(seconds(500)));
}

#[test]
fn discovers_are_repeated_after_longer_and_longer_pauses() {
    let mut client = machine(Options::default());
    let first = client.timer(seconds(0));
    assert_eq!(sent(&first).options[&option::CLIENT_ID], [&[1][..], &MAC].concat());
    let mut last = Duration::ZERO;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let at = client.deadline().unwrap();
        pauses.push(at - last);
        last = at;
        assert_eq!(sent(&client.timer(at)).xid, sent(&first).xid);
    }
    assert!(pauses[0] >= Duration::from_millis(500) && pauses[0] <= seconds(1), "{pauses:?}");
    assert!(pauses[3] > pauses[0] && pauses.iter().all(|pause| *pause <= LONGEST));
}

#[test]
fn it_renews_with_its_server_then_rebinds_with_any_then_loses() {
    let mut client = bound(Options::default());
    let renewal = client.timer(seconds(500));
    assert!(
        matches!(&renewal[0], Output::Send(To::Server(ADDRESS, SERVER), p) if p.ciaddr == ADDRESS
        && !p.options.contains_key(&option::SERVER_ID) && !p.options.contains_key(&option::REQUESTED_ADDRESS))
    );
    let mut at = client.deadline().unwrap();
    while at < seconds(875) {
        client.timer(at);
        at = client.deadline().unwrap();
    }
    let rebinding = client.timer(seconds(875));
    assert!(matches!(&rebinding[0], Output::Send(To::Everyone(ADDRESS), _)));
    let renewed = client.packet(&answer(sent(&rebinding), Kind::Ack), seconds(876));
    assert!(matches!(renewed.last(), Some(Output::Tell(Event::Renewed(_)))));
    let mut end = Vec::new();
    while !matches!(end.first(), Some(Output::Tell(Event::Lost(_)))) {
        end = client.timer(client.deadline().unwrap());
    }
    assert_eq!(sent(&end).kind(), Some(Kind::Discover));
}

#[test]
fn a_refused_renewal_begins_again() {
    let mut client = bound(Options::default());
    let renewal = client.timer(seconds(500));
    let outputs = client.packet(&answer(sent(&renewal), Kind::Nak), seconds(501));
    assert!(matches!(&outputs[0], Output::Tell(Event::Lost(why)) if why.contains("refused")));
    assert_eq!(sent(&outputs).kind(), Some(Kind::Discover));
}

#[test]
fn an_address_of_before_is_asked_for_first() {
    let mut client = machine(Options { previous: Some(ADDRESS), ..Options::default() });
    let request = client.timer(seconds(0));
    assert_eq!(sent(&request).address(option::REQUESTED_ADDRESS), Some(ADDRESS));
    assert_eq!(sent(&request).address(option::SERVER_ID), None);
    let outputs = client.packet(&answer(sent(&request), Kind::Nak), seconds(0));
    assert_eq!(sent(&outputs).kind(), Some(Kind::Discover));
}

#[test]
fn a_taken_address_is_declined() {
    let mut client = machine(Options { probe: true, ..Options::default() });
    let discover = client.timer(seconds(0));
    let request = client.packet(&answer(sent(&discover), Kind::Offer), seconds(0));
    let probe = client.packet(&answer(sent(&request), Kind::Ack), seconds(0));
    assert_eq!(probe, [Output::Probe(ADDRESS)]);
    let outputs = client.conflict(ADDRESS, seconds(0));
    assert_eq!(sent(&outputs).kind(), Some(Kind::Decline));
    assert_eq!(sent(&outputs).ciaddr, Ipv4Addr::UNSPECIFIED);
    assert_eq!(client.deadline(), Some(seconds(10)));
}

#[test]
fn a_free_address_is_used_after_its_probes() {
    let mut client = machine(Options { probe: true, ..Options::default() });
    let discover = client.timer(seconds(0));
    let request = client.packet(&answer(sent(&discover), Kind::Offer), seconds(0));
    client.packet(&answer(sent(&request), Kind::Ack), seconds(0));
    assert_eq!(client.timer(client.deadline().unwrap()), [Output::Probe(ADDRESS)]);
    let outputs = client.timer(client.deadline().unwrap());
    assert!(matches!(outputs.last(), Some(Output::Tell(Event::Bound(_)))));
}

#[test]
fn release_tells_the_server_and_renew_begins_again() {
    let mut client = bound(Options::default());
    let outputs = client.command(Command::Release, seconds(1));
    assert_eq!(sent(&outputs).kind(), Some(Kind::Release));
    assert_eq!((client.deadline(), client.lease()), (None, None));
    assert_eq!(sent(&client.command(Command::Renew, seconds(2))).kind(), Some(Kind::Discover));
}

#[test]
fn a_link_that_comes_back_is_asked_and_silence_keeps_the_lease() {
    let mut client = bound(Options::default());
    let outputs = client.command(Command::LinkUp, seconds(100));
    assert_eq!(sent(&outputs).address(option::REQUESTED_ADDRESS), Some(ADDRESS));
    for _ in 0..REBOOTS {
        client.timer(client.deadline().unwrap());
    }
    assert!(matches!(client.state(), State::Bound(_)));
    assert_eq!(client.deadline(), Some(seconds(500)));
}

#[test]
fn an_endless_lease_is_never_renewed() {
    let mut client = machine(Options::default());
    let discover = client.timer(seconds(0));
    let request = client.packet(&answer(sent(&discover), Kind::Offer), seconds(0));
    let mut ack = answer(sent(&request), Kind::Ack);
    ack.set_u32(option::LEASE_TIME, u32::MAX);
    client.packet(&ack, seconds(0));
    assert_eq!(client.deadline(), None);
}

proptest! {
    /// Whatever a network does to a client, it does not stop, and it always waits for something.
    #[test]
    fn any_order_of_events_leaves_a_live_client(
        steps in proptest::collection::vec((0u8..9, any::<u8>(), 0u64..2000), 1..80), probe: bool,
    ) {
        let mut client = machine(Options { probe, ..Options::default() });
        let mut now = Duration::ZERO;
        let mut last = sent(&client.timer(now)).clone();
        for (step, byte, pass) in steps {
            now += seconds(pass);
            let outputs = match step {
                0 => client.timer(now),
                1 => client.packet(&answer(&last, Kind::Offer), now),
                2 => client.packet(&answer(&last, Kind::Ack), now),
                3 => client.packet(&answer(&last, Kind::Nak), now),
                4 => {
                    let mut odd = answer(&last, Kind::Ack);
                    odd.options.insert(byte, vec![byte; usize::from(byte % 7)]);
                    odd.yiaddr = Ipv4Addr::new(byte, byte, byte, byte);
                    client.packet(&odd, now)
                }
                5 => client.conflict(ADDRESS, now),
                6 => client.command(Command::LinkUp, now),
                7 => client.command(Command::Renew, now),
                _ => client.command(Command::LinkDown, now),
            };
            for output in outputs {
                if let Output::Send(_, packet) = output {
                    last = packet;
                }
            }
        }
        client.command(Command::LinkUp, now);
        let waits = client.deadline().is_some();
        prop_assert!(waits || client.lease().is_some_and(|lease| lease.seconds == u32::MAX));
    }
}
