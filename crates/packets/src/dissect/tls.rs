//! TLS records: the hello messages, which are in the clear (RFC 8446, 4.1).

use super::reader::{Reader, Short};

/// What the beginning of a TLS record says, in words; `None` where it is not TLS.
pub fn hello(bytes: &[u8]) -> Option<String> {
    let mut r = Reader::new(bytes, 0);
    let kind = r.u8().ok()?;
    let version = r.u16().ok()?;
    let _length = r.u16().ok()?;
    if !(20..=24).contains(&kind) || version >> 8 != 3 {
        return None;
    }
    Some(match kind {
        20 => "change cipher spec".into(),
        21 => "alert".into(),
        22 => handshake(&mut r).unwrap_or_else(|_| "handshake".into()),
        23 => "encrypted data".into(),
        _ => "heartbeat".into(),
    })
}

/// What a hello message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Its random; the client's names the connection in a key log.
    pub random: [u8; 32],
    /// The version: the one chosen, or the newest that is offered.
    pub version: u16,
    /// The cipher suite that was chosen; 0 in a client's hello.
    pub suite: u16,
    /// In words.
    pub text: String,
}

fn handshake(r: &mut Reader<'_>) -> Result<String, Short> {
    let kind = r.u8()?;
    r.bytes(3)?;
    match kind {
        1 => Ok(client_hello(r)?.text),
        2 => Ok(server_hello(r)?.text),
        _ => Ok(message_name(kind).into()),
    }
}

/// The hello of a handshake message without its header (RFC 8446, 4.1.2 and 4.1.3).
pub fn read_hello(client: bool, body: &[u8]) -> Option<Hello> {
    let mut r = Reader::new(body, 0);
    if client { client_hello(&mut r).ok() } else { server_hello(&mut r).ok() }
}

/// The name of a handshake message (RFC 8446, B.3).
pub fn message_name(kind: u8) -> &'static str {
    match kind {
        1 => "client hello",
        2 => "server hello",
        4 => "new session ticket",
        8 => "encrypted extensions",
        11 => "certificate",
        12 => "server key exchange",
        13 => "certificate request",
        14 => "server hello done",
        15 => "certificate verify",
        16 => "client key exchange",
        20 => "finished",
        22 => "certificate status",
        24 => "key update",
        _ => "handshake",
    }
}

fn server_hello(r: &mut Reader<'_>) -> Result<Hello, Short> {
    let legacy = r.u16()?;
    let random = r.array()?;
    let session = usize::from(r.u8()?);
    r.bytes(session)?;
    let suite = r.u16()?;
    r.u8()?;
    let (_, versions) = extensions(r).unwrap_or_default();
    let version = versions.first().copied().unwrap_or(legacy);
    let text =
        format!("server hello: {}, cipher suite {}", version_name(version), suite_name(suite));
    Ok(Hello { random, version, suite, text })
}

fn client_hello(r: &mut Reader<'_>) -> Result<Hello, Short> {
    let legacy = r.u16()?;
    let random = r.array()?;
    let session = usize::from(r.u8()?);
    r.bytes(session)?;
    let suites = usize::from(r.u16()?);
    r.bytes(suites)?;
    let compressions = usize::from(r.u8()?);
    r.bytes(compressions)?;
    let (name, mut versions) = extensions(r).unwrap_or_default();
    if versions.is_empty() {
        versions.push(legacy);
    }
    let version = versions.iter().copied().max().unwrap_or(legacy);
    let versions: Vec<&str> =
        versions.iter().map(|v| version_name(*v)).filter(|v| *v != "?").collect();
    let to = name.map(|name| format!(" to {name}")).unwrap_or_default();
    let text = format!(
        "client hello{to}: offers {}, {} cipher suites",
        versions.join(" and "),
        suites / 2
    );
    Ok(Hello { random, version, suite: 0, text })
}

/// The name of a cipher suite, where it is one that labctl's own programs use.
fn suite_name(suite: u16) -> String {
    match suite {
        0x1301 => "TLS_AES_128_GCM_SHA256".into(),
        0x1302 => "TLS_AES_256_GCM_SHA384".into(),
        0x1303 => "TLS_CHACHA20_POLY1305_SHA256".into(),
        0xc02b => "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256".into(),
        0xc02c => "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384".into(),
        0xc02f => "ECDHE_RSA_WITH_AES_128_GCM_SHA256".into(),
        0xc030 => "ECDHE_RSA_WITH_AES_256_GCM_SHA384".into(),
        0xcca8 => "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256".into(),
        0xcca9 => "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256".into(),
        _ => format!("0x{suite:04x}"),
    }
}

type Extensions = (Option<String>, Vec<u16>);

/// Server name and versions of the extensions.
fn extensions(r: &mut Reader<'_>) -> Result<Extensions, Short> {
    let mut found: Extensions = (None, Vec::new());
    let total = usize::from(r.u16()?);
    let mut e = Reader::new(r.bytes(total.min(r.rest().len()))?, 0);
    while let Ok(kind) = e.u16() {
        let length = usize::from(e.u16()?);
        let value = e.bytes(length)?;
        let mut v = Reader::new(value, 0);
        match kind {
            0 => {
                v.u16()?;
                v.u8()?;
                let n = usize::from(v.u16()?);
                let name = String::from_utf8_lossy(v.bytes(n)?).into_owned();
                found.0 = Some(name.chars().filter(|c| c.is_ascii_graphic()).collect());
            }
            43 if value.len() == 2 => found.1.push(v.u16()?),
            43 => {
                v.u8()?;
                while let Ok(version) = v.u16() {
                    found.1.push(version);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn version_name(version: u16) -> &'static str {
    match version {
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        _ => "?",
    }
}
