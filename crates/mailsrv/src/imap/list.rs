//! LIST and LSUB (RFC 3501, 6.3.8 and 6.3.9; RFC 5258; RFC 6154).

use std::collections::{BTreeMap, BTreeSet};

use super::command::List;
use super::grammar::astring;
use crate::store::{Listed, SEPARATOR};

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The mailbox.
    pub name: String,
    /// Whether it can be selected.
    pub exists: bool,
    /// The line without `* `.
    pub line: String,
}

/// The answers to a request.
pub fn rows(request: &List, mailboxes: &[Listed], subscriptions: &BTreeSet<String>) -> Vec<Row> {
    let verb = if request.lsub { "LSUB" } else { "LIST" };
    if request.patterns.iter().all(String::is_empty) && !request.lsub && !request.extended {
        let line = format!("LIST (\\Noselect) \"{SEPARATOR}\" \"\"");
        return vec![Row { name: String::new(), exists: false, line }];
    }
    let by_name: BTreeMap<&str, &Listed> =
        mailboxes.iter().map(|one| (one.name.as_str(), one)).collect();
    let subscribed_only = request.lsub || request.select_subscribed;
    let mut base: BTreeSet<&str> = if subscribed_only {
        subscriptions.iter().map(String::as_str).collect()
    } else {
        by_name.keys().copied().collect()
    };
    let special = |name: &str| by_name.get(name).and_then(|one| one.special.clone());
    if request.select_special {
        base.retain(|name| special(name).is_some());
    }
    let selecting = subscribed_only || request.select_special;
    let patterns: Vec<String> =
        request.patterns.iter().map(|pattern| resolve(&request.reference, pattern)).collect();
    let matched = |name: &str| patterns.iter().any(|pattern| matches(pattern, name));
    // Names above a name that is there: not selectable, but part of the tree.
    let mut names: BTreeMap<&str, bool> = base.iter().map(|name| (*name, true)).collect();
    for name in &base {
        for parent in parents(name) {
            names.entry(parent).or_insert(false);
        }
    }
    let mut rows = Vec::new();
    for (name, own) in &names {
        if !matched(name) {
            continue;
        }
        let found = by_name.get(name);
        // A parent that is only above something else shows where not all below it does: more would
        // be redundant (RFC 3501, 6.3.9; RFC 5258, 3.5).
        let child_info = !own && selecting && request.recursive_match;
        if !own && selecting {
            let below = format!("{name}{SEPARATOR}");
            let mut below = base.iter().filter(|other| other.starts_with(&below));
            let for_them = request.lsub || child_info;
            if !for_them || below.all(|other| matched(other)) {
                continue;
            }
        }
        let mut attributes: Vec<String> = Vec::new();
        let exists = found.is_some();
        if request.lsub {
            if !own {
                attributes.push("\\Noselect".into());
            }
        } else if !exists {
            attributes.push(if request.extended { "\\NonExistent" } else { "\\Noselect" }.into());
        }
        if !request.lsub {
            let below = format!("{name}{SEPARATOR}");
            let has = by_name.keys().any(|other| other.starts_with(&below));
            attributes.push(if has { "\\HasChildren" } else { "\\HasNoChildren" }.into());
            let asked = subscribed_only || request.return_subscribed;
            if asked && subscriptions.contains(*name) {
                attributes.push("\\Subscribed".into());
            }
            attributes.extend(special(name));
        }
        let encoded = astring(&mutf7::encode(name));
        let encoded = if encoded.starts_with('"') { encoded } else { format!("\"{encoded}\"") };
        let mut line = format!("{verb} ({}) \"{SEPARATOR}\" {encoded}", attributes.join(" "));
        if child_info || (request.recursive_match && has_below(&base, name)) {
            let of = [("SUBSCRIBED", subscribed_only), ("SPECIAL-USE", request.select_special)];
            let of = of.iter().filter(|(_, on)| *on).map(|(name, _)| format!("\"{name}\""));
            let of = of.collect::<Vec<_>>().join(" ");
            line.push_str(&format!(" (\"CHILDINFO\" ({of}))"));
        }
        rows.push(Row { name: (*name).to_owned(), exists, line });
    }
    rows
}

fn has_below(base: &BTreeSet<&str>, name: &str) -> bool {
    let below = format!("{name}{SEPARATOR}");
    base.iter().any(|other| other.starts_with(&below))
}

fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(SEPARATOR).map(|(at, _)| &name[..at])
}

fn resolve(reference: &str, pattern: &str) -> String {
    format!("{reference}{pattern}")
}

/// Whether a name matches a pattern: `*` is anything, `%` anything without a separator. INBOX
/// matches in any case.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern = match pattern.get(..5) {
        Some(head) if head.eq_ignore_ascii_case("INBOX") => format!("INBOX{}", &pattern[5..]),
        _ => pattern.to_owned(),
    };
    let name: Vec<char> = name.chars().collect();
    // `reach[i]`: the pattern so far can stand for the first i characters.
    let mut reach = vec![false; name.len() + 1];
    reach[0] = true;
    for p in pattern.chars() {
        let mut next = vec![false; name.len() + 1];
        match p {
            '*' | '%' => {
                let mut open = false;
                for at in 0..=name.len() {
                    open |= reach[at];
                    next[at] = open;
                    if p == '%' && name.get(at) == Some(&SEPARATOR) {
                        open = false;
                    }
                }
            }
            p => {
                for at in 0..name.len() {
                    next[at + 1] = reach[at] && name[at] == p;
                }
            }
        }
        reach = next;
    }
    reach[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3501_6_3_8_wildcards() {
        assert!(matches("*", "a/b"));
        assert!(!matches("%", "a/b"));
        assert!(matches("%/%", "a/b"));
        assert!(matches("a/%", "a/"));
        assert!(matches("inbox", "INBOX"));
        assert!(!matches("A", "a"));
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
    }

    fn listed(name: &str, special: Option<&str>) -> Listed {
        Listed {
            name: name.into(),
            special: special.map(str::to_owned),
            subscribed: false,
            messages: 0,
            unseen: 0,
        }
    }

    fn lines(request: List) -> Vec<String> {
        let mailboxes = [
            listed("INBOX", None),
            listed("Sent", Some("\\Sent")),
            listed("a/b", None),
            listed("ä", None),
        ];
        let subscriptions = BTreeSet::from(["a/b".to_owned(), "gone".to_owned()]);
        rows(&request, &mailboxes, &subscriptions).into_iter().map(|row| row.line).collect()
    }

    #[test]
    fn rfc3501_6_3_8_list_shows_parents_that_do_not_exist() {
        let request = List { patterns: vec!["%".into()], ..List::default() };
        assert_eq!(
            lines(request),
            [
                "LIST (\\HasNoChildren) \"/\" \"INBOX\"",
                "LIST (\\HasNoChildren \\Sent) \"/\" \"Sent\"",
                "LIST (\\Noselect \\HasChildren) \"/\" \"a\"",
                "LIST (\\HasNoChildren) \"/\" \"&AOQ-\"",
            ]
        );
    }

    #[test]
    fn rfc3501_6_3_9_lsub_shows_what_is_subscribed() {
        let request = List { lsub: true, patterns: vec!["%".into()], ..List::default() };
        assert_eq!(lines(request), ["LSUB (\\Noselect) \"/\" \"a\"", "LSUB () \"/\" \"gone\""]);
        let request = List { lsub: true, patterns: vec!["*".into()], ..List::default() };
        assert_eq!(lines(request), ["LSUB () \"/\" \"a/b\"", "LSUB () \"/\" \"gone\""]);
    }

    #[test]
    fn rfc5258_5_subscribed_and_recursivematch() {
        let request = List {
            extended: true,
            select_subscribed: true,
            patterns: vec!["*".into()],
            ..List::default()
        };
        assert_eq!(
            lines(request.clone()),
            [
                "LIST (\\HasNoChildren \\Subscribed) \"/\" \"a/b\"",
                "LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" \"gone\"",
            ]
        );
        let parent =
            "LIST (\\NonExistent \\HasChildren) \"/\" \"a\" (\"CHILDINFO\" (\"SUBSCRIBED\"))";
        let request = List { recursive_match: true, patterns: vec!["%".into()], ..request };
        assert_eq!(lines(request.clone())[0], parent);
        // 3.5: a parent is not told where all of its subscribed children are.
        let request = List { patterns: vec!["*".into()], ..request };
        assert!(!lines(request).contains(&parent.to_owned()));
    }
}
