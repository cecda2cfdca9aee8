//! Mail between servers: MX records, STARTTLS, retries, notices, a smarthost. The domain names
//! are served by a small DNS server in this file; the other servers are mailsrv and smtp-sink.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says what went wrong by a panic"
)]

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use common::{Running, has, start_in};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, MX, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use lettre::{SmtpTransport, Transport};
use mailsrv::config::Protocol;
use tokio::net::UdpSocket;

/// Names to their data: `MX 10 host`, `A address` or `TXT text`.
type Zone = BTreeMap<&'static str, Vec<&'static str>>;

/// Serves the names until the test ends.
async fn dns(zone: Zone) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let asked = Message::from_vec(&buffer[..length]).unwrap();
            let mut answer =
                Message::new(asked.metadata.id, MessageType::Response, asked.metadata.op_code);
            let query = asked.queries.first().unwrap().clone();
            let name = query.name().to_utf8().to_lowercase();
            match zone.get(name.trim_end_matches('.')) {
                None => answer.metadata.response_code = ResponseCode::NXDomain,
                Some(data) => {
                    for text in data {
                        let words: Vec<_> = text.split(' ').collect();
                        let data = match (words[0], query.query_type()) {
                            ("MX", RecordType::MX) => RData::MX(MX::new(
                                words[1].parse().unwrap(),
                                Name::from_str(words[2]).unwrap(),
                            )),
                            ("A", RecordType::A) => RData::A(A(words[1].parse().unwrap())),
                            ("TXT", RecordType::TXT) => {
                                RData::TXT(TXT::new(vec![text[4..].to_owned()]))
                            }
                            _ => continue,
                        };
                        answer.answers.push(Record::from_rdata(query.name().clone(), 60, data));
                    }
                }
            }
            answer.add_query(query);
            socket.send_to(&answer.to_vec().unwrap(), peer).await.unwrap();
        }
    });
    address
}

/// A sending server for a.test.
async fn sender(dns: SocketAddr, port: u16, more: &str) -> Running {
    let base = format!(
        "hostname: mx.a.test\nlisten: 127.0.0.1\ndomains: [ {{ name: a.test }} ]\n\
         accounts: {{ u1: pw, away: {{ password: pw, forward: [x@b.test] }} }}\n\
         dns: [ \"{dns}\" ]\n"
    );
    let relay = format!(
        "relay: {{ port: {port}, networks: [127.0.0.0/8] {more} }}\nqueue: {{ retry_s: [1], warn_s: 100, expire_s: 100, timeout_s: 5 }}"
    );
    start_in(tempfile::tempdir().unwrap(), &base, &relay).await
}

/// A receiving server for b.test.
async fn receiver(more: &str) -> Running {
    let base = "hostname: mx.b.test\nlisten: 127.0.0.1\ndomains: [ { name: b.test } ]\naccounts: { x: pw, y: pw }\n";
    start_in(tempfile::tempdir().unwrap(), base, more).await
}

async fn send(from: &Running, sender: &str, to: &[&str]) {
    let transport =
        SmtpTransport::builder_dangerous("127.0.0.1").port(from.port(Protocol::Smtp).await).build();
    let to = to.iter().map(|to| to.parse().unwrap()).collect();
    let sender = (!sender.is_empty()).then(|| sender.parse().unwrap());
    let envelope = lettre::address::Envelope::new(sender, to).unwrap();
    let sending = move || {
        let text =
            b"From: u1@a.test\r\nSubject: far away\r\nMessage-ID: <1@a.test>\r\n\r\n.a dot\r\n";
        transport.send_raw(&envelope, text).unwrap();
    };
    tokio::task::spawn_blocking(sending).await.unwrap();
}

/// Waits until the queue is as it should be.
async fn queue_until(
    running: &Running,
    good: impl Fn(&[std::sync::Arc<mailsrv::queue::Envelope>]) -> bool,
) {
    let mut watch = running.server.store.watch_queue();
    let waiting = async {
        loop {
            watch.mark_unchanged();
            if good(&running.server.store.queue()) {
                return;
            }
            watch.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "{:?}", running.server.store.queue());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_finds_its_way_by_mx_and_starttls() {
    let b = receiver("").await;
    let zone = Zone::from([
        // The better exchanger has no address: the second one is tried.
        ("b.test", vec!["MX 5 dead.b.test.", "MX 10 mx.b.test."]),
        ("dead.b.test", vec![]),
        ("mx.b.test", vec!["A 127.0.0.1"]),
    ]);
    let a = sender(dns(zone).await, b.port(Protocol::Smtp).await, "").await;
    send(&a, "u1@a.test", &["x@b.test", "y@b.test", "u1@a.test", "away@a.test"]).await;
    let inbox = b.inbox_of("x@b.test", 1).await;
    assert!(
        inbox[0].starts_with("Return-Path: <u1@a.test>\r\nReceived: from mx.a.test"),
        "{}",
        inbox[0]
    );
    assert!(inbox[0].contains("with ESMTPS"), "{}", inbox[0]);
    assert!(inbox[0].contains("\r\n\r\n.a dot\r\n"), "{}", inbox[0]);
    assert_eq!(inbox[0].matches("Return-Path").count(), 1);
    b.inbox_of("y@b.test", 1).await;
    a.inbox_of("u1@a.test", 1).await;
    queue_until(&a, <[_]>::is_empty).await;
    // x got it directly and as the target of a forward: once.
    assert_eq!(b.inbox("x@b.test").len(), 1);
    let said: Vec<_> =
        a.server.transcript.lines(Some("relay"), None).iter().map(|l| l.text.clone()).collect();
    assert!(said.iter().any(|line| line == "STARTTLS"), "{said:?}");
    assert!(said.iter().any(|line| line == "..a dot"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_a_connection_to_another_server_are_kept_where_a_lab_keeps_keys() {
    let b = receiver("").await;
    let dns = dns(Zone::from([("b.test", vec!["A 127.0.0.1"])])).await;
    let folder = tempfile::tempdir().unwrap();
    let authority = pki::Authority::generate("a.test", std::time::SystemTime::now()).unwrap();
    let leaf = authority.issue(&["mx.a.test"], &[]).unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("cert.pem"), leaf.cert_pem).unwrap();
    std::fs::write(file("key.pem"), leaf.key_pem).unwrap();
    let at = folder.path().display();
    let base = format!(
        "hostname: mx.a.test\nlisten: 127.0.0.1\ndomains: [ {{ name: a.test }} ]\naccounts: {{ u1: pw }}\n\
         tls: {{ cert: {at}/cert.pem, key: {at}/key.pem, keylog: {at}/keys.log }}\ndns: [ \"{dns}\" ]\n\
         relay: {{ port: {}, networks: [127.0.0.0/8] }}\n",
        b.port(Protocol::Smtp).await
    );
    let a = start_in(tempfile::tempdir().unwrap(), &base, "").await;
    send(&a, "u1@a.test", &["x@b.test"]).await;
    assert!(b.inbox_of("x@b.test", 1).await[0].contains("with ESMTPS"));
    let keys = std::fs::read_to_string(file("keys.log")).unwrap();
    for label in ["CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 "] {
        assert_eq!(keys.lines().filter(|line| line.starts_with(label)).count(), 1, "{keys}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_recipients_come_back_as_notices_but_notices_do_not() {
    let b = receiver("").await;
    let zone = Zone::from([("b.test", vec!["A 127.0.0.1"]), ("null.test", vec!["MX 0 ."])]);
    let a = sender(dns(zone).await, b.port(Protocol::Smtp).await, "").await;
    send(&a, "u1@a.test", &["nobody@b.test", "x@b.test", "y@nowhere.test", "z@null.test"]).await;
    b.inbox_of("x@b.test", 1).await;
    let notices = a.inbox_of("u1@a.test", 1).await;
    let notice = &notices[0];
    for words in [
        "Return-Path: <>",
        "From: Mail Delivery System <MAILER-DAEMON@mx.a.test>",
        "Final-Recipient: rfc822; nobody@b.test",
        "Status: 5.1.1",
        "User unknown",
        "Final-Recipient: rfc822; y@nowhere.test",
        "Status: 5.1.2",
        "Status: 5.1.10",
        "Subject: far away",
    ] {
        assert!(notice.contains(words), "`{words}` is not in\n{notice}");
    }
    assert!(!notice.contains("Final-Recipient: rfc822; x@b.test"));
    queue_until(&a, <[_]>::is_empty).await;
    // An empty reverse path is never answered.
    send(&a, "", &["nobody@b.test"]).await;
    queue_until(&a, <[_]>::is_empty).await;
    assert_eq!(a.inbox("u1@a.test").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_without_room_repeats_no_delivery() {
    let b = receiver("").await;
    let zone = Zone::from([("b.test", vec!["A 127.0.0.1"])]);
    let a = sender(dns(zone).await, b.port(Protocol::Smtp).await, "").await;
    a.server
        .directory
        .change(|data| {
            data.account_mut("u1")?.quota = Some(5);
            Ok(())
        })
        .unwrap();
    send(&a, "u1@a.test", &["nobody@b.test", "x@b.test"]).await;
    b.inbox_of("x@b.test", 1).await;
    queue_until(&a, <[_]>::is_empty).await;
    assert_eq!((a.inbox("u1@a.test").len(), b.inbox("x@b.test").len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_for_now_is_tried_again_and_can_be_given_up() {
    let b = receiver("").await;
    let zone =
        Zone::from([("b.test", vec!["MX 1 mx.b.test."]), ("mx.b.test", vec!["A 127.0.0.1"])]);
    let a = sender(dns(zone).await, b.port(Protocol::Smtp).await, "").await;
    let fault = "451 4.3.0 come back later";
    b.server
        .directory
        .change(|data| {
            data.faults.push(
                serde_json::from_value(serde_json::json!({
                    "stage": "rcpt", "reply": fault, "times": 2
                }))
                .unwrap(),
            );
            Ok(())
        })
        .unwrap();
    send(&a, "u1@a.test", &["x@b.test"]).await;
    queue_until(&a, |queue| {
        queue.first().is_some_and(|entry| {
            entry.attempts >= 1 && entry.recipients[0].reply.as_deref() == Some(fault)
        })
    })
    .await;
    b.inbox_of("x@b.test", 1).await;
    queue_until(&a, <[_]>::is_empty).await;
    // A host that is down: held, then given up with a notice.
    b.server.switch(Protocol::Smtp, false).await.unwrap();
    send(&a, "u1@a.test", &["x@b.test"]).await;
    queue_until(&a, |queue| queue.first().is_some_and(|entry| entry.attempts >= 1)).await;
    let entry = a.server.store.queue()[0].clone();
    assert!(entry.recipients[0].reply.as_ref().unwrap().contains("4.4.1"), "{entry:?}");
    use node::admin::Admin as _;
    let admin = mailsrv::admin::Answerer(a.server.clone());
    let ask = |request| admin.answer(request, tokio::sync::mpsc::channel(8).0);
    let held = ask(serde_json::json!({"op": "queue-hold", "id": entry.id})).await.unwrap();
    assert_eq!(held["messages"][0]["held"], true);
    ask(serde_json::json!({"op": "queue-bounce", "id": entry.id.to_string()})).await.unwrap();
    let notices = a.inbox_of("u1@a.test", 1).await;
    assert!(notices[0].contains("given up by the administrator"));
    queue_until(&a, <[_]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_messages_are_given_up_with_a_notice_and_late_ones_announced() {
    let zone = Zone::from([("b.test", vec!["A 127.0.0.1"])]);
    // Nothing listens on port 1.
    let base = format!(
        "hostname: mx.a.test\nlisten: 127.0.0.1\ndomains: [ {{ name: a.test }} ]\naccounts: {{ u1: pw }}\ndns: [ \"{}\" ]\n",
        dns(zone).await
    );
    let more = "relay: { port: 1, networks: [127.0.0.0/8] }\nqueue: { retry_s: [1], warn_s: 0, expire_s: 2, timeout_s: 5 }";
    let a = start_in(tempfile::tempdir().unwrap(), &base, more).await;
    send(&a, "u1@a.test", &["x@b.test"]).await;
    let notices = a.inbox_of("u1@a.test", 2).await;
    assert!(
        notices[0].contains("Action: delayed") && notices[0].contains("Status: 4."),
        "{}",
        notices[0]
    );
    assert!(
        notices[1].contains("Action: failed") && notices[1].contains("Status: 5.4.7"),
        "{}",
        notices[1]
    );
    queue_until(&a, <[_]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smarthost_takes_everything_after_a_login() {
    let b = receiver("relay: { enabled: true }").await;
    let port = b.port(Protocol::Submission).await;
    let more = format!(
        ", smarthost: {{ host: 127.0.0.1, port: {port}, user: x, password: pw, tls: starttls }}"
    );
    let a = sender(dns(Zone::new()).await, 1, &more).await;
    send(&a, "u1@a.test", &["y@b.test"]).await;
    let inbox = b.inbox_of("y@b.test", 1).await;
    assert!(inbox[0].contains("with ESMTPSA"), "{}", inbox[0]);
    let said = a.server.transcript.lines(Some("relay"), None);
    assert!(said.iter().any(|line| line.text == "AUTH PLAIN ***"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_mail_is_signed_and_checked_elsewhere() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use mail_auth::common::crypto::Ed25519Key;
    let der = Ed25519Key::generate_pkcs8().unwrap();
    let public = BASE64.encode(Ed25519Key::from_pkcs8_der(&der).unwrap().public_key());
    let key = tempfile::NamedTempFile::new().unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        BASE64.encode(&der)
    );
    std::fs::write(key.path(), pem).unwrap();
    let record: &'static str =
        Box::leak(format!("TXT v=DKIM1; k=ed25519; p={public}").into_boxed_str());
    let dns = dns(Zone::from([
        ("b.test", vec!["A 127.0.0.1"]),
        ("a.test", vec!["TXT v=spf1 ip4:127.0.0.1 -all"]),
        ("lab._domainkey.a.test", vec![record]),
        ("_dmarc.a.test", vec!["TXT v=DMARC1; p=reject"]),
        ("liar.test", vec!["TXT v=spf1 -all"]),
    ]))
    .await;
    let b =
        receiver(&format!("policy: {{ verify: true, dmarc_reject: true }}\ndns: [ \"{dns}\" ]"))
            .await;
    let base = format!(
        "hostname: mx.a.test\nlisten: 127.0.0.1\ndomains: [ {{ name: a.test }} ]\naccounts: {{ u1: pw }}\n\
         dkim: [ {{ domain: a.test, selector: lab, key: {} }} ]\ndns: [ \"{dns}\" ]\n\
         relay: {{ port: {}, networks: [127.0.0.0/8] }}\n",
        key.path().display(),
        b.port(Protocol::Smtp).await
    );
    let a = start_in(tempfile::tempdir().unwrap(), &base, "").await;
    send(&a, "u1@a.test", &["x@b.test"]).await;
    let inbox = b.inbox_of("x@b.test", 1).await;
    let message = inbox[0].replace("\r\n\t", " ");
    for words in [
        "DKIM-Signature: v=1; a=ed25519-sha256;",
        "Authentication-Results: mx.b.test;",
        "dkim=pass",
        "spf=pass",
        "dmarc=pass",
    ] {
        assert!(message.contains(words), "`{words}` is not in\n{message}");
    }
    // The same From, sent by somebody else without a signature.
    let liar =
        SmtpTransport::builder_dangerous("127.0.0.1").port(b.port(Protocol::Smtp).await).build();
    let envelope = lettre::address::Envelope::new(
        Some("x@liar.test".parse().unwrap()),
        vec!["x@b.test".parse().unwrap()],
    )
    .unwrap();
    let lying = move || {
        let error =
            liar.send_raw(&envelope, b"From: u1@a.test\r\nSubject: not from there\r\n\r\nx\r\n");
        error.unwrap_err().to_string()
    };
    let refused = tokio::task::spawn_blocking(lying).await.unwrap();
    assert!(refused.contains("DMARC"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outside_verifier_finds_the_signature_good() {
    // The distribution's module belongs to the distribution's Python, which need not be the first.
    let has_module = |python: &&str| {
        let output = std::process::Command::new(python).args(["-c", "import dkim"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let python = ["python3", "/usr/bin/python3"].into_iter().find(has_module);
    let (true, Some(python)) = (has("openssl"), python) else {
        assert!(std::env::var_os("LABCTL_CI").is_none(), "openssl or python3-dkim is missing");
        println!("SKIPPED: openssl or python3-dkim is missing");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("dkim.pem");
    let openssl = |arguments: &[&str]| {
        let output = std::process::Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let file = key.display().to_string();
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &file]);
    let public = openssl(&["pkey", "-in", &file, "-pubout"]);
    let public: String = public.lines().filter(|line| !line.starts_with('-')).collect();
    let base = format!(
        "hostname: mx.a.test\nlisten: 127.0.0.1\ndomains: [ {{ name: a.test }} ]\naccounts: {{ u1: pw }}\n\
         dkim: [ {{ domain: a.test, selector: lab, key: {file} }} ]\nrelay: {{ networks: [127.0.0.0/8] }}\n"
    );
    let a = start_in(tempfile::tempdir().unwrap(), &base, "").await;
    send(&a, "u1@a.test", &["u1@a.test"]).await;
    let inbox = a.inbox_of("u1@a.test", 1).await;
    let record = format!("v=DKIM1; k=rsa; p={public}");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/dkim_verify.py");
    let mut python = tokio::process::Command::new(python)
        .args([script, &record])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut input, inbox[0].as_bytes()).await.unwrap();
    drop(input);
    let output = python.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smtp_sink_refuses_drops_and_takes() {
    if !has("smtp-sink") {
        return;
    }
    let zone = Zone::from([("b.test", vec!["A 127.0.0.1"])]);
    let dns = dns(zone).await;
    // Each way of the sink, and what must become of the message.
    for (arguments, fails) in [
        (vec![], false),
        (vec!["-e"], false),
        (vec!["-8", "-N", "-p"], false),
        (vec!["-f", "RCPT"], true),
        (vec!["-f", "."], true),
        (vec!["-r", "RCPT"], false),
        (vec!["-q", "."], false),
    ] {
        let port = free_port();
        let mut sink = tokio::process::Command::new("/usr/sbin/smtp-sink");
        if nix::unistd::geteuid().is_root() {
            sink.args(["-u", "nobody"]);
        }
        sink.args(&arguments).arg(format!("127.0.0.1:{port}")).arg("100");
        let mut child = sink.stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(tokio::time::Instant::now() < deadline, "smtp-sink does not listen");
            tokio::task::yield_now().await;
        }
        let a = sender(dns, port, "").await;
        send(&a, "u1@a.test", &["x@b.test"]).await;
        if fails {
            let notices = a.inbox_of("u1@a.test", 1).await;
            assert!(notices[0].contains("Action: failed"), "{arguments:?}\n{}", notices[0]);
            queue_until(&a, <[_]>::is_empty).await;
        } else if arguments.first().is_some_and(|a| *a == "-r" || *a == "-q") {
            queue_until(&a, |queue| queue.first().is_some_and(|entry| entry.attempts >= 2)).await;
            assert!(a.inbox("u1@a.test").is_empty(), "{arguments:?}");
        } else {
            queue_until(&a, <[_]>::is_empty).await;
            assert!(a.inbox("u1@a.test").is_empty(), "{arguments:?}");
        }
        child.kill().await.unwrap();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_tls_is_broken_gets_its_mail_in_the_clear() {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // Offers STARTTLS, and then answers the handshake with words.
    let broken = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            stream.write_all(b"220 broken\r\n").await.unwrap();
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
                let reply = match line.split_whitespace().next().unwrap_or_default() {
                    "EHLO" => "250-broken\r\n250 STARTTLS\r\n",
                    "STARTTLS" => "220 go\r\n250 this is not TLS\r\n",
                    "DATA" => "354 go\r\n",
                    "." => return,
                    _ => "250 ok\r\n",
                };
                if line.starts_with("Subject") || stream.write_all(reply.as_bytes()).await.is_err()
                {
                    line.clear();
                    continue;
                }
                if line.starts_with("STARTTLS") {
                    break;
                }
                line.clear();
            }
        }
    });
    let a = sender(dns(Zone::from([("b.test", vec!["A 127.0.0.1"])])).await, port, "").await;
    send(&a, "u1@a.test", &["x@b.test"]).await;
    tokio::time::timeout(Duration::from_secs(20), broken).await.unwrap().unwrap();
}
