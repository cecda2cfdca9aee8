//! Fetches mail by POP3 or IMAP and waits for a message that is on its way.

use std::collections::HashSet;
use std::time::Duration;

use super::connection::Transcript;
use super::imap::Imap;
use super::letter::{Letter, parse};
use super::pop3::Pop3;
use super::types::{Failure, Fetch, Outcome, Protocol, Stage};
use crate::Env;
use crate::env::Deadline;

/// The most messages that one fetch takes.
const MAX_LETTERS: usize = 1_000;
/// POP3 tells nothing by itself: the first and the longest pause between two visits.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

pub(super) async fn fetch(
    request: &Fetch,
    env: &Env,
    transcript: &Transcript,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let visit = Duration::from_millis(request.timeout_ms);
    let waiting = Deadline::after(Duration::from_millis(request.wait_ms));
    match request.protocol {
        Protocol::Imap => {
            let by = Deadline::after(visit + Duration::from_millis(request.wait_ms));
            by_imap(request, env, transcript, outcome, by, waiting).await
        }
        Protocol::Pop3 => {
            let mut seen = HashSet::new();
            let mut pause = PAUSES.0;
            loop {
                let by = Deadline::after(visit);
                let result = by_pop3(request, env, transcript, outcome, by, &mut seen).await;
                match result {
                    Ok(true) => return Ok(()),
                    Ok(false) if waiting.passed() => return Err(missing(request, outcome.count)),
                    // Another session holds the mailbox: it is let go in a moment.
                    Err(failure) if failure.stage != Stage::Mailbox || waiting.passed() => {
                        return Err(failure);
                    }
                    Ok(false) | Err(_) => {
                        tokio::time::sleep_until(waiting.within(pause).at()).await;
                        pause = (pause * 2).min(PAUSES.1);
                    }
                }
            }
        }
        Protocol::Smtp => Err(Failure::new(Stage::Command, "mail is not fetched by SMTP")),
    }
}

fn missing(request: &Fetch, count: u32) -> Failure {
    Failure::new(
        Stage::Mailbox,
        format!(
            "the message is not in the mailbox of {} after {} ms: it holds {count} other(s)",
            request.user, request.wait_ms
        ),
    )
}

/// One visit; `true` when it has what was asked for.
async fn by_pop3(
    request: &Fetch,
    env: &Env,
    transcript: &Transcript,
    outcome: &mut Outcome,
    by: Deadline,
    seen: &mut HashSet<String>,
) -> Result<bool, Failure> {
    let login = (request.user.as_str(), request.password.as_str());
    let mut pop3 = Pop3::open(&request.server, login, env, by, transcript).await?;
    outcome.peer = Some(pop3.connection().peer());
    outcome.tls = pop3.connection().tls().map(str::to_owned);
    outcome.count = pop3.count().await?;
    if outcome.count == 0 {
        pop3.quit().await?;
        return Ok(request.find.is_none());
    }
    let ids: Vec<(u32, String)> = match pop3.ids().await {
        Ok(ids) => ids,
        // UIDL is optional: without it everything is read at each visit.
        Err(failure) if failure.reply.is_some() => {
            (1..=outcome.count).map(|number| (number, String::new())).collect()
        }
        Err(failure) => return Err(failure),
    };
    let limit = if request.limit == 0 { MAX_LETTERS } else { request.limit.min(MAX_LETTERS) };
    let mut found = false;
    for (number, id) in ids.into_iter().rev().take(limit) {
        if !id.is_empty() && seen.contains(&id) {
            continue;
        }
        let raw = pop3.retrieve(number).await?;
        let letter = Letter { number, ..parse(&raw) };
        match &request.find {
            Some(text) if holds(&raw, &letter, text) => {
                outcome.found = Some(letter);
                found = true;
            }
            Some(_) => {
                seen.insert(id);
                continue;
            }
            None => outcome.letters.push(letter),
        }
        if request.delete {
            pop3.delete(number).await?;
        }
        if found {
            break;
        }
    }
    outcome.letters.sort_by_key(|letter| letter.number);
    pop3.quit().await?;
    Ok(found || request.find.is_none())
}

async fn by_imap(
    request: &Fetch,
    env: &Env,
    transcript: &Transcript,
    outcome: &mut Outcome,
    by: Deadline,
    waiting: Deadline,
) -> Result<(), Failure> {
    let login = (request.user.as_str(), request.password.as_str());
    let mut imap = Imap::open(&request.server, login, env, by, transcript).await?;
    outcome.peer = Some(imap.connection().peer());
    outcome.tls = imap.connection().tls().map(str::to_owned);
    let result = imap_session(&mut imap, request, outcome, waiting).await;
    imap.logout().await;
    result
}

async fn imap_session(
    imap: &mut Imap,
    request: &Fetch,
    outcome: &mut Outcome,
    waiting: Deadline,
) -> Result<(), Failure> {
    outcome.count = imap.select(request.folder.as_deref().unwrap_or("INBOX")).await?;
    let Some(text) = &request.find else {
        let limit = if request.limit == 0 { MAX_LETTERS } else { request.limit.min(MAX_LETTERS) };
        let uids = imap.search("").await?;
        let uids = &uids[uids.len().saturating_sub(limit)..];
        for uid in uids {
            let raw = imap.fetch(*uid).await?;
            outcome.letters.push(Letter { number: *uid, ..parse(&raw) });
        }
        return if request.delete { remove(imap, uids).await } else { Ok(()) };
    };
    loop {
        if let Some(uid) = imap.search(text).await?.last().copied() {
            let raw = imap.fetch(uid).await?;
            outcome.found = Some(Letter { number: uid, ..parse(&raw) });
            return if request.delete { remove(imap, &[uid]).await } else { Ok(()) };
        }
        if waiting.passed() || !imap.wait(waiting).await? {
            return Err(missing(request, outcome.count));
        }
    }
}

async fn remove(imap: &mut Imap, uids: &[u32]) -> Result<(), Failure> {
    if uids.is_empty() {
        return Ok(());
    }
    imap.flags(uids, '+', &["\\Deleted".to_owned()]).await?;
    imap.expunge().await
}

/// Whether a message holds a text: as it was sent, or after decoding.
fn holds(raw: &[u8], letter: &Letter, text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.is_empty()
        || raw.windows(bytes.len()).any(|window| window.eq_ignore_ascii_case(bytes))
        || letter.subject.contains(text)
        || letter.body.contains(text)
}
