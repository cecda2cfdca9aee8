//! The bytes after DATA and BDAT: where the message ends, and what is wrong with it.
//!
//! Only CRLF.CRLF ends a message. A bare CR or LF does not, is noticed, and the message is refused
//! after its real end: so nothing inside a message is ever taken for a command (SMTP smuggling,
//! CVE-2023-51764).

use std::fs::File;
use std::io::Write;

use crate::store::Body;

/// Longer messages go to disk while they come in.
const IN_MEMORY: usize = 1 << 20;

/// Bounds of one message.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes in all.
    pub message: u64,
    /// Bytes of the header.
    pub header: u64,
    /// Bytes of a line, CRLF included.
    pub line: usize,
    /// Received lines.
    pub hops: usize,
    /// Whether bare CR and LF become CRLF instead of a refusal.
    pub lenient: bool,
}

/// What is wrong with a message; the first thing found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// More bytes than allowed.
    TooBig,
    /// A CR without LF or a LF without CR.
    BareNewline,
    /// A line with more bytes than allowed.
    LongLine,
    /// A header with more bytes than allowed.
    LongHeader,
    /// It has been through too many servers.
    Loop,
    /// The disk is full.
    Disk,
}

/// What was received.
pub struct Received {
    /// The bytes; empty where there is a problem.
    pub body: Body,
    /// How many came.
    pub size: u64,
    /// Why it cannot be taken.
    pub problem: Option<Problem>,
    /// Whether there are bytes above 127.
    pub eight_bit: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    LineStart,
    /// A dot that begins a line.
    Dot,
    /// That and a CR.
    DotCr,
    Middle,
    Cr,
}

/// Takes a message in.
pub struct Receiver {
    at: At,
    bounds: Bounds,
    memory: Vec<u8>,
    file: Option<File>,
    size: u64,
    line: usize,
    /// The first bytes of the present header line.
    start: Vec<u8>,
    in_header: bool,
    hops: usize,
    problem: Option<Problem>,
    eight_bit: bool,
}

/// The header name that counts for loops.
const RECEIVED: &[u8] = b"received:";

impl Receiver {
    /// At the start of a message, which is the start of a line.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            at: At::LineStart,
            bounds,
            memory: Vec::new(),
            file: None,
            size: 0,
            line: 0,
            start: Vec::with_capacity(RECEIVED.len()),
            in_header: true,
            hops: 0,
            problem: None,
            eight_bit: false,
        }
    }

    /// Takes bytes after DATA: how many were used, and whether the message has ended with them.
    /// `scratch` makes a file for a long message.
    pub fn data(
        &mut self,
        bytes: &[u8],
        scratch: &mut dyn FnMut() -> Option<File>,
    ) -> (usize, bool) {
        for (index, byte) in bytes.iter().copied().enumerate() {
            match (self.at, byte) {
                (At::LineStart, b'.') => self.at = At::Dot,
                (At::Dot, b'\r') => self.at = At::DotCr,
                (At::DotCr, b'\n') => {
                    self.spill(scratch);
                    return (index + 1, true);
                }
                (At::DotCr, byte) => {
                    self.bare(b'\r');
                    self.text(byte);
                }
                (_, byte) => self.text(byte),
            }
        }
        self.spill(scratch);
        (bytes.len(), false)
    }

    /// Takes bytes of BDAT: all of them belong to the message.
    pub fn chunk(&mut self, bytes: &[u8], scratch: &mut dyn FnMut() -> Option<File>) {
        for byte in bytes {
            self.text(*byte);
        }
        self.spill(scratch);
    }

    fn text(&mut self, byte: u8) {
        match (self.at, byte) {
            (At::Cr, b'\n') => {
                self.emit(b"\r\n");
                self.end_of_line();
                self.at = At::LineStart;
            }
            (At::Cr, b'\r') => self.bare(b'\r'),
            (At::Cr, byte) => {
                self.bare(b'\r');
                self.plain(byte);
            }
            (_, b'\r') => self.at = At::Cr,
            (_, b'\n') => {
                self.bare(b'\n');
                self.at = At::Middle;
            }
            (_, byte) => self.plain(byte),
        }
    }

    fn plain(&mut self, byte: u8) {
        self.at = At::Middle;
        self.eight_bit |= byte >= 0x80;
        if self.in_header && self.start.len() < RECEIVED.len() {
            self.start.push(byte.to_ascii_lowercase());
        }
        self.emit(&[byte]);
    }

    fn bare(&mut self, byte: u8) {
        if self.bounds.lenient {
            self.emit(b"\r\n");
            self.end_of_line();
        } else {
            self.wrong(Problem::BareNewline);
            self.emit(&[byte]);
        }
    }

    fn end_of_line(&mut self) {
        if self.line > self.bounds.line {
            self.wrong(Problem::LongLine);
        }
        if self.in_header {
            if self.line == 2 {
                self.in_header = false;
            }
            if self.start == RECEIVED {
                self.hops += 1;
                if self.hops > self.bounds.hops {
                    self.wrong(Problem::Loop);
                }
            }
            if self.size > self.bounds.header {
                self.wrong(Problem::LongHeader);
            }
            self.start.clear();
        }
        self.line = 0;
    }

    fn emit(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.line += bytes.len();
        if self.size > self.bounds.message {
            self.wrong(Problem::TooBig);
        }
        // A message that will be refused is not kept.
        if self.problem.is_none() {
            self.memory.extend_from_slice(bytes);
        }
    }

    fn wrong(&mut self, problem: Problem) {
        if self.problem.is_none() {
            self.problem = Some(problem);
            self.memory = Vec::new();
            self.file = None;
        }
    }

    fn spill(&mut self, scratch: &mut dyn FnMut() -> Option<File>) {
        if self.memory.len() < IN_MEMORY && self.file.is_none() {
            return;
        }
        if self.file.is_none() {
            self.file = scratch();
        }
        let written = self.file.as_mut().is_some_and(|file| file.write_all(&self.memory).is_ok());
        self.memory.clear();
        if !written {
            self.wrong(Problem::Disk);
        }
    }

    /// What is wrong so far.
    pub fn problem(&self) -> Option<Problem> {
        self.problem
    }

    /// The end.
    pub fn finish(mut self) -> Received {
        match self.at {
            // BDAT may end anywhere; a CR that waits for its LF is a bare one.
            At::Cr => self.bare(b'\r'),
            _ if self.line > self.bounds.line => self.wrong(Problem::LongLine),
            _ => {}
        }
        let body = match self.file.take() {
            Some(mut file) => {
                if file.write_all(&self.memory).is_err() {
                    self.problem = Some(Problem::Disk);
                }
                Body::File(file)
            }
            None => Body::Memory(std::mem::take(&mut self.memory)),
        };
        Received { body, size: self.size, problem: self.problem, eight_bit: self.eight_bit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { message: 1000, header: 500, line: 100, hops: 2, lenient: false };

    /// Feeds it in every way of splitting in two; the message, its problem, and what was left.
    fn receive(bytes: &[u8], bounds: Bounds) -> (Vec<u8>, Option<Problem>, Vec<u8>) {
        let mut results = Vec::new();
        for split in 0..=bytes.len() {
            let mut receiver = Receiver::new(bounds);
            let (used, done) = receiver.data(&bytes[..split], &mut || None);
            let (more, done) =
                if done { (0, true) } else { receiver.data(&bytes[split..], &mut || None) };
            assert!(done, "{:?} does not end", String::from_utf8_lossy(bytes));
            let received = receiver.finish();
            let Body::Memory(body) = received.body else { panic!("it is short") };
            let left = bytes[used + more..].to_vec();
            results.push((body, received.problem, left));
        }
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
        results.pop().unwrap()
    }

    #[test]
    fn dots_are_unstuffed_and_the_end_is_found() {
        for (sent, message, left) in [
            (".\r\n", "", ""),
            ("..x\r\n.\r\nQUIT", ".x\r\n", "QUIT"),
            ("a\r\n..\r\n.\r\n", "a\r\n.\r\n", ""),
            ("a.b\r\n.c\r\n.\r\n", "a.b\r\nc\r\n", ""),
            ("a\r\n\r\n.\r\n", "a\r\n\r\n", ""),
        ] {
            let (body, problem, rest) = receive(sent.as_bytes(), BOUNDS);
            assert_eq!((body, problem, rest), (message.into(), None, left.into()), "{sent:?}");
        }
    }

    #[test]
    fn no_other_end_of_line_ends_a_message_and_all_are_refused() {
        let ends = [
            "\n.\n",
            "\n.\r\n",
            "\r\n.\n",
            "\r\n.\r",
            "\r.\r",
            "\r.\r\n",
            "\n.\r",
            "\r\n.\r\r\n",
            "\n\n.\n\n",
            "\r\r\n.\r\n\r",
            "\n\r.\n\r",
        ];
        for end in ends {
            let sent = format!("a{end}MAIL FROM:<x@y.test>\r\n.\r\nQUIT\r\n");
            let (body, problem, left) = receive(sent.as_bytes(), BOUNDS);
            // `\r\r\n.\r\n` holds a true end; what comes after a true end is a command.
            if end.contains("\r\n.\r\n") {
                continue;
            }
            assert_eq!(problem, Some(Problem::BareNewline), "{end:?}");
            assert_eq!((body, left), (Vec::new(), b"QUIT\r\n".to_vec()), "{end:?}");
        }
    }

    #[test]
    fn lenient_makes_crlf_of_them_but_they_do_not_end_it() {
        let bounds = Bounds { lenient: true, ..BOUNDS };
        let (body, problem, _) = receive(b"a\nb\rc\n.\nd\r\n.\r\n", bounds);
        assert_eq!(problem, None);
        assert_eq!(body, b"a\r\nb\r\nc\r\n.\r\nd\r\n");
    }

    #[test]
    fn bounds_are_kept_and_the_true_end_is_found_all_the_same() {
        let long = "x".repeat(99);
        let many = "abc\r\n".repeat(300);
        let header = "A: bcdefgh\r\n".repeat(60);
        for (sent, problem) in [
            (format!("{long}\r\n.\r\nQUIT"), Problem::LongLine),
            (format!("\r\n{many}.\r\nQUIT"), Problem::TooBig),
            (format!("{header}\r\n.\r\nQUIT"), Problem::LongHeader),
            ("Received: a\r\n".repeat(3) + "\r\n.\r\nQUIT", Problem::Loop),
        ] {
            let (_, found, left) = receive(sent.as_bytes(), BOUNDS);
            assert_eq!((found, left), (Some(problem), b"QUIT".to_vec()));
        }
        // In the body it is text.
        let text = format!("\r\n{}.\r\n", "Received: a\r\n".repeat(3));
        assert_eq!(receive(text.as_bytes(), BOUNDS).1, None);
        assert_eq!(receive(format!("{}\r\n.\r\n", "x".repeat(98)).as_bytes(), BOUNDS).1, None);
    }

    #[test]
    fn a_long_message_goes_to_disk() {
        let bounds = Bounds { message: 10 << 20, ..BOUNDS };
        let mut receiver = Receiver::new(bounds);
        let mut scratch = || tempfile::tempfile().ok();
        receiver.data(b"\r\n", &mut scratch);
        for _ in 0..30_000 {
            receiver.data(format!("{}\r\n", "y".repeat(90)).as_bytes(), &mut scratch);
        }
        assert!(receiver.memory.len() < 2 * IN_MEMORY);
        assert!(receiver.data(b".\r\n", &mut scratch).1);
        let received = receiver.finish();
        let Body::File(file) = received.body else { panic!("it is long") };
        assert_eq!(file.metadata().unwrap().len(), received.size);
    }

    proptest::proptest! {
        #[test]
        fn what_is_stuffed_is_unstuffed(lines in proptest::collection::vec("[ -~]{0,20}", 0..10)) {
            let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let stuffed: String = lines
                .iter()
                .map(|line| if line.starts_with('.') { format!(".{line}\r\n") } else { format!("{line}\r\n") })
                .collect();
            let (body, problem, _) = receive(format!("{stuffed}.\r\n").as_bytes(), Bounds { hops: 99, ..BOUNDS });
            proptest::prop_assert_eq!((body, problem), (text.into_bytes(), None));
        }
    }
}
