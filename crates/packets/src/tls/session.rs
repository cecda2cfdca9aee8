//! One TLS connection: records put together, handshake messages followed, and what is inside the
//! records where the secrets are known.

use super::cipher::{Keys, Suite, updated};
use super::keylog::{KeyLog, Label};
use crate::dissect::{message_name, read_hello, shown};

/// The longest record (RFC 5246, 6.2.3), in bytes.
const MAX_RECORD: usize = (16 << 10) + 2048;
/// The longest handshake message that is put together, in bytes: long chains of certificates fit.
const MAX_MESSAGE: usize = 128 << 10;
/// Frames that one record may consist of.
const MAX_FRAMES: usize = 2_000;
/// The random of a server's hello that asks for another hello of the client (RFC 8446, 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A hello message, in words.
    Hello(String),
    /// Another handshake message, an alert or a change of the cipher, in words.
    Handshake(String),
    /// What the dialogue inside says, decrypted.
    Data(Vec<u8>),
    /// Something that cannot be read.
    Secret,
}

/// An event with the frames that brought it.
pub type Heard = (Event, Vec<usize>);

/// A connection.
#[derive(Debug, Default)]
pub struct Session {
    halves: [Half; 2],
    client: Option<[u8; 32]>,
    suite: Option<Suite>,
    thirteen: bool,
    /// TLS 1.2: what is used after the change of the cipher.
    next: [Option<Keys>; 2],
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    buffer: Vec<u8>,
    frames: Vec<usize>,
    /// Handshake messages that are not whole yet.
    messages: Vec<u8>,
    /// Whether what follows is encrypted.
    sealed: bool,
    /// The keys, where they are known.
    keys: Option<Keys>,
    /// TLS 1.3: the secret that the keys are of.
    secret: Vec<u8>,
    /// Whether records are found no more: bytes are missing, or it is no TLS.
    lost: bool,
}

impl Session {
    /// Hears bytes of one side (0 is the client); gives what came whole.
    pub fn hear(
        &mut self,
        side: usize,
        bytes: &[u8],
        frames: &[usize],
        keys: &KeyLog,
    ) -> Vec<Heard> {
        let mut heard = Vec::new();
        let half = &mut self.halves[side & 1];
        if half.lost {
            return vec![(Event::Secret, frames.to_vec())];
        }
        half.buffer.extend_from_slice(bytes);
        let room = MAX_FRAMES.saturating_sub(half.frames.len());
        half.frames.extend(frames.iter().take(room));
        loop {
            let half = &mut self.halves[side & 1];
            let Some((head, rest)) = half.buffer.split_first_chunk::<5>() else { break };
            let (head, length) = (*head, usize::from(u16::from_be_bytes([head[3], head[4]])));
            if !(20..=24).contains(&head[0]) || head[1] != 3 || length > MAX_RECORD {
                half.lost = true;
                half.buffer = Vec::new();
                heard.push((Event::Secret, std::mem::take(&mut half.frames)));
                break;
            }
            let Some(body) = rest.get(..length) else { break };
            let body = body.to_vec();
            half.buffer.drain(..5 + length);
            let frames = half.frames.clone();
            if half.buffer.is_empty() {
                half.frames.clear();
            } else {
                // The next record began in the last of these frames.
                half.frames.drain(..half.frames.len().saturating_sub(1));
            }
            for event in self.record(side & 1, head, body, keys) {
                heard.push((event, frames.clone()));
            }
        }
        heard
    }

    fn record(&mut self, side: usize, head: [u8; 5], body: Vec<u8>, log: &KeyLog) -> Vec<Event> {
        let half = &mut self.halves[side];
        // A 1.3 connection sends one for the sake of middleboxes; it means nothing.
        if head[0] == 20 {
            if self.thirteen {
                return Vec::new();
            }
            half.sealed = true;
            half.keys = self.next[side].take();
            return vec![Event::Handshake("change cipher spec".into())];
        }
        let (kind, bytes) = if half.sealed {
            match half.keys.as_mut().and_then(|keys| keys.open(&head, &body)) {
                Some(opened) => opened,
                None => {
                    // Without this record the numbers of the next would be wrong.
                    half.keys = None;
                    return vec![Event::Secret];
                }
            }
        } else {
            (head[0], body)
        };
        match kind {
            21 => vec![Event::Handshake(alert(&bytes))],
            22 => self.messages(side, &bytes, log),
            23 if self.halves[side].sealed => vec![Event::Data(bytes)],
            _ => vec![Event::Secret],
        }
    }

    fn messages(&mut self, side: usize, bytes: &[u8], log: &KeyLog) -> Vec<Event> {
        self.halves[side].messages.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let [kind, a, b, c, rest @ ..] = self.halves[side].messages.as_slice() {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            if length > MAX_MESSAGE {
                self.halves[side].lost = true;
                self.halves[side].messages = Vec::new();
                events.push(Event::Secret);
                break;
            }
            let Some(body) = rest.get(..length) else { break };
            let (kind, body) = (*kind, body.to_vec());
            self.halves[side].messages.drain(..4 + length);
            events.push(self.message(side, kind, &body, log));
        }
        events
    }

    fn message(&mut self, side: usize, kind: u8, body: &[u8], log: &KeyLog) -> Event {
        match (kind, side) {
            (1, 0) => {
                let Some(hello) = read_hello(true, body) else { return Event::Secret };
                self.client = Some(hello.random);
                return Event::Hello(hello.text);
            }
            (2, 1) => {
                let Some(hello) = read_hello(false, body) else { return Event::Secret };
                self.thirteen = hello.version == 0x0304;
                if hello.random == RETRY {
                    return Event::Hello("hello retry request".into());
                }
                self.suite = Suite::by_number(hello.suite);
                self.agree(&hello.random, log);
                return Event::Hello(hello.text);
            }
            (20, _) if self.thirteen => {
                let label = if side == 0 { Label::Client } else { Label::Server };
                self.change(side, label, log);
            }
            (24, _) if self.thirteen => {
                if let Some(suite) = self.suite
                    && let Some(secret) = updated(suite, &self.halves[side].secret)
                {
                    self.halves[side].keys = Keys::thirteen(suite, &secret);
                    self.halves[side].secret = secret;
                }
            }
            _ => {}
        }
        Event::Handshake(message_name(kind).into())
    }

    /// Both sides have agreed on a suite: from here on, or after the change, they encrypt.
    fn agree(&mut self, server: &[u8; 32], log: &KeyLog) {
        if self.thirteen {
            self.change(0, Label::ClientHandshake, log);
            self.change(1, Label::ServerHandshake, log);
            return;
        }
        if let (Some(suite), Some(client)) = (self.suite, &self.client)
            && let Some(master) = log.get(client, Label::Master)
            && let Some([own, other]) = Keys::twelve(suite, master, client, server)
        {
            self.next = [Some(own), Some(other)];
        }
    }

    fn change(&mut self, side: usize, label: Label, log: &KeyLog) {
        let half = &mut self.halves[side];
        half.sealed = true;
        half.keys = None;
        if let (Some(suite), Some(client)) = (self.suite, &self.client)
            && let Some(secret) = log.get(client, label)
        {
            half.keys = Keys::thirteen(suite, secret);
            half.secret = secret.to_vec();
        }
    }
}

fn alert(bytes: &[u8]) -> String {
    match bytes {
        [_, 0] => "close notify".into(),
        [_, 10] => "alert: unexpected message".into(),
        [_, 20] => "alert: bad record".into(),
        [_, 40] => "alert: handshake failure".into(),
        [_, 42] => "alert: bad certificate".into(),
        [_, 48] => "alert: unknown authority".into(),
        [_, 70] => "alert: protocol version".into(),
        [_, number] => format!("alert {number}"),
        _ => format!("alert {}", shown(bytes)),
    }
}
