//! Plays the dialogues in `tests/dialogues/`: what a client says, and what must come back.
//!
//! ```text
//! # A remark. The first one says which rule is shown.
//! @config policy: { vrfy: true }   YAML beside the base configuration of tests/common
//! == smtp                          a new connection; with TLS for submissions, pop3s, imaps
//! S: 220 *                         this line must come; * is anything
//! S+: 250 HELP                     read lines until this one
//! C: EHLO pc0                      say this and CRLF; \r \n \0 \\ \xNN stand for bytes
//! C!: DATA\r\nx                    say exactly this
//! TLS                              the handshake
//! CLOSED                           the server must close
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says what went wrong by a panic"
)]

mod common;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use mailsrv::config::Protocol;
use rustls_pki_types::ServerName;

enum Wire {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

impl Read for Wire {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(bytes),
            Self::Tls(stream) => stream.read(bytes),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

fn tls(stream: TcpStream, ca: &Path) -> Wire {
    let pem = std::fs::read_to_string(ca).unwrap();
    let config = pki::client_config([pem.as_str()]).unwrap();
    let name = ServerName::try_from("mx.a.test").unwrap();
    let connection = rustls::ClientConnection::new(config, name).unwrap();
    Wire::Tls(Box::new(rustls::StreamOwned::new(connection, stream)))
}

/// `*` matches anything.
fn matches(pattern: &str, line: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == line,
        Some((head, rest)) => line.strip_prefix(head).is_some_and(|line| {
            rest.is_empty()
                || (0..=line.len())
                    .any(|at| line.is_char_boundary(at) && matches(rest, &line[at..]))
        }),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut chars) = (Vec::new(), text.chars());
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.to_string().as_bytes());
            continue;
        }
        match chars.next() {
            Some('r') => bytes.push(b'\r'),
            Some('n') => bytes.push(b'\n'),
            Some('0') => bytes.push(0),
            Some('x') => {
                let hex: String = chars.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&hex, 16).expect("two hex digits"));
            }
            // `\{x*2000}` is 2000 x.
            Some('{') => {
                let inner: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let (text, count) = inner.split_once('*').expect("text*count");
                bytes.extend_from_slice(text.repeat(count.parse().unwrap()).as_bytes());
            }
            Some(other) => bytes.extend_from_slice(other.to_string().as_bytes()),
            None => panic!("a backslash at the end"),
        }
    }
    bytes
}

fn play(script: &str, ca: &Path, port: &dyn Fn(Protocol) -> u16) -> Result<(), String> {
    let mut wire: Option<BufReader<Wire>> = None;
    let mut heard = String::new();
    for (number, line) in script.lines().enumerate() {
        let fail =
            |why: String, heard: &str| Err(format!("line {}: {line}\n{why}\n{heard}", number + 1));
        let read = |wire: &mut Option<BufReader<Wire>>, heard: &mut String| {
            let mut bytes = Vec::new();
            let read = wire.as_mut().expect("== first").read_until(b'\n', &mut bytes);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let _ = write!(heard, "    {text}");
            match read {
                Ok(0) => Err("the server closed".to_owned()),
                Ok(_) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => Err(error.to_string()),
            }
        };
        let send = |wire: &mut Option<BufReader<Wire>>, bytes: &[u8]| {
            let stream = wire.as_mut().expect("== first").get_mut();
            stream.write_all(bytes).and_then(|()| stream.flush()).map_err(|error| error.to_string())
        };
        if line.is_empty() || line.starts_with('#') || line.starts_with("@config") {
            continue;
        } else if let Some(name) = line.strip_prefix("== ") {
            let protocol = Protocol::by_name(name.trim()).expect("a protocol");
            let stream = TcpStream::connect(("127.0.0.1", port(protocol))).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let opened =
                if protocol.implicit_tls() { tls(stream, ca) } else { Wire::Plain(stream) };
            wire = Some(BufReader::new(opened));
            heard.clear();
        } else if let Some(pattern) = line.strip_prefix("S: ").or((line == "S:").then_some("")) {
            match read(&mut wire, &mut heard) {
                Ok(text) if matches(pattern, &text) => {}
                Ok(text) => return fail(format!("but it said: {text}"), &heard),
                Err(error) => return fail(error, &heard),
            }
        } else if let Some(pattern) = line.strip_prefix("S+: ") {
            loop {
                match read(&mut wire, &mut heard) {
                    Ok(text) if matches(pattern, &text) => break,
                    Ok(_) => {}
                    Err(error) => return fail(error, &heard),
                }
            }
        } else if let Some(text) = line.strip_prefix("C: ").or((line == "C:").then_some("")) {
            let mut bytes = unescape(text);
            bytes.extend_from_slice(b"\r\n");
            if let Err(error) = send(&mut wire, &bytes) {
                return fail(error, &heard);
            }
        } else if let Some(text) = line.strip_prefix("C!: ") {
            if let Err(error) = send(&mut wire, &unescape(text)) {
                return fail(error, &heard);
            }
        } else if line == "TLS" {
            match wire.take().expect("== first").into_inner() {
                Wire::Plain(stream) => wire = Some(BufReader::new(tls(stream, ca))),
                Wire::Tls(_) => return fail("it is under TLS already".into(), &heard),
            }
        } else if line == "CLOSED" {
            match read(&mut wire, &mut heard) {
                Err(_) => {}
                Ok(text) => return fail(format!("but it said: {text}"), &heard),
            }
        } else {
            return fail("not a line of a dialogue".into(), "");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_dialogue_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(files.len() > 10, "the dialogues are not where they should be");
    let mut failures = Vec::new();
    for file in files {
        let script = std::fs::read_to_string(&file).unwrap();
        let config: String = script
            .lines()
            .filter_map(|line| line.strip_prefix("@config "))
            .map(|line| format!("{line}\n"))
            .collect();
        let running = common::start(&config).await;
        let ports = running.ports().await;
        let ca = running.ca();
        let played = tokio::task::spawn_blocking(move || {
            play(&script, &ca, &|protocol| {
                u16::try_from(ports[protocol.name()].as_u64().unwrap()).unwrap()
            })
        });
        if let Err(failure) = played.await.unwrap() {
            failures.push(format!("{}: {failure}", file.file_name().unwrap().display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
