//! A mail server: SMTP, submission, POP3, IMAP.

pub mod config;
pub mod queue;
pub mod store;
