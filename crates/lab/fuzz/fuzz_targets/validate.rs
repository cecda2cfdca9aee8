//! Any bytes are a lab or a report, and a lab's plan can be rendered.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match lab::load_bytes("fuzz.yaml", bytes, None, &lab::Vars::new()) {
        Ok(lab) => {
            if let Ok(secrets) = lab::Secrets::make(&lab.plan, None, std::time::UNIX_EPOCH) {
                let _ = lab::render::all(&lab.plan, &secrets);
            }
        }
        Err(report) => assert!(report.has_errors()),
    }
});
