//! `mail`: a node's mail program, by the node's own settings.

mod arguments;
mod compose;
mod desk;
mod idle;
mod mailbox;
mod show;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use probes::mail::{Protocol, Security};
use probes::{Env, MailSettings};

use arguments::{Cli, Common, SecurityArg, Verb};
use compose::{attachment, text};
use desk::Desk;
use show::{json, show};

/// The command `mail`.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let name = std::iter::once(OsString::from("mail"));
    let cli = match Cli::try_parse_from(name.chain(args)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("the program cannot start: {error}")),
    };
    let env = Env::load();
    let mut out = std::io::stdout().lock();
    match runtime.block_on(run(cli, &env, &mut out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => complain(&message),
    }
}

fn complain(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "mail: {message}");
    ExitCode::FAILURE
}

async fn run(cli: Cli, env: &Env, out: &mut impl Write) -> Result<(), String> {
    let settings = settings(&cli.common, env)?;
    let protocol = match (cli.common.imap, cli.common.pop3) {
        (true, _) => Some(Protocol::Imap),
        (_, true) => Some(Protocol::Pop3),
        _ => None,
    };
    let desk = Desk { settings, protocol, common: &cli.common, env };
    let written = match cli.verb {
        Verb::Send { to, subject, message, attach, from, auth } => {
            let message = text(message)?;
            let mut send = desk.settings.send(&to, &subject, &message);
            if let Some(from) = from {
                send.from = from;
            }
            if auth || desk.common.user.is_some() {
                send.login = Some((desk.settings.user.clone(), desk.settings.password.clone()));
            }
            send.attachment = attach.as_deref().map(attachment).transpose()?;
            desk.send(send, out).await?
        }
        Verb::Fetch { delete } => {
            let outcome = desk.letters(delete, out).await?;
            desk.show_all(&outcome, out)
        }
        Verb::List => {
            let outcome = desk.letters(false, out).await?;
            desk.show_list(&outcome, out)
        }
        Verb::Read { number, headers } => {
            let letter = desk.letter(number, out).await?;
            if desk.common.json { json(&letter, out) } else { show(&letter, headers, out) }
        }
        Verb::Reply { number, message } => {
            let message = text(message)?;
            let letter = desk.letter(number, out).await?;
            desk.send(desk.reply_to(&letter, &message), out).await?
        }
        Verb::Delete { number } => {
            desk.delete(number, out).await?;
            writeln!(out, "message {number} is deleted")
        }
        Verb::Folders => {
            let folders = desk.folders(out).await?;
            folders.iter().try_for_each(|folder| writeln!(out, "{folder}"))
        }
        Verb::Idle { seconds, count } => {
            desk.idle(Duration::from_secs(seconds), count, out).await?;
            Ok(())
        }
    };
    written.map_err(|error| format!("the output cannot be written: {error}"))
}

/// The settings of the node, with what the command line says otherwise.
fn settings(common: &Common, env: &Env) -> Result<MailSettings, String> {
    let mut settings = env.mail.clone().unwrap_or_default();
    if let Some(server) = &common.server {
        settings.outgoing.clone_from(server);
        settings.incoming.clone_from(server);
    }
    if let Some(user) = &common.user {
        settings.user.clone_from(user);
        if settings.address.is_empty() {
            settings.address.clone_from(user);
        }
    }
    if let Some(password) = &common.password {
        settings.password.clone_from(password);
    }
    settings.security = match common.security {
        Some(SecurityArg::Plain) => Security::Plain,
        Some(SecurityArg::Starttls) => Security::Starttls,
        Some(SecurityArg::Tls) => Security::Tls,
        None => settings.security,
    };
    if settings.outgoing.is_empty() && settings.incoming.is_empty() {
        return Err("mail is not set up on this node: give it `mail:` in the lab file, \
                    or name --server, --user and --password"
            .into());
    }
    Ok(settings)
}
