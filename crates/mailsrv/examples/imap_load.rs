//! Load for `bench/imap.sh`, the same for every server: N connections at once, each with its own
//! account, do rounds of login, select, fetch, store, append, expunge and logout.
//!
//! `imap_load ADDRESS USERS ROUNDS [fill N | idle]`: users are `u0`, `u1`, … with the password
//! `pw`. With `fill` it only appends N messages to each INBOX; with `idle` every user logs in,
//! selects INBOX, says IDLE, and waits for the end of standard input.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for measurements: what fails ends it, and its figures go to standard output"
)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Bytes of the message that is appended.
const SIZE: usize = 4_096;
/// Steps of a round, in the order they are done.
const STEPS: [&str; 8] =
    ["login", "select", "fetch-all", "fetch-body", "store", "append", "expunge", "logout"];

struct Client {
    stream: BufReader<TcpStream>,
    tag: u32,
    /// What the mailbox holds.
    exists: u32,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { stream: BufReader::new(stream), tag: 0, exists: 0 };
        client.line().await;
        client
    }

    /// A response without its literals, which are read and thrown away.
    async fn line(&mut self) -> String {
        let mut whole = String::new();
        loop {
            let mut line = Vec::new();
            let read = self.stream.read_until(b'\n', &mut line).await.unwrap();
            assert!(read > 0, "the server closed after `{whole}`");
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let literal = text.strip_suffix('}').and_then(|text| text.rsplit_once('{'));
            let literal = literal.and_then(|(_, n)| n.parse::<usize>().ok());
            whole.push_str(&text);
            let Some(n) = literal else { return whole };
            let mut bytes = vec![0; n];
            self.stream.read_exact(&mut bytes).await.unwrap();
        }
    }

    async fn ask(&mut self, command: &[u8]) {
        self.tag += 1;
        let tag = format!("t{} ", self.tag);
        let bytes = [tag.as_bytes(), command, b"\r\n"].concat();
        self.stream.get_mut().write_all(&bytes).await.unwrap();
        loop {
            let line = self.line().await;
            if let Some(rest) = line.strip_prefix(&tag) {
                assert!(rest.starts_with("OK"), "{}: {line}", String::from_utf8_lossy(command));
                return;
            }
            let mut words = line.split(' ').skip(1);
            if let (Some(count), Some("EXISTS")) = (words.next(), words.next()) {
                self.exists = count.parse().unwrap();
            }
        }
    }

    async fn login(&mut self, user: usize) {
        self.ask(format!("LOGIN u{user} pw").as_bytes()).await;
    }

    async fn append(&mut self) {
        let mut message = b"From: a@x.test\r\nTo: b@x.test\r\nSubject: load\r\n\r\n".to_vec();
        while message.len() < SIZE - 64 {
            message.extend_from_slice(
                b"A line of sixty-four characters, with its line end at the end.\r\n",
            );
        }
        let command =
            [format!("APPEND INBOX {{{}+}}\r\n", message.len()).as_bytes(), &message].concat();
        self.ask(&command).await;
    }
}

/// One round; the time of each step.
async fn round(address: SocketAddr, user: usize, spent: &mut [Duration; STEPS.len()]) {
    let mut client = Client::connect(address).await;
    for (step, spent) in STEPS.iter().zip(spent.iter_mut()) {
        let begun = Instant::now();
        match *step {
            "login" => client.login(user).await,
            "select" => client.ask(b"SELECT INBOX").await,
            "fetch-all" => client.ask(b"FETCH 1:* (UID FLAGS RFC822.SIZE ENVELOPE)").await,
            "fetch-body" => {
                for number in 1..=client.exists.min(5) {
                    client.ask(format!("FETCH {number} (UID BODY.PEEK[])").as_bytes()).await;
                }
            }
            "store" => {
                client.ask(b"STORE 1:5 +FLAGS (\\Seen)").await;
                client.ask(b"STORE 1 +FLAGS (\\Deleted)").await;
            }
            "append" => client.append().await,
            "expunge" => client.ask(b"EXPUNGE").await,
            _ => client.ask(b"LOGOUT").await,
        }
        *spent += begun.elapsed();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address: SocketAddr = arguments[0].parse().unwrap();
    let users: usize = arguments[1].parse().unwrap();
    let rounds: u32 = arguments[2].parse().unwrap();
    let mode = arguments.get(3).map(String::as_str);
    if mode == Some("idle") {
        let mut held = Vec::new();
        for user in 0..users {
            let mut client = Client::connect(address).await;
            client.login(user).await;
            client.ask(b"SELECT INBOX").await;
            client.stream.get_mut().write_all(b"i IDLE\r\n").await.unwrap();
            while !client.line().await.starts_with('+') {}
            held.push(client);
        }
        println!("idle {}", held.len());
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
        return;
    }
    let fill: u32 = match mode {
        Some("fill") => arguments[4].parse().unwrap(),
        _ => 0,
    };
    let begun = Instant::now();
    let tasks: Vec<_> = (0..users)
        .map(|user| {
            tokio::spawn(async move {
                let mut spent = [Duration::ZERO; STEPS.len()];
                if fill > 0 {
                    let mut client = Client::connect(address).await;
                    client.login(user).await;
                    for _ in 0..fill {
                        client.append().await;
                    }
                    return spent;
                }
                for _ in 0..rounds {
                    round(address, user, &mut spent).await;
                }
                spent
            })
        })
        .collect();
    let mut spent = [Duration::ZERO; STEPS.len()];
    for task in tasks {
        for (sum, one) in spent.iter_mut().zip(task.await.unwrap()) {
            *sum += one;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let sessions = f64::from(rounds) * users as f64;
    let each: Vec<String> = STEPS
        .iter()
        .zip(&spent)
        .map(|(step, spent)| format!("{step} {:.2}", spent.as_secs_f64() * 1000.0 / sessions))
        .collect();
    println!("{:.1} sessions/s; ms each: {}", sessions / seconds, each.join(", "));
}
