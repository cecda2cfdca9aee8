//! Cuts the byte stream of a client into commands with their literals (RFC 3501, 4.3; RFC 7888).

/// The longest line of a command without its literals, in bytes.
pub const MAX_LINE: usize = 64 << 10;
/// The largest literal of any command but APPEND, in bytes.
pub const MAX_LITERAL: u64 = 1 << 20;
/// The most that all literals and lines of a command other than APPEND may hold together.
const MAX_COMMAND: usize = 4 << 20;
/// The largest literal without a question (LITERAL+) that is read only to be thrown away.
const MAX_SKIP: u64 = 256 << 20;

/// What a connection may send now.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a literal of APPEND.
    pub message: u64,
    /// Bytes of any other literal.
    pub literal: u64,
}

/// What there is to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// More bytes are needed.
    Need,
    /// A literal is announced: say `+`.
    Continue,
    /// A whole command, literals within as `{n}CRLF` and bytes, without the last line end.
    Command(Vec<u8>),
    /// A command that is not taken; what belongs to it was thrown away.
    Refused {
        /// Its tag; `*` where it has none.
        tag: String,
        /// Why.
        why: &'static str,
    },
    /// Nothing sensible can follow: close.
    Hopeless(&'static str),
}

/// The state of the cutting.
#[derive(Debug, Default)]
pub struct Framer {
    input: Vec<u8>,
    /// How far `input` was searched for a line end.
    searched: usize,
    /// The command so far.
    command: Vec<u8>,
    /// Bytes of a literal that are still missing.
    literal: u64,
    /// Bytes of a refused literal that are still to be thrown away, and what is said then.
    skipping: Option<(u64, String, &'static str)>,
    /// A refused command whose line still has to end.
    refused: Option<(String, &'static str)>,
}

impl Framer {
    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Whether bytes wait that were not looked at.
    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Throws away what waits: plain text that came before TLS.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next step; `raw` where one bare line is expected (SASL, DONE).
    pub fn next(&mut self, limits: Limits, raw: bool) -> Step {
        loop {
            if let Some((left, tag, why)) = self.skipping.take() {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len());
                self.input.drain(..here);
                self.searched = 0;
                let left = left - here as u64;
                if left > 0 {
                    self.skipping = Some((left, tag, why));
                    return Step::Need;
                }
                self.refused = Some((tag, why));
            }
            if self.literal > 0 {
                let here =
                    usize::try_from(self.literal).unwrap_or(usize::MAX).min(self.input.len());
                self.command.extend(self.input.drain(..here));
                self.searched = 0;
                self.literal -= here as u64;
                if self.literal > 0 {
                    return Step::Need;
                }
            }
            let Some(at) = self.input[self.searched..].iter().position(|byte| *byte == b'\n')
            else {
                self.searched = self.input.len();
                if self.input.len() > MAX_LINE {
                    return Step::Hopeless("a line is too long");
                }
                return Step::Need;
            };
            let end = self.searched + at;
            self.searched = 0;
            let mut line: Vec<u8> = self.input.drain(..=end).collect();
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if line.len() > MAX_LINE {
                return Step::Hopeless("a line is too long");
            }
            if let Some((tag, why)) = self.refused.take() {
                // The rest of a refused command may announce a further literal.
                match announced(&line) {
                    Some((n, true)) if n <= MAX_SKIP => {
                        self.skipping = Some((n, tag, why));
                        continue;
                    }
                    Some((_, true)) => return Step::Hopeless(why),
                    _ => return Step::Refused { tag, why },
                }
            }
            self.command.extend_from_slice(&line);
            let announced = if raw { None } else { announced(&line) };
            let Some((length, unasked)) = announced else {
                return Step::Command(std::mem::take(&mut self.command));
            };
            if length == u64::MAX && unasked {
                return Step::Hopeless("the literal is too large");
            }
            let append = verb(&self.command).eq_ignore_ascii_case(b"APPEND");
            let limit = if append { limits.message.max(limits.literal) } else { limits.literal };
            let why = if length > limit {
                Some("the literal is too large")
            } else if !append && self.command.len() as u64 + length > MAX_COMMAND as u64 {
                Some("the command is too long")
            } else {
                None
            };
            if let Some(why) = why {
                let tag = tag(&self.command);
                self.command = Vec::new();
                if !unasked {
                    // Without a `+` the client does not send it.
                    return Step::Refused { tag, why };
                }
                if length > MAX_SKIP {
                    return Step::Hopeless(why);
                }
                self.skipping = Some((length, tag, why));
                continue;
            }
            self.command.extend_from_slice(b"\r\n");
            // Once, and not twice as much as is needed.
            self.command.reserve_exact(usize::try_from(length).unwrap_or(0));
            self.literal = length;
            if !unasked {
                return Step::Continue;
            }
        }
    }
}

/// The literal that a line announces: its length, and whether it comes without being asked for.
fn announced(line: &[u8]) -> Option<(u64, bool)> {
    let inner = line.strip_suffix(b"}")?;
    let start = inner.iter().rposition(|byte| *byte == b'{')?;
    let digits = &inner[start + 1..];
    let (digits, unasked) = match digits.strip_suffix(b"+") {
        Some(digits) => (digits, true),
        None => (digits, false),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // What no number can hold is too large like any other.
    let length = std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX);
    Some((length, unasked))
}

fn tag(command: &[u8]) -> String {
    let tag = command.split(|byte| *byte == b' ').next().unwrap_or_default();
    let good = !tag.is_empty() && tag.iter().all(|byte| super::cursor::is_atom(*byte));
    if good { String::from_utf8_lossy(tag).into_owned() } else { "*".to_owned() }
}

fn verb(command: &[u8]) -> &[u8] {
    command.split(|byte| *byte == b' ').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { message: 100, literal: 10 };

    fn steps(input: &[u8]) -> Vec<Step> {
        let mut framer = Framer::default();
        let mut steps = Vec::new();
        // Byte by byte: a cut anywhere must not matter.
        for byte in input {
            framer.push(&[*byte]);
            loop {
                match framer.next(LIMITS, false) {
                    Step::Need => break,
                    step => steps.push(step),
                }
            }
        }
        steps
    }

    #[test]
    fn rfc3501_4_3_literals_belong_to_the_command() {
        assert_eq!(
            steps(b"a LOGIN {2}\r\nab {0}\r\n\r\nb NOOP\n"),
            [
                Step::Continue,
                Step::Continue,
                Step::Command(b"a LOGIN {2}\r\nab {0}\r\n".to_vec()),
                Step::Command(b"b NOOP".to_vec())
            ]
        );
    }

    #[test]
    fn rfc7888_literals_without_a_question() {
        assert_eq!(
            steps(b"a LOGIN {2+}\r\n\r\n x\r\n"),
            [Step::Command(b"a LOGIN {2+}\r\n\r\n x".to_vec())]
        );
        let too_large = steps(b"a LOGIN {11+}\r\n01234567890 {3+}\r\nabc\r\nb NOOP\r\n");
        assert_eq!(
            too_large[0],
            Step::Refused { tag: "a".into(), why: "the literal is too large" }
        );
        assert_eq!(too_large[1], Step::Command(b"b NOOP".to_vec()));
        assert_eq!(steps(b"a LOGIN {11}\r\nb NOOP\r\n")[1], Step::Command(b"b NOOP".to_vec()));
        assert_eq!(steps(b"a APPEND x {100}\r\n"), [Step::Continue]);
    }

    #[test]
    fn endless_lines_are_hopeless() {
        let mut framer = Framer::default();
        framer.push(&vec![b'x'; MAX_LINE + 1]);
        assert!(matches!(framer.next(LIMITS, false), Step::Hopeless(_)));
        for huge in ["4294967295", "99999999999999999999"] {
            let sync = format!("a X {{{huge}}}\r\n");
            assert!(matches!(steps(sync.as_bytes())[..], [Step::Refused { .. }]));
            let unasked = format!("a X {{{huge}+}}\r\n");
            assert!(matches!(steps(unasked.as_bytes())[..], [Step::Hopeless(_)]));
        }
    }
}
