//! Any text as a zone: refused with a line, or built, printed and read again.
#![no_main]

use dnsd::{master, zone};
use dnswire::Name;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let origin = Name::complete("lab.test").expect("a name");
    let head = "$TTL 1\n@ SOA a b 1 2 3 4 5\n@ NS a\n";
    let built = master::parse(&origin, &format!("{head}{text}")).and_then(|entries| zone::build(&origin, entries));
    if let Ok(built) = built {
        let again = master::parse(&origin, &built.text(true)).and_then(|entries| zone::build(&origin, entries));
        assert_eq!(again.expect("what was printed can be read").count, built.count);
    }
});
