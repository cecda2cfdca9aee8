//! Programs that other people wrote: Python's libraries, curl, swaks, msmtp, mpop, lettre.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says what went wrong by a panic"
)]

mod common;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use common::{Running, has, start};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::{Message, SmtpTransport, Transport};
use mailsrv::config::Protocol;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Runs a program; everything it said.
async fn run(program: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let waiting = child.wait_with_output();
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it ends").unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

async fn good(program: &str, arguments: &[&str], input: &str) -> String {
    let output = run(program, arguments, input).await;
    assert!(output.status.success(), "{program} {arguments:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pythons_smtplib_and_poplib() {
    if !has("python3") {
        return;
    }
    let running = start("").await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/smtp_pop3.py");
    let (ports, ca) = (running.ports().await.to_string(), running.ca());
    let arguments = [script.to_str().unwrap(), &ports, ca.to_str().unwrap()];
    assert_eq!(good("python3", &arguments, "").await, "good\n");
}

const MAIL: &str = "From: u1@a.test\r\nTo: u2@a.test\r\nSubject: from outside\r\n\r\nhello\r\n";

async fn port(running: &Running, protocol: Protocol) -> String {
    running.port(protocol).await.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_sends_and_fetches() {
    if !has("curl") {
        return;
    }
    let running = start("").await;
    let ca = running.ca().display().to_string();
    for (protocol, scheme, security) in [
        (Protocol::Submission, "smtp", "--ssl-reqd"),
        (Protocol::Submissions, "smtps", "-s"),
        (Protocol::Smtp, "smtp", "-s"),
    ] {
        let url = format!("{scheme}://localhost:{}/pc0", port(&running, protocol).await);
        let arguments = [
            "-sS",
            security,
            "--cacert",
            &ca,
            "--url",
            &url,
            "--user",
            "u1:pw",
            "--mail-from",
            "u1@a.test",
            "--mail-rcpt",
            "u2@a.test",
            "--upload-file",
            "-",
        ];
        good("curl", &arguments, MAIL).await;
        let mut wrong = arguments;
        wrong[7] = "u1:wrong";
        let refused = run("curl", &wrong, MAIL).await;
        assert_eq!(refused.status.code(), Some(67), "{}", text(&refused));
    }
    assert_eq!(running.inbox("u2@a.test").len(), 3);
    for (protocol, scheme, security) in [
        (Protocol::Pop3, "pop3", "--ssl-reqd"),
        (Protocol::Pop3s, "pop3s", "-s"),
        (Protocol::Pop3, "pop3", "-s"),
    ] {
        let base = format!("{scheme}://localhost:{}/", port(&running, protocol).await);
        let common = ["-sS", security, "--cacert", &ca, "--user", "u2:pw"];
        let list = good("curl", &[&common[..], &[&base, "-X", "UIDL"]].concat(), "").await;
        assert_eq!(list.lines().count(), 3, "{list}");
        let first = format!("{base}1");
        let message = good("curl", &[&common[..], &[&first]].concat(), "").await;
        assert!(message.ends_with("Subject: from outside\r\n\r\nhello\r\n"), "{message}");
        let top = good("curl", &[&common[..], &[&base, "-X", "TOP 1 0"]].concat(), "").await;
        assert!(top.contains("Subject: from outside") && !top.contains("hello"), "{top}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaks_tries_every_way() {
    if !has("swaks") {
        return;
    }
    let running = start("limits: { message: 20000 }").await;
    let ca = running.ca().display().to_string();
    let big = "x\n".repeat(20_000);
    for (protocol, tls, auth, password, to, body, code) in [
        (Protocol::Submission, "--tls", "PLAIN", "pw", "u2@a.test", "hi", 0),
        (Protocol::Submission, "--tls", "LOGIN", "pw", "u2@a.test", "hi", 0),
        (Protocol::Submissions, "--tls-on-connect", "PLAIN", "pw", "u2@a.test", "hi", 0),
        (Protocol::Smtp, "--tls", "LOGIN", "pw", "u2@a.test", "hi", 0),
        (Protocol::Submission, "--tls", "PLAIN", "wrong", "u2@a.test", "hi", 28),
        (Protocol::Submission, "--tls", "PLAIN", "pw", "nobody@a.test", "hi", 24),
        (Protocol::Submission, "--tls", "PLAIN", "pw", "u2@a.test", big.as_str(), 26),
    ] {
        let server = format!("localhost:{}", port(&running, protocol).await);
        let arguments = [
            "--server",
            &server,
            tls,
            "--tls-verify",
            "--tls-ca-path",
            &ca,
            "--auth",
            auth,
            "--auth-user",
            "u1",
            "--auth-password",
            password,
            "--from",
            "u1@a.test",
            "--to",
            to,
            "--body",
            body,
            "--helo",
            "pc0",
            "--hide-all",
        ];
        let output = run("swaks", &arguments, "").await;
        assert_eq!(output.status.code(), Some(code), "{auth} {password} {to}: {}", text(&output));
    }
    let server = format!("localhost:{}", port(&running, Protocol::Smtp).await);
    let open = ["--server", &server, "--from", "x@y.test", "--to", "z@far.test", "--helo", "pc0"];
    assert_eq!(run("swaks", &open, "").await.status.code(), Some(24), "an open relay");
    assert_eq!(running.inbox("u2@a.test").len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn msmtp_sends_and_mpop_fetches_once() {
    if !has("msmtp") || !has("mpop") {
        return;
    }
    let running = start("").await;
    let (ca, folder) = (running.ca().display().to_string(), tempfile::tempdir().unwrap());
    let trust = format!("--tls-trust-file={ca}");
    for auth in ["plain", "login", "scram-sha-256"] {
        let (submission, how) = (
            format!("--port={}", port(&running, Protocol::Submission).await),
            format!("--auth={auth}"),
        );
        let arguments = [
            "--host=localhost",
            &submission,
            "--tls=on",
            "--tls-starttls=on",
            &trust,
            &how,
            "--user=u1",
            "--passwordeval=echo pw",
            "--from=u1@a.test",
            "u2@a.test",
        ];
        let output = run("msmtp", &arguments, &MAIL.replace("\r\n", "\n")).await;
        assert!(output.status.success(), "{auth}: {}", text(&output));
    }
    for name in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(folder.path().join("mail").join(name)).unwrap();
    }
    let pop = format!("--port={}", port(&running, Protocol::Pop3).await);
    let delivery = format!("--delivery=maildir,{}/mail", folder.path().display());
    let uidls = format!("--uidls-file={}/uidls", folder.path().display());
    let arguments = [
        "--host=localhost",
        &pop,
        "--tls=on",
        "--tls-starttls=on",
        &trust,
        "--auth=user",
        "--user=u2",
        "--passwordeval=echo pw",
        "--keep=on",
        &delivery,
        &uidls,
    ];
    for auth in ["--auth=user", "--auth=scram-sha-256"] {
        let mut arguments = arguments;
        arguments[5] = auth;
        good("mpop", &arguments, "").await;
        // The second run fetches nothing: the UIDLs are the same.
        assert_eq!(std::fs::read_dir(folder.path().join("mail/new")).unwrap().count(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lettre_sends_with_every_login() {
    let running = start("").await;
    let port = running.port(Protocol::Submission).await;
    let sending = move || {
        for mechanism in [Mechanism::Plain, Mechanism::Login] {
            for (password, good) in [("pw", true), ("wrong", false)] {
                let transport = SmtpTransport::builder_dangerous("127.0.0.1")
                    .port(port)
                    .credentials(Credentials::new("u1".into(), password.into()))
                    .authentication(vec![mechanism])
                    .build();
                let message = Message::builder()
                    .from("U One <u1@a.test>".parse().unwrap())
                    .to("info@a.test".parse().unwrap())
                    .subject("Grüße")
                    .body("Schöne Grüße\n.\n".to_owned())
                    .unwrap();
                assert_eq!(transport.send(&message).is_ok(), good);
            }
        }
    };
    tokio::task::spawn_blocking(sending).await.unwrap();
    for account in ["u1@a.test", "u2@a.test"] {
        assert_eq!(running.inbox(account).len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwards_answers_lists_and_signatures() {
    let running = start("relay: { networks: [127.0.0.0/8] }").await;
    running
        .server
        .directory
        .change(|data| {
            data.account_mut("u1")?.signature = Some("U. One\nRoom 1".into());
            let list = data.lists.get_mut("all@a.test").unwrap();
            list.members.push("note@a.test".into());
            Ok(())
        })
        .unwrap();
    let transport = SmtpTransport::builder_dangerous("127.0.0.1")
        .port(running.port(Protocol::Smtp).await)
        .build();
    let sending = move || {
        for (from, to) in [
            ("u2@a.test", "all@a.test"),
            ("u1@a.test", "away@a.test"),
            ("u1@a.test", "note@a.test"),
            ("u1@a.test", "note+tag@a.test"),
            ("u1@a.test", "all@a.test"),
        ] {
            let message = Message::builder()
                .from(from.parse().unwrap())
                .to(to.parse().unwrap())
                .subject(to)
                .body("text\n".to_owned())
                .unwrap();
            transport.send(&message).unwrap();
        }
    };
    tokio::task::spawn_blocking(sending).await.unwrap();
    assert!(running.inbox("away@a.test").is_empty());
    let u2 = running.inbox_of("u2@a.test", 3).await;
    assert!(u2[1].contains("Subject: away@a.test"), "{}", u2[1]);
    assert!(u2[1].ends_with("-- \r\nU. One\r\nRoom 1\r\n"), "{}", u2[1]);
    assert!(u2[2].contains("List-Id: <all.a.test>\r\nPrecedence: list\r\n"), "{}", u2[2]);
    assert_eq!(running.inbox("note@a.test").len(), 4);
    // One answer for two messages, and none for the list's.
    assert!(!u2.iter().any(|m| m.contains("Auto-Submitted")), "{u2:?}");
    let u1 = running.inbox_of("u1@a.test", 3).await;
    let answers: Vec<_> =
        u1.iter().filter(|m| m.contains("Auto-Submitted: auto-replied")).collect();
    assert_eq!(answers.len(), 1, "{u1:?}");
    assert!(answers[0].starts_with("Return-Path: <>\r\n") && answers[0].contains("I am away."));
}
