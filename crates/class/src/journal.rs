//! What was graded, kept line by line: an interrupted grading goes on where it stopped, and a later
//! one may take over results that are new enough.
//!
//! A line is an [`Entry`]. A line cut off in the middle is what a killed labctl leaves; it is not
//! read. Which results belong to the grading that goes on is what `open` says: its end is a line
//! too.

use std::io::Write;
use std::path::{Path, PathBuf};

use engine::Instance;
use serde::{Deserialize, Serialize};

use crate::grade::Row;

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    /// When it was graded, seconds since the epoch.
    at: i64,
    /// With which options.
    how: String,
    /// When the copy was made: another copy of the same name has not been graded.
    created: i64,
    /// Whether the grading that it belongs to has ended.
    closed: bool,
    /// The result.
    row: Row,
}

/// The results of a class.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    how: String,
    entries: Vec<Entry>,
}

impl Journal {
    /// Reads what is there; nothing where the file is missing.
    pub(crate) fn open(path: &Path, how: &str) -> Self {
        Self { path: path.to_owned(), how: how.to_owned(), entries: read(path) }
    }

    /// The result of a copy, when this grading has it already: of the run that was interrupted,
    /// or not older than `since`.
    pub(crate) fn row(&self, instance: &Instance, since: Option<i64>) -> Option<Row> {
        let own = |entry: &&Entry| {
            entry.row.instance == instance.name
                && entry.created == instance.created
                && entry.how == self.how
                && entry.row.error.is_none()
        };
        let entry = self.entries.iter().rev().find(own)?;
        let new = since.is_some_and(|since| entry.at >= since);
        (!entry.closed || new).then(|| entry.row.clone())
    }

    /// Keeps a result. Where it cannot be kept, it is in the reports all the same.
    pub(crate) fn add(&self, created: i64, row: &Row) {
        let entry = Entry {
            at: jiff::Timestamp::now().as_second(),
            how: self.how.clone(),
            created,
            closed: false,
            row: row.clone(),
        };
        let Ok(line) = serde_json::to_string(&entry) else { return };
        if let Some(folder) = self.path.parent() {
            let _ = std::fs::create_dir_all(folder);
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path);
        if let Ok(mut file) = file {
            // What a killed run has left of its last line must not spoil this one.
            let _ = write!(file, "\n{line}");
        }
    }

    /// These copies are all graded: their last results stay, as those of a grading that has ended.
    pub(crate) fn close(&self, instances: &[String]) {
        let mut last: Vec<Entry> = Vec::new();
        for mut entry in read(&self.path) {
            entry.closed |= instances.contains(&entry.row.instance);
            last.retain(|old| old.row.instance != entry.row.instance || old.how != entry.how);
            last.push(entry);
        }
        let lines: Vec<String> =
            last.iter().filter_map(|entry| serde_json::to_string(entry).ok()).collect();
        let fresh = self.path.with_extension("new");
        let written = std::fs::write(&fresh, lines.join("\n"))
            .and_then(|()| std::fs::rename(&fresh, &self.path));
        // Old results that count as unfinished would be wrong; none at all are only slow.
        if written.is_err() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn read(path: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, error: Option<&str>) -> Row {
        let student = crate::roster::counted(1).remove(0);
        Row { student, instance: name.into(), report: None, error: error.map(str::to_owned) }
    }

    fn copy(name: &str, created: i64) -> Instance {
        Instance { name: name.into(), created, ..Instance::default() }
    }

    #[test]
    fn a_grading_that_was_cut_off_goes_on_and_one_that_ended_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/class.jsonl");
        let journal = Journal::open(&path, "all");
        journal.add(7, &row("x-a", None));
        journal.add(7, &row("x-b", Some("no")));
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        write!(file, "\n{{\"at\":").unwrap();
        let journal = Journal::open(&path, "all");
        assert!(journal.row(&copy("x-a", 7), None).is_some());
        assert!(journal.row(&copy("x-b", 7), None).is_none(), "an error is tried again");
        assert!(journal.row(&copy("x-a", 8), None).is_none(), "a copy made anew is another one");
        assert!(Journal::open(&path, "some").row(&copy("x-a", 7), None).is_none());
        journal.add(7, &row("x-b", None));
        journal.close(&["x-a".into(), "x-b".into()]);
        let journal = Journal::open(&path, "all");
        assert!(journal.row(&copy("x-a", 7), None).is_none());
        assert!(journal.row(&copy("x-a", 7), Some(0)).is_some());
        assert!(journal.row(&copy("x-a", 7), Some(i64::MAX)).is_none());
        assert_eq!(read(&path).len(), 2);
    }
}
