//! Mail clients: SMTP, POP3 and IMAP, plain, STARTTLS or TLS.
//!
//! A [`Request`] says what to do and by when; [`run`] does it and tells an [`Outcome`], which holds
//! the dialogue line by line (passwords masked) and, where something went wrong, the stage at which
//! it did and what the server said. Nothing here runs past its deadline or reads without a bound.

mod compose;
mod connection;
mod fetch;
mod imap;
mod imap_reply;
mod letter;
mod pop3;
mod run;
mod settings;
mod smtp;
mod tls;
mod types;

pub use compose::{Attachment, Draft};
pub use connection::{Connection, Transcript};
pub use imap::Imap;
pub use imap_reply::{Item, parse_line as parse_imap_line};
pub use letter::{Letter, parse as parse_letter};
pub use pop3::Pop3;
pub use run::run;
pub use smtp::{Reply, Smtp};
pub use types::{
    Action, Failure, Fetch, Folder, Imap as ImapRequest, Listed, Login, Outcome, Protocol, Request,
    Security, Send, Server, Stage,
};
