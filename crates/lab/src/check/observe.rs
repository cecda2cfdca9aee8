//! What is seen on a link, and what a command prints.

use super::Kind;
use crate::decode::{Decode, Decoder, List, record};
use crate::yaml::Node;

record! {
    /// `ports: { node: pc0, network: lan, seen: [tcp/25, tcp/110], during: { mail: { from: pc0, to: pc1 } } }`.
    pub struct Ports {
        /// The node whose link is listened on.
        pub node: String,
        /// Which link; the node's first where absent.
        #[serde(default)] pub network: Option<String>,
        /// `tcp/25`, `udp/53`, … that must be seen.
        pub seen: List<String>,
        /// Those that must not be seen.
        #[serde(default)] pub unseen: List<String>,
        /// What is done meanwhile.
        pub during: Box<Kind>,
    }
}

record! {
    /// `exec: { node: pc0, command: "nslookup mail.com", contains: 192.168.1.2 }`: the last resort.
    pub struct Exec {
        /// The node.
        pub node: String,
        /// The command: a line that is split at blanks (quotes are understood), or a list.
        pub command: List<String>,
        /// Its exit code.
        #[serde(default)] pub code: i32 = 0,
        /// What its output must contain.
        #[serde(default)] pub contains: List<String>,
        /// What its output must not contain.
        #[serde(default)] pub lacks: List<String>,
    }
}

/// Reads an `exec:` check; a command that is one text is split into words.
pub(super) fn exec(value: &Node, decoder: &mut Decoder<'_>) -> Option<Exec> {
    let mut exec = Exec::decode(value, decoder)?;
    if let [line] = exec.command.as_slice() {
        match split(line) {
            Some(words) if !words.is_empty() => exec.command = words.into(),
            _ => {
                return decoder.refuse(
                    value.get("command").unwrap_or(value),
                    "check::command",
                    format!("`{line}` is not a command line"),
                    "a quote is not closed, or there is no word",
                );
            }
        }
    }
    Some(exec)
}

/// Splits a command line at blanks; `'…'` and `"…"` hold words together.
fn split(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut open, mut quote) = (Vec::new(), String::new(), false, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => (quote, open) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if open {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (_, c) => {
                word.push(c);
                open = true;
            }
        }
    }
    if open {
        words.push(word);
    }
    quote.is_none().then_some(words)
}
