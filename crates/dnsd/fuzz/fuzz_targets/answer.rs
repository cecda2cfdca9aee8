//! Any request to the authoritative core: an answer within the limit, or none.
#![no_main]

use std::sync::{Arc, LazyLock};

use dnsd::answer::{Asked, Verdict, answer};
use dnsd::authority::{Authority, Held};
use dnsd::{master, zone};
use dnswire::Name;
use libfuzzer_sys::fuzz_target;

const ZONE: &str = "$TTL 300\n@ SOA ns a 1 2 3 4 5\n@ NS ns\nns A 10.0.0.1\n*.w MX 10 ns\nc CNAME x.w\nd DNAME w\nsub NS ns.sub\nns.sub A 10.0.0.2\n";

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut authority = Authority::default();
    let origin = Name::complete("lab.test").expect("a name");
    let entries = master::parse(&origin, ZONE).expect("a zone");
    let zone = Arc::new(zone::build(&origin, entries).expect("a zone"));
    authority.put(Held::new(origin, Arc::default(), Some(zone)));
    authority
});

fuzz_target!(|request: &[u8]| {
    let mut out = Vec::new();
    for tcp in [false, true] {
        let asked = Asked { tcp, recursion: false, udp_size: 1232 };
        if answer(&AUTHORITY, request, asked, &mut out) == Verdict::Reply {
            assert!(tcp || out.len() <= 1232);
            dnswire::Message::read(&out).expect("what is sent can be read");
        }
    }
});
