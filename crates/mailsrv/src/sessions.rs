//! Who is connected now.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::config::Protocol;

/// All sessions of a server.
#[derive(Clone, Default)]
pub struct Sessions {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<Info>>>,
    ended: Notify,
}

struct Info {
    protocol: Protocol,
    peer: SocketAddr,
    since: Instant,
    tls: AtomicBool,
    state: Mutex<(Option<String>, String)>,
    close: Notify,
}

/// One session; it is in the list until this is dropped.
pub struct Session {
    id: u64,
    info: Arc<Info>,
    all: Sessions,
}

impl Sessions {
    /// Adds a session, unless there are too many: in all, or from its address.
    pub fn begin(
        &self,
        protocol: Protocol,
        peer: SocketAddr,
        limit: usize,
        limit_per_address: usize,
    ) -> Option<Session> {
        let mut open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        let from = open.values().filter(|info| info.peer.ip() == peer.ip()).count();
        if open.len() >= limit || from >= limit_per_address {
            return None;
        }
        let id = self.number();
        let info = Arc::new(Info {
            protocol,
            peer,
            since: Instant::now(),
            tls: AtomicBool::new(false),
            state: Mutex::default(),
            close: Notify::new(),
        });
        open.insert(id, info.clone());
        Some(Session { id, info, all: self.clone() })
    }

    /// A new number of a connection.
    pub fn number(&self) -> u64 {
        self.inner.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.inner.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until one ends.
    pub async fn one_ends(&self) {
        self.inner.ended.notified().await;
    }

    /// Asks a session to end; whether there was one of that number.
    pub fn close(&self, id: u64) -> bool {
        let open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&id).is_some_and(|info| {
            info.close.notify_one();
            true
        })
    }

    /// All sessions, for people.
    pub fn list(&self) -> Vec<Value> {
        let open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter()
            .map(|(id, info)| {
                let state = info.state.lock().unwrap_or_else(PoisonError::into_inner);
                json!({
                    "connection": id,
                    "protocol": info.protocol,
                    "peer": info.peer.to_string(),
                    "seconds": info.since.elapsed().as_secs(),
                    "tls": info.tls.load(Ordering::Relaxed),
                    "user": state.0,
                    "state": state.1,
                })
            })
            .collect()
    }
}

impl Session {
    /// Its number, also in the transcript.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// It is under TLS now.
    pub fn under_tls(&self) {
        self.info.tls.store(true, Ordering::Relaxed);
    }

    /// Who has logged in.
    pub fn set_user(&self, user: &str) {
        self.info.state.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(user.to_owned());
    }

    /// What it does, such as `IDLE in INBOX`.
    pub fn set_state(&self, state: &str) {
        state.clone_into(&mut self.info.state.lock().unwrap_or_else(PoisonError::into_inner).1);
    }

    /// Waits until an administrator ends it.
    pub async fn closed(&self) {
        self.info.close.notified().await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut open = self.all.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.id);
        drop(open);
        self.all.inner.ended.notify_waiters();
    }
}
