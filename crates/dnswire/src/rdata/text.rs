//! Record data as text: what a master file has, printed and read.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Field, bitmap, bitmap_types, fields, split};
use crate::text::{self, Token};
use crate::{Name, RecordType, svcb};

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
