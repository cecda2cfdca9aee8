//! Any bytes as a message: refused, or read, printed and written again.
#![no_main]

use dnswire::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::read(bytes) {
        for record in message.answers.iter().chain(&message.authority).chain(&message.additional) {
            let _ = record.text();
        }
        let written = message.write(65_535);
        Message::read(&written).expect("what was read can be written and read");
    }
});
