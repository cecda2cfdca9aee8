//! Any frames to one client: no panic.
#![no_main]

use std::time::Duration;

use dhcpd::client::{Machine, Options, Output};
use dhcpd::link::{read_arp, read_udp};
use dhcpd::wire::Packet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = read_arp(input);
    let _ = read_udp(input);
    let mac = [2, 0, 0, 0, 0, 1];
    let mut client = Machine::new(mac, Options::default(), 1);
    let mut xid = 0;
    let mut now = Duration::ZERO;
    for chunk in input.chunks(320) {
        for output in client.timer(now) {
            if let Output::Send(_, packet) = output {
                xid = packet.xid;
            }
        }
        if let Ok(mut packet) = Packet::decode(chunk) {
            // Else hardly any input gets past the first look.
            (packet.xid, packet.request, packet.chaddr) = (xid, false, mac.to_vec());
            for output in client.packet(&packet, now) {
                if let Output::Send(_, packet) = output {
                    xid = packet.xid;
                }
            }
        }
        now += Duration::from_secs(u64::from(chunk[0]));
    }
});
