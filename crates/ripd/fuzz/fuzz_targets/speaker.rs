//! Any messages to one speaker: no panic, and it always waits for something later.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ripd::{Interface, Settings, Speaker};

fuzz_target!(|input: &[u8]| {
    let address: ipnet::Ipv4Net = "172.16.0.1/24".parse().expect("a network");
    let settings = Settings { interfaces: vec![Interface::new("wan", address)], ..Settings::default() };
    let (mut speaker, _) = Speaker::new(settings, 0, 1, Duration::ZERO);
    let mut now = Duration::ZERO;
    for chunk in input.chunks(64) {
        now += Duration::from_secs(u64::from(chunk[0]));
        let source = ([172, 16, 0, chunk[0] | 2].into(), 520);
        speaker.on_packet("wan", source, &chunk[1..], now);
        speaker.on_timer(now);
        speaker.on_timer(now);
        assert!(speaker.deadline() > now);
    }
});
