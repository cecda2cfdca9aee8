//! `mail fetch`, `list`, `read`, `delete` and `folders`.

use std::io::Write;
use std::time::Duration;

use probes::mail::{Failure, Letter, Outcome, Pop3, Protocol, Request, Stage, Transcript};

use super::desk::Desk;

impl Desk<'_> {
    pub(super) async fn letters(
        &self,
        delete: bool,
        out: &mut impl Write,
    ) -> Result<Outcome, String> {
        let mut fetch = self.settings.fetch(self.protocol);
        fetch.server.port = self.common.port;
        fetch.timeout_ms = self.timeout_ms();
        fetch.delete = delete;
        self.ask(Request::Fetch(fetch), out).await
    }

    /// One message by its place in the list.
    pub(super) async fn letter(&self, number: u32, out: &mut impl Write) -> Result<Letter, String> {
        let outcome = self.letters(false, out).await?;
        let count = outcome.letters.len();
        number
            .checked_sub(1)
            .and_then(|at| outcome.letters.into_iter().nth(at as usize))
            .ok_or_else(|| format!("there is no message {number}: the mailbox holds {count}"))
    }

    pub(super) async fn delete(&self, number: u32, out: &mut impl Write) -> Result<(), String> {
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

    pub(super) async fn folders(&self, out: &mut impl Write) -> Result<Vec<String>, String> {
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
}
