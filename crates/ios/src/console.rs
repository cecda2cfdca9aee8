//! The console: lines go in, text and a prompt come out.

use crate::commands::{self, Mode};
use crate::config::RouterConfig;
use crate::grammar::{Atom, Mismatch, Token, tokens};
use crate::names::Names;
use crate::parse::nearest_keyword;
use crate::show;
use crate::system::{Clear, Echo, System};

/// Lines kept for `show history`.
const HISTORY: usize = 20;

/// What a line brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The text, with a line end after each line; empty where there is none.
    pub text: String,
    /// The prompt for the next line.
    pub prompt: String,
    /// Whether the user logged out.
    pub closed: bool,
    /// Whether the line was refused.
    pub failed: bool,
}

/// A console on a router.
#[derive(Clone, Debug)]
pub struct Console {
    mode: Mode,
    config: RouterConfig,
    names: Names,
    history: Vec<String>,
    startup: String,
}

enum Done {
    Text(String),
    Refused(String),
    Closed,
}

impl Console {
    /// A console of a router with this configuration and these links, in user mode.
    pub fn new(mut config: RouterConfig, names: Names) -> Self {
        config.complete(&names);
        let startup = config.running_config();
        Self { mode: Mode::User, config, names, history: Vec::new(), startup }
    }

    /// The running configuration.
    pub fn config(&self) -> &RouterConfig {
        &self.config
    }

    /// The mode.
    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// The prompt.
    pub fn prompt(&self) -> String {
        let name = if self.config.hostname.is_empty() { "Router" } else { &self.config.hostname };
        format!("{name}{}", self.mode.prompt())
    }

    /// Takes the configuration as another session has left it.
    pub fn follow(&mut self, config: RouterConfig) {
        self.config = config;
        self.config.complete(&self.names);
    }

    /// Back to user mode: a new session begins.
    pub fn restart(&mut self) {
        self.mode = Mode::User;
    }

    /// Runs one privileged line outside of the session: its mode stays as it is.
    pub async fn once(&mut self, line: &str, system: &dyn System) -> Output {
        let mode = std::mem::replace(&mut self.mode, Mode::Enable);
        let output = self.line(line, system).await;
        self.mode = mode;
        output
    }

    /// Runs one line as typed. A line that ends in `?` is a question, not a command.
    pub async fn line(&mut self, line: &str, system: &dyn System) -> Output {
        let line: String = line.chars().filter(|c| !c.is_control()).take(1024).collect();
        let prompt = self.prompt();
        let done = if let Some(question) = line.trim_end().strip_suffix('?') {
            Done::Text(self.help(question))
        } else {
            if !line.trim().is_empty() {
                self.history.push(line.trim().to_owned());
                let spare = self.history.len().saturating_sub(HISTORY);
                self.history.drain(..spare);
            }
            self.run(&line, &prompt, system).await
        };
        let (text, closed, failed) = match done {
            Done::Text(text) => (text, false, false),
            Done::Refused(text) => (text, false, true),
            Done::Closed => (String::new(), true, false),
        };
        if closed {
            self.mode = Mode::User;
        }
        Output { text, prompt: self.prompt(), closed, failed }
    }

    async fn run(&mut self, line: &str, prompt: &str, system: &dyn System) -> Done {
        let words = tokens(line);
        let Some(first) = words.first() else { return Done::Text(String::new()) };
        if first.text.starts_with('!') {
            return Done::Text(String::new());
        }
        if !self.mode.configures() {
            return self.exec(line, 0, prompt, system).await;
        }
        let lower = first.text.to_ascii_lowercase();
        if lower == "do" && words.len() > 1 {
            let start = words[1].start;
            let rest: String = line.chars().skip(start).collect();
            let mode = std::mem::replace(&mut self.mode, Mode::Enable);
            let done = self.exec(&rest, start, prompt, system).await;
            self.mode = mode;
            return done;
        }
        if words.len() == 1 {
            match lower.as_str() {
                "end" => {
                    self.mode = Mode::Enable;
                    return Done::Text(String::new());
                }
                "exit" | "exi" | "ex" => {
                    self.mode = match &self.mode {
                        Mode::Global => Mode::Enable,
                        Mode::Key(chain, _) => Mode::KeyChain(chain.clone()),
                        _ => Mode::Global,
                    };
                    return Done::Text(String::new());
                }
                _ => {}
            }
        }
        let mut trial = self.config.clone();
        match trial.apply_line(&self.mode, line, &self.names) {
            Ok(mode) => {
                if trial != self.config
                    && let Err(why) = system.apply(&trial).await
                {
                    return Done::Refused(format!("% {why}\n"));
                }
                self.config = trial;
                self.mode = mode;
                Done::Text(String::new())
            }
            Err(wrong) => {
                let near = wrong
                    .nearest
                    .map(|near| format!("% Nearest command: {near}\n"))
                    .unwrap_or_default();
                let caret = marker(prompt.chars().count() + wrong.column);
                if wrong.message.contains("too early") {
                    return Done::Refused(format!("% Incomplete command.\n{near}"));
                }
                Done::Refused(format!(
                    "{caret}% Invalid input detected at '^' marker.\n% {}\n{near}",
                    wrong.message
                ))
            }
        }
    }

    /// Runs a line of the user or enable mode; `shift` is where it begins on the screen's line.
    async fn exec(&mut self, line: &str, shift: usize, prompt: &str, system: &dyn System) -> Done {
        let (command, filter) = match line.split_once(" | ") {
            Some((command, filter)) => (command, Some(filter)),
            None => (line, None),
        };
        let words = tokens(command);
        let automaton = &commands::of(&self.mode).plain;
        let words = match automaton.matched(&words, &self.names) {
            Ok(found) => found.words,
            Err(why) => {
                return Done::Refused(self.mismatch(&why, &words, prompt.chars().count() + shift));
            }
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let done = match words[..] {
            ["show", ..] => match show::show(&words[1..], self, system).await {
                Ok(text) => Done::Text(text),
                Err(why) => Done::Refused(format!("% {why}\n")),
            },
            ["enable"] => {
                self.mode = Mode::Enable;
                Done::Text(String::new())
            }
            ["disable"] => {
                self.mode = Mode::User;
                Done::Text(String::new())
            }
            ["exit" | "logout"] => Done::Closed,
            ["configure", ..] => {
                self.mode = Mode::Global;
                Done::Text("Enter configuration commands, one per line.  End with CNTL/Z.\n".into())
            }
            ["ping", target, ref rest @ ..] => ping(target, rest, system).await,
            ["traceroute", target] => traceroute(target, system).await,
            ["clear", ref what @ ..] => clear(what, system).await,
            ["write", ..] | ["copy", ..] => {
                self.startup = self.config.running_config();
                match system.save(&self.config).await {
                    Ok(()) => Done::Text("Building configuration...\n[OK]\n".into()),
                    Err(why) => Done::Refused(format!("% {why}\n")),
                }
            }
            _ => Done::Text(String::new()),
        };
        match (done, filter) {
            (Done::Text(text), Some(filter)) => match filtered(&text, filter) {
                Some(text) => Done::Text(text),
                None => Done::Refused(
                    "% After | write include, exclude, begin or section, and a text\n".into(),
                ),
            },
            (done, _) => done,
        }
    }

    fn mismatch(&self, why: &Mismatch, words: &[Token], shift: usize) -> String {
        match why {
            Mismatch::Ambiguous(at, _) => {
                let typed: Vec<&str> =
                    words[..=*at].iter().map(|word| word.text.as_str()).collect();
                format!("% Ambiguous command:  \"{}\"\n", typed.join(" "))
            }
            Mismatch::Incomplete(_) => "% Incomplete command.\n".into(),
            Mismatch::Invalid(at, atoms) => {
                let caret = marker(shift + words[*at].start);
                let before: Vec<&str> =
                    words[..*at].iter().map(|word| word.text.as_str()).collect();
                let configures = Mode::every().into_iter().find(|m| {
                    *at == 0 && commands::of(m).plain.matched(words, &self.names).is_ok()
                });
                let near = match (configures, nearest_keyword(&words[*at].text, atoms)) {
                    (Some(mode), _) => format!(
                        "% This is a configuration command: first type {}\n",
                        path_to(&mode)
                    ),
                    (None, Some(word)) => {
                        let space = if before.is_empty() { "" } else { " " };
                        format!("% Nearest command: {}{space}{word}\n", before.join(" "))
                    }
                    (None, None) if *at == 0 && self.mode == Mode::User => {
                        "% More commands are there after: enable\n".into()
                    }
                    (None, None) => String::new(),
                };
                format!("{caret}% Invalid input detected at '^' marker.\n{near}")
            }
        }
    }

    /// Answers `?`: what may stand here.
    fn help(&self, question: &str) -> String {
        let words = tokens(question);
        let partial = !question.is_empty() && !question.ends_with(' ');
        let (known, begun) = match words.split_last() {
            Some((last, known)) if partial => (known, Some(last.text.as_str())),
            _ => (&words[..], None),
        };
        let (automata, known) = self.automata(known);
        let mut lines: Vec<(String, &'static str)> = Vec::new();
        let mut ends = false;
        for automaton in automata {
            ends |= !known.is_empty() && automaton.may_end(known, &self.names);
            for (atom, _) in automaton.expected(known, &self.names).unwrap_or_default() {
                let shown = atom.shown();
                let fits = begun.is_none_or(|begun| {
                    matches!(&atom, Atom::Keyword(word) if word.to_ascii_lowercase().starts_with(&begun.to_ascii_lowercase()))
                });
                if fits && !lines.iter().any(|(other, _)| *other == shown) {
                    let help = commands::help(&shown);
                    lines.push((shown, help));
                }
            }
        }
        if known.is_empty() && self.mode.configures() {
            for word in ["no", "do", "exit", "end"] {
                if begun.is_none_or(|begun| word.starts_with(begun)) {
                    lines.push((word.into(), commands::help(word)));
                }
            }
        }
        lines.sort();
        if begun.is_some() && !lines.is_empty() {
            let words: Vec<&str> = lines.iter().map(|(word, _)| word.as_str()).collect();
            return format!("{}\n", words.join("  "));
        }
        let mut text = String::new();
        for (word, help) in lines {
            text += format!("  {word:<20} {help}").trim_end();
            text.push('\n');
        }
        if ends {
            text += "  <cr>\n";
        }
        if text.is_empty() { "% Unrecognized command\n".into() } else { text }
    }

    /// The automata that know what follows these words, and the words left after `no` or `do`.
    fn automata<'a>(
        &self,
        words: &'a [Token],
    ) -> (Vec<&'static crate::grammar::Automaton>, &'a [Token]) {
        let here = commands::of(&self.mode);
        if !self.mode.configures() {
            return (vec![&here.plain], words);
        }
        match words.first().map(|word| word.text.to_ascii_lowercase()).as_deref() {
            Some("no") => (vec![&here.negated], &words[1..]),
            Some("do") => (vec![&commands::of(&Mode::Enable).plain], &words[1..]),
            _ => (vec![&here.plain], words),
        }
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn history(&self) -> &[String] {
        &self.history
    }

    pub(crate) fn startup(&self) -> &str {
        &self.startup
    }
}

fn marker(column: usize) -> String {
    format!("{:column$}^\n", "")
}

fn path_to(mode: &Mode) -> String {
    match mode {
        Mode::Global => "configure terminal".into(),
        mode => format!("configure terminal, then {}", mode.opener()),
    }
}

/// `| include X`, `| exclude X`, `| begin X`, `| section X`.
fn filtered(text: &str, filter: &str) -> Option<String> {
    let (verb, wanted) = filter.trim().split_once(' ')?;
    let wanted = wanted.trim();
    let is = |name: &str| !verb.is_empty() && name.starts_with(&verb.to_ascii_lowercase());
    let mut inside = false;
    let keep = |line: &&str| {
        let found = line.contains(wanted);
        if is("include") {
            return found;
        }
        if is("exclude") {
            return !found;
        }
        if is("begin") {
            inside |= found;
        } else {
            inside = if line.starts_with(' ') { inside } else { found };
        }
        inside
    };
    if !["include", "exclude", "begin", "section"].iter().any(|name| is(name)) {
        return None;
    }
    Some(text.lines().filter(keep).flat_map(|line| [line, "\n"]).collect())
}

async fn target(text: &str, system: &dyn System) -> Result<std::net::Ipv4Addr, Done> {
    match text.parse() {
        Ok(address) => Ok(address),
        Err(_) => system.resolve(text).await.ok_or_else(|| {
            Done::Refused(format!("Translating \"{text}\"...\n% Unrecognized host or address, or protocol not running.\n"))
        }),
    }
}

async fn ping(to: &str, rest: &[&str], system: &dyn System) -> Done {
    let value = |name: &str, default: u32| {
        let at = rest.iter().position(|word| *word == name);
        at.and_then(|at| rest.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let (count, size) = (value("repeat", 5), value("size", 100));
    let address = match target(to, system).await {
        Ok(address) => address,
        Err(done) => return done,
    };
    let echoes = system.ping(address, count, size).await;
    let marks: String = echoes
        .iter()
        .map(|echo| match echo {
            Echo::Reply(_) => '!',
            Echo::Timeout => '.',
            Echo::Unreachable => 'U',
        })
        .collect();
    let times: Vec<u128> = echoes
        .iter()
        .filter_map(|echo| match echo {
            Echo::Reply(time) => Some(time.as_millis()),
            _ => None,
        })
        .collect();
    let (good, all) = (times.len(), echoes.len().max(1));
    let mut text = format!(
        "\nType escape sequence to abort.\nSending {count}, {size}-byte ICMP Echos to {address}, timeout is 2 seconds:\n{marks}\nSuccess rate is {} percent ({good}/{count})",
        good * 100 / all
    );
    if let (Some(min), Some(max)) = (times.iter().min(), times.iter().max()) {
        let average = times.iter().sum::<u128>() / good as u128;
        text += &format!(", round-trip min/avg/max = {min}/{average}/{max} ms");
    }
    text += "\n\n";
    if good > 0 { Done::Text(text) } else { Done::Refused(text) }
}

async fn traceroute(to: &str, system: &dyn System) -> Done {
    let address = match target(to, system).await {
        Ok(address) => address,
        Err(done) => return done,
    };
    let mut text = format!("Type escape sequence to abort.\nTracing the route to {address}\n\n");
    for (index, hop) in system.traceroute(address).await.iter().enumerate() {
        let who = hop.address.map(|address| address.to_string()).unwrap_or_default();
        let times: Vec<String> = hop
            .times
            .iter()
            .map(|time| match time {
                Some(time) => format!("{} msec", time.as_millis()),
                None => "*".into(),
            })
            .collect();
        text += format!("{:>3}   {who:<15} {}", index + 1, times.join("    ")).trim_end();
        text.push('\n');
    }
    Done::Text(text)
}

async fn clear(what: &[&str], system: &dyn System) -> Done {
    let one = |text: &str| text.parse().ok();
    let what = match what {
        ["ip", "dhcp", "binding", which] => Clear::Bindings(one(which)),
        ["ip", "dhcp", "conflict", which] => Clear::Conflicts(one(which)),
        ["access-list", "counters", rest @ ..] => {
            Clear::Counters(rest.first().map(|name| name.to_string()))
        }
        ["ip", "nat", ..] => Clear::Translations,
        ["ip", "route", ..] => Clear::Routes,
        _ => Clear::Arp,
    };
    match system.clear(what).await {
        Ok(()) => Done::Text(String::new()),
        Err(why) => Done::Refused(format!("% {why}\n")),
    }
}

#[cfg(test)]
#[path = "console_tests.rs"]
mod tests;
