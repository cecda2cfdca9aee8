//! Which messages a search key finds (RFC 3501, 6.4.4).

use super::command::Key;
use super::date::DAY;
use super::mime;
use super::text;
use super::view::View;
use crate::store::{Flags, Message, Store};

/// A message as a search sees it; its bytes are read only when a key needs them.
pub struct Candidate<'a> {
    number: u32,
    message: &'a Message,
    view: &'a View,
    store: &'a Store,
    now: i64,
    raw: Option<Vec<u8>>,
    header: Option<Vec<u8>>,
    body: Option<String>,
}

impl<'a> Candidate<'a> {
    /// A message of the view.
    pub fn new(
        view: &'a View,
        store: &'a Store,
        number: u32,
        message: &'a Message,
        now: i64,
    ) -> Self {
        Self { number, message, view, store, now, raw: None, header: None, body: None }
    }

    /// Whether the key finds it.
    pub fn matches(&mut self, key: &Key) -> bool {
        let message = self.message;
        let day = message.received.div_euclid(DAY);
        match key {
            Key::All => true,
            Key::And(keys) => {
                // What needs no reading decides first.
                keys.iter().filter(|key| !reads(key)).all(|key| self.matches(key))
                    && keys.iter().filter(|key| reads(key)).all(|key| self.matches(key))
            }
            Key::Or(a, b) => self.matches(a) || self.matches(b),
            Key::Not(key) => !self.matches(key),
            Key::Set(set) => set.has(self.number, self.view.count()),
            Key::Uid(set) => set.has(message.uid, self.view.last_uid()),
            Key::Flag(name) => message.flags.has_name(name),
            Key::Recent => self.view.recent.contains(&message.uid),
            Key::New => self.view.recent.contains(&message.uid) && !message.flags.has(Flags::SEEN),
            Key::Old => !self.view.recent.contains(&message.uid),
            Key::Before(date) => day < *date,
            Key::On(date) => day == *date,
            Key::Since(date) => day >= *date,
            Key::SentBefore(date) => self.sent_day().is_some_and(|day| day < *date),
            Key::SentOn(date) => self.sent_day() == Some(*date),
            Key::SentSince(date) => self.sent_day().is_some_and(|day| day >= *date),
            Key::Larger(size) => u64::from(message.size) > *size,
            Key::Smaller(size) => u64::from(message.size) < *size,
            Key::Older(seconds) => message.received <= self.now.saturating_sub_unsigned(*seconds),
            Key::Younger(seconds) => message.received >= self.now.saturating_sub_unsigned(*seconds),
            Key::ModSeq(least) => message.modseq >= *least,
            Key::Header(name, wanted) => {
                let header = self.header();
                text::header(header, name).is_some_and(|value| holds(&value, wanted))
                    || text::addresses(header, name).is_some_and(|value| holds(&value, wanted))
            }
            Key::Body(wanted) => holds(self.body(), wanted),
            Key::Text(wanted) => {
                holds(&text::decoded(&mime::unfolded(self.header())), wanted)
                    || holds(self.body(), wanted)
            }
        }
    }

    /// The day in `Date:` as it stands there, without regard to its zone. A message without a
    /// date was sent neither on, nor before, nor since a day.
    fn sent_day(&mut self) -> Option<i64> {
        super::sent::sent(self.header()).map(|sent| sent.day)
    }

    fn raw(&mut self) -> &[u8] {
        let (store, file) = (self.store, self.message.file);
        self.raw.get_or_insert_with(|| store.read(file).unwrap_or_default())
    }

    /// The message's header.
    pub fn header(&mut self) -> &[u8] {
        if self.header.is_none() {
            self.header = Some(read_header(self.store, self.message));
        }
        self.header.as_deref().unwrap_or_default()
    }

    fn body(&mut self) -> &str {
        if self.body.is_none() {
            let raw = self.raw();
            let part = mime::parse(raw);
            self.body = Some(text::body(raw, &part));
        }
        self.body.as_deref().unwrap_or_default()
    }
}

/// The header of a stored message, reading no more than needed.
pub fn read_header(store: &Store, message: &Message) -> Vec<u8> {
    /// Nearly every header is shorter.
    const FIRST: usize = 16 << 10;
    let first = store.read_range(message.file, 0, FIRST).unwrap_or_default();
    let end = mime::header_end(&first);
    if end < first.len() || first.len() < FIRST {
        return first[..end].to_vec();
    }
    let whole = store.read(message.file).unwrap_or_default();
    let end = mime::header_end(&whole);
    whole[..end].to_vec()
}

fn reads(key: &Key) -> bool {
    match key {
        Key::Header(..) | Key::Body(_) | Key::Text(_) => true,
        Key::SentBefore(_) | Key::SentOn(_) | Key::SentSince(_) => true,
        Key::And(keys) => keys.iter().any(reads),
        Key::Or(a, b) => reads(a) || reads(b),
        Key::Not(key) => reads(key),
        _ => false,
    }
}

/// Whether a text holds another, whatever the case of the letters.
fn holds(text: &str, wanted: &str) -> bool {
    wanted.is_empty() || text.to_lowercase().contains(&wanted.to_lowercase())
}
