//! A YAML text as a tree whose every value keeps its place.
//!
//! A tree and not typed values, because serde stops at the first error. What is hostile (alias
//! bombs, deep nesting, huge inputs, NUL bytes, other encodings) is refused before anything is
//! built from it.

mod parse;
mod syntax;

pub use parse::{parse, text};

use crate::diagnostic::Span;

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

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        match &mut self.value {
            Value::Map(entries) => {
                entries.iter_mut().find(|(key, _)| key.name == name).map(|(_, value)| value)
            }
            _ => None,
        }
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
