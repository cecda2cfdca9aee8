//! Items of FETCH and sections of a body (RFC 3501, 6.4.5; RFC 7162 MODSEQ).

use super::command::{Item, Section, What};
use super::cursor::{Bad, Cursor, Parsed};
use super::grammar::astring;

/// The most part numbers in a section.
const MAX_PATH: usize = 32;

pub(super) fn fetch_items(c: &mut Cursor<'_>) -> Parsed<Vec<Item>> {
    if c.peek() == Some(b'(') {
        let items = c.list(fetch_item)?;
        return if items.is_empty() { Err(Bad("FETCH needs an item")) } else { Ok(items) };
    }
    if c.take_word("ALL") {
        return Ok(vec![Item::Flags, Item::InternalDate, Item::Size, Item::Envelope]);
    }
    if c.take_word("FAST") {
        return Ok(vec![Item::Flags, Item::InternalDate, Item::Size]);
    }
    if c.take_word("FULL") {
        return Ok(vec![Item::Flags, Item::InternalDate, Item::Size, Item::Envelope, Item::Body]);
    }
    Ok(vec![fetch_item(c)?])
}

fn fetch_item(c: &mut Cursor<'_>) -> Parsed<Item> {
    let word = c.while_(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    let word = String::from_utf8_lossy(word).to_ascii_uppercase();
    let whole = |label: &str, peek: bool, what: What| {
        Item::Section(Section { label: label.into(), peek, path: Vec::new(), what, partial: None })
    };
    Ok(match word.as_str() {
        "UID" => Item::Uid,
        "FLAGS" => Item::Flags,
        "INTERNALDATE" => Item::InternalDate,
        "RFC822.SIZE" => Item::Size,
        "ENVELOPE" => Item::Envelope,
        "BODYSTRUCTURE" => Item::BodyStructure,
        "MODSEQ" => Item::ModSeq,
        "RFC822" => whole("RFC822", false, What::Whole),
        "RFC822.HEADER" => whole("RFC822.HEADER", true, What::Header),
        "RFC822.TEXT" => whole("RFC822.TEXT", false, What::Text),
        "BODY" if c.peek() != Some(b'[') => Item::Body,
        "BODY" => section(false, c)?,
        "BODY.PEEK" => section(true, c)?,
        _ => return Err(Bad("FETCH has no such item here")),
    })
}

fn section(peek: bool, c: &mut Cursor<'_>) -> Parsed<Item> {
    c.must(b'[', "[ is missing")?;
    let mut path = Vec::new();
    let mut what = What::Whole;
    while c.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        if path.len() >= MAX_PATH {
            return Err(Bad("a section has too many part numbers"));
        }
        path.push(c.nonzero()?);
        if !c.take(b'.') {
            break;
        }
        if !c.peek().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Bad("a section ends with a dot"));
        }
    }
    let word = c.while_(|byte| byte.is_ascii_alphabetic() || byte == b'.');
    match String::from_utf8_lossy(word).to_ascii_uppercase().as_str() {
        "" => {}
        "HEADER" => what = What::Header,
        "TEXT" => what = What::Text,
        "MIME" if !path.is_empty() => what = What::Mime,
        fields @ ("HEADER.FIELDS" | "HEADER.FIELDS.NOT") => {
            c.space()?;
            let names = c.list(|c| c.text())?;
            if names
                .iter()
                .any(|name| name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()))
            {
                return Err(Bad("a header field's name is printable ASCII"));
            }
            if names.is_empty() {
                return Err(Bad("HEADER.FIELDS needs a name"));
            }
            what = What::Fields { names, not: fields.ends_with("NOT") };
        }
        _ => return Err(Bad("a section has no such part")),
    }
    c.must(b']', "] is missing")?;
    let mut partial = None;
    if c.take(b'<') {
        let first = c.number()?;
        c.must(b'.', "a partial fetch is <first.length>")?;
        let length = u64::from(c.nonzero()?);
        c.must(b'>', "> is missing")?;
        partial = Some((first, length));
    }
    let label = label(&path, &what, partial.map(|(first, _)| first));
    Ok(Item::Section(Section { label, peek, path, what, partial }))
}

fn label(path: &[u32], what: &What, first: Option<u64>) -> String {
    let mut words: Vec<String> = path.iter().map(u32::to_string).collect();
    match what {
        What::Whole => {}
        What::Header => words.push("HEADER".into()),
        What::Text => words.push("TEXT".into()),
        What::Mime => words.push("MIME".into()),
        What::Fields { names, not } => {
            let names: Vec<String> = names.iter().map(|name| astring(name)).collect();
            let not = if *not { ".NOT" } else { "" };
            words.push(format!("HEADER.FIELDS{not} ({})", names.join(" ")));
        }
    }
    let first = first.map(|first| format!("<{first}>")).unwrap_or_default();
    format!("BODY[{}]{first}", words.join("."))
}
