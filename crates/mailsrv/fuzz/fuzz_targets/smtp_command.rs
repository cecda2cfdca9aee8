//! SMTP commands, paths and xtext: no bytes may panic, and a path written back reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailsrv::address::Path;
use mailsrv::smtp::command::{self, Command};

fuzz_target!(|line: &[u8]| {
    for utf8 in [false, true] {
        if let Ok(Command::Mail(Path::Address(address), _) | Command::Rcpt(Path::Address(address), _)) =
            command::parse(line, utf8)
        {
            let written = format!("<{address}>");
            let (again, rest) = mailsrv::address::parse_path(&written, true).expect("it reads its own writing");
            assert_eq!((again, rest), (Path::Address(address), ""));
        }
    }
    if let Ok(text) = std::str::from_utf8(line) {
        assert!(text.chars().any(char::is_control) || command::xtext(&command::to_xtext(text)).as_deref() == Some(text));
    }
});
