//! Service parameters of SVCB and HTTPS records (RFC 9460).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::text::{self, Token};

const KEYS: [&str; 8] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath"];

fn key_word(key: u16) -> String {
    KEYS.get(usize::from(key)).map_or_else(|| format!("key{key}"), |word| (*word).into())
}

fn key_number(word: &str) -> Option<u16> {
    let position = KEYS.iter().position(|key| *key == word);
    position
        .and_then(|n| u16::try_from(n).ok())
        .or_else(|| word.strip_prefix("key").and_then(|n| n.parse().ok()))
}

/// Splits parameters; `None` when they are malformed or not in ascending order.
fn split(mut bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut found: Vec<(u16, &[u8])> = Vec::new();
    while !bytes.is_empty() {
        let [k1, k2, s1, s2, rest @ ..] = bytes else { return None };
        let (key, size) =
            (u16::from_be_bytes([*k1, *k2]), usize::from(u16::from_be_bytes([*s1, *s2])));
        let value = rest.get(..size)?;
        if found.last().is_some_and(|(last, _)| *last >= key) {
            return None;
        }
        found.push((key, value));
        bytes = &rest[size..];
    }
    Some(found)
}

/// Whether the bytes are parameters.
pub(crate) fn check(bytes: &[u8]) -> bool {
    split(bytes).is_some()
}

/// As text.
pub(crate) fn show(bytes: &[u8]) -> String {
    let words: Vec<_> = split(bytes).unwrap_or_default().into_iter().map(show_one).collect();
    words.join(" ")
}

fn show_one((key, value): (u16, &[u8])) -> String {
    let word = key_word(key);
    let generic = || {
        if value.is_empty() { word.clone() } else { format!("{word}={}", text::quote(value)) }
    };
    let list = |items: Vec<String>| format!("{word}={}", items.join(","));
    match key {
        0 if !value.is_empty() && value.len().is_multiple_of(2) => list(
            value.chunks(2).map(|pair| key_word(u16::from_be_bytes([pair[0], pair[1]]))).collect(),
        ),
        1 => {
            let (mut rest, mut names) = (value, Vec::new());
            while let Some((&size, tail)) = rest.split_first() {
                let Some(name) = tail.get(..usize::from(size)) else { return generic() };
                names.push(String::from_utf8_lossy(name).into_owned());
                rest = &tail[usize::from(size)..];
            }
            format!("{word}={}", text::quote(names.join(",").as_bytes()))
        }
        3 if value.len() == 2 => format!("{word}={}", u16::from_be_bytes([value[0], value[1]])),
        4 if !value.is_empty() && value.len().is_multiple_of(4) => list(
            value
                .chunks(4)
                .filter_map(|chunk| <[u8; 4]>::try_from(chunk).ok())
                .map(|octets| Ipv4Addr::from(octets).to_string())
                .collect(),
        ),
        5 => format!("{word}={}", text::base64(value)),
        6 if !value.is_empty() && value.len().is_multiple_of(16) => list(
            value
                .chunks(16)
                .filter_map(|chunk| <[u8; 16]>::try_from(chunk).ok())
                .map(|octets| Ipv6Addr::from(octets).to_string())
                .collect(),
        ),
        _ => generic(),
    }
}

/// Reads the words `key=value`; the tokenizer may have split `key="value"` in two.
pub(crate) fn parse(words: &[Token], out: &mut Vec<u8>) -> Result<(), String> {
    let mut found = std::collections::BTreeMap::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let (key, value) = match word.text.split_once('=') {
            Some((key, "")) if words.peek().is_some_and(|next| next.quoted) => {
                (key, words.next().map(|next| next.text.clone()).unwrap_or_default())
            }
            Some((key, value)) => (key, value.to_owned()),
            None => (word.text.as_str(), String::new()),
        };
        let number = key_number(key).ok_or_else(|| {
            format!("`{key}` is not a service parameter; alpn, port, ipv4hint are")
        })?;
        if found.insert(number, value_bytes(number, &value)?).is_some() {
            return Err(format!("the parameter `{key}` is there twice"));
        }
    }
    for (key, value) in found {
        let size = u16::try_from(value.len()).map_err(|_| "a service parameter is too long")?;
        out.extend(key.to_be_bytes());
        out.extend(size.to_be_bytes());
        out.extend(value);
    }
    Ok(())
}

fn value_bytes(key: u16, value: &str) -> Result<Vec<u8>, String> {
    let parts = || value.split(',');
    let wrong = |what: &str| format!("`{value}` is not {what}");
    Ok(match key {
        0 => {
            let keys =
                parts().map(|word| key_number(word).ok_or_else(|| wrong("a list of parameters")));
            let mut keys = keys.collect::<Result<Vec<_>, _>>()?;
            keys.sort_unstable();
            keys.into_iter().flat_map(u16::to_be_bytes).collect()
        }
        1 => {
            let mut bytes = Vec::new();
            for name in parts() {
                let name = text::unescape(name)?;
                let size = u8::try_from(name.len()).ok().filter(|&n| n > 0);
                bytes.push(size.ok_or_else(|| wrong("a list of protocols"))?);
                bytes.extend(name);
            }
            bytes
        }
        2 if value.is_empty() => Vec::new(),
        2 => return Err("no-default-alpn takes no value".into()),
        3 => value.parse::<u16>().map_err(|_| wrong("a port"))?.to_be_bytes().into(),
        4 => {
            let all = parts().map(|part| part.parse::<Ipv4Addr>().map(|a| a.octets()));
            all.collect::<Result<Vec<_>, _>>()
                .map_err(|_| wrong("a list of IPv4 addresses"))?
                .concat()
        }
        5 => text::unbase64(value)?,
        6 => {
            let all = parts().map(|part| part.parse::<Ipv6Addr>().map(|a| a.octets()));
            all.collect::<Result<Vec<_>, _>>()
                .map_err(|_| wrong("a list of IPv6 addresses"))?
                .concat()
        }
        _ => text::unescape(value)?,
    })
}
