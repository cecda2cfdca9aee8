//! The admin socket: what is changed while the server runs holds at once and after a restart.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says what went wrong by a panic"
)]

mod common;

use std::sync::Arc;

use common::{Running, start};
use mailsrv::Server;
use mailsrv::admin::Answerer;
use mailsrv::config::{Config, Protocol};
use node::admin::Admin as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

async fn ask(server: &Arc<Server>, request: Value) -> Result<Value, node::Error> {
    let (sender, mut items) = mpsc::channel(10_000);
    let answer = Answerer(server.clone()).answer(request, sender).await?;
    let mut list = Vec::new();
    while let Ok(item) = items.try_recv() {
        list.push(item);
    }
    Ok(if list.is_empty() { answer } else { json!(list) })
}

async fn good(running: &Running, request: Value) -> Value {
    let text = request.to_string();
    ask(&running.server, request).await.unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Says lines to a port and gives back all replies.
async fn talk(running: &Running, protocol: Protocol, lines: &str) -> String {
    let mut stream = TcpStream::connect(running.address(protocol).await).await.unwrap();
    stream.write_all(lines.replace('\n', "\r\n").as_bytes()).await.unwrap();
    let mut replies = String::new();
    stream.read_to_string(&mut replies).await.unwrap();
    replies
}

async fn mail(running: &Running, to: &str) -> String {
    let lines = format!(
        "HELO pc0\nMAIL FROM:<u1@a.test>\nRCPT TO:<{to}>\nDATA\nSubject: x\n\ntext\n.\nQUIT\n"
    );
    talk(running, Protocol::Smtp, &lines).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protocols_are_switched_off_and_on_and_stay_so() {
    let running = start("").await;
    for protocol in Protocol::ALL {
        let address = running.address(protocol).await;
        let off = json!({"op": "switch", "protocol": protocol.name(), "on": "off"});
        let status = good(&running, off).await;
        let is_on = |status: &Value| {
            let list = status["protocols"].as_array().unwrap();
            list.iter().find(|p| p["protocol"] == protocol.name()).unwrap()["on"].clone()
        };
        assert_eq!(is_on(&status), false);
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{protocol}");
        if protocol == Protocol::Pop3 {
            continue;
        }
        let on = json!({"op": "switch", "protocol": protocol.name(), "on": true});
        assert_eq!(is_on(&good(&running, on).await), true);
        TcpStream::connect(running.address(protocol).await).await.unwrap();
    }
    let unknown = json!({"op": "switch", "protocol": "gopher", "on": true});
    assert_eq!(ask(&running.server, unknown).await.unwrap_err().code, "unknown");
    // The switch of POP3 and a new account survive the process.
    good(&running, json!({"op": "account-add", "account": "new", "password": 1234})).await;
    mail(&running, "new@a.test").await;
    let again = restart(running).await;
    assert!(again.server.address(Protocol::Pop3).await.is_none());
    assert!(again.server.address(Protocol::Smtp).await.is_some());
    assert!(again.server.authenticate("new", "1234".into()).await.is_some());
    assert_eq!(again.inbox("new@a.test").len(), 1);
    // All on again.
    let status = good(&again, json!({"op": "switch", "protocol": null, "on": true})).await;
    assert!(status["protocols"].as_array().unwrap().iter().all(|p| p["on"] == true));
}

/// The same folder and configuration in a new server.
async fn restart(running: Running) -> Running {
    let Running { server, folder } = running;
    let config: Config = server.config.clone();
    let copy = tempfile::tempdir().unwrap();
    // The old server still holds its folder: the new one gets its bytes.
    let status = std::process::Command::new("cp")
        .args(["-a", &format!("{}/.", folder.path().display()), &copy.path().display().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    let kept = copy.path().join("directory.json");
    let text = std::fs::read_to_string(&kept).unwrap();
    let config = Config { state: copy.path().into(), ..config };
    // The fingerprint is over the state folder's name as well.
    let fingerprint = |text: &str| {
        let value: Value = serde_json::from_str(text).unwrap();
        value["fingerprint"].as_str().unwrap().to_owned()
    };
    let old = fingerprint(&text);
    let new = mailsrv::directory::fingerprint(&config).unwrap();
    std::fs::write(&kept, text.replace(&old, &new)).unwrap();
    let server = Server::open(config).unwrap();
    server.start().await.unwrap();
    Running { server, folder: copy }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_and_the_memory_of_an_answer_are_kept_over_a_restart() {
    // Nothing answers on port 1 of this DNS server: mail for others waits.
    let running = start("relay: { networks: [127.0.0.0/8] }\ndns: [ \"127.0.0.1:1\" ]").await;
    good(&running, json!({"op": "domain-set", "domain": "b.test", "aliases": ["c.test"]})).await;
    mail(&running, "x@far.test").await;
    let id = good(&running, json!({"op": "queue"})).await["messages"][0]["id"].clone();
    good(&running, json!({"op": "queue-hold", "id": id})).await;
    mail(&running, "note@a.test").await;
    assert_eq!(running.inbox_of("u1@a.test", 1).await.len(), 1);

    let again = restart(running).await;
    let queue = good(&again, json!({"op": "queue"})).await;
    assert_eq!((&queue["messages"][0]["id"], &queue["messages"][0]["held"]), (&id, &json!(true)));
    // The same sender has had its answer.
    mail(&again, "note@a.test").await;
    assert_eq!((again.inbox("note@a.test").len(), again.inbox("u1@a.test").len()), (2, 1));
    // Domains and their aliases stay as well.
    good(&again, json!({"op": "account-add", "account": "u9@b.test", "password": "pw"})).await;
    assert!(mail(&again, "u9@c.test").await.contains("250 2.0.0"));
    let freed = good(&again, json!({"op": "queue-release", "id": id})).await;
    assert_eq!(freed["messages"][0]["held"], false);
    good(&again, json!({"op": "queue-delete", "id": id})).await;
    let queue = good(&again, json!({"op": "queue"})).await;
    assert_eq!(queue["messages"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_added_changed_and_removed() {
    let running = start("").await;
    let refused = |request: Value| {
        let server = running.server.clone();
        async move { ask(&server, request).await.unwrap_err().code }
    };
    good(&running, json!({"op": "account-add", "account": "u3", "password": "pw"})).await;
    assert_eq!(
        refused(json!({"op": "account-add", "account": "U3@a.test", "password": "x"})).await,
        "exists"
    );
    assert_eq!(
        refused(json!({"op": "account-add", "account": "u4@far.test", "password": "x"})).await,
        "unknown"
    );
    assert_eq!(
        refused(json!({"op": "account-add", "account": "a b", "password": "x"})).await,
        "bad-request"
    );
    assert_eq!(refused(json!({"op": "account-add", "account": "u5"})).await, "bad-request");
    assert!(mail(&running, "u3@a.test").await.contains("250 2.0.0"));
    let pop = |password: &str| format!("USER u3\nPASS {password}\nQUIT\n");
    assert!(talk(&running, Protocol::Pop3, &pop("pw")).await.contains("+OK 1 messages"));
    good(&running, json!({"op": "account-password", "account": "u3", "password": "new"})).await;
    assert!(talk(&running, Protocol::Pop3, &pop("pw")).await.contains("-ERR [AUTH]"));
    assert!(talk(&running, Protocol::Pop3, &pop("new")).await.contains("+OK 1 messages"));

    good(&running, json!({"op": "alias-set", "alias": "boss", "targets": "u1, u3"})).await;
    mail(&running, "boss@a.test").await;
    assert_eq!((running.inbox("u1@a.test").len(), running.inbox("u3@a.test").len()), (1, 2));
    good(&running, json!({"op": "alias-remove", "alias": "boss"})).await;
    assert!(mail(&running, "boss@a.test").await.contains("550 5.1.1"));
    assert_eq!(refused(json!({"op": "alias-remove", "alias": "boss"})).await, "unknown");

    good(
        &running,
        json!({"op": "list-set", "list": "crew", "members": ["u1", "u3"], "from": "users"}),
    )
    .await;
    assert!(mail(&running, "crew@a.test").await.contains("550 5.7.2"));
    good(&running, json!({"op": "list-remove", "list": "crew"})).await;

    good(&running, json!({"op": "catch-all", "account": "u2"})).await;
    mail(&running, "whoever@a.test").await;
    assert_eq!(running.inbox("u2@a.test").len(), 1);
    good(&running, json!({"op": "catch-all"})).await;
    assert!(mail(&running, "whoever@a.test").await.contains("550 5.1.1"));

    good(&running, json!({"op": "domain-set", "domain": "c.test", "aliases": ["d.test"]})).await;
    good(&running, json!({"op": "account-add", "account": "only@c.test", "password": "pw"})).await;
    assert!(mail(&running, "only@d.test").await.contains("250 2.0.0"));
    good(&running, json!({"op": "domain-remove", "domain": "c.test"})).await;
    assert!(mail(&running, "only@d.test").await.contains("550 5.7.1"));

    good(&running, json!({"op": "forward", "account": "u3", "to": ["u1"], "keep": "no"})).await;
    mail(&running, "u3@a.test").await;
    assert_eq!((running.inbox("u1@a.test").len(), running.inbox("u3@a.test").len()), (2, 2));
    good(&running, json!({"op": "quota", "account": "u2", "bytes": "10"})).await;
    assert!(mail(&running, "u2@a.test").await.contains("452 4.2.2"));
    good(&running, json!({"op": "account-remove", "account": "u3"})).await;
    assert!(mail(&running, "u3@a.test").await.contains("550 5.1.1"));
    assert!(talk(&running, Protocol::Pop3, &pop("new")).await.contains("-ERR [AUTH]"));
    let names: Vec<_> = good(&running, json!({"op": "accounts"})).await["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["account"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.contains(&"u1@a.test".to_owned()) && !names.contains(&"u3@a.test".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_sessions_settings_and_faults_are_shown_and_changed() {
    let running = start("").await;
    mail(&running, "u2@a.test").await;
    let rows = good(&running, json!({"op": "mailboxes", "account": "u2"})).await;
    let inbox = rows["mailboxes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["mailbox"] == "INBOX")
        .unwrap()
        .clone();
    assert_eq!((&inbox["messages"], &inbox["uidnext"]), (&json!(1), &json!(2)));
    let rows = good(&running, json!({"op": "messages", "account": "u2"})).await;
    assert_eq!(rows["messages"][0]["subject"], "x");
    let message = |part: &str| json!({"op": "message", "account": "u2", "uid": "1", "part": part});
    let raw = good(&running, message("raw")).await;
    assert!(raw["raw"].as_str().unwrap().ends_with("Subject: x\r\n\r\ntext\r\n"));
    assert_eq!(good(&running, message("tree")).await["tree"][0]["type"], "text/plain");
    assert_eq!(good(&running, message("text")).await["text"], "text\r\n");
    assert!(
        !good(&running, message("headers")).await["headers"].as_str().unwrap().contains("text\r\n")
    );
    good(&running, json!({"op": "message-remove", "account": "u2", "uid": 1})).await;
    assert!(running.inbox("u2@a.test").is_empty());

    let mut open = TcpStream::connect(running.address(Protocol::Pop3).await).await.unwrap();
    let mut greeting = [0; 3];
    open.read_exact(&mut greeting).await.unwrap();
    let sessions = good(&running, json!({"op": "sessions"})).await;
    let number = sessions["sessions"][0]["connection"].clone();
    assert_eq!(sessions["sessions"][0]["protocol"], "pop3");
    good(&running, json!({"op": "session-close", "connection": number})).await;
    let mut rest = Vec::new();
    open.read_to_end(&mut rest).await.unwrap();

    good(&running, json!({"op": "limits", "message": "1000"})).await;
    let replies = talk(&running, Protocol::Smtp, "EHLO x\nQUIT\n").await;
    assert!(replies.contains("SIZE 1000"), "{replies}");
    good(&running, json!({"op": "policy", "plain_passwords": "false"})).await;
    assert!(talk(&running, Protocol::Pop3, "USER u1\nQUIT\n").await.contains("-ERR passwords"));
    good(&running, json!({"op": "policy", "plain_passwords": true})).await;
    let unknown = ask(&running.server, json!({"op": "policy", "colour": "red"})).await.unwrap_err();
    assert!(unknown.message.contains("plain_passwords"), "{unknown}");

    let fault = json!({"op": "fault-add", "account": "u2", "stage": "rcpt", "reply": "450 4.2.0 busy", "times": "1"});
    good(&running, fault).await;
    assert!(mail(&running, "u2@a.test").await.contains("450 4.2.0 busy"));
    assert!(mail(&running, "u2@a.test").await.contains("250 2.0.0"));
    good(
        &running,
        json!({"op": "fault-add", "stage": "connect", "reply": "421 4.3.2 closed today"}),
    )
    .await;
    assert!(mail(&running, "u2@a.test").await.starts_with("421 4.3.2 closed today"));
    good(&running, json!({"op": "fault-clear"})).await;
    assert!(mail(&running, "u2@a.test").await.contains("250 2.0.0"));

    let lines = good(&running, json!({"op": "transcript", "protocol": "smtp", "last": 100})).await;
    let lines: Vec<_> =
        lines.as_array().unwrap().iter().map(|l| l["text"].as_str().unwrap().to_owned()).collect();
    assert!(lines.contains(&"MAIL FROM:<u1@a.test>".to_owned()), "{lines:?}");
    assert!(
        good(&running, json!({"op": "ca"})).await["pem"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN")
    );
    assert_eq!(ask(&running.server, json!({"op": "dance"})).await.unwrap_err().code, "bad-request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transcript_can_be_followed() {
    let running = start("").await;
    let (sender, mut items) = mpsc::channel(1000);
    let server = running.server.clone();
    let following = tokio::spawn(async move {
        let request = json!({"op": "transcript", "protocol": "pop3", "follow": true});
        Answerer(server).answer(request, sender).await
    });
    let asked = talk(&running, Protocol::Pop3, "USER u1\nPASS pw\nQUIT\n").await;
    assert!(asked.contains("+OK"));
    let reading = async {
        let mut seen = Vec::new();
        while let Some(item) = items.recv().await {
            let text = item["text"].as_str().unwrap().to_owned();
            let last = text == "QUIT";
            seen.push(text);
            if last {
                return seen;
            }
        }
        seen
    };
    let seen = tokio::time::timeout(std::time::Duration::from_secs(10), reading).await.unwrap();
    assert!(seen.contains(&"PASS ***".to_owned()), "{seen:?}");
    assert!(!seen.iter().any(|line| line.contains("pw")), "{seen:?}");
    following.abort();
}
