//! `sh`: reads commands, one a line, and runs them. No pipes, no variables: enough to look around.

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal};
use std::process::{Command, ExitCode};

use crate::getopt::{fail, print};

pub fn main(args: Vec<OsString>) -> ExitCode {
    let words: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    match words.as_slice() {
        [option, line, ..] if option == "-c" => ExitCode::from(all(line)),
        [] => lines(),
        [option] if matches!(option.as_str(), "-i" | "-l" | "-") => lines(),
        [file, ..] => match std::fs::read_to_string(file) {
            Ok(text) => ExitCode::from(text.lines().fold(0, |_, line| all(line))),
            Err(error) => fail("sh", format_args!("{file}: {error}"), 127),
        },
    }
}

fn lines() -> ExitCode {
    let name = nix::unistd::gethostname()
        .map_or_else(|_| "node".into(), |name| name.to_string_lossy().into_owned());
    let mut code = 0;
    if std::io::stdin().is_terminal() {
        let Ok(mut editor) = rustyline::DefaultEditor::new() else {
            return fail("sh", "this terminal cannot be used", 1);
        };
        loop {
            match editor.readline(&format!("{name}$ ")) {
                Ok(line) if line.trim() == "exit" => return ExitCode::from(code),
                Ok(line) => {
                    let _ = editor.add_history_entry(line.as_str());
                    code = all(&line);
                }
                Err(rustyline::error::ReadlineError::Interrupted) => print("\n"),
                Err(_) => return ExitCode::from(code),
            }
        }
    }
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if line.trim() == "exit" {
            break;
        }
        code = all(&line);
    }
    ExitCode::from(code)
}

/// Runs the commands of a line, `;` between them; the last one's exit code.
fn all(line: &str) -> u8 {
    let mut code = 0;
    for command in split(line) {
        code = one(&command);
    }
    code
}

fn one(words: &[String]) -> u8 {
    let Some((name, args)) = words.split_first() else { return 0 };
    if name == "cd" {
        let folder = args.first().map_or("/", String::as_str);
        return match std::env::set_current_dir(folder) {
            Ok(()) => 0,
            Err(error) => {
                fail("cd", format_args!("{folder}: {error}"), 1);
                1
            }
        };
    }
    match Command::new(name).args(args).status() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(130),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fail("sh", format_args!("{name}: not found: `help` lists the commands"), 127);
            127
        }
        Err(error) => {
            fail("sh", format_args!("{name}: {error}"), 126);
            126
        }
    }
}

/// Words, quoted or not, of each command; `#` at a word's beginning starts a comment.
fn split(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => {
                word.get_or_insert_default().extend(chars.next());
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() || c == ';' => {
                if let (Some(word), Some(command)) = (word.take(), commands.last_mut()) {
                    command.push(word);
                }
                if c == ';' {
                    commands.push(Vec::new());
                }
            }
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if let (Some(word), Some(command)) = (word, commands.last_mut()) {
        command.push(word);
    }
    commands.retain(|command| !command.is_empty());
    commands
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_quotes_and_semicolons() {
        let split = super::split(r#"ping -c 1 "mail com"; echo 'a "b"' x\ y # no"#);
        assert_eq!(split, [vec!["ping", "-c", "1", "mail com"], vec!["echo", "a \"b\"", "x y"]]);
        assert!(super::split("  # nothing").is_empty());
    }
}
