//! Faults for lessons: what a client sees at each stage, and that nothing is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what went wrong by a panic"
)]

mod common;

use common::{Running, start};
use mailsrv::config::{Protocol, Stage};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A dialogue that passes every stage of SMTP, AUTH included.
const SMTP: &str =
    "EHLO pc0\r\nAUTH PLAIN AHUxAHB3\r\nMAIL FROM:<u1@a.test>\r\nRCPT TO:<u2@a.test>\r\nDATA\r\n";
const MESSAGE: &str = "Subject: x\r\n\r\n.\r\nQUIT\r\n";

/// Says it all at once; every reply until the server closes.
async fn talk(running: &Running, protocol: Protocol, text: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(running.address(protocol).await).await.unwrap();
    // A server that drops may do so before everything is written.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

fn set(running: &Running, fault: serde_json::Value) {
    running
        .server
        .directory
        .change(|data| {
            data.faults = vec![serde_json::from_value(fault).unwrap()];
            Ok(())
        })
        .unwrap();
    running.server.faults.reset();
}

/// SMTP's stages in their order.
const STAGES: [Stage; 7] = [
    Stage::Connect,
    Stage::Helo,
    Stage::Auth,
    Stage::Mail,
    Stage::Rcpt,
    Stage::Data,
    Stage::Message,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drop_at_each_stage_closes_there_and_keeps_nothing() {
    let running = start("").await;
    for stage in STAGES {
        set(&running, json!({ "stage": stage, "drop": true, "times": 1 }));
        let replies = talk(&running, Protocol::Submission, &format!("{SMTP}{MESSAGE}")).await;
        // Replies that waited when the connection dropped are lost with it, as in a real crash.
        assert!(
            !replies.iter().any(|line| line.contains("its number is")),
            "{stage:?} {replies:?}"
        );
        assert!(!replies.iter().any(|line| line.starts_with("221")), "{stage:?} {replies:?}");
        assert!(running.inbox("u2@a.test").is_empty(), "{stage:?}");
    }
    set(&running, json!({ "stage": "fetch", "drop": true, "times": 1 }));
    let replies = talk(&running, Protocol::Submission, &format!("{SMTP}{MESSAGE}")).await;
    assert!(replies.last().unwrap().starts_with("221"), "{replies:?}");
    let fetch = "USER u2\r\nPASS pw\r\nDELE 1\r\nRETR 1\r\nRSET\r\nRETR 1\r\nQUIT\r\n";
    let replies = talk(&running, Protocol::Pop3, fetch).await;
    assert!(!replies.iter().any(|line| line.starts_with("Subject")), "{replies:?}");
    // Dropped without QUIT: nothing is deleted, and the mailbox is free again.
    let replies = talk(&running, Protocol::Pop3, fetch).await;
    assert!(replies.iter().any(|line| line == "Subject: x"), "{replies:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_at_each_stage_has_the_words_of_its_author() {
    let running = start("limits: { errors: 100 }").await;
    for reply in ["451 4.7.1 later please", "554 5.7.1 never"] {
        for stage in STAGES {
            set(&running, json!({ "stage": stage, "reply": reply, "times": 1 }));
            let replies = talk(&running, Protocol::Submission, &format!("{SMTP}{MESSAGE}")).await;
            let said = replies.iter().filter(|line| line.as_str() == reply).count();
            assert_eq!(said, 1, "{stage:?} {replies:?}");
            assert!(running.inbox("u2@a.test").is_empty(), "{stage:?}");
        }
        set(&running, json!({ "stage": "fetch", "reply": reply, "times": 1 }));
        talk(
            &running,
            Protocol::Smtp,
            &format!("{}{MESSAGE}", SMTP.replace("AUTH PLAIN AHUxAHB3\r\n", "")),
        )
        .await;
        let fetch = "USER u2\r\nPASS pw\r\nRETR 1\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n";
        let replies = talk(&running, Protocol::Pop3, fetch).await;
        assert!(replies.contains(&format!("-ERR [SYS/TEMP] {reply}")), "{replies:?}");
        assert!(replies.contains(&"Subject: x".to_owned()), "{replies:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_is_waited_for_and_a_probability_of_nothing_never_strikes() {
    let running = start("").await;
    set(&running, json!({ "stage": "rcpt", "delay_ms": 300 }));
    let begun = std::time::Instant::now();
    let replies = talk(&running, Protocol::Submission, &format!("{SMTP}{MESSAGE}")).await;
    assert!(begun.elapsed().as_millis() >= 300);
    assert!(replies.last().unwrap().starts_with("221"), "{replies:?}");
    set(&running, json!({ "stage": "rcpt", "drop": true, "probability": 0.0 }));
    let replies = talk(&running, Protocol::Submission, &format!("{SMTP}{MESSAGE}")).await;
    assert!(replies.last().unwrap().starts_with("221"), "{replies:?}");
    assert_eq!(running.inbox("u2@a.test").len(), 2);
}
