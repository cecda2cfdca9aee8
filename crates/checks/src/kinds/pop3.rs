//! `pop3`: a message that was fetched is gone from the server, or kept.

use lab::check::{Pop3, Way};
use probes::Layer;
use probes::mail::{Protocol, Request};

use super::mail::{settings, talk};
use super::{Attempt, Seen};
use crate::trial::{Failure, Phase, Unasked};
use crate::world::World;

pub async fn attempt(world: &World<'_>, check: &Pop3, attempt: &Attempt) -> Seen {
    let node = &check.node;
    let account = settings(world, node).await?;
    let nonce = &attempt.nonce;
    let body = format!("Gone or kept?\r\n\r\n{nonce}\r\n");
    let send =
        account.send(std::slice::from_ref(&account.address), &format!("POP3 {nonce}"), &body);
    talk(world, node, Request::Send(send), Phase::First).await?;
    let fetch = |wait_ms: u64, delete: bool| {
        let mut fetch = account.fetch(Some(Protocol::Pop3));
        fetch.find = Some(nonce.clone());
        (fetch.wait_ms, fetch.delete, fetch.limit) = (wait_ms, delete, 50);
        talk(world, node, Request::Fetch(fetch), Phase::Fetch)
    };
    fetch(5000, !check.keep).await?;
    // The second visit always deletes: the message was the check's own.
    let still = match fetch(0, true).await {
        Ok(outcome) => outcome.found.is_some(),
        Err(Unasked::Broken(failure)) if failure.way == Some(Way::Mailbox) => false,
        Err(other) => return Err(other),
    };
    let word = |still: bool| if still { "still there" } else { "gone" };
    if still != check.keep {
        let message = format!(
            "the message that {node} fetched is {}, and should be {}",
            word(still),
            word(check.keep)
        );
        let failure = Failure { phase: Phase::Fetch, ..Failure::on(Layer::Mailbox, message) };
        return Err(failure.who(node).into());
    }
    Ok(format!("fetched, then {}", word(still)))
}
