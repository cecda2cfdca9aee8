//! TLS dialogues of rustls, read with the secrets that rustls itself gives.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use packets::tls::{Event, KeyLog, Session};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, ClientConfig, ClientConnection, ServerConnection};

/// The lines of a key log.
#[derive(Debug, Default)]
struct Lines(Mutex<String>);

impl rustls::KeyLog for Lines {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        self.0.lock().unwrap().push_str(&line);
    }
}

/// What both sides sent, in order: who, and the bytes.
type Wire = Vec<(usize, Vec<u8>)>;

/// A dialogue with one cipher suite; what was on the wire, and its key log.
fn talk(suite: CipherSuite) -> (Wire, String) {
    let authority = pki::Authority::generate("test", std::time::SystemTime::now()).unwrap();
    let leaf = authority.issue(&["mail.test"], &[]).unwrap();
    let server = pki::server_config(&leaf.cert_pem, &leaf.key_pem).unwrap();
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|one| one.suite() == suite);
    assert_eq!(provider.cipher_suites.len(), 1, "{suite:?}");
    let mut roots = rustls::RootCertStore::empty();
    let pem = authority.ca_pem();
    let der = {
        use rustls::pki_types::pem::PemObject;
        rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    };
    roots.add(der).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let lines = Arc::new(Lines::default());
    config.key_log = lines.clone();
    let name = ServerName::try_from("mail.test").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    let mut wire = Wire::new();
    let mut carry = |client: &mut ClientConnection, server: &mut ServerConnection| loop {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut there).unwrap();
        }
        let mut rest = there.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        while server.wants_write() {
            server.write_tls(&mut back).unwrap();
        }
        let mut rest = back.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
        if there.is_empty() && back.is_empty() {
            return;
        }
        wire.push((0, there));
        wire.push((1, back));
    };
    carry(&mut client, &mut server);
    let mut line = [0; 100_000];
    for round in 0..3 {
        client.writer().write_all(b"USER anna\r\n").unwrap();
        carry(&mut client, &mut server);
        assert_eq!(server.reader().read(&mut line).unwrap(), 11);
        // More than one record.
        server.writer().write_all(&[b'x'; 6_000]).unwrap();
        server.writer().write_all(&[b'x'; 6_000]).unwrap();
        carry(&mut client, &mut server);
        let mut left = 12_000;
        while left > 0 {
            left -= client.reader().read(&mut line).unwrap();
        }
        if round == 0 && client.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3) {
            client.refresh_traffic_keys().unwrap();
            server.refresh_traffic_keys().unwrap();
        }
    }
    client.send_close_notify();
    carry(&mut client, &mut server);
    let log = lines.0.lock().unwrap().clone();
    (wire, log)
}

/// What is read of it, each side's bytes joined, and the rest in words.
fn read(wire: &Wire, log: &KeyLog, piece: usize) -> ([Vec<u8>; 2], Vec<String>) {
    let mut session = Session::default();
    let (mut said, mut words) = ([Vec::new(), Vec::new()], Vec::new());
    for (at, (side, bytes)) in wire.iter().enumerate() {
        for chunk in bytes.chunks(piece) {
            for (event, frames) in session.hear(*side, chunk, &[at], log) {
                assert!(!frames.is_empty());
                match event {
                    Event::Data(bytes) => said[*side].extend(bytes),
                    Event::Hello(text) | Event::Handshake(text) => words.push(text),
                    Event::Secret => words.push("secret".into()),
                }
            }
        }
    }
    (said, words)
}

#[test]
fn every_suite_is_read_in_pieces_of_any_size() {
    for suite in [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ] {
        let (wire, log) = talk(suite);
        let keys = KeyLog::of(log.lines());
        for piece in [1, 7, 1460, 100_000] {
            let (said, words) = read(&wire, &keys, piece);
            assert_eq!(said[0], b"USER anna\r\n".repeat(3), "{suite:?} {words:?}");
            assert_eq!(said[1].len(), 36_000, "{suite:?} {words:?}");
            assert!(!words.iter().any(|word| word == "secret"), "{suite:?} {words:?}");
            assert!(words[0].starts_with("client hello to mail.test"), "{words:?}");
            assert!(words.contains(&"certificate".to_owned()), "{words:?}");
            assert_eq!(words.last().unwrap(), "close notify", "{words:?}");
        }
        // Without the keys nothing is read, and nothing made up.
        let (said, words) = read(&wire, &KeyLog::default(), 1460);
        assert!(said[0].is_empty() && said[1].is_empty());
        assert!(words.iter().any(|word| word == "secret"));
        // With the keys of another connection neither.
        let other = KeyLog::of(talk(suite).1.lines());
        let (said, _) = read(&wire, &other, 1460);
        assert!(said[0].is_empty() && said[1].is_empty());
    }
}

#[test]
fn what_is_missing_ends_the_reading_and_nothing_else() {
    let (mut wire, log) = talk(CipherSuite::TLS13_AES_128_GCM_SHA256);
    let keys = KeyLog::of(log.lines());
    // A byte of a record of the server is wrong.
    let last = wire.iter().rposition(|(side, bytes)| *side == 1 && bytes.len() > 1_000).unwrap();
    wire[last].1[100] ^= 1;
    let (said, words) = read(&wire, &keys, 1460);
    assert_eq!(said[0], b"USER anna\r\n".repeat(3));
    assert_eq!(said[1].len(), 24_000, "{words:?}");
    // And nonsense instead of records.
    let mut session = Session::default();
    assert_eq!(session.hear(0, &[0xff; 100], &[1], &keys), [(Event::Secret, vec![1])]);
    assert_eq!(session.hear(0, &[22, 3, 3, 0, 1], &[2], &keys), [(Event::Secret, vec![2])]);
}
