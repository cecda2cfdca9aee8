//! The running service: its zones, switch, log and what is kept of them.

mod load;
mod zones;

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use dnswire::{Edns, Flags, Message, Name};
use tokio::sync::{mpsc, watch};

use crate::answer::{Asked, Verdict, refuse};
use crate::authority::Authority;
use crate::config::Config;
use crate::log::Log;
use crate::query::{Query, code};
use crate::resolve::Resolver;
use crate::store::Store;

pub use load::{Error, source_text};
pub use zones::ChangeError;

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970.
pub fn now_s() -> u32 {
    u32::try_from(now_ms() / 1000).unwrap_or(u32::MAX)
}

/// What the sockets are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// The addresses listened on; none while off.
    pub addresses: Vec<SocketAddr>,
    /// Why there are none although the service is on.
    pub error: Option<String>,
    /// Goes up with every change.
    pub turn: u64,
}

/// Something to be done about a zone in the background.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// It changed: its secondaries are told.
    Tell(Name),
    /// Its primary says that it changed.
    Refresh(Name),
}

/// The service.
#[derive(Debug)]
pub struct Service {
    /// What it was told.
    pub config: Config,
    /// Who asked what.
    pub log: Log,
    authority: RwLock<Arc<Authority>>,
    store: Option<Store>,
    resolver: Resolver,
    /// One change after the other.
    changing: Mutex<()>,
    on: watch::Sender<bool>,
    listening: watch::Sender<Listening>,
    dropped: AtomicU64,
    answered: AtomicU64,
    tasks: mpsc::UnboundedSender<Task>,
}

impl Service {
    /// Loads everything; the receiver gets what is to be done in the background.
    ///
    /// # Errors
    /// [`Error`], naming the zone and the line.
    pub fn new(config: Config) -> Result<(Arc<Self>, mpsc::UnboundedReceiver<Task>), Error> {
        config.check()?;
        let store = config.state.as_deref().map(Store::open).transpose()?;
        let resolver = Resolver::new(&config)?;
        let (authority, said) = load::all(&config, store.as_ref(), &Authority::default())?;
        let (tasks, receiver) = mpsc::unbounded_channel();
        let on = store.as_ref().is_none_or(Store::on);
        let service = Arc::new(Self {
            config,
            log: Log::default(),
            authority: RwLock::new(Arc::new(authority)),
            store,
            resolver,
            changing: Mutex::default(),
            on: watch::channel(on).0,
            listening: watch::channel(Listening::default()).0,
            dropped: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            tasks,
        });
        for line in said {
            service.say(&line);
        }
        Ok((service, receiver))
    }

    /// A line for the service's own log.
    pub fn say(&self, line: &str) {
        let _ = writeln!(std::io::stderr().lock(), "dnsd: {line}");
    }

    /// The zones as they are now.
    pub fn authority(&self) -> Arc<Authority> {
        self.authority.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_authority(&self, authority: Authority) {
        *self.authority.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(authority);
    }

    /// Whether names of others are resolved for this client.
    pub fn resolves_for(&self, client: IpAddr) -> bool {
        let resolves = self.config.recursion.is_some() || !self.config.forward.is_empty();
        let allowed = &self.config.allow_recursion;
        resolves
            && (allowed.is_empty()
                || allowed.iter().any(|net| net.contains(&client.to_canonical())))
    }

    /// The switch.
    pub fn on(&self) -> watch::Receiver<bool> {
        self.on.subscribe()
    }

    /// Tells what is listened on.
    pub(crate) fn listens(&self, addresses: Vec<SocketAddr>, error: Option<String>) {
        if let Some(error) = &error {
            self.say(error);
        }
        self.listening.send_modify(|now| {
            *now = Listening { addresses, error, turn: now.turn + 1 };
        });
    }

    /// What is listened on.
    pub fn listening(&self) -> watch::Receiver<Listening> {
        self.listening.subscribe()
    }

    /// Switches the service; waits until its sockets have followed, and keeps it over a restart.
    ///
    /// # Errors
    /// A sentence.
    pub async fn switch(&self, on: bool) -> Result<(), String> {
        if let Some(store) = &self.store {
            store.keep_on(on).map_err(|error| error.to_string())?;
        }
        let mut listening = self.listening.subscribe();
        let turn = listening.borrow_and_update().turn;
        if self.on.send_replace(on) == on && listening.borrow().error.is_none() {
            return Ok(());
        }
        let done = listening.wait_for(|now| {
            now.turn > turn && now.addresses.is_empty() != on || now.error.is_some()
        });
        match tokio::time::timeout(std::time::Duration::from_secs(5), done).await {
            Ok(Ok(now)) => now.error.clone().map_or(Ok(()), Err),
            _ => Err("the sockets do not follow the switch".into()),
        }
    }

    /// Counts a request that got no answer because of a limit.
    pub(crate) fn dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers given and requests dropped by limits since the start.
    pub fn counts(&self) -> (u64, u64) {
        (self.answered.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed))
    }

    /// Writes one line into the query log.
    pub(crate) fn note(
        &self,
        at_ms: u64,
        client: SocketAddr,
        tcp: bool,
        request: &[u8],
        reply: Option<&[u8]>,
        started: Instant,
    ) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        // What cannot be read as a query is logged as a question for the root.
        let (name, kind) = match Query::read(request) {
            Ok(query) => (query.name, query.kind),
            Err(_) => (&[0u8][..], dnswire::RecordType(0)),
        };
        self.log.note(at_ms, client, tcp, name, kind, reply, micros);
    }

    /// Finishes what the authoritative core cannot answer at once.
    pub(crate) async fn later(
        &self,
        verdict: Verdict,
        request: &[u8],
        partial: Vec<u8>,
        asked: Asked,
        client: SocketAddr,
    ) -> Vec<u8> {
        let mut reply = Vec::new();
        match verdict {
            Verdict::Notify => {
                let rcode = self.notified(request, client.ip());
                refuse(request, rcode, asked, &mut reply);
                // NOTIFY answers are authoritative (RFC 1996 section 3.12 shows them so).
                if let Some(byte) = reply.get_mut(2) {
                    *byte |= 4;
                }
            }
            Verdict::Resolve => return self.resolve(request, &partial, asked).await,
            // These are answered where they come in.
            Verdict::Transfer | Verdict::Reply | Verdict::Drop => {
                refuse(request, code::REFUSED, asked, &mut reply);
            }
        }
        reply
    }

    /// Resolves a name of others; what our own zones had on the way stands before it.
    async fn resolve(&self, request: &[u8], partial: &[u8], asked: Asked) -> Vec<u8> {
        let refused = |rcode| {
            let mut reply = Vec::new();
            refuse(request, rcode, asked, &mut reply);
            reply
        };
        let (Ok(query), Ok(mut message)) = (Query::read(request), Message::read(request)) else {
            return refused(code::FORMERR);
        };
        let Some(question) = message.questions.first().cloned() else {
            return refused(code::FORMERR);
        };
        let before = Message::read(partial).ok();
        let own = before
            .map(|message| (message.flags, message.answers))
            .filter(|(_, answers)| !answers.is_empty());
        // The last alias of ours says where it goes on.
        let alias = own.as_ref().and_then(|(_, answers)| {
            let last = answers.iter().rfind(|record| record.kind == dnswire::RecordType::CNAME)?;
            Name::from_wire(&last.data).ok()
        });
        let name = alias.unwrap_or(question.name);
        let resolved = self.resolver.resolve(self.authority(), &name, question.kind).await;
        let aa = own.as_ref().is_some_and(|(flags, _)| flags.has(Flags::AA));
        let echoed = message.flags.0 & (Flags::RD | Flags::CD);
        message.flags = Flags(Flags::QR | Flags::RA | echoed | if aa { Flags::AA } else { 0 });
        message.rcode = resolved.rcode;
        message.answers = own.map(|(_, answers)| answers).unwrap_or_default();
        message.answers.extend(resolved.answers);
        message.authority = resolved.authority;
        message.additional.clear();
        message.edns = query.edns.map(|edns| Edns {
            size: asked.udp_size,
            dnssec: edns.dnssec,
            ..Edns::default()
        });
        let limit = match query.edns {
            _ if asked.tcp => 65_535,
            Some(edns) => usize::from(edns.size.min(asked.udp_size)).max(512),
            None => 512,
        };
        message.write(limit)
    }

    /// Forgets cached names at and below a name, or all; gives how many.
    pub fn flush(&self, name: Option<&Name>) -> usize {
        self.resolver.cache().flush(name)
    }

    /// What is cached at and below a name.
    pub fn cached(&self, name: Option<&Name>, most: usize) -> Vec<serde_json::Value> {
        self.resolver.cache().list(name, most, now_ms())
    }
}
