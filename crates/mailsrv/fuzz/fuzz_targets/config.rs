//! mailsrv.yaml: any text is a configuration or an error in words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailsrv::config::Config;

fuzz_target!(|text: &str| {
    match Config::parse(text) {
        Ok(config) => {
            let _ = mailsrv::directory::fingerprint(&config);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
