//! What the relay asks of the next server and what it refuses to send it: 8BITMIME, SMTPUTF8, DSN
//! (RFC 6152, 6531, 3461). The next server is a script in this file, reached as the smarthost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what went wrong by a panic"
)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Running, start_in};
use mailsrv::config::Protocol;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the next server says: its extensions, and replies by the beginning of a command.
#[derive(Clone, Copy, Default)]
struct Script {
    ehlo: &'static str,
    replies: &'static [(&'static str, &'static str)],
}

/// The next server, and the lines that it hears.
async fn next_server(script: Script) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let all = heard.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, script, all.clone()));
        }
    });
    (port, heard)
}

async fn serve(stream: TcpStream, script: Script, heard: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    if stream.write_all(b"220 next\r\n").await.is_err() {
        return;
    }
    let (mut line, mut message) = (String::new(), false);
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        heard.lock().unwrap().push(line.trim_end().to_owned());
        let known = script.replies.iter().find(|(command, _)| line.starts_with(command));
        let reply = match known {
            Some((_, reply)) if !message => *reply,
            _ if message && line != ".\r\n" => "",
            _ if line.starts_with("EHLO") => script.ehlo,
            _ if line == "DATA\r\n" => "354 go\r\n",
            _ => "250 2.0.0 fine\r\n",
        };
        message = (message && line != ".\r\n") || line == "DATA\r\n";
        line.clear();
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A server for a.test whose other mail all goes to this port.
async fn sender(port: u16) -> Running {
    let base = "hostname: mx.a.test\nlisten: 127.0.0.1\ndomains: [ { name: a.test } ]\n\
        accounts: { u1: pw, away: { password: pw, forward: [x@far.test], keep: false }, \
        both: { password: pw, forward: [x@far.test] } }\n";
    let more = format!(
        "relay: {{ networks: [127.0.0.0/8], smarthost: {{ host: 127.0.0.1, port: {port} }} }}\n\
         queue: {{ retry_s: [1], warn_s: 100, expire_s: 100, timeout_s: 5 }}"
    );
    start_in(tempfile::tempdir().unwrap(), base, &more).await
}

/// Says it; every reply but the last one's goodbye must be good.
async fn say(running: &Running, text: &str) {
    let mut stream = TcpStream::connect(running.address(Protocol::Smtp).await).await.unwrap();
    stream.write_all(format!("EHLO pc0\r\n{text}\r\n.\r\nQUIT\r\n").as_bytes()).await.unwrap();
    let mut replies = String::new();
    stream.read_to_string(&mut replies).await.unwrap();
    assert!(replies.lines().all(|line| line.starts_with(['2', '3'])), "{replies}");
}

/// Waits until nothing is in the queue any more.
async fn sent(running: &Running) {
    let mut watch = running.server.store.watch_queue();
    let waiting = async {
        loop {
            watch.mark_unchanged();
            if running.server.store.queue().is_empty() {
                return;
            }
            watch.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "{:?}", running.server.store.queue());
}

const ALL: &str = "250-next\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE 1000000\r\n";
const NONE: &str = "250 next\r\n";

fn said(heard: &Mutex<Vec<String>>, start: &str) -> Vec<String> {
    heard.lock().unwrap().iter().filter(|line| line.starts_with(start)).cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_bit_mail_goes_only_where_it_is_taken() {
    let text = "MAIL FROM:<u1@a.test> BODY=8BITMIME\r\nRCPT TO:<x@far.test>\r\nDATA\r\nSubject: x\r\n\r\nGrüße";
    let (port, heard) = next_server(Script { ehlo: ALL, ..Script::default() }).await;
    let a = sender(port).await;
    say(&a, text).await;
    sent(&a).await;
    assert!(said(&heard, "MAIL")[0].contains("BODY=8BITMIME"), "{heard:?}");
    assert!(heard.lock().unwrap().contains(&"Grüße".to_owned()));
    assert!(a.inbox("u1@a.test").is_empty());

    let (port, heard) = next_server(Script { ehlo: NONE, ..Script::default() }).await;
    let a = sender(port).await;
    say(&a, text).await;
    let notices = a.inbox_of("u1@a.test", 1).await;
    assert!(notices[0].contains("Status: 5.6.3"), "{}", notices[0]);
    assert!(said(&heard, "MAIL").is_empty(), "{heard:?}");
    // The same without such bytes goes.
    say(&a, &text.replace("üß", "us")).await;
    sent(&a).await;
    assert_eq!(said(&heard, "MAIL"), ["MAIL FROM:<u1@a.test>"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smtputf8_is_asked_only_for_what_needs_it() {
    let plain =
        "MAIL FROM:<u1@a.test> SMTPUTF8\r\nRCPT TO:<x@far.test>\r\nDATA\r\nSubject: x\r\n\r\nx";
    let (port, heard) = next_server(Script { ehlo: NONE, ..Script::default() }).await;
    let a = sender(port).await;
    say(&a, plain).await;
    sent(&a).await;
    assert_eq!(said(&heard, "MAIL"), ["MAIL FROM:<u1@a.test>"]);
    for needs in
        [plain.replace("x@far", "jürgen@far"), plain.replace("Subject: x", "Subject: Grüße")]
    {
        let before = a.inbox("u1@a.test").len();
        say(&a, &needs).await;
        let notices = a.inbox_of("u1@a.test", before + 1).await;
        assert!(notices[before].contains("Status: 5.6.7"), "{}", notices[before]);
    }
    assert!(
        a.inbox("u1@a.test")[0].contains("Content-Type: message/global-delivery-status\r\n"),
        "{:?}",
        a.inbox("u1@a.test")
    );
    assert!(a.inbox("u1@a.test")[0].contains("Final-Recipient: utf-8; jürgen@far.test\r\n"));
    assert_eq!(said(&heard, "MAIL").len(), 1);

    let (port, heard) = next_server(Script { ehlo: ALL, ..Script::default() }).await;
    let a = sender(port).await;
    say(&a, &plain.replace("x@far", "jürgen@far")).await;
    sent(&a).await;
    assert!(said(&heard, "MAIL")[0].contains(" SMTPUTF8"), "{heard:?}");
    assert_eq!(said(&heard, "RCPT"), ["RCPT TO:<jürgen@far.test>"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wish_for_notices_goes_on_or_is_answered_for() {
    let mail = |to: &str| {
        format!(
            "MAIL FROM:<u1@a.test> RET=HDRS ENVID=Q+2B1\r\n\
             RCPT TO:<{to}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first+40a.test\r\nDATA\r\nSubject: x\r\n\r\nx"
        )
    };
    let (port, heard) = next_server(Script { ehlo: ALL, ..Script::default() }).await;
    let a = sender(port).await;
    say(&a, &mail("x@far.test")).await;
    // A forward to one address passes everything on; the address that was first stays.
    say(&a, &mail("away@a.test")).await;
    sent(&a).await;
    for line in said(&heard, "MAIL") {
        assert!(line.contains(" RET=HDRS ENVID=Q+2B1"), "{line}");
    }
    let rcpt = "RCPT TO:<x@far.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@a.test";
    assert_eq!(said(&heard, "RCPT"), [rcpt, rcpt]);
    assert!(a.inbox("u1@a.test").is_empty());
    // Kept here and sent on as well: told here, and further on only failures are.
    say(&a, &mail("both@a.test")).await;
    let notices = a.inbox_of("u1@a.test", 1).await;
    assert!(notices[0].contains("Action: expanded\r\n"), "{}", notices[0]);
    assert!(notices[0].contains("Original-Envelope-Id: Q+1\r\n"), "{}", notices[0]);
    sent(&a).await;
    assert!(said(&heard, "RCPT")[2].contains("NOTIFY=FAILURE "), "{heard:?}");

    let (port, heard) = next_server(Script { ehlo: NONE, ..Script::default() }).await;
    let a = sender(port).await;
    say(&a, &mail("x@far.test")).await;
    let notices = a.inbox_of("u1@a.test", 1).await;
    for words in ["Action: relayed\r\n", "Original-Recipient: rfc822; first@a.test\r\n"] {
        assert!(notices[0].contains(words), "{words}: {}", notices[0]);
    }
    assert_eq!(said(&heard, "RCPT"), ["RCPT TO:<x@far.test>"]);
    // NEVER means never.
    say(&a, &mail("x@far.test").replace("SUCCESS,FAILURE", "NEVER")).await;
    sent(&a).await;
    assert_eq!(a.inbox("u1@a.test").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusual_refusals_of_the_next_server_are_understood() {
    let mail = "MAIL FROM:<u1@a.test>\r\nRCPT TO:<x@far.test>\r\nDATA\r\nSubject: x\r\n\r\nx";
    // STARTTLS is offered but not available now: then in the clear.
    let replies = &[("STARTTLS", "454 4.7.0 no key\r\n")];
    let script = Script { ehlo: "250-next\r\n250 STARTTLS\r\n", replies };
    let (port, heard) = next_server(script).await;
    let a = sender(port).await;
    say(&a, mail).await;
    sent(&a).await;
    assert_eq!(said(&heard, "MAIL"), ["MAIL FROM:<u1@a.test>"]);
    // 552 for a recipient is "too many of them" (RFC 5321, 4.5.3.1.10): later.
    let script = Script { ehlo: ALL, replies: &[("RCPT", "552 too many recipients\r\n")] };
    let (port, heard) = next_server(script).await;
    let a = sender(port).await;
    say(&a, mail).await;
    tokio::time::timeout(Duration::from_secs(20), async {
        while a.server.store.queue().iter().all(|entry| entry.attempts == 0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    assert!(a.inbox("u1@a.test").is_empty() && !a.server.store.queue().is_empty(), "{heard:?}");
    // A reply of many lines, no EHLO at all: HELO, and no parameter of any extension.
    let script = Script { ehlo: "502-what\r\n502 is that\r\n", replies: &[] };
    let (port, heard) = next_server(script).await;
    let a = sender(port).await;
    say(&a, mail).await;
    sent(&a).await;
    assert_eq!(said(&heard, "HELO"), ["HELO mx.a.test"]);
    assert_eq!(said(&heard, "MAIL"), ["MAIL FROM:<u1@a.test>"]);
}
