//! The lease database on disk: an append-only log of lines, the last for an address wins.
//!
//! [`Store::append`] returns when the lines are on the disk (`fdatasync`), many changes with one
//! call. A torn last line, as a power cut leaves it, is dropped when the log is opened. A log
//! with many more lines than addresses is rewritten beside and renamed.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::config::parse_hex;
use crate::leases::{ClientKey, Lease, Record, State};

/// The first line; another version of the format would say another number.
const HEADER: &str = "# labctl dhcp leases 1\n";
/// Lines beyond twice the addresses after which the log is rewritten.
const SLACK: usize = 4096;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the lease database {path}: {what}: {source}")]
pub struct StoreError {
    /// The file.
    pub path: PathBuf,
    /// What failed.
    pub what: &'static str,
    /// Why.
    pub source: std::io::Error,
}

/// An open database.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    file: File,
    /// Bytes known to be whole lines on the disk.
    good: u64,
    lines: usize,
    live: BTreeMap<u32, String>,
}

/// What opening found.
#[derive(Debug)]
pub struct Opened {
    /// The database.
    pub store: Store,
    /// Its leases.
    pub leases: Vec<Lease>,
    /// Lines that were dropped because they were torn or damaged.
    pub damaged: usize,
}

impl Store {
    /// Opens or makes the database in a folder.
    ///
    /// # Errors
    /// Where the folder or file cannot be made, read or written.
    pub fn open(folder: &Path) -> Result<Opened, StoreError> {
        let path = folder.join("leases.log");
        let fail = |what: &'static str| {
            let path = path.clone();
            move |source| StoreError { path, what, source }
        };
        std::fs::create_dir_all(folder).map_err(fail("cannot make the folder"))?;
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(fail("cannot read")(error)),
        };
        let mut live = BTreeMap::new();
        let mut leases = BTreeMap::new();
        let (mut lines, mut damaged) = (0, 0);
        for line in String::from_utf8_lossy(&bytes).split_inclusive('\n') {
            if line.starts_with('#') {
                continue;
            }
            match parse_line(line) {
                Some(Record::Put(lease)) => {
                    lines += 1;
                    live.insert(u32::from(lease.address), line.to_owned());
                    leases.insert(u32::from(lease.address), lease);
                }
                Some(Record::Forget(address)) => {
                    lines += 1;
                    live.remove(&u32::from(address));
                    leases.remove(&u32::from(address));
                }
                None => damaged += 1,
            }
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(fail("cannot open"))?;
        let mut store = Self { path: path.clone(), file, good: 0, lines, live };
        // A fresh start is the moment to clean up: the log is then whole lines only.
        store.rewrite()?;
        Ok(Opened { store, leases: leases.into_values().collect(), damaged })
    }

    /// Writes changes and returns when they are on the disk.
    ///
    /// # Errors
    /// Where the disk refuses; the log is then cut back to what it held before.
    pub fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let mut text = String::with_capacity(records.len() * 96);
        for record in records {
            let line = line_of(record);
            text.push_str(&line);
            match record {
                Record::Put(lease) => drop(self.live.insert(u32::from(lease.address), line)),
                Record::Forget(address) => drop(self.live.remove(&u32::from(*address))),
            }
        }
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // Half a line must not stand before the next whole one.
            let _ = self.file.set_len(self.good);
            let _ = self.file.seek(SeekFrom::End(0));
            return Err(StoreError { path: self.path.clone(), what: "cannot write", source });
        }
        self.good += text.len() as u64;
        self.lines += records.len();
        if self.lines > 2 * self.live.len() + SLACK {
            self.rewrite()?;
        }
        Ok(())
    }

    /// Lines in the log now, for tests and the status.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// The same on a disk that takes nothing.
    #[cfg(test)]
    pub(crate) fn on_full_disk(self) -> Self {
        let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        Self { file, ..self }
    }

    fn rewrite(&mut self) -> Result<(), StoreError> {
        let fail = |what: &'static str| {
            let path = self.path.clone();
            move |source| StoreError { path, what, source }
        };
        let fresh = self.path.with_extension("new");
        let mut text = String::from(HEADER);
        text.extend(self.live.values().map(String::as_str));
        let mut file = File::create(&fresh).map_err(fail("cannot make a fresh log"))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(fail("cannot write a fresh log"))?;
        std::fs::rename(&fresh, &self.path).map_err(fail("cannot replace the log"))?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)
                .and_then(|f| f.sync_all())
                .map_err(fail("cannot sync its folder"))?;
        }
        self.file =
            OpenOptions::new().append(true).open(&self.path).map_err(fail("cannot open again"))?;
        self.good = text.len() as u64;
        self.lines = self.live.len();
        Ok(())
    }
}

fn line_of(record: &Record) -> String {
    let body = match record {
        Record::Forget(address) => format!("forget {address}"),
        Record::Put(lease) => {
            let (word, at) = match lease.state {
                State::Offered(at) => ("offered", at),
                State::Bound(at) => ("bound", at),
                State::Released(at) => ("released", at),
                State::Quarantined(at) => ("quarantined", at),
            };
            let client = match &lease.client {
                ClientKey::Id(id) => format!("id:{}", hex(id)),
                ClientKey::Hardware(htype, mac) => format!("hw:{htype:02x}{}", hex(mac)),
            };
            let name =
                lease.hostname.as_deref().map_or("-".into(), |n| format!("={}", hex(n.as_bytes())));
            let mac = hex(&lease.chaddr);
            format!("{word} {} {at} {} {client} {mac:-<1} {name}", lease.address, lease.since)
        }
    };
    format!("{body} {:08x}\n", sum(body.as_bytes()))
}

fn parse_line(line: &str) -> Option<Record> {
    let line = line.strip_suffix('\n')?;
    let (body, check) = line.rsplit_once(' ')?;
    if u32::from_str_radix(check, 16).ok()? != sum(body.as_bytes()) {
        return None;
    }
    let words: Vec<&str> = body.split(' ').collect();
    match words.as_slice() {
        ["forget", address] => Some(Record::Forget(address.parse().ok()?)),
        [word, address, at, since, client, mac, name] => {
            let at = at.parse().ok()?;
            let state = match *word {
                "bound" => State::Bound(at),
                "released" => State::Released(at),
                "quarantined" => State::Quarantined(at),
                _ => return None,
            };
            let client = match client.split_once(':')? {
                ("id", id) => ClientKey::Id(parse_hex(id)?),
                ("hw", hardware) => {
                    let bytes = parse_hex(hardware)?;
                    let (htype, mac) = bytes.split_first()?;
                    ClientKey::Hardware(*htype, mac.to_vec())
                }
                _ => return None,
            };
            let hostname = match name.strip_prefix('=') {
                Some(name) => Some(String::from_utf8_lossy(&parse_hex(name)?).into_owned()),
                None => None,
            };
            Some(Record::Put(Lease {
                address: address.parse::<Ipv4Addr>().ok()?,
                state,
                client,
                chaddr: if *mac == "-" { Vec::new() } else { parse_hex(mac)? },
                hostname,
                since: since.parse().ok()?,
            }))
        }
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// FNV-1a: enough to tell a torn line from a whole one.
fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(last: u8, state: State) -> Lease {
        Lease {
            address: Ipv4Addr::new(10, 0, 0, last),
            state,
            client: ClientKey::Hardware(1, vec![2, 0, 0, 0, 0, last]),
            chaddr: vec![2, 0, 0, 0, 0, last],
            hostname: Some("PC A".into()),
            since: 5,
        }
    }

    #[test]
    fn leases_survive_and_a_torn_line_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap().store;
        let kept = lease(1, State::Bound(900));
        store
            .append(&[
                Record::Put(kept.clone()),
                Record::Put(lease(2, State::Bound(900))),
                Record::Forget(Ipv4Addr::new(10, 0, 0, 2)),
            ])
            .unwrap();
        let path = folder.path().join("leases.log");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"bound 10.0.0.3 900 5 hw:0102").unwrap();
        let opened = Store::open(folder.path()).unwrap();
        assert_eq!((opened.leases, opened.damaged), (vec![kept], 1));
    }

    #[test]
    fn the_log_rewrites_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap().store;
        for round in 0..SLACK as u64 / 256 + 1 {
            let batch: Vec<_> =
                (0..256).map(|_| Record::Put(lease(1, State::Bound(round)))).collect();
            store.append(&batch).unwrap();
        }
        assert!(store.lines() < 300);
        let leases = Store::open(folder.path()).unwrap().leases;
        assert_eq!(leases, [lease(1, State::Bound(SLACK as u64 / 256))]);
    }
}
