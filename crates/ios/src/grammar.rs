//! Command patterns and how a typed line is matched against them.
//!
//! A pattern is written as words: a keyword, `<A>` (address), `<M>` (mask), `<W>` (wildcard),
//! `<IF>` (interface), `<MAC>`, `<NAME>`, `<LINE>` (the rest), `<1-99>` (a number), `( a | b )`,
//! `[ a ]`, and `<A>+` for one or more. All patterns of a mode become one automaton, so that
//! abbreviation, help and the place of an error follow from the patterns alone.

use std::net::Ipv4Addr;

use crate::names::{Names, is_interface};

/// What one word may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Atom {
    /// This keyword, or a beginning of it that fits no other.
    Keyword(&'static str),
    /// An IPv4 address.
    Address,
    /// A subnet mask.
    Mask,
    /// A wildcard mask.
    Wildcard,
    /// An interface.
    Interface,
    /// A hardware address.
    Mac,
    /// A number in this range.
    Number(u32, u32),
    /// Any word.
    Name,
    /// Everything up to the end of the line.
    Line,
}

impl Atom {
    fn read(token: &'static str) -> Self {
        let Some(inner) = token.strip_prefix('<').and_then(|t| t.strip_suffix('>')) else {
            return Atom::Keyword(token);
        };
        match inner {
            "A" => Atom::Address,
            "M" => Atom::Mask,
            "W" => Atom::Wildcard,
            "IF" => Atom::Interface,
            "MAC" => Atom::Mac,
            "NAME" => Atom::Name,
            "LINE" => Atom::Line,
            range => {
                let (low, high) = range.split_once('-').unwrap_or((range, range));
                Atom::Number(low.parse().unwrap_or(0), high.parse().unwrap_or(u32::MAX))
            }
        }
    }

    /// How help shows it.
    pub fn shown(&self) -> String {
        match self {
            Atom::Keyword(word) => (*word).to_owned(),
            Atom::Address | Atom::Mask | Atom::Wildcard => "A.B.C.D".into(),
            Atom::Interface => "INTERFACE".into(),
            Atom::Mac => "H.H.H".into(),
            Atom::Number(low, high) => format!("<{low}-{high}>"),
            Atom::Name => "WORD".into(),
            Atom::Line => "LINE".into(),
        }
    }

    /// How well a token fits: lower is better, `None` not at all.
    fn fits(&self, token: &str, names: &Names) -> Option<Fit> {
        let yes = |holds: bool, fit| holds.then_some(fit);
        match self {
            Atom::Keyword(word) if word.eq_ignore_ascii_case(token) => Some(Fit::Exact),
            Atom::Keyword(word) => {
                let begins = word.get(..token.len()).is_some_and(|b| b.eq_ignore_ascii_case(token));
                yes(begins && !token.is_empty(), Fit::Begins)
            }
            Atom::Address | Atom::Wildcard => yes(token.parse::<Ipv4Addr>().is_ok(), Fit::Typed),
            Atom::Mask => {
                let bits = token.parse::<Ipv4Addr>().ok().map(u32::from);
                yes(bits.is_some_and(|bits| bits.count_ones() == bits.leading_ones()), Fit::Typed)
            }
            Atom::Interface if is_interface(token) => Some(Fit::Typed),
            Atom::Interface => yes(names.may_be_link(token), Fit::Word),
            Atom::Mac => {
                let digits = token.chars().filter(char::is_ascii_hexdigit).count();
                let marks = token.chars().filter(|c| matches!(c, '.' | ':' | '-')).count();
                yes(digits == 12 && marks > 0 && digits + marks == token.len(), Fit::Typed)
            }
            Atom::Number(low, high) => {
                yes(token.parse::<u32>().is_ok_and(|n| (*low..=*high).contains(&n)), Fit::Typed)
            }
            Atom::Name => Some(Fit::Word),
            Atom::Line => Some(Fit::Rest),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Exact,
    Typed,
    Begins,
    Word,
    Rest,
}

/// One word of a line and where it stands, in characters from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The word.
    pub text: String,
    /// Its first character.
    pub start: usize,
    /// The line from it to its end.
    pub rest: String,
}

/// Cuts a line into words. `FastEthernet 0/0` becomes one.
pub fn tokens(line: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    let mut start = None;
    let characters: Vec<(usize, char)> = line.char_indices().chain([(line.len(), ' ')]).collect();
    for (column, (at, character)) in characters.into_iter().enumerate() {
        match (start, character.is_whitespace()) {
            (None, false) => start = Some((column, at)),
            (Some((first, from)), true) => {
                let text = line[from..at].to_owned();
                match found.last_mut() {
                    Some(last)
                        if text.starts_with(|c: char| c.is_ascii_digit())
                            && crate::names::is_type(&last.text)
                            && is_interface(&format!("{}{text}", last.text)) =>
                    {
                        last.text.push_str(&text);
                    }
                    _ => found.push(Token {
                        text,
                        start: first,
                        rest: line[from..].trim_end().to_owned(),
                    }),
                }
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// Why a line fits no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// A word fits nothing: its index, and what would.
    Invalid(usize, Vec<Atom>),
    /// A beginning fits several keywords: its index, and them.
    Ambiguous(usize, Vec<&'static str>),
    /// The line ends too early.
    Incomplete(Vec<Atom>),
}

/// One command of a mode, matched: which, and its words with keywords in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The command's index in the table.
    pub command: usize,
    /// Its words.
    pub words: Vec<String>,
}

#[derive(Debug)]
struct Position {
    atom: Atom,
    next: Vec<usize>,
    /// The command that may end here.
    ends: Option<usize>,
}

/// All patterns of a mode.
#[derive(Debug, Default)]
pub struct Automaton {
    positions: Vec<Position>,
    start: Vec<usize>,
}

/// One way to read the words so far: the last position, and the words with keywords in full.
type Thread = (Option<usize>, Vec<String>);

struct Fragment {
    first: Vec<usize>,
    last: Vec<usize>,
    empty: bool,
}

impl Automaton {
    /// Compiles patterns; a command is its index among them.
    pub fn new(patterns: impl IntoIterator<Item = &'static str>) -> Self {
        let mut automaton = Self::default();
        for (command, pattern) in patterns.into_iter().enumerate() {
            let mut words = pattern.split_whitespace().peekable();
            let fragment = automaton.sequence(&mut words);
            automaton.start.extend(&fragment.first);
            for last in fragment.last {
                automaton.positions[last].ends = Some(command);
            }
        }
        automaton
    }

    fn sequence(
        &mut self,
        words: &mut std::iter::Peekable<std::str::SplitWhitespace<'static>>,
    ) -> Fragment {
        let mut whole = Fragment { first: Vec::new(), last: Vec::new(), empty: true };
        while let Some(word) = words.peek().copied() {
            if matches!(word, ")" | "]" | "|") {
                break;
            }
            words.next();
            let part = match word {
                "(" | "[" => {
                    let mut choice = self.sequence(words);
                    while words.next_if_eq(&"|").is_some() {
                        let other = self.sequence(words);
                        choice.first.extend(other.first);
                        choice.last.extend(other.last);
                        choice.empty |= other.empty;
                    }
                    words.next();
                    choice.empty |= word == "[";
                    choice
                }
                word => {
                    let at = self.positions.len();
                    let (atom, again) = match word.strip_suffix('+') {
                        Some(atom) if atom.starts_with('<') => (Atom::read(atom), true),
                        _ => (Atom::read(word), false),
                    };
                    let next = if again { vec![at] } else { Vec::new() };
                    self.positions.push(Position { atom, next, ends: None });
                    Fragment { first: vec![at], last: vec![at], empty: false }
                }
            };
            for last in &whole.last {
                self.positions[*last].next.extend(&part.first);
            }
            if whole.empty {
                whole.first.extend(&part.first);
            }
            if part.empty {
                whole.last.extend(part.last);
            } else {
                whole.last = part.last;
            }
            whole.empty &= part.empty;
        }
        whole
    }

    /// What may follow these words.
    pub fn expected(&self, words: &[Token], names: &Names) -> Result<Vec<(Atom, bool)>, Mismatch> {
        let threads = self.walk(words, names)?;
        let ends =
            threads.iter().any(|(at, _)| at.is_some_and(|at| self.positions[at].ends.is_some()));
        let mut atoms: Vec<(Atom, bool)> = Vec::new();
        for at in self.followers(&threads).map(|(at, _)| at) {
            let atom = self.positions[at].atom.clone();
            if !atoms.iter().any(|(other, _)| *other == atom) {
                atoms.push((atom, ends));
            }
        }
        Ok(atoms)
    }

    /// Whether a line may end after these words.
    pub fn may_end(&self, words: &[Token], names: &Names) -> bool {
        self.matched(words, names).is_ok()
    }

    /// Matches a whole line.
    pub fn matched(&self, words: &[Token], names: &Names) -> Result<Match, Mismatch> {
        let threads = self.walk(words, names)?;
        for (at, words) in &threads {
            if let Some(command) = at.and_then(|at| self.positions[at].ends) {
                return Ok(Match { command, words: words.clone() });
            }
        }
        let atoms = self.followers(&threads).map(|(at, _)| self.positions[at].atom.clone());
        Err(Mismatch::Incomplete(atoms.collect()))
    }

    fn followers<'a>(
        &'a self,
        threads: &'a [Thread],
    ) -> impl Iterator<Item = (usize, &'a Vec<String>)> {
        threads.iter().flat_map(|(at, words)| {
            let next = at.map_or(&self.start, |at| &self.positions[at].next);
            next.iter().map(move |next| (*next, words))
        })
    }

    fn walk(&self, tokens: &[Token], names: &Names) -> Result<Vec<Thread>, Mismatch> {
        let mut threads = vec![(None, Vec::new())];
        for (index, token) in tokens.iter().enumerate() {
            let fits: Vec<_> = self
                .followers(&threads)
                .filter_map(|(at, words)| {
                    Some((self.positions[at].atom.fits(&token.text, names)?, at, words))
                })
                .collect();
            let Some(best) = fits.iter().map(|(fit, ..)| *fit).min() else {
                let atoms = self.followers(&threads).map(|(at, _)| self.positions[at].atom.clone());
                return Err(Mismatch::Invalid(index, atoms.collect()));
            };
            let mut next = Vec::new();
            let mut keywords: Vec<&'static str> = Vec::new();
            for (fit, at, words) in fits {
                if fit != best {
                    continue;
                }
                let atom = &self.positions[at].atom;
                let mut words = words.clone();
                words.push(match atom {
                    Atom::Keyword(word) => {
                        if !keywords.contains(word) {
                            keywords.push(word);
                        }
                        (*word).to_owned()
                    }
                    Atom::Line => token.rest.clone(),
                    _ => token.text.clone(),
                });
                if !next.iter().any(|(other, _)| *other == Some(at)) {
                    next.push((Some(at), words));
                }
                if *atom == Atom::Line {
                    return Ok(next);
                }
            }
            if keywords.len() > 1 {
                return Err(Mismatch::Ambiguous(index, keywords));
            }
            threads = next;
        }
        Ok(threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(automaton: &Automaton, line: &str) -> Result<(usize, String), Mismatch> {
        let found = automaton.matched(&tokens(line), &Names::default())?;
        Ok((found.command, found.words.join(" ")))
    }

    #[test]
    fn abbreviations_options_and_repetitions_match() {
        let automaton = Automaton::new([
            "ip dhcp excluded-address <A> [ <A> ]",
            "dns-server <A>+",
            "( permit | deny ) ( any | host <A> ) [ log ]",
            "description <LINE>",
            "interface <IF>",
        ]);
        assert_eq!(
            words(&automaton, "ip dh ex 1.1.1.1").unwrap(),
            (0, "ip dhcp excluded-address 1.1.1.1".into())
        );
        assert_eq!(words(&automaton, "dns 1.1.1.1 2.2.2.2 3.3.3.3").unwrap().0, 1);
        assert_eq!(
            words(&automaton, "per ho 1.1.1.1 log").unwrap(),
            (2, "permit host 1.1.1.1 log".into())
        );
        assert_eq!(words(&automaton, "desc  to the  LAN ").unwrap().1, "description to the  LAN");
        assert_eq!(words(&automaton, "int fa 0/1").unwrap().1, "interface fa0/1");
        assert!(matches!(words(&automaton, "d"), Err(Mismatch::Ambiguous(0, w)) if w.len() == 3));
        assert!(matches!(words(&automaton, "ip dhcp bogus"), Err(Mismatch::Invalid(2, _))));
        assert!(matches!(words(&automaton, "ip dhcp"), Err(Mismatch::Incomplete(_))));
    }
}
