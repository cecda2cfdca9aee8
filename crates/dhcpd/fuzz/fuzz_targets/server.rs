//! Any datagrams to one server: no panic, and what it sends can be read.
#![no_main]

use dhcpd::config::{Config, Pool};
use dhcpd::server::{Action, Meta, Server};
use dhcpd::wire::Packet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let pool = Pool::new("LAN", "192.168.0.0/28".parse().expect("a network"));
    let config = Config { pools: vec![pool], probe_ms: u64::from(input.len() % 2 == 0), ..Config::default() };
    let mut server = Server::new(&config, []);
    let meta = Meta {
        interface: 1,
        local: [192, 168, 0, 1].into(),
        networks: vec!["192.168.0.1/28".parse().expect("a network")],
    };
    // Two bytes of length before each datagram, so that one input is a whole conversation.
    let (mut rest, mut now) = (input, 0);
    while let Some((head, tail)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*head) % 700).min(tail.len());
        let (datagram, after) = tail.split_at(length);
        rest = after;
        now += u64::from(head[0]) * 100;
        let Ok(packet) = Packet::decode(datagram) else { continue };
        let mut actions = server.answer(&packet, &meta, now);
        while let Some(action) = actions.pop() {
            match action {
                Action::Send(reply) => drop(Packet::decode(&reply.bytes).expect("what is sent can be read")),
                Action::Probe { address, .. } => actions.extend(server.probed(address, head[1] & 1 == 0, now)),
            }
        }
        server.take_records();
        server.take_log();
    }
});
