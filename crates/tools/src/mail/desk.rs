//! What all verbs share: the settings, one question to a server, its dialogue.

use std::io::Write;
use std::time::Duration;

use probes::mail::{Failure, Imap, Outcome, Protocol, Request, Server, Transcript};
use probes::{Env, MailSettings};

use super::arguments::Common;

/// One call of the program.
pub(super) struct Desk<'a> {
    pub settings: MailSettings,
    pub protocol: Option<Protocol>,
    pub common: &'a Common,
    pub env: &'a Env,
}

impl Desk<'_> {
    pub(super) fn timeout_ms(&self) -> u64 {
        self.common.timeout.saturating_mul(1000)
    }

    pub(super) fn server(&self) -> Server {
        Server { port: self.common.port, ..self.settings.incoming_server() }
    }

    pub(super) async fn ask(
        &self,
        request: Request,
        out: &mut impl Write,
    ) -> Result<Outcome, String> {
        let outcome = probes::mail::run(request, self.env).await;
        self.dialogue(&outcome.transcript, out);
        match outcome.failure {
            Some(failure) => Err(failure.message),
            None => Ok(outcome),
        }
    }

    pub(super) fn dialogue(&self, lines: &[String], out: &mut impl Write) {
        if self.common.verbose {
            for line in lines {
                let _ = writeln!(out, "{line}");
            }
            let _ = out.flush();
        }
    }

    pub(super) async fn imap(
        &self,
        transcript: &Transcript,
        wait: Duration,
    ) -> Result<Imap, Failure> {
        let login = (self.settings.user.as_str(), self.settings.password.as_str());
        let by = probes::Deadline::after(Duration::from_secs(self.common.timeout) + wait);
        Imap::open(&self.server(), login, self.env, by, transcript).await
    }
}
