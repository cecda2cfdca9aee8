//! A whole SMTP session, its lines in any order: no panic, bounded errors, and one reply with a good
//! code for each command that has one.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use mailsrv::address::Address;
use mailsrv::config::{Account, Config, Limits, Policy, Stage};
use mailsrv::directory::{Directory, Sender, Verdict};
use mailsrv::faults::Strike;
use mailsrv::smtp::session::{Action, Session, Setup, Site};

struct Place(Directory);

impl Site for Place {
    fn expand(&self, address: &Address, sender: &str, authenticated: bool) -> Verdict {
        self.0.data().expand(address, Sender { address: sender, authenticated })
    }
    fn has_room(&self, _: &str, more: u64) -> bool {
        more < 1000
    }
    fn may_send_as(&self, _: &str, _: &Address) -> bool {
        true
    }
    fn strike(&self, _: Stage, _: Option<&str>) -> Option<Strike> {
        None
    }
    fn directory(&self) -> &Directory {
        &self.0
    }
    fn nonce(&self) -> u128 {
        7
    }
}

fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let mut config = Config::new("a.test", &folder);
        config.accounts.insert("u1".into(), Account::with_password("pw"));
        Place(Directory::load(&config).expect("a directory"))
    })
}

fuzz_target!(|bytes: &[u8]| {
    let (flags, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let mut session = Session::new(Setup {
        hostname: "mx.a.test".into(),
        local: [127, 0, 0, 1].into(),
        submission: flags & 1 != 0,
        tls: flags & 2 != 0,
        peer: [127, 0, 0, 1].into(),
        trusted: flags & 4 != 0,
        relay: true,
        limits: Limits::default(),
        policy: Policy { cram_md5: flags & 8 != 0, vrfy: true, fault_addresses: true, ..Policy::default() },
    });
    for line in rest.split(|byte| *byte == b'\n') {
        let _ = session.mask(line);
        let mut actions = session.line(line, place());
        while !actions.is_empty() {
            match actions.remove(0) {
                Action::Reply(reply) => {
                    assert!((200..600).contains(&reply.code));
                    let written = reply.write();
                    assert!(written.ends_with(b"\r\n"));
                    assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), reply.lines.len());
                }
                Action::StartTls => session.under_tls(),
                Action::Verify { user, password } => {
                    let account = (password == "pw").then(|| user.clone());
                    actions.splice(..0, session.verified(&user, account, place()));
                }
                Action::Receive => match session.message(None, place()) {
                    Ok(transaction) => assert!(!transaction.recipients.is_empty()),
                    Err(more) => {
                        actions.splice(..0, more);
                    }
                },
                Action::Chunk { size, last, .. } => {
                    let keeps = session.keeps_chunk();
                    if keeps && last {
                        let _ = session.message(None, place());
                    } else {
                        actions.splice(..0, session.chunk_done(size, None));
                    }
                }
                Action::Close | Action::Drop => return,
                Action::Wait(_) => {}
            }
        }
    }
});
