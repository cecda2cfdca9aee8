//! Checks of mail: sending, fetching, mailboxes, queues, dialogues.

use crate::decode::{List, record, words};

words! {
    /// By what mail is fetched.
    pub enum MailFetch {
        /// POP3.
        Pop3 = "pop3",
        /// IMAP.
        Imap = "imap",
        /// Both, one after the other.
        Both = "both",
        /// Not at all: only sending is tried.
        None = "none",
    }
}

words! {
    /// How a mail connection is protected.
    pub enum Security {
        /// Not at all.
        Plain = "plain",
        /// By STARTTLS.
        Starttls = "starttls",
        /// By TLS from the first byte.
        Tls = "tls",
    }
}

record! {
    /// `mail: { from: pc0, to: pc1, fetch: pop3 }`.
    pub struct Mail {
        /// The node that sends, with its own mail settings.
        pub from: String,
        /// Nodes with mail settings, or mail addresses. Nodes fetch.
        pub to: List<String>,
        /// How recipients fetch; as their settings say where absent.
        #[serde(default)] pub fetch: Option<MailFetch>,
        /// Recipients answer, and the sender fetches the answer.
        #[serde(default)] pub reply: bool = false,
        /// The port to send by; by `security` (25, 587, 465) where absent.
        #[serde(default)] pub port: Option<u16>,
        /// How the connection is protected; as the settings say where absent.
        #[serde(default)] pub security: Option<Security>,
        /// Whether the sender logs in; where absent, when the server offers it.
        #[serde(default)] pub login: Option<bool>,
        /// A password other than the settings' (a wrong one, for example).
        #[serde(default)] pub password: Option<String>,
        /// The envelope sender and `From:` other than the settings' address.
        #[serde(default)] pub sender: Option<String>,
        /// The server to send to other than the settings'; a node, an address or a name.
        #[serde(default)] pub server: Option<String>,
        /// An attachment of so many bytes must arrive unchanged.
        #[serde(default)] pub attachment: Option<u64>,
        /// The subject; labctl adds a nonce.
        #[serde(default)] pub subject: Option<String>,
        /// The text.
        #[serde(default)] pub body: Option<String>,
        /// Further `text` that the fetched message must contain (headers included).
        #[serde(default)] pub contains: List<String>,
    }
}

record! {
    /// `imap: { devices: [pc0, phone] }`: one mailbox, seen and deleted on all devices.
    pub struct Imap {
        /// Nodes; the first one's mail settings are the account on all of them.
        pub devices: List<String>,
        /// A message read on the first device is read on the others.
        #[serde(default = "yes")] pub seen: bool = true,
        /// A message deleted on the first device is gone on the others.
        #[serde(default = "yes")] pub deleted: bool = true,
        /// A folder made on the first device is there on the others.
        #[serde(default)] pub folders: bool = false,
    }
}

record! {
    /// `pop3: { node: pc0, keep: false }`: whether a fetched message is gone afterwards.
    pub struct Pop3 {
        /// The node that fetches.
        pub node: String,
        /// Whether it leaves the messages on the server.
        #[serde(default)] pub keep: bool = false,
    }
}

record! {
    /// `queue: { node: mail, messages: 0 }`.
    pub struct Queue {
        /// The mail server.
        pub node: String,
        /// How many messages wait.
        #[serde(default)] pub messages: u32 = 0,
        /// Only those to this address or domain.
        #[serde(default)] pub to: Option<String>,
    }
    short(node, decoder) { Some(Self { node: crate::decode::Decode::decode(node, decoder)?, messages: 0, to: None }) }
}

record! {
    /// `transcript: { node: mail, protocol: smtp, contains: ["MAIL FROM:<client1@mail.com>", "250"] }`.
    pub struct Transcript {
        /// The server.
        pub node: String,
        /// `smtp`, `pop3` or `imap`.
        pub protocol: String,
        /// The client's node, where it matters.
        #[serde(default)] pub client: Option<String>,
        /// Texts in the lines of one session, in this order.
        pub contains: List<String>,
        /// Texts that no line may contain.
        #[serde(default)] pub lacks: List<String>,
    }
}

fn yes() -> bool {
    true
}
