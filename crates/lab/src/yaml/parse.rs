//! The only module that knows a YAML parser: serde-saphyr.

use serde::de::{self, Deserialize, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use super::syntax::explain;
use super::{Key, MAX_BYTES, MAX_DEPTH, MAX_NODES, Node, Value};
use crate::diagnostic::{Problem, Span};

/// Reads bytes as the text of a lab file: UTF-8 within bounds.
pub fn text(bytes: &[u8], file: u32) -> Result<&str, Problem> {
    let start = Span { file, start: 0, end: 0 };
    if bytes.len() > MAX_BYTES {
        return Err(Problem::error(
            "yaml::too-large",
            start,
            format!("the file has {} bytes; a lab file may have {MAX_BYTES}", bytes.len()),
        )
        .help("repeated nodes are written shorter with a loop: see `vars:` in docs/lab-file.md"));
    }
    let encoding = match bytes {
        [0xff, 0xfe, 0, 0, ..] | [1..=255, 0, 0, 0, ..] => Some("UTF-32"),
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, 1..=255, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [1..=255, 0, ..] => Some("UTF-16 (little end first)"),
        [0xfe, 0xff, ..] | [0, 1..=255, ..] => Some("UTF-16 (big end first)"),
        _ => None,
    };
    if let Some(name) = encoding {
        return Err(Problem::error(
            "yaml::encoding",
            start,
            format!("the file is in {name}, not UTF-8"),
        )
        .help("save it as UTF-8"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or(0);
        let latin = if byte >= 0xa0 {
            format!(": the byte {byte:#04x} would be `{}` in Latin-1", char::from(byte))
        } else {
            String::new()
        };
        let at = u32::try_from(at).unwrap_or(0);
        Problem::error(
            "yaml::encoding",
            Span { file, start: at, end: at },
            format!("the file is not UTF-8 here{latin}"),
        )
        .help("save it as UTF-8")
    })?;
    // What YAML forbids; an escape sequence would also reach the terminal that shows the file.
    if let Some((at, found)) = text.char_indices().find(|(_, c)| is_forbidden(*c)) {
        let what = match found {
            '\0' => "a NUL byte".to_owned(),
            c => format!("the control character U+{:04X}", u32::from(c)),
        };
        let at = u32::try_from(at).unwrap_or(0);
        let end = at + u32::try_from(found.len_utf8()).unwrap_or(1);
        return Err(Problem::error(
            "yaml::control-character",
            Span { file, start: at, end },
            format!("the file has {what}"),
        )
        .help("a lab file is plain text"));
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Control characters but tab and line ends.
fn is_forbidden(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')
}

/// Parses a text that [`text`] has accepted. Duplicate keys are among the problems.
pub fn parse(text: &str, file: u32) -> Result<(Node, Vec<Problem>), Problem> {
    if let Some(at) = too_deep(text) {
        return Err(Problem::error(
            "yaml::too-deep",
            Span { file, start: at, end: at + 1 },
            format!("nested deeper than {MAX_DEPTH} levels"),
        )
        .help("a lab file needs about 8"));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_events: MAX_NODES * 3,
            max_depth: MAX_DEPTH,
            max_documents: 1,
            max_total_scalar_bytes: 8 * MAX_BYTES,
            // Anchors are kept, and what they name is read again, at a price of their own.
            max_anchors: 1_000,
            max_aliases: 5_000,
            max_merge_keys: 500,
            max_recorded_anchor_events: MAX_NODES,
            max_recorded_anchor_bytes: MAX_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_NODES,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
    };
    let raw = serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options)
        .map_err(|error| syntax(&error, text, file))?;
    let mut problems = Vec::new();
    let node = raw_to_node(raw, text, file, &mut problems);
    Ok((node, problems))
}

/// The first byte that is nested deeper than [`MAX_DEPTH`] for sure. The parser recurses, so this
/// is told without it. Quotes are not understood: the bounds are for what no honest file has.
fn too_deep(text: &str) -> Option<u32> {
    let mut brackets = 0usize;
    let mut columns: Vec<usize> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mut column = 0;
        let mut rest = line;
        // Block levels: rising columns of first characters, and `- ` or `? ` on one line.
        loop {
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            (column, rest) = (column + blanks, &rest[blanks..]);
            if brackets > 0 || rest.trim_end().is_empty() || rest.starts_with('#') {
                break;
            }
            while columns.last().is_some_and(|last| *last >= column) {
                columns.pop();
            }
            columns.push(column);
            if columns.len() > MAX_DEPTH {
                return u32::try_from(start + column).ok();
            }
            if rest.starts_with("- ") || rest.starts_with("? ") || rest.starts_with(": ") {
                (column, rest) = (column + 1, &rest[1..]);
            } else {
                break;
            }
        }
        for (at, byte) in line.bytes().enumerate() {
            match byte {
                b'[' | b'{' => brackets += 1,
                b']' | b'}' => brackets = brackets.saturating_sub(1),
                _ => {}
            }
            if brackets > MAX_DEPTH {
                return u32::try_from(start + at).ok();
            }
        }
        start += line.len();
    }
    None
}

fn syntax(error: &serde_saphyr::Error, text: &str, file: u32) -> Problem {
    let place = error.location().map_or(Span { file, start: 0, end: 0 }, |at| span(at, text, file));
    let mut message = error.without_snippet().to_string();
    // The place is shown beside the message anyway.
    if let Some(at) =
        message.find(" at line ").or_else(|| message.find("line ").filter(|at| *at == 0))
    {
        if at > 0 {
            message.truncate(at);
        } else if let Some(colon) = message.find(": ") {
            message = message[colon + 2..].to_owned();
        }
    }
    explain(message.trim_end_matches([':', ' ', ',']), place, text)
}

fn span(location: Location, text: &str, file: u32) -> Span {
    let span = location.span();
    let limit = |byte: u64| u32::try_from(byte.min(text.len() as u64)).unwrap_or(0);
    match (span.byte_offset(), span.byte_len()) {
        (Some(start), Some(length)) => {
            Span { file, start: limit(start), end: limit(start + length) }
        }
        // Some errors of the scanner only know line and column.
        _ if location.line() > 0 => {
            let line = usize::try_from(location.line() - 1).unwrap_or(0);
            let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
            let column = usize::try_from(location.column().max(1) - 1).unwrap_or(0);
            let rest = text.get(start..).unwrap_or_default();
            let byte = rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
            let start = limit((start + byte) as u64);
            Span { file, start, end: start }
        }
        _ => Span { file, start: 0, end: 0 },
    }
}

/// What serde gives: numbers and truth values lose how they were written, which the place gives back.
enum Raw {
    Null,
    Plain(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Raw;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("any value")
            }
            fn visit_bool<E>(self, v: bool) -> Result<Raw, E> {
                Ok(Raw::Plain(v.to_string()))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Raw, E> {
                Ok(Raw::Plain(v.to_string()))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Raw, E> {
                Ok(Raw::Plain(v.to_string()))
            }
            fn visit_i128<E>(self, v: i128) -> Result<Raw, E> {
                Ok(Raw::Plain(v.to_string()))
            }
            fn visit_u128<E>(self, v: u128) -> Result<Raw, E> {
                Ok(Raw::Plain(v.to_string()))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Raw, E> {
                Ok(Raw::Plain(v.to_string()))
            }
            fn visit_str<E>(self, v: &str) -> Result<Raw, E> {
                Ok(Raw::Text(v.to_owned()))
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_some<D: de::Deserializer<'de>>(self, d: D) -> Result<Raw, D::Error> {
                Raw::deserialize(d)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Raw::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Raw::Map(entries))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn raw_to_node(raw: Spanned<Raw>, text: &str, file: u32, problems: &mut Vec<Problem>) -> Node {
    let place = span(raw.defined, text, file);
    let written = text.get(place.start as usize..place.end as usize).unwrap_or("");
    let value = match raw.value {
        Raw::Null => Value::Null,
        // `~`-like values and numbers: the author's own spelling, where the place is a plain scalar.
        Raw::Plain(value) => {
            Value::Plain(if written.is_empty() { value } else { written.to_owned() })
        }
        // Escapes in quotes can write what the file itself may not hold.
        Raw::Text(value) if value.contains(is_forbidden) => {
            problems.push(
                Problem::error(
                    "yaml::control-character",
                    place,
                    "this text has a control character",
                )
                .help("a lab's texts are shown on terminals: leave the escape out"),
            );
            Value::Text(value.replace(is_forbidden, ""))
        }
        Raw::Text(value) if value == written => Value::Plain(value),
        Raw::Text(value) => Value::Text(value),
        Raw::List(items) => Value::List(
            items.into_iter().map(|item| raw_to_node(item, text, file, problems)).collect(),
        ),
        Raw::Map(entries) => {
            let mut read: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
            // Of many keys, comparing each with each would take for ever.
            let mut seen = std::collections::HashMap::new();
            for (name, value) in entries {
                let Some(key) = key(name, text, file, problems) else { continue };
                if let Some(first) = seen.insert(key.name.clone(), key.span) {
                    problems.push(
                        Problem::error(
                            "yaml::duplicate-key",
                            key.span,
                            format!("`{}` is there twice", key.name),
                        )
                        .help("keep one of the two")
                        .and(first, "first here"),
                    );
                    continue;
                }
                let value = raw_to_node(value, text, file, problems);
                if value.value == Value::Null {
                    problems.extend(swallowed(&key, text));
                }
                read.push((key, value));
            }
            Value::Map(read)
        }
    };
    Node { value, span: place }
}

/// The key of an entry: a scalar as it is written (`null`, `1e3` and `007` are names).
fn key(raw: Spanned<Raw>, text: &str, file: u32, problems: &mut Vec<Problem>) -> Option<Key> {
    let node = raw_to_node(raw, text, file, problems);
    let written = text.get(node.span.start as usize..node.span.end as usize).unwrap_or("");
    let name = match node.value {
        Value::Plain(name) | Value::Text(name) => name,
        Value::Null if !written.is_empty() => written.to_owned(),
        other => {
            let what = Node { value: other, span: node.span }.describe();
            problems.push(
                Problem::error("yaml::type", node.span, format!("expected a name, found {what}"))
                    .help("names stand before the colon: `name: value`"),
            );
            return None;
        }
    };
    // To YAML a no-break space is a letter of the name.
    if let Some(odd) = name.chars().next().filter(|c| c.is_whitespace() && *c != ' ') {
        problems.push(
            Problem::error(
                "yaml::syntax",
                node.span,
                format!(
                    "this line begins with U+{:04X}, which only looks like a blank",
                    u32::from(odd)
                ),
            )
            .help("it comes from copying a page: type plain blanks"),
        );
        return None;
    }
    Some(Key { name, span: node.span })
}

/// A value that a ` #` has made a comment, as in `password: #1`.
fn swallowed(key: &Key, text: &str) -> Option<Problem> {
    let rest = text.get(key.span.end as usize..)?.lines().next()?;
    let comment = rest.trim_start_matches(['"', '\'']).strip_prefix(':')?.trim_start();
    let word = comment.strip_prefix('#')?;
    // `# a comment` is one.
    if word.starts_with(|c: char| c.is_whitespace() || c == '#') || word.is_empty() {
        return None;
    }
    let start = key.span.end + u32::try_from(rest.len() - comment.len()).ok()?;
    let span =
        Span { file: key.span.file, start, end: key.span.end + u32::try_from(rest.len()).ok()? };
    Some(
        Problem::warning(
            "yaml::comment",
            span,
            format!("`{}` has no value: `#` begins a comment here", key.name),
        )
        .help(format!("put it in quotes: `{}: \"{}\"`", key.name, comment.trim_end())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Node {
        let (node, problems) = parse(text, 0).unwrap();
        assert_eq!(problems, []);
        node
    }

    #[test]
    fn scalars_keep_how_they_were_written_and_where() {
        let text = "é: 0123\nb: '1'\nc: [yes, 1.50, ~, true]\nd: 10.0.0.1\n";
        let node = read(text);
        assert_eq!(node.get("é").unwrap().value, Value::Plain("0123".into()));
        let span = node.get("é").unwrap().span;
        assert_eq!(&text[span.start as usize..span.end as usize], "0123");
        assert_eq!(node.get("b").unwrap().value, Value::Text("1".into()));
        let items: Vec<_> =
            node.get("c").unwrap().items().iter().map(|n| n.value.clone()).collect();
        let plain = |t: &str| Value::Plain(t.into());
        assert_eq!(items, [plain("yes"), plain("1.50"), Value::Null, plain("true")]);
        assert_eq!(node.get("d").unwrap().value, plain("10.0.0.1"));
    }

    #[test]
    fn anchors_and_merge_keys_work_and_duplicates_are_all_found() {
        let node = read("a: &x { k: 1, l: 2 }\nb: { <<: *x, l: 3 }\n");
        assert_eq!(node.at(&["b", "k"]).unwrap().text(), Some("1"));
        assert_eq!(node.at(&["b", "l"]).unwrap().text(), Some("3"));
        let (_, problems) = parse("a: 1\na: 2\nb: { c: 1, c: 2 }\n", 0).unwrap();
        assert_eq!(problems.len(), 2);
        assert_eq!(problems[0].span.start, 5);
    }

    #[test]
    fn a_merge_patch_merges_replaces_and_removes() {
        let mut node = read("a: { b: 1, c: 2 }\nd: [1]\n");
        node.merge(&read("a: { b: ~, e: { f: 3 } }\nd: [2, 3]\n"));
        assert_eq!(node.to_json(), serde_json::json!({"a": {"c": 2, "e": {"f": 3}}, "d": [2, 3]}));
    }

    #[test]
    fn hostile_texts_are_refused_fast() {
        let start = std::time::Instant::now();
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..12 {
            let refs = vec![format!("*a{}", i - 1); 10].join(",");
            bomb.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        let code = |text: &str| parse(text, 0).map(|_| ()).unwrap_err().code;
        assert_eq!(code(&bomb), "yaml::too-much");
        assert_eq!(code(&"[".repeat(10_000)), "yaml::too-deep");
        let mut deep = String::new();
        for level in 0..1_000 {
            deep.push_str(&" ".repeat(level));
            deep.push_str("a:\n");
        }
        assert!(code(&deep).starts_with("yaml::"));
        assert!(code(&"- ".repeat(10_000)).starts_with("yaml::"));
        assert!(code(&"? ".repeat(10_000)).starts_with("yaml::"));
        let bytes = |bytes: &[u8]| text(bytes, 0).unwrap_err().code;
        assert_eq!(bytes(&vec![b'a'; MAX_BYTES + 1]), "yaml::too-large");
        assert_eq!(bytes(b"name: a\0b"), "yaml::control-character");
        assert_eq!(bytes(b"n\0a\0"), "yaml::encoding");
        assert_eq!(bytes(b"name: \xff"), "yaml::encoding");
        assert_eq!(bytes(b"\0\0\0\0"), "yaml::control-character");
        assert_eq!(bytes(b"\0n\0a"), "yaml::encoding");
        assert_eq!(bytes(b"n\0\0\0a\0\0\0"), "yaml::encoding");
        assert_eq!(bytes(b"name: \x1b[2J"), "yaml::control-character");
        assert_eq!(bytes("name: \u{9b}2J".as_bytes()), "yaml::control-character");
        assert_eq!(parse("a: \"\\e[2J\"\n", 0).unwrap().1[0].code, "yaml::control-character");
        // A build without optimisation on a busy machine is ten times slower than what people run.
        let bound =
            std::time::Duration::from_millis(if cfg!(debug_assertions) { 10_000 } else { 1_000 });
        assert!(start.elapsed() < bound, "{:?}", start.elapsed());
    }
}
