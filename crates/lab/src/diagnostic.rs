//! What is wrong with a lab file, and where.

use std::fmt::{self, Display, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A range of bytes in one of the files that a lab was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Which file; 0 is the one that was named.
    pub file: u32,
    /// Its first byte.
    pub start: u32,
    /// The byte after its last.
    pub end: u32,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The lab can be started.
    Warning,
    /// The lab cannot be started.
    Error,
}

/// A problem as the code that finds it knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Stable, documented in `docs/diagnostics.md`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in the words of the field.
    pub message: String,
    /// What to do; empty where nothing can be said.
    pub help: String,
    /// Where.
    pub span: Span,
    /// Other places that belong to it, with a word each.
    pub related: Vec<(Span, String)>,
}

impl Problem {
    /// An error.
    pub fn error(code: &'static str, span: Span, message: impl Display) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.to_string(),
            help: String::new(),
            span,
            related: Vec::new(),
        }
    }

    /// A warning.
    pub fn warning(code: &'static str, span: Span, message: impl Display) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// The same with a line of help.
    #[must_use]
    pub fn help(mut self, help: impl Display) -> Self {
        self.help = help.to_string();
        self
    }

    /// The same with another place.
    #[must_use]
    pub fn and(mut self, span: Span, label: impl Display) -> Self {
        self.related.push((span, label.to_string()));
        self
    }
}

/// One problem of a lab file, with its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Stable, documented in `docs/diagnostics.md`: `net::duplicate-address`, ….
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// The line where it ends.
    pub end_line: usize,
    /// The column after its end.
    pub end_column: usize,
    /// First byte and length.
    pub span: (usize, usize),
    /// Other places that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
}

/// Another place that belongs to a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// What is there.
    pub label: String,
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// First byte and length.
    pub span: (usize, usize),
}

/// Everything that is wrong with a lab file, found in one run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// In the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The files, for snippets: name and text.
    #[serde(skip)]
    pub sources: Arc<Vec<(String, String)>>,
}

impl Report {
    /// Whether the lab cannot be started.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }

    /// How many errors and how many warnings.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
        (errors, self.diagnostics.len() - errors)
    }

    /// As a JSON array of [`Diagnostic`].
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.diagnostics).unwrap_or_default()
    }

    /// For a terminal: snippets, reasons, help. `colour` uses ANSI colours and box drawing.
    pub fn render(&self, colour: bool, width: usize) -> String {
        use miette::{GraphicalReportHandler, GraphicalTheme};
        let theme =
            if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(width.max(40))
            .with_context_lines(1)
            .with_links(false);
        let mut out = String::new();
        let sources: Vec<_> =
            self.sources.iter().map(|(name, text)| (name.clone(), harmless(text))).collect();
        for diagnostic in &self.diagnostics {
            let shown = Shown { diagnostic, sources: &sources };
            if miette::Diagnostic::source_code(&shown).is_none() {
                let _ = writeln!(out, "{diagnostic}");
                continue;
            }
            if handler.render_report(&mut out, &shown).is_err() {
                let _ = writeln!(out, "{diagnostic}");
            }
        }
        out
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

impl Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.severity == Severity::Error { "error" } else { "warning" };
        let Self { file, line, column, code, .. } = self;
        write!(f, "{file}:{line}:{column}: {word}[{code}]: {}", harmless(&self.message))?;
        if let Some(help) = &self.help {
            write!(f, "; {}", harmless(help))?;
        }
        Ok(())
    }
}

/// A text of a stranger for a terminal: no control characters and nothing that turns the order of
/// letters around. As many bytes as before, so that places stay.
fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            '\r' => ' ',
            c if c.is_control() => match c.len_utf8() {
                1 => '?',
                _ => '¿',
            },
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// The longest line that is shown, in bytes.
const WIDEST: usize = 600;

/// Whether the lines of a range and the ones around it can be shown.
fn is_short(text: &str, start: usize, length: usize) -> bool {
    let bytes = text.as_bytes();
    let (start, end) = (start.min(bytes.len()), (start + length).min(bytes.len()));
    end - start <= WIDEST
        && short_lines(bytes[..start].iter().rev())
        && short_lines(bytes[end..].iter())
}

/// Whether the next two lines are short.
fn short_lines<'a>(bytes: impl Iterator<Item = &'a u8>) -> bool {
    let (mut run, mut lines) = (0, 0);
    for byte in bytes {
        run += 1;
        if *byte == b'\n' {
            (run, lines) = (0, lines + 1);
        }
        if lines > 2 {
            return true;
        }
        if run > WIDEST {
            return false;
        }
    }
    true
}

/// A diagnostic with its source, as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    sources: &'a [(String, String)],
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&harmless(&self.diagnostic.message))
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::SourceCode for Shown<'_> {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let source = self
            .sources
            .iter()
            .find(|(name, _)| *name == self.diagnostic.file)
            .ok_or(miette::MietteError::OutOfBounds)?;
        let contents = source.1.read_span(span, before, after)?;
        Ok(Box::new(miette::MietteSpanContents::new_named(
            source.0.clone(),
            contents.data(),
            *contents.span(),
            contents.line(),
            contents.column(),
            contents.line_count(),
        )))
    }
}

impl miette::Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(&self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.diagnostic.help.as_ref().map(|help| Box::new(harmless(help)) as Box<dyn Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        let (_, text) = self.sources.iter().find(|(name, _)| *name == self.diagnostic.file)?;
        let spans = self.diagnostic.related.iter().map(|related| related.span);
        let mut spans = spans.chain([self.diagnostic.span]);
        // A line of a megabyte helps nobody, and is more than can be drawn.
        spans.all(|(start, length)| is_short(text, start, length)).then_some(self as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        let Diagnostic { span: (start, length), file, related, .. } = self.diagnostic;
        let here =
            miette::LabeledSpan::new_primary_with_span(Some("here".to_owned()), (*start, *length));
        let others = related
            .iter()
            .filter(move |r| r.file == *file)
            .map(|r| miette::LabeledSpan::new(Some(r.label.clone()), r.span.0, r.span.1));
        Some(Box::new(std::iter::once(here).chain(others)))
    }
}
