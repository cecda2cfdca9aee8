//! A mail server, and a node's mail program.

use super::{LeaseTime, Size, yes};
use crate::check::Security;
use crate::decode::{List, Map, record, words};
use crate::units::Seconds;

record! {
    /// A mail server.
    pub struct Mail {
        /// The domains whose mail ends here; the first is the accounts' own.
        #[serde(default)] pub domain: List<MailDomain>,
        /// The same, where there are several.
        #[serde(default)] pub domains: List<MailDomain>,
        /// Mail users: name (or whole address) to password or settings.
        #[serde(default)] pub accounts: Map<Account>,
        /// Other names: name to addresses.
        #[serde(default)] pub aliases: Map<List<String>>,
        /// Distribution lists: name to members.
        #[serde(default)] pub lists: Map<MailList>,
        /// Protocols that are off at the start: smtp, submission, submissions, pop3, pop3s, imap, imaps.
        #[serde(default)] pub off: List<MailProtocol>,
        /// Other ports: protocol to port.
        #[serde(default)] pub ports: Map<u16>,
        /// The name it greets with; the first domain where left out.
        #[serde(default)] pub hostname: Option<String>,
        /// Whether outgoing mail is signed (DKIM); the key's record is added to the domain's zone.
        #[serde(default)] pub dkim: bool = false,
        /// Mail to other domains.
        #[serde(default)] pub relay: Option<Relay>,
        /// What is asked of clients.
        #[serde(default)] pub policy: Option<Policy>,
        /// The largest message.
        #[serde(default)] pub message_limit: Option<Size>,
        /// Waits before each further try to deliver.
        #[serde(default)] pub retry: List<Seconds>,
        /// Whether it runs from the start.
        #[serde(default = "yes")] pub enabled: bool = true,
    }
}

words! {
    /// A mail protocol with a port of its own.
    pub enum MailProtocol {
        /// 25.
        Smtp = "smtp",
        /// 587.
        Submission = "submission",
        /// 465.
        Submissions = "submissions",
        /// 110.
        Pop3 = "pop3",
        /// 995.
        Pop3s = "pop3s",
        /// 143.
        Imap = "imap",
        /// 993.
        Imaps = "imaps",
    }
}

impl MailProtocol {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Smtp,
        Self::Submission,
        Self::Submissions,
        Self::Pop3,
        Self::Pop3s,
        Self::Imap,
        Self::Imaps,
    ];

    /// The port that IANA gave it.
    pub const fn port(self) -> u16 {
        match self {
            Self::Smtp => 25,
            Self::Submission => 587,
            Self::Submissions => 465,
            Self::Pop3 => 110,
            Self::Pop3s => 995,
            Self::Imap => 143,
            Self::Imaps => 993,
        }
    }
}

record! {
    /// A mail domain: its name, or more.
    pub struct MailDomain {
        /// Its name.
        pub name: String,
        /// Other names of the same domain.
        #[serde(default)] pub aliases: List<String>,
        /// Who gets mail for unknown users.
        #[serde(default)] pub catch_all: Option<String>,
    }
    short(node, decoder) { Some(Self { name: String::decode(node, decoder)?, aliases: List::default(), catch_all: None }) }
}

record! {
    /// A mail user: its password, or more.
    pub struct Account {
        /// The password.
        #[serde(default)] pub password: Option<String>,
        /// Addresses that get a copy.
        #[serde(default)] pub forward: List<String>,
        /// Whether a forwarded message is kept as well.
        #[serde(default = "yes")] pub keep: bool = true,
        /// An answer to each sender.
        #[serde(default)] pub auto_reply: Option<AutoReply>,
        /// Text below each message that the user sends.
        #[serde(default)] pub signature: Option<String>,
        /// The most the mailbox holds.
        #[serde(default)] pub quota: Option<Size>,
        /// Faults for lessons.
        #[serde(default)] pub faults: List<Fault>,
    }
    short(node, decoder) {
        Some(Self { password: Some(String::decode(node, decoder)?), forward: List::default(), keep: true, auto_reply: None, signature: None, quota: None, faults: List::default() })
    }
}

record! {
    /// An automatic answer: its text, or more.
    pub struct AutoReply {
        /// The subject.
        #[serde(default)] pub subject: Option<String>,
        /// The text.
        pub text: String,
        /// The same sender is answered again only after this time; a week where left out.
        #[serde(default)] pub every: Option<LeaseTime>,
    }
    short(node, decoder) { Some(Self { subject: None, text: String::decode(node, decoder)?, every: None }) }
}

words! {
    /// Where in a dialogue a fault strikes.
    pub enum Stage {
        /// Instead of the greeting.
        Connect = "connect",
        /// EHLO and HELO.
        Helo = "helo",
        /// The login.
        Auth = "auth",
        /// MAIL FROM.
        Mail = "mail",
        /// RCPT TO.
        Rcpt = "rcpt",
        /// DATA.
        Data = "data",
        /// After the message.
        Message = "message",
        /// SELECT and EXAMINE; in POP3 the opening of the mailbox after the login.
        Select = "select",
        /// RETR, TOP and FETCH.
        Fetch = "fetch",
    }
}

record! {
    /// A fault for a lesson.
    pub struct Fault {
        /// Where it strikes.
        pub stage: Stage,
        /// The reply instead of the true one: `451 4.3.0 come back later`.
        #[serde(default)] pub reply: Option<String>,
        /// Waits so long first.
        #[serde(default)] pub delay: Option<Seconds>,
        /// Closes the connection without a reply.
        #[serde(default)] pub drop: bool = false,
        /// How often it strikes: 0 to 1.
        #[serde(default)] pub probability: Option<f64>,
        /// Strikes only so many times.
        #[serde(default)] pub times: Option<u32>,
    }
}

words! {
    /// Who may write to a list.
    pub enum ListFrom {
        /// Everybody.
        Anyone = "anyone",
        /// Its members.
        Members = "members",
        /// Users who have logged in.
        Users = "users",
    }
}

record! {
    /// A distribution list: its members, or more.
    pub struct MailList {
        /// Who gets each message.
        pub members: List<String>,
        /// Who may write to it.
        #[serde(default)] pub from: Option<ListFrom>,
    }
    short(node, decoder) { Some(Self { members: List::decode(node, decoder)?, from: None }) }
}

record! {
    /// Mail to other domains: true, false, or more.
    pub struct Relay {
        /// Whether such mail is sent on at all.
        #[serde(default = "yes")] pub enabled: bool = true,
        /// Networks or subnets whose hosts need no login for it.
        #[serde(default)] pub networks: List<String>,
        /// The server that takes everything.
        #[serde(default)] pub smarthost: Option<Smarthost>,
    }
    short(node, decoder) { Some(Self { enabled: bool::decode(node, decoder)?, networks: List::default(), smarthost: None }) }
}

words! {
    /// How a connection to another server is protected.
    pub enum RelayTls {
        /// STARTTLS where offered.
        Opportunistic = "opportunistic",
        /// STARTTLS or nothing.
        Starttls = "starttls",
        /// From the first byte.
        Tls = "tls",
        /// Never.
        None = "none",
    }
}

record! {
    /// A server that takes all mail to other domains: its name, or more.
    pub struct Smarthost {
        /// Name or address.
        pub host: String,
        /// Port.
        #[serde(default)] pub port: Option<u16>,
        /// User.
        #[serde(default)] pub user: Option<String>,
        /// Password.
        #[serde(default)] pub password: Option<String>,
        /// How the connection is protected.
        #[serde(default)] pub tls: Option<RelayTls>,
    }
    short(node, decoder) { Some(Self { host: String::decode(node, decoder)?, port: None, user: None, password: None, tls: None }) }
}

record! {
    /// What is asked of clients.
    pub struct Policy {
        /// Whether passwords are accepted without TLS (yes).
        #[serde(default)] pub plain_passwords: Option<bool>,
        /// Whether port 25 offers a login (yes).
        #[serde(default)] pub auth_on_smtp: Option<bool>,
        /// Whether 587 and 465 take mail without a login from relay.networks (no).
        #[serde(default)] pub submission_without_auth: Option<bool>,
        /// Whether a user may only send as an own address (no).
        #[serde(default)] pub own_sender_only: Option<bool>,
        /// CRAM-MD5 and APOP (no).
        #[serde(default)] pub cram_md5: Option<bool>,
        /// Whether VRFY says who exists (no).
        #[serde(default)] pub vrfy: Option<bool>,
        /// Whether SPF, DKIM and DMARC of incoming mail are checked (no).
        #[serde(default)] pub verify: Option<bool>,
        /// Whether mail that DMARC tells to reject is refused (no).
        #[serde(default)] pub dmarc_reject: Option<bool>,
        /// Whether bare CR and LF are taken for CRLF (no).
        #[serde(default)] pub lenient_newlines: Option<bool>,
        /// Whether local parts such as `451` answer with that fault (no).
        #[serde(default)] pub fault_addresses: Option<bool>,
        /// Whether the transcript shows passwords (no).
        #[serde(default)] pub show_secrets: Option<bool>,
    }
}

words! {
    /// By what a mail program fetches.
    pub enum FetchBy {
        /// POP3.
        Pop3 = "pop3",
        /// IMAP.
        Imap = "imap",
    }
}

record! {
    /// A mail program's settings: Packet Tracer's "Configure Mail".
    pub struct MailClient {
        /// "Your Name".
        #[serde(default)] pub name: Option<String>,
        /// "Email Address".
        pub address: String,
        /// "User Name"; the part of the address before the @ where left out.
        #[serde(default)] pub user: Option<String>,
        /// "Password"; the account's where left out.
        #[serde(default)] pub password: Option<String>,
        /// "Outgoing Mail Server"; the address's domain where left out.
        #[serde(default)] pub outgoing: Option<String>,
        /// "Incoming Mail Server"; the address's domain where left out.
        #[serde(default)] pub incoming: Option<String>,
        /// How connections are protected; plain where left out.
        #[serde(default)] pub security: Option<Security>,
        /// By what it fetches; POP3 where left out.
        #[serde(default)] pub fetch: Option<FetchBy>,
    }
}
