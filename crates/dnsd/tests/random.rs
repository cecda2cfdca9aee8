//! A million random packets, and what a server must never do with them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test ends by panicking and says what it skips"
)]

mod common;

use std::time::{Duration, Instant};

use dnsd::answer::{Asked, Verdict, answer};
use dnsd::authority::{Authority, Held};
use dnsd::{master, zone};
use dnswire::Name;

/// Packets tried; fewer on a machine that does not get through them in time.
const PACKETS: usize = 1_000_000;

fn authority() -> Authority {
    let mut authority = Authority::default();
    for (name, text) in [("lab.test", common::LAB), ("other.test", common::OTHER)] {
        let origin = Name::complete(name).unwrap();
        let zone = zone::build(&origin, master::parse(&origin, text).unwrap()).unwrap();
        authority.put(Held::new(origin, Default::default(), Some(zone.into())));
    }
    authority
}

/// xorshift: the same packets in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound
    }
}

#[test]
fn a_million_random_packets_get_an_answer_or_none_and_never_more_than_allowed() {
    let authority = authority();
    let seeds: Vec<Vec<u8>> = [
        ("web.lab.test", "A"),
        ("y.wild.lab.test", "MX"),
        ("www.dn.lab.test", "A"),
        ("big.lab.test", "TXT"),
        ("www.sub.lab.test", "NS"),
    ]
    .map(|(name, kind)| common::Ask::new(name, kind).message().write(512))
    .into();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut out = Vec::new();
    let (mut replies, mut drops) = (0usize, 0usize);
    let until = Instant::now() + Duration::from_secs(40);
    let mut tried = 0;
    while tried < PACKETS && (tried % 1024 != 0 || Instant::now() < until) {
        tried += 1;
        let packet: Vec<u8> = if tried % 4 == 0 {
            // Bytes without any sense.
            let size = random.below(80);
            (0..size).map(|_| random.next() as u8).collect()
        } else {
            // A question with some of its bytes changed, cut or doubled.
            let mut packet = seeds[random.below(seeds.len())].clone();
            for _ in 0..=random.below(4) {
                let at = random.below(packet.len());
                packet[at] = random.next() as u8;
            }
            match random.below(8) {
                0 => packet.truncate(random.below(packet.len())),
                1 => packet.extend_from_within(12..),
                _ => {}
            }
            packet
        };
        let tcp = random.below(8) == 0;
        let asked = Asked { tcp, recursion: random.below(2) == 0, udp_size: 1232 };
        match answer(&authority, &packet, asked, &mut out) {
            Verdict::Reply => {
                replies += 1;
                assert!(tcp || out.len() <= 1232, "{packet:?}");
                assert!(
                    out.len() >= 12 && out[..2] == packet[..2] && out[2] & 0x80 != 0,
                    "{packet:?}"
                );
            }
            Verdict::Drop => {
                drops += 1;
                assert!(packet.len() < 12 || packet[2] & 0x80 != 0, "{packet:?}");
                assert!(out.is_empty());
            }
            Verdict::Resolve | Verdict::Transfer | Verdict::Notify => {}
        }
        // Every so often the answer is read whole.
        if tried % 64 == 0 && !out.is_empty() {
            dnswire::Message::read(&out)
                .unwrap_or_else(|error| panic!("{error}: {packet:?} -> {out:?}"));
        }
    }
    assert!(replies > tried / 4 && drops > 0, "{replies} {drops}");
    assert!(tried == PACKETS || tried > 100_000, "only {tried} packets in 40 s");
}
