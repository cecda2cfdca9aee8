//! Names and labels: the only state of the Docker engine.

use std::collections::HashMap;

/// The lab's name.
pub const LAB: &str = "labctl.lab";
/// The instance's name.
pub const INSTANCE: &str = "labctl.instance";
/// The node's name, on containers.
pub const NODE: &str = "labctl.node";
/// The network's name, on networks.
pub const NETWORK: &str = "labctl.network";
/// `agent` or `image`, on containers.
pub const ROLE: &str = "labctl.role";
/// What decides whether a node is replaced, on containers.
pub const HASH: &str = "labctl.hash";
/// The transport address on one network, on containers: `labctl.address.<network>`.
pub const ADDRESS: &str = "labctl.address.";
/// The version of labctl that created the object.
pub const VERSION: &str = "labctl.version";
/// The instance's document, gzip and base64, on its volume.
pub const DOCUMENT: &str = "labctl.document";
/// A label of the instance's own, on its volume: `labctl.own.<name>`.
pub const OWN: &str = "labctl.own.";
/// The node image, on images.
pub const IMAGE: &str = "labctl.image";

/// The instance's name on a pod and on its volume, in place of [`INSTANCE`]: what belongs to a pod is
/// none of the engine's that makes a container of each node.
pub const POD: &str = "labctl.pod";
/// The names of a pod's nodes, on its volume, with commas between.
pub const NODES: &str = "labctl.nodes";
/// The names of a pod's networks, on its volume, with commas between.
pub const NETWORKS: &str = "labctl.networks";

/// The labels of everything that belongs to an instance.
pub fn common(lab: &str, instance: &str) -> HashMap<String, String> {
    HashMap::from([
        (LAB.into(), lab.into()),
        (INSTANCE.into(), instance.into()),
        (VERSION.into(), env!("CARGO_PKG_VERSION").into()),
    ])
}

/// A filter for the objects of one instance.
pub fn of(instance: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".into(), vec![format!("{INSTANCE}={instance}")])])
}

/// A filter for all objects of labctl.
pub fn any() -> HashMap<String, Vec<String>> {
    HashMap::from([("label".into(), vec![INSTANCE.to_owned()])])
}

/// A container's name. The dot keeps `a-b` of lab `c` apart from `b` of lab `c-a`: neither
/// instances nor nodes have dots in their names.
pub fn container(instance: &str, node: &str) -> String {
    format!("labctl-{instance}.{node}")
}

/// A network's name.
pub fn network(instance: &str, network: &str) -> String {
    format!("labctl-{instance}.{network}")
}
