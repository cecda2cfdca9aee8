//! From the lab file to the plan: defaults and derived values, one room for each kind.

mod checks;
mod dhcp;
mod folder;
mod mail;
pub(crate) mod names;
mod nodes;
mod routes;
mod todo;
mod web;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::diagnostic::Problem;
use crate::file::{File, Services};
use crate::plan::Plan;
use crate::source::Sources;
use crate::yaml::Node as Tree;

pub(crate) use folder::{Disk, Folder, Nowhere};
pub(crate) use names::within;
pub(crate) use routes::shortest_ways;

/// What is at hand while a plan is built.
pub(crate) struct Builder<'a> {
    /// The lab file.
    pub file: &'a File,
    /// Its tree, for places.
    pub tree: &'a Tree,
    /// The files it was read from.
    pub sources: &'a Sources,
    /// Its folder.
    pub folder: &'a dyn Folder,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Parsed `ios:` blocks by node.
    pub ios: BTreeMap<String, ios::RouterConfig>,
    /// The plan so far.
    pub plan: Plan,
}

/// Builds the plan; problems are those that leave a hole in it.
pub(crate) fn plan(
    file: &File,
    tree: &Tree,
    sources: &Sources,
    folder: &dyn Folder,
) -> (Plan, Vec<Problem>) {
    let mut builder = Builder {
        file,
        tree,
        sources,
        folder,
        problems: Vec::new(),
        ios: BTreeMap::new(),
        plan: Plan::default(),
    };
    builder.plan.lab.clone_from(&file.name);
    builder.plan.title = file.title.clone().unwrap_or_else(|| file.name.clone());
    builder.plan.description.clone_from(&file.description);
    builder.plan.keylog = file.tls.as_ref().is_some_and(|tls| tls.keylog);
    builder.networks_and_nodes();
    builder.gateways();
    builder.dhcp();
    builder.resolvers();
    builder.routes();
    builder.routers();
    builder.mail();
    builder.web();
    builder.names();
    builder.templates();
    builder.checks();
    builder.todo();
    (builder.plan, builder.problems)
}

impl<'a> Builder<'a> {
    /// What the author wrote as the services of a node, by its place in the plan.
    pub fn services(&self, at: usize) -> Option<&'a Services> {
        self.file.nodes.0.get(at).map(|(_, node)| &node.services)
    }
}

impl Builder<'_> {
    fn templates(&mut self) {
        for (name, path) in self.file.templates.iter() {
            match self.folder.text(path) {
                Ok(text) => {
                    self.plan.templates.insert(name.clone(), text);
                }
                Err(why) => {
                    let span = self.tree.span_of(&["templates", name]);
                    self.problems.push(
                        Problem::error(
                            "render::template",
                            span,
                            format!("the template {path} cannot be read: {why}"),
                        )
                        .help("the path starts at the lab file's folder"),
                    );
                }
            }
        }
    }

    /// Addresses of the lab's DNS servers, in the order of the file.
    fn dns_servers(&self) -> Vec<(String, Ipv4Addr)> {
        let nodes = self.plan.nodes.iter().zip(self.file.nodes.values());
        nodes
            .filter(|(_, said)| said.services.dns.is_some())
            .filter_map(|(node, _)| Some((node.name.clone(), node.address()?)))
            .collect()
    }
}
