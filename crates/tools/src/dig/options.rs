//! `dig`'s command line: words in any order, options with a plus.

use std::net::IpAddr;

use dnswire::{Name, RecordType};

/// The parts of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Show {
    pub(super) cmd: bool,
    pub(super) comments: bool,
    pub(super) question: bool,
    pub(super) answer: bool,
    pub(super) authority: bool,
    pub(super) additional: bool,
    pub(super) stats: bool,
}

impl Show {
    fn all(on: bool) -> Self {
        Self {
            cmd: on,
            comments: on,
            question: on,
            answer: on,
            authority: on,
            additional: on,
            stats: on,
        }
    }
}

/// What is asked and shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Options {
    pub(super) name: Name,
    pub(super) kind: RecordType,
    pub(super) server: Option<String>,
    pub(super) port: u16,
    pub(super) tcp: bool,
    pub(super) recursion: bool,
    pub(super) dnssec: bool,
    pub(super) edns: bool,
    pub(super) size: u16,
    pub(super) wait_ms: u64,
    pub(super) tries: u32,
    pub(super) short: bool,
    pub(super) trace: bool,
    pub(super) show: Show,
}

/// Options with a plus that can be switched, by the names that dig takes (and unique beginnings).
const SWITCHES: &[&str] = &[
    "short",
    "all",
    "cmd",
    "comments",
    "question",
    "answer",
    "authority",
    "additional",
    "stats",
    "tcp",
    "vc",
    "recurse",
    "rdflag",
    "dnssec",
    "do",
    "edns",
    "trace",
];

impl Options {
    pub(super) fn read(words: &[String]) -> Result<Self, String> {
        let mut options = Self {
            name: Name::root(),
            kind: RecordType::A,
            server: None,
            port: 53,
            tcp: false,
            recursion: true,
            dnssec: false,
            edns: true,
            size: 1232,
            wait_ms: 5000,
            tries: 3,
            short: false,
            trace: false,
            show: Show::all(true),
        };
        let (mut name, mut kind) = (None, None);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().cloned().ok_or_else(|| format!("{word} needs a value"));
            if let Some(server) = word.strip_prefix('@') {
                options.server = Some(server.into());
            } else if let Some(plus) = word.strip_prefix('+') {
                options.plus(plus)?;
            } else if let Some(letter) = word.strip_prefix('-') {
                match letter {
                    "p" => {
                        options.port = value()?.parse().map_err(|_| "-p needs a port".to_owned())?
                    }
                    "t" => kind = Some(value()?.parse()?),
                    "q" => name = Some(value()?),
                    "x" => {
                        let text = value()?;
                        let address: IpAddr =
                            text.parse().map_err(|_| format!("Invalid IP address {text}"))?;
                        name = Some(Name::reverse(address).to_string());
                        kind = kind.or(Some(RecordType::PTR));
                    }
                    "4" => {}
                    _ => return Err(format!("Invalid option: -{letter}")),
                }
            } else if word.eq_ignore_ascii_case("IN") {
            } else if let (true, Ok(found)) = (kind.is_none(), word.parse()) {
                kind = Some(found);
            } else if name.is_none() {
                name = Some(word.clone());
            } else {
                return Err(format!("one name at a time: `{word}` is too much"));
            }
        }
        match name {
            Some(text) => {
                options.name = Name::complete(&text).map_err(|error| error.to_string())?
            }
            // `dig` alone asks for the root servers.
            None => kind = kind.or(Some(RecordType::NS)),
        }
        options.kind = kind.unwrap_or(RecordType::A);
        options.tcp |= options.kind == RecordType::AXFR;
        Ok(options)
    }

    fn plus(&mut self, text: &str) -> Result<(), String> {
        let unknown = || format!("Invalid option: +{text}");
        if let Some((name, value)) = text.split_once('=') {
            let number: u32 = value.parse().map_err(|_| unknown())?;
            match name {
                "time" | "timeout" => self.wait_ms = u64::from(number.max(1)) * 1000,
                "tries" => self.tries = number.max(1),
                "retry" => self.tries = number + 1,
                "bufsize" => self.size = u16::try_from(number).map_err(|_| unknown())?,
                "edns" => self.edns = true,
                _ => return Err(unknown()),
            }
            return Ok(());
        }
        let (name, on) = match text.strip_prefix("no") {
            Some(name) => (name, false),
            None => (text, true),
        };
        let exact = SWITCHES.iter().find(|known| **known == name);
        let mut begin = SWITCHES.iter().filter(|known| known.starts_with(name) && name.len() > 2);
        let known = exact
            .or_else(|| begin.next().filter(|_| begin.next().is_none()))
            .ok_or_else(unknown)?;
        match *known {
            "short" => self.short = on,
            "all" => self.show = Show::all(on),
            "cmd" => self.show.cmd = on,
            "comments" => self.show.comments = on,
            "question" => self.show.question = on,
            "answer" => self.show.answer = on,
            "authority" => self.show.authority = on,
            "additional" => self.show.additional = on,
            "stats" => self.show.stats = on,
            "tcp" | "vc" => self.tcp = on,
            "recurse" | "rdflag" => self.recursion = on,
            "dnssec" | "do" => self.dnssec = on,
            "trace" => self.trace = on,
            _ => self.edns = on,
        }
        if self.short {
            self.show.cmd = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        Options::read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_stand_in_any_order() {
        let options = read("@10.0.0.1 mail.com MX +norec +noall +answer -p 5353").unwrap();
        assert_eq!(options.kind, RecordType::MX);
        assert_eq!((options.server.as_deref(), options.port), (Some("10.0.0.1"), 5353));
        assert!(!options.recursion && options.show.answer && !options.show.stats);
        assert_eq!(read("MX mail.com").unwrap().name.short(), "mail.com");
        assert_eq!(read("-x 192.168.1.2").unwrap().name.short(), "2.1.168.192.in-addr.arpa");
        assert_eq!(read("").unwrap().kind, RecordType::NS);
        let short = read("+short mail.com").unwrap();
        assert!(short.short && !short.show.cmd);
        assert_eq!(read("+time=2 +tries=1 a").unwrap().wait_ms, 2000);
        for bad in ["+foo a", "-z a", "a..b", "x y", "-x y", "-p"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
