//! From the tree of a YAML file to the types of a lab, with every problem found on the way.
//!
//! serde stops at the first error; an author wants all of them in one run. So a type says here how
//! it is read ([`Decode`]), and what does not fit is reported with its place while reading goes
//! on. [`record!`], [`words!`] write the code for the usual types.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::{Deref, DerefMut};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::diagnostic::Problem;
use crate::source::Sources;
use crate::yaml::{Node, Value};

/// Collects the problems of one lab.
#[derive(Debug)]
pub struct Decoder<'a> {
    /// What was found so far.
    pub problems: Vec<Problem>,
    /// The files, to tell lines.
    pub sources: &'a Sources,
}

impl<'a> Decoder<'a> {
    /// Nothing found yet.
    pub fn new(sources: &'a Sources) -> Self {
        Self { problems: Vec::new(), sources }
    }

    /// The line of a node.
    pub fn line(&self, node: &Node) -> usize {
        self.sources.line(node.span)
    }

    /// Reports a problem at `node` and gives `None`, so that a caller can return it.
    pub fn refuse<T>(
        &mut self,
        node: &Node,
        code: &'static str,
        message: impl Display,
        help: impl Display,
    ) -> Option<T> {
        self.problems.push(Problem::error(code, node.span, message).help(help));
        None
    }

    /// A value of the wrong shape: `what` says what was expected, as a noun.
    pub fn expected<T>(&mut self, node: &Node, what: &str, example: &str) -> Option<T> {
        let help =
            if example.is_empty() { String::new() } else { format!("for example `{example}`") };
        self.refuse(node, "yaml::type", format!("expected {what}, found {}", node.describe()), help)
    }
}

/// How a type is read from a node of the YAML tree.
pub trait Decode: Sized {
    /// Reads; `None` after at least one problem was reported. `Some` may follow a problem as well:
    /// what could be read of the rest, so that more is found in one run.
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self>;

    /// The value where the field was left out; `None` where it may not be.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        if matches!(node.value, Value::Null) {
            Some(None)
        } else {
            T::decode(node, decoder).map(Some)
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        T::decode(node, decoder).map(Box::new)
    }
}

impl Decode for String {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text() {
            Some(text) => Some(text.to_owned()),
            None => {
                let help = match node.value {
                    Value::Map(_) => {
                        "a text with `: ` in it, or that begins with `{`, stands in quotes"
                    }
                    Value::List(_) => "give one text, without `- ` and brackets",
                    _ => "",
                };
                let what = format!("expected a text, found {}", node.describe());
                decoder.refuse(node, "yaml::type", what, help)
            }
        }
    }
}

impl Decode for bool {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text() {
            Some("true" | "yes" | "on") => Some(true),
            Some("false" | "no" | "off") => Some(false),
            _ => decoder.expected(node, "true or false", "true"),
        }
    }
}

macro_rules! numbers {
    ($($type:ty: $what:literal),*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
                match node.text().and_then(|text| text.parse::<$type>().ok()) {
                    Some(number) => Some(number),
                    None => decoder.expected(node, $what, "1"),
                }
            }
        }
    )*};
}
numbers!(i32: "a whole number", u8: "a number from 0 to 255", u16: "a number from 0 to 65535", u32: "a whole number", u64: "a whole number");

impl Decode for f64 {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match node.text().and_then(|text| text.parse::<f64>().ok()).filter(|n| n.is_finite()) {
            Some(number) => Some(number),
            None => decoder.expected(node, "a number", "1.5"),
        }
    }
}

impl Decode for serde_json::Value {
    fn decode(node: &Node, _: &mut Decoder<'_>) -> Option<Self> {
        Some(node.to_json())
    }
}

/// One value or a list of them: `dns: 1.2.3.4` as well as `dns: [1.2.3.4, 5.6.7.8]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<T>;
    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(list: Vec<T>) -> Self {
        Self(list)
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T: Decode> Decode for List<T> {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match &node.value {
            Value::Null => Some(Self::default()),
            Value::List(items) => {
                Some(Self(items.iter().filter_map(|item| T::decode(item, decoder)).collect()))
            }
            _ => Some(Self(vec![T::decode(node, decoder)?])),
        }
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("List_of_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// A mapping by name that keeps the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map<T>(pub Vec<(String, T)>);

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Map<T> {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether the name is there.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Names and values in the order of the file.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&String, &T)> + ExactSizeIterator {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// The values.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Serialize> Serialize for Map<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Map<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Pairs<T> {
            type Value = Map<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Map<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Map(pairs))
            }
        }
        deserializer.deserialize_map(Pairs(std::marker::PhantomData))
    }
}

impl<T: Decode> Decode for Map<T> {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Option<Self> {
        match &node.value {
            Value::Null => Some(Self::default()),
            Value::Map(entries) => {
                let read = |(key, value): &(crate::yaml::Key, Node)| {
                    Some((key.name.clone(), T::decode(value, decoder)?))
                };
                Some(Self(entries.iter().filter_map(read).collect()))
            }
            Value::List(_) => decoder.refuse(
                node,
                "yaml::type",
                "expected `name: value` lines, found a list",
                "without dashes and square brackets: each entry is `name: value`",
            ),
            _ => {
                let what = format!("expected `name: value` lines, found {}", node.describe());
                let name = node.text().unwrap_or("name");
                decoder.refuse(node, "yaml::type", what, format!("for example `{{ {name}: … }}`"))
            }
        }
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl<T: JsonSchema> JsonSchema for Map<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Map_of_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}

/// "did you mean": the known word nearest to `word`, if one is near enough.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The help line for an unknown word: the nearest known one, or all of them.
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "the lab has none yet".to_owned(),
        None => {
            let more = if known.len() > 12 {
                format!(" and {} more", known.len() - 12)
            } else {
                String::new()
            };
            format!(
                "known here: {}{more}",
                known.iter().take(12).copied().collect::<Vec<_>>().join(", ")
            )
        }
    }
}

/// A struct that is read from a mapping: each field by its name, unknown ones refused.
///
/// `= value` after a field's type is its default. A `short(node, decoder) { … }` block reads the
/// short form, a value that is not a mapping.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$fmeta:meta])* pub $field:ident : $type:ty $(= $default:expr)? ),* $(,)?
        }
        $( short($node:ident, $decoder:ident) $short:block )?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $( $(#[$fmeta])* pub $field : $type ),*
        }

        impl $name {
            /// The names of the fields, as they are written in a lab file.
            pub const FIELDS: &[&str] = &[$( $crate::decode::bare(stringify!($field)) ),*];
        }

        impl $crate::decode::Decode for $name {
            #[allow(unused_assignments, unused_mut, unused_variables)]
            fn decode(node: &$crate::yaml::Node, decoder: &mut $crate::decode::Decoder<'_>) -> Option<Self> {
                let $crate::yaml::Value::Map(entries) = &node.value else {
                    $( {
                        let ($node, $decoder) = (node, decoder);
                        return $short;
                    } )?
                    #[allow(unreachable_code)]
                    return decoder.expected(
                        node,
                        &$crate::decode::fields(Self::FIELDS),
                        "",
                    );
                };
                let mut complete = true;
                $( let mut $field: Option<$type> = None; )*
                for (key, value) in entries {
                    match key.name.as_str() {
                        $( name if name == $crate::decode::bare(stringify!($field)) => {
                            match <$type as $crate::decode::Decode>::decode(value, decoder) {
                                Some(read) => $field = Some(read),
                                // Reported already: read on as if it had been left out.
                                None => $field = <$type as $crate::decode::Decode>::absent(),
                            }
                        } )*
                        other => {
                            decoder.problems.push(
                                $crate::diagnostic::Problem::error(
                                    "yaml::unknown-field",
                                    key.span,
                                    format!("there is no field `{other}` here"),
                                )
                                .help($crate::decode::suggestion(other, Self::FIELDS.iter().copied())),
                            );
                        }
                    }
                }
                $(
                    if $field.is_none() {
                        $( $field = Some($default); )?
                        if $field.is_none() {
                            $field = <$type as $crate::decode::Decode>::absent();
                        }
                        let name = $crate::decode::bare(stringify!($field));
                        if $field.is_none() {
                            // A misspelt field is told once, as that.
                            let there = |key: &$crate::yaml::Key| {
                                key.name == name
                                    || !Self::FIELDS.contains(&key.name.as_str())
                                        && $crate::decode::nearest(&key.name, Self::FIELDS.iter().copied()) == Some(name)
                            };
                            if !entries.iter().any(|(key, _)| there(key)) {
                                decoder.refuse::<()>(
                                    node,
                                    "yaml::missing-field",
                                    format!("the field `{name}` is missing"),
                                    format!("add `{name}: …`"),
                                );
                            }
                            complete = false;
                        }
                    }
                )*
                if !complete { return None; }
                Some(Self { $( $field: $field? ),* })
            }
        }
    };
}
pub(crate) use record;

/// What a mapping has, as a noun; the first few of many fields.
pub fn fields(names: &[&str]) -> String {
    const SHOWN: usize = 6;
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("a mapping with {}{more}", names[..names.len().min(SHOWN)].join(", "))
}

/// A field's name without the `r#` of a Rust keyword.
pub const fn bare(name: &str) -> &str {
    let bytes = name.as_bytes();
    if bytes.len() > 2 && bytes[0] == b'r' && bytes[1] == b'#' { name.split_at(2).1 } else { name }
}

/// An enum of words.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$vmeta:meta])* $variant:ident = $word:literal ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum $name {
            $( $(#[$vmeta])* #[serde(rename = $word)] $variant ),*
        }

        impl $name {
            /// Every word, as written in a lab file.
            pub const WORDS: &[&str] = &[$( $word ),*];

            /// The word.
            pub const fn word(self) -> &'static str {
                match self { $( Self::$variant => $word ),* }
            }

            /// The value of a word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $( $word => Some(Self::$variant), )* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::decode::Decode for $name {
            fn decode(node: &$crate::yaml::Node, decoder: &mut $crate::decode::Decoder<'_>) -> Option<Self> {
                match node.text() {
                    Some(text) => match Self::from_word(text) {
                        Some(value) => Some(value),
                        None => decoder.refuse(
                            node,
                            "yaml::unknown-word",
                            format!("`{text}` is not one of {}", Self::WORDS.join(", ")),
                            $crate::decode::suggestion(text, Self::WORDS.iter().copied()),
                        ),
                    },
                    None => decoder.expected(node, &format!("one of {}", Self::WORDS.join(", ")), ""),
                }
            }
        }
    };
}
pub(crate) use words;
