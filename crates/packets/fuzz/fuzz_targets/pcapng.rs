//! What is written is a chain of blocks whose lengths fit, and a batch that comes from a node is
//! never more than it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packets::{Batch, pcapng};

fuzz_target!(|input: &[u8]| {
    // A batch as a node sends it.
    if let Ok(batch) = serde_json::from_slice::<Batch>(input) {
        let kept: usize = batch.frames().map(|frame| frame.data.len()).sum();
        assert!(kept <= batch.size());
    }
    let text = String::from_utf8_lossy(input);
    let mut writer = pcapng::Writer::new(Vec::new(), 65_535, &text).expect("memory");
    for chunk in input.chunks(61) {
        let name = String::from_utf8_lossy(&chunk[..chunk.len().min(3)]);
        let packet = pcapng::Packet {
            interface: &name,
            at_ns: u64::from(chunk[0]) << 56,
            data: chunk,
            length: u32::from(chunk[0]),
            comment: (chunk[0] & 1 == 0).then_some(&text),
        };
        writer.packet(&packet).expect("memory");
        writer.tls_keys(&name).expect("memory");
        writer.dropped(&name, u64::MAX, 7).expect("memory");
    }
    let bytes = writer.into_inner();
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
    let mut at = 0;
    while at < bytes.len() {
        let length = number(at + 4);
        assert!(length >= 12 && length.is_multiple_of(4));
        assert_eq!(number(at + length - 4), length);
        at += length;
    }
    assert_eq!(at, bytes.len());
});
