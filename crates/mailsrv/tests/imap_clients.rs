//! The IMAP server and the mail client against each other and against independent clients.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic and says what it skips"
)]

mod imap_common;

use std::process::Command;
use std::time::Duration;

use futures::StreamExt;
use imap_common::Lab;
use mailsrv::config::Protocol;
use probes::mail::{
    Action, Fetch, ImapRequest, Login, Outcome, Protocol as Kind, Request, Security, Send, Server,
    Stage,
};
use probes::{Env, MailSettings};
use tokio::net::TcpStream;

fn server(port: u16, security: Security) -> Server {
    Server {
        host: "127.0.0.1".into(),
        port: Some(port),
        security,
        tls_name: Some("lab.test".into()),
    }
}

fn env(lab: &Lab) -> Env {
    let authority = std::fs::read_to_string(lab.authority()).unwrap_or_default();
    Env { trust: vec![authority], node: "pc0".into(), ..Env::default() }
}

async fn send(
    lab: &Lab,
    protocol: Protocol,
    security: Security,
    to: &str,
    subject: &str,
) -> Outcome {
    let request = Send {
        server: server(lab.port(protocol).await, security),
        login: (security != Security::Plain).then(|| ("u1".into(), "pw".into())),
        from: "u1@lab.test".into(),
        to: vec![to.into()],
        subject: subject.into(),
        body: "Hello\n.\nlast line ä".into(),
        timeout_ms: 10_000,
        ..Send::default()
    };
    probes::mail::run(Request::Send(request), &env(lab)).await
}

async fn fetch(lab: &Lab, kind: Kind, port: Protocol, security: Security, find: &str) -> Outcome {
    let request = Fetch {
        protocol: kind,
        server: server(lab.port(port).await, security),
        user: "u2".into(),
        password: "pw".into(),
        find: Some(find.into()),
        wait_ms: 5_000,
        timeout_ms: 10_000,
        ..Fetch::default()
    };
    probes::mail::run(Request::Fetch(request), &env(lab)).await
}

#[tokio::test]
async fn our_client_sends_and_fetches_plain_starttls_and_tls() {
    let lab = Lab::start().await;
    let ways = [
        (Protocol::Smtp, Security::Plain),
        (Protocol::Submission, Security::Starttls),
        (Protocol::Submissions, Security::Tls),
    ];
    for (at, (protocol, security)) in ways.into_iter().enumerate() {
        let outcome = send(&lab, protocol, security, "u2@lab.test", &format!("nonce-{at} ü")).await;
        assert!(outcome.ok, "{outcome:#?}");
        assert_eq!(outcome.code, Some(250));
        assert!(
            !outcome.transcript.iter().any(|line| line.contains("AHUxAHB3")),
            "a password shows"
        );
    }
    let ways = [
        (Kind::Pop3, Protocol::Pop3, Security::Plain),
        (Kind::Pop3, Protocol::Pop3, Security::Starttls),
        (Kind::Pop3, Protocol::Pop3s, Security::Tls),
        (Kind::Imap, Protocol::Imap, Security::Plain),
        (Kind::Imap, Protocol::Imap, Security::Starttls),
        (Kind::Imap, Protocol::Imaps, Security::Tls),
    ];
    for (kind, protocol, security) in ways {
        let outcome = fetch(&lab, kind, protocol, security, "nonce-1 ü").await;
        assert!(outcome.ok, "{kind:?} {security:?}: {outcome:#?}");
        let found = outcome.found.unwrap();
        assert_eq!(found.subject, "nonce-1 ü");
        assert_eq!(found.body.trim_end(), "Hello\r\n.\r\nlast line ä");
        assert_eq!(outcome.tls.is_some(), security != Security::Plain);
        assert!(
            !outcome.transcript.iter().any(|line| line.contains(" pw") || line.contains("\"pw\""))
        );
    }
}

#[tokio::test]
async fn our_client_says_where_it_failed() {
    let lab = Lab::start().await;
    let outcome = send(&lab, Protocol::Smtp, Security::Plain, "nobody@lab.test", "x").await;
    let failure = outcome.failure.unwrap();
    assert_eq!((failure.stage, failure.command.as_deref()), (Stage::Command, Some("RCPT")));
    assert_eq!(failure.code, Some(550));
    assert!(failure.message.contains("user unknown: 550 5.1.1"), "{}", failure.message);

    lab.server.switch(Protocol::Smtp, false).await.unwrap();
    let closed = Send {
        server: server(1, Security::Plain),
        to: vec!["x@x".into()],
        timeout_ms: 3_000,
        ..Send::default()
    };
    let failure = probes::mail::run(Request::Send(closed), &env(&lab)).await.failure.unwrap();
    assert_eq!(failure.stage, Stage::ConnectRefused);
    assert!(failure.message.contains("refused the connection on port 1"), "{}", failure.message);

    for (kind, protocol) in [
        (Kind::Pop3, Protocol::Pop3),
        (Kind::Imap, Protocol::Imap),
        (Kind::Smtp, Protocol::Submission),
    ] {
        let login = Login {
            protocol: kind,
            server: server(lab.port(protocol).await, Security::Plain),
            user: "u1".into(),
            password: "wrong".into(),
            timeout_ms: 20_000,
        };
        let failure = probes::mail::run(Request::Login(login), &env(&lab)).await.failure.unwrap();
        assert_eq!(failure.stage, Stage::Login, "{kind:?}: {failure:?}");
    }
    // A certificate of an authority that the client does not know.
    let login = Login {
        protocol: Kind::Imap,
        server: server(lab.port(Protocol::Imaps).await, Security::Tls),
        user: "u1".into(),
        password: "pw".into(),
        timeout_ms: 5_000,
    };
    let stranger = pki::Authority::generate("other", std::time::SystemTime::now()).unwrap();
    let other = Env { trust: vec![stranger.ca_pem().to_owned()], ..Env::default() };
    let failure = probes::mail::run(Request::Login(login), &other).await.failure.unwrap();
    assert_eq!(failure.stage, Stage::Tls, "{failure:?}");
    // A message that is not there.
    let request = Fetch {
        server: server(lab.port(Protocol::Pop3).await, Security::Plain),
        user: "u1".into(),
        password: "pw".into(),
        find: Some("never".into()),
        wait_ms: 300,
        timeout_ms: 5_000,
        ..Fetch::default()
    };
    let failure = probes::mail::run(Request::Fetch(request), &env(&lab)).await.failure.unwrap();
    assert_eq!(failure.stage, Stage::Mailbox, "{failure:?}");
}

#[tokio::test]
async fn mail_by_smtp_shows_in_an_open_idle_session_at_once() {
    let lab = Lab::start().await;
    let waiting = fetch(&lab, Kind::Imap, Protocol::Imap, Security::Plain, "idle-nonce");
    let sending = async {
        // The session waits when the transcript shows IDLE.
        let mut lines = lab.server.transcript.follow();
        while !lines.recv().await.unwrap().text.contains("IDLE") {}
        send(&lab, Protocol::Smtp, Security::Plain, "u2@lab.test", "idle-nonce").await
    };
    let (got, sent) = tokio::join!(waiting, sending);
    assert!(sent.ok && got.ok, "{got:#?}");
    assert!(got.ms < 3_000.0, "{} ms", got.ms);
}

#[tokio::test]
async fn two_devices_see_the_same_folders_and_flags() {
    let lab = Lab::start().await;
    let ask = async |actions: Vec<Action>| {
        let request = ImapRequest {
            server: server(lab.port(Protocol::Imap).await, Security::Plain),
            user: "u2".into(),
            password: "pw".into(),
            actions,
            timeout_ms: 10_000,
        };
        probes::mail::run(Request::Imap(request), &env(&lab)).await
    };
    assert!(send(&lab, Protocol::Smtp, Security::Plain, "u2@lab.test", "both").await.ok);
    let first = ask(vec![
        Action::Create("Über/eins".into()),
        Action::Flags { find: "both".into(), add: vec!["\\Flagged".into()], remove: vec![] },
        Action::Copy { find: "both".into(), to: "Über/eins".into() },
        Action::Append {
            folder: "Drafts".into(),
            raw: "Subject: d\n\nx".into(),
            flags: vec!["\\Draft".into()],
        },
    ])
    .await;
    assert!(first.ok, "{first:#?}");
    let second = ask(vec![
        Action::Folders,
        Action::Select("Über/eins".into()),
        Action::List { find: String::new() },
        Action::Move { find: "both".into(), to: "Trash".into() },
    ])
    .await;
    assert!(second.ok, "{second:#?}");
    assert!(second.folders.iter().any(|folder| folder.name == "Über/eins"));
    assert_eq!(second.listed.len(), 1);
    assert!(second.listed[0].flags.contains(&"\\Flagged".to_owned()));
    let third =
        ask(vec![Action::Select("Trash".into()), Action::List { find: "both".into() }]).await;
    assert_eq!(third.listed.len(), 1);
}

#[tokio::test]
async fn the_nodes_settings_are_enough() {
    let lab = Lab::start().await;
    let settings = MailSettings {
        address: "u1@lab.test".into(),
        user: "u1".into(),
        password: "pw".into(),
        outgoing: "127.0.0.1".into(),
        incoming: "127.0.0.1".into(),
        ..MailSettings::default()
    };
    let mut request = settings.send(&["u1@lab.test".into()], "to me", "x");
    request.server.port = Some(lab.port(Protocol::Smtp).await);
    assert!(probes::mail::run(Request::Send(request), &env(&lab)).await.ok);
    let mut request = settings.fetch(None);
    request.server.port = Some(lab.port(Protocol::Pop3).await);
    request.delete = true;
    let outcome = probes::mail::run(Request::Fetch(request.clone()), &env(&lab)).await;
    assert_eq!(outcome.letters.len(), 1, "{outcome:#?}");
    let outcome = probes::mail::run(Request::Fetch(request), &env(&lab)).await;
    assert_eq!((outcome.ok, outcome.count), (true, 0));
}

#[tokio::test]
async fn async_imap_works() {
    let lab = Lab::start().await;
    lab.deliver("u1", b"Subject: one\r\nFrom: a@x\r\n\r\nhello\r\n").await;
    let stream = TcpStream::connect(lab.imap).await.unwrap();
    let client = async_imap::Client::new(stream);
    let mut session = client.login("u1", "pw").await.map_err(|(error, _)| error).unwrap();
    let mailbox = session.select("INBOX").await.unwrap();
    assert_eq!((mailbox.exists, mailbox.recent, mailbox.uid_next), (1, 1, Some(2)));
    session.append("INBOX", Some("(\\Seen)"), None, b"Subject: two\r\n\r\nx\r\n").await.unwrap();
    session.noop().await.unwrap();
    let fetched: Vec<_> = session
        .fetch("1:*", "(UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
        .await
        .unwrap()
        .collect()
        .await;
    assert_eq!(fetched.len(), 2);
    let first = fetched[0].as_ref().unwrap();
    assert_eq!(first.envelope().unwrap().subject.as_deref(), Some(&b"one"[..]));
    assert!(first.bodystructure().is_some());
    assert_eq!(first.body().unwrap(), b"Subject: one\r\nFrom: a@x\r\n\r\nhello\r\n");
    let found = session.uid_search("SUBJECT two").await.unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [2]);
    let _: Vec<_> = session.uid_store("2", "+FLAGS (\\Deleted)").await.unwrap().collect().await;
    let gone: Vec<_> = session.expunge().await.unwrap().collect().await;
    assert_eq!(gone.len(), 1);
    session.create("x").await.unwrap();
    session.uid_mv("1", "x").await.unwrap();
    let names: Vec<_> = session.list(Some(""), Some("*")).await.unwrap().collect().await;
    assert_eq!(names.len(), 6);
    let mut idle = session.idle();
    idle.init().await.unwrap();
    let (waiting, _stop) = idle.wait_with_timeout(Duration::from_secs(10));
    let (response, ()) = tokio::join!(waiting, lab.deliver("u1", b"Subject: three\r\n\r\n"));
    assert!(matches!(response.unwrap(), async_imap::extensions::idle::IdleResponse::NewData(_)));
    let mut session = idle.done().await.unwrap();
    assert_eq!(session.status("INBOX", "(MESSAGES)").await.unwrap().exists, 1);
    session.logout().await.unwrap();
}

/// A large message goes out whole, straight from its file, also in pieces.
#[tokio::test]
async fn a_large_message_is_kept_byte_for_byte() {
    let lab = Lab::start().await;
    let mut message = b"Subject: big\r\n\r\n".to_vec();
    while message.len() < 3 << 20 {
        message.extend_from_slice(format!("line {}\r\n", message.len()).as_bytes());
    }
    let stream = TcpStream::connect(lab.imap).await.unwrap();
    let client = async_imap::Client::new(stream);
    let mut session = client.login("u1", "pw").await.map_err(|(error, _)| error).unwrap();
    session.append("INBOX", None, None, &message).await.unwrap();
    session.select("INBOX").await.unwrap();
    let fetched: Vec<_> = session.fetch("1", "(BODY[])").await.unwrap().collect().await;
    assert!(fetched[0].as_ref().unwrap().body().unwrap() == message);
    let fetched: Vec<_> =
        session.fetch("1", "(BODY.PEEK[]<1000000.5000> UID)").await.unwrap().collect().await;
    let piece = fetched[0].as_ref().unwrap();
    assert_eq!(piece.uid, Some(1));
    session.logout().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pythons_imaplib_works() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/imaplib_all.py");
    let lab = Lab::start_with(|config| config.policy.cram_md5 = true).await;
    let plain = lab.port(Protocol::Imap).await.to_string();
    let tls = lab.port(Protocol::Imaps).await.to_string();
    let authority = lab.authority();
    run("python3", &[script, &plain, &tls, authority.to_str().unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_works() {
    let lab = Lab::start().await;
    let imap = lab.port(Protocol::Imap).await;
    let url = format!("imap://127.0.0.1:{imap}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "Subject: by curl\r\n\r\nbody\r\n").unwrap();
    let upload = file.path().to_str().unwrap();
    let user = ["-sS", "--user", "u1:pw"];
    let curl = |more: &[&str]| run("curl", &[&user, more].concat());
    if curl(&["-T", upload, &format!("{url}/INBOX")]).is_none() {
        return;
    }
    let found = curl(&[&format!("{url}/INBOX?SUBJECT%20curl")]).unwrap();
    assert_eq!(found.trim(), "* SEARCH 1");
    let header = curl(&[&format!("{url}/INBOX;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)")]).unwrap();
    assert_eq!(header.trim(), "Subject: by curl");
    let stored = curl(&[&format!("{url}/INBOX"), "-X", "STORE 1 +FLAGS (\\Flagged)"]).unwrap();
    assert!(stored.contains("* 1 FETCH (FLAGS (\\Seen \\Flagged"), "{stored}");
    let list = curl(&[&format!("{url}/")]).unwrap();
    assert!(list.contains("\"INBOX\""), "{list}");
    let authority = lab.authority();
    let tls = format!("imaps://lab.test:{}/INBOX;UID=1", lab.port(Protocol::Imaps).await);
    let resolve = format!("lab.test:{}:127.0.0.1", lab.port(Protocol::Imaps).await);
    let body =
        curl(&["--cacert", authority.to_str().unwrap(), "--resolve", &resolve, &tls]).unwrap();
    assert!(body.contains("body"));
}

/// A two-way synchronisation: what changes on either side comes to the other, and where nothing
/// changed nothing is done.
#[tokio::test(flavor = "multi_thread")]
async fn mbsync_works_both_ways() {
    let lab = Lab::start().await;
    for n in 0..3 {
        let message = format!("Message-ID: <{n}@x.test>\r\nSubject: far {n}\r\n\r\nx\r\n");
        lab.deliver("u1", message.as_bytes()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let near = folder.path().join("near");
    std::fs::create_dir(&near).unwrap();
    let config = folder.path().join("mbsyncrc");
    let text = format!(
        "IMAPAccount lab\nHost 127.0.0.1\nPort {}\nUser u1\nPass pw\nSSLType None\nAuthMechs LOGIN\n\n\
         IMAPStore far\nAccount lab\n\n\
         MaildirStore near\nPath {near}/\nInbox {near}/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nRemove Both\nExpunge Both\n\
         SyncState *\n",
        lab.port(Protocol::Imap).await,
        near = near.display(),
    );
    std::fs::write(&config, text).unwrap();
    let sync = || run("mbsync", &["-c", config.to_str().unwrap(), "-a"]);
    if sync().is_none() {
        return;
    }
    // A message here, a folder there, flags on both sides.
    let inbox = near.join("INBOX");
    let find = |uid: &str| {
        let all = ["cur", "new"].map(|one| std::fs::read_dir(inbox.join(one)).unwrap());
        let mut paths = all.into_iter().flatten().map(|entry| entry.unwrap().path());
        paths.find(|path| path.to_string_lossy().contains(uid)).unwrap()
    };
    let first = find(",U=1:");
    let name = first.file_name().unwrap().to_string_lossy().replace(":2,", ":2,F");
    std::fs::rename(&first, inbox.join("cur").join(name)).unwrap();
    std::fs::remove_file(find(",U=3:")).unwrap();
    std::fs::write(inbox.join("cur/1.2.here:2,S"), "Message-ID: <n@x>\nSubject: near\n\ny\n")
        .unwrap();
    let mut line = lab.connect().await;
    for command in
        ["LOGIN u1 pw", "SELECT INBOX", "STORE 2 +FLAGS (\\Seen)", "CREATE a/b", "UNSELECT"]
    {
        let answer = line.ask("t", command).await;
        assert!(answer.last().unwrap().starts_with("t OK"), "{answer:?}");
    }
    sync().unwrap();
    line.ask("t", "SELECT INBOX").await;
    let told = line.ask("t", "FETCH 1:* (UID FLAGS)").await;
    assert_eq!(
        told,
        [
            "* 1 FETCH (UID 1 FLAGS (\\Flagged))",
            "* 2 FETCH (UID 2 FLAGS (\\Seen))",
            "* 3 FETCH (UID 4 FLAGS (\\Seen))",
            "t OK FETCH done"
        ]
    );
    assert!(find(",U=2:").to_string_lossy().ends_with(":2,S"));
    assert!(near.join("a/b/cur").is_dir());
    line.ask("t", "UNSELECT").await;
    // Nothing changed: nothing is done, on either side.
    let state = async |line: &mut imap_common::Line| {
        let listed =
            line.ask("t", "LIST \"\" * RETURN (STATUS (MESSAGES UIDNEXT HIGHESTMODSEQ))").await;
        let mut files = Vec::new();
        for entry in ["INBOX/cur", "INBOX/new", "Sent/cur", "a/b/cur"] {
            let entries = std::fs::read_dir(near.join(entry)).unwrap();
            files.extend(entries.map(|entry| entry.unwrap().file_name()));
        }
        files.sort();
        (listed, files)
    };
    let before = state(&mut line).await;
    sync().unwrap();
    assert_eq!(state(&mut line).await, before);
}

/// Runs a client; `None` where it is not installed (an error in CI).
fn run(program: &str, args: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(args).output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("LABCTL_CI").is_none(), "{program}: {error}");
            println!("SKIPPED: {program} is not installed");
            return None;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}\n{text}\n{errors}");
    Some(text)
}
