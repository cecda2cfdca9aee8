//! Flags of a message: the five system flags as bits, keywords as words.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The system flags and their names.
const NAMES: [(u8, &str); 5] = [
    (Flags::SEEN, "\\Seen"),
    (Flags::ANSWERED, "\\Answered"),
    (Flags::FLAGGED, "\\Flagged"),
    (Flags::DELETED, "\\Deleted"),
    (Flags::DRAFT, "\\Draft"),
];

/// Flags of one message. `\Recent` is not among them: it belongs to a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    bits: u8,
    /// Boxed: most messages have none.
    #[expect(clippy::box_collection, reason = "one word in each of many thousand messages")]
    keywords: Option<Box<Vec<String>>>,
}

impl Flags {
    /// `\Seen`.
    pub const SEEN: u8 = 1;
    /// `\Answered`.
    pub const ANSWERED: u8 = 2;
    /// `\Flagged`.
    pub const FLAGGED: u8 = 4;
    /// `\Deleted`.
    pub const DELETED: u8 = 8;
    /// `\Draft`.
    pub const DRAFT: u8 = 16;
    /// Keywords of one message at most.
    pub const MAX_KEYWORDS: usize = 64;

    /// Only system flags.
    pub fn of(bits: u8) -> Self {
        Self { bits, keywords: None }
    }

    /// From names such as `\Seen` and `$Forwarded`; unknown system flags are left out, and so is
    /// what goes beyond [`Flags::MAX_KEYWORDS`].
    pub fn from_names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        let mut flags = Self::default();
        for name in names {
            flags.insert(name.as_ref());
        }
        flags
    }

    /// Adds one by name; whether it is known or a keyword.
    pub fn insert(&mut self, name: &str) -> bool {
        if name.starts_with('\\') {
            let found = NAMES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
            if let Some((bit, _)) = found {
                self.bits |= bit;
            }
            return found.is_some();
        }
        if name.is_empty() || name.len() > 255 {
            return false;
        }
        let keywords = self.keywords.get_or_insert_default();
        if keywords.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return true;
        }
        if keywords.len() >= Self::MAX_KEYWORDS {
            return false;
        }
        keywords.push(name.to_owned());
        true
    }

    /// Whether all of these system flags are set.
    pub fn has(&self, bits: u8) -> bool {
        self.bits & bits == bits
    }

    /// Whether a flag or keyword of that name is set.
    pub fn has_name(&self, name: &str) -> bool {
        self.names().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// The system flags as bits.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// The keywords.
    pub fn keywords(&self) -> &[String] {
        self.keywords.as_deref().map_or(&[], Vec::as_slice)
    }

    /// All names, system flags first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let system = NAMES.iter().filter(|(bit, _)| self.has(*bit)).map(|(_, name)| *name);
        system.chain(self.keywords().iter().map(String::as_str))
    }

    /// These and those.
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.bits |= other.bits;
        for keyword in other.keywords() {
            all.insert(keyword);
        }
        all
    }

    /// These without those.
    pub fn without(&self, other: &Self) -> Self {
        let kept: Vec<String> =
            self.keywords().iter().filter(|keyword| !other.has_name(keyword)).cloned().collect();
        Self { bits: self.bits & !other.bits, keywords: (!kept.is_empty()).then(|| Box::new(kept)) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bits == 0 && self.keywords().is_empty()
    }
}

impl Serialize for Flags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_names(Vec::<String>::deserialize(deserializer)?))
    }
}
