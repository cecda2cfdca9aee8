//! From the tree of a YAML file to the types of a lab, with every problem found on the way.
//!
//! serde stops at the first error; an author wants all of them in one run. So a type says here how
//! it is read ([`Decode`]), and what does not fit is reported with its place while reading goes
//! on. [`record!`], [`words!`] write the code for the usual types.

mod collections;

use std::fmt::Display;

pub use collections::{List, Map};

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
