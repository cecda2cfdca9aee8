//! What is wrong with a text that is no YAML, in plain words and at the line that is to blame: a
//! parser stumbles over the line after the mistake and says so in its own words.

use super::{MAX_DEPTH, MAX_NODES};
use crate::diagnostic::{Problem, Span};

/// One line of the text.
#[derive(Clone, Copy)]
struct Line<'a> {
    /// Its first byte.
    start: usize,
    /// The text without its end.
    text: &'a str,
}

impl<'a> Line<'a> {
    fn indent(self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    fn body(self) -> &'a str {
        self.text.trim()
    }

    fn is_blank(self) -> bool {
        self.body().is_empty() || self.body().starts_with('#')
    }

    /// The line without its blanks at both ends.
    fn span(self, file: u32) -> Span {
        let start = self.start + self.indent();
        at(file, start, start + self.body().len())
    }
}

fn at(file: u32, start: usize, end: usize) -> Span {
    let byte = |byte: usize| u32::try_from(byte).unwrap_or(u32::MAX);
    Span { file, start: byte(start), end: byte(end) }
}

/// A problem from the parser's message and place.
pub(super) fn explain(message: &str, place: Span, text: &str) -> Problem {
    let lower = message.to_lowercase();
    let told = |span: Span, what: &str, help: &str| {
        Problem::error("yaml::syntax", span, format!("this is not YAML: {what}")).help(help)
    };
    if lower.contains("documents") && lower.contains("budget") {
        return told(
            place,
            "a second document begins here",
            "a file holds one lab: leave the line `---` out, or make two files",
        );
    }
    if lower.contains("budget") || lower.contains("alias") && lower.contains("limit") {
        return Problem::error("yaml::too-much", place, "the file holds more than a lab file may")
            .help(format!(
                "at most {MAX_NODES} values, {MAX_DEPTH} levels; aliases count each time"
            ));
    }
    let lines = Lines::new(text, place);
    let found = lines.blanks().or_else(|| {
        if lower.contains("unclosed quote")
            || lower.contains("end of stream") && lower.contains("scalar")
        {
            return Some((
                place,
                "the quote that begins here is not closed".to_owned(),
                "close it with the same quote".to_owned(),
            ));
        }
        if lower.contains("trailing content after") {
            let help = if lower.contains("single") {
                "inside of single quotes a quote is written twice (`'it''s'`); or use double quotes"
            } else {
                "inside of double quotes a quote is written `\\\"`; or use single quotes"
            };
            return Some((
                place,
                "the text in quotes ends before this place, and more follows".to_owned(),
                help.to_owned(),
            ));
        }
        if lower.contains("unexpected character") || lower.contains("cannot start any token") {
            let first = lines.rest().chars().next().unwrap_or(' ');
            return Some((
                place,
                format!("a text cannot begin with `{first}`"),
                "put it in quotes".to_owned(),
            ));
        }
        if lower.contains("unknown anchor") {
            let word: String =
                lines.rest().chars().take_while(|c| !c.is_whitespace()).take(40).collect();
            let span = at(place.file, lines.byte, lines.byte + word.len());
            return Some((
                span,
                format!("`{word}` refers to an anchor that is not set before"),
                "a text that begins with `*` stands in quotes".to_owned(),
            ));
        }
        if lower.contains("expected ',' or") || lower.contains("flow") {
            return lines.bracket(place.file);
        }
        if lower.contains("mapping values are not allowed") {
            return lines.colon(place.file);
        }
        if lower.contains("expected key")
            || lower.contains("'-' indicator")
            || lower.contains("block")
        {
            return lines.indentation(place.file);
        }
        None
    });
    match found {
        Some((span, what, help)) => told(span, &what, &help),
        None => told(
            place,
            message,
            "look at the indentation and at brackets and quotes around this place",
        ),
    }
}

/// What is to blame: where, what, and what to do.
type Found = Option<(Span, String, String)>;

/// The lines around the place where the parser stumbled.
struct Lines<'a> {
    all: Vec<Line<'a>>,
    /// Which of them.
    here: usize,
    /// Byte of the place.
    byte: usize,
    place: Span,
    text: &'a str,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str, place: Span) -> Self {
        let byte = (place.start as usize).min(text.len());
        let mut start = 0;
        let mut all = Vec::new();
        for line in text.split_inclusive('\n') {
            all.push(Line { start, text: line.trim_end_matches(['\n', '\r']) });
            start += line.len();
        }
        let here = all.partition_point(|line| line.start <= byte).saturating_sub(1);
        Self { all, here, byte, place, text }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.byte..).unwrap_or("")
    }

    fn current(&self) -> Option<Line<'a>> {
        self.all.get(self.here).copied()
    }

    /// The last line with something on it before this one.
    fn above(&self) -> Option<Line<'a>> {
        self.all.get(..self.here)?.iter().rev().copied().find(|line| !line.is_blank())
    }

    /// A line indented with what only looks like a blank.
    fn blanks(&self) -> Found {
        for line in [self.current(), self.above()].into_iter().flatten() {
            let (front, _) = line.text.split_at(line.indent());
            let Some((at_byte, odd)) = front.char_indices().find(|(_, c)| *c != ' ') else {
                continue;
            };
            let start = line.start + at_byte;
            let span = at(self.place.file, start, start + odd.len_utf8());
            return Some(if odd == '\t' {
                (
                    span,
                    "this line is indented with a tab".to_owned(),
                    "YAML indents with blanks, not with tabs".to_owned(),
                )
            } else {
                (
                    span,
                    format!(
                        "this line is indented with U+{:04X}, which only looks like a blank",
                        u32::from(odd)
                    ),
                    "it comes from copying a page: type plain blanks".to_owned(),
                )
            });
        }
        None
    }

    /// A bracket without its end, or a comma that is missing.
    fn bracket(&self, file: u32) -> Found {
        let mut open: Vec<(usize, char)> = Vec::new();
        let mut quote = None;
        let mut before = ' ';
        let mut comment = false;
        for (byte, c) in self.text.get(..self.byte)?.char_indices() {
            let starts = before.is_whitespace() || matches!(before, '[' | '{' | ',' | ':');
            match (quote, c) {
                (_, '\n') => comment = false,
                _ if comment => {}
                (Some(q), c) if c == q => quote = None,
                (Some(_), _) => {}
                (None, '#') if before.is_whitespace() => comment = true,
                (None, '"' | '\'') if starts => quote = Some(c),
                (None, '[' | '{') if starts || !open.is_empty() => open.push((byte, c)),
                (None, ']' | '}') => {
                    open.pop();
                }
                _ => {}
            }
            before = c;
        }
        let (start, bracket) = *open.last()?;
        let close = if bracket == '{' { '}' } else { ']' };
        let line = self.current()?;
        if start >= line.start {
            return Some((
                self.place,
                format!("a `,` or `{close}` is missing before this place"),
                "values in brackets are parted by commas; a text with `,`, `[`, `{` or `: ` in it stands in quotes"
                    .to_owned(),
            ));
        }
        Some((
            at(file, start, start + 1),
            format!("this `{bracket}` is not closed"),
            format!("add `{close}` where it ends"),
        ))
    }

    /// A colon where none may be: a text with a colon, or a mistake on the line above.
    fn colon(&self, file: u32) -> Found {
        let line = self.current()?;
        let body = line.body();
        if let Some(rest) = body.strip_prefix('-')
            && !rest.starts_with(' ')
            && !rest.is_empty()
        {
            return Some((
                line.span(file),
                "a blank is missing after the dash of this list item".to_owned(),
                format!("write `- {}`", rest.chars().take(40).collect::<String>()),
            ));
        }
        let before = self.text.get(line.start..self.byte).unwrap_or("");
        if let Some((name, value)) = before.trim_start().split_once(": ")
            && !value.is_empty()
        {
            let whole = body.split_once(": ").map_or(value, |(_, value)| value);
            return Some((
                self.place,
                "a second `: ` on the line".to_owned(),
                format!(
                    "put the text in quotes: `{name}: \"{}\"`",
                    whole.chars().take(60).collect::<String>()
                ),
            ));
        }
        let above = self.above()?;
        if let Some(found) = no_pair(above, file) {
            return Some(found);
        }
        if line.indent() > above.indent() {
            let name = above.body().split(':').next().unwrap_or_default();
            return Some((
                line.span(file),
                format!(
                    "this line is indented deeper than `{name}:` above it, which has its value already"
                ),
                format!("begin it in column {}", above.indent() + 1),
            ));
        }
        None
    }

    /// A line that begins where no other line of its block does.
    fn indentation(&self, file: u32) -> Found {
        let (line, above) = (self.current()?, self.above()?);
        if let Some(found) = no_pair(above, file) {
            return Some(found);
        }
        let item = |line: Line<'_>| line.body() == "-" || line.body().starts_with("- ");
        let sibling = self.all.get(..self.here)?.iter().rev().copied();
        let sibling = sibling.filter(|l| !l.is_blank()).find(|l| l.indent() <= line.indent());
        if let Some(sibling) = sibling.filter(|s| s.indent() == line.indent())
            && item(sibling) != item(line)
        {
            return Some(if item(line) {
                (
                    line.span(file),
                    "this list item (`- …`) stands among `name: value` lines".to_owned(),
                    "begin each item of a list with `- `, the first one as well".to_owned(),
                )
            } else {
                (
                    line.span(file),
                    "this line has no dash, and the items before it have one".to_owned(),
                    "either all begin with `- ` (a list), or none does (names with values)"
                        .to_owned(),
                )
            });
        }
        let mut near: Vec<Line<'_>> = vec![above];
        near.extend(sibling);
        let places: Vec<String> = near
            .iter()
            .filter(|other| other.indent() != line.indent())
            .map(|other| {
                let name = other.body().split(':').next().unwrap_or_default();
                format!(
                    "`{}` in column {}",
                    name.chars().take(30).collect::<String>(),
                    other.indent() + 1
                )
            })
            .collect();
        if places.is_empty() {
            return None;
        }
        let mut places = places;
        places.dedup();
        Some((
            line.span(file),
            format!(
                "this line begins in column {}, where nothing above it begins",
                line.indent() + 1
            ),
            format!(
                "above it begin {}: lines of one block begin in the same column",
                places.join(" and ")
            ),
        ))
    }
}

/// A line that should be `name: value` and is not.
fn no_pair(line: Line<'_>, file: u32) -> Found {
    let body = line.body();
    if body.contains(": ")
        || body.ends_with(':')
        || body.starts_with(['-', '{', '[', '}', ']', '"', '\''])
    {
        return None;
    }
    let (name, value) = body.split_once([':', ' ', '='])?;
    let (name, value) = (name.trim(), value.trim());
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || value.is_empty() || !name.chars().all(plain) {
        return None;
    }
    Some((
        line.span(file),
        format!("`{}` has no `: `", body.chars().take(40).collect::<String>()),
        format!("a colon and a blank stand between name and value: `{name}: {value}`"),
    ))
}

#[cfg(test)]
mod tests {
    use crate::yaml::parse;

    /// What is said, and the text it points to.
    fn told(text: &str) -> (String, String) {
        let problem = parse(text, 0).unwrap_err();
        let place = &text[problem.span.start as usize..problem.span.end as usize];
        (format!("{} / {}", problem.message, problem.help), place.to_owned())
    }

    #[test]
    fn the_line_to_blame_is_named_in_plain_words() {
        for (text, says, place) in [
            ("a:\n  b: 1\n   c: 2\n", "column 3", "c: 2"),
            ("a:\n    b: 1\n   c: 2\n", "`b` in column 5 and `a` in column 1", "c: 2"),
            ("a:\n\tb: 1\n", "tab", "\t"),
            ("a:\n  kind pc\n  c: 2\n", "`kind: pc`", "kind pc"),
            ("a:\n  kind:pc\n  c: 2\n", "`kind: pc`", "kind:pc"),
            ("title: Mail: lab six\n", "`title: \"Mail: lab six\"`", ""),
            ("a: { b: 1\nc: 2\nd: 3\n", "this `{` is not closed", "{"),
            ("a: { b: 1 c: 2 }\n", "`,` or `}` is missing", ""),
            ("a: \"b\nc: 1\n", "quote that begins here", ""),
            ("a: 'it's'\n", "written twice", ""),
            ("a: @b\n", "cannot begin with `@`", ""),
            ("a: *b\n", "`*b` refers to an anchor", "*b"),
            (
                "a:\n  -{ b: 1, c: 2 }\n  - { b: 2 }\n",
                "blank is missing after the dash",
                "-{ b: 1, c: 2 }",
            ),
            ("a:\n  b: 1\n  - c: 1\n", "among `name: value`", "- c: 1"),
            ("a:\n  - b: 1\n  c: 1\n", "has no dash", "c: 1"),
            ("a: 1\n---\nb: 1\n", "second document", "---"),
        ] {
            let (message, at) = told(text);
            assert!(message.contains(says), "{text}: {message}");
            assert!(place.is_empty() || at == place, "{text}: {at:?}, {message}");
        }
    }
}
