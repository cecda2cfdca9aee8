//! Names of others: forwarded, or resolved from the root servers down (RFC 1034 section 5.3.3).

mod iterate;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dnswire::{Flags, Message, Name, Record, RecordType};
use tokio::sync::Semaphore;

use crate::answer::{self, Asked, Verdict};
use crate::authority::Authority;
use crate::cache::{Cache, Known, Rank};
use crate::config::Config;
use crate::master;
use crate::query::code;
use crate::service::now_ms;
use crate::upstream;

/// Questions asked of other servers for one question of a client.
const QUESTIONS: u32 = 64;

/// Aliases followed.
const ALIASES: usize = 16;

/// How long a server that did not answer is asked last.
const DEAD_MS: u64 = 30_000;

/// How long one server may take.
const WAIT: Duration = Duration::from_millis(1500);

/// How long one may take that did not answer lately.
const WAIT_DEAD: Duration = Duration::from_millis(300);

/// What a name resolved to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The response code.
    pub rcode: u16,
    /// The answer section, aliases first.
    pub answers: Vec<Record>,
    /// The authority section: the SOA of a denial.
    pub authority: Vec<Record>,
}

impl Resolved {
    fn failed() -> Self {
        Self { rcode: code::SERVFAIL, ..Self::default() }
    }
}

/// Why names cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name in the configuration is not one.
    #[error("forwarding or recursion: {0}")]
    Name(#[from] dnswire::NameError),
    /// The hints cannot be read.
    #[error("root hints {}: {reason}", path.display())]
    Hints {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        reason: String,
    },
}

/// The resolver.
#[derive(Debug)]
pub struct Resolver {
    cache: Mutex<Cache>,
    /// Forward rules, the longest names first.
    forward: Vec<(Name, Vec<SocketAddr>)>,
    roots: Vec<(Name, Vec<IpAddr>)>,
    port: u16,
    time: Duration,
    places: Semaphore,
    dead: Mutex<HashMap<SocketAddr, u64>>,
}

/// The work for one question of a client.
struct Work {
    authority: Arc<Authority>,
    questions: AtomicU32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resolver {
    /// From the configuration.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(config: &Config) -> Result<Self, Error> {
        let mut forward = Vec::new();
        for rule in &config.forward {
            let servers = rule.servers.iter().map(|server| server.0).collect();
            forward.push((Name::complete(&rule.zone)?, servers));
        }
        forward.sort_by_key(|(name, _): &(Name, _)| std::cmp::Reverse(name.count()));
        let mut roots: HashMap<Name, Vec<IpAddr>> = HashMap::new();
        let mut port = 53;
        if let Some(recursion) = &config.recursion {
            port = recursion.port;
            for (name, addresses) in &recursion.root_hints {
                roots.entry(Name::complete(name)?).or_default().extend(addresses);
            }
            if let Some(path) = &recursion.hints_file {
                let failed = |reason: String| Error::Hints { path: path.clone(), reason };
                let text =
                    std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
                let entries = master::parse(&Name::root(), &text)
                    .map_err(|error| failed(error.to_string()))?;
                for entry in entries {
                    if let (RecordType::A, Ok(octets)) =
                        (entry.kind, <[u8; 4]>::try_from(&entry.data[..]))
                    {
                        roots.entry(entry.name).or_default().push(octets.into());
                    }
                }
            }
        }
        let mut roots: Vec<_> = roots.into_iter().collect();
        roots.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self {
            cache: Mutex::new(Cache::new(config.limits.cache)),
            forward,
            roots,
            port,
            time: Duration::from_secs(config.limits.seconds.max(1)),
            places: Semaphore::new(config.limits.resolving.max(1)),
            dead: Mutex::default(),
        })
    }

    /// Resolves a name; every failure is SERVFAIL, in bounded time.
    pub async fn resolve(
        &self,
        authority: Arc<Authority>,
        name: &Name,
        kind: RecordType,
    ) -> Resolved {
        let Ok(_place) = self.places.try_acquire() else { return Resolved::failed() };
        let work = Work { authority, questions: AtomicU32::new(0) };
        let resolving = self.follow(name.clone(), kind, &work, 0);
        tokio::time::timeout(self.time, resolving).await.unwrap_or_else(|_| Resolved::failed())
    }

    /// The cache.
    pub fn cache(&self) -> MutexGuard<'_, Cache> {
        lock(&self.cache)
    }

    /// From alias to alias. `depth` counts servers' names that had to be resolved on the way.
    async fn follow(&self, name: Name, kind: RecordType, work: &Work, depth: usize) -> Resolved {
        let mut whole = Resolved::default();
        let mut name = name;
        for _ in 0..ALIASES {
            let part = self.step(&name, kind, work, depth).await;
            whole.rcode = part.rcode;
            whole.authority = part.authority;
            whole.answers.extend(part.answers);
            // Where the chain of aliases that we have ends.
            let end = end_of_chain(&whole.answers, &name, kind);
            match end {
                Some(target) if whole.rcode == code::NOERROR && whole.authority.is_empty() => {
                    let circle = whole
                        .answers
                        .iter()
                        .filter(|r| r.kind == RecordType::CNAME && r.name == target)
                        .count();
                    if circle > 0 {
                        return whole;
                    }
                    name = target;
                }
                _ => return whole,
            }
        }
        whole
    }

    /// One name: from our own zones, the cache, a forwarder, or the servers of its zone.
    async fn step(&self, name: &Name, kind: RecordType, work: &Work, depth: usize) -> Resolved {
        if let Some(own) = own(&work.authority, name, kind) {
            return own;
        }
        if let Some(known) = self.known(name, kind) {
            return known;
        }
        if let Some((_, servers)) = self.forward.iter().find(|(zone, _)| name.is_within(zone)) {
            return self.ask_forwarders(name, kind, servers, work).await;
        }
        if self.roots.is_empty() {
            return Resolved { rcode: code::REFUSED, ..Resolved::default() };
        }
        self.iterate(name, kind, work, depth).await
    }

    /// What the cache has for a name.
    fn known(&self, name: &Name, kind: RecordType) -> Option<Resolved> {
        let cache = self.cache();
        let now = now_ms();
        let get = |kind| cache.get(name, kind, Rank::Answer, now);
        match get(kind)
            .or_else(|| get(RecordType::CNAME).filter(|known| matches!(known, Known::Records(_))))?
        {
            Known::Records(answers) => Some(Resolved { answers, ..Resolved::default() }),
            Known::NoData(soa) => {
                Some(Resolved { authority: soa.into_iter().collect(), ..Resolved::default() })
            }
            Known::NoName(soa) => Some(Resolved {
                rcode: code::NXDOMAIN,
                authority: soa.into_iter().collect(),
                ..Resolved::default()
            }),
        }
    }

    async fn ask_forwarders(
        &self,
        name: &Name,
        kind: RecordType,
        servers: &[SocketAddr],
        work: &Work,
    ) -> Resolved {
        for server in self.by_life(servers) {
            let Some(message) = self.ask(name, kind, server, true, work).await else { continue };
            if !matches!(message.rcode, code::NOERROR | code::NXDOMAIN) {
                continue;
            }
            self.keep(&message, name, kind, &Name::root());
            let soa = message.authority.into_iter().filter(|record| record.kind == RecordType::SOA);
            let answers = message.answers.into_iter().filter(|record| record.class == 1).collect();
            return Resolved {
                rcode: message.rcode,
                answers,
                authority: soa.filter(|record| record.class == 1).collect(),
            };
        }
        Resolved::failed()
    }

    /// The servers, those that did not answer lately last.
    fn by_life(&self, servers: &[SocketAddr]) -> Vec<SocketAddr> {
        let now = now_ms();
        let dead = lock(&self.dead);
        let mut servers = servers.to_vec();
        servers.sort_by_key(|server| dead.get(server).is_some_and(|until| *until > now));
        servers
    }

    /// One question to one server, within the work's bound.
    async fn ask(
        &self,
        name: &Name,
        kind: RecordType,
        server: SocketAddr,
        recursion: bool,
        work: &Work,
    ) -> Option<Message> {
        if work.questions.fetch_add(1, Ordering::Relaxed) >= QUESTIONS {
            return None;
        }
        let query = Message::query(rand::random(), name.clone(), kind, recursion);
        let lately_dead = lock(&self.dead).get(&server).is_some_and(|until| *until > now_ms());
        let wait = if lately_dead { WAIT_DEAD } else { WAIT };
        let message = match upstream::ask(&query, server, wait).await {
            // A server from before EDNS (RFC 6891 section 6.2.2).
            Ok(message) if message.rcode == code::FORMERR && message.edns.is_none() => {
                let plain = Message { edns: None, ..query };
                upstream::ask(&plain, server, wait).await
            }
            other => other,
        };
        let mut dead = lock(&self.dead);
        match message {
            Ok(message) => {
                dead.remove(&server);
                Some(message)
            }
            Err(_) => {
                if dead.len() > 4096 {
                    dead.clear();
                }
                dead.insert(server, now_ms() + DEAD_MS);
                None
            }
        }
    }

    /// Keeps what a message answers, as far as it lies within `zone`: a server is not believed
    /// about the names of others.
    fn keep(&self, message: &Message, name: &Name, kind: RecordType, zone: &Name) {
        let now = now_ms();
        let mut cache = self.cache();
        for records in sets(&message.answers, zone) {
            let (owner, kind) = (records[0].name.clone(), records[0].kind);
            cache.put(&owner, kind, records, Rank::Answer, now);
        }
        let no_name = message.rcode == code::NXDOMAIN;
        // A denial is about the end of the chain of aliases.
        let end = if message.answers.is_empty() {
            Some(name.clone())
        } else {
            end_of_chain(&message.answers, name, kind)
        };
        if let Some(end) = end.filter(|end| end.is_within(zone))
            && (no_name || message.rcode == code::NOERROR)
        {
            let soa = message
                .authority
                .iter()
                .find(|r| r.kind == RecordType::SOA && r.class == 1 && end.is_within(&r.name));
            cache.deny(&end, kind, no_name, soa.cloned(), now);
        }
    }
}

/// Groups records into sets, leaving out what is not within a zone or not of class IN.
fn sets(records: &[Record], zone: &Name) -> Vec<Vec<Record>> {
    let mut found: Vec<Vec<Record>> = Vec::new();
    for record in records.iter().filter(|record| record.class == 1 && record.name.is_within(zone)) {
        match found.iter_mut().find(|set| set[0].name == record.name && set[0].kind == record.kind)
        {
            Some(set) => set.push(record.clone()),
            None => found.push(vec![record.clone()]),
        }
    }
    found
}

/// Where the aliases from `name` lead, if the type asked for is not there; `None` when it is, or
/// when there is no alias.
fn end_of_chain(answers: &[Record], name: &Name, kind: RecordType) -> Option<Name> {
    if matches!(kind, RecordType::CNAME | RecordType::ANY) {
        return None;
    }
    let mut end = name.clone();
    for _ in 0..=answers.len() {
        if answers.iter().any(|record| record.name == end && record.kind == kind) {
            return None;
        }
        let alias =
            answers.iter().find(|record| record.name == end && record.kind == RecordType::CNAME);
        match alias.and_then(|alias| Name::from_wire(&alias.data).ok()) {
            Some(target) => end = target,
            None => break,
        }
    }
    (end != *name).then_some(end)
}

/// What our own zones say of a name; `None` where they have nothing or delegate it.
fn own(authority: &Authority, name: &Name, kind: RecordType) -> Option<Resolved> {
    authority.closest(name.lower().wire())?;
    let query = Message::query(0, name.clone(), kind, false).write(512);
    let mut out = Vec::new();
    let asked = Asked { tcp: true, recursion: false, udp_size: 65_535 };
    if answer::answer(authority, &query, asked, &mut out) != Verdict::Reply {
        return None;
    }
    let message = Message::read(&out).ok()?;
    if !message.flags.has(Flags::AA) {
        return (message.rcode == code::SERVFAIL).then(Resolved::failed);
    }
    let soa = message.authority.into_iter().filter(|record| record.kind == RecordType::SOA);
    Some(Resolved { rcode: message.rcode, answers: message.answers, authority: soa.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(name: &str, target: &str) -> Record {
        let name = Name::complete(name).unwrap();
        let data = Name::complete(target).unwrap().wire().into();
        Record { name, kind: RecordType::CNAME, class: 1, ttl: 5, data }
    }

    #[test]
    fn rfc1034_5_2_2_chains_of_aliases_end_even_in_circles() {
        let name = Name::complete("a.test").unwrap();
        let chain = [alias("a.test", "b.test"), alias("b.test", "c.test")];
        assert_eq!(
            end_of_chain(&chain, &name, RecordType::A),
            Some(Name::complete("c.test").unwrap())
        );
        assert_eq!(end_of_chain(&chain, &name, RecordType::CNAME), None);
        assert_eq!(end_of_chain(&[], &name, RecordType::A), None);
        let circle = [alias("a.test", "b.test"), alias("b.test", "a.test")];
        let _ = end_of_chain(&circle, &name, RecordType::A);
    }
}
