//! What an IMAP client can ask.

/// A command with its tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Tagged {
    /// The tag.
    pub tag: String,
    /// The command.
    pub command: Command,
}

/// A command. Mailbox names are UTF-8 already.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of RFC 3501 and its extensions")]
pub enum Command {
    Capability,
    Noop,
    Logout,
    Id,
    StartTls,
    Authenticate {
        mechanism: String,
        initial: Option<String>,
    },
    Login {
        user: String,
        password: String,
    },
    Enable(Vec<String>),
    Select {
        mailbox: String,
        examine: bool,
        condstore: bool,
    },
    Create {
        mailbox: String,
        special: Vec<String>,
    },
    Delete(String),
    Rename {
        from: String,
        to: String,
    },
    Subscribe {
        mailbox: String,
        on: bool,
    },
    List(List),
    Namespace,
    Status {
        mailbox: String,
        items: Vec<StatusItem>,
    },
    /// The message is the last `length` bytes of the command.
    Append {
        mailbox: String,
        flags: Vec<String>,
        date: Option<i64>,
        length: usize,
    },
    Idle,
    GetQuota(String),
    GetQuotaRoot(String),
    SetQuota,
    Check,
    Close,
    Unselect,
    Expunge(Option<Set>),
    Search {
        uid: bool,
        results: Option<Vec<SearchResult>>,
        charset: Option<String>,
        key: Key,
    },
    Sort {
        uid: bool,
        by: Vec<SortKey>,
        charset: String,
        key: Key,
    },
    Thread {
        uid: bool,
        algorithm: String,
        charset: String,
        key: Key,
    },
    Fetch {
        uid: bool,
        set: Set,
        items: Vec<Item>,
        changed_since: Option<u64>,
    },
    Store(Store),
    Copy {
        uid: bool,
        set: Set,
        to: String,
        and_remove: bool,
    },
}

/// LIST, LSUB and the extended forms (RFC 5258, 5819, 6154).
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are those of RFC 5258")]
pub struct List {
    pub lsub: bool,
    /// Whether the client used a form of RFC 5258.
    pub extended: bool,
    pub reference: String,
    pub patterns: Vec<String>,
    pub select_subscribed: bool,
    pub select_special: bool,
    pub recursive_match: bool,
    pub return_subscribed: bool,
    pub return_children: bool,
    pub return_special: bool,
    pub return_status: Option<Vec<StatusItem>>,
}

/// An item of STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 3501, 7162, 7889, 8438 and 9208")]
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    HighestModSeq,
    Size,
    AppendLimit,
    Deleted,
    DeletedStorage,
}

/// What a RETURN option of SEARCH asks for (RFC 4731).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 4731")]
pub enum SearchResult {
    Min,
    Max,
    All,
    Count,
}

/// STORE.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of RFC 3501 and 7162")]
pub struct Store {
    pub uid: bool,
    pub set: Set,
    pub unchanged_since: Option<u64>,
    pub change: crate::store::FlagChange,
    pub silent: bool,
    pub flags: Vec<String>,
}

/// A set of message numbers or UIDs. However a client writes it, looking a number up takes a few
/// steps: the ranges are in order and do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// Ranges between numbers.
    fixed: Vec<(u32, u32)>,
    /// The least and the greatest number of all ranges that end at `*`. All of them hold the last
    /// message, so that together they are one range.
    star: Option<(u32, u32)>,
}

impl Set {
    /// Out of ranges in any order, with either end first; `None` is `*`.
    pub fn new(ranges: impl IntoIterator<Item = (Option<u32>, Option<u32>)>) -> Self {
        let mut all: Vec<(u32, u32)> = Vec::new();
        let mut star: Option<(u32, u32)> = None;
        for range in ranges {
            let (low, high) = match range {
                (Some(a), Some(b)) => {
                    all.push((a.min(b), a.max(b)));
                    continue;
                }
                (Some(n), None) | (None, Some(n)) => (n, n),
                // The last message alone: no number lowers or raises it.
                (None, None) => (u32::MAX, 0),
            };
            star = Some(star.map_or((low, high), |(a, b)| (a.min(low), b.max(high))));
        }
        all.sort_unstable();
        let mut fixed: Vec<(u32, u32)> = Vec::new();
        for (low, high) in all {
            match fixed.last_mut() {
                Some((_, last)) if low <= last.saturating_add(1) => *last = high.max(*last),
                _ => fixed.push((low, high)),
            }
        }
        Self { fixed, star }
    }

    fn starred(&self, last: u32) -> Option<(u32, u32)> {
        self.star.map(|(low, high)| (low.min(last), high.max(last)))
    }

    /// The least and the greatest number that it names, `*` being `last`.
    pub fn ends(&self, last: u32) -> Option<(u32, u32)> {
        let fixed =
            self.fixed.first().zip(self.fixed.last()).map(|((low, _), (_, high))| (*low, *high));
        match (fixed, self.starred(last)) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        }
    }

    /// Whether it holds a number, `*` being `last`.
    pub fn has(&self, number: u32, last: u32) -> bool {
        let after = self.fixed.partition_point(|(low, _)| *low <= number);
        let near = after.checked_sub(1).and_then(|at| self.fixed.get(at));
        let within = |(low, high): (u32, u32)| (low..=high).contains(&number);
        near.copied().is_some_and(within) || self.starred(last).is_some_and(within)
    }
}

/// A set of one number.
impl From<u32> for Set {
    fn from(number: u32) -> Self {
        Self::new([(Some(number), Some(number))])
    }
}

/// A search key (RFC 3501, 6.4.4).
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of RFC 3501, 5032 and 7162")]
pub enum Key {
    All,
    And(Vec<Key>),
    Or(Box<Key>, Box<Key>),
    Not(Box<Key>),
    Set(Set),
    Uid(Set),
    Flag(String),
    New,
    Old,
    Recent,
    Before(i64),
    On(i64),
    Since(i64),
    SentBefore(i64),
    SentOn(i64),
    SentSince(i64),
    Header(String, String),
    Body(String),
    Text(String),
    Larger(u64),
    Smaller(u64),
    Older(u64),
    Younger(u64),
    ModSeq(u64),
}

impl Key {
    /// Whether the key looks at modification sequences, which turns CONDSTORE on.
    pub fn uses_modseq(&self) -> bool {
        match self {
            Self::ModSeq(_) => true,
            Self::And(keys) => keys.iter().any(Self::uses_modseq),
            Self::Or(a, b) => a.uses_modseq() || b.uses_modseq(),
            Self::Not(key) => key.uses_modseq(),
            _ => false,
        }
    }
}

/// How SORT orders (RFC 5256).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 5256")]
pub struct SortKey {
    pub reverse: bool,
    pub by: SortBy,
}

/// What SORT orders by (RFC 5256).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 5256")]
pub enum SortBy {
    Arrival,
    Cc,
    Date,
    From,
    Size,
    Subject,
    To,
}

/// An item of FETCH.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of RFC 3501 and 7162")]
pub enum Item {
    Uid,
    Flags,
    InternalDate,
    Size,
    Envelope,
    /// `BODY` without a section.
    Body,
    BodyStructure,
    ModSeq,
    Section(Section),
}

/// `BODY[…]<…>` and the RFC822 forms.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// The name that it is answered under, such as `BODY[1.MIME]` or `RFC822.TEXT`.
    pub label: String,
    /// Whether `\Seen` stays as it is.
    pub peek: bool,
    /// Part numbers.
    pub path: Vec<u32>,
    /// What of the part.
    pub what: What,
    /// First byte and length.
    pub partial: Option<(u64, u64)>,
}

/// What of a part.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of RFC 3501")]
pub enum What {
    Whole,
    Header,
    Fields { names: Vec<String>, not: bool },
    Text,
    Mime,
}

#[cfg(test)]
mod tests {
    use super::Set;

    #[test]
    fn rfc3501_9_sets_hold_what_their_ranges_hold() {
        let set =
            Set::new([(Some(7), Some(5)), (Some(2), None), (Some(1), Some(1)), (Some(6), Some(9))]);
        assert_eq!(set.ends(3), Some((1, 9)));
        let held = |last| (0..12).filter(|n| set.has(*n, last)).collect::<Vec<_>>();
        assert_eq!(held(3), [1, 2, 3, 5, 6, 7, 8, 9]);
        // `*` is before the number: the range runs backwards.
        assert_eq!(held(1), [1, 2, 5, 6, 7, 8, 9]);
        let last = Set::new([(None, None)]);
        assert!(last.has(4, 4) && !last.has(3, 4) && !last.has(5, 4));
        assert_eq!(Set::default().ends(4), None);
        assert!(Set::new([(Some(1), Some(u32::MAX)), (Some(2), Some(3))]).has(u32::MAX, 0));
    }
}
