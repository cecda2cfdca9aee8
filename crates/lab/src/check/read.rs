//! What the readers of checks, steps and wrong variants share.

use schemars::{Schema, json_schema};
use serde_json::json;

use crate::decode::{Decode, Decoder, suggestion};
use crate::diagnostic::Problem;
use crate::yaml::{Key, Node, Value};

/// Reads a field of a mapping; `default` where it is absent or wrong (and reported).
pub(super) fn field<T: Decode>(
    node: &Node,
    name: &str,
    decoder: &mut Decoder<'_>,
    complete: &mut bool,
) -> Option<T> {
    match node.get(name) {
        Some(value) => {
            let read = T::decode(value, decoder);
            *complete &= read.is_some();
            read
        }
        None => None,
    }
}

/// The one key of a mapping that is none of `known`, with its value.
pub(super) fn single<'n>(
    node: &'n Node,
    known: &[&str],
    what: &str,
    choices: &[&str],
    decoder: &mut Decoder<'_>,
) -> Option<(&'n Key, &'n Node)> {
    let Value::Map(entries) = &node.value else {
        let example =
            if what == "step" { "{ off: mail.smtp }" } else { "{ ping: { from: pc0, to: pc1 } }" };
        return decoder.expected(node, &format!("a {what}"), example);
    };
    let mut rest = entries.iter().filter(|(key, _)| !known.contains(&key.name.as_str()));
    let Some((key, value)) = rest.next() else {
        return decoder.refuse(
            node,
            "check::nothing-to-do",
            format!("this {what} does not say what is tried or done"),
            format!("give one of: {}", choices.join(", ")),
        );
    };
    let mut complete = true;
    for (other, _) in rest {
        complete = false;
        let (code, message, help) = if choices.contains(&other.name.as_str()) {
            (
                "check::two-kinds",
                format!("this {what} has both `{}` and `{}`", key.name, other.name),
                format!("a {what} is one thing: write a second one"),
            )
        } else {
            (
                "yaml::unknown-field",
                format!("there is no field `{}` here", other.name),
                suggestion(&other.name, choices.iter().chain(known).copied()),
            )
        };
        decoder.problems.push(Problem::error(code, other.span, message).help(help));
    }
    // The unknown field may stand before the real one.
    if !complete && !choices.contains(&key.name.as_str()) {
        decoder.problems.push(
            Problem::error(
                "yaml::unknown-field",
                key.span,
                format!("there is no field `{}` here", key.name),
            )
            .help(suggestion(&key.name, choices.iter().chain(known).copied())),
        );
    }
    complete.then_some((key, value))
}

/// Refuses fields that are not known; `None` where the node is no mapping.
pub(super) fn known(
    node: &Node,
    fields: &[&str],
    what: &str,
    decoder: &mut Decoder<'_>,
) -> Option<bool> {
    let Value::Map(entries) = &node.value else {
        return decoder.expected(node, what, "");
    };
    let mut complete = true;
    for (key, _) in entries.iter().filter(|(key, _)| !fields.contains(&key.name.as_str())) {
        complete = false;
        decoder.problems.push(
            Problem::error(
                "yaml::unknown-field",
                key.span,
                format!("there is no field `{}` here", key.name),
            )
            .help(suggestion(&key.name, fields.iter().copied())),
        );
    }
    Some(complete)
}

/// A schema of a mapping with the fields of `fixed` and exactly one of `choices`.
pub(super) fn choice_schema(
    fixed: &[(&str, Schema)],
    choices: Vec<(&str, Schema)>,
    description: &str,
) -> Schema {
    let mut properties = serde_json::Map::new();
    for (name, schema) in fixed.iter().map(|(n, s)| (*n, s.clone())).chain(choices) {
        properties.insert(name.to_owned(), schema.into());
    }
    json_schema!({
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": false
    })
}

pub(super) fn said(description: &str, schema: serde_json::Value) -> Schema {
    let mut schema = schema;
    if let Some(map) = schema.as_object_mut() {
        map.insert("description".to_owned(), json!(description));
    }
    Schema::try_from(schema).unwrap_or_default()
}

/// The schema, or a text as its short form.
pub(super) fn either(schema: Schema) -> Schema {
    json_schema!({ "anyOf": [{ "type": "string" }, schema] })
}
