//! `mail send` and `mail reply`.

use std::io::{Read as _, Write};

use probes::mail::{Attachment, Letter, Request};

use super::desk::Desk;
use super::show::json;

/// The longest message that is read from the terminal or a file, in bytes.
const MAX_INPUT: u64 = 32 << 20;

pub(super) fn text(message: Option<String>) -> Result<String, String> {
    if let Some(message) = message {
        return Ok(message.replace("\\n", "\n"));
    }
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_INPUT)
        .read_to_string(&mut text)
        .map_err(|error| format!("the text cannot be read from standard input: {error}"))?;
    Ok(text)
}

pub(super) fn attachment(path: &std::path::Path) -> Result<Attachment, String> {
    let fail = |error: std::io::Error| format!("{} cannot be attached: {error}", path.display());
    let mut content = Vec::new();
    std::fs::File::open(path)
        .map_err(fail)?
        .take(MAX_INPUT)
        .read_to_end(&mut content)
        .map_err(fail)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Attachment::new(&name, "application/octet-stream", &content))
}

impl Desk<'_> {
    pub(super) async fn send(
        &self,
        mut send: probes::mail::Send,
        out: &mut impl Write,
    ) -> Result<std::io::Result<()>, String> {
        if send.server.host.is_empty() {
            return Err("no outgoing mail server is set".into());
        }
        send.server.port = self.common.port;
        send.timeout_ms = self.timeout_ms();
        let to = send.to.join(", ");
        let outcome = self.ask(Request::Send(send), out).await?;
        if self.common.json {
            return Ok(json(&outcome, out));
        }
        let reply = outcome.reply.unwrap_or_default();
        Ok(writeln!(out, "sent to {to}: {reply}"))
    }

    pub(super) fn reply_to(&self, letter: &Letter, message: &str) -> probes::mail::Send {
        let subject = if letter.subject.to_ascii_lowercase().starts_with("re:") {
            letter.subject.clone()
        } else {
            format!("Re: {}", letter.subject)
        };
        let mut body = message.trim_end().to_owned();
        body.push_str(&format!("\n\nOn {}, {} wrote:\n", letter.date, letter.from));
        for line in letter.body.lines() {
            body.push_str(&format!("> {line}\n"));
        }
        let mut send = self.settings.send(std::slice::from_ref(&letter.reply_to), &subject, &body);
        if let Some(id) = &letter.message_id {
            send.headers.push(("In-Reply-To".into(), format!("<{id}>")));
            send.headers.push(("References".into(), format!("<{id}>")));
        }
        send
    }
}
