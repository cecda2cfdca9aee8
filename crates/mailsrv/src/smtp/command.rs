//! Commands of a client (RFC 5321, 4.1.1): one line in, a command or the right refusal out.

use super::reply::Reply;
use crate::address::{self, Path};

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `EHLO name`
    Ehlo(String),
    /// `HELO name`
    Helo(String),
    /// `MAIL FROM:<path> parameters`
    Mail(Path, Parameters),
    /// `RCPT TO:<path> parameters`
    Rcpt(Path, Parameters),
    /// `DATA`
    Data,
    /// `BDAT size [LAST]` (RFC 3030)
    Bdat {
        /// Bytes that follow.
        size: u64,
        /// Whether the message ends with them.
        last: bool,
    },
    /// `RSET`
    Rset,
    /// `NOOP`
    Noop,
    /// `QUIT`
    Quit,
    /// `VRFY name`
    Vrfy(String),
    /// `EXPN name`
    Expn(String),
    /// `HELP`
    Help,
    /// `STARTTLS` (RFC 3207)
    StartTls,
    /// `AUTH mechanism [initial response]` (RFC 4954)
    Auth {
        /// Its name as it came.
        mechanism: String,
        /// Base64, or `=`.
        initial: Option<String>,
    },
}

/// Parameters of MAIL and RCPT: keyword in capitals, value.
pub type Parameters = Vec<(String, Option<String>)>;

fn syntax(text: impl Into<String>) -> Reply {
    Reply::new(501, "5.5.4", text)
}

/// Parses one line without its CRLF. Bytes above 127 need `utf8`.
pub fn parse(line: &[u8], utf8: bool) -> Result<Command, Reply> {
    let Ok(text) = std::str::from_utf8(line) else {
        return Err(Reply::new(500, "5.5.2", "the line is not UTF-8"));
    };
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(Reply::new(500, "5.5.2", "a control character stands in the line"));
    }
    let text = text.trim_end_matches([' ', '\t']);
    let (verb, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let rest = rest.trim_start_matches([' ', '\t']);
    let bare = |command| {
        if rest.is_empty() { Ok(command) } else { Err(syntax(format!("{verb} takes no argument"))) }
    };
    match verb.to_ascii_uppercase().as_str() {
        "EHLO" => greeting(rest).map(Command::Ehlo),
        "HELO" => greeting(rest).map(Command::Helo),
        "MAIL" => {
            let (path, parameters) = path(rest, "FROM", utf8)?;
            Ok(Command::Mail(path, parameters))
        }
        "RCPT" => {
            let (path, parameters) = path(rest, "TO", utf8)?;
            Ok(Command::Rcpt(path, parameters))
        }
        "DATA" => bare(Command::Data),
        "BDAT" => bdat(rest),
        "RSET" => bare(Command::Rset),
        "NOOP" => Ok(Command::Noop),
        "QUIT" => bare(Command::Quit),
        "VRFY" if rest.is_empty() => Err(syntax("say whom: VRFY user")),
        "VRFY" => Ok(Command::Vrfy(rest.to_owned())),
        "EXPN" if rest.is_empty() => Err(syntax("say which list: EXPN name")),
        "EXPN" => Ok(Command::Expn(rest.to_owned())),
        "HELP" => Ok(Command::Help),
        "STARTTLS" => bare(Command::StartTls),
        "AUTH" => auth(rest),
        _ => Err(Reply::new(500, "5.5.1", "command not recognized; HELP lists them")),
    }
}

fn greeting(name: &str) -> Result<String, Reply> {
    // Real clients say the strangest names; all that matters is that it is one word.
    if name.is_empty() || name.contains([' ', '\t']) || name.len() > 255 {
        return Err(syntax("say your name: EHLO host.example.com"));
    }
    Ok(name.to_owned())
}

fn path(rest: &str, word: &str, utf8: bool) -> Result<(Path, Parameters), Reply> {
    let wanted = || syntax(format!("write it as {word}:<user@example.com>"));
    let head = rest.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word));
    let after = head.map(|_| rest[word.len()..].trim_start_matches(' ')).ok_or_else(wanted)?;
    let after = after.strip_prefix(':').ok_or_else(wanted)?.trim_start_matches(' ');
    // The parameter SMTPUTF8 comes after the address that needs it (RFC 6531, 3.4).
    let utf8 = utf8 || after.to_ascii_uppercase().split(' ').any(|word| word == "SMTPUTF8");
    let (path, rest) = address::parse_path(after, utf8).map_err(|error| match error {
        address::Error::NotAscii => Reply::new(553, "5.6.7", error.to_string()),
        address::Error::Brackets => syntax(error.to_string()),
        address::Error::Domain if word == "TO" => Reply::new(501, "5.1.2", error.to_string()),
        _ if word == "TO" => Reply::new(501, "5.1.3", error.to_string()),
        _ => Reply::new(501, "5.1.7", error.to_string()),
    })?;
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Err(syntax("put a space between the address and its parameters"));
    }
    Ok((path, parameters(rest)?))
}

fn parameters(text: &str) -> Result<Parameters, Reply> {
    let mut found: Parameters = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (keyword, value) = match word.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value.to_owned())),
            None => (word, None),
        };
        let good = !keyword.is_empty()
            && keyword.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && value.as_ref().is_none_or(|value| !value.is_empty());
        if !good {
            return Err(syntax(format!("`{word}` is not a parameter: write KEYWORD=value")));
        }
        let keyword = keyword.to_ascii_uppercase();
        if found.iter().any(|(known, _)| *known == keyword) {
            return Err(syntax(format!("{keyword} is given twice")));
        }
        found.push((keyword, value));
    }
    Ok(found)
}

fn bdat(rest: &str) -> Result<Command, Reply> {
    let wanted = || syntax("write it as BDAT size or BDAT size LAST");
    let (size, last) = rest.split_once(' ').unwrap_or((rest, ""));
    let last = match last.trim() {
        "" => false,
        word if word.eq_ignore_ascii_case("LAST") => true,
        _ => return Err(wanted()),
    };
    let size = number(size).ok_or_else(wanted)?;
    Ok(Command::Bdat { size, last })
}

fn auth(rest: &str) -> Result<Command, Reply> {
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    let mechanism = words.next().ok_or_else(|| syntax("say how: AUTH PLAIN"))?.to_owned();
    let initial = words.next().map(str::to_owned);
    if words.next().is_some() {
        return Err(syntax("AUTH takes a mechanism and at most one response"));
    }
    Ok(Command::Auth { mechanism, initial })
}

/// Up to 19 digits, nothing else: more would not fit.
pub fn number(text: &str) -> Option<u64> {
    let good = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| text.parse().ok()).flatten()
}

/// Decodes xtext (RFC 3461, 4).
pub fn xtext(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        if *first == b'+' {
            let hex = after.get(..2)?;
            let good = hex.iter().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(b));
            let hex = std::str::from_utf8(hex).ok().filter(|_| good)?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &after[2..];
        } else if (b'!'..=b'~').contains(first) && *first != b'=' {
            bytes.push(*first);
            rest = after;
        } else {
            return None;
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control))
}

/// Encodes xtext.
pub fn to_xtext(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b'!'..=b'~').contains(&byte) && byte != b'+' && byte != b'=' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("+{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        parse(line.as_bytes(), false).unwrap_err().text()
    }

    #[test]
    fn commands_in_any_case_with_their_arguments() {
        assert_eq!(parse(b"ehlo pc0.lab", false), Ok(Command::Ehlo("pc0.lab".into())));
        assert_eq!(parse(b"BDAT 5 last", false), Ok(Command::Bdat { size: 5, last: true }));
        assert_eq!(parse(b"noop  what ever", false), Ok(Command::Noop));
        let Ok(Command::Mail(path, parameters)) =
            parse(b"MAIL FROM: <a@b.test>  SIZE=5 BODY=8BITMIME smtputf8", false)
        else {
            panic!("MAIL is not understood");
        };
        assert!(matches!(path, Path::Address(_)));
        assert_eq!(parameters.len(), 3);
        assert_eq!(parse("RCPT TO:<ü@b.test>".as_bytes(), true).map(|_| ()), Ok(()));
        assert!(parse("MAIL FROM:<ü@b.test> SMTPUTF8".as_bytes(), false).is_ok());
    }

    #[test]
    fn refusals_have_the_code_of_their_reason() {
        for (line, code) in [
            ("FOO", "500 5.5.1"),
            ("", "500 5.5.1"),
            ("EHLO", "501 5.5.4"),
            ("EHLO a b", "501 5.5.4"),
            ("MAIL a@b", "501 5.5.4"),
            ("MAIL FROM:a@b.test", "501 5.5.4"),
            ("MAIL FROM:<a@b.test>x", "501 5.5.4"),
            ("MAIL FROM:<a@b.test> SIZE=", "501 5.5.4"),
            ("MAIL FROM:<a@b.test> SIZE=1 SIZE=2", "501 5.5.4"),
            ("MAIL FROM:<ü@b.test>", "553 5.6.7"),
            ("RCPT TO:<a..b@c.test>", "501 5.1.3"),
            ("RCPT TO:<a@>", "501 5.1.2"),
            ("DATA foo", "501 5.5.4"),
            ("QUIT now", "501 5.5.4"),
            ("RSET x", "501 5.5.4"),
            ("STARTTLS x", "501 5.5.4"),
            ("BDAT", "501 5.5.4"),
            ("BDAT -1", "501 5.5.4"),
            ("BDAT 99999999999999999999999", "501 5.5.4"),
            ("AUTH", "501 5.5.4"),
            ("AUTH PLAIN a b", "501 5.5.4"),
        ] {
            assert!(refused(line).starts_with(code), "{line}: {}", refused(line));
        }
        assert!(parse(b"EHLO \xff", false).is_err());
        assert!(parse(b"EHLO a\0b", false).is_err());
    }

    #[test]
    fn sizes_that_do_not_fit_are_no_sizes() {
        assert_eq!(number("9999999999999999999"), Some(9_999_999_999_999_999_999));
        assert_eq!(number("99999999999999999999999"), None);
        assert_eq!(number("+5"), None);
    }

    #[test]
    fn xtext_goes_both_ways() {
        assert_eq!(xtext("a+2Bb+3D"), Some("a+b=".into()));
        assert_eq!(to_xtext("a+b= "), "a+2Bb+3D+20");
        for bad in ["+", "+2", "+g0", "a=b", "a b", "+0A"] {
            assert_eq!(xtext(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_the_parser_fail(line: Vec<u8>, utf8: bool) {
            let _ = parse(&line, utf8);
        }

        #[test]
        fn no_address_makes_the_parser_fail(text in "(MAIL FROM|RCPT TO):<?[a-z\"\\\\@.>\\[ ü:=]{0,40}") {
            let _ = parse(text.as_bytes(), true);
        }
    }
}
