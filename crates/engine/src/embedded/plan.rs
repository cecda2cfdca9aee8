//! What a change would do: pure comparison, the same for `plan` and for `up`.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::Status;
use crate::{Changes, Deployment};

/// How a node is called in [`Changes`].
pub(crate) fn node(name: &str) -> String {
    format!("node {name}")
}

/// How a network is called in [`Changes`].
pub(crate) fn network(name: &str) -> String {
    format!("network {name}")
}

/// The nodes among names of [`Changes`].
pub(crate) fn nodes(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().filter_map(|name| name.strip_prefix("node "))
}

/// What makes the instance `now` what `wanted` says. A node that was stopped is started again, so
/// it counts as replaced; so do all when another build of the `program` is to run them.
pub(crate) fn changes(now: &Status, wanted: &Deployment, program: &str) -> Changes {
    let mut changes = Changes::default();
    let networks: BTreeSet<&str> = now.networks.iter().map(String::as_str).collect();
    let wanted_networks: BTreeSet<&str> =
        wanted.networks.iter().map(|network| network.name.as_str()).collect();
    for name in &wanted_networks {
        let list = if networks.contains(name) { &mut changes.keep } else { &mut changes.create };
        list.push(network(name));
    }
    let nodes: BTreeMap<&str, _> =
        now.nodes.iter().map(|node| (node.name.as_str(), node)).collect();
    let mut wanted_nodes = BTreeSet::new();
    for spec in &wanted.nodes {
        let name = spec.name();
        wanted_nodes.insert(name);
        let list = match nodes.get(name) {
            None => &mut changes.create,
            Some(node) => {
                let alive = matches!(node.state.as_str(), "running" | "restarting");
                let same = node.hash == spec.hash() && alive && now.program == program;
                if same { &mut changes.keep } else { &mut changes.replace }
            }
        };
        list.push(self::node(name));
    }
    let old_networks = networks.difference(&wanted_networks).map(|name| network(name));
    let old_nodes =
        nodes.keys().filter(|name| !wanted_nodes.contains(*name)).map(|name| self::node(name));
    changes.remove = old_nodes.chain(old_networks).collect();
    changes
}

#[cfg(test)]
mod tests {
    use super::super::wire::NodeStatus;
    use super::*;
    use crate::{Network, NodeSpec};

    fn spec(name: &str, kind: &str) -> NodeSpec {
        let mut spec = NodeSpec::default();
        spec.config.node = name.into();
        spec.config.lab = kind.into();
        spec
    }

    #[test]
    fn only_what_differs_changes() {
        let status = |name: &str, state: &str| NodeStatus {
            name: name.into(),
            state: state.into(),
            hash: spec(name, "a").hash(),
            ..NodeStatus::default()
        };
        let now = Status {
            networks: vec!["lan".into(), "old".into()],
            nodes: vec![
                status("same", "running"),
                status("stopped", "exited"),
                status("changed", "running"),
                status("gone", "running"),
            ],
            ..Status::default()
        };
        let wanted = Deployment {
            networks: vec![Network { name: "lan".into() }, Network { name: "dmz".into() }],
            nodes: vec![
                spec("same", "a"),
                spec("stopped", "a"),
                spec("changed", "b"),
                spec("new", "a"),
            ],
            ..Deployment::default()
        };
        let rebuilt = changes(&now, &wanted, "newer");
        assert_eq!(rebuilt.replace, ["node same", "node stopped", "node changed"]);
        let changes = changes(&now, &wanted, "");
        assert_eq!(changes.create, ["network dmz", "node new"]);
        assert_eq!(changes.replace, ["node stopped", "node changed"]);
        assert_eq!(changes.keep, ["network lan", "node same"]);
        assert_eq!(changes.remove, ["node gone", "network old"]);
        assert!(!changes.is_empty());
    }
}
