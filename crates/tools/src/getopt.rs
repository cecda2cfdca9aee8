//! Options as the commands of Unix take them, and how a command ends.

use std::ffi::OsString;
use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

/// What a command was given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Given {
    options: Vec<(char, String)>,
    /// What is no option.
    pub words: Vec<String>,
}

impl Given {
    /// Reads `-a`, `-b value`, `-bvalue`, `-ab`; `known` names the letters, a colon behind one
    /// means that a value follows. `--` ends the options. Options may stand behind words.
    ///
    /// # Errors
    /// One sentence about the option that is not known or lacks its value.
    pub fn read(args: Vec<OsString>, known: &str) -> Result<Self, String> {
        let mut given = Self::default();
        let mut args = args.into_iter().map(|arg| arg.to_string_lossy().into_owned());
        while let Some(arg) = args.next() {
            if arg == "--" {
                given.words.extend(args);
                break;
            }
            let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
                given.words.push(arg);
                continue;
            };
            let mut rest = letters.chars();
            while let Some(letter) = rest.next() {
                let at = known
                    .find(letter)
                    .filter(|_| letter != ':')
                    .ok_or_else(|| format!("unknown option -{letter}"))?;
                if known[at + letter.len_utf8()..].starts_with(':') {
                    let value = match rest.as_str() {
                        "" => args.next().ok_or_else(|| format!("-{letter} needs a value"))?,
                        value => value.to_owned(),
                    };
                    given.options.push((letter, value));
                    break;
                }
                given.options.push((letter, String::new()));
            }
        }
        Ok(given)
    }

    /// Whether an option is there.
    pub fn has(&self, letter: char) -> bool {
        self.options.iter().any(|(known, _)| *known == letter)
    }

    /// The value of an option; of its last where there are several.
    pub fn value(&self, letter: char) -> Option<&str> {
        self.values(letter).last()
    }

    /// All values of an option.
    pub fn values(&self, letter: char) -> impl Iterator<Item = &str> {
        self.options
            .iter()
            .filter(move |(known, _)| *known == letter)
            .map(|(_, value)| value.as_str())
    }

    /// The value of an option as a number.
    ///
    /// # Errors
    /// One sentence when it is none.
    pub fn number<T: std::str::FromStr>(&self, letter: char, default: T) -> Result<T, String> {
        self.value(letter).map_or(Ok(default), |text| {
            text.parse().map_err(|_| format!("-{letter} needs a number, not {text:?}"))
        })
    }
}

/// Runs a command on a small runtime.
pub fn run(command: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(command);
            // A thread that waits for standard input would never end.
            runtime.shutdown_background();
            code
        }
        Err(error) => fail("runtime", error, 1),
    }
}

/// Says on standard error what went wrong.
pub fn fail(name: &str, why: impl Display, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr().lock(), "{name}: {why}");
    ExitCode::from(code)
}

/// Prints a piece of text at once; a reader that has gone is no error.
pub fn print(text: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{text}");
    let _ = out.flush();
}

/// Prints a line.
pub fn line(text: impl Display) {
    print(format_args!("{text}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str], known: &str) -> Result<Given, String> {
        Given::read(words.iter().map(OsString::from).collect(), known)
    }

    #[test]
    fn options_are_read_as_unix_reads_them() {
        let given = read(&["-vc3", "host", "-W", "2", "--", "-x"], "c:vW:").unwrap();
        assert!(given.has('v') && !given.has('x'));
        assert_eq!(given.number('c', 4), Ok(3));
        assert_eq!(given.number('W', 1), Ok(2));
        assert_eq!(given.words, ["host", "-x"]);
        assert!(read(&["-z"], "c:v").unwrap_err().contains("-z"));
        assert!(read(&["-c"], "c:v").unwrap_err().contains("needs a value"));
        assert!(read(&["-:"], "c:v").is_err());
        assert!(read(&["-cx"], "c:v").unwrap().number('c', 1).is_err());
    }
}
