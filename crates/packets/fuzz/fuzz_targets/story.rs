//! Any frames make a story that can be drawn: streams, fragments, NAT, dialogues. The input is cut
//! into frames by a length before each; the first byte of each says on which link and by whom it
//! was seen, so that packets seem to cross routers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packets::render::{Picture, Style, html, ladder, mermaid};
use packets::{Batch, Capture, Filter, Topology, dissect::dissect, merge, story};

fuzz_target!(|input: &[u8]| {
    let mut captures = [Capture::new("a"), Capture::new("b")];
    let (mut rest, mut now) = (input, 0_u64);
    while let [how, length, after @ ..] = rest {
        let (frame, after) = after.split_at((*length as usize).min(after.len()));
        rest = after;
        now += u64::from(*how) * 1_000_000;
        let network = if how & 1 == 0 { "lan" } else { "wan" };
        let mut batch = Batch::new(network, network);
        // The head of an IPv4 packet is there already: the fuzzer finds what is above it sooner.
        let mut data = vec![2; 12];
        data.extend([8, 0, 0x45, 0, 0, 0]);
        data.extend(frame);
        batch.push(now, how & 2 == 0, data.len() as u32, &data);
        captures[usize::from(how & 4 != 0)].add(batch);
    }
    let story = story::tell(&captures, &Topology::default());
    let _ = ladder(&story, Style { color: true, explain: true, detail: true });
    let _ = mermaid(&story);
    let _ = html(&story, &Picture::default());
    let _ = story::ports(&story);
    let filter = Filter::parse(&String::from_utf8_lossy(input));
    if let Ok(filter) = filter {
        for sighting in merge(&captures) {
            let _ = filter.passes(&sighting, &dissect(&sighting.data));
        }
    }
});
