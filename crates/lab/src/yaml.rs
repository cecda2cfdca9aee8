//! The only module that knows a YAML parser: a text becomes a tree whose every value keeps its
//! place.
//!
//! The parser is serde-saphyr. A tree and not typed values, because serde stops at the first
//! error. What is hostile (alias bombs, deep nesting, huge inputs, NUL bytes, other encodings) is
//! refused here before anything is built from it.

use serde::de::{self, Deserialize, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use crate::diagnostic::{Problem, Span};

/// The largest lab file in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The most values in a lab file, aliases expanded.
pub const MAX_NODES: usize = 50_000;
/// The deepest nesting.
pub const MAX_DEPTH: usize = 64;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands; of a mapping or list only its first byte.
    pub span: Span,
}

/// A value. Scalars keep the text that the author wrote: `0123` is a password before it is a number.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A plain scalar: a number, a truth value or a text without quotes.
    Plain(String),
    /// A text in quotes or a block.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its text.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl Node {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Plain(text) | Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a key.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.entry(name).map(|(_, value)| value)
    }

    /// Key and value of a name.
    pub fn entry(&self, name: &str) -> Option<(&Key, &Self)> {
        match &self.value {
            Value::Map(entries) => {
                entries.iter().find(|(key, _)| key.name == name).map(|(key, value)| (key, value))
            }
            _ => None,
        }
    }

    /// The items of a list; a scalar or mapping is a list of one.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// The entries of a mapping.
    pub fn entries(&self) -> &[(Key, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// What it is, for a message.
    pub fn describe(&self) -> String {
        let cut = |text: &str| match text.char_indices().nth(40) {
            Some((at, _)) => format!("`{}…`", &text[..at]),
            None => format!("`{text}`"),
        };
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Plain(text) | Value::Text(text) => cut(text),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// As JSON; plain scalars become numbers and truth values where they look like ones.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Text(text) => Json::String(text.clone()),
            Value::Plain(text) => match text.as_str() {
                "true" => Json::Bool(true),
                "false" => Json::Bool(false),
                _ => match serde_json::from_str::<serde_json::Number>(text) {
                    // Only a number that comes back as it was written: `1e3` and `007` are texts.
                    Ok(number) if number.to_string() == *text => Json::Number(number),
                    _ => Json::String(text.clone()),
                },
            },
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => Json::Object(
                entries.iter().map(|(key, value)| (key.name.clone(), value.to_json())).collect(),
            ),
        }
    }

    /// From JSON, every value at `span`.
    pub fn from_json(json: &serde_json::Value, span: Span) -> Self {
        use serde_json::Value as Json;
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(truth) => Value::Plain(truth.to_string()),
            Json::Number(number) => Value::Plain(number.to_string()),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => {
                Value::List(items.iter().map(|item| Self::from_json(item, span)).collect())
            }
            Json::Object(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(name, value)| {
                        (Key { name: name.clone(), span }, Self::from_json(value, span))
                    })
                    .collect(),
            ),
        };
        Self { value, span }
    }

    /// A merge patch (RFC 7396): mappings are merged, `null` removes, everything else replaces.
    pub fn merge(&mut self, patch: &Self) {
        let Value::Map(changes) = &patch.value else {
            *self = patch.clone();
            return;
        };
        if !matches!(self.value, Value::Map(_)) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else { return };
        for (key, change) in changes {
            let at = entries.iter().position(|(own, _)| own.name == key.name);
            match (at, &change.value) {
                (Some(at), Value::Null) => {
                    entries.remove(at);
                }
                (None, Value::Null) => {}
                (Some(at), _) => entries[at].1.merge(change),
                (None, _) => {
                    let mut fresh = Self { value: Value::Null, span: change.span };
                    fresh.merge(change);
                    entries.push((key.clone(), fresh));
                }
            }
        }
    }

    /// The node at a path of keys and positions (`["nodes", "pc0", "dns"]`); `None` where it ends.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        let mut node = self;
        for step in path {
            node = match &node.value {
                Value::List(items) => items.get(step.parse::<usize>().ok()?)?,
                // A single value stands for a list of one.
                _ if *step == "0" && node.get(step).is_none() => node,
                _ => node.get(step)?,
            };
        }
        Some(node)
    }

    /// The place of a path, or of the longest part of it that exists.
    pub fn span_of(&self, path: &[&str]) -> Span {
        let mut node = self;
        let mut span = self.span;
        for step in path {
            match &node.value {
                Value::List(items) => match step.parse::<usize>().ok().and_then(|i| items.get(i)) {
                    Some(item) => (node, span) = (item, item.span),
                    None => return span,
                },
                _ if *step == "0" && node.get(step).is_none() => {}
                _ => match node.entry(step) {
                    Some((key, value)) => {
                        // A mapping's own place is its first byte: its key says more.
                        let scalar = value.text().is_some();
                        (node, span) = (value, if scalar { value.span } else { key.span });
                    }
                    None => return span,
                },
            }
        }
        span
    }

    /// The place of a key.
    pub fn key_span(&self, path: &[&str]) -> Span {
        let Some((last, front)) = path.split_last() else { return self.span };
        match self.at(front).and_then(|node| node.entry(last)) {
            Some((key, _)) => key.span,
            None => self.span_of(path),
        }
    }
}

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
        [0xff, 0xfe, ..] | [_, 0, ..] => Some("UTF-16 (little end first)"),
        [0xfe, 0xff, ..] | [0, _, ..] => Some("UTF-16 (big end first)"),
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
        let at = u32::try_from(error.valid_up_to()).unwrap_or(0);
        Problem::error(
            "yaml::encoding",
            Span { file, start: at, end: at },
            "the file is not UTF-8 here",
        )
        .help("save it as UTF-8")
    })?;
    if let Some(at) = text.bytes().position(|byte| byte == 0) {
        let at = u32::try_from(at).unwrap_or(0);
        return Err(Problem::error(
            "yaml::control-character",
            Span { file, start: at, end: at + 1 },
            "the file has a NUL byte",
        )
        .help("a lab file is plain text"));
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
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
    let span = error.location().map_or(Span { file, start: 0, end: 0 }, |at| span(at, text, file));
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
    let message = message.trim_end_matches([':', ' ', ',']).to_owned();
    let lower = message.to_lowercase();
    if lower.contains("budget") || lower.contains("alias") && lower.contains("limit") {
        return Problem::error(
            "yaml::too-much",
            span,
            format!("the file holds more than a lab file may: {message}"),
        )
        .help(format!("at most {MAX_NODES} values, {MAX_DEPTH} levels; aliases count each time"));
    }
    let help = if text.lines().any(|line| line.trim_start_matches(' ').starts_with('\t')) {
        "YAML indents with blanks, not with tabs"
    } else if lower.contains("mapping values are not allowed") {
        "a value that contains `: ` must stand in quotes"
    } else {
        "look at the indentation and at brackets and quotes around this place"
    };
    Problem::error("yaml::syntax", span, format!("this is not YAML: {message}")).help(help)
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
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
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
                let span = span(name.defined, text, file);
                if let Some(first) = seen.insert(name.value.clone(), span) {
                    problems.push(
                        Problem::error(
                            "yaml::duplicate-key",
                            span,
                            format!("`{}` is there twice", name.value),
                        )
                        .help("keep one of the two")
                        .and(first, "first here"),
                    );
                    continue;
                }
                let value = raw_to_node(value, text, file, problems);
                read.push((Key { name: name.value, span }, value));
            }
            Value::Map(read)
        }
    };
    Node { value, span: place }
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
        // A build without optimisation on a busy machine is ten times slower than what people run.
        let bound =
            std::time::Duration::from_millis(if cfg!(debug_assertions) { 10_000 } else { 1_000 });
        assert!(start.elapsed() < bound, "{:?}", start.elapsed());
    }
}
