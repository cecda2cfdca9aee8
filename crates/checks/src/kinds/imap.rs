//! `imap`: one mailbox on several devices: what one does, the others see.

use lab::check::Imap;
use probes::mail::{Action, ImapRequest, Listed, Outcome, Request};
use probes::{Layer, MailSettings};

use super::mail::{settings, talk};
use super::{Attempt, Seen};
use crate::trial::{Failure, Phase, Unasked};
use crate::world::World;

pub async fn attempt(world: &World<'_>, check: &Imap, attempt: &Attempt) -> Seen {
    let Some((first, others)) = check.devices.split_first() else {
        return Err(Unasked::Trouble("the check names no device".into()));
    };
    let account = settings(world, first).await?;
    let nonce = &attempt.nonce;
    let body = format!("For all devices.\r\n\r\n{nonce}\r\n");
    let send =
        account.send(std::slice::from_ref(&account.address), &format!("Devices {nonce}"), &body);
    talk(world, first, Request::Send(send), Phase::First).await?;
    let find = || nonce.clone();

    let wait = vec![select(), Action::Wait { find: find() }];
    do_imap(world, first, &account, wait).await?;
    for device in others {
        if list(world, device, &account, nonce).await?.is_empty() {
            return differs(device, "does not see the message");
        }
    }
    let mut seen = vec![format!("seen on {}", check.devices.join(", "))];
    if check.seen {
        mark(world, first, &account, nonce, "\\Seen").await?;
        for device in others {
            let listed = list(world, device, &account, nonce).await?;
            if !listed.iter().any(|message| has(message, "\\Seen")) {
                return differs(device, &format!("does not see that {first} read it"));
            }
        }
        seen.push("read on all".into());
    }
    if check.folders {
        let folder = format!("Folder {nonce}");
        do_imap(world, first, &account, vec![Action::Create(folder.clone())]).await?;
        for device in others {
            let outcome = do_imap(world, device, &account, vec![Action::Folders]).await?;
            if !outcome.folders.iter().any(|known| known.name == folder) {
                return differs(device, &format!("does not see the folder that {first} made"));
            }
        }
        do_imap(world, first, &account, vec![Action::Remove(folder)]).await?;
        seen.push("folder on all".into());
    }
    // The check's own message goes in any case.
    mark(world, first, &account, nonce, "\\Deleted").await?;
    do_imap(world, first, &account, vec![select(), Action::Expunge]).await?;
    if check.deleted {
        for device in others {
            if !list(world, device, &account, nonce).await?.is_empty() {
                return differs(device, &format!("still sees the message that {first} deleted"));
            }
        }
        seen.push("deleted on all".into());
    }
    Ok(seen.join("; "))
}

fn differs(device: &str, what: &str) -> Seen {
    let failure =
        Failure { phase: Phase::Fetch, ..Failure::on(Layer::Mailbox, format!("{device} {what}")) };
    Err(failure.who(device).into())
}

fn select() -> Action {
    Action::Select("INBOX".into())
}

fn has(message: &Listed, flag: &str) -> bool {
    message.flags.iter().any(|known| known.eq_ignore_ascii_case(flag))
}

async fn do_imap(
    world: &World<'_>,
    device: &str,
    account: &MailSettings,
    actions: Vec<Action>,
) -> Result<Outcome, Unasked> {
    let request = ImapRequest {
        server: account.incoming_server(),
        user: account.user.clone(),
        password: account.password.clone(),
        actions,
        timeout_ms: 10_000,
    };
    talk(world, device, Request::Imap(request), Phase::Fetch).await
}

async fn list(
    world: &World<'_>,
    device: &str,
    account: &MailSettings,
    nonce: &str,
) -> Result<Vec<Listed>, Unasked> {
    let actions = vec![select(), Action::List { find: nonce.to_owned() }];
    Ok(do_imap(world, device, account, actions).await?.listed)
}

async fn mark(
    world: &World<'_>,
    device: &str,
    account: &MailSettings,
    nonce: &str,
    flag: &str,
) -> Result<(), Unasked> {
    let flags =
        Action::Flags { find: nonce.to_owned(), add: vec![flag.to_owned()], remove: Vec::new() };
    do_imap(world, device, account, vec![select(), flags]).await.map(|_| ())
}
