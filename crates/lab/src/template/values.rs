//! The values of templates: `vars:`, what is given from outside, `--set`.

use serde_json::{Map, Value as Json};

use crate::diagnostic::{Problem, Span};
use crate::load::Vars;
use crate::yaml;

/// The most parts of a variable's name.
const MAX_PARTS: usize = 16;

/// The values of a file: its `vars:` block, then `outer` and `--set` over it.
pub(crate) fn values(
    text: &str,
    file: u32,
    outer: &Json,
    set: &Vars,
    problems: &mut Vec<Problem>,
) -> Json {
    let mut values = Map::new();
    if let Some((start, end)) = vars_block(text) {
        let shift = |mut span: Span| {
            let by = u32::try_from(start).unwrap_or(0);
            (span.start, span.end) = (span.start + by, span.end + by);
            span
        };
        match yaml::parse(text.get(start..end).unwrap_or_default(), file) {
            Ok((tree, _)) => {
                let node = tree.get("vars");
                match node.map(yaml::Node::to_json) {
                    Some(Json::Object(own)) => values = own,
                    Some(Json::Null) | None => {}
                    Some(_) => {
                        let span = shift(node.map_or_else(Span::default, |n| n.span));
                        problems.push(
                            Problem::error(
                                "vars::type",
                                span,
                                "`vars:` is a mapping of names to values",
                            )
                            .help("vars: { students: 3 }"),
                        );
                    }
                }
            }
            Err(mut problem) => {
                problem.span = shift(problem.span);
                problems.push(problem);
            }
        }
    }
    let mut values = Json::Object(values);
    if outer.is_object() {
        overlay(&mut values, outer);
    }
    for (name, text) in set {
        if name.split('.').count() > MAX_PARTS {
            let shown: String = name.chars().take(40).collect();
            problems.push(
                Problem::error(
                    "vars::type",
                    Span { file, start: 0, end: 0 },
                    format!("`--set {shown}…` has more than {MAX_PARTS} parts"),
                )
                .help("for example `--set student.id=7`"),
            );
            continue;
        }
        put(&mut values, name, scalar(text));
    }
    values
}

fn overlay(below: &mut Json, above: &Json) {
    match (below, above) {
        (Json::Object(below), Json::Object(above)) => {
            for (name, value) in above {
                overlay(below.entry(name.clone()).or_insert(Json::Null), value);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

/// `student.id` = 7 becomes `{ student: { id: 7 } }`.
fn put(values: &mut Json, name: &str, value: Json) {
    let mut at = values;
    for part in name.split('.') {
        if !at.is_object() {
            *at = Json::Object(Map::new());
        }
        let Json::Object(map) = at else { return };
        at = map.entry(part.to_owned()).or_insert(Json::Null);
    }
    *at = value;
}

/// What stands after `--set key=`: a list or mapping in brackets, or a scalar.
fn scalar(text: &str) -> Json {
    if text.starts_with(['[', '{'])
        && let Ok((node, problems)) = yaml::parse(text, 0)
        && problems.is_empty()
    {
        return node.to_json();
    }
    let node = yaml::Node { value: yaml::Value::Plain(text.to_owned()), span: Span::default() };
    node.to_json()
}

/// First and last byte of the `vars:` block: up to the next line that begins in the first column.
fn vars_block(text: &str) -> Option<(usize, usize)> {
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match start {
            None if line.starts_with("vars:") => start = Some(at),
            Some(_) if !line.starts_with([' ', '\t', '#', '\n', '\r', '}', ']']) => {
                return start.map(|s| (s, at));
            }
            _ => {}
        }
        at += line.len();
    }
    start.map(|start| (start, text.len()))
}
