//! `hostname`, `cat`, `ls`, `echo`.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use crate::getopt::{Given, fail, line};

pub fn hostname(_args: Vec<OsString>) -> ExitCode {
    match nix::unistd::gethostname() {
        Ok(name) => {
            line(name.to_string_lossy());
            ExitCode::SUCCESS
        }
        Err(error) => fail("hostname", error, 1),
    }
}

pub fn echo(args: Vec<OsString>) -> ExitCode {
    let newline = args.first().is_none_or(|arg| arg != "-n");
    let words: Vec<_> =
        args.iter().skip(usize::from(!newline)).map(|word| word.to_string_lossy()).collect();
    crate::getopt::print(words.join(" "));
    if newline {
        line("");
    }
    ExitCode::SUCCESS
}

pub fn cat(args: Vec<OsString>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let args = if args.is_empty() { vec![OsString::from("-")] } else { args };
    for path in args {
        let copied = if path == "-" {
            std::io::copy(&mut std::io::stdin().lock(), &mut std::io::stdout().lock())
        } else {
            std::fs::File::open(&path)
                .and_then(|mut file| std::io::copy(&mut file, &mut std::io::stdout().lock()))
        };
        if let Err(error) = copied {
            code = fail("cat", format_args!("{}: {error}", path.display()), 1);
        }
    }
    let _ = std::io::stdout().lock().flush();
    code
}

pub fn ls(args: Vec<OsString>) -> ExitCode {
    let given = match Given::read(args, "la1") {
        Ok(given) => given,
        Err(why) => return fail("ls", why, 2),
    };
    let mut code = ExitCode::SUCCESS;
    let here = [".".to_owned()];
    let paths = if given.words.is_empty() { &here[..] } else { &given.words };
    for path in paths {
        match listed(Path::new(path), &given) {
            Ok(lines) => lines.into_iter().for_each(line),
            Err(error) => code = fail("ls", format_args!("{path}: {error}"), 1),
        }
    }
    code
}

fn listed(path: &Path, given: &Given) -> std::io::Result<Vec<String>> {
    let whole = std::fs::symlink_metadata(path)?;
    let mut names = Vec::new();
    if whole.is_dir() {
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            names.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
        names.retain(|(name, _)| given.has('a') || !name.starts_with('.'));
        names.sort();
    } else {
        names.push((path.display().to_string(), path.to_owned()));
    }
    if !given.has('l') {
        return Ok(names.into_iter().map(|(name, _)| name).collect());
    }
    names
        .into_iter()
        .map(|(name, path)| {
            let facts = std::fs::symlink_metadata(&path)?;
            let kind = if facts.is_dir() {
                'd'
            } else if facts.is_symlink() {
                'l'
            } else {
                '-'
            };
            let mode: String = (0..9)
                .rev()
                .map(|bit| match (facts.mode() >> bit & 1, bit % 3) {
                    (0, _) => '-',
                    (_, 2) => 'r',
                    (_, 1) => 'w',
                    _ => 'x',
                })
                .collect();
            let target = std::fs::read_link(&path)
                .map_or_else(|_| String::new(), |target| format!(" -> {}", target.display()));
            Ok(format!("{kind}{mode} {:>9} {name}{target}", facts.len()))
        })
        .collect()
}
