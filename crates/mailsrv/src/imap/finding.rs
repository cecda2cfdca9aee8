//! SEARCH, SORT and THREAD: what the client is told of the messages that a key finds (RFC 3501,
//! 6.4.4; RFC 4731, 5256, 7162).

use super::command::{Key, SearchResult, SortKey};
use super::folders::now;
use super::messages::ranges;
use super::output::Output;
use super::search::{Candidate, read_header};
use super::session::{Answer, No, Session};
use super::{sort, thread};

impl Session {
    /// The messages that a key finds, as number and UID.
    async fn find(&mut self, key: &Key) -> Vec<(u32, u32)> {
        self.condstore |= key.uses_modseq();
        self.refresh();
        let Some(view) = &self.view else { return Vec::new() };
        let now = now();
        let mut found = Vec::new();
        for (number, uid) in view.all() {
            if number % 64 == 0 {
                // Other sessions want to go on as well.
                tokio::task::yield_now().await;
            }
            let Some(message) = view.message(uid) else { continue };
            if Candidate::new(view, &self.server.store, number, message, now).matches(key) {
                found.push((number, uid));
            }
        }
        found
    }

    pub(super) async fn search(
        &mut self,
        tag: &str,
        uid: bool,
        results: Option<Vec<SearchResult>>,
        key: &Key,
        out: &mut Output,
    ) -> Answer {
        let found = self.find(key).await;
        let numbers: Vec<u32> = found.iter().map(|(n, u)| if uid { *u } else { *n }).collect();
        let modseq = |uids: &[u32]| {
            let view = self.view.as_ref()?;
            uids.iter().filter_map(|uid| view.message(*uid)).map(|m| m.modseq).max()
        };
        let all: Vec<u32> = found.iter().map(|(_, uid)| *uid).collect();
        let Some(results) = results else {
            let list: String = numbers.iter().map(|n| format!(" {n}")).collect();
            let modseq = modseq(&all).filter(|_| key.uses_modseq());
            let modseq = modseq.map(|m| format!(" (MODSEQ {m})")).unwrap_or_default();
            out.line(format!("* SEARCH{list}{modseq}"));
            return Ok("SEARCH done".into());
        };
        let mut line = format!("* ESEARCH (TAG {})", quote(tag));
        if uid {
            line.push_str(" UID");
        }
        let has = |one| results.contains(&one);
        if has(SearchResult::Count) {
            line.push_str(&format!(" COUNT {}", numbers.len()));
        }
        if let (Some(first), Some(last)) = (numbers.first(), numbers.last()) {
            if has(SearchResult::Min) {
                line.push_str(&format!(" MIN {first}"));
            }
            if has(SearchResult::Max) {
                line.push_str(&format!(" MAX {last}"));
            }
            if has(SearchResult::All) {
                line.push_str(&format!(" ALL {}", ranges(&numbers)));
            }
            if key.uses_modseq() {
                // Of the messages that are told (RFC 7162, 3.1.5).
                let wide = has(SearchResult::All) || has(SearchResult::Count);
                let mut told = Vec::new();
                if !wide && has(SearchResult::Min) {
                    told.extend(all.first());
                }
                if !wide && has(SearchResult::Max) {
                    told.extend(all.last());
                }
                let of = if wide { &all } else { &told };
                if let Some(modseq) = modseq(of) {
                    line.push_str(&format!(" MODSEQ {modseq}"));
                }
            }
        }
        out.line(line);
        Ok("SEARCH done".into())
    }

    pub(super) async fn sort(
        &mut self,
        uid: bool,
        by: &[SortKey],
        key: &Key,
        out: &mut Output,
    ) -> Answer {
        let found = self.find(key).await;
        let Some(view) = &self.view else { return Ok("SORT done".into()) };
        let mut rows = Vec::with_capacity(found.len());
        for (number, uid) in found {
            let Some(message) = view.message(uid) else { continue };
            let mut row = sort::Row {
                number,
                uid,
                arrival: message.received,
                size: message.size,
                ..sort::Row::default()
            };
            row.read(&read_header(&self.server.store, message));
            rows.push(row);
        }
        sort::sort(&mut rows, by);
        let list: String =
            rows.iter().map(|row| format!(" {}", if uid { row.uid } else { row.number })).collect();
        let modseq = rows.iter().filter_map(|row| view.message(row.uid)).map(|m| m.modseq).max();
        let modseq = modseq
            .filter(|_| key.uses_modseq())
            .map(|m| format!(" (MODSEQ {m})"))
            .unwrap_or_default();
        out.line(format!("* SORT{list}{modseq}"));
        Ok("SORT done".into())
    }

    pub(super) async fn thread(&mut self, uid: bool, key: &Key, out: &mut Output) -> Answer {
        let found = self.find(key).await;
        let Some(view) = &self.view else { return Ok("THREAD done".into()) };
        let mut leaves = Vec::with_capacity(found.len());
        for (number, its_uid) in found {
            let Some(message) = view.message(its_uid) else { continue };
            let header = read_header(&self.server.store, message);
            let id = if uid { its_uid } else { number };
            leaves.push(thread::Leaf::read(id, &header, message.received));
        }
        let threads = thread::threads(&leaves);
        let space = if threads.is_empty() { "" } else { " " };
        out.line(format!("* THREAD{space}{threads}"));
        Ok("THREAD done".into())
    }
}

pub(super) fn known_charset(charset: Option<&str>) -> Result<(), No> {
    let known =
        |name: &str| name.eq_ignore_ascii_case("UTF-8") || name.eq_ignore_ascii_case("US-ASCII");
    if charset.is_none_or(known) {
        return Ok(());
    }
    Err(No::No("[BADCHARSET (US-ASCII UTF-8)] this charset is not known here".into()))
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
