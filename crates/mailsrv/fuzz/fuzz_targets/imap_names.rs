//! Names and patterns: what is decoded is encoded to something that decodes to the same, and a
//! pattern compares with any name in bounded time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailsrv::imap::command::{Command, List};
use mailsrv::imap::{grammar, list};

fuzz_target!(|text: &str| {
    if let Some(name) = mutf7::decode(text) {
        assert_eq!(mutf7::decode(&mutf7::encode(&name)).as_deref(), Some(name.as_str()));
    }
    let there = mutf7::encode(text);
    assert_eq!(mutf7::decode(&there).as_deref(), Some(text));
    if let Some((pattern, name)) = text.split_once('\n') {
        let _ = list::matches(pattern, name);
    }
    // What CREATE takes as a quoted string is what LIST names.
    let quoted = there.replace('\\', "\\\\").replace('"', "\\\"");
    let tagged = grammar::parse(format!("a LIST \"\" \"{quoted}\"").as_bytes());
    if let Ok(Command::List(List { patterns, .. })) = tagged.map(|tagged| tagged.command) {
        assert_eq!(patterns, [text]);
    }
});
