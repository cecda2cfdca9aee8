//! What is asked of the mail clients and what they answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::compose::Attachment;
use super::letter::Letter;

/// How a mail connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Not at all.
    #[default]
    Plain,
    /// STARTTLS (STLS in POP3) after the greeting.
    Starttls,
    /// TLS from the first byte.
    Tls,
}

/// The protocol by which mail is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// POP3 (RFC 1939).
    #[default]
    Pop3,
    /// IMAP4rev1 (RFC 3501).
    Imap,
    /// SMTP (RFC 5321); only for [`Login`].
    Smtp,
}

impl Protocol {
    /// The port where the protocol is spoken, by how it is protected.
    pub fn port(self, security: Security) -> u16 {
        match (self, security) {
            (Self::Pop3, Security::Tls) => 995,
            (Self::Pop3, _) => 110,
            (Self::Imap, Security::Tls) => 993,
            (Self::Imap, _) => 143,
            (Self::Smtp, Security::Plain) => 25,
            (Self::Smtp, Security::Starttls) => 587,
            (Self::Smtp, Security::Tls) => 465,
        }
    }
}

/// Where a server is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// Port; the usual one where absent.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub security: Security,
    /// The name that the certificate must hold; `host` where absent.
    #[serde(default)]
    pub tls_name: Option<String>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Sends one message.
    Send(Send),
    /// Fetches a mailbox, and waits for a message where one is looked for.
    Fetch(Fetch),
    /// Logs in and out again.
    Login(Login),
    /// Works on mailboxes by IMAP.
    Imap(Imap),
}

/// Sends one message by SMTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// The server.
    pub server: Server,
    /// User and password for AUTH; none where absent.
    #[serde(default)]
    pub login: Option<(String, String)>,
    /// Envelope sender and `From:`; empty for the null sender.
    pub from: String,
    /// The sender's name in `From:`.
    #[serde(default)]
    pub from_name: Option<String>,
    /// Envelope recipients and `To:`.
    pub to: Vec<String>,
    /// `Subject:`.
    #[serde(default)]
    pub subject: String,
    /// The text.
    #[serde(default)]
    pub body: String,
    /// The whole message instead of the three above; lines are sent with CRLF.
    #[serde(default)]
    pub raw: Option<String>,
    /// A file that goes along.
    #[serde(default)]
    pub attachment: Option<Attachment>,
    /// Further header fields.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Milliseconds for all of it.
    #[serde(default = "ten_seconds")]
    pub timeout_ms: u64,
}

/// Fetches a mailbox by POP3 or IMAP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// The protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// The server.
    pub server: Server,
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// The mailbox (IMAP only); INBOX where absent.
    #[serde(default)]
    pub folder: Option<String>,
    /// Text that the wanted message holds; every message is fetched where absent.
    #[serde(default)]
    pub find: Option<String>,
    /// Milliseconds to wait for the wanted message; it must be there at once where 0.
    #[serde(default)]
    pub wait_ms: u64,
    /// Whether what was fetched (the wanted message, or all) is deleted on the server.
    #[serde(default)]
    pub delete: bool,
    /// How many messages are fetched at most, the newest first; 0 is all, up to 1,000.
    #[serde(default)]
    pub limit: usize,
    /// Milliseconds for one visit to the server.
    #[serde(default = "ten_seconds")]
    pub timeout_ms: u64,
}

/// Logs in and out again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// The server.
    pub server: Server,
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Milliseconds for all of it.
    #[serde(default = "ten_seconds")]
    pub timeout_ms: u64,
}

/// Works on mailboxes by IMAP, one connection for all actions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imap {
    /// The server.
    pub server: Server,
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// What to do, in order; the first that fails ends it.
    pub actions: Vec<Action>,
    /// Milliseconds for all of it.
    #[serde(default = "ten_seconds")]
    pub timeout_ms: u64,
}

/// An action on mailboxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Tells the folders in [`Outcome::folders`].
    Folders,
    /// Creates a folder.
    Create(String),
    /// Deletes a folder.
    Remove(String),
    /// Opens a folder; the actions that follow work on it.
    Select(String),
    /// Tells the messages that hold a text (all where empty) in [`Outcome::listed`].
    List {
        /// Text in header or body.
        #[serde(default)]
        find: String,
    },
    /// Changes flags of the messages that hold a text.
    Flags {
        /// Text in header or body; all messages where empty.
        #[serde(default)]
        find: String,
        /// Flags to add, such as `\Seen`.
        #[serde(default)]
        add: Vec<String>,
        /// Flags to take away.
        #[serde(default)]
        remove: Vec<String>,
    },
    /// Moves the messages that hold a text.
    Move {
        /// Text in header or body; all messages where empty.
        #[serde(default)]
        find: String,
        /// The folder they go to.
        to: String,
    },
    /// Copies the messages that hold a text.
    Copy {
        /// Text in header or body; all messages where empty.
        #[serde(default)]
        find: String,
        /// The folder they go to.
        to: String,
    },
    /// Removes what is marked `\Deleted`.
    Expunge,
    /// Puts a message into a folder.
    Append {
        /// The folder.
        folder: String,
        /// The whole message.
        raw: String,
        /// Its flags.
        #[serde(default)]
        flags: Vec<String>,
    },
    /// Waits by IDLE until a message that holds the text is there.
    Wait {
        /// Text in header or body; any new message where empty.
        #[serde(default)]
        find: String,
    },
}

/// Where an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The name of the server was not found.
    Name,
    /// The server's host refused the connection.
    ConnectRefused,
    /// The server's host did not answer, or there is no way to it.
    ConnectTimeout,
    /// No greeting, or one that refuses service.
    Banner,
    /// TLS was not offered, not agreed or the certificate is not trusted.
    Tls,
    /// User or password were not accepted.
    Login,
    /// A command was refused.
    Command,
    /// The mailbox could not be opened, or the message is not in it.
    Mailbox,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::ConnectRefused => "connect-refused",
            Self::ConnectTimeout => "connect-timeout",
            Self::Banner => "banner",
            Self::Tls => "tls",
            Self::Login => "login",
            Self::Command => "command",
            Self::Mailbox => "mailbox",
        })
    }
}

/// Why an exchange failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Where.
    pub stage: Stage,
    /// What happened, one sentence.
    pub message: String,
    /// The command that was refused, in the protocol's own word: `MAIL`, `RCPT`, `DATA`,
    /// `message` (the text after DATA), `AUTH`, `PASS`, `SELECT`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The server's reply, its last line, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// The reply's code, where the protocol has codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// The enhanced status code (RFC 3463), such as `5.1.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enhanced: Option<String>,
}

impl Failure {
    /// A failure without a reply.
    pub fn new(stage: Stage, message: impl fmt::Display) -> Self {
        Self {
            stage,
            message: message.to_string(),
            command: None,
            reply: None,
            code: None,
            enhanced: None,
        }
    }

    /// The same with the command that was refused.
    #[must_use]
    pub fn command(mut self, command: &str) -> Self {
        self.command = Some(command.to_owned());
        self
    }

    /// The same with the server's reply.
    #[must_use]
    pub fn reply(mut self, reply: impl Into<String>) -> Self {
        self.reply = Some(reply.into());
        self
    }
}

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether all of it succeeded.
    pub ok: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The address and port that were connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<std::net::SocketAddr>,
    /// Whether the dialogue ended under TLS, and which: `TLSv1_3 TLS13_AES_256_GCM_SHA384`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    /// The SMTP reply that settled it: code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// Its enhanced status code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enhanced: Option<String>,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// The `Message-ID` of what was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// How many messages the mailbox holds.
    #[serde(default)]
    pub count: u32,
    /// The message that was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Letter>,
    /// All messages, where none was looked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub letters: Vec<Letter>,
    /// Folders, as [`Action::Folders`] tells them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<Folder>,
    /// Messages, as [`Action::List`] tells them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<Listed>,
    /// The dialogue: `S: …` and `C: …`, passwords masked.
    #[serde(default)]
    pub transcript: Vec<String>,
    /// How long it took, in milliseconds.
    pub ms: f64,
}

/// A folder as IMAP lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Its name, decoded.
    pub name: String,
    /// Its attributes, such as `\Sent`.
    pub attributes: Vec<String>,
}

/// A message as IMAP lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its UID.
    pub uid: u32,
    /// Its flags.
    pub flags: Vec<String>,
    /// Its size in bytes.
    pub size: u64,
    /// `From:`.
    pub from: String,
    /// `Subject:`.
    pub subject: String,
    /// `Date:`.
    pub date: String,
}

fn ten_seconds() -> u64 {
    10_000
}
