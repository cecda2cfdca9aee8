//! Loading a lab: text to tree, tree to types, types to plan, and everything that is wrong on the
//! way in one report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::build::{self, Disk, Folder, Nowhere};
use crate::decode::{Decode, Decoder};
use crate::diagnostic::{Problem, Report, Severity, Span};
use crate::file::File;
use crate::plan::Plan;
use crate::source::{Source, Sources};
use crate::template;
use crate::yaml::{self, Node, Value};

/// Values for `{{ … }}`, by dotted name: `student.id` to `7`.
pub type Vars = BTreeMap<String, String>;

/// A lab that can be started.
#[derive(Clone, Debug)]
pub struct Lab {
    /// The file as its author wrote it, typed.
    pub file: File,
    /// The lab with everything worked out.
    pub plan: Plan,
    /// What is doubtful.
    pub warnings: Report,
    /// The text of the file.
    pub text: String,
    tree: Node,
    sources: Sources,
    folder: Option<PathBuf>,
}

/// Loads a lab file.
///
/// # Errors
/// Every problem of the file, when at least one of them is an error.
pub fn load(path: &Path, vars: &Vars) -> Result<Lab, Report> {
    let name = path.display().to_string();
    let bytes = read_bounded(path).map_err(|error| {
        let problem = Problem::error(
            "yaml::file",
            Span::default(),
            format!("{name} cannot be read: {error}"),
        )
        .help("give the path of a lab file; `labctl init` writes one");
        Sources::one(&name, "").report(vec![problem])
    })?;
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    load_bytes(&name, &bytes, Some(folder), vars)
}

/// No more than what is refused anyway.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(std::io::Error::other("it is a folder"));
    }
    file.take(yaml::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Loads the text of a lab file; `folder` is where its sites, templates and includes lie.
///
/// # Errors
/// Every problem of the text, when at least one of them is an error.
pub fn load_text(
    name: &str,
    text: &str,
    folder: Option<&Path>,
    vars: &Vars,
) -> Result<Lab, Report> {
    load_bytes(name, text.as_bytes(), folder, vars)
}

/// Loads the bytes of a lab file, whatever they are.
///
/// # Errors
/// Every problem, when at least one of them is an error.
pub fn load_bytes(
    name: &str,
    bytes: &[u8],
    folder: Option<&Path>,
    vars: &Vars,
) -> Result<Lab, Report> {
    let mut sources = Sources::default();
    let mut problems = Vec::new();
    let mut reader = Reader { folder, set: vars, sources: &mut sources, problems: &mut problems };
    let tree = reader.read(name, bytes, &serde_json::Value::Null, 0);
    let Some(mut tree) = tree else { return Err(sources.report(problems)) };
    bare_services(&mut tree);
    let (file, plan) = typed(&tree, &sources, folder, &mut problems);
    if let (Some(file), Some(plan)) = (&file, &plan) {
        let whole = problems.iter().all(|problem| problem.severity == Severity::Warning);
        let found = crate::lint::lint(file, &tree, plan);
        // Of a lab that could only be read in part, a part of the lint would be wrong.
        problems.extend(
            found.into_iter().filter(|problem| whole || stands_alone(problem.code, file, &tree)),
        );
    }
    let report = sources.report(problems);
    match (file, plan) {
        (Some(file), Some(plan)) if !report.has_errors() => Ok(Lab {
            text: sources.files.first().map(|file| file.text.clone()).unwrap_or_default(),
            file,
            plan,
            warnings: report,
            tree,
            sources,
            folder: folder.map(Path::to_owned),
        }),
        _ => Err(report),
    }
}

/// Whether a finding is true whatever else the file may hold.
fn stands_alone(code: &str, file: &File, tree: &Node) -> bool {
    let all = |name: &str, read: usize| {
        tree.get(name).map_or(0, |node| node.items().len().max(node.entries().len())) == read
    };
    match code {
        "net::duplicate-address"
        | "net::outside-subnet"
        | "net::network-address"
        | "net::broadcast-address"
        | "net::overlap"
        | "net::node-name"
        | "net::network-name"
        | "lab::name"
        | "net::firewall"
        | "dns::cname"
        | "dhcp::range-outside"
        | "dhcp::range-over-static"
        | "mail::duplicate-account"
        | "mail::address" => true,
        "net::gateway-outside" | "net::next-hop" => all("networks", file.networks.len()),
        "check::unknown-node" | "check::duplicate-name" | "check::unknown-need" => {
            all("nodes", file.nodes.len())
                && all("checks", file.checks.as_ref().map_or(0, |list| list.len()))
        }
        _ => false,
    }
}

/// The deepest nesting of `include:`.
const MAX_INCLUDE_DEPTH: u32 = 8;
/// The most files of one lab.
const MAX_FILES: usize = 64;

/// Reads files to trees.
struct Reader<'a> {
    folder: Option<&'a Path>,
    set: &'a Vars,
    sources: &'a mut Sources,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    /// Text to tree, with templates worked out and includes merged. `outer` are the values of the
    /// file that includes this one.
    fn read(
        &mut self,
        name: &str,
        bytes: &[u8],
        outer: &serde_json::Value,
        depth: u32,
    ) -> Option<Node> {
        let file = u32::try_from(self.sources.files.len()).unwrap_or(u32::MAX);
        self.sources.files.push(Source::named(name));
        let text = match yaml::text(bytes, file) {
            Ok(text) => text,
            Err(problem) => {
                if let Some(source) = self.sources.files.get_mut(file as usize) {
                    // Enough for a snippet; never a hundred megabytes of it.
                    let start = bytes.get(..bytes.len().min(4096)).unwrap_or_default();
                    source.text = String::from_utf8_lossy(start).into_owned();
                }
                self.problems.push(problem);
                return None;
            }
        };
        if let Some(source) = self.sources.files.get_mut(file as usize) {
            text.clone_into(&mut source.text);
        }
        let mut made = None;
        let mut values = outer.clone();
        if template::is_template(text) {
            values = template::values(text, file, outer, self.set, self.problems);
            match template::expand(text, file, &values) {
                Ok(expanded) => made = Some(expanded),
                Err(problem) => {
                    self.problems.push(problem);
                    return None;
                }
            }
        }
        let parsed = yaml::parse(made.as_ref().map_or(text, |made| made.text.as_str()), file);
        if let Some(source) = self.sources.files.get_mut(file as usize) {
            source.expanded = made;
        }
        let tree = match parsed {
            Ok((tree, found)) => {
                self.problems.extend(found);
                tree
            }
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        if !matches!(tree.value, Value::Map(_)) {
            let problem = Problem::error(
                "yaml::type",
                tree.span,
                format!("a lab file is a mapping, this is {}", tree.describe()),
            )
            .help("it begins with `name: …`, `networks:` and `nodes:`");
            self.problems.push(problem);
            return None;
        }
        self.include(tree, &values, depth)
    }

    /// Puts a tree over the ones it includes; lists of checks and the like follow each other.
    fn include(&mut self, tree: Node, values: &serde_json::Value, depth: u32) -> Option<Node> {
        let Some(list) = tree.get("include") else { return Some(tree) };
        let mut base: Option<Node> = None;
        for item in list.items().to_vec() {
            let Some(path) = item.text() else { continue };
            let read = match self.folder {
                None => Err("the lab has no folder".to_owned()),
                Some(_) if depth >= MAX_INCLUDE_DEPTH || self.sources.files.len() >= MAX_FILES => {
                    Err(format!(
                        "more than {MAX_INCLUDE_DEPTH} levels or {MAX_FILES} files; does it include itself?"
                    ))
                }
                Some(folder) => Disk::new(folder).bytes(path, yaml::MAX_BYTES as u64),
            };
            match read {
                Ok(bytes) => {
                    let included = self.read(path, &bytes, values, depth + 1)?;
                    base = Some(match base {
                        Some(base) => over(base, included),
                        None => included,
                    });
                }
                Err(why) => {
                    self.problems.push(
                        Problem::error(
                            "yaml::include",
                            item.span,
                            format!("{path} cannot be included: {why}"),
                        )
                        .help("the path starts at the lab file's folder"),
                    );
                    return None;
                }
            }
        }
        Some(match base {
            Some(base) => over(base, tree),
            None => tree,
        })
    }
}

/// `services: { dns: }` is a service with nothing said, not none at all.
fn bare_services(tree: &mut Node) {
    let Some(nodes) = tree.get_mut("nodes") else { return };
    let Value::Map(nodes) = &mut nodes.value else { return };
    for (_, node) in nodes {
        if let Some(Node { value: Value::Map(services), .. }) = node.get_mut("services") {
            for (_, service) in services {
                if service.value == Value::Null {
                    service.value = Value::Map(Vec::new());
                }
            }
        }
    }
}

/// One tree over another one.
fn over(mut base: Node, mut tree: Node) -> Node {
    if let Value::Map(entries) = &mut tree.value {
        for (key, value) in entries {
            if matches!(key.name.as_str(), "checks" | "scenarios" | "wrong" | "todo")
                && let (Value::List(own), Some(Value::List(before))) =
                    (&mut value.value, base.get(&key.name).map(|n| &n.value))
            {
                let mut both = before.clone();
                both.append(own);
                *own = both;
            }
        }
    }
    base.merge(&tree);
    base.span = tree.span;
    base
}

fn typed(
    tree: &Node,
    sources: &Sources,
    folder: Option<&Path>,
    problems: &mut Vec<Problem>,
) -> (Option<File>, Option<Plan>) {
    let mut decoder = Decoder::new(sources);
    let file = File::decode(tree, &mut decoder);
    problems.append(&mut decoder.problems);
    let Some(file) = file else { return (None, None) };
    let disk = folder.map(Disk::new);
    let place: &dyn Folder = match &disk {
        Some(disk) => disk,
        None => &Nowhere,
    };
    let (plan, found) = build::plan(&file, tree, sources, place);
    problems.extend(found);
    (Some(file), Some(plan))
}

impl Lab {
    /// The lab with a merge patch (RFC 7396) on its file. What the lint would say of it is not an
    /// error: a wrong variant is wrong on purpose.
    ///
    /// # Errors
    /// What leaves no lab that can be started: unknown fields, values that are not addresses.
    pub fn patched(&self, patch: &serde_json::Value) -> Result<Self, Report> {
        let mut tree = self.tree.clone();
        if !patch.is_null() {
            tree.merge(&Node::from_json(patch, Span::default()));
        }
        let mut problems = Vec::new();
        let (file, plan) = typed(&tree, &self.sources, self.folder.as_deref(), &mut problems);
        // A wrong variant may even have a record that is none; only a hole in the plan counts.
        for problem in &mut problems {
            if matches!(problem.code, "dns::record" | "todo::part" | "todo::start") {
                problem.severity = Severity::Warning;
            }
        }
        let report = self.sources.report(problems);
        match (file, plan) {
            (Some(file), Some(plan)) if !report.has_errors() => Ok(Self {
                file,
                plan,
                warnings: report,
                text: self.text.clone(),
                tree,
                sources: self.sources.clone(),
                folder: self.folder.clone(),
            }),
            _ => Err(report),
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}
