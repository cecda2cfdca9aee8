//! Addresses of a header field as an ENVELOPE tells them (RFC 3501, 7.4.2; RFC 5322, 3.4).

/// The most addresses of one field.
const MAX: usize = 5_000;

/// One address; parts are as they stand in the header, not decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The display name.
    pub name: Option<Vec<u8>>,
    /// The source route.
    pub route: Option<Vec<u8>>,
    /// The part before the `@`; the group's name at its start, `None` at its end.
    pub mailbox: Option<Vec<u8>>,
    /// The part after it; `None` at start and end of a group.
    pub host: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(Vec<u8>),
    Mark(u8),
    Comment(Vec<u8>),
}

/// Reads the addresses of a value; what cannot be one is passed over.
pub fn parse(value: &[u8]) -> Vec<Address> {
    let tokens = tokens(value);
    let mut addresses = Vec::new();
    let mut piece: Vec<&Token> = Vec::new();
    let mut angle = false;
    for token in &tokens {
        if addresses.len() >= MAX {
            break;
        }
        match token {
            Token::Mark(b'<') => angle = true,
            Token::Mark(b'>') => angle = false,
            _ => {}
        }
        match token {
            Token::Mark(b',') if !angle => {
                addresses.extend(address(&piece));
                piece.clear();
            }
            Token::Mark(b':') if !angle => {
                let name = words(&piece);
                addresses.push(Address { mailbox: Some(name), ..Address::default() });
                piece.clear();
            }
            Token::Mark(b';') if !angle => {
                addresses.extend(address(&piece));
                addresses.push(Address::default());
                piece.clear();
            }
            token => piece.push(token),
        }
    }
    addresses.extend(address(&piece));
    addresses
}

fn tokens(value: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = value.get(at).copied() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            b'"' => {
                let mut word = Vec::new();
                at += 1;
                while let Some(byte) = value.get(at).copied() {
                    at += 1;
                    match byte {
                        b'"' => break,
                        b'\\' => {
                            word.extend(value.get(at).copied());
                            at += 1;
                        }
                        byte => word.push(byte),
                    }
                }
                tokens.push(Token::Word(word));
            }
            b'(' => {
                let mut depth = 0_usize;
                let mut comment = Vec::new();
                while let Some(byte) = value.get(at).copied() {
                    at += 1;
                    match byte {
                        b'(' => {
                            depth += 1;
                            if depth > 1 {
                                comment.push(byte);
                            }
                        }
                        b')' => {
                            depth -= 1;
                            if depth == 0 {
                                break;
                            }
                            comment.push(byte);
                        }
                        b'\\' => {
                            comment.extend(value.get(at).copied());
                            at += 1;
                        }
                        byte => comment.push(byte),
                    }
                }
                tokens.push(Token::Comment(comment.trim_ascii().to_vec()));
            }
            b'<' | b'>' | b',' | b':' | b';' | b'@' => {
                tokens.push(Token::Mark(byte));
                at += 1;
            }
            b'[' => {
                let end =
                    value[at..].iter().position(|b| *b == b']').map_or(value.len(), |n| at + n + 1);
                tokens.push(Token::Word(value[at..end].to_vec()));
                at = end;
            }
            _ => {
                let stops = |b: &u8| {
                    matches!(
                        b,
                        b' ' | b'\t'
                            | b'\r'
                            | b'\n'
                            | b'"'
                            | b'('
                            | b'<'
                            | b'>'
                            | b','
                            | b':'
                            | b';'
                            | b'@'
                            | b'['
                    )
                };
                let end = value[at..].iter().position(stops).map_or(value.len(), |n| at + n);
                tokens.push(Token::Word(value[at..end].to_vec()));
                at = end;
            }
        }
    }
    tokens
}

/// The words of a phrase with one space between them.
fn words(piece: &[&Token]) -> Vec<u8> {
    let words: Vec<&[u8]> = piece
        .iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word.as_slice()),
            _ => None,
        })
        .collect();
    words.join(&b' ')
}

fn address(piece: &[&Token]) -> Option<Address> {
    let open = piece.iter().position(|token| **token == Token::Mark(b'<'));
    let (name, spec) = match open {
        Some(at) => {
            let end =
                piece.iter().position(|token| **token == Token::Mark(b'>')).unwrap_or(piece.len());
            let name = words(&piece[..at]);
            ((!name.is_empty()).then_some(name), piece.get(at + 1..end).unwrap_or_default())
        }
        None => {
            // The old form: `user@host (Name)`; the name is what comes last.
            let name = piece.iter().rev().find_map(|token| match token {
                Token::Comment(text) if !text.is_empty() => Some(text.clone()),
                _ => None,
            });
            (name, piece)
        }
    };
    let spec: Vec<&Token> =
        spec.iter().copied().filter(|token| !matches!(token, Token::Comment(_))).collect();
    let mut spec = spec.as_slice();
    let mut route = None;
    if spec.first() == Some(&&Token::Mark(b'@'))
        && let Some(colon) = spec.iter().position(|token| **token == Token::Mark(b':'))
    {
        route = Some(joined(&spec[..colon]));
        spec = &spec[colon + 1..];
    }
    if spec.is_empty() && name.is_none() {
        return None;
    }
    let at = spec.iter().rposition(|token| **token == Token::Mark(b'@'));
    let (mailbox, host) = match at {
        Some(at) => (joined(&spec[..at]), joined(&spec[at + 1..])),
        None => (joined(spec), Vec::new()),
    };
    Some(Address { name, route, mailbox: Some(mailbox), host: Some(host) })
}

fn joined(tokens: &[&Token]) -> Vec<u8> {
    let mut out = Vec::new();
    for token in tokens {
        match token {
            Token::Word(word) => out.extend_from_slice(word),
            Token::Mark(byte) => out.push(*byte),
            Token::Comment(_) => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(value: &str) -> Vec<String> {
        let show = |part: &Option<Vec<u8>>| {
            part.as_ref().map_or("NIL".into(), |p| String::from_utf8_lossy(p).into_owned())
        };
        parse(value.as_bytes())
            .iter()
            .map(|a| {
                format!(
                    "{}|{}|{}|{}",
                    show(&a.name),
                    show(&a.route),
                    show(&a.mailbox),
                    show(&a.host)
                )
            })
            .collect()
    }

    #[test]
    fn rfc5322_3_4_addresses_are_read() {
        assert_eq!(flat("a@x"), ["NIL|NIL|a|x"]);
        assert_eq!(
            flat("\"Giant; \\\"Big\\\" Box\" <big@x.example>"),
            ["Giant; \"Big\" Box|NIL|big|x.example"]
        );
        assert_eq!(
            flat("Joe Q. Public <john.q@x>, y@z (Why)"),
            ["Joe Q. Public|NIL|john.q|x", "Why|NIL|y|z"]
        );
        assert_eq!(
            flat("A Group:Ed <ed@x>,joe@y;"),
            ["NIL|NIL|A Group|NIL", "Ed|NIL|ed|x", "NIL|NIL|joe|y", "NIL|NIL|NIL|NIL"]
        );
        assert_eq!(
            flat("undisclosed-recipients:;"),
            ["NIL|NIL|undisclosed-recipients|NIL", "NIL|NIL|NIL|NIL"]
        );
        assert_eq!(flat("<@a,@b:c@d>"), ["NIL|@a,@b|c|d"]);
        assert_eq!(flat("<a@[127.0.0.1]>"), ["NIL|NIL|a|[127.0.0.1]"]);
        assert_eq!(flat(" , ,"), Vec::<String>::new());
        for hostile in ["((((", "\"", "<", ">", "[", "@@@", ":;:;<", "(\\"] {
            let _ = parse(hostile.as_bytes());
        }
    }
}
