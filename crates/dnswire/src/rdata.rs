//! Record data by type: one table says which fields a type has, and reading, writing, printing and
//! canonical form follow from it. Data is kept as uncompressed wire bytes.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::text::{self, Token};
use crate::{Name, RecordType, WireError, svcb};

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

/// Data as a master file has it; in the form of RFC 3597 where the type is unknown or the data is
/// not of its form.
pub fn show(kind: RecordType, data: &[u8]) -> String {
    let parts = fields(kind).and_then(|fields| split(fields, data));
    let Some(parts) = parts else {
        return match data.len() {
            0 => "\\# 0".into(),
            size => format!("\\# {size} {}", text::hex(data)),
        };
    };
    let words: Vec<String> = parts
        .into_iter()
        .map(|(field, range)| show_field(field, &data[range]))
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

fn show_field(field: Field, bytes: &[u8]) -> String {
    match field {
        Field::Name => Name::from_wire(bytes).map(|name| name.to_string()).unwrap_or_default(),
        Field::U8 | Field::U16 | Field::U32 | Field::Period | Field::Algorithm => {
            number(bytes).to_string()
        }
        Field::Time => text::stamp(number(bytes)),
        Field::Ip4 => Ipv4Addr::from(number(bytes)).to_string(),
        Field::Ip6 => {
            let octets: [u8; 16] = bytes.try_into().unwrap_or_default();
            Ipv6Addr::from(octets).to_string()
        }
        Field::Type => RecordType(u16::try_from(number(bytes)).unwrap_or_default()).to_string(),
        Field::Str => text::quote(&bytes[1..]),
        Field::Tag => String::from_utf8_lossy(&bytes[1..]).into_owned(),
        Field::Strs => {
            let (mut rest, mut words) = (bytes, Vec::new());
            while let Some((&size, tail)) = rest.split_first() {
                let (string, tail) = tail.split_at(usize::from(size).min(tail.len()));
                words.push(text::quote(string));
                rest = tail;
            }
            words.join(" ")
        }
        Field::Rest => text::quote(bytes),
        Field::Hex => text::hex(bytes),
        Field::Base64 => text::base64(bytes),
        Field::Salt if bytes.len() == 1 => "-".into(),
        Field::Salt => text::hex(&bytes[1..]),
        Field::Hash => text::base32hex(&bytes[1..]),
        Field::Types => {
            let words: Vec<_> = bitmap_types(bytes).iter().map(ToString::to_string).collect();
            words.join(" ")
        }
        Field::Params => svcb::show(bytes),
        Field::Eui48 | Field::Eui64 => {
            let words: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            words.join("-")
        }
    }
}

/// Reads data from the words of a line.
///
/// # Errors
/// A sentence that says which word is wrong and what is expected.
pub fn parse(
    kind: RecordType,
    words: &[Token],
    origin: Option<&Name>,
) -> Result<Box<[u8]>, String> {
    if words.first().is_some_and(|word| word.text == "\\#" && !word.quoted) {
        return generic(kind, &words[1..]);
    }
    let Some(fields) = fields(kind) else {
        return Err(format!("the data of a {kind} record is written as \\# LENGTH HEX (RFC 3597)"));
    };
    let mut out = Vec::new();
    let mut rest = words;
    for &field in fields {
        parse_field(kind, field, &mut rest, origin, &mut out)?;
    }
    if let Some(extra) = rest.first() {
        return Err(format!("`{}` is too much for a {kind} record: {}", extra.text, form(fields)));
    }
    if out.len() > usize::from(u16::MAX) {
        return Err(format!("the data of this {kind} record is longer than 65535 bytes"));
    }
    Ok(out.into())
}

fn generic(kind: RecordType, words: &[Token]) -> Result<Box<[u8]>, String> {
    let size: usize = words
        .first()
        .and_then(|word| word.text.parse().ok())
        .ok_or("after \\# stands the length in bytes, then hex (RFC 3597)")?;
    let joined: String = words[1..].iter().map(|word| word.text.as_str()).collect();
    let data = text::unhex(&joined)?;
    if data.len() != size {
        return Err(format!("\\# says {size} bytes, but {} follow", data.len()));
    }
    let form = fields(kind).is_none_or(|fields| split(fields, &data).is_some());
    if form {
        Ok(data.into())
    } else {
        Err(format!("these bytes are not the data of a {kind} record"))
    }
}

fn form(fields: &[Field]) -> String {
    let words: Vec<_> = fields
        .iter()
        .map(|field| match field {
            Field::Name => "name",
            Field::U8 | Field::U16 | Field::U32 => "number",
            Field::Period => "seconds",
            Field::Time => "time",
            Field::Ip4 => "IPv4 address",
            Field::Ip6 => "IPv6 address",
            Field::Type => "type",
            Field::Algorithm => "algorithm",
            Field::Str | Field::Strs | Field::Rest => "\"text\"",
            Field::Tag => "tag",
            Field::Hex | Field::Salt => "hex",
            Field::Base64 => "base64",
            Field::Hash => "base32",
            Field::Types => "types",
            Field::Params => "key=value",
            Field::Eui48 | Field::Eui64 => "xx-xx-…",
        })
        .collect();
    format!("its form is {}", words.join(", "))
}

fn algorithm(word: &str) -> Option<u8> {
    const WORDS: [(&str, u8); 8] = [
        ("RSASHA1", 5),
        ("RSASHA256", 8),
        ("RSASHA512", 10),
        ("ECDSAP256SHA256", 13),
        ("ECDSAP384SHA384", 14),
        ("ED25519", 15),
        ("ED448", 16),
        ("NSEC3RSASHA1", 7),
    ];
    let by_word = WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    by_word.map(|(_, number)| *number).or_else(|| word.parse().ok())
}

fn parse_field(
    kind: RecordType,
    field: Field,
    rest: &mut &[Token],
    origin: Option<&Name>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    // Fields that take all the words that are left, or none.
    match field {
        Field::Strs => {
            if rest.is_empty() {
                return Err(format!("a {kind} record needs at least one string"));
            }
            for word in std::mem::take(rest) {
                string(&text::unescape(&word.text)?, out)?;
            }
            return Ok(());
        }
        Field::Hex | Field::Base64 => {
            let joined: String =
                std::mem::take(rest).iter().map(|word| word.text.as_str()).collect();
            let bytes =
                if field == Field::Hex { text::unhex(&joined)? } else { text::unbase64(&joined)? };
            if bytes.is_empty() {
                return Err(format!("a {kind} record needs data at its end"));
            }
            out.extend(bytes);
            return Ok(());
        }
        Field::Types => {
            let types = std::mem::take(rest).iter().map(|word| word.text.parse());
            out.extend(bitmap(&types.collect::<Result<Vec<_>, _>>()?));
            return Ok(());
        }
        Field::Params => return svcb::parse(std::mem::take(rest), out),
        _ => {}
    }
    let Some((word, more)) = rest.split_first() else {
        let form = fields(kind).map(form).unwrap_or_default();
        return Err(format!("a {kind} record needs more data: {form}"));
    };
    *rest = more;
    let word = word.text.as_str();
    let wrong = |what: &str| format!("`{word}` is not {what}");
    match field {
        Field::Name => {
            let name = Name::parse(word, origin).map_err(|error| error.to_string())?;
            out.extend_from_slice(name.wire());
        }
        Field::U8 => out.push(word.parse().map_err(|_| wrong("a number from 0 to 255"))?),
        Field::U16 => {
            let number: u16 = word.parse().map_err(|_| wrong("a number from 0 to 65535"))?;
            out.extend(number.to_be_bytes());
        }
        Field::U32 => {
            let number: u32 = word.parse().map_err(|_| wrong("a number from 0 to 4294967295"))?;
            out.extend(number.to_be_bytes());
        }
        Field::Period => out.extend(text::seconds(word)?.to_be_bytes()),
        Field::Time => out.extend(text::unstamp(word)?.to_be_bytes()),
        Field::Ip4 => {
            let address: Ipv4Addr =
                word.parse().map_err(|_| wrong("an IPv4 address such as 192.168.1.2"))?;
            out.extend(address.octets());
        }
        Field::Ip6 => {
            let address: Ipv6Addr =
                word.parse().map_err(|_| wrong("an IPv6 address such as 2001:db8::2"))?;
            out.extend(address.octets());
        }
        Field::Type => out.extend(word.parse::<RecordType>()?.0.to_be_bytes()),
        Field::Algorithm => out.push(algorithm(word).ok_or_else(|| wrong("a DNSSEC algorithm"))?),
        Field::Str | Field::Tag => string(&text::unescape(word)?, out)?,
        Field::Rest => out.extend(text::unescape(word)?),
        Field::Salt if word == "-" => out.push(0),
        Field::Salt => string(&text::unhex(word)?, out)?,
        Field::Hash => string(&text::unbase32hex(word)?, out)?,
        Field::Eui48 | Field::Eui64 => {
            let bytes = text::unhex(&word.replace('-', ""))?;
            let size = if field == Field::Eui48 { 6 } else { 8 };
            if bytes.len() != size {
                return Err(wrong("an EUI of the right length"));
            }
            out.extend(bytes);
        }
        Field::Strs | Field::Hex | Field::Base64 | Field::Types | Field::Params => {}
    }
    Ok(())
}

fn string(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let size = u8::try_from(bytes.len()).map_err(|_| {
        format!(
            "a string of {} bytes is too long: at most 255; split it into several in quotes",
            bytes.len()
        )
    })?;
    out.push(size);
    out.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(kind: RecordType, line: &str) -> String {
        let origin = Name::complete("lab.test").unwrap();
        let data = parse(kind, &text::tokens(line).unwrap(), Some(&origin)).unwrap();
        let again = parse(kind, &text::tokens(&show(kind, &data)).unwrap(), None).unwrap();
        assert_eq!(data, again, "{line}");
        assert_eq!(read(kind, &data, 0, data.len()).unwrap(), data);
        show(kind, &data)
    }

    #[test]
    fn rfc1035_5_every_type_goes_there_and_back() {
        use RecordType as T;
        for (kind, line, shown) in [
            (T::A, "10.0.0.1", "10.0.0.1"),
            (T::AAAA, "2001:DB8::1", "2001:db8::1"),
            (T::MX, "10 mail", "10 mail.lab.test."),
            (
                T::SOA,
                "ns admin 1 1h 15m 1w 60",
                "ns.lab.test. admin.lab.test. 1 3600 900 604800 60",
            ),
            (T::TXT, "\"v=spf1 -all\" x", "\"v=spf1 -all\" \"x\""),
            (T::SRV, "0 5 25 @", "0 5 25 lab.test."),
            (T::CAA, "0 issue \"ca.test\"", "0 issue \"ca.test\""),
            (
                T::NAPTR,
                "1 2 \"U\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
                "1 2 \"U\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
            ),
            (T::DS, "60485 ECDSAP256SHA256 1 2BB1 83AF", "60485 13 1 2BB183AF"),
            (T::NSEC, "host A MX RRSIG NSEC TYPE1234", "host.lab.test. A MX RRSIG NSEC TYPE1234"),
            (
                T::NSEC3,
                "1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG",
                "1 1 12 AABBCCDD 2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S A RRSIG",
            ),
            (
                T::RRSIG,
                "A 13 2 300 20260101000000 20250101000000 7 @ AAEC",
                "A 13 2 300 20260101000000 20250101000000 7 lab.test. AAEC",
            ),
            (T::TLSA, "3 1 1 AABB", "3 1 1 AABB"),
            (
                T::HTTPS,
                "1 . alpn=h2,h3 port=8443 ipv4hint=10.0.0.1",
                "1 . alpn=\"h2,h3\" port=8443 ipv4hint=10.0.0.1",
            ),
            (T(65280), "\\# 3 0a0B 0c", "\\# 3 0A0B0C"),
            (T::A, "\\# 4 0A000001", "10.0.0.1"),
        ] {
            assert_eq!(round(kind, line), shown);
        }
    }

    #[test]
    fn rfc1035_5_wrong_data_is_refused_with_a_reason() {
        use RecordType as T;
        for (kind, line, part) in [
            (T::A, "10.0.0", "IPv4"),
            (T::A, "10.0.0.1 x", "too much"),
            (T::A, "", "needs more"),
            (T::MX, "mail", "0 to 65535"),
            (T::MX, "10", "needs more"),
            (T::TXT, "", "at least one"),
            (T::A, "\\# 3 000000", "not the data"),
            (T::A, "\\# 4 00", "1 follow"),
            (T(65280), "abc", "RFC 3597"),
            (T::SOA, "a b x 1 1 1 1", "4294967295"),
        ] {
            let error = parse(kind, &text::tokens(line).unwrap(), Some(&Name::root())).unwrap_err();
            assert!(error.contains(part), "{kind} {line}: {error}");
        }
        let long = format!("\"{}\"", "x".repeat(256));
        assert!(parse(T::TXT, &text::tokens(&long).unwrap(), None).unwrap_err().contains("255"));
    }

    #[test]
    fn malformed_data_in_messages_is_refused() {
        use RecordType as T;
        for (kind, data) in [
            (T::A, &b"\x01\x02\x03"[..]),
            (T::TXT, b"\x05a"),
            (T::MX, b"\x00\x0a"),
            (T::NSEC, b"\x00\x00\x21"),
        ] {
            assert!(read(kind, data, 0, data.len()).is_err(), "{kind}");
        }
        assert!(read(T::A, b"\x01", 0, 4).is_err());
    }
}
