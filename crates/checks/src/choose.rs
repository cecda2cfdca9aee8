//! Which checks are meant by the words of a command line.

use std::collections::BTreeSet;

use lab::check::Check;

/// The chosen checks and all they need, in the order of the lab.
pub(crate) fn choose<'c>(checks: &'c [Check], only: &[String]) -> Vec<&'c Check> {
    if only.is_empty() {
        return checks.iter().collect();
    }
    let mut wanted: BTreeSet<&str> = checks
        .iter()
        .filter(|check| {
            let keys = [&check.name, check.group.as_deref().unwrap_or(""), check.kind.word()];
            only.iter().any(|only| is_meant(only, &keys))
        })
        .map(|check| check.name.as_str())
        .collect();
    loop {
        let more: Vec<&str> = checks
            .iter()
            .filter(|check| wanted.contains(check.name.as_str()))
            .flat_map(|check| check.needs.iter())
            .map(String::as_str)
            .filter(|name| !wanted.contains(name))
            .collect();
        if more.is_empty() {
            return checks.iter().filter(|check| wanted.contains(check.name.as_str())).collect();
        }
        wanted.extend(more);
    }
}

/// Whether a pattern (`*` for any text, case does not matter) means one of the keys.
pub(crate) fn is_meant(pattern: &str, keys: &[&str]) -> bool {
    let pattern = pattern.to_lowercase();
    keys.iter().any(|key| glob(&pattern, &key.to_lowercase()))
}

fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        last = Some(part);
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    match last {
        // Without a star the whole text must be used up; with one, the end must fit.
        None => rest.is_empty(),
        Some(part) => {
            part.is_empty() || text.len() >= first.len() + part.len() && text.ends_with(part)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_whole_texts() {
        assert!(is_meant("PING", &["ping"]));
        assert!(is_meant("*mail*", &["PC0 mails PC1"]));
        assert!(is_meant("pc0*by name", &["PC0 finds mail by name"]));
        assert!(!is_meant("mail", &["pc0 mails pc1"]));
        assert!(!is_meant("a*a", &["a"]));
        assert!(is_meant("*", &[""]));
    }
}
