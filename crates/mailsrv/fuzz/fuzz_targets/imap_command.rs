//! IMAP from the stream to the command: no bytes may panic, where the stream is cut must not
//! matter, and what is held is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailsrv::imap::framing::{Framer, Limits, Step};
use mailsrv::imap::grammar;

const LIMITS: Limits = Limits { message: 4_096, literal: 1_024 };

fn steps(input: &[u8], piece: usize) -> Vec<Step> {
    let mut framer = Framer::default();
    let mut steps = Vec::new();
    for bytes in input.chunks(piece) {
        framer.push(bytes);
        loop {
            match framer.next(LIMITS, false) {
                Step::Need => break,
                Step::Hopeless(why) => {
                    steps.push(Step::Hopeless(why));
                    return steps;
                }
                step => steps.push(step),
            }
        }
    }
    steps
}

fuzz_target!(|input: &[u8]| {
    let Some((first, input)) = input.split_first() else { return };
    let whole = steps(input, input.len().max(1));
    let cut = steps(input, usize::from(*first).max(1));
    assert_eq!(whole, cut);
    for step in whole {
        if let Step::Command(bytes) = step {
            let _ = grammar::parse(&bytes);
        }
    }
});
