//! `kill -9` under load: every message that got 250 is in a mailbox or the queue, exactly once.
//! Ten kills; two hundred with `LABCTL_LONG=1`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says what went wrong by a panic"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mailsrv::store::Store;

const SENDERS: usize = 8;

fn start(config: &Path, port: u16) -> Child {
    let child = Command::new(env!("CARGO_BIN_EXE_mailsrv"))
        .arg("--config")
        .arg(config)
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "the server does not listen");
        std::thread::yield_now();
    }
    child
}

/// Sends until the server dies; notes what was sent and what got 250.
fn send(
    port: u16,
    next: &AtomicUsize,
    taken: &Mutex<BTreeSet<usize>>,
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    let mut reply = move || -> std::io::Result<bool> {
        let mut line = String::new();
        if replies.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.starts_with('2') || line.starts_with('3'))
    };
    reply()?;
    stream.write_all(b"HELO load\r\n")?;
    reply()?;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        // Some go to the queue as well, and some only there.
        let to = match number % 4 {
            0 => "RCPT TO:<x@far.test>\r\n",
            1 => "RCPT TO:<u2@a.test>\r\nRCPT TO:<x@far.test>\r\n",
            _ => "RCPT TO:<u1@a.test>\r\n",
        };
        let text = "x".repeat(70 * (number % 40));
        write!(stream, "MAIL FROM:<u1@a.test>\r\n{to}DATA\r\nSubject: no-{number}.\r\n\r\n")?;
        for _ in 0..2 + to.matches("RCPT").count() {
            assert!(reply()?, "a command was refused");
        }
        for line in text.as_bytes().chunks(70) {
            stream.write_all(line)?;
            stream.write_all(b"\r\n")?;
        }
        stream.write_all(b".\r\n")?;
        if reply()? {
            taken.lock().unwrap().insert(number);
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn nothing_that_got_250_is_lost_or_doubled() {
    let kills = if std::env::var_os("LABCTL_LONG").is_some() { 200 } else { 10 };
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let state = folder.path().join("state");
    let config = folder.path().join("mailsrv.yaml");
    let off = ["submission", "submissions", "pop3", "pop3s", "imap", "imaps"]
        .map(|name| format!("{name}: {{ on: false }}"))
        .join(", ");
    // Nobody answers DNS there: what is for far.test stays in the queue.
    let text = format!(
        "hostname: mx.a.test\nlisten: 127.0.0.1\ndomains: [ {{ name: a.test }} ]\naccounts: {{ u1: pw, u2: pw }}\n\
         protocols: {{ smtp: {{ port: {port} }}, {off} }}\nrelay: {{ networks: [127.0.0.0/8] }}\ndns: [ \"127.0.0.1:1\" ]\n\
         state: {}\n",
        state.display()
    );
    std::fs::write(&config, text).unwrap();
    let (next, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(BTreeSet::new())));
    for round in 0..kills {
        let mut child = start(&config, port);
        let count = Arc::new(AtomicUsize::new(0));
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let (next, taken, count) = (next.clone(), taken.clone(), count.clone());
                std::thread::spawn(move || send(port, &next, &taken, &count))
            })
            .collect();
        // Dies at another point of the work each time.
        let enough = 20 + (round * 37) % 150;
        let deadline = Instant::now() + Duration::from_secs(60);
        while count.load(Ordering::Relaxed) < enough {
            assert!(Instant::now() < deadline, "round {round}: {count:?} of {enough}");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for sender in senders {
            sender.join().unwrap().unwrap_err();
        }
    }
    let mut child = start(&config, port);
    child.kill().unwrap();
    child.wait().unwrap();

    let store = Store::open(&state).unwrap();
    let mut found: BTreeMap<(String, usize), usize> = BTreeMap::new();
    let mut note = |place: &str, file: u64| {
        let text = String::from_utf8(store.read(file).unwrap()).unwrap();
        let (_, rest) = text.split_once("Subject: no-").unwrap();
        let number: usize = rest.split_once('.').unwrap().0.parse().unwrap();
        // Whole: as many x as were sent.
        assert_eq!(
            text.matches('x').count() - text.matches("mx.").count() - text.matches("x@").count(),
            70 * (number % 40)
        );
        *found.entry((place.to_owned(), number)).or_default() += 1;
    };
    for account in ["u1@a.test", "u2@a.test"] {
        let messages = store.with_mailbox(account, "INBOX", |m| m.messages.clone()).unwrap();
        let uids: BTreeSet<_> = messages.iter().map(|m| m.uid).collect();
        assert_eq!(uids.len(), messages.len());
        for message in messages.iter() {
            note(account, message.file);
        }
    }
    for envelope in store.queue() {
        note("queue", envelope.file);
    }
    let taken = taken.lock().unwrap();
    for number in taken.iter() {
        let places: &[&str] = match number % 4 {
            0 => &["queue"],
            1 => &["u2@a.test", "queue"],
            _ => &["u1@a.test"],
        };
        for place in places {
            assert!(
                found.contains_key(&((*place).to_owned(), *number)),
                "message {number} is not in {place}"
            );
        }
    }
    // Also those whose 250 did not get through are there at most once.
    let doubled: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    println!("{} kills, {} messages answered with 250, {} found", kills, taken.len(), found.len());
}
