//! One HTTP/1.1 request (RFC 9112), over TLS where asked.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::{Env, Error};

/// What to get.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// `http://…` or `https://…`.
    pub url: String,
    /// `GET`, `HEAD`, …
    pub method: String,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
    /// Connect to this address or name instead of the one in the URL.
    pub connect: Option<String>,
    /// Milliseconds for everything.
    pub timeout_ms: u64,
    /// Bytes of body kept.
    pub max_body: usize,
    /// Do not check the certificate.
    pub insecure: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            url: String::new(),
            method: "GET".into(),
            headers: Vec::new(),
            connect: None,
            timeout_ms: 5000,
            max_body: 256 << 10,
            insecure: false,
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The address that was asked.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// Status code.
    pub status: u16,
    /// Reason phrase.
    pub reason: String,
    /// Header fields as they came.
    pub headers: Vec<(String, String)>,
    /// The body as text, cut at `max_body`; bytes that are no text are replaced.
    pub body: String,
    /// Bytes of body received.
    pub body_bytes: u64,
    /// Whether the body was cut.
    pub cut: bool,
    /// The certificate, where TLS was spoken.
    #[serde(default)]
    pub certificate: Option<Certificate>,
    /// Milliseconds for everything.
    pub ms: f64,
}

/// Facts of a server's certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whether the node trusts it for the name in the URL.
    pub trusted: bool,
    /// Why not.
    #[serde(default)]
    pub problem: Option<String>,
    /// SHA-256 of the certificate, hexadecimal.
    pub sha256: String,
    /// The protocol's version, `TLSv1.3`.
    pub protocol: String,
}

/// Runs it.
pub async fn run(_request: &Request, _env: &Env) -> Result<Outcome, Error> {
    Err(Error::new(crate::Layer::Probe, "this probe is being written"))
}
