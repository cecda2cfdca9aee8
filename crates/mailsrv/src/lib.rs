//! A mail server: SMTP, submission, POP3, IMAP, with queue, relay and administration.
//!
//! ```text
//! server      sockets and what sessions share      config     mailsrv.yaml
//! smtp pop3   sessions without sockets, and with   directory  accounts, aliases, lists, domains
//! imap        likewise                             store      mailboxes and queue on disk
//! delivery    what becomes of a message            queue      retries and notices
//! relay       to other servers                     transcript every dialogue as lines
//! admin       the local socket                     faults     for lessons
//! ```

pub mod address;
pub mod admin;
pub mod authentication;
mod auto_reply;
pub mod config;
pub mod delivery;
pub mod directory;
pub mod faults;
#[doc(hidden)]
pub mod fuzzing;
pub mod headers;
pub mod imap;
mod memory;
pub mod password;
pub mod pop3;
mod program;
pub mod queue;
pub mod relay;
pub mod sasl;
pub mod server;
pub mod sessions;
pub mod smtp;
pub mod store;
pub mod stream;
pub mod tls;
pub mod transcript;
mod wire;

pub use program::main;
pub use server::Server;
