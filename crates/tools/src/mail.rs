//! `mail`: a node's mail program, by the node's own settings.

use std::ffi::OsString;
use std::io::{Read as _, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use probes::mail::{
    Attachment, Failure, Imap, Letter, Outcome, Pop3, Protocol, Request, Security, Server, Stage,
    Transcript,
};
use probes::{Env, MailSettings};

/// The longest message that is read from the terminal or a file, in bytes.
const MAX_INPUT: u64 = 32 << 20;

/// Sends and fetches mail.
#[derive(Debug, Parser)]
#[command(
    name = "mail",
    version,
    about,
    disable_version_flag = true,
    after_help = "\
The node's settings (\"Configure Mail\") name the servers, the user and the password.

Examples:
  mail send client2@mail.com -s Hello -m \"How are you?\" -v
  mail list            mail read 1            mail reply 1 -m Fine
  mail fetch --imap    mail folders           mail idle"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Print the dialogue with the server (S: what it says, C: what this program says)
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Fetch by IMAP
    #[arg(long, global = true, conflicts_with = "pop3")]
    imap: bool,
    /// Fetch by POP3
    #[arg(long, global = true)]
    pop3: bool,
    /// Another server than the settings name
    #[arg(long, global = true)]
    server: Option<String>,
    /// Another port than the usual one
    #[arg(long, global = true)]
    port: Option<u16>,
    /// How the connection is protected
    #[arg(long, global = true, value_enum)]
    security: Option<SecurityArg>,
    /// Another user
    #[arg(long, global = true)]
    user: Option<String>,
    /// Another password
    #[arg(long, global = true)]
    password: Option<String>,
    /// Answer as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Seconds until it gives up
    #[arg(long, global = true, default_value_t = 15)]
    timeout: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SecurityArg {
    Plain,
    Starttls,
    Tls,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Send a message
    Send {
        /// Addresses of the recipients
        #[arg(required = true)]
        to: Vec<String>,
        /// Subject
        #[arg(short, long, default_value = "")]
        subject: String,
        /// Text; from standard input where absent
        #[arg(short, long)]
        message: Option<String>,
        /// A file to go along
        #[arg(short, long)]
        attach: Option<std::path::PathBuf>,
        /// Another sender address
        #[arg(long)]
        from: Option<String>,
        /// Log in even where the connection is not protected
        #[arg(long)]
        auth: bool,
    },
    /// Fetch and print all messages
    Fetch {
        /// Delete them on the server afterwards
        #[arg(long)]
        delete: bool,
    },
    /// List the messages
    List,
    /// Print one message
    Read {
        /// Its number in `mail list`
        number: u32,
        /// With every header field
        #[arg(long)]
        headers: bool,
    },
    /// Answer a message
    Reply {
        /// Its number in `mail list`
        number: u32,
        /// Text; from standard input where absent
        #[arg(short, long)]
        message: Option<String>,
    },
    /// Delete a message
    Delete {
        /// Its number in `mail list`
        number: u32,
    },
    /// List the folders (IMAP)
    Folders,
    /// Print messages as they come (IMAP IDLE)
    Idle {
        /// Seconds to wait for
        #[arg(long, default_value_t = 3600)]
        seconds: u64,
        /// End after so many messages
        #[arg(long)]
        count: Option<usize>,
    },
}

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

fn text(message: Option<String>) -> Result<String, String> {
    if let Some(message) = message {
        return Ok(message.replace("\\n", "\n"));
    }
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_INPUT)
        .read_to_string(&mut text)
        .map_err(|error| format!("the text cannot be read from standard input: {error}"))?;
    Ok(text)
}

fn attachment(path: &std::path::Path) -> Result<Attachment, String> {
    let fail = |error: std::io::Error| format!("{} cannot be attached: {error}", path.display());
    let mut content = Vec::new();
    std::fs::File::open(path)
        .map_err(fail)?
        .take(MAX_INPUT)
        .read_to_end(&mut content)
        .map_err(fail)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Attachment::new(&name, "application/octet-stream", &content))
}

/// One call of the program.
struct Desk<'a> {
    settings: MailSettings,
    protocol: Option<Protocol>,
    common: &'a Common,
    env: &'a Env,
}

impl Desk<'_> {
    fn timeout_ms(&self) -> u64 {
        self.common.timeout.saturating_mul(1000)
    }

    fn server(&self) -> Server {
        Server { port: self.common.port, ..self.settings.incoming_server() }
    }

    async fn ask(&self, request: Request, out: &mut impl Write) -> Result<Outcome, String> {
        let outcome = probes::mail::run(request, self.env).await;
        self.dialogue(&outcome.transcript, out);
        match outcome.failure {
            Some(failure) => Err(failure.message),
            None => Ok(outcome),
        }
    }

    fn dialogue(&self, lines: &[String], out: &mut impl Write) {
        if self.common.verbose {
            for line in lines {
                let _ = writeln!(out, "{line}");
            }
            let _ = out.flush();
        }
    }

    async fn send(
        &self,
        mut send: probes::mail::Send,
        out: &mut impl Write,
    ) -> Result<std::io::Result<()>, String> {
        if send.server.host.is_empty() {
            return Err("no outgoing mail server is set".into());
        }
        send.server.port = self.common.port;
        send.timeout_ms = self.timeout_ms();
        let to = send.to.join(", ");
        let outcome = self.ask(Request::Send(send), out).await?;
        if self.common.json {
            return Ok(json(&outcome, out));
        }
        let reply = outcome.reply.unwrap_or_default();
        Ok(writeln!(out, "sent to {to}: {reply}"))
    }

    async fn letters(&self, delete: bool, out: &mut impl Write) -> Result<Outcome, String> {
        let mut fetch = self.settings.fetch(self.protocol);
        fetch.server.port = self.common.port;
        fetch.timeout_ms = self.timeout_ms();
        fetch.delete = delete;
        self.ask(Request::Fetch(fetch), out).await
    }

    /// One message by its place in the list.
    async fn letter(&self, number: u32, out: &mut impl Write) -> Result<Letter, String> {
        let outcome = self.letters(false, out).await?;
        let count = outcome.letters.len();
        number
            .checked_sub(1)
            .and_then(|at| outcome.letters.into_iter().nth(at as usize))
            .ok_or_else(|| format!("there is no message {number}: the mailbox holds {count}"))
    }

    fn reply_to(&self, letter: &Letter, message: &str) -> probes::mail::Send {
        let subject = if letter.subject.to_ascii_lowercase().starts_with("re:") {
            letter.subject.clone()
        } else {
            format!("Re: {}", letter.subject)
        };
        let mut body = message.trim_end().to_owned();
        body.push_str(&format!("\n\nOn {}, {} wrote:\n", letter.date, letter.from));
        for line in letter.body.lines() {
            body.push_str(&format!("> {line}\n"));
        }
        let mut send = self.settings.send(std::slice::from_ref(&letter.reply_to), &subject, &body);
        if let Some(id) = &letter.message_id {
            send.headers.push(("In-Reply-To".into(), format!("<{id}>")));
            send.headers.push(("References".into(), format!("<{id}>")));
        }
        send
    }

    fn show_list(&self, outcome: &Outcome, out: &mut impl Write) -> std::io::Result<()> {
        if self.common.json {
            return json(&outcome.letters, out);
        }
        if outcome.letters.is_empty() {
            return writeln!(out, "no messages");
        }
        writeln!(out, "{:>4}  {:<28} {:<32} {:>8}", "No", "From", "Subject", "Bytes")?;
        for (at, letter) in outcome.letters.iter().enumerate() {
            writeln!(
                out,
                "{:>4}  {:<28} {:<32} {:>8}",
                at + 1,
                letter.from,
                letter.subject,
                letter.size
            )?;
        }
        Ok(())
    }

    fn show_all(&self, outcome: &Outcome, out: &mut impl Write) -> std::io::Result<()> {
        if self.common.json {
            return json(outcome, out);
        }
        if outcome.letters.is_empty() {
            return writeln!(out, "no messages");
        }
        for (at, letter) in outcome.letters.iter().enumerate() {
            writeln!(out, "--- message {} of {} ---", at + 1, outcome.letters.len())?;
            show(letter, false, out)?;
        }
        Ok(())
    }

    async fn imap(&self, transcript: &Transcript, wait: Duration) -> Result<Imap, Failure> {
        let login = (self.settings.user.as_str(), self.settings.password.as_str());
        let by = probes::Deadline::after(Duration::from_secs(self.common.timeout) + wait);
        Imap::open(&self.server(), login, self.env, by, transcript).await
    }

    async fn delete(&self, number: u32, out: &mut impl Write) -> Result<(), String> {
        let transcript = Transcript::default();
        let result = if self.protocol.unwrap_or(self.settings.fetch) == Protocol::Imap {
            self.delete_by_imap(number, &transcript).await
        } else {
            self.delete_by_pop3(number, &transcript).await
        };
        self.dialogue(&transcript.lines(), out);
        result.map_err(|failure| failure.message)
    }

    async fn delete_by_pop3(&self, number: u32, transcript: &Transcript) -> Result<(), Failure> {
        let login = (self.settings.user.as_str(), self.settings.password.as_str());
        let by = probes::Deadline::after(Duration::from_secs(self.common.timeout));
        let mut pop3 = Pop3::open(&self.server(), login, self.env, by, transcript).await?;
        let result = pop3.delete(number).await;
        pop3.quit().await?;
        result
    }

    async fn delete_by_imap(&self, number: u32, transcript: &Transcript) -> Result<(), Failure> {
        let mut imap = self.imap(transcript, Duration::ZERO).await?;
        let result = async {
            imap.select("INBOX").await?;
            let uids = imap.search("").await?;
            let uid =
                number.checked_sub(1).and_then(|at| uids.get(at as usize)).ok_or_else(|| {
                    Failure::new(
                        Stage::Mailbox,
                        format!("there is no message {number}: the mailbox holds {}", uids.len()),
                    )
                })?;
            imap.flags(&[*uid], '+', &["\\Deleted".to_owned()]).await?;
            imap.expunge().await
        }
        .await;
        imap.logout().await;
        result
    }

    async fn folders(&self, out: &mut impl Write) -> Result<Vec<String>, String> {
        let transcript = Transcript::default();
        let result = async {
            let mut imap = self.imap(&transcript, Duration::ZERO).await?;
            let folders = imap.folders().await;
            imap.logout().await;
            folders
        }
        .await;
        self.dialogue(&transcript.lines(), out);
        let folders = result.map_err(|failure: Failure| failure.message)?;
        Ok(folders.into_iter().map(|folder| folder.name).collect())
    }

    async fn idle(
        &self,
        wait: Duration,
        count: Option<usize>,
        out: &mut impl Write,
    ) -> Result<(), String> {
        let transcript = Transcript::default();
        let result = self.wait_for_mail(wait, count, &transcript, out).await;
        self.dialogue(&transcript.lines(), out);
        result.map_err(|failure| failure.message)
    }

    async fn wait_for_mail(
        &self,
        wait: Duration,
        count: Option<usize>,
        transcript: &Transcript,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let gone = |error: std::io::Error| {
            Failure::new(Stage::Command, format!("the output cannot be written: {error}"))
        };
        let mut imap = self.imap(transcript, wait).await?;
        imap.select("INBOX").await?;
        let mut last = imap.search("").await?.last().copied().unwrap_or(0);
        let until = probes::Deadline::after(wait);
        writeln!(out, "waiting for mail to {}", self.settings.address).map_err(gone)?;
        out.flush().map_err(gone)?;
        let mut printed = 0;
        while !until.passed() && count.is_none_or(|count| printed < count) {
            if !imap.wait(until).await? {
                break;
            }
            for uid in
                imap.search("").await?.into_iter().filter(|uid| *uid > last).collect::<Vec<_>>()
            {
                let letter = probes::mail::parse_letter(&imap.fetch(uid).await?);
                show(&letter, false, out).map_err(gone)?;
                out.flush().map_err(gone)?;
                last = uid;
                printed += 1;
            }
        }
        imap.logout().await;
        Ok(())
    }
}

fn json<T: serde::Serialize>(value: &T, out: &mut impl Write) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

fn show(letter: &Letter, headers: bool, out: &mut impl Write) -> std::io::Result<()> {
    if headers {
        for (name, value) in &letter.headers {
            writeln!(out, "{name}: {value}")?;
        }
    } else {
        match letter.from_name.as_str() {
            "" => writeln!(out, "From:    {}", letter.from)?,
            name => writeln!(out, "From:    {name} <{}>", letter.from)?,
        }
        writeln!(out, "To:      {}", letter.to.join(", "))?;
        writeln!(out, "Subject: {}", letter.subject)?;
        writeln!(out, "Date:    {}", letter.date)?;
    }
    for file in &letter.attachments {
        writeln!(out, "File:    {} ({}, {} bytes)", file.name, file.media_type, file.size)?;
    }
    writeln!(out, "\n{}\n", printable(letter.body.trim_end()))
}

/// The text without what would command the terminal.
fn printable(text: &str) -> String {
    text.replace('\r', "")
        .chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    /// A server that says one of `replies` first and one after each line that it wants answered;
    /// an empty reply waits for a further line.
    async fn server(replies: &'static [&'static str]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            for reply in replies {
                stream.get_mut().write_all(reply.as_bytes()).await.unwrap();
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                // The message after 354 is one thing.
                while reply.starts_with("354") && line != ".\r\n" {
                    line.clear();
                    stream.read_line(&mut line).await.unwrap();
                }
            }
        });
        port
    }

    fn env() -> Env {
        let mail = MailSettings {
            address: "client1@mail.com".into(),
            user: "client1".into(),
            password: "admin".into(),
            outgoing: "127.0.0.1".into(),
            incoming: "127.0.0.1".into(),
            ..MailSettings::default()
        };
        Env { node: "pc0".into(), mail: Some(mail), ..Env::default() }
    }

    async fn say(port: u16, words: &[&str]) -> (Result<(), String>, String) {
        let port = port.to_string();
        let words = [&["mail"], words, &["--port", &port]].concat();
        let cli = Cli::try_parse_from(words).unwrap();
        let mut out = Vec::new();
        let result = run(cli, &env(), &mut out).await;
        (result, String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn a_message_is_sent_and_the_dialogue_shown() {
        let port = server(&[
            "220 mail.com\r\n",
            "250 mail.com\r\n",
            "250 ok\r\n",
            "250 ok\r\n",
            "354 go\r\n",
            "250 2.0.0 kept\r\n",
            "221 bye\r\n",
        ])
        .await;
        let (result, out) =
            say(port, &["send", "client2@mail.com", "-s", "Hello", "-m", "Hi", "-v"]).await;
        result.unwrap();
        assert!(out.contains("C: RCPT TO:<client2@mail.com>\n"), "{out}");
        assert!(out.contains("C: Subject: Hello\n"), "{out}");
        assert!(out.ends_with("sent to client2@mail.com: 250 2.0.0 kept\n"), "{out}");
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_servers_words() {
        let port = server(&[
            "220 mail.com\r\n",
            "250 mail.com\r\n",
            "250 ok\r\n",
            "550 5.1.1 nobody here\r\n",
            "221 bye\r\n",
        ])
        .await;
        let (result, _) = say(port, &["send", "nobody@mail.com", "-m", "Hi"]).await;
        assert_eq!(result.unwrap_err(), "<nobody@mail.com>: user unknown: 550 5.1.1 nobody here");
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let (result, _) = say(closed, &["list"]).await;
        assert_eq!(
            result.unwrap_err(),
            format!("127.0.0.1: the server refused the connection on port {closed}")
        );
    }

    #[tokio::test]
    async fn messages_are_listed_by_pop3() {
        let port = server(&[
            "+OK hi\r\n",
            "+OK\r\n",
            "+OK\r\n",
            "+OK 1 60\r\n",
            "+OK\r\n1 x\r\n.\r\n",
            "+OK\r\nFrom: <a@b>\r\nSubject: Hello\r\n\r\nHi\r\n.\r\n",
            "+OK bye\r\n",
        ])
        .await;
        let (result, out) = say(port, &["list"]).await;
        result.unwrap();
        assert!(out.contains("   1  a@b                          Hello"), "{out}");
    }

    #[tokio::test]
    async fn a_node_without_settings_says_what_to_do() {
        let cli = Cli::try_parse_from(["mail", "list"]).unwrap();
        let error = run(cli, &Env::default(), &mut Vec::new()).await.unwrap_err();
        assert!(error.contains("`mail:` in the lab file"), "{error}");
    }
}
