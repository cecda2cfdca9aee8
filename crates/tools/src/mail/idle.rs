//! `mail idle`.

use std::io::Write;
use std::time::Duration;

use probes::mail::{Failure, Stage, Transcript};

use super::desk::Desk;
use super::show::show;

impl Desk<'_> {
    pub(super) async fn idle(
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
