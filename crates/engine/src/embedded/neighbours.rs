//! Room in the kernel's table of neighbours (ARP), which all network namespaces share.
//!
//! The kernel keeps at most `gc_thresh3` entries for the whole machine, 1024 as it comes, and makes
//! room only of entries that have not changed for five seconds. Each node has one for every other
//! that it has spoken to: a hundred copies of a four node lab that start at once were seen to use
//! 964. When the table is full, a node's first packet to a new neighbour is dropped without a
//! word, so more copies than that need more room. See arp(7).

/// Entries that the table should hold: some ten thousand nodes. An entry takes memory only once it
/// is there (about 400 bytes).
const ENTRIES: u64 = 131_072;

/// The settings exist in the machine's first network namespace only.
fn setting(name: &str) -> [&str; 4] {
    ["ipv4", "neigh", "default", name]
}

fn limit(name: &str) -> Option<u64> {
    net::read_sysctl(&setting(name)).ok()?.parse().ok()
}

/// Raises the bounds where this process may; they are never lowered. To be called before the
/// supervisor enters its own network namespace.
pub(super) fn make_room() {
    for (name, entries) in [("gc_thresh3", ENTRIES), ("gc_thresh2", ENTRIES / 2)] {
        if limit(name).is_some_and(|have| have < entries) {
            // An ordinary user may not; `doctor` says what that means.
            let _ = net::write_sysctl(&setting(name), &entries.to_string());
        }
    }
}

/// What `doctor` says: how many entries there may be, and what to do about few.
pub(super) fn describe() -> String {
    say(limit("gc_thresh3"), nix::unistd::geteuid().is_root())
}

fn say(limit: Option<u64>, root: bool) -> String {
    let few = "about what a hundred copies of a lab of four nodes need that start at once";
    match limit {
        Some(entries) if entries >= ENTRIES => format!("{entries} at most on this machine"),
        Some(entries) if root => format!(
            "{entries} at most on this machine, raised to {ENTRIES} when the first lab starts"
        ),
        Some(entries) => format!(
            "{entries} at most on this machine; 1024 is {few}: `sysctl \
             net.ipv4.neigh.default.gc_thresh3={ENTRIES} net.ipv4.neigh.default.gc_thresh2={}` as \
             root makes room",
            ENTRIES / 2
        ),
        None => format!(
            "as many as the machine around this container allows \
             (net.ipv4.neigh.default.gc_thresh3); 1024 is {few}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doctor_says_what_to_do_only_where_something_is_to_do() {
        assert_eq!(say(Some(200_000), false), "200000 at most on this machine");
        assert!(say(Some(1024), false).contains("gc_thresh3=131072"));
        assert!(say(Some(1024), true).contains("raised to 131072"));
        assert!(say(None, true).contains("container"));
    }
}
