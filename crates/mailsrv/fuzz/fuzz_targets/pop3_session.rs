//! A whole POP3 session, its lines in any order: no panic, and only whole lines are said.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use mailsrv::config::{Account, Config, Policy};
use mailsrv::directory::Directory;
use mailsrv::pop3::session::{Action, Entry, NotOpened, Session};

fn directory() -> &'static Directory {
    static PLACE: OnceLock<Directory> = OnceLock::new();
    PLACE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let mut config = Config::new("a.test", &folder);
        config.accounts.insert("u1".into(), Account::with_password("pw"));
        Directory::load(&config).expect("a directory")
    })
}

fuzz_target!(|bytes: &[u8]| {
    let (flags, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let policy = Policy { cram_md5: flags & 1 != 0, plain_passwords: flags & 2 == 0, ..Policy::default() };
    let mut session = Session::new("mx.a.test", "<1@mx>", flags & 4 != 0, policy, 20);
    let entries: Vec<Entry> = (1..=3).map(|n| Entry { uid: n, file: u64::from(n), size: 10 }).collect();
    for line in rest.split(|byte| *byte == b'\n') {
        let _ = session.mask(line);
        let mut actions = session.line(line, directory(), 7);
        while !actions.is_empty() {
            match actions.remove(0) {
                Action::Reply(text) => {
                    assert!(text.ends_with("\r\n"));
                    assert!(text.starts_with("+") || text.starts_with("-ERR "));
                }
                Action::StartTls => session.under_tls(),
                Action::Verify { user, password } => {
                    actions.splice(..0, session.verified((password == "pw").then_some(user)));
                }
                Action::Open(account) => {
                    let mailbox = if flags & 8 == 0 { Ok((1, entries.clone())) } else { Err(NotOpened::InUse) };
                    actions.splice(..0, session.opened(account, mailbox));
                }
                Action::Send { size, .. } => assert_eq!(size, 10),
                Action::Remove(uids) => {
                    assert!(!uids.is_empty() && uids.iter().all(|uid| (1..=3).contains(uid)));
                    actions.splice(..0, session.removed(true));
                }
                Action::Close => return,
            }
        }
    }
});
