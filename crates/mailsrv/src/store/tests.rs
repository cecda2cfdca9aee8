//! The promises of the store, on a real folder.

use std::path::Path;

use super::*;

async fn add(store: &Store, account: &str, text: &str) -> u32 {
    let spooled =
        store.spool(b"X: y\r\n".to_vec(), Body::Memory(text.as_bytes().to_vec())).await.unwrap();
    store.append(account, "inbox", spooled, Flags::default(), 7, None).await.unwrap().1
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("messages")).unwrap().count()
}

fn uids(store: &Store, mailbox: &str) -> Vec<u32> {
    store.with_mailbox("u", mailbox, |m| m.messages.iter().map(|m| m.uid).collect()).unwrap()
}

#[tokio::test]
async fn bytes_uids_and_flags_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for n in 1..=3 {
        assert_eq!(add(&store, "u", &format!("\r\n.dot\r\n{n}\0\r\n")).await, n);
    }
    let (account, mailbox) = ("u".to_owned(), "INBOX".to_owned());
    let flags = Flags::from_names(["\\seen", "$Label1"]);
    let set = Change::Flags {
        account: account.clone(),
        mailbox: mailbox.clone(),
        uids: vec![2],
        how: FlagChange::Add,
        flags: flags.clone(),
        unchanged_since: None,
    };
    let gone = Change::Expunge { account, mailbox, uids: Some(vec![3]), deleted_only: false };
    let outcomes = store.commit(vec![set, gone]).await.unwrap();
    assert!(matches!(&outcomes[1], Outcome::Expunged { uids, .. } if *uids == [3]));
    let before = store.with_mailbox("u", "INBOX", Mailbox::clone).unwrap();
    drop(store);

    let store = Store::open(folder.path()).unwrap();
    let after = store.with_mailbox("u", "Inbox", Mailbox::clone).unwrap();
    assert_eq!((after.validity, after.next, after.modseq), (before.validity, 4, before.modseq));
    assert_eq!(after.messages, before.messages);
    assert_eq!(after.messages[1].flags, flags);
    assert_eq!(store.read(after.messages[0].file).unwrap(), b"X: y\r\n\r\n.dot\r\n1\0\r\n");
    // The UID of an expunged message is not given again.
    assert_eq!(add(&store, "u", "x").await, 4);
    assert_eq!(files(folder.path()), 3);
}

#[tokio::test]
async fn a_line_cut_by_a_crash_is_forgotten_and_a_damaged_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    add(&store, "u", "a").await;
    drop(store);
    drop(Store::open(folder.path()).unwrap());
    let index = folder.path().join("index");
    let whole = std::fs::read(&index).unwrap();
    for cut in [b"0123".as_slice(), b"0123456789abcdef [{\"queue\"", b"0000000000000000 []\n"] {
        std::fs::write(&index, [&whole, cut].concat()).unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(uids(&store, "INBOX"), [1]);
        drop(store);
        drop(Store::open(folder.path()).unwrap());
    }
    let mut bad = std::fs::read(&index).unwrap();
    bad[20] ^= 1;
    bad.extend_from_slice(&whole);
    std::fs::write(&index, bad).unwrap();
    let error = Store::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("damaged at byte 0"), "{error}");
}

#[tokio::test]
async fn a_transaction_is_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let spooled = store.spool(Vec::new(), Body::Memory(b"x\r\n".to_vec())).await.unwrap();
    let put = |account: &str, quota| Change::Add {
        account: account.to_owned(),
        mailbox: "INBOX".to_owned(),
        file: spooled.id(),
        size: spooled.size(),
        received: 0,
        flags: Flags::default(),
        quota,
    };
    let error = store.commit(vec![put("u", None), put("v", Some(2))]).await.unwrap_err();
    assert!(matches!(error, Error::OverQuota { .. }), "{error}");
    assert_eq!(store.accounts(), Vec::<String>::new());
    drop(spooled);
    assert_eq!(files(folder.path()), 0, "the file of a refused message is removed");
}

#[tokio::test]
async fn copies_share_one_file_until_the_last_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    add(&store, "u", "text").await;
    let account = || "u".to_owned();
    let copy = Change::Copy {
        account: account(),
        from: "INBOX".into(),
        uids: vec![1, 9],
        to: "Sent".into(),
        quota: None,
    };
    let outcome = store.commit(vec![copy]).await.unwrap();
    assert!(matches!(&outcome[0], Outcome::Copied { uids, .. } if *uids == [(1, 1)]));
    let shift = Change::Move {
        account: account(),
        from: "INBOX".into(),
        uids: vec![1],
        to: "Trash".into(),
    };
    store.commit(vec![shift]).await.unwrap();
    assert_eq!((uids(&store, "INBOX"), uids(&store, "Trash")), (vec![], vec![1]));
    assert_eq!(files(folder.path()), 1);
    assert_eq!(store.usage("u"), 2 * 10);
    for mailbox in ["Sent", "Trash"] {
        let delete = Change::Delete { account: account(), mailbox: mailbox.into() };
        store.commit(vec![delete]).await.unwrap();
    }
    // The file is removed after the answer: the next answer says that it is gone.
    store.commit(vec![Change::Account { account: account() }]).await.unwrap();
    assert_eq!((files(folder.path()), store.usage("u")), (0, 0));
}

#[tokio::test]
async fn a_mailbox_that_is_made_again_has_another_uidvalidity() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let (account, mailbox) = ("u".to_owned(), "a/b".to_owned());
        let create = Change::Create { account: account.clone(), mailbox, special: None };
        store.commit(vec![create]).await.unwrap();
        let rename =
            Change::Rename { account: account.clone(), mailbox: "a/b".into(), to: "c".into() };
        store.commit(vec![rename]).await.unwrap();
        assert!(seen.insert(store.with_mailbox("u", "c", |m| m.validity).unwrap()));
        store.commit(vec![Change::Delete { account, mailbox: "c".into() }]).await.unwrap();
    }
}

#[tokio::test]
async fn many_writers_share_the_journal_and_watchers_are_woken() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut watch = store.watch("u");
    let writers: Vec<_> = (0..50)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { add(&store, "u", &n.to_string()).await })
        })
        .collect();
    let mut given = BTreeSet::new();
    for writer in writers {
        given.insert(writer.await.unwrap());
    }
    assert_eq!(given, (1..=50).collect());
    assert!(watch.has_changed().unwrap());
    watch.mark_unchanged();
    let claim = || Change::ClaimRecent { account: "u".into(), mailbox: "INBOX".into() };
    assert_eq!(store.commit(vec![claim()]).await.unwrap(), [Outcome::Recent { from: 1 }]);
    assert_eq!(store.commit(vec![claim()]).await.unwrap(), [Outcome::Recent { from: 51 }]);
}

#[test]
fn inbox_has_one_spelling() {
    for (given, wanted) in [
        ("inbox", "INBOX"),
        ("InBox/x", "INBOX/x"),
        ("inboxes", "inboxes"),
        ("a", "a"),
        ("ünbox", "ünbox"),
    ] {
        assert_eq!(canonical(given), wanted);
    }
}

#[tokio::test]
async fn an_answer_is_given_once_also_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let answer = |sender: &str, now: i64| Change::Answer {
        account: "u".into(),
        sender: sender.into(),
        now,
        every_s: 10,
    };
    store.commit(vec![answer("a@b.test", 0)]).await.unwrap();
    // What comes with an answer that is not given is not done either.
    let create = Change::Create { account: "u".into(), mailbox: "x".into(), special: None };
    let refused = store.commit(vec![answer("a@b.test", 9), create]).await;
    assert_eq!(refused, Err(Error::Answered));
    assert!(store.mailboxes("u").is_empty());
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert!(store.has_answered("u", "a@b.test", 9, 10));
    assert!(!store.has_answered("u", "a@b.test", 10, 10));
    assert!(!store.has_answered("u", "other@b.test", 9, 10));
    store.commit(vec![answer("a@b.test", 10)]).await.unwrap();
    store.commit(vec![Change::RemoveAccount { account: "u".into() }]).await.unwrap();
    assert!(!store.has_answered("u", "a@b.test", 11, 10));
}
