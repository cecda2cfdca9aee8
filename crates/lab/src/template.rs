//! Templates in a lab file: `vars:`, `{{ … }}`, loops. Worked out before YAML is read, with the way
//! back from each byte of the result to the text that the author wrote.
//!
//! The way back comes from marks that are put into the text before it is rendered and taken out
//! afterwards: one before each piece of plain text and one before each expression.

use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use crate::diagnostic::{Problem, Span};
use crate::load::Vars;
use crate::source::Expanded;
use crate::yaml;

/// Begins a mark; a character of the private use area.
const OPEN: char = '\u{F8F0}';
/// Ends a mark.
const CLOSE: char = '\u{F8F1}';
/// The most that a template may make, in bytes.
const MAX_RESULT: usize = 2 << 20;
/// The most processor time; a lab of 1,000 nodes takes a tenth of it.
const MAX_TIME: std::time::Duration =
    std::time::Duration::from_millis(if cfg!(debug_assertions) { 3_000 } else { 150 });
/// The most parts of a variable's name.
const MAX_PARTS: usize = 16;
/// The stack of a template's thread.
const STACK: usize = 8 << 20;
/// The most items that `pick`, `shuffle` and `password` may look at in all.
const MAX_CHOSEN: usize = 200_000;

/// Whether the text has anything to work out.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

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

/// Works a template out.
///
/// It runs in a thread of its own: fuel bounds its steps and its memory, but not all of its time (the
/// length of a list that was doubled sixty times is counted in a single step). A thread cannot be
/// stopped; labctl ends soon after the report.
pub(crate) fn expand(text: &str, file: u32, values: &Json) -> Result<Expanded, Problem> {
    let (send, done) = std::sync::mpsc::channel();
    let (own, shown) = (text.to_owned(), values.clone());
    let clock_send = send.clone();
    let spawned = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        // The processor time of this thread: on a busy machine the wall's clock says little.
        let clock = std::fs::File::open("/proc/thread-self/schedstat").ok();
        let _ = clock_send.send(Told::Clock(clock));
        let _ = send.send(Told::Made(work_out(&own, file, &shown)));
    });
    if spawned.is_err() {
        return work_out(text, file, values);
    }
    let begin = std::time::Instant::now();
    let mut clock = None;
    loop {
        match done.recv_timeout(std::time::Duration::from_millis(10)) {
            Ok(Told::Clock(file)) => clock = file,
            Ok(Told::Made(made)) => return made,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                let used = clock.as_ref().and_then(processor_time);
                if used.unwrap_or_else(|| begin.elapsed() / 10) > MAX_TIME {
                    return Err(Problem::error(
                        "vars::too-much",
                        Span { file, start: 0, end: 0 },
                        "the templates take too long",
                    )
                    .help("make loops and lists shorter"));
                }
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Err(too_much(file)),
        }
    }
}

/// What the thread of a template says.
enum Told {
    Clock(Option<std::fs::File>),
    Made(Result<Expanded, Problem>),
}

/// The processor time of a thread, from its `schedstat`.
fn processor_time(mut clock: &std::fs::File) -> Option<std::time::Duration> {
    use std::io::{Read as _, Seek as _};
    let mut text = String::new();
    clock.rewind().ok()?;
    clock.read_to_string(&mut text).ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(std::time::Duration::from_nanos(nanoseconds))
}

fn work_out(text: &str, file: u32, values: &Json) -> Result<Expanded, Problem> {
    if let Some(at) = text.find([OPEN, CLOSE]) {
        let at = u32::try_from(at).unwrap_or(0);
        return Err(Problem::error(
            "yaml::control-character",
            Span { file, start: at, end: at + 3 },
            "this private-use character cannot stand in a lab file with templates",
        ));
    }
    let (marked, inserts) = mark(text);
    if let Some((start, open)) = unclosed(text) {
        let at = |byte: usize| u32::try_from(byte).unwrap_or(0);
        return Err(Problem::error(
            "vars::template",
            Span { file, start: at(start), end: at(start + 2) },
            format!("this `{open}` is not closed"),
        )
        .help("`{{ … }}` is a value, `{% … %}` a block, `{# … #}` a comment"));
    }
    let mut environment = crate::render::environment();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    // Only for the place of an error: the values are the author's own.
    environment.set_debug(true);
    choices(&mut environment, text, values);
    // A name that ends in `.yaml` would put quotes around every value.
    let rendered = environment.render_named_str("lab", &marked, minijinja::value::Serde(values));
    match rendered {
        Ok(result) if result.len() > MAX_RESULT * 2 => Err(too_much(file)),
        Ok(result) => {
            let expanded = unmark(&result);
            if expanded.text.len() > MAX_RESULT { Err(too_much(file)) } else { Ok(expanded) }
        }
        Err(error) => Err(explain(&error, file, text, &inserts, values)),
    }
}

/// The functions that give each student an own lab: `pick(list)`, `shuffle(list)`,
/// `number(first, last)`, `password(length)`. The same lab, student and place give the same choice;
/// without a student the seed is 0.
fn choices(environment: &mut minijinja::Environment<'_>, text: &str, values: &Json) {
    use minijinja::{Error, ErrorKind, Value};
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("name:"))
        .unwrap_or_default()
        .trim()
        .to_owned();
    let seed = values.get("student").and_then(|student| student.get("seed"));
    let seed = seed.map_or_else(
        || "0".to_owned(),
        |seed| seed.as_str().map_or_else(|| seed.to_string(), str::to_owned),
    );
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    // One call's stream of numbers.
    let stream = move || {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (name, seed) = (name.clone(), seed.clone());
        let mut round = 0u64;
        move || {
            round += 1;
            let hash = Sha256::digest(format!("{name}\0{seed}\0{call}\0{round}"));
            hash.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte))
        }
    };
    let wrong = |what: &str| Error::new(ErrorKind::InvalidOperation, what.to_owned());
    let left = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(MAX_CHOSEN));
    let spend = move |count: usize| {
        let order = std::sync::atomic::Ordering::Relaxed;
        let enough = left.fetch_update(order, order, |left| left.checked_sub(count));
        enough.map(|_| ()).map_err(|_| Error::from(ErrorKind::OutOfFuel))
    };
    let pay = spend.clone();
    let items = move |list: &Value| -> Result<Vec<Value>, Error> {
        let items: Vec<Value> = list.try_iter()?.take(MAX_CHOSEN + 1).collect();
        spend(items.len())?;
        if items.is_empty() {
            Err(Error::new(ErrorKind::InvalidOperation, "the list is empty"))
        } else {
            Ok(items)
        }
    };
    let next = stream.clone();
    let of = items.clone();
    environment.add_function("pick", move |list: Value| -> Result<Value, Error> {
        let list = of(&list)?;
        let at = usize::try_from(next()() % list.len() as u64).unwrap_or(0);
        Ok(list[at].clone())
    });
    let next = stream.clone();
    environment.add_function("shuffle", move |list: Value| -> Result<Value, Error> {
        let mut list = items(&list)?;
        let mut number = next();
        for last in (1..list.len()).rev() {
            list.swap(last, usize::try_from(number() % (last as u64 + 1)).unwrap_or(0));
        }
        Ok(Value::from(list))
    });
    let next = stream.clone();
    environment.add_function("number", move |first: i64, last: i64| -> Result<i64, Error> {
        let span = last
            .checked_sub(first)
            .filter(|span| *span >= 0)
            .ok_or_else(|| wrong("number(first, last) needs first <= last"))?;
        let offset = i64::try_from(next()() % (span as u64 + 1)).unwrap_or(0);
        Ok(first + offset)
    });
    environment.add_function("password", move |length: usize| -> Result<String, Error> {
        // Without characters that are mistaken for each other.
        const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";
        if !(1..=64).contains(&length) {
            return Err(wrong("a password has 1 to 64 characters"));
        }
        pay(length)?;
        let mut number = stream();
        // The first is a letter, so that YAML takes it for a text.
        let mut at = |bound: u64| usize::try_from(number() % bound).unwrap_or(0);
        Ok((0..length)
            .map(|place| char::from(LETTERS[at(if place == 0 { 24 } else { 32 })]))
            .collect())
    });
}

fn too_much(file: u32) -> Problem {
    Problem::error(
        "vars::too-much",
        Span { file, start: 0, end: 0 },
        format!("the templates make more than {MAX_RESULT} bytes"),
    )
    .help("make loops shorter")
}

fn explain(
    error: &minijinja::Error,
    file: u32,
    text: &str,
    inserts: &[(usize, usize)],
    values: &Json,
) -> Problem {
    use minijinja::ErrorKind;
    let back = |byte: usize| {
        let known = inserts.partition_point(|(at, _)| *at <= byte);
        let removed: usize = inserts.iter().take(known).map(|(_, length)| length).sum();
        u32::try_from(byte.saturating_sub(removed).min(text.len())).unwrap_or(0)
    };
    let span = match (error.range(), error.line()) {
        (Some(range), _) => Span { file, start: back(range.start), end: back(range.end) },
        (None, Some(line)) => {
            let start: usize =
                text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
            let length = text.get(start..).and_then(|t| t.lines().next()).map_or(0, str::len);
            let at = |byte: usize| u32::try_from(byte).unwrap_or(0);
            Span { file, start: at(start), end: at(start + length) }
        }
        (None, None) => Span { file, start: 0, end: 0 },
    };
    let written = text.get(span.start as usize..span.end as usize).unwrap_or("").trim();
    match error.kind() {
        ErrorKind::UndefinedError => {
            let name: String = written
                .chars()
                .skip_while(|c| !c.is_alphabetic())
                .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
                .collect();
            let name = if name.is_empty() { written.to_owned() } else { name };
            let known: Vec<&str> = values
                .as_object()
                .map(|map| map.keys().map(String::as_str).collect())
                .unwrap_or_default();
            let first = name.split('.').next().unwrap_or_default();
            let near = crate::decode::nearest(first, known)
                .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            // The pages of a web server are templates as well, worked out for each visitor.
            if matches!(first, "site" | "host" | "path" | "client" | "server" | "variables") {
                return Problem::error(
                    "vars::undefined",
                    span,
                    format!("the variable `{name}` has no value"),
                )
                .help("in a web page: `{% raw %}` before and `{% endraw %}` after keep the braces for the web server");
            }
            Problem::error("vars::undefined", span, format!("the variable `{name}` has no value"))
                .help(format!("{near}give it under `vars:` or with `--set {name}=…`"))
        }
        ErrorKind::OutOfFuel => too_much(file),
        kind => {
            let detail = error.detail().map_or_else(|| kind.to_string(), str::to_owned);
            Problem::error("vars::template", span, format!("this template cannot be worked out: {detail}"))
                .help("blocks are `{% for x in list %} … {% endfor %}` and `{% if … %} … {% endif %}`; `{% raw %}` keeps braces as they are")
        }
    }
}

/// Puts marks in: before plain text `OPEN start CLOSE`, before an expression
/// `OPEN start,length CLOSE`. Also where bytes were put in: place in the result and how many.
fn mark(text: &str) -> (String, Vec<(usize, usize)>) {
    let mut marked = String::with_capacity(text.len() * 2);
    let mut inserts = Vec::new();
    let mut put = |marked: &mut String, what: String| {
        inserts.push((marked.len(), what.len()));
        marked.push_str(&what);
    };
    let mut at = 0;
    // What the last tag takes of the blanks after it.
    let (mut takes_all, mut takes_newline) = (false, false);
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let next = next_tag(rest);
        let plain = rest.get(..next.unwrap_or(rest.len())).unwrap_or_default();
        let skip = if takes_all {
            plain.len() - plain.trim_start().len()
        } else if takes_newline {
            ["\r\n", "\n"].iter().find(|end| plain.starts_with(**end)).map_or(0, |end| end.len())
        } else {
            0
        };
        let (blank, shown) = plain.split_at(skip);
        marked.push_str(blank);
        if !shown.trim().is_empty() {
            put(&mut marked, format!("{OPEN}{}{CLOSE}", at + skip));
        }
        marked.push_str(shown);
        let Some(next) = next else { break };
        let start = at + next;
        let tag = text.get(start..).unwrap_or_default();
        let close = match tag.get(..2) {
            Some("{{") => "}}",
            Some("{%") => "%}",
            _ => "#}",
        };
        let length = end_of_tag(tag, close);
        if close == "}}" && !tag.starts_with("{{-") {
            put(&mut marked, format!("{OPEN}{start},{length}{CLOSE}"));
        }
        let whole = tag.get(..length).unwrap_or(tag);
        marked.push_str(whole);
        takes_all = whole.ends_with(&format!("-{close}"));
        takes_newline = close != "}}" && !whole.ends_with(&format!("+{close}"));
        at = start + length;
        if is_raw(whole) {
            // What stands up to `endraw` is plain, whatever braces it has.
            let rest = text.get(at..).unwrap_or_default();
            let kept = rest.get(..end_of_raw(rest)).unwrap_or_default();
            let skip = ["\r\n", "\n"].iter().find(|end| kept.starts_with(**end));
            let skip = skip.map_or(0, |end| end.len());
            let (blank, shown) = kept.split_at(skip);
            marked.push_str(blank);
            put(&mut marked, format!("{OPEN}{}{CLOSE}", at + skip));
            marked.push_str(shown);
            at += kept.len();
            (takes_all, takes_newline) = (false, false);
        }
        if length == 0 {
            break;
        }
    }
    (marked, inserts)
}

/// Where the next tag begins.
fn next_tag(text: &str) -> Option<usize> {
    text.as_bytes().windows(2).position(|two| matches!(two, b"{{" | b"{%" | b"{#"))
}

/// Whether a tag is `{% raw %}`.
fn is_raw(tag: &str) -> bool {
    let inner = tag.strip_prefix("{%").and_then(|tag| tag.strip_suffix("%}"));
    inner.is_some_and(|inner| inner.trim_matches(['-', '+', ' ']) == "raw")
}

/// Where `{% endraw %}` begins; the whole text where there is none.
fn end_of_raw(text: &str) -> usize {
    let is_end = |at: &usize| {
        let inner = text.get(at + 2..).unwrap_or_default();
        inner.trim_start_matches(['-', '+', ' ']).starts_with("endraw")
    };
    text.match_indices("{%").map(|(at, _)| at).find(is_end).unwrap_or(text.len())
}

/// A tag that begins and does not end: where, and how it begins.
fn unclosed(text: &str) -> Option<(usize, &str)> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let next = next_tag(rest)?;
        let tag = rest.get(next..)?;
        let (open, close) = match tag.get(..2)? {
            "{{" => ("{{", "}}"),
            "{%" => ("{%", "%}"),
            _ => ("{#", "#}"),
        };
        let length = end_of_tag(tag, close);
        let whole = tag.get(..length)?;
        if is_raw(whole) {
            at += next + length + end_of_raw(tag.get(length..)?);
            continue;
        }
        if !whole.ends_with(close) || length < 4 {
            return Some((at + next, open));
        }
        at += next + length;
    }
}

/// Bytes of a tag, its end included; quotes inside of it may hold the end.
fn end_of_tag(tag: &str, close: &str) -> usize {
    let bytes = tag.as_bytes();
    let (mut at, mut quote) = (2, None);
    while at < bytes.len() {
        let byte = bytes[at];
        match quote {
            Some(_) if byte == b'\\' => at += 1,
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if close != "#}" && (byte == b'"' || byte == b'\'') => quote = Some(byte),
            None if bytes[at..].starts_with(close.as_bytes()) => return at + 2,
            None => {}
        }
        at += 1;
    }
    tag.len()
}

fn unmark(result: &str) -> Expanded {
    let mut text = String::with_capacity(result.len());
    let mut pieces = Vec::new();
    let mut rest = result;
    while let Some(open) = rest.find(OPEN) {
        let (plain, mark) = rest.split_at(open);
        text.push_str(plain);
        let Some(close) = mark.find(CLOSE) else { break };
        let inner = mark.get(OPEN.len_utf8()..close).unwrap_or_default();
        let (start, length) = inner.split_once(',').unwrap_or((inner, "0"));
        if let (Ok(start), Ok(length), Ok(here)) =
            (start.parse(), length.parse(), u32::try_from(text.len()))
        {
            pieces.push((here, start, length));
        }
        rest = mark.get(close + CLOSE.len_utf8()..).unwrap_or_default();
    }
    text.push_str(rest);
    Expanded { text, pieces }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    fn sources(text: &str, set: &[(&str, &str)]) -> Result<Sources, Problem> {
        let set: Vars = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut problems = Vec::new();
        let values = values(text, 0, &Json::Null, &set, &mut problems);
        assert_eq!(problems, []);
        let mut sources = Sources::one("lab.yaml", text);
        sources.files[0].expanded = Some(expand(text, 0, &values)?);
        Ok(sources)
    }

    #[test]
    fn loops_and_values_are_worked_out_and_lead_back() {
        let text = "vars:\n  n: 2\nnodes:\n{% for i in range(n) %}\n  pc{{ i }}: { a: 10.0.0.{{ i + 1 }} }\n{% endfor %}\nend: x\n";
        let sources = sources(text, &[("n", "3")]).unwrap();
        let made = &sources.files[0].expanded.as_ref().unwrap().text;
        assert!(made.ends_with("nodes:\n  pc0: { a: 10.0.0.1 }\n  pc1: { a: 10.0.0.2 }\n  pc2: { a: 10.0.0.3 }\nend: x\n"), "{made}");
        for (needle, original) in [
            ("pc2", "pc{{ i }}"),
            ("end", "end"),
            ("10.0.0.3", "10.0.0.{{ i + 1 }}"),
            ("nodes", "nodes"),
        ] {
            let start = u32::try_from(made.find(needle).unwrap()).unwrap();
            let end = start + u32::try_from(needle.len()).unwrap();
            let back = sources.original(Span { file: 0, start, end });
            assert_eq!(&text[back.start as usize..back.end as usize], original, "{needle}");
        }
    }

    #[test]
    fn what_has_no_value_is_an_error_at_its_place() {
        let text = "name: a\ntitle: é {{ studnt.id }}\n";
        let problem = sources(text, &[("student.id", "7")]).unwrap_err();
        assert_eq!(problem.code, "vars::undefined");
        assert!(problem.message.contains("studnt"), "{}", problem.message);
        assert!(text[problem.span.start as usize..].starts_with("studnt"), "{problem:?}");
        assert!(problem.help.contains("student"), "{}", problem.help);
        let made = sources(
            "a: {{ student.id }} {{ list[1] }}",
            &[("student.id", "007"), ("list", "[1, 2]")],
        )
        .unwrap();
        assert_eq!(made.files[0].expanded.as_ref().unwrap().text, "a: 007 2");
    }

    #[test]
    fn a_students_choices_are_the_students_own_and_stay() {
        let text = "name: a\nx: {{ pick([1, 2, 3, 4, 5, 6, 7, 8, 9]) }} {{ password(12) }} {{ number(10, 10000) }} {{ shuffle([1, 2, 3, 4])|length }}\n";
        let made = |seed: &str| {
            sources(text, &[("student.seed", seed)]).unwrap().files[0]
                .expanded
                .as_ref()
                .unwrap()
                .text
                .clone()
        };
        assert_eq!(made("17"), made("17"));
        assert_ne!(made("17"), made("18"));
        let words: Vec<String> = made("17").split_whitespace().map(str::to_owned).collect();
        assert_eq!((words[4].len(), words[6].as_str()), (12, "4"));
        assert!((10..=10_000).contains(&words[5].parse::<i64>().unwrap()));
        assert_eq!(sources("a: {{ number(3, 1) }}", &[]).unwrap_err().code, "vars::template");
    }

    #[test]
    fn broken_and_endless_templates_are_refused() {
        let code = |text: &str| sources(text, &[]).unwrap_err().code;
        assert_eq!(code("a: {{ x"), "vars::template");
        let unclosed =
            sources("a: {{ 1 }} {% raw %}{{{% endraw %}\nb: {{ x\nc: 1\n", &[]).unwrap_err();
        assert_eq!((unclosed.span.start, unclosed.code), (38, "vars::template"), "{unclosed:?}");
        assert_eq!(code("{% for i in range(3) %}"), "vars::template");
        assert_eq!(
            code(
                "{% for i in range(9999) %}{% for j in range(9999) %}xxxxxxxx{% endfor %}{% endfor %}"
            ),
            "vars::too-much"
        );
        assert_eq!(
            sources("a: {% raw %}{{ x }}{% endraw %}", &[]).unwrap().files[0]
                .expanded
                .as_ref()
                .unwrap()
                .text,
            "a: {{ x }}"
        );
    }
}
