//! From the lab file to the plan: defaults and derived values, one room for each kind.

mod checks;
mod dhcp;
mod mail;
pub(crate) mod names;
mod nodes;
mod routes;
mod web;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::diagnostic::Problem;
use crate::file::File;
use crate::plan::Plan;
use crate::source::Sources;
use crate::yaml::Node as Tree;

pub(crate) use names::within;
pub(crate) use routes::shortest_ways;

/// Where the pieces of a lab beside its file are read from.
pub(crate) trait Folder {
    /// The text of a file by its path relative to the lab file.
    fn text(&self, path: &str) -> Result<String, String>;
    /// The files below a folder: path relative to it, and text.
    fn files(&self, path: &str) -> Result<BTreeMap<String, String>, String>;
}

/// A folder of the file system.
pub(crate) struct Disk<'a>(pub &'a Path);

/// The most that files beside a lab may have in all.
const MAX_SITE: u64 = 4 << 20;

impl Folder for Disk<'_> {
    fn text(&self, path: &str) -> Result<String, String> {
        let path = self.0.join(path);
        let length = std::fs::metadata(&path).map_err(|e| e.to_string())?.len();
        if length > MAX_SITE {
            return Err(format!("it has {length} bytes; {MAX_SITE} at most"));
        }
        let bytes = std::fs::read(&path).map_err(|e| e.to_string())?;
        String::from_utf8(bytes).map_err(|_| "it is not a text (UTF-8)".to_owned())
    }

    fn files(&self, path: &str) -> Result<BTreeMap<String, String>, String> {
        let root = self.0.join(path);
        let (mut files, mut left) = (BTreeMap::new(), MAX_SITE);
        walk(&root, "", 0, &mut left, &mut files)?;
        Ok(files)
    }
}

fn walk(
    root: &Path,
    below: &str,
    depth: u32,
    left: &mut u64,
    files: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    if depth > 8 {
        return Err("its folders are nested deeper than 8".to_owned());
    }
    let listing = std::fs::read_dir(root.join(below)).map_err(|e| e.to_string())?;
    for entry in listing {
        let entry = entry.map_err(|e| e.to_string())?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err("a file's name is not UTF-8".to_owned());
        };
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let meta = std::fs::metadata(entry.path()).map_err(|e| format!("{path}: {e}"))?;
        if meta.is_dir() {
            walk(root, &path, depth + 1, left, files)?;
            continue;
        }
        *left = left
            .checked_sub(meta.len())
            .ok_or_else(|| format!("its files have more than {MAX_SITE} bytes"))?;
        let bytes = std::fs::read(entry.path()).map_err(|e| format!("{path}: {e}"))?;
        let text = String::from_utf8(bytes).map_err(|_| {
            format!("{path} is not a text (UTF-8): only text files are carried into a node")
        })?;
        files.insert(path, text);
    }
    Ok(())
}

/// No folder: what a lab that came as a text alone has.
pub(crate) struct Nowhere;

impl Folder for Nowhere {
    fn text(&self, _: &str) -> Result<String, String> {
        Err("the lab has no folder to read it from".to_owned())
    }
    fn files(&self, _: &str) -> Result<BTreeMap<String, String>, String> {
        Err("the lab has no folder to read it from".to_owned())
    }
}

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
    (builder.plan, builder.problems)
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
