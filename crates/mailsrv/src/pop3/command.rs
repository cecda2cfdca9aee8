//! Commands of POP3 (RFC 1939, 2449, 2595, 5034): one verb, at most two arguments.

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `USER name`
    User(String),
    /// `PASS password`: everything after the space.
    Pass(String),
    /// `APOP name digest`
    Apop(String, String),
    /// `AUTH [mechanism [initial response]]`
    Auth(Option<String>, Option<String>),
    /// `STLS`
    Stls,
    /// `CAPA`
    Capa,
    /// `STAT`
    Stat,
    /// `LIST [number]`
    List(Option<usize>),
    /// `UIDL [number]`
    Uidl(Option<usize>),
    /// `RETR number`
    Retr(usize),
    /// `TOP number lines`
    Top(usize, usize),
    /// `DELE number`
    Dele(usize),
    /// `RSET`
    Rset,
    /// `NOOP`
    Noop,
    /// `LAST`, which nobody has any more (RFC 1460).
    Last,
    /// `QUIT`
    Quit,
}

/// Parses one line without its CRLF; the text of the refusal otherwise.
pub fn parse(line: &[u8]) -> Result<Command, String> {
    let text = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8")?;
    if text.chars().any(char::is_control) {
        return Err("a control character stands in the line".into());
    }
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let verb = verb.to_ascii_uppercase();
    if verb == "PASS" {
        // A password may have spaces.
        return Ok(Command::Pass(rest.to_owned()));
    }
    let words: Vec<&str> = rest.split(' ').filter(|word| !word.is_empty()).collect();
    let number = |word: &str| {
        let digits = (1..=9).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit());
        digits
            .then(|| word.parse::<usize>().ok())
            .flatten()
            .ok_or_else(|| format!("`{word}` is not a number"))
    };
    match (verb.as_str(), words.as_slice()) {
        // Names with spaces are one argument.
        ("USER", [_, ..]) => Ok(Command::User(rest.trim().to_owned())),
        ("APOP", [name, digest]) => Ok(Command::Apop((*name).into(), (*digest).into())),
        ("AUTH", []) => Ok(Command::Auth(None, None)),
        ("AUTH", [mechanism]) => Ok(Command::Auth(Some((*mechanism).into()), None)),
        ("AUTH", [mechanism, initial]) => {
            Ok(Command::Auth(Some((*mechanism).into()), Some((*initial).into())))
        }
        ("STLS", []) => Ok(Command::Stls),
        ("CAPA", []) => Ok(Command::Capa),
        ("STAT", []) => Ok(Command::Stat),
        ("LIST", []) => Ok(Command::List(None)),
        ("LIST", [n]) => Ok(Command::List(Some(number(n)?))),
        ("UIDL", []) => Ok(Command::Uidl(None)),
        ("UIDL", [n]) => Ok(Command::Uidl(Some(number(n)?))),
        ("RETR", [n]) => Ok(Command::Retr(number(n)?)),
        ("TOP", [n, lines]) => Ok(Command::Top(number(n)?, number(lines)?)),
        ("DELE", [n]) => Ok(Command::Dele(number(n)?)),
        ("RSET", []) => Ok(Command::Rset),
        ("NOOP", []) => Ok(Command::Noop),
        ("LAST", []) => Ok(Command::Last),
        ("QUIT", []) => Ok(Command::Quit),
        (
            "USER" | "APOP" | "AUTH" | "STLS" | "CAPA" | "STAT" | "LIST" | "UIDL" | "RETR" | "TOP"
            | "DELE" | "RSET" | "NOOP" | "LAST" | "QUIT",
            _,
        ) => Err(format!("{verb} takes other arguments")),
        _ => Err("the command is not known".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_their_arguments() {
        for (line, command) in [
            ("user client1", Command::User("client1".into())),
            ("PASS  two  spaces ", Command::Pass(" two  spaces ".into())),
            ("top 1 0", Command::Top(1, 0)),
            ("LIST", Command::List(None)),
            ("UIDL 7", Command::Uidl(Some(7))),
            ("AUTH PLAIN =", Command::Auth(Some("PLAIN".into()), Some("=".into()))),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(command));
        }
        for line in [
            "",
            "FOO",
            "USER",
            "RETR",
            "RETR x",
            "RETR 1 2",
            "TOP 1",
            "STAT 1",
            "QUIT now",
            "RETR 99999999999",
            "RETR -1",
        ] {
            assert!(parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_the_parser_fail(line: Vec<u8>) {
            let _ = parse(&line);
        }
    }
}
