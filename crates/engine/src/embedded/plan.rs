//! What a change would do: pure comparison, the same for `plan` and for `up`.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::Status;
use crate::{Changes, Deployment};

/// What makes the instance `now` what `wanted` says. A node that was stopped is started again, so
/// it counts as replaced.
pub(super) fn changes(now: &Status, wanted: &Deployment) -> Changes {
    let mut changes = Changes::default();
    let networks: BTreeSet<&str> = now.networks.iter().map(String::as_str).collect();
    let wanted_networks: BTreeSet<&str> =
        wanted.networks.iter().map(|network| network.name.as_str()).collect();
    for name in &wanted_networks {
        let list = if networks.contains(name) { &mut changes.keep } else { &mut changes.create };
        list.push((*name).to_owned());
    }
    let nodes: BTreeMap<&str, _> = now.nodes.iter().map(|node| (node.name.as_str(), node)).collect();
    let mut wanted_nodes = BTreeSet::new();
    for spec in &wanted.nodes {
        let name = spec.name();
        wanted_nodes.insert(name);
        let list = match nodes.get(name) {
            None => &mut changes.create,
            Some(node) => {
                let alive = matches!(node.state.as_str(), "running" | "restarting");
                let same = node.hash == spec.hash() && alive;
                if same { &mut changes.keep } else { &mut changes.replace }
            }
        };
        list.push(name.to_owned());
    }
    let old_networks = networks.difference(&wanted_networks).copied();
    let old_nodes = nodes.keys().copied().filter(|name| !wanted_nodes.contains(name));
    changes.remove = old_nodes.chain(old_networks).map(str::to_owned).collect();
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
            nodes: vec![spec("same", "a"), spec("stopped", "a"), spec("changed", "b"), spec("new", "a")],
            ..Deployment::default()
        };
        let changes = changes(&now, &wanted);
        assert_eq!(changes.create, ["dmz", "new"]);
        assert_eq!(changes.replace, ["stopped", "changed"]);
        assert_eq!(changes.keep, ["lan", "same"]);
        assert_eq!(changes.remove, ["gone", "old"]);
        assert!(!changes.is_empty());
    }
}
