//! The journal file: one line for each transaction, `checksum json-array`.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Error;
use super::model::State;
use super::record::Record;

/// The journal is written anew when it is longer than this and mostly history.
const COMPACT_FROM: u64 = 8 << 20;

pub(super) struct Journal {
    folder: PathBuf,
    file: File,
    /// Bytes that are good.
    length: u64,
    /// Bytes after the last compaction.
    base: u64,
}

impl Journal {
    /// Opens or makes the journal of `folder` and reads the state out of it. A last line that a
    /// crash cut off is removed: nobody got an answer for it.
    pub fn open(folder: &Path) -> Result<(Self, State), Error> {
        let disk = |error: std::io::Error| Error::Disk {
            folder: folder.into(),
            reason: error.to_string(),
        };
        let path = folder.join("index");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(disk)?;
        let (mut state, mut good) = (State::default(), 0_u64);
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(disk)?;
            if read == 0 {
                break;
            }
            let damaged =
                |reason: String| Error::Damaged { path: path.clone(), offset: good, reason };
            match parse(&line) {
                Ok(records) => {
                    for record in &records {
                        state.apply(record).map_err(damaged)?;
                    }
                    good += read as u64;
                }
                Err(reason) => {
                    let rest = reader.fill_buf().map_err(disk)?;
                    if !rest.is_empty() && line.ends_with(b"\n") {
                        return Err(damaged(reason));
                    }
                    break;
                }
            }
        }
        drop(reader);
        state.orphans.clear();
        file.set_len(good).map_err(disk)?;
        let mut journal = Self { folder: folder.into(), file, length: good, base: good };
        if good > 0 {
            journal.compact(&state).map_err(disk)?;
        } else {
            journal.file.sync_all().and_then(|()| File::open(folder)?.sync_all()).map_err(disk)?;
        }
        Ok((journal, state))
    }

    /// Writes transactions and, where asked, waits until they are on disk. After an error the
    /// file is as it was before.
    pub fn append(&mut self, lines: &[u8], sync: bool) -> std::io::Result<()> {
        let written = self
            .file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(lines))
            .and_then(|()| if sync { self.file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => {
                self.length += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.file.set_len(self.length)?;
                Err(error)
            }
        }
    }

    /// Whether most of the file is history.
    pub fn is_long(&self) -> bool {
        self.length > COMPACT_FROM && self.length > 4 * self.base
    }

    /// Writes the file anew with only what holds now.
    pub fn compact(&mut self, state: &State) -> std::io::Result<()> {
        let beside = self.folder.join("index.new");
        let mut file = BufWriter::new(
            OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&beside)?,
        );
        let records = state.records();
        let mut length = 0_u64;
        for chunk in records.chunks(64) {
            let text = line(chunk)?;
            length += text.len() as u64;
            file.write_all(&text)?;
        }
        let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.sync_all()?;
        std::fs::rename(&beside, self.folder.join("index"))?;
        File::open(&self.folder)?.sync_all()?;
        (self.file, self.length, self.base) = (file, length, length);
        Ok(())
    }
}

/// One transaction as a line.
pub(super) fn line(records: &[Record]) -> std::io::Result<Vec<u8>> {
    let json = serde_json::to_vec(records)?;
    let mut line = format!("{:016x} ", checksum(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    Ok(line)
}

fn parse(line: &[u8]) -> Result<Vec<Record>, String> {
    let json = line
        .strip_suffix(b"\n")
        .and_then(|line| line.split_at_checked(17))
        .ok_or("the line is cut off")?;
    let given = std::str::from_utf8(json.0)
        .ok()
        .and_then(|hex| u64::from_str_radix(hex.trim_end(), 16).ok());
    if given != Some(checksum(json.1)) {
        return Err("the checksum is wrong".into());
    }
    serde_json::from_slice(json.1).map_err(|error| error.to_string())
}

/// For `fuzz/`: records of any kind must be applied or refused, and the state that they make must
/// come out of its own records again. The checksum is left out: no fuzzer finds one.
pub(crate) fn fuzz(bytes: &[u8]) {
    let _ = parse(bytes);
    let mut state = State::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(records) = serde_json::from_slice::<Vec<Record>>(line) else { continue };
        for record in &records {
            let _ = state.apply(record);
        }
    }
    let records = state.records();
    let mut again = State::default();
    for record in &records {
        let applied = again.apply(record);
        assert!(applied.is_ok(), "{record:?}: {applied:?}");
    }
    assert_eq!(again.records(), records);
}

/// FNV-1a: catches a line that was written in part.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
