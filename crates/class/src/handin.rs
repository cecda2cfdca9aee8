//! What each student changed, as one archive a student; put back here or on another machine.
//!
//! An archive is a gzipped tar: `student.json`, `document.json` (the lab as it was started) and
//! `nodes/<node>.tar.gz` (the node's own archive, made by its agent).

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deploy::Document;
use engine::Engine;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use node::request::Request;
use serde_json::{Value, json};

use crate::copies::Copy;
use crate::roster::Student;
use crate::start::{self, Options};

/// The most that an archive may unfold to, in bytes.
const MAX: u64 = 256 << 20;
/// The most that one file of it may have: what a node answers fits into one frame.
const MAX_FILE: u64 = 16 << 20;
/// The most that `student.json` may have.
const MAX_STUDENT: u64 = 64 << 10;
/// The most files: the two and one for each node.
const MAX_FILES: usize = 2_000;

/// A hand-in.
#[derive(Debug)]
pub struct HandIn {
    /// Whose.
    pub student: Student,
    /// The lab as it was started.
    pub document: Document,
    /// Each node's archive.
    pub nodes: BTreeMap<String, Vec<u8>>,
}

/// Saves a copy.
///
/// # Errors
/// A sentence.
pub async fn snapshot(engine: &dyn Engine, copy: &Copy) -> Result<HandIn, String> {
    let name = &copy.instance.name;
    let document = Document::of(engine, name).await.map_err(|error| error.to_string())?;
    let mut nodes = BTreeMap::new();
    for node in &document.plan.nodes {
        let client = engine.control(name, &node.name).await.map_err(|error| error.to_string())?;
        let answer: Value = client
            .call(&Request::Snapshot)
            .await
            .map_err(|e| format!("node {}: {e}", node.name))?;
        let text = answer.get("archive").and_then(Value::as_str).unwrap_or_default();
        let bytes =
            STANDARD.decode(text).map_err(|error| format!("node {}: {error}", node.name))?;
        nodes.insert(node.name.clone(), bytes);
    }
    Ok(HandIn { student: copy.student.clone(), document, nodes })
}

/// Makes the instance what the hand-in says, and gives its name back.
///
/// # Errors
/// A sentence.
pub async fn restore(
    engine: &dyn Engine,
    handin: &HandIn,
    options: &Options,
) -> Result<String, String> {
    let name = crate::copies::instance_name(&options.class, &handin.student);
    let document = &handin.document;
    let mut deployment = document.deployment(&name).map_err(|error| error.to_string())?;
    deployment.labels = crate::copies::labels(&options.class, &handin.student, options.expires);
    start::bound(&mut deployment, options.limits);
    // A copy that runs is not what was handed in.
    engine.remove(&name, &|_| {}).await.map_err(|error| error.to_string())?;
    start::start_one(engine, &deployment, &document.ready_nodes(), options.wait)
        .await
        .map_err(|(_, error)| error)?;
    for (node, bytes) in &handin.nodes {
        if document.plan.node(node).is_none() {
            continue;
        }
        let client = engine.control(&name, node).await.map_err(|error| error.to_string())?;
        let request = Request::Restore { archive: STANDARD.encode(bytes) };
        client.call::<Value>(&request).await.map_err(|error| format!("node {node}: {error}"))?;
    }
    Ok(name)
}

impl HandIn {
    /// Writes the archive; what was there is replaced only when the new one is whole.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let temporary = path.with_extension("part");
        let mut tar = tar::Builder::new(GzEncoder::new(
            std::fs::File::create(&temporary)?,
            Compression::default(),
        ));
        let mut add = |name: &str, bytes: &[u8]| -> std::io::Result<()> {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o600);
            tar.append_data(&mut header, name, bytes)
        };
        add("student.json", &serde_json::to_vec_pretty(&json!(self.student))?)?;
        add("document.json", &serde_json::to_vec(&self.document)?)?;
        for (node, bytes) in &self.nodes {
            add(&format!("nodes/{node}.tar.gz"), bytes)?;
        }
        tar.into_inner()?.finish()?.sync_all()?;
        std::fs::rename(temporary, path)
    }

    /// Reads an archive. It may have been through a student's hands: only the known names are
    /// taken, each once and within bounds, nothing is unpacked onto the disk, and the student is
    /// the one whose name the file has.
    ///
    /// # Errors
    /// A sentence.
    pub fn read(path: &Path) -> Result<Self, String> {
        let kind = std::fs::symlink_metadata(path).map_err(|error| error.to_string())?;
        if !kind.is_file() {
            return Err("it is not a file".into());
        }
        let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
        let handin = Self::unpack(file)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let slug = &handin.student.slug;
        if name.strip_suffix(SUFFIX) != Some(slug) {
            return Err(format!("it is the hand-in of {slug}: the file would be {slug}{SUFFIX}"));
        }
        Ok(handin)
    }

    fn unpack(archive: impl Read) -> Result<Self, String> {
        let damaged = |error: std::io::Error| format!("the archive is damaged: {error}");
        let mut left = MAX;
        // One byte more than is allowed shows that there is more.
        let mut tar = tar::Archive::new(GzDecoder::new(archive).take(MAX + 1));
        let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for entry in tar.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let name = entry.path().map_err(damaged)?.to_string_lossy().into_owned();
            let node = name.strip_prefix("nodes/").and_then(|name| name.strip_suffix(SUFFIX));
            let most = match (name.as_str(), node) {
                ("student.json", _) => MAX_STUDENT,
                ("document.json", _) => MAX_FILE,
                (_, Some(node)) if !node.is_empty() && !node.contains('/') => MAX_FILE,
                _ => return Err(format!("`{}` does not belong in a hand-in", printable(&name))),
            };
            if !entry.header().entry_type().is_file() {
                return Err(format!("`{}` is no plain file", printable(&name)));
            }
            let most = most.min(left);
            let mut bytes = Vec::new();
            entry.by_ref().take(most + 1).read_to_end(&mut bytes).map_err(damaged)?;
            if bytes.len() as u64 > most {
                return Err(format!("`{}` is larger than a hand-in may be", printable(&name)));
            }
            left -= bytes.len() as u64;
            if parts.len() >= MAX_FILES || parts.insert(name.clone(), bytes).is_some() {
                return Err(format!("`{}` is there twice, or too many are", printable(&name)));
            }
        }
        let mut take = |name: &str| {
            parts
                .remove(name)
                .ok_or_else(|| format!("it is not a hand-in of labctl: {name} is missing"))
        };
        let (student, document) = (take("student.json")?, take("document.json")?);
        let unread = |name: &str, error: serde_json::Error| format!("{name}: {error}");
        let student: Student =
            serde_json::from_slice(&student).map_err(|error| unread("student.json", error))?;
        let document: Document =
            serde_json::from_slice(&document).map_err(|error| unread("document.json", error))?;
        student.check()?;
        let nodes = parts.into_iter().filter_map(|(name, bytes)| {
            let node = name.strip_prefix("nodes/")?.strip_suffix(SUFFIX)?.to_owned();
            Some((node, bytes))
        });
        Ok(Self { student, nodes: nodes.collect(), document })
    }

    /// Takes the lab from its author's file instead of from the archive: what the student changed
    /// stays, what is expected of it is the author's.
    ///
    /// # Errors
    /// Where the certificates cannot be made.
    pub fn judged_by(&mut self, plan: lab::Plan) -> Result<(), String> {
        let exercise = self.document.exercise;
        let document = Document::new(plan).map_err(|error| error.to_string())?;
        self.document = document.as_exercise(exercise);
        Ok(())
    }
}

/// How the file of a hand-in ends.
pub const SUFFIX: &str = ".tar.gz";

fn printable(name: &str) -> String {
    name.chars().take(60).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handin() -> HandIn {
        let text = "name: a\nnetworks: { lan: 10.0.0.0/24 }\nnodes: { pc: { kind: pc, interfaces: { lan: 10.0.0.4 } } }\n";
        let lab = lab::load_text("a", text, None, &lab::Vars::new()).unwrap();
        let student = crate::roster::named(&["Anna.K".into()]).unwrap().remove(0);
        let nodes = [("pc".to_owned(), b"state".to_vec())].into();
        HandIn { student, document: Document::new(lab.plan).unwrap(), nodes }
    }

    /// A gzipped tar with the parts of a good hand-in and these entries after them.
    fn with(entries: &[(&str, tar::EntryType, &[u8])]) -> Result<HandIn, String> {
        let own = handin();
        let student = serde_json::to_vec(&own.student).unwrap();
        let document = serde_json::to_vec(&own.document).unwrap();
        let good = [
            ("student.json", tar::EntryType::Regular, &student[..]),
            ("document.json", tar::EntryType::Regular, &document[..]),
        ];
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        for (name, kind, bytes) in good.iter().chain(entries) {
            let mut header = tar::Header::new_gnu();
            // As a hostile archiver writes it: the name unseen by the library's own checks.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_entry_type(*kind);
            if *kind == tar::EntryType::Symlink {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            tar.append(&header, *bytes).unwrap();
        }
        HandIn::unpack(&tar.into_inner().unwrap().finish().unwrap()[..])
    }

    #[test]
    fn what_was_written_is_read_again_under_its_own_name_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anna-k.tar.gz");
        handin().write(&path).unwrap();
        let read = HandIn::read(&path).unwrap();
        assert_eq!((read.student, read.nodes), (handin().student, handin().nodes));
        // One student's work cannot be handed in as another's.
        let other = folder.path().join("ben.tar.gz");
        std::fs::copy(&path, &other).unwrap();
        assert!(HandIn::read(&other).unwrap_err().contains("anna-k"));
        let link = folder.path().join("x.tar.gz");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        assert!(HandIn::read(&link).unwrap_err().contains("not a file"));
    }

    #[test]
    fn hostile_archives_are_refused() {
        use tar::EntryType::{Directory, Link, Regular, Symlink};
        assert!(with(&[("nodes/pc.tar.gz", Regular, b"x")]).is_ok());
        for (name, kind) in [
            ("../../etc/cron.d/x", Regular),
            ("/etc/passwd", Regular),
            ("nodes/../../x.tar.gz", Regular),
            ("nodes/a/b.tar.gz", Regular),
            ("nodes/pc.tar.gz", Symlink),
            ("nodes/pc.tar.gz", Link),
            ("nodes/pc.tar.gz", Directory),
            ("student.json", Regular),
            ("more.json", Regular),
        ] {
            let refused = with(&[(name, kind, b"")]);
            assert!(refused.is_err(), "{name} {kind:?}");
        }
        // 17 MiB of nothing are 17 KiB on the wire.
        let bomb = vec![0; 17 << 20];
        assert!(with(&[("nodes/pc.tar.gz", Regular, &bomb)]).unwrap_err().contains("larger"));
        let many: Vec<String> = (0..20).map(|at| format!("nodes/n{at}.tar.gz")).collect();
        let bomb = vec![0; 15 << 20];
        let entries: Vec<_> = many.iter().map(|name| (&name[..], Regular, &bomb[..])).collect();
        assert!(with(&entries).is_err(), "all together are bounded as well");
        assert!(HandIn::unpack(&b"no archive"[..]).is_err());
    }

    #[test]
    fn a_student_is_who_the_id_says() {
        let mut student = handin().student;
        assert!(student.check().is_ok());
        student.slug = "ben".into();
        assert!(student.check().is_err(), "another's instance would be taken");
        student = handin().student;
        student.fields.insert("name".into(), "x\u{1b}[31m".into());
        assert!(student.check().is_err());
    }
}
