//! The committing thread: takes everything that waits as one batch.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use super::change::{Change, Outcome};
use super::files::Files;
use super::journal::{self, Journal};
use super::model::State;
use super::plan::plan;
use super::record::Record;
use super::{Error, Shared};

/// Transactions in one batch at most.
const BATCH: usize = 256;

/// One transaction with the place for its answer.
pub(super) struct Job {
    pub changes: Vec<Change>,
    pub reply: oneshot::Sender<Result<Vec<Outcome>, Error>>,
}

/// A planned transaction.
struct Planned {
    records: Vec<Record>,
    outcomes: Vec<Outcome>,
    reply: oneshot::Sender<Result<Vec<Outcome>, Error>>,
}

struct Committer {
    journal: Journal,
    /// The state with everything planned, ahead of what readers see.
    next: State,
    shared: Arc<Shared>,
    files: Files,
    folder: PathBuf,
}

/// The committing thread. It ends with this: then its last batch is on disk and the folder free.
pub(super) struct Committing {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Committing {
    /// Hands a job over; gives it back where the thread has ended.
    pub(super) fn send(&self, job: Job) -> Result<(), SendError<Job>> {
        match &self.jobs {
            Some(jobs) => jobs.send(job),
            None => Err(SendError(job)),
        }
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        // The thread ends when nobody can hand it a job any more.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(super) fn start(
    journal: Journal,
    next: State,
    shared: Arc<Shared>,
    files: Files,
    folder: &Path,
) -> Result<Committing, Error> {
    let (sender, jobs) = channel();
    let mut committer = Committer { journal, next, shared, files, folder: folder.into() };
    let thread = std::thread::Builder::new()
        .name("commit".into())
        .stack_size(512 << 10)
        .spawn(move || committer.run(&jobs))
        .map_err(|error| Error::Disk { folder: folder.into(), reason: error.to_string() })?;
    Ok(Committing { jobs: Some(sender), thread: Some(thread) })
}

impl Committer {
    /// Ends when the store is dropped.
    fn run(&mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
            // What needs no sync goes first: flags do not wait for the messages of others. Of one
            // session, jobs never wait together, so that its order stays.
            let durable = |job: &Job| job.changes.iter().any(Change::durable);
            let (durable, quick): (Vec<Job>, Vec<Job>) = batch.into_iter().partition(durable);
            for group in [quick, durable] {
                if !group.is_empty() {
                    self.batch(group);
                }
            }
            if self.journal.is_long() && self.journal.compact(&self.next).is_err() {
                // The old file is complete; the next batch tries again.
                let _ = std::fs::remove_file(self.folder.join("index.new"));
            }
        }
    }

    fn batch(&mut self, jobs: Vec<Job>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_secs());
        let now = u32::try_from(now).unwrap_or(u32::MAX);
        let mut planned: Vec<Planned> = Vec::with_capacity(jobs.len());
        let (mut sync, mut text) = (false, Vec::new());
        for job in jobs {
            let durable = job.changes.iter().any(Change::durable);
            match self.transaction(job.changes, now) {
                Ok((records, outcomes)) => {
                    let line =
                        if records.is_empty() { Ok(Vec::new()) } else { journal::line(&records) };
                    match line {
                        Ok(line) => {
                            text.extend_from_slice(&line);
                            sync |= durable && !line.is_empty();
                            planned.push(Planned { records, outcomes, reply: job.reply });
                        }
                        Err(error) => {
                            let _ = job.reply.send(Err(self.disk(&error)));
                            self.replay(&planned);
                        }
                    }
                }
                Err(error) => {
                    let _ = job.reply.send(Err(error));
                    self.replay(&planned);
                }
            }
        }
        let written = if text.is_empty() {
            Ok(())
        } else {
            let folder = if sync { self.files.sync_folder() } else { Ok(()) };
            folder.and_then(|()| self.journal.append(&text, sync))
        };
        match written {
            Ok(()) => self.publish(planned),
            Err(error) => {
                self.replay(&[]);
                for transaction in planned {
                    let _ = transaction.reply.send(Err(self.disk(&error)));
                }
            }
        }
    }

    fn transaction(
        &mut self,
        changes: Vec<Change>,
        now: u32,
    ) -> Result<(Vec<Record>, Vec<Outcome>), Error> {
        let (mut records, mut outcomes) = (Vec::new(), Vec::with_capacity(changes.len()));
        for change in changes {
            outcomes.push(plan(&mut self.next, change, now, &mut records)?);
        }
        Ok((records, outcomes))
    }

    /// Takes back what was planned beyond these.
    fn replay(&mut self, planned: &[Planned]) {
        self.next = self.shared.live().clone();
        for record in planned.iter().flat_map(|transaction| &transaction.records) {
            // They were applied to the same state before.
            let _ = self.next.apply(record);
        }
    }

    /// Lets readers see what is on disk, then answers, then wakes those who wait for news.
    fn publish(&mut self, planned: Vec<Planned>) {
        let (mut accounts, mut queue) = (BTreeSet::new(), false);
        let orphans = {
            let mut live = self.shared.live();
            for record in planned.iter().flat_map(|transaction| &transaction.records) {
                match account_of(record) {
                    Some(account) => {
                        if !accounts.contains(account) {
                            accounts.insert(account.to_owned());
                        }
                    }
                    None => queue = true,
                }
                // Planned on an equal state: it cannot fail.
                let _ = live.apply(record);
            }
            std::mem::take(&mut live.orphans)
        };
        self.next.orphans.clear();
        for transaction in planned {
            let _ = transaction.reply.send(Ok(transaction.outcomes));
        }
        for account in &accounts {
            self.shared.changed(account);
        }
        if queue {
            self.shared.queue.send_modify(|count| *count += 1);
        }
        for file in orphans {
            if !self.next.names.contains_key(&file) {
                self.files.remove(file);
            }
        }
    }

    fn disk(&self, error: &std::io::Error) -> Error {
        Error::Disk { folder: self.folder.clone(), reason: error.to_string() }
    }
}

fn account_of(record: &Record) -> Option<&str> {
    match record {
        Record::Account { account }
        | Record::NoAccount { account }
        | Record::Mailbox { account, .. }
        | Record::NoMailbox { account, .. }
        | Record::Rename { account, .. }
        | Record::Subscribe { account, .. }
        | Record::Add { account, .. }
        | Record::Flags { account, .. }
        | Record::Expunge { account, .. }
        | Record::Recent { account, .. }
        | Record::Answered { account, .. } => Some(account),
        Record::Validity { .. } | Record::Queue(_) | Record::NoQueue { .. } => None,
    }
}
