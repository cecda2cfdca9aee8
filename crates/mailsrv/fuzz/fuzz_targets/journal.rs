//! The store's journal: any record is applied or refused, and the state comes out of its records.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| mailsrv::fuzzing::journal(bytes));
