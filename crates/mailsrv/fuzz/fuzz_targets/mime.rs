//! MIME and what IMAP tells of it: parts lie within their message, structures and envelopes are
//! balanced, every section of every part is a piece of the message, texts and threads end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailsrv::imap::command::{Section, What};
use mailsrv::imap::mime::{self, Part};
use mailsrv::imap::{section, sort, structure, text, thread};

/// Whether what was written is one list: parentheses balance outside of strings and literals.
fn balanced(bytes: &[u8]) -> bool {
    let (mut depth, mut at) = (0_i32, 0);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'"' => loop {
                match bytes.get(at) {
                    Some(b'\\') => at += 2,
                    Some(b'"') => break at += 1,
                    Some(b'\r' | b'\n') | None => return false,
                    Some(_) => at += 1,
                }
            },
            b'{' => {
                let Some(end) = bytes[at..].iter().position(|b| *b == b'}') else { return false };
                let Ok(Ok(n)) = std::str::from_utf8(&bytes[at..at + end]).map(str::parse::<usize>)
                else {
                    return false;
                };
                at += end + 3 + n;
            }
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0 && at == bytes.len()
}

fn walk(raw: &[u8], root: &Part, part: &Part, path: &mut Vec<u32>) {
    assert!(part.header.end == part.body.start && part.body.end <= raw.len());
    for what in [What::Whole, What::Header, What::Text, What::Mime] {
        let section =
            Section { label: String::new(), peek: true, path: path.clone(), what, partial: None };
        if let Some(bytes) = section::bytes(&section, raw, Some(root)) {
            assert!(bytes.len() <= raw.len());
        }
    }
    let fields = What::Fields { names: vec!["subject".into()], not: path.len() % 2 == 0 };
    let section = Section {
        label: String::new(),
        peek: true,
        path: path.clone(),
        what: fields,
        partial: None,
    };
    let _ = section::bytes(&section, raw, Some(root));
    for (child, number) in part.children.iter().zip(1..=50) {
        path.push(number);
        walk(raw, root, child, path);
        path.pop();
    }
}

fuzz_target!(|raw: &[u8]| {
    let part = mime::parse(raw);
    walk(raw, &part, &part, &mut Vec::new());
    let mut out = Vec::new();
    structure::structure(&mut out, raw, &part, true);
    assert!(balanced(&out), "{}", String::from_utf8_lossy(&out));
    let header = &raw[..mime::header_end(raw)];
    out.clear();
    structure::envelope(&mut out, header);
    assert!(balanced(&out), "{}", String::from_utf8_lossy(&out));
    let _ = text::body(raw, &part);
    let (base, _) = sort::subject(header);
    // A base subject is its own base subject.
    assert_eq!(sort::base_subject(&base).0, base);
    let leaves: Vec<_> = (1..4).map(|id| thread::Leaf::read(id, header, 0)).collect();
    let told = thread::threads(&leaves);
    assert!(["1", "2", "3"].iter().all(|id| told.matches(id).count() == 1), "{told}");
});
