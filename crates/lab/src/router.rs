//! Routers: the `ios:` block of a lab file, and the configuration of one that has none.

use ios::RouterConfig;
use ios::config::{Rip, classful};

use crate::diagnostic::Span;
use crate::file::Routing;
use crate::plan::{Address, Node};

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
    let links: Vec<&str> = links.iter().map(String::as_str).collect();
    ios::parse_for(text, &links).map_err(|problems| {
        let wrong = |p: ios::Problem| Wrong {
            line: p.line,
            column: p.column,
            message: p.message,
            nearest: p.nearest,
        };
        problems.into_iter().map(wrong).collect()
    })
}

/// The place of a line of a block scalar in the text that was parsed: from the column to the end
/// of the line. `None` where the value is not a literal block.
pub(crate) fn place(
    source: &str,
    block: Span,
    value: &str,
    line: usize,
    column: usize,
) -> Option<Span> {
    let wanted = value.lines().nth(line.checked_sub(1)?)?;
    let start = block.start as usize;
    // The block's first line may be the one of the `|` or the one after it.
    let from = source.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    let mut begin = from;
    for (at, text) in source.get(from..)?.split_inclusive('\n').enumerate().take(line + 2) {
        let bare = text.trim_end_matches(['\n', '\r']);
        if at + 2 > line && bare.ends_with(wanted) && (at > 0 || !bare.contains('|')) {
            let indent = bare.len() - wanted.len();
            let skip: usize =
                wanted.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
            let at = |byte: usize| u32::try_from(byte).unwrap_or(0);
            return Some(Span {
                file: block.file,
                start: at(begin + indent + skip),
                end: at(begin + bare.len()),
            });
        }
        begin += text.len();
    }
    None
}

/// A router's whole configuration: what its block says, and what follows from the lab.
pub(crate) fn complete(parsed: Option<RouterConfig>, node: &Node) -> RouterConfig {
    let mut config = parsed.unwrap_or_default();
    if config.hostname.is_empty() || config.hostname == "Router" {
        config.hostname.clone_from(&node.name);
    }
    let links: Vec<&str> = node.links.iter().map(|link| link.name.as_str()).collect();
    let names = ios::Names::new(&links);
    config.complete(&names);
    for link in &node.links {
        if let Some(interface) = config.interfaces.iter_mut().find(|i| i.name == link.name) {
            match link.address {
                Address::Static(net) if interface.address.is_none() => {
                    interface.address = Some(net)
                }
                Address::Dhcp => interface.dhcp = true,
                _ => {}
            }
        }
    }
    // A block may add to RIP (`default-information originate`) and leave the networks to the lab.
    if node.routing == Some(Routing::Rip)
        && config.rip.as_ref().is_none_or(|rip| rip.networks.is_empty())
    {
        let mut networks: Vec<_> =
            node.addresses().map(|net| classful(net.addr()).addr()).collect();
        networks.sort();
        networks.dedup();
        let said = config.rip.take().unwrap_or_default();
        config.rip = Some(Rip { version: 2, networks, no_auto_summary: true, ..said });
    }
    config
}
