//! THREAD=REFERENCES (RFC 5256, 3).

use std::collections::{BTreeSet, HashMap};

/// The most Message-IDs that are taken of one field.
const MAX_REFERENCES: usize = 100;

/// A message to be put into threads.
#[derive(Clone, Debug, Default)]
pub struct Leaf {
    /// What it is told by: number or UID.
    pub id: u32,
    /// Its own Message-ID.
    pub message_id: Option<String>,
    /// The Message-IDs in `References:`, else the first in `In-Reply-To:`.
    pub references: Vec<String>,
    /// Sent date in seconds since 1970.
    pub date: i64,
    /// The base subject in capitals, and whether it is a reply.
    pub subject: (String, bool),
}

impl Leaf {
    /// Reads the header fields of the message.
    pub fn read(id: u32, header: &[u8], received: i64) -> Self {
        let ids = |name: &str| {
            super::mime::field(header, name).map(|value| message_ids(&value)).unwrap_or_default()
        };
        let mut references = ids("references");
        if references.is_empty() {
            references = ids("in-reply-to").into_iter().take(1).collect();
        }
        let (subject, reply) = super::sort::subject(header);
        Self {
            id,
            message_id: ids("message-id").into_iter().next(),
            references,
            date: super::sent::sent(header).map_or(received, |sent| sent.seconds),
            subject: (subject.to_uppercase(), reply),
        }
    }
}

/// The Message-IDs in a value, without the angle brackets; of very many the last ones, which are
/// nearest to the message.
fn message_ids(value: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(value);
    let pieces = text.split('<').skip(1).filter_map(|piece| piece.split_once('>'));
    let mut ids: Vec<String> =
        pieces.map(|(id, _)| id).filter(|id| id.contains('@')).map(normal).collect();
    let first = ids.len().saturating_sub(MAX_REFERENCES);
    ids.split_off(first)
}

/// A Message-ID as it is compared: `<"a b"@x>` and `<"a\ b"@x>` are one, and so are `<"a"@x>` and
/// `<a@x>` (RFC 5256, 3).
fn normal(id: &str) -> String {
    let mut out = String::with_capacity(id.len());
    let (mut quoted, mut chars) = (false, id.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => out.extend(chars.next()),
            c if c.is_ascii_whitespace() && !quoted => {}
            c => out.push(c),
        }
    }
    out
}

#[derive(Clone, Debug, Default)]
struct Node {
    leaf: Option<usize>,
    parent: Option<usize>,
    children: Vec<usize>,
}

/// The threads as IMAP writes them: `(1 2 (3)(4 5))(6)`.
pub fn threads(leaves: &[Leaf]) -> String {
    let mut forest = Forest { leaves, nodes: Vec::new() };
    forest.link();
    let roots: Vec<usize> =
        (0..forest.nodes.len()).filter(|at| forest.nodes[*at].parent.is_none()).collect();
    let mut roots = forest.prune(roots);
    // By date first: which of two threads takes in the other depends on it.
    roots.sort_by_key(|root| forest.key(*root));
    let roots = forest.by_subject(roots);
    let roots = forest.sorted(roots);
    let mut out = String::new();
    for root in roots {
        out.push('(');
        forest.write(root, &mut out);
        out.push(')');
    }
    out
}

struct Forest<'a> {
    leaves: &'a [Leaf],
    nodes: Vec<Node>,
}

impl Forest<'_> {
    /// Steps 1 and 2: parents by references.
    fn link(&mut self) {
        let mut ids: HashMap<String, usize> = HashMap::new();
        for (at, leaf) in self.leaves.iter().enumerate() {
            let known = leaf.message_id.as_ref().and_then(|id| ids.get(id).copied());
            let own = match known {
                // A second message with the same id stands for itself.
                Some(node) if self.nodes[node].leaf.is_none() => node,
                _ => {
                    self.nodes.push(Node::default());
                    let node = self.nodes.len() - 1;
                    if let Some(id) = &leaf.message_id
                        && known.is_none()
                    {
                        ids.insert(id.clone(), node);
                    }
                    node
                }
            };
            self.nodes[own].leaf = Some(at);
            let mut parent: Option<usize> = None;
            for reference in &leaf.references {
                let node = *ids.entry(reference.clone()).or_insert_with(|| {
                    self.nodes.push(Node::default());
                    self.nodes.len() - 1
                });
                if let Some(parent) = parent
                    && self.nodes[node].parent.is_none()
                {
                    self.adopt(parent, node);
                }
                parent = Some(node);
            }
            // What the message itself says counts more than what others said of it, also when
            // that is nothing.
            self.release(own);
            if let Some(parent) = parent {
                self.adopt(parent, own);
            }
        }
    }

    fn adopt(&mut self, parent: usize, child: usize) {
        // No loops: the parent may not lie below the child.
        let mut above = Some(parent);
        while let Some(node) = above {
            if node == child {
                return;
            }
            above = self.nodes[node].parent;
        }
        self.nodes[child].parent = Some(parent);
        self.nodes[parent].children.push(child);
    }

    fn release(&mut self, child: usize) {
        if let Some(parent) = self.nodes[child].parent.take() {
            self.nodes[parent].children.retain(|one| *one != child);
        }
    }

    /// Step 3: empty containers go, their children move up (at the top only a single one).
    fn prune(&mut self, roots: Vec<usize>) -> Vec<usize> {
        // Children first, without recursion: threads can be deep.
        let mut order = Vec::new();
        let mut stack = roots.clone();
        while let Some(node) = stack.pop() {
            order.push(node);
            stack.extend(&self.nodes[node].children);
        }
        for node in order.into_iter().rev() {
            let children = std::mem::take(&mut self.nodes[node].children);
            let mut kept = Vec::new();
            for child in children {
                if self.nodes[child].leaf.is_some() {
                    kept.push(child);
                } else {
                    kept.append(&mut self.nodes[child].children);
                }
            }
            for child in &kept {
                self.nodes[*child].parent = Some(node);
            }
            self.nodes[node].children = kept;
        }
        let mut top = Vec::new();
        for root in roots {
            let node = &self.nodes[root];
            if node.leaf.is_some() || node.children.len() > 1 {
                top.push(root);
            } else if let Some(child) = node.children.first().copied() {
                self.nodes[child].parent = None;
                top.push(child);
            }
        }
        top
    }

    fn leaf(&self, node: usize) -> Option<&Leaf> {
        self.nodes[node].leaf.map(|at| &self.leaves[at])
    }

    /// The leaf that stands for a thread: its root, or the first child of an empty root.
    fn first_leaf(&self, node: usize) -> Option<&Leaf> {
        self.leaf(node).or_else(|| {
            let children = self.nodes[node].children.iter();
            children.filter_map(|child| self.leaf(*child)).min_by_key(|leaf| (leaf.date, leaf.id))
        })
    }

    /// Step 5: threads with the same base subject become one.
    fn by_subject(&mut self, roots: Vec<usize>) -> Vec<usize> {
        let mut table: HashMap<String, usize> = HashMap::new();
        let subject = |forest: &Self, root: usize| {
            forest.first_leaf(root).map(|leaf| leaf.subject.clone()).unwrap_or_default()
        };
        for root in &roots {
            let (text, reply) = subject(self, *root);
            if text.is_empty() {
                continue;
            }
            match table.get(&text).copied() {
                None => {
                    table.insert(text, *root);
                }
                Some(held) => {
                    let held_is_message = self.nodes[held].leaf.is_some();
                    let here_is_empty = self.nodes[*root].leaf.is_none();
                    let held_is_reply = held_is_message && subject(self, held).1;
                    if (here_is_empty && held_is_message) || (held_is_reply && !reply) {
                        table.insert(text, *root);
                    }
                }
            }
        }
        let mut gone = BTreeSet::new();
        let mut fresh = Vec::new();
        for root in &roots {
            let (text, reply) = subject(self, *root);
            let Some(held) =
                table.get(&text).copied().filter(|held| held != root && !text.is_empty())
            else {
                continue;
            };
            let empty = (self.nodes[held].leaf.is_none(), self.nodes[*root].leaf.is_none());
            match empty {
                (true, true) => {
                    for child in std::mem::take(&mut self.nodes[*root].children) {
                        self.nodes[child].parent = None;
                        self.adopt(held, child);
                    }
                    gone.insert(*root);
                }
                (true, false) => {
                    self.adopt(held, *root);
                    gone.insert(*root);
                }
                (false, _) if reply && !subject(self, held).1 => {
                    self.adopt(held, *root);
                    gone.insert(*root);
                }
                _ => {
                    // Two that answer each other or the same: a new empty root over both.
                    self.nodes.push(Node::default());
                    let above = self.nodes.len() - 1;
                    self.adopt(above, held);
                    self.adopt(above, *root);
                    gone.extend([held, *root]);
                    fresh.push(above);
                    table.insert(text, above);
                }
            }
        }
        roots.into_iter().chain(fresh).filter(|root| !gone.contains(root)).collect()
    }

    fn key(&self, node: usize) -> (i64, u32) {
        self.first_leaf(node).map_or((0, 0), |leaf| (leaf.date, leaf.id))
    }

    /// Step 6: siblings by date.
    fn sorted(&mut self, mut roots: Vec<usize>) -> Vec<usize> {
        for node in 0..self.nodes.len() {
            let mut children = std::mem::take(&mut self.nodes[node].children);
            children.sort_by_key(|child| self.key(*child));
            self.nodes[node].children = children;
        }
        roots.sort_by_key(|root| self.key(*root));
        roots
    }

    /// Writes a thread without its outer parentheses.
    fn write(&self, root: usize, out: &mut String) {
        enum Do {
            Open(usize),
            Plain(usize),
            Close,
        }
        let mut stack = vec![Do::Plain(root)];
        while let Some(next) = stack.pop() {
            let node = match next {
                Do::Close => {
                    out.push(')');
                    continue;
                }
                Do::Open(node) => {
                    out.push('(');
                    stack.push(Do::Close);
                    node
                }
                Do::Plain(node) => node,
            };
            if let Some(leaf) = self.leaf(node) {
                if !out.ends_with('(') {
                    out.push(' ');
                }
                out.push_str(&leaf.id.to_string());
            }
            match self.nodes[node].children.as_slice() {
                [] => {}
                [only] => stack.push(Do::Plain(*only)),
                many => {
                    if self.leaf(node).is_some() {
                        out.push(' ');
                    }
                    stack.extend(many.iter().rev().map(|child| Do::Open(*child)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(id: u32, references: &[&str], subject: &str, date: i64) -> Leaf {
        let (base, reply) = super::super::sort::base_subject(subject);
        Leaf {
            id,
            message_id: Some(format!("m{id}")),
            references: references.iter().map(|r| (*r).to_owned()).collect(),
            date,
            subject: (base.to_uppercase(), reply),
        }
    }

    #[test]
    fn rfc5256_3_threads_by_references() {
        let leaves = [
            leaf(1, &[], "a", 1),
            leaf(2, &["m1"], "Re: a", 2),
            leaf(3, &["m1", "m2"], "Re: a", 3),
            leaf(4, &["m1"], "Re: a", 4),
            leaf(5, &[], "b", 5),
        ];
        assert_eq!(threads(&leaves), "(1 (2 3)(4))(5)");
    }

    #[test]
    fn rfc5256_3_missing_parents_join_and_subjects_too() {
        let leaves = [
            leaf(3, &["gone"], "x", 1),
            leaf(6, &["gone"], "y", 2),
            leaf(7, &[], "z", 3),
            leaf(8, &[], "Re: z", 4),
        ];
        assert_eq!(threads(&leaves), "((3)(6))(7 8)");
    }

    #[test]
    fn rfc5256_3_message_ids_are_compared_without_their_quotes() {
        let ids = |text: &str| message_ids(text.as_bytes());
        assert_eq!(ids("<\"a\"@x> (see) <b@x>\t<c @x>"), ["a@x", "b@x", "c@x"]);
        assert_eq!(ids("<\"a \\\" b\"@x> <> <none> <open"), ["a \" b@x"]);
        let many: String = (0..150).map(|n| format!("<{n}@x>")).collect();
        assert_eq!(ids(&many).last().map(String::as_str), Some("149@x"));
        let header = b"In-Reply-To: your message <a@x> and <b@x>\r\nMessage-ID: <c@x>\r\n\r\n";
        assert_eq!(Leaf::read(1, header, 0).references, ["a@x"]);
        let header = b"References: nothing\r\nIn-Reply-To: <a@x>\r\n\r\n";
        assert_eq!(Leaf::read(1, header, 0).references, ["a@x"]);
    }

    #[test]
    fn rfc5256_3_1b_a_message_without_references_has_no_parent() {
        // The second says that 3 answers 1; 3 itself says that it answers nobody.
        let leaves = [leaf(1, &[], "a", 1), leaf(2, &["m1", "m3"], "b", 2), leaf(3, &[], "c", 3)];
        assert_eq!(threads(&leaves), "(1)(3 2)");
        // Of two with one id, the first has it.
        let mut twice = [leaf(1, &[], "a", 1), leaf(2, &[], "b", 2), leaf(3, &["m1"], "c", 3)];
        twice[1].message_id = Some("m1".into());
        assert_eq!(threads(&twice), "(1 3)(2)");
    }

    #[test]
    fn rfc5256_3_5_threads_of_one_subject_join_by_date() {
        // Two that are no replies: a new root over both, in the order of their dates.
        let leaves = [leaf(1, &[], "s", 9), leaf(2, &[], "s", 3), leaf(3, &[], "Re: s", 1)];
        assert_eq!(threads(&leaves), "((2 3)(1))");
        let leaves = [leaf(1, &[], "s", 9), leaf(2, &[], "s", 3)];
        assert_eq!(threads(&leaves), "((2)(1))");
        // A reply that came first goes below the message that is none.
        let leaves = [leaf(1, &[], "Re: s", 1), leaf(2, &[], "s", 3)];
        assert_eq!(threads(&leaves), "(2 1)");
        // Two replies to something that is not here.
        let leaves = [leaf(1, &[], "Re: s", 1), leaf(2, &[], "Fwd: s", 3)];
        assert_eq!(threads(&leaves), "((1)(2))");
        // A thread without its first message takes in the others.
        let leaves = [
            leaf(1, &["gone"], "Re: s", 5),
            leaf(2, &["gone"], "Re: s", 6),
            leaf(3, &[], "Re: s", 1),
        ];
        assert_eq!(threads(&leaves), "((3)(1)(2))");
        // An empty subject joins nothing.
        let leaves = [leaf(1, &[], "", 1), leaf(2, &[], "Re:", 2)];
        assert_eq!(threads(&leaves), "(1)(2)");
    }

    #[test]
    fn rfc5256_3_empty_containers_go_at_every_depth() {
        // gone1 > gone2 > 1, 2: below the root nothing empty stays; at the root one over several.
        let leaves = [leaf(1, &["gone1", "gone2"], "a", 1), leaf(2, &["gone1", "gone2"], "b", 2)];
        assert_eq!(threads(&leaves), "((1)(2))");
        let leaves = [leaf(1, &["gone1", "gone2", "gone3"], "a", 1)];
        assert_eq!(threads(&leaves), "(1)");
        let leaves = [
            leaf(1, &[], "a", 1),
            leaf(2, &["m1", "gone"], "b", 3),
            leaf(3, &["m1", "gone"], "c", 2),
        ];
        assert_eq!(threads(&leaves), "(1 (3)(2))");
    }

    #[test]
    fn loops_end() {
        let leaves =
            [leaf(1, &["m2"], "a", 1), leaf(2, &["m1"], "b", 2), leaf(3, &["m3", "m3"], "c", 3)];
        let text = threads(&leaves);
        for id in ["1", "2", "3"] {
            assert!(text.contains(id), "{text}");
        }
        let deep: Vec<Leaf> =
            (1..5_000).map(|n| leaf(n, &[&format!("m{}", n - 1)], "s", i64::from(n))).collect();
        assert!(threads(&deep).len() > 5_000);
    }
}
