//! Header fields of any message: no bytes may panic, and the header is a part of the message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailsrv::headers;

fuzz_target!(|message: &[u8]| {
    assert!(headers::length(message) <= message.len());
    let fields = headers::fields(message);
    let _ = headers::from_domain(&fields);
    let _ = headers::field(&fields, "Subject");
});
