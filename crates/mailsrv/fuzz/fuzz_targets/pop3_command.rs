//! POP3 commands: no bytes may panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let _ = mailsrv::pop3::command::parse(line);
});
