//! Runs one request from connection to goodbye.

use std::time::{Duration, Instant};

use super::connection::Transcript;
use super::imap::Imap;
use super::pop3::Pop3;
use super::smtp::Smtp;
use super::types::{
    Action, Failure, Imap as ImapRequest, Login, Outcome, Protocol, Request, Stage,
};
use crate::Env;
use crate::env::Deadline;

/// Runs a request. What the servers refuse is in [`Outcome::failure`], not an error.
pub async fn run(request: Request, env: &Env) -> Outcome {
    let began = Instant::now();
    let transcript = Transcript::default();
    let mut outcome = Outcome::default();
    let result = match &request {
        Request::Send(send) => super::smtp::send(send, env, &transcript, &mut outcome).await,
        Request::Fetch(fetch) => super::fetch::fetch(fetch, env, &transcript, &mut outcome).await,
        Request::Login(login) => self::login(login, env, &transcript, &mut outcome).await,
        Request::Imap(imap) => actions(imap, env, &transcript, &mut outcome).await,
    };
    match result {
        Ok(()) => outcome.ok = true,
        Err(failure) => {
            outcome.code = outcome.code.or(failure.code);
            outcome.enhanced = outcome.enhanced.or(failure.enhanced.clone());
            outcome.reply = outcome.reply.or(failure.reply.clone());
            outcome.failure = Some(failure);
        }
    }
    outcome.transcript = transcript.lines();
    outcome.ms = began.elapsed().as_secs_f64() * 1_000.0;
    outcome
}

async fn login(
    request: &Login,
    env: &Env,
    transcript: &Transcript,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let by = Deadline::after(Duration::from_millis(request.timeout_ms));
    let (user, password) = (request.user.as_str(), request.password.as_str());
    match request.protocol {
        Protocol::Pop3 => {
            let pop3 = Pop3::open(&request.server, (user, password), env, by, transcript).await?;
            outcome.peer = Some(pop3.connection().peer());
            outcome.tls = pop3.connection().tls().map(str::to_owned);
            pop3.quit().await
        }
        Protocol::Imap => {
            let imap = Imap::open(&request.server, (user, password), env, by, transcript).await?;
            outcome.peer = Some(imap.connection().peer());
            outcome.tls = imap.connection().tls().map(str::to_owned);
            imap.logout().await;
            Ok(())
        }
        Protocol::Smtp => {
            let mut smtp = Smtp::open(&request.server, env, by, transcript).await?;
            outcome.peer = Some(smtp.connection().peer());
            outcome.tls = smtp.connection().tls().map(str::to_owned);
            let result = smtp.login(user, password).await;
            smtp.quit().await;
            result
        }
    }
}

async fn actions(
    request: &ImapRequest,
    env: &Env,
    transcript: &Transcript,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let by = Deadline::after(Duration::from_millis(request.timeout_ms));
    let login = (request.user.as_str(), request.password.as_str());
    let mut imap = Imap::open(&request.server, login, env, by, transcript).await?;
    outcome.peer = Some(imap.connection().peer());
    outcome.tls = imap.connection().tls().map(str::to_owned);
    let mut selected = false;
    let mut result = Ok(());
    for action in &request.actions {
        result = self::action(&mut imap, action, outcome, &mut selected, by).await;
        if result.is_err() {
            break;
        }
    }
    imap.logout().await;
    result
}

async fn action(
    imap: &mut Imap,
    action: &Action,
    outcome: &mut Outcome,
    selected: &mut bool,
    by: Deadline,
) -> Result<(), Failure> {
    let needs_folder = !matches!(
        action,
        Action::Folders
            | Action::Create(_)
            | Action::Remove(_)
            | Action::Select(_)
            | Action::Append { .. }
    );
    if needs_folder && !*selected {
        outcome.count = imap.select("INBOX").await?;
        *selected = true;
    }
    match action {
        Action::Folders => outcome.folders = imap.folders().await?,
        Action::Create(name) => {
            imap.command(&format!("CREATE {}", folder(name)?), Stage::Mailbox).await?;
        }
        Action::Remove(name) => {
            imap.command(&format!("DELETE {}", folder(name)?), Stage::Mailbox).await?;
        }
        Action::Select(name) => {
            outcome.count = imap.select(name).await?;
            *selected = true;
        }
        Action::List { find } => {
            let uids = imap.search(find).await?;
            outcome.listed = imap.list(&uids).await?;
        }
        Action::Flags { find, add, remove } => {
            let uids = imap.search(find).await?;
            if uids.is_empty() {
                return Err(Failure::new(Stage::Mailbox, "no message holds the text"));
            }
            imap.flags(&uids, '+', add).await?;
            imap.flags(&uids, '-', remove).await?;
        }
        Action::Move { find, to } => {
            let uids = imap.search(find).await?;
            imap.copy(&uids, to, true).await?;
        }
        Action::Copy { find, to } => {
            let uids = imap.search(find).await?;
            imap.copy(&uids, to, false).await?;
        }
        Action::Expunge => imap.expunge().await?,
        Action::Append { folder, raw, flags } => imap.append(folder, flags, raw.as_bytes()).await?,
        Action::Wait { find } => {
            // Some of the time must be left to say goodbye.
            let until = Deadline::after(by.left() * 9 / 10);
            if find.is_empty() {
                if !imap.wait(until).await? {
                    return Err(Failure::new(Stage::Mailbox, "nothing came in time"));
                }
                return Ok(());
            }
            while imap.search(find).await?.is_empty() {
                if until.passed() || !imap.wait(until).await? {
                    return Err(Failure::new(Stage::Mailbox, "the message did not come in time"));
                }
            }
        }
    }
    Ok(())
}

fn folder(name: &str) -> Result<String, Failure> {
    if name.contains(['\r', '\n', '\0']) {
        return Err(Failure::new(Stage::Command, "a folder's name cannot hold a line end"));
    }
    Ok(format!("\"{}\"", mutf7::encode(name).replace('\\', "\\\\").replace('"', "\\\"")))
}
