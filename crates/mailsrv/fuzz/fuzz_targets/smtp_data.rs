//! A message after DATA: however the bytes are cut, the same end, the same message, the same problem.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailsrv::smtp::data::{Bounds, Receiver};
use mailsrv::store::Body;

const BOUNDS: Bounds = Bounds { message: 2000, header: 300, line: 100, hops: 3, lenient: false };

fn receive(bytes: &[u8], size: usize) -> (usize, bool, Option<Vec<u8>>) {
    let mut receiver = Receiver::new(BOUNDS);
    let mut used = 0;
    for piece in bytes.chunks(size) {
        let (count, done) = receiver.data(piece, &mut || None);
        used += count;
        if done {
            let received = receiver.finish();
            let Body::Memory(body) = received.body else { unreachable!("it is short") };
            return (used, true, received.problem.is_none().then_some(body));
        }
    }
    (used, false, None)
}

fuzz_target!(|bytes: &[u8]| {
    let whole = receive(bytes, usize::MAX);
    assert_eq!(whole, receive(bytes, 1));
    assert_eq!(whole, receive(bytes, 3));
    if whole.1 {
        let end = &bytes[..whole.0];
        assert!(end == b".\r\n" || end.ends_with(b"\r\n.\r\n"));
    }
});
