//! A client that trusts the authority reaches a server with one of its certificates; others not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says what went wrong by a panic"
)]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use pki::Authority;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use rustls_pki_types::ServerName;

fn shake(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    name: &str,
) -> Result<(), rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(client, name)?;
    let mut server = ServerConnection::new(server)?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn names_and_addresses_are_right_and_others_are_refused() {
    let now = SystemTime::now();
    let written = Authority::generate("lab06", now).unwrap();
    // Read back: what a second run of labctl has.
    let authority = Authority::from_pem(&written.to_pem(), now).unwrap();
    let address: IpAddr = "192.168.1.2".parse().unwrap();
    let leaf = authority.issue(&["Mail.com", "mx.mail.com"], &[address]).unwrap();
    let server = pki::server_config(&leaf.cert_pem, &leaf.key_pem).unwrap();
    let trusting = pki::client_config([written.ca_pem()]).unwrap();
    for name in ["mail.com", "mx.mail.com", "192.168.1.2"] {
        shake(trusting.clone(), server.clone(), name).unwrap();
    }
    shake(trusting, server.clone(), "other.com").unwrap_err();
    let stranger = Authority::generate("lab07", now).unwrap();
    let distrusting = pki::client_config([stranger.ca_pem()]).unwrap();
    shake(distrusting, server.clone(), "mail.com").unwrap_err();
    shake(pki::client_config_unverified().unwrap(), server, "any.test").unwrap();
}

#[test]
fn a_file_that_is_not_an_authority_is_refused() {
    let now = SystemTime::now();
    for text in
        ["", "# labctl authority: x\n", "# labctl authority: x\n-----BEGIN CERTIFICATE-----\n"]
    {
        let error = Authority::from_pem(text, now).unwrap_err().to_string();
        assert!(error.contains("not an authority"), "{error}");
    }
}
