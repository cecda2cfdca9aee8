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

fn handshake(r: &mut Reader<'_>) -> Result<String, Short> {
    let kind = r.u8()?;
    r.bytes(3)?;
    match kind {
        1 => client_hello(r),
        2 => {
            let legacy = r.u16()?;
            r.bytes(32)?;
            let session = usize::from(r.u8()?);
            r.bytes(session)?;
            let suite = r.u16()?;
            r.u8()?;
            let (_, versions) = extensions(r).unwrap_or_default();
            let version = versions.first().copied().unwrap_or(legacy);
            Ok(format!("server hello: {}, cipher suite 0x{suite:04x}", version_name(version)))
        }
        11 => Ok("certificate".into()),
        14 => Ok("server hello done".into()),
        _ => Ok("handshake".into()),
    }
}

fn client_hello(r: &mut Reader<'_>) -> Result<String, Short> {
    let legacy = r.u16()?;
    r.bytes(32)?;
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
    let versions: Vec<&str> =
        versions.iter().map(|v| version_name(*v)).filter(|v| *v != "?").collect();
    let to = name.map(|name| format!(" to {name}")).unwrap_or_default();
    Ok(format!("client hello{to}: offers {}, {} cipher suites", versions.join(" and "), suites / 2))
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
