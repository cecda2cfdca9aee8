//! Templates in a lab file: `vars:`, `{{ … }}`, loops. Worked out before YAML is read, with the way
//! back from each byte of the result to the text that the author wrote.
//!
//! The way back comes from marks that are put into the text before it is rendered and taken out
//! afterwards: one before each piece of plain text and one before each expression.

mod choices;
mod marks;
mod values;

use serde_json::Value as Json;

use choices::choices;
use marks::{CLOSE, OPEN, mark, unclosed, unmark};
pub(crate) use values::values;

use crate::diagnostic::{Problem, Span};
use crate::source::Expanded;

/// The most that a template may make, in bytes.
const MAX_RESULT: usize = 2 << 20;
/// The most processor time; a lab of 1,000 nodes takes a tenth of it.
const MAX_TIME: std::time::Duration =
    std::time::Duration::from_millis(if cfg!(debug_assertions) { 3_000 } else { 150 });
/// The stack of a template's thread.
const STACK: usize = 8 << 20;
/// Whether the text has anything to work out.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
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

#[cfg(test)]
mod tests;
