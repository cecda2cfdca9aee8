//! The thread that writes the lease database: group commit without stopping the server.
//!
//! While the disk takes one group of changes the server goes on answering; what it changes
//! meanwhile becomes the next group. A reply comes back to be sent when its change is on the disk.

use std::io;
use std::sync::mpsc as blocking;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use crate::admin::Answer;
use crate::leases::Record;
use crate::reply::Reply;
use crate::store::Store;

/// Changes, and who waits for them.
#[derive(Debug, Default)]
pub struct Job {
    /// The changes.
    pub records: Vec<Record>,
    /// Replies that promise them.
    pub replies: Vec<Reply>,
    /// An admin request that made them.
    pub asked: Option<(oneshot::Sender<Answer>, Answer)>,
}

/// What became of a group.
#[derive(Debug)]
pub enum Written {
    /// It is on the disk: these may be sent.
    Done(Vec<Reply>),
    /// The disk refused it: its replies must not be sent.
    Refused(String),
}

/// The writing thread's other end. Dropping it ends the thread after what it has.
#[derive(Debug)]
pub struct Writer {
    jobs: blocking::Sender<Job>,
    written: mpsc::UnboundedReceiver<Written>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub fn start(mut store: Store) -> io::Result<Self> {
        let (jobs, queue) = blocking::channel::<Job>();
        let (tell, written) = mpsc::unbounded_channel();
        thread::Builder::new().name("leases".into()).stack_size(256 << 10).spawn(move || {
            while let Ok(first) = queue.recv() {
                let mut group = first;
                let mut asked: Vec<_> = group.asked.take().into_iter().collect();
                for job in queue.try_iter() {
                    group.records.extend(job.records);
                    group.replies.extend(job.replies);
                    asked.extend(job.asked);
                }
                let outcome = match store.append(&group.records) {
                    Ok(()) => Written::Done(group.replies),
                    Err(error) => Written::Refused(error.to_string()),
                };
                for (back, answer) in asked {
                    let answer = match &outcome {
                        Written::Refused(why) => Err(node::Error::new("disk", why)),
                        Written::Done(_) => answer,
                    };
                    let _ = back.send(answer);
                }
                if tell.send(outcome).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, written })
    }

    /// Hands changes over.
    pub fn write(&self, job: Job) {
        // The thread ends only when this end is dropped.
        let _ = self.jobs.send(job);
    }

    /// Waits for the next group. Cancel-safe.
    pub async fn written(&mut self) -> Written {
        match self.written.recv().await {
            Some(written) => written,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leases::{ClientKey, Lease, State};
    use crate::reply::To;

    fn job(last: u8) -> Job {
        let address = std::net::Ipv4Addr::new(10, 0, 0, last);
        let lease = Lease {
            address,
            state: State::Bound(900),
            client: ClientKey::Id(vec![last]),
            chaddr: vec![last; 6],
            hostname: None,
            since: 1,
        };
        let reply = Reply { to: To::Broadcast, interface: 1, source: address, bytes: vec![last] };
        Job { records: vec![Record::Put(lease)], replies: vec![reply], asked: None }
    }

    #[tokio::test]
    async fn replies_come_back_in_order_when_their_leases_are_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::start(Store::open(folder.path()).unwrap().store).unwrap();
        for last in 1..=200 {
            writer.write(job(last));
        }
        let mut seen = Vec::new();
        while seen.len() < 200 {
            match writer.written().await {
                Written::Done(replies) => {
                    seen.extend(replies.into_iter().map(|reply| reply.bytes[0]))
                }
                Written::Refused(why) => panic!("{why}"),
            }
            let on_disk = std::fs::read_to_string(folder.path().join("leases.log")).unwrap();
            assert!(on_disk.lines().count() > seen.len(), "a reply came before its lease");
        }
        assert_eq!(seen, (1..=200).collect::<Vec<u8>>());
    }

    #[tokio::test]
    async fn a_disk_that_refuses_holds_the_replies_back() {
        // /dev/full takes nothing.
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap().store.on_full_disk();
        let mut writer = Writer::start(store).unwrap();
        let (back, answer) = oneshot::channel();
        writer.write(Job { asked: Some((back, Ok(serde_json::json!(1)))), ..job(1) });
        assert!(matches!(writer.written().await, Written::Refused(_)));
        assert_eq!(answer.await.unwrap().unwrap_err().code, "disk");
    }
}
