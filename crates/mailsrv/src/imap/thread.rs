//! THREAD=REFERENCES (RFC 5256, 3).

use std::collections::{BTreeSet, HashMap};

/// The most Message-IDs that are taken of one message.
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
        let subject = super::text::header(header, "subject").unwrap_or_default();
        let (subject, reply) = super::sort::base_subject(&subject);
        Self {
            id,
            message_id: ids("message-id").into_iter().next(),
            references,
            date: super::sort::sent(header).unwrap_or(received),
            subject: (subject.to_uppercase(), reply),
        }
    }
}

/// The Message-IDs in a value, without the angle brackets.
fn message_ids(value: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(value);
    let mut ids = Vec::new();
    let mut rest = text.as_ref();
    while let Some(start) = rest.find('<') {
        let Some(end) = rest[start..].find('>') else { break };
        let id = &rest[start + 1..start + end];
        if !id.is_empty() && ids.len() < MAX_REFERENCES {
            ids.push(id.to_owned());
        }
        rest = &rest[start + end + 1..];
    }
    ids
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
    let roots = forest.prune(roots);
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
            if let Some(parent) = parent {
                self.release(own);
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

    /// Steps 4 and 6: siblings by date.
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
