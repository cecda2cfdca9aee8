//! Reading a text of commands, as it stands in a lab file's `ios:` block.

use crate::apply;
use crate::commands::{self, Mode};
use crate::config::RouterConfig;
use crate::grammar::{Atom, Match, Mismatch, Token, tokens};
use crate::names::Names;

/// A line that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Problem {
    /// Its line, from 1.
    pub line: usize,
    /// The first character that is wrong, from 1.
    pub column: usize,
    /// What is wrong, a sentence.
    pub message: String,
    /// The nearest command there is.
    pub nearest: Option<String>,
}

/// Reads commands; interfaces keep the names they are typed with.
///
/// # Errors
/// Every line that is not understood.
pub fn parse(text: &str) -> Result<RouterConfig, Vec<Problem>> {
    parse_for(text, &[])
}

/// Reads commands for a router with these links, in the order of the lab file: the interface
/// `FastEthernet0/1` is then the second link's.
///
/// # Errors
/// Every line that is not understood.
pub fn parse_for(text: &str, links: &[&str]) -> Result<RouterConfig, Vec<Problem>> {
    let names = Names::new(links);
    let mut config = RouterConfig { hostname: "Router".into(), ..RouterConfig::default() };
    let mut mode = Mode::Global;
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        match config.apply_line(&mode, line, &names) {
            Ok(next) => mode = next,
            Err(Wrong { column, message, nearest }) => {
                problems.push(Problem { line: number + 1, column: column + 1, message, nearest });
            }
        }
    }
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

/// What is wrong with one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The first character that is wrong, from 0.
    pub column: usize,
    /// What is wrong, a sentence.
    pub message: String,
    /// The nearest command there is.
    pub nearest: Option<String>,
}

/// Cuts a prompt that was copied with its command: `R1(config)#ip route …`.
fn without_prompt(line: &str) -> (usize, &str) {
    let head = line.trim_start();
    if let Some((prompt, rest)) = head.split_once(['#', '>'])
        && !prompt.is_empty()
        && !prompt.contains(char::is_whitespace)
    {
        return (line.chars().count() - rest.chars().count(), rest);
    }
    (0, line)
}

impl RouterConfig {
    /// Carries out one configuration line in a mode and tells the mode after it. A line that fits
    /// only the global mode leaves the submode, as on a console; `no` negates; comments (`!`) and
    /// a prompt copied with the command are skipped.
    ///
    /// # Errors
    /// Where the line is not understood; nothing is changed then.
    pub fn apply_line(&mut self, mode: &Mode, line: &str, names: &Names) -> Result<Mode, Wrong> {
        let (shift, line) = without_prompt(line);
        let words = tokens(line);
        let Some(first) = words.first() else { return Ok(mode.clone()) };
        if first.text.starts_with('!') {
            return Ok(mode.clone());
        }
        if words.len() == 1 {
            let up = match mode {
                Mode::Key(chain, _) => Mode::KeyChain(chain.clone()),
                _ => Mode::Global,
            };
            match first.text.to_ascii_lowercase().as_str() {
                "exit" => return Ok(up),
                "end" | "enable" | "en" => return Ok(Mode::Global),
                _ => {}
            }
        }
        // What opens the mode on a console is harmless in a file, and so is what saves it.
        let lower: Vec<String> = words.iter().map(|w| w.text.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        match lower[..] {
            [conf, "t" | "terminal"] if conf.len() >= 4 && "configure".starts_with(conf) => {
                return Ok(Mode::Global);
            }
            ["write"]
            | ["wr"]
            | ["write", "memory"]
            | ["copy", "running-config", "startup-config"] => {
                return Ok(mode.clone());
            }
            _ => {}
        }
        let (negated, body) = match lower[0] {
            "no" => (true, &words[1..]),
            "default" => (true, &words[1..]),
            _ => (false, &words[..]),
        };
        if body.is_empty() {
            let column = shift + line.trim_end().chars().count();
            return Err(Wrong {
                column,
                message: "the command after `no` is missing".into(),
                nearest: None,
            });
        }
        let mut found = None;
        let mut here = mode.clone();
        let mut mismatch = None;
        for candidate in [mode.clone(), Mode::Global] {
            match matched(&candidate, negated, body, names) {
                Ok(matching) => {
                    found = Some(matching);
                    here = candidate;
                    break;
                }
                Err(why) => {
                    let deeper = mismatch.as_ref().is_none_or(|old| depth(&why) > depth(old));
                    if deeper {
                        mismatch = Some(why);
                        here = candidate;
                    }
                }
            }
        }
        let Some(matching) = found else {
            let why = mismatch.unwrap_or(Mismatch::Incomplete(Vec::new()));
            return Err(explain(&why, &here, negated, line, body, names, shift));
        };
        let mut trial = self.clone();
        let next = apply::apply(&mut trial, &here, negated, &matching.words, names)
            .map_err(|message| Wrong { column: shift + first.start, message, nearest: None })?;
        *self = trial;
        Ok(next.unwrap_or(here))
    }
}

fn matched(mode: &Mode, negated: bool, words: &[Token], names: &Names) -> Result<Match, Mismatch> {
    let grammar = commands::of(mode);
    let automaton = if negated { &grammar.negated } else { &grammar.plain };
    automaton.matched(words, names)
}

/// How many words were understood.
fn depth(mismatch: &Mismatch) -> usize {
    match mismatch {
        Mismatch::Invalid(at, _) | Mismatch::Ambiguous(at, _) => *at,
        Mismatch::Incomplete(_) => usize::MAX,
    }
}

fn explain(
    why: &Mismatch,
    mode: &Mode,
    negated: bool,
    line: &str,
    words: &[Token],
    names: &Names,
    shift: usize,
) -> Wrong {
    let so_far = |at: usize| {
        let typed: Vec<&str> = words[..at].iter().map(|word| word.text.as_str()).collect();
        let no = if negated { "no " } else { "" };
        format!("{no}{}{}", typed.join(" "), if at > 0 { " " } else { "" })
    };
    match why {
        Mismatch::Incomplete(atoms) => {
            let missing: Vec<String> = unique(atoms.iter().map(Atom::shown));
            Wrong {
                column: shift + line.trim_end().chars().count(),
                message: format!("the command ends too early: {} is missing", missing.join(" or ")),
                nearest: missing.first().map(|first| format!("{}{first}", so_far(words.len()))),
            }
        }
        Mismatch::Ambiguous(at, keywords) => Wrong {
            column: shift + words[*at].start,
            message: format!(
                "`{}` may be {}: write more of it",
                words[*at].text,
                keywords.join(" or ")
            ),
            nearest: keywords.first().map(|first| format!("{}{first}", so_far(*at))),
        },
        Mismatch::Invalid(at, atoms) => {
            let token = &words[*at];
            // The line may be right, only in another place.
            let homes: Vec<&str> = Mode::every()
                .iter()
                .filter(|other| *at == 0 && matched(other, negated, words, names).is_ok())
                .map(Mode::opener)
                .collect();
            if let Some(first) = homes.first() {
                return Wrong {
                    column: shift + token.start,
                    message: format!("`{}` belongs under `{}`", token.text, homes.join("` or `")),
                    nearest: Some((*first).to_owned()),
                };
            }
            let interface = atoms.contains(&Atom::Interface) && !names.links().is_empty();
            if interface && let Err(message) = names.resolve(&token.text) {
                return Wrong { column: shift + token.start, message, nearest: None };
            }
            let nearest =
                nearest_keyword(&token.text, atoms).or_else(|| atoms.first().map(Atom::shown));
            let expected: Vec<String> = unique(atoms.iter().map(Atom::shown));
            let message = match expected.as_slice() {
                _ if *at == 0 => {
                    format!("`{}` is not a command here ({})", token.text, place(mode))
                }
                [] => format!("`{}` is one word too many", token.text),
                few if few.len() <= 6 => {
                    format!("`{}` does not fit: {} is expected", token.text, few.join(" or "))
                }
                _ => format!("`{}` does not fit here", token.text),
            };
            Wrong {
                column: shift + token.start,
                message,
                nearest: nearest.map(|nearest| format!("{}{nearest}", so_far(*at))),
            }
        }
    }
}

fn place(mode: &Mode) -> String {
    match mode {
        Mode::Global => "global configuration".into(),
        other => format!("under `{}`", other.opener()),
    }
}

fn unique(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for item in items {
        if !all.contains(&item) {
            all.push(item);
        }
    }
    all
}

/// The keyword that is most like a word, where one is like it at all.
pub(crate) fn nearest_keyword(word: &str, atoms: &[Atom]) -> Option<String> {
    let word = word.to_ascii_lowercase();
    let likeness = |atom: &Atom| match atom {
        Atom::Keyword(keyword) => {
            Some((strsim::jaro_winkler(&word, &keyword.to_ascii_lowercase()), *keyword))
        }
        _ => None,
    };
    let best = atoms.iter().filter_map(likeness).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.72).then(|| best.1.to_owned())
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
