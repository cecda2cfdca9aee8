//! IMAP as a client (RFC 3501; 2177 IDLE, 6851 MOVE, 4315 UIDPLUS where offered).

use super::connection::{Connection, Transcript};
use super::imap_reply::{Item, literal_after, parse_line};
use super::types::{Failure, Folder, Listed, Protocol, Security, Server, Stage};
use crate::Env;
use crate::env::Deadline;

/// The largest literal that is taken, in bytes.
const MAX_LITERAL: usize = 64 << 20;
/// The most responses of one command.
const MAX_RESPONSES: usize = 100_000;

/// A session.
#[derive(Debug)]
pub struct Imap {
    connection: Connection,
    tag: u32,
    capabilities: Vec<String>,
    /// How many messages the open folder holds.
    exists: u32,
}

impl Imap {
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
        let connection = Connection::open(server, Protocol::Imap, env, by, transcript).await?;
        let mut imap = Self { connection, tag: 0, capabilities: Vec::new(), exists: 0 };
        let greeting = imap.connection.line(Stage::Banner).await?;
        if !greeting.starts_with("* OK") {
            let shown: String = greeting.chars().take(80).collect();
            let message = if shown.starts_with("* BYE") {
                format!("the server does not serve: {shown}")
            } else {
                format!("this is not an IMAP server: it said `{shown}`")
            };
            return Err(Failure::new(Stage::Banner, message).reply(shown));
        }
        imap.command("CAPABILITY", Stage::Banner).await?;
        if server.security == Security::Starttls {
            imap.command("STARTTLS", Stage::Tls).await?;
            imap.connection.start_tls(env).await?;
            imap.command("CAPABILITY", Stage::Banner).await?;
        }
        if imap.offers("LOGINDISABLED") {
            return Err(Failure::new(Stage::Login, "the server allows no login before STARTTLS"));
        }
        let line = format!("LOGIN {} {}", quoted(user)?, quoted(password)?);
        let shown = format!("LOGIN {} ********", quoted(user)?);
        imap.exchange(&line, &shown, Stage::Login).await.map_err(|mut failure| {
            if let (Stage::Login, Some(reply)) = (failure.stage, &failure.reply) {
                failure.message =
                    format!("the server refused user {user} or the password: {reply}");
            }
            failure
        })?;
        imap.command("CAPABILITY", Stage::Command).await?;
        Ok(imap)
    }

    /// The connection beneath.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether the server offers an extension.
    pub fn offers(&self, name: &str) -> bool {
        self.capabilities.iter().any(|capability| capability.eq_ignore_ascii_case(name))
    }

    /// Sends a command and gives its untagged responses.
    ///
    /// # Errors
    /// `stage` with the reply where it was refused.
    pub async fn command(&mut self, line: &str, stage: Stage) -> Result<Vec<Vec<Item>>, Failure> {
        self.exchange(line, line, stage).await
    }

    async fn exchange(
        &mut self,
        line: &str,
        shown: &str,
        stage: Stage,
    ) -> Result<Vec<Vec<Item>>, Failure> {
        let tag = self.next_tag();
        self.connection.send_as(&format!("{tag} {line}"), &format!("{tag} {shown}")).await?;
        self.responses(&tag, line, stage).await
    }

    fn next_tag(&mut self) -> String {
        self.tag += 1;
        format!("a{}", self.tag)
    }

    async fn responses(
        &mut self,
        tag: &str,
        line: &str,
        stage: Stage,
    ) -> Result<Vec<Vec<Item>>, Failure> {
        let mut responses = Vec::new();
        loop {
            let raw = self.response(stage).await?;
            let text = String::from_utf8_lossy(&raw).into_owned();
            if let Some(status) = text.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                if status.get(..2).is_some_and(|word| word.eq_ignore_ascii_case("OK")) {
                    return Ok(responses);
                }
                let what = line.split(' ').next().unwrap_or_default();
                return Err(Failure::new(stage, format!("{what} was refused: {status}"))
                    .command(what)
                    .reply(status));
            }
            let items = parse_line(&raw);
            self.note(&items);
            if responses.len() >= MAX_RESPONSES {
                return Err(Failure::new(stage, "the server's answer is too long"));
            }
            responses.push(items);
        }
    }

    /// Keeps in mind what the server says by the way.
    fn note(&mut self, items: &[Item]) {
        match items {
            [star, word, rest @ ..] if star.is("*") && word.is("CAPABILITY") => {
                self.capabilities = rest.iter().map(Item::text).collect();
            }
            [star, n, word, ..] if star.is("*") && word.is("EXISTS") => {
                self.exists = n.number().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
            }
            [star, _, word, ..] if star.is("*") && word.is("EXPUNGE") => {
                self.exists = self.exists.saturating_sub(1);
            }
            _ => {}
        }
    }

    /// One response with its literals.
    async fn response(&mut self, stage: Stage) -> Result<Vec<u8>, Failure> {
        let mut whole = Vec::new();
        loop {
            let line = self.connection.raw_line(stage).await?;
            self.connection.record([String::from_utf8_lossy(&line).into_owned()]);
            let literal = literal_after(&line);
            whole.extend_from_slice(&line);
            let Some(n) = literal else { return Ok(whole) };
            if n > MAX_LITERAL || whole.len() > MAX_LITERAL {
                return Err(Failure::new(
                    stage,
                    format!("the server sends a literal of {n} bytes"),
                ));
            }
            whole.extend_from_slice(b"\r\n");
            let bytes = self.connection.bytes(n, stage).await?;
            let text = String::from_utf8_lossy(&bytes);
            self.connection.record(text.lines().take(40).map(str::to_owned));
            whole.extend_from_slice(&bytes);
        }
    }

    /// Opens a folder; gives how many messages it holds.
    ///
    /// # Errors
    /// [`Stage::Mailbox`].
    pub async fn select(&mut self, folder: &str) -> Result<u32, Failure> {
        let line = format!("SELECT {}", quoted(&mutf7::encode(folder))?);
        self.exists = 0;
        self.command(&line, Stage::Mailbox).await?;
        Ok(self.exists)
    }

    /// The folders.
    ///
    /// # Errors
    /// [`Stage::Command`].
    pub async fn folders(&mut self) -> Result<Vec<Folder>, Failure> {
        let responses = self.command("LIST \"\" \"*\"", Stage::Command).await?;
        let folder = |items: &Vec<Item>| match items.as_slice() {
            [_, word, attributes, _, name, ..] if word.is("LIST") => Some(Folder {
                // A name that is not right is shown as it stands.
                name: mutf7::decode(&name.text()).unwrap_or_else(|| name.text()),
                attributes: attributes.list().iter().map(Item::text).collect(),
            }),
            _ => None,
        };
        Ok(responses.iter().filter_map(folder).collect())
    }

    /// UIDs of the messages that hold a text, in rising order; all where it is empty.
    ///
    /// # Errors
    /// [`Stage::Command`].
    pub async fn search(&mut self, text: &str) -> Result<Vec<u32>, Failure> {
        let line = if text.is_empty() {
            "UID SEARCH ALL".to_owned()
        } else {
            format!("UID SEARCH TEXT {}", quoted(text)?)
        };
        let responses = self.command(&line, Stage::Command).await?;
        let mut uids: Vec<u32> = responses
            .iter()
            .filter(|items| items.get(1).is_some_and(|word| word.is("SEARCH")))
            .flat_map(|items| items[2..].iter().filter_map(Item::number))
            .filter_map(|n| u32::try_from(n).ok())
            .collect();
        uids.sort_unstable();
        Ok(uids)
    }

    /// A whole message by UID; does not mark it as seen.
    ///
    /// # Errors
    /// [`Stage::Mailbox`] when it is gone.
    pub async fn fetch(&mut self, uid: u32) -> Result<Vec<u8>, Failure> {
        let responses =
            self.command(&format!("UID FETCH {uid} (BODY.PEEK[])"), Stage::Command).await?;
        for items in &responses {
            let fetched = items.get(3).map(Item::list).unwrap_or_default();
            for pair in fetched.chunks(2) {
                if let [name, value] = pair
                    && name.is("BODY[]")
                    && let Some(bytes) = value.bytes()
                {
                    return Ok(bytes.to_vec());
                }
            }
        }
        Err(Failure::new(Stage::Mailbox, format!("the message with UID {uid} is gone")))
    }

    /// What the messages are, by UID.
    ///
    /// # Errors
    /// [`Stage::Command`].
    pub async fn list(&mut self, uids: &[u32]) -> Result<Vec<Listed>, Failure> {
        if uids.is_empty() {
            return Ok(Vec::new());
        }
        let line = format!(
            "UID FETCH {} (FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT DATE)])",
            set(uids)
        );
        let responses = self.command(&line, Stage::Command).await?;
        let mut listed = Vec::new();
        for items in &responses {
            if !items.get(2).is_some_and(|word| word.is("FETCH")) {
                continue;
            }
            let mut one = Listed::default();
            for pair in items.get(3).map(Item::list).unwrap_or_default().chunks(2) {
                let [name, value] = pair else { continue };
                let number = value.number().unwrap_or_default();
                if name.is("UID") {
                    one.uid = u32::try_from(number).unwrap_or_default();
                } else if name.is("RFC822.SIZE") {
                    one.size = number;
                } else if name.is("FLAGS") {
                    one.flags = value.list().iter().map(Item::text).collect();
                } else if let Some(header) = value.bytes() {
                    let letter = super::letter::parse(header);
                    (one.from, one.subject, one.date) = (letter.from, letter.subject, letter.date);
                }
            }
            listed.push(one);
        }
        listed.sort_by_key(|one| one.uid);
        Ok(listed)
    }

    /// Adds or takes away flags.
    ///
    /// # Errors
    /// [`Stage::Command`].
    pub async fn flags(
        &mut self,
        uids: &[u32],
        sign: char,
        flags: &[String],
    ) -> Result<(), Failure> {
        if uids.is_empty() || flags.is_empty() {
            return Ok(());
        }
        let line = format!("UID STORE {} {sign}FLAGS ({})", set(uids), flags.join(" "));
        self.command(&line, Stage::Command).await.map(drop)
    }

    /// Copies messages, or moves them.
    ///
    /// # Errors
    /// [`Stage::Command`].
    pub async fn copy(&mut self, uids: &[u32], to: &str, and_remove: bool) -> Result<(), Failure> {
        if uids.is_empty() {
            return Err(Failure::new(Stage::Mailbox, "no message holds the text"));
        }
        let to = quoted(&mutf7::encode(to))?;
        if and_remove && self.offers("MOVE") {
            return self
                .command(&format!("UID MOVE {} {to}", set(uids)), Stage::Command)
                .await
                .map(drop);
        }
        self.command(&format!("UID COPY {} {to}", set(uids)), Stage::Command).await?;
        if and_remove {
            self.flags(uids, '+', &["\\Deleted".to_owned()]).await?;
            self.expunge().await?;
        }
        Ok(())
    }

    /// Removes what is marked `\Deleted`.
    ///
    /// # Errors
    /// [`Stage::Command`].
    pub async fn expunge(&mut self) -> Result<(), Failure> {
        self.command("EXPUNGE", Stage::Command).await.map(drop)
    }

    /// Puts a message into a folder.
    ///
    /// # Errors
    /// [`Stage::Mailbox`].
    pub async fn append(
        &mut self,
        folder: &str,
        flags: &[String],
        raw: &[u8],
    ) -> Result<(), Failure> {
        let message: Vec<u8> =
            super::smtp::lines(raw).flat_map(|line| [line, b"\r\n"].concat()).collect();
        let tag = self.next_tag();
        let flags =
            if flags.is_empty() { String::new() } else { format!("({}) ", flags.join(" ")) };
        let line = format!(
            "{tag} APPEND {} {flags}{{{}}}",
            quoted(&mutf7::encode(folder))?,
            message.len()
        );
        self.connection.send(&line).await?;
        let go = self.connection.line(Stage::Mailbox).await?;
        if !go.starts_with('+') {
            return Err(Failure::new(Stage::Mailbox, format!("APPEND was refused: {go}")).reply(go));
        }
        let shown = [format!("… ({} bytes)", message.len())];
        self.connection.send_bytes(&[&message[..], b"\r\n"].concat(), &shown).await?;
        self.responses(&tag, "APPEND", Stage::Mailbox).await.map(drop)
    }

    /// Waits until the folder changes; `false` when nothing did before `by`.
    ///
    /// # Errors
    /// [`Stage::Command`].
    pub async fn wait(&mut self, by: Deadline) -> Result<bool, Failure> {
        if !self.offers("IDLE") {
            // Without IDLE a server must be asked.
            let pause = by.within(std::time::Duration::from_millis(300));
            let told = self.connection.wait(pause).await?;
            self.command("NOOP", Stage::Command).await?;
            return Ok(told || !by.passed());
        }
        let tag = self.next_tag();
        self.connection.send(&format!("{tag} IDLE")).await?;
        let go = self.connection.line(Stage::Command).await?;
        if !go.starts_with('+') {
            return Err(Failure::new(Stage::Command, format!("IDLE was refused: {go}")).reply(go));
        }
        let mut changed = false;
        while !changed && self.connection.wait(by).await? {
            let raw = self.response(Stage::Command).await?;
            let items = parse_line(&raw);
            self.note(&items);
            changed =
                items.get(2).is_some_and(|w| w.is("EXISTS") || w.is("EXPUNGE") || w.is("FETCH"));
        }
        self.connection.send("DONE").await?;
        self.responses(&tag, "IDLE", Stage::Command).await?;
        Ok(changed)
    }

    /// Says goodbye; what the server answers does not matter any more.
    pub async fn logout(mut self) {
        let _ = self.command("LOGOUT", Stage::Command).await;
    }
}

fn set(uids: &[u32]) -> String {
    uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// A quoted string; only what one can hold.
fn quoted(text: &str) -> Result<String, Failure> {
    if text.contains(['\r', '\n', '\0']) {
        return Err(Failure::new(Stage::Command, "a name or text for IMAP cannot hold a line end"));
    }
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}
