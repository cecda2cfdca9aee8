//! Record data by type: one table says which fields a type has, and reading, writing, printing and
//! canonical form follow from it. Data is kept as uncompressed wire bytes.

use std::ops::Range;

use crate::{Name, RecordType, WireError, svcb};

mod text;

pub use text::{parse, show};

/// One field of record data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Name,
    U8,
    U16,
    U32,
    /// Seconds, units allowed in text.
    Period,
    /// Seconds since 1970.
    Time,
    Ip4,
    Ip6,
    /// The word of a type.
    Type,
    /// A DNSSEC algorithm.
    Algorithm,
    /// One string of up to 255 bytes.
    Str,
    /// The same, printed without quotes.
    Tag,
    /// One or more strings.
    Strs,
    /// The rest, as one string in quotes.
    Rest,
    Hex,
    Base64,
    /// Bytes behind a length, hex or `-`.
    Salt,
    /// Bytes behind a length, base 32.
    Hash,
    /// A bitmap of types.
    Types,
    /// Service parameters (RFC 9460).
    Params,
    Eui48,
    Eui64,
}

fn fields(kind: RecordType) -> Option<&'static [Field]> {
    use Field::{
        Algorithm, Base64, Eui48, Eui64, Hash, Hex, Ip4, Ip6, Name, Params, Period, Rest, Salt,
        Str, Strs, Tag, Time, Type, Types, U8, U16, U32,
    };
    use RecordType as T;
    Some(match kind {
        T::A => &[Ip4],
        T::AAAA => &[Ip6],
        T::NS | T::CNAME | T::PTR | T::DNAME | T::MB | T::MG | T::MR | T::MD | T::MF => &[Name],
        T::SOA => &[Name, Name, U32, Period, Period, Period, Period],
        T::MX | T::KX | T::AFSDB | T::RT => &[U16, Name],
        T::MINFO | T::RP => &[Name, Name],
        T::PX => &[U16, Name, Name],
        T::TXT | T::SPF => &[Strs],
        T::HINFO => &[Str, Str],
        T::X25 => &[Str],
        T::ISDN => &[Strs],
        T::SRV => &[U16, U16, U16, Name],
        T::NAPTR => &[U16, U16, Str, Str, Str, Name],
        T::CAA => &[U8, Tag, Rest],
        T::URI => &[U16, U16, Rest],
        T::DS | T::CDS => &[U16, Algorithm, U8, Hex],
        T::DNSKEY | T::CDNSKEY => &[U16, U8, Algorithm, Base64],
        T::RRSIG => &[Type, Algorithm, U8, U32, Time, Time, U16, Name, Base64],
        T::NSEC => &[Name, Types],
        T::NSEC3 => &[U8, U8, U16, Salt, Hash, Types],
        T::NSEC3PARAM => &[U8, U8, U16, Salt],
        T::CSYNC => &[U32, U16, Types],
        T::ZONEMD => &[U32, U8, U8, Hex],
        T::TLSA | T::SMIMEA => &[U8, U8, U8, Hex],
        T::SSHFP => &[U8, U8, Hex],
        T::CERT => &[U16, U16, Algorithm, Base64],
        T::OPENPGPKEY | T::DHCID => &[Base64],
        T::SVCB | T::HTTPS => &[U16, Name, Params],
        T::EUI48 => &[Eui48],
        T::EUI64 => &[Eui64],
        _ => return None,
    })
}

/// How many bytes of `rest` an uncompressed field takes; `None` when it is malformed.
fn length(field: Field, rest: &[u8]) -> Option<usize> {
    let need = |n: usize| (rest.len() >= n).then_some(n);
    match field {
        Field::Name => {
            let mut at = 0;
            loop {
                let label = usize::from(*rest.get(at)?);
                at += label + 1;
                match label {
                    0 => return (at <= 255).then_some(at),
                    1..=63 => {}
                    _ => return None,
                }
            }
        }
        Field::U8 | Field::Algorithm => need(1),
        Field::U16 | Field::Type => need(2),
        Field::U32 | Field::Period | Field::Time | Field::Ip4 => need(4),
        Field::Eui48 => need(6),
        Field::Eui64 => need(8),
        Field::Ip6 => need(16),
        Field::Str | Field::Tag | Field::Salt | Field::Hash => {
            need(usize::from(*rest.first()?) + 1)
        }
        Field::Strs => {
            let mut at = 0;
            while at < rest.len() {
                at += usize::from(rest[at]) + 1;
            }
            (at == rest.len() && at > 0).then_some(at)
        }
        Field::Types => {
            let mut at = 0;
            while at < rest.len() {
                let size = usize::from(*rest.get(at + 1)?);
                at += 2 + size;
                if !(1..=32).contains(&size) {
                    return None;
                }
            }
            (at == rest.len()).then_some(at)
        }
        Field::Params => svcb::check(rest).then_some(rest.len()),
        Field::Rest | Field::Hex | Field::Base64 => Some(rest.len()),
    }
}

/// Splits data into fields; `None` when it is not of its type's form.
fn split(fields: &'static [Field], data: &[u8]) -> Option<Vec<(Field, Range<usize>)>> {
    let mut at = 0;
    let mut parts = Vec::with_capacity(fields.len());
    for &field in fields {
        let size = length(field, &data[at..])?;
        parts.push((field, at..at + size));
        at += size;
    }
    (at == data.len()).then_some(parts)
}

/// Whether a type's names may be compressed in messages (RFC 3597 section 4).
pub fn compresses(kind: RecordType) -> bool {
    use RecordType as T;
    matches!(
        kind,
        T::NS
            | T::CNAME
            | T::PTR
            | T::SOA
            | T::MX
            | T::MB
            | T::MG
            | T::MR
            | T::MD
            | T::MF
            | T::MINFO
    )
}

/// Reads data out of a message: names are decompressed and the form is checked.
///
/// # Errors
/// [`WireError`].
pub fn read(
    kind: RecordType,
    message: &[u8],
    at: usize,
    size: usize,
) -> Result<Box<[u8]>, WireError> {
    let end = at.checked_add(size).filter(|&end| end <= message.len()).ok_or(WireError::Short)?;
    let Some(fields) = fields(kind) else { return Ok(message[at..end].into()) };
    let wrong = WireError::Data(kind);
    let mut out = Vec::with_capacity(size + 16);
    let mut at = at;
    for &field in fields {
        if field == Field::Name {
            let (name, next) = Name::read(&message[..end], at)?;
            out.extend_from_slice(name.wire());
            at = next;
        } else {
            let size = length(field, &message[at..end]).ok_or(wrong)?;
            out.extend_from_slice(&message[at..at + size]);
            at += size;
        }
    }
    if at == end { Ok(out.into()) } else { Err(wrong) }
}

/// Where the names of some data stand.
pub fn names(kind: RecordType, data: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let parts = fields(kind)
        .filter(|fields| fields.contains(&Field::Name))
        .and_then(|fields| split(fields, data))
        .unwrap_or_default();
    parts.into_iter().filter(|(field, _)| *field == Field::Name).map(|(_, range)| range)
}

/// The name that data points at: of NS, CNAME, PTR, DNAME, MX, SRV and their like.
pub fn target(kind: RecordType, data: &[u8]) -> Option<Name> {
    names(kind, data).last().and_then(|range| Name::from_wire(&data[range]).ok())
}

/// Puts the names of the types that RFC 4034 section 6.2 lists (less NSEC, RFC 6840 section 5.1)
/// into lower case.
pub fn canonical(kind: RecordType, data: &mut [u8]) {
    use RecordType as T;
    let listed = compresses(kind)
        || matches!(
            kind,
            T::RP
                | T::AFSDB
                | T::RT
                | T::SIG
                | T::PX
                | T::NAPTR
                | T::KX
                | T::SRV
                | T::DNAME
                | T::RRSIG
        );
    if listed {
        for range in names(kind, data).collect::<Vec<_>>() {
            data[range].make_ascii_lowercase();
        }
    }
}

/// A bitmap of types (RFC 4034 section 4.1.2) from sorted numbers.
pub fn bitmap(types: &[RecordType]) -> Vec<u8> {
    let mut sorted = types.to_vec();
    sorted.sort_unstable();
    let mut out = Vec::new();
    for window in sorted.chunk_by(|a, b| a.0 >> 8 == b.0 >> 8) {
        let mut bits = [0u8; 32];
        let mut last = 0;
        for kind in window {
            let low = usize::from(kind.0 & 255);
            bits[low / 8] |= 0x80 >> (low % 8);
            last = low / 8;
        }
        let [high, _] = window[0].0.to_be_bytes();
        out.extend([high, u8::try_from(last + 1).unwrap_or(32)]);
        out.extend(&bits[..=last]);
    }
    out
}

fn bitmap_types(mut map: &[u8]) -> Vec<RecordType> {
    let mut types = Vec::new();
    while let [window, size, rest @ ..] = map {
        let size = usize::from(*size).min(rest.len());
        for (n, bits) in (0u16..).zip(&rest[..size]) {
            for bit in 0..8u16 {
                if bits & (0x80 >> bit) != 0 {
                    types.push(RecordType(u16::from(*window) << 8 | (n * 8 + bit)));
                }
            }
        }
        map = &rest[size..];
    }
    types
}

#[cfg(test)]
mod tests;
