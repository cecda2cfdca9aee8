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
const MAX: u64 = 1 << 30;

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
    let mut deployment = handin.document.deployment(&name).map_err(|error| error.to_string())?;
    deployment.labels = crate::copies::labels(&options.class, &handin.student, options.expires);
    // A copy that runs is not what was handed in.
    engine.remove(&name, &|_| {}).await.map_err(|error| error.to_string())?;
    start::start_one(engine, &deployment, options.wait).await?;
    for (node, bytes) in &handin.nodes {
        if handin.document.plan.node(node).is_none() {
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

    /// Reads an archive. It comes from a student: only the known names are looked at, and nothing
    /// is unpacked onto the disk.
    ///
    /// # Errors
    /// A sentence.
    pub fn read(path: &Path) -> Result<Self, String> {
        let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
        let mut tar = tar::Archive::new(GzDecoder::new(file).take(MAX));
        let (mut student, mut document, mut nodes) = (None, None, BTreeMap::new());
        for entry in tar.entries().map_err(|error| error.to_string())? {
            let mut entry = entry.map_err(|error| format!("the archive is damaged: {error}"))?;
            let name = entry.path().map_err(|e| e.to_string())?.to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            match name.as_str() {
                "student.json" => {
                    student = Some(serde_json::from_slice(&bytes).map_err(|e| e.to_string())?);
                }
                "document.json" => {
                    document = Some(serde_json::from_slice(&bytes).map_err(|e| e.to_string())?);
                }
                name => {
                    if let Some(node) =
                        name.strip_prefix("nodes/").and_then(|name| name.strip_suffix(".tar.gz"))
                    {
                        nodes.insert(node.to_owned(), bytes);
                    }
                }
            }
        }
        match (student, document) {
            (Some(student), Some(document)) => Ok(Self { student, document, nodes }),
            _ => {
                Err("it is not a hand-in of labctl: student.json or document.json is missing"
                    .into())
            }
        }
    }
}
