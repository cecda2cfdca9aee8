//! The files a lab was read from, and the way back from the text that was parsed (templates
//! worked out) to the text that the author wrote.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Problem, Related, Report, Severity, Span};

/// One file.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Its name as it was given.
    pub name: String,
    /// What the author wrote.
    pub text: String,
    /// What was parsed, where a template made it from `text`.
    pub expanded: Option<Expanded>,
    /// Where the lines of `text` begin, once somebody asked.
    starts: std::sync::OnceLock<Vec<usize>>,
}

impl Source {
    /// A file that was not read yet.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Where its lines begin; asked for once its text is there.
    fn starts(&self) -> &[usize] {
        self.starts.get_or_init(|| line_starts(&self.text))
    }
}

/// A text made from a template, with the way back.
#[derive(Clone, Debug, Default)]
pub struct Expanded {
    /// The text.
    pub text: String,
    /// Pieces of it in order: `(start in text, start in source, length in source)`. A length of 0
    /// is a piece copied byte by byte, another one the expression that made the piece.
    pub pieces: Vec<(u32, u32, u32)>,
}

impl Expanded {
    /// The author's bytes for a byte of the text: first and, for an expression, its end.
    fn back(&self, byte: u32) -> (u32, Option<u32>) {
        let at = self.pieces.partition_point(|(start, _, _)| *start <= byte);
        match at.checked_sub(1).and_then(|at| self.pieces.get(at)) {
            Some((_, source, length)) if *length > 0 => (*source, Some(source + length)),
            Some((start, source, _)) => (source + (byte - start), None),
            None => (byte, None),
        }
    }
}

/// The most problems of one report.
const MAX_TOLD: usize = 200;

/// All files of a lab.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The first is the one that was named.
    pub files: Vec<Source>,
}

impl Sources {
    /// A single file without templates.
    pub fn one(name: &str, text: &str) -> Self {
        let source = Source { text: text.to_owned(), ..Source::named(name) };
        Self { files: vec![source] }
    }

    /// A span in what the author wrote.
    pub fn original(&self, span: Span) -> Span {
        let Some(Source { text, expanded, .. }) = self.files.get(span.file as usize) else {
            return Span::default();
        };
        let (start, end) = match expanded {
            None => (span.start, span.end),
            Some(expanded) => {
                let (start, whole) = expanded.back(span.start);
                let end = match whole {
                    Some(end) => end,
                    None if span.end > span.start => {
                        let (last, end) = expanded.back(span.end - 1);
                        end.unwrap_or(last + 1)
                    }
                    None => start,
                };
                (start, end.max(start))
            }
        };
        let limit = u32::try_from(text.len()).unwrap_or(u32::MAX);
        Span { file: span.file, start: start.min(limit), end: end.min(limit) }
    }

    /// The text of a file as it was parsed.
    pub fn parsed(&self, file: u32) -> &str {
        self.files.get(file as usize).map_or("", |source| {
            source.expanded.as_ref().map_or(source.text.as_str(), |expanded| expanded.text.as_str())
        })
    }

    /// The line that the author wrote a span on, from 1.
    pub fn line(&self, span: Span) -> usize {
        let span = self.original(span);
        self.files.get(span.file as usize).map_or(0, |file| {
            file.starts().partition_point(|start| *start <= span.start as usize).max(1)
        })
    }

    /// The report of problems, in the order of the files.
    pub fn report(&self, mut problems: Vec<Problem>) -> Report {
        for problem in &mut problems {
            problem.span = self.original(problem.span);
            for (span, _) in &mut problem.related {
                *span = self.original(*span);
            }
        }
        problems.sort_by(|a, b| {
            let key = |p: &Problem| (p.span.file, p.span.start, p.severity == Severity::Warning);
            key(a).cmp(&key(b)).then(a.code.cmp(b.code)).then(a.message.cmp(&b.message))
        });
        // A loop in a template repeats a mistake: one is enough.
        problems.dedup_by(|a, b| a.code == b.code && a.span == b.span && a.message == b.message);
        if let Some(dropped) = problems.get(MAX_TOLD..).filter(|dropped| !dropped.is_empty()) {
            let severity = dropped.iter().map(|p| p.severity).max().unwrap_or(Severity::Warning);
            let span = dropped[0].span;
            let message = format!("{} more problems are not shown", dropped.len());
            problems.truncate(MAX_TOLD);
            problems.push(Problem {
                severity,
                ..Problem::error("yaml::more", span, message).help("mend the ones above first")
            });
        }
        let place = |span: Span, byte: u32| -> (usize, usize) {
            let file = span.file as usize;
            let Some(source) = self.files.get(file) else { return (1, 1) };
            let starts = source.starts();
            let byte = byte as usize;
            let line = starts.partition_point(|start| *start <= byte).max(1);
            let before = source.text.get(starts[line - 1]..byte).unwrap_or("");
            (line, before.chars().count() + 1)
        };
        let name = |span: Span| {
            self.files.get(span.file as usize).map_or_else(String::new, |file| file.name.clone())
        };
        let range =
            |span: Span| (span.start as usize, (span.end.max(span.start) - span.start) as usize);
        let diagnostics = problems
            .into_iter()
            .map(|problem| {
                let (line, column) = place(problem.span, problem.span.start);
                let (end_line, end_column) = place(problem.span, problem.span.end);
                Diagnostic {
                    code: problem.code.to_owned(),
                    severity: problem.severity,
                    message: problem.message,
                    help: (!problem.help.is_empty()).then_some(problem.help),
                    file: name(problem.span),
                    line,
                    column,
                    end_line,
                    end_column,
                    span: range(problem.span),
                    related: problem
                        .related
                        .into_iter()
                        .map(|(span, label)| {
                            let (line, column) = place(span, span.start);
                            Related { label, file: name(span), line, column, span: range(span) }
                        })
                        .collect(),
                }
            })
            .collect();
        let files = self.files.iter().map(|file| (file.name.clone(), file.text.clone())).collect();
        Report { diagnostics, sources: Arc::new(files) }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0)
        .chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_go_back_through_a_template() {
        let mut sources = Sources::one("lab.yaml", "é: {{ x }} y\nb");
        sources.files[0].expanded = Some(Expanded {
            text: "é: hello y\nb".into(),
            pieces: vec![(0, 0, 0), (4, 4, 7), (9, 11, 0)],
        });
        let at = |start, end| Problem::error("a::b", Span { file: 0, start, end }, "m");
        let report = sources.report(vec![at(4, 9), at(10, 11)]);
        assert_eq!((report.diagnostics[0].column, report.diagnostics[0].end_column), (4, 11));
        assert_eq!(report.diagnostics[1].column, 12);
        assert_eq!(report.diagnostics[1].line, 1);
        assert_eq!(sources.line(Span { file: 0, start: 12, end: 13 }), 2);
    }
}
