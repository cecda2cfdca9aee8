//! POP3 as a client (RFC 1939, 2595 STLS).

use super::connection::{Connection, Transcript};
use super::types::{Failure, Protocol, Security, Server, Stage};
use crate::Env;
use crate::env::Deadline;

/// The most messages that are told apart.
const MAX_IDS: usize = 200_000;
/// The largest message that is fetched, in bytes.
const MAX_MESSAGE: usize = 64 << 20;
/// Lines of a message that the dialogue shows.
const SHOWN_LINES: usize = 40;

/// A session.
#[derive(Debug)]
pub struct Pop3 {
    connection: Connection,
}

impl Pop3 {
    /// Connects and logs in.
    ///
    /// # Errors
    /// Where it failed.
    pub async fn open(
        server: &Server,
        (user, password): (&str, &str),
        env: &Env,
        by: Deadline,
        transcript: &Transcript,
    ) -> Result<Self, Failure> {
        let connection = Connection::open(server, Protocol::Pop3, env, by, transcript).await?;
        let mut pop3 = Self { connection };
        pop3.status(Stage::Banner).await?.map_err(|line| {
            Failure::new(Stage::Banner, format!("the server does not serve: {line}")).reply(line)
        })?;
        if server.security == Security::Starttls {
            pop3.command("STLS", Stage::Tls).await?.map_err(|line| {
                Failure::new(Stage::Tls, format!("STLS was refused: {line}"))
                    .command("STLS")
                    .reply(line)
            })?;
            pop3.connection.start_tls(env).await?;
        }
        let refused = |line: String| {
            let message = if line.contains("[IN-USE]") {
                format!("the mailbox is in use by another session: {line}")
            } else {
                format!("the server refused user {user} or the password: {line}")
            };
            let stage = if line.contains("[IN-USE]") { Stage::Mailbox } else { Stage::Login };
            Failure::new(stage, message).command("PASS").reply(line)
        };
        pop3.command(&format!("USER {user}"), Stage::Login).await?.map_err(refused)?;
        pop3.connection.send_as(&format!("PASS {password}"), "PASS ********").await?;
        pop3.status(Stage::Login).await?.map_err(refused)?;
        Ok(pop3)
    }

    /// The connection beneath.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    async fn command(
        &mut self,
        line: &str,
        stage: Stage,
    ) -> Result<Result<String, String>, Failure> {
        self.connection.send(line).await?;
        self.status(stage).await
    }

    async fn must(&mut self, line: &str) -> Result<String, Failure> {
        self.command(line, Stage::Command).await?.map_err(|reply| {
            Failure::new(Stage::Command, format!("{line} was refused: {reply}"))
                .command(line.split(' ').next().unwrap_or_default())
                .reply(reply)
        })
    }

    /// A status line: its text after `+OK`, or the whole line.
    async fn status(&mut self, stage: Stage) -> Result<Result<String, String>, Failure> {
        let line = self.connection.line(stage).await?;
        if let Some(text) = line.strip_prefix("+OK") {
            return Ok(Ok(text.trim().to_owned()));
        }
        if line.starts_with("-ERR") {
            return Ok(Err(line));
        }
        let shown: String = line.chars().take(80).collect();
        Err(Failure::new(stage, format!("this is not a POP3 server: it said `{shown}`"))
            .reply(shown))
    }

    /// Gives the lines of a multi-line answer, dots taken away, one by one.
    async fn lines(&mut self, mut each: impl FnMut(&[u8])) -> Result<(), Failure> {
        let mut size = 0;
        loop {
            let line = self.connection.raw_line(Stage::Command).await?;
            if line == b"." {
                return Ok(());
            }
            size += line.len() + 2;
            if size > MAX_MESSAGE {
                return Err(Failure::new(Stage::Command, "the server's answer is too large"));
            }
            each(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    /// How many messages there are.
    ///
    /// # Errors
    /// [`Stage::Command`].
    pub async fn count(&mut self) -> Result<u32, Failure> {
        let text = self.must("STAT").await?;
        text.split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .ok_or_else(|| Failure::new(Stage::Command, format!("STAT was answered with `{text}`")))
    }

    /// Number and unique id of each message.
    ///
    /// # Errors
    /// [`Stage::Command`].
    pub async fn ids(&mut self) -> Result<Vec<(u32, String)>, Failure> {
        self.must("UIDL").await?;
        let (mut ids, mut told) = (Vec::new(), Vec::new());
        self.lines(|line| {
            let line = String::from_utf8_lossy(line).into_owned();
            if let Some((number, id)) = line.split_once(' ')
                && let Ok(number) = number.parse()
                && ids.len() < MAX_IDS
            {
                ids.push((number, id.to_owned()));
                told.push(line);
            }
        })
        .await?;
        self.connection.record(told);
        self.connection.record([".".to_owned()]);
        Ok(ids)
    }

    /// A whole message.
    ///
    /// # Errors
    /// [`Stage::Command`].
    pub async fn retrieve(&mut self, number: u32) -> Result<Vec<u8>, Failure> {
        self.must(&format!("RETR {number}")).await?;
        let (mut message, mut shown, mut more) = (Vec::new(), Vec::new(), 0_usize);
        self.lines(|line| {
            message.extend_from_slice(line);
            message.extend_from_slice(b"\r\n");
            if shown.len() < SHOWN_LINES {
                shown.push(String::from_utf8_lossy(line).into_owned());
            } else {
                more += 1;
            }
        })
        .await?;
        self.connection.record(shown);
        if more > 0 {
            self.connection.record([format!("… ({more} more lines)")]);
        }
        self.connection.record([".".to_owned()]);
        Ok(message)
    }

    /// Marks a message for deletion at QUIT.
    ///
    /// # Errors
    /// [`Stage::Command`].
    pub async fn delete(&mut self, number: u32) -> Result<(), Failure> {
        self.must(&format!("DELE {number}")).await.map(drop)
    }

    /// Ends the session; what was marked is deleted now.
    ///
    /// # Errors
    /// [`Stage::Command`].
    pub async fn quit(mut self) -> Result<(), Failure> {
        self.must("QUIT").await.map(drop)
    }
}
