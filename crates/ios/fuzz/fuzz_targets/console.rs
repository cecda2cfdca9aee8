//! Any text in an `ios:` block: a configuration that prints and reads back, or problems.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(config) = ios::parse_for(text, &["lan", "wan"]) {
        let printed = config.running_config();
        let again = ios::parse_for(&printed, &["lan", "wan"]).expect("what is printed can be read");
        assert_eq!(again.running_config(), printed);
    }
});
