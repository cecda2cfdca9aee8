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
        let problem = Problem::error("yaml::file", Span::default(), format!("{name} cannot be read: {error}"))
            .help("give the path of a lab file; `labctl init` writes one");
        Sources::one(&name, "").report(vec![problem])
    })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    load_bytes(&name, &bytes, Some(folder), vars)
}

/// No more than what is refused anyway.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(yaml::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Loads the text of a lab file; `folder` is where its sites, templates and includes lie.
///
/// # Errors
/// Every problem of the text, when at least one of them is an error.
pub fn load_text(name: &str, text: &str, folder: Option<&Path>, vars: &Vars) -> Result<Lab, Report> {
    load_bytes(name, text.as_bytes(), folder, vars)
}

/// Loads the bytes of a lab file, whatever they are.
///
/// # Errors
/// Every problem, when at least one of them is an error.
pub fn load_bytes(name: &str, bytes: &[u8], folder: Option<&Path>, vars: &Vars) -> Result<Lab, Report> {
    let mut sources = Sources::default();
    let mut problems = Vec::new();
    let tree = read_tree(name, bytes, folder, vars, &mut sources, &mut problems);
    let Some(tree) = tree else { return Err(sources.report(problems)) };
    let (file, plan) = typed(&tree, &sources, folder, &mut problems);
    if let (Some(file), Some(plan)) = (&file, &plan) {
        problems.extend(crate::lint::lint(file, &tree, plan));
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

/// Text to tree, with templates worked out and includes merged.
fn read_tree(
    name: &str,
    bytes: &[u8],
    folder: Option<&Path>,
    vars: &Vars,
    sources: &mut Sources,
    problems: &mut Vec<Problem>,
) -> Option<Node> {
    let file = u32::try_from(sources.files.len()).unwrap_or(u32::MAX);
    sources.files.push(Source { name: name.to_owned(), ..Source::default() });
    let text = match yaml::text(bytes, file) {
        Ok(text) => text,
        Err(problem) => {
            if let Some(source) = sources.files.get_mut(file as usize) {
                // Enough for a snippet; never a hundred megabytes of it.
                source.text = String::from_utf8_lossy(bytes.get(..bytes.len().min(4096)).unwrap_or_default()).into_owned();
            }
            problems.push(problem);
            return None;
        }
    };
    if let Some(source) = sources.files.get_mut(file as usize) {
        text.clone_into(&mut source.text);
    }
    let _ = (vars, folder);
    let parsed = yaml::parse(text, file);
    match parsed {
        Ok((tree, found)) => {
            problems.extend(found);
            if !matches!(tree.value, Value::Map(_)) {
                let problem = Problem::error("yaml::type", tree.span, format!("a lab file is a mapping, this is {}", tree.describe()))
                    .help("it begins with `name: …`, `networks:` and `nodes:`");
                problems.push(problem);
                return None;
            }
            Some(tree)
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
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
    let disk = folder.map(Disk);
    let place: &dyn Folder = match &disk {
        Some(disk) => disk,
        None => &Nowhere,
    };
    let (plan, found) = build::plan(&file, tree, place);
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
            if matches!(problem.code, "dns::record") {
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
