//! `labctl shell NODE` and `labctl console ROUTER`: prompts in a node.

use std::io::IsTerminal;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Context as LineContext, Editor, Helper, Highlighter, Hinter, Validator};

use crate::context::{Context, Running};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::verbs::exec::interact;

/// Completes the first word by the node's commands, and the word after `help`.
#[derive(Helper, Highlighter, Hinter, Validator)]
struct Commands(Vec<String>);

impl Completer for Commands {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &LineContext<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = &line[..at];
        let start = if typed.starts_with("help ") { "help ".len() } else { 0 };
        let typed = &typed[start..];
        if typed.contains(' ') {
            return Ok((at, Vec::new()));
        }
        let fits = self.0.iter().filter(|name| name.starts_with(typed));
        Ok((
            start,
            fits.map(|name| Pair { display: name.clone(), replacement: format!("{name} ") })
                .collect(),
        ))
    }
}

/// Runs `labctl shell`.
pub async fn run(context: &Context, node: &str) -> Outcome {
    let running = context.running().await?;
    // A node that does not exist is refused before a prompt is shown.
    running.engine.control(&running.name, node).await?;
    let tty = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if tty {
        output::tell(&format!(
            "You are on {node} of {}. `help` lists its commands, `exit` leaves.",
            running.name
        ));
    }
    let history = history(&running, node);
    let names: Vec<String> = tools::NAMES.iter().map(|name| (*name).to_owned()).collect();
    let mut editor = Editor::<Commands, FileHistory>::new().map_err(broken)?;
    editor.set_helper(Some(Commands(names)));
    if let Some(path) = &history {
        let _ = editor.load_history(path);
    }
    let prompt = if tty { format!("{node}> ") } else { String::new() };
    let mut last = 0;
    loop {
        // The terminal is read on a thread of its own, the editor travels there and back.
        let asked = prompt.clone();
        let (back, line) = tokio::task::spawn_blocking(move || {
            let line = editor.readline(&asked);
            (editor, line)
        })
        .await
        .map_err(|error| Failure::new(crate::failure::ENGINE, error.to_string()))?;
        editor = back;
        let line = match line {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(broken(error)),
        };
        let words = match split(&line) {
            Ok(words) => words,
            Err(problem) => {
                output::complain(problem);
                continue;
            }
        };
        match words.first().map(String::as_str) {
            None => continue,
            Some("exit" | "quit" | "logout") => break,
            Some(_) => {}
        }
        let _ = editor.add_history_entry(&line);
        if let Some(path) = &history {
            let _ = editor.append_history(path);
        }
        last = match interact(&running, node, words, tty).await {
            Ok(code) => code,
            Err(failure) => failure.show(),
        };
    }
    Ok(last)
}

/// Runs `labctl console`: the router's own console program.
pub async fn console(context: &Context, node: &str) -> Outcome {
    let running = context.running().await?;
    let tty = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    interact(&running, node, vec!["console".into()], tty).await
}

fn broken(error: ReadlineError) -> Failure {
    Failure::new(crate::failure::ENGINE, format!("the prompt does not work here: {error}"))
}

fn history(running: &Running, node: &str) -> Option<std::path::PathBuf> {
    let folder = crate::state::folder()?.join("history").join(&running.name);
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join(node))
}

/// Splits a line into words as a shell does: blanks, quotes, backslashes; nothing is expanded.
fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some('\''), letter) => word.get_or_insert_default().push(letter),
            (_, '\\') => match letters.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err("a backslash at the end stands before nothing"),
            },
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_in_a_shell() {
        let words = split(r#"mail send a@b -s "two words" '' c\ d"#).unwrap();
        assert_eq!(words, ["mail", "send", "a@b", "-s", "two words", "", "c d"]);
        assert!(split("a 'b").is_err());
        assert!(split("a\\").is_err());
        assert!(split("   ").unwrap().is_empty());
    }
}
