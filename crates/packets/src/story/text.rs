//! Dialogues line by line: SMTP, POP3, IMAP, HTTP. Long texts (a message, a list, a page) become
//! one thing said, with the text as its detail. Passwords are masked.

use crate::dissect::Application;

/// The longest line kept, in bytes.
const MAX_LINE: usize = 8 << 10;
/// The lines of a long text that are kept.
const MAX_DETAIL: usize = 200;
/// Lines that a server may say at once before the rest is only counted.
const MAX_FRAMES: usize = 2_000;

/// Something that one side said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Whether the client said it.
    pub client: bool,
    /// What, one line.
    pub text: String,
    /// Further lines.
    pub detail: Vec<String>,
    /// The frames that brought it.
    pub frames: Vec<usize>,
    /// Whether it is a refusal.
    pub failed: bool,
    /// Whether it happened inside the one that said it: the message is stored.
    pub inside: bool,
    /// The command that it answers, upper case.
    pub answers: String,
}

/// What a side is in the middle of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// Lines.
    #[default]
    Lines,
    /// A text that ends with a dot alone.
    Dots(Said, usize),
    /// A multi-line reply of SMTP.
    Reply(Said),
    /// So many bytes.
    Bytes(Said, usize),
    /// Header fields of HTTP.
    Fields(Said, usize),
}

#[derive(Clone, Debug, Default)]
struct Side {
    buffer: Vec<u8>,
    frames: Vec<usize>,
    mode: Mode,
}

/// A dialogue.
#[derive(Clone, Debug)]
pub struct Talk {
    application: Option<Application>,
    sides: [Side; 2],
    /// The last command of the client, upper case.
    command: String,
    /// Whether the next client lines are secrets (AUTH), and how many.
    secrets: u8,
    /// Whether SMTP's message is over and its reply is awaited.
    delivered: bool,
}

impl Talk {
    /// A dialogue in a protocol.
    pub fn new(application: Option<Application>) -> Self {
        Self {
            application,
            sides: Default::default(),
            command: String::new(),
            secrets: 0,
            delivered: false,
        }
    }

    /// Its protocol; `tcp` where it is not known.
    pub fn protocol(&self) -> &'static str {
        self.application.map_or("tcp", |application| application.name)
    }

    /// Whether a TLS hello can come now: at the beginning, or after STARTTLS.
    pub fn may_be_tls(&self) -> bool {
        self.command.is_empty() || matches!(self.command.as_str(), "STARTTLS" | "STLS")
    }

    /// What comes from now on was decrypted: it can be read like a dialogue in the clear.
    pub fn decrypted(&mut self) {
        if let Some(application) = &mut self.application {
            application.tls = false;
        }
    }

    /// Hears bytes of one side; gives what was said whole.
    pub fn hear(&mut self, client: bool, bytes: &[u8], frames: &[usize]) -> Vec<Said> {
        let side = usize::from(!client);
        let lines =
            self.application.is_some_and(|application| application.lines && !application.tls);
        if !lines {
            return vec![Said {
                client,
                text: format!("sends {} bytes", bytes.len()),
                frames: frames.to_vec(),
                ..Said::default()
            }];
        }
        let mut said = Vec::new();
        {
            let here = &mut self.sides[side];
            here.buffer.extend_from_slice(bytes);
            let room = MAX_FRAMES.saturating_sub(here.frames.len());
            here.frames.extend(frames.iter().take(room));
        }
        loop {
            let mode = std::mem::take(&mut self.sides[side].mode);
            if let Mode::Bytes(mut text, left) = mode {
                let here = &mut self.sides[side];
                let n = left.min(here.buffer.len());
                let taken: Vec<u8> = here.buffer.drain(..n).collect();
                text.frames.extend(&here.frames);
                keep(&mut text.detail, &taken);
                if left > n {
                    here.mode = Mode::Bytes(text, left - n);
                    here.frames.clear();
                    return said;
                }
                said.push(text);
                continue;
            }
            self.sides[side].mode = mode;
            let here = &mut self.sides[side];
            let Some(end) = here.buffer.iter().position(|byte| *byte == b'\n') else {
                if here.buffer.len() > MAX_LINE {
                    here.buffer.clear();
                }
                return said;
            };
            let line: Vec<u8> = here.buffer.drain(..=end).collect();
            let frames = here.frames.clone();
            if here.buffer.is_empty() {
                here.frames.clear();
            }
            let line = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
            let spoken = self.line(client, &line, frames);
            if let Some(one) = &spoken
                && (one.client, one.failed, one.answers.as_str()) == (false, false, "message")
            {
                said.push(Said {
                    text: "puts the message on disk".into(),
                    frames: one.frames.clone(),
                    inside: true,
                    answers: "store".into(),
                    ..Said::default()
                });
            }
            said.extend(spoken);
        }
    }

    /// What was begun and never ended.
    pub fn end(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        for side in &mut self.sides {
            match std::mem::take(&mut side.mode) {
                Mode::Dots(text, _)
                | Mode::Reply(text)
                | Mode::Bytes(text, _)
                | Mode::Fields(text, _) => {
                    said.push(text);
                }
                Mode::Lines => {}
            }
        }
        said
    }

    fn line(&mut self, client: bool, line: &str, frames: Vec<usize>) -> Option<Said> {
        let side = usize::from(!client);
        match std::mem::take(&mut self.sides[side].mode) {
            Mode::Dots(mut text, count) => {
                text.frames.extend(frames);
                if line == "." {
                    text.text = format!("{} ({count} lines)", text.text);
                    if client {
                        self.delivered = true;
                    }
                    return Some(text);
                }
                if text.detail.len() < MAX_DETAIL {
                    text.detail.push(shown(line));
                }
                self.sides[side].mode = Mode::Dots(text, count + 1);
                return None;
            }
            Mode::Fields(mut text, length) => {
                text.frames.extend(frames);
                return self.http_field(client, text, length, line);
            }
            Mode::Reply(mut text) => {
                text.frames.extend(frames);
                text.detail.push(shown(line));
                if line.as_bytes().get(3) == Some(&b'-') {
                    self.sides[side].mode = Mode::Reply(text);
                    return None;
                }
                return Some(text);
            }
            Mode::Lines | Mode::Bytes(..) => {}
        }
        let mut said = Said {
            client,
            text: shown(line),
            frames,
            answers: self.command.clone(),
            ..Said::default()
        };
        match self.protocol() {
            "smtp" => self.smtp(said, line),
            "pop3" => self.pop3(said, line),
            "imap" => self.imap(said, line),
            "http" => self.http(said, line),
            _ => {
                said.text = shown(line);
                Some(said)
            }
        }
    }

    fn smtp(&mut self, mut said: Said, line: &str) -> Option<Said> {
        if said.client {
            if self.secrets > 0 {
                self.secrets -= 1;
                said.text = "********".into();
                return Some(said);
            }
            self.command = verb(line);
            if self.command == "AUTH" {
                let words: Vec<&str> = line.split(' ').collect();
                said.text = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
                if words.len() > 2 {
                    said.text.push_str(" ********");
                }
            }
            return Some(said);
        }
        said.failed = line.starts_with(['4', '5']);
        if line.starts_with("334") {
            self.secrets = 1;
        }
        if line.starts_with("354") {
            let message = Said {
                client: true,
                text: "the message".into(),
                answers: "DATA".into(),
                ..Said::default()
            };
            self.sides[0].mode = Mode::Dots(message, 0);
        }
        if self.delivered {
            self.delivered = false;
            said.answers = "message".into();
        }
        if line.as_bytes().get(3) == Some(&b'-') {
            self.sides[1].mode = Mode::Reply(said);
            return None;
        }
        Some(said)
    }

    fn pop3(&mut self, mut said: Said, line: &str) -> Option<Said> {
        if said.client {
            if self.secrets > 0 {
                self.secrets -= 1;
                said.text = "********".into();
                return Some(said);
            }
            self.command = verb(line);
            match self.command.as_str() {
                "PASS" => said.text = "PASS ********".into(),
                "APOP" | "AUTH" => {
                    let first: Vec<&str> = line.split(' ').take(2).collect();
                    said.text = format!("{} ********", first.join(" "));
                }
                // LIST and UIDL with a number have a short answer.
                "LIST" | "UIDL" if line.trim().contains(' ') => self.command.push_str(" N"),
                _ => {}
            }
            return Some(said);
        }
        said.failed = line.starts_with("-ERR");
        if line.starts_with("+ ") || line == "+" {
            self.secrets = 1;
        }
        let long = match self.command.as_str() {
            "RETR" => Some("the message"),
            "TOP" => Some("the head of the message"),
            "LIST" | "UIDL" => Some("the list"),
            "CAPA" => Some("what it can do"),
            _ => None,
        };
        if let Some(what) = long
            && line.starts_with("+OK")
        {
            let text = Said { text: what.into(), answers: self.command.clone(), ..Said::default() };
            self.sides[1].mode = Mode::Dots(text, 0);
        }
        Some(said)
    }

    fn imap(&mut self, mut said: Said, line: &str) -> Option<Said> {
        let literal = literal(line);
        if said.client {
            let mut words = line.split(' ');
            let tag = words.next().unwrap_or_default();
            let command = words.next().unwrap_or_default().to_ascii_uppercase();
            if self.secrets > 0 {
                self.secrets -= 1;
                said.text = "********".into();
                return Some(said);
            }
            self.command.clone_from(&command);
            if command == "UID" {
                self.command = words.next().unwrap_or_default().to_ascii_uppercase();
            }
            match command.as_str() {
                "LOGIN" => {
                    said.text =
                        format!("{tag} LOGIN {} ********", words.next().unwrap_or_default());
                }
                "AUTHENTICATE" => {
                    said.text = format!("{tag} AUTHENTICATE {}", words.next().unwrap_or_default());
                    if words.next().is_some() {
                        said.text.push_str(" ********");
                    }
                }
                _ => {}
            }
            if let Some(n) = literal {
                let text = Said {
                    client: true,
                    text: format!("a text of {n} bytes"),
                    answers: self.command.clone(),
                    ..Said::default()
                };
                self.sides[0].mode = Mode::Bytes(text, n);
            }
            return Some(said);
        }
        let status = line.split(' ').nth(1).unwrap_or_default();
        said.failed = !line.starts_with('+') && matches!(status, "NO" | "BAD");
        if line.starts_with('+') && self.command == "AUTHENTICATE" {
            self.secrets = 1;
        }
        if let Some(n) = literal {
            let text = Said {
                text: format!("a text of {n} bytes"),
                answers: self.command.clone(),
                ..Said::default()
            };
            self.sides[1].mode = Mode::Bytes(text, n);
        }
        Some(said)
    }

    fn http(&mut self, said: Said, line: &str) -> Option<Said> {
        // What is neither a request nor a status line is the rest of a body of unknown length.
        let begins = if said.client { line.contains(" HTTP/") } else { line.starts_with("HTTP/") };
        if !begins {
            return None;
        }
        let side = usize::from(!said.client);
        let mut said = said;
        if said.client {
            self.command = verb(line);
        } else {
            said.failed = line.split(' ').nth(1).is_some_and(|code| code.starts_with(['4', '5']));
        }
        self.sides[side].mode = Mode::Fields(said, 0);
        None
    }

    fn http_field(
        &mut self,
        client: bool,
        mut text: Said,
        mut length: usize,
        line: &str,
    ) -> Option<Said> {
        let side = usize::from(!client);
        if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            }
            let secret =
                name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("cookie");
            let value = if secret { " ********" } else { value };
            if text.detail.len() < MAX_DETAIL {
                text.detail.push(shown(&format!("{name}:{value}")));
            }
        }
        if !line.is_empty() {
            self.sides[side].mode = Mode::Fields(text, length);
            return None;
        }
        let bodyless = !client && self.command == "HEAD";
        if length > 0 && !bodyless {
            let what = if client { "the form" } else { "the page" };
            let body = Said {
                client,
                text: format!("{what}, {length} bytes"),
                answers: self.command.clone(),
                ..Said::default()
            };
            self.sides[side].mode = Mode::Bytes(body, length);
        }
        Some(text)
    }
}

/// The first word in capitals.
fn verb(line: &str) -> String {
    line.split(' ').next().unwrap_or_default().to_ascii_uppercase()
}

/// The literal that a line of IMAP announces.
fn literal(line: &str) -> Option<usize> {
    let inner = line.strip_suffix('}')?;
    let digits = inner.rsplit_once('{')?.1.trim_end_matches('+');
    digits.parse().ok()
}

fn keep(detail: &mut Vec<String>, bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        if detail.len() >= MAX_DETAIL {
            return;
        }
        detail.push(shown(line));
    }
}

fn shown(line: &str) -> String {
    crate::dissect::shown(line.as_bytes())
}

#[cfg(test)]
mod tests;
