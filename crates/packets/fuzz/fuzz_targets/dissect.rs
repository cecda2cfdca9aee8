//! Any bytes are a frame: no panic, the layers stay few, and what is said to lie in the frame does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packets::dissect::dissect;

fuzz_target!(|frame: &[u8]| {
    let found = dissect(frame);
    assert!(found.layers.len() <= 8);
    assert!(!found.protocol.is_empty());
    for range in [found.tcp.map(|tcp| tcp.payload), found.udp.map(|udp| udp.payload)].into_iter().flatten() {
        assert!(frame.get(range).is_some());
    }
});
