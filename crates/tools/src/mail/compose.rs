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
    let fail = |why: String| format!("the text cannot be read from standard input: {why}");
    let text = whole(std::io::stdin()).map_err(fail)?;
    String::from_utf8(text).map_err(|_| fail("it is not UTF-8; `-a FILE` sends any bytes".into()))
}

pub(super) fn attachment(path: &std::path::Path) -> Result<Attachment, String> {
    let fail = |why: String| format!("{} cannot be attached: {why}", path.display());
    let file = std::fs::File::open(path).map_err(|error| fail(error.to_string()))?;
    let content = whole(file).map_err(fail)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Attachment::new(&name, "application/octet-stream", &content))
}

/// All that there is; a part of a message would be a lie.
fn whole(source: impl std::io::Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source.take(MAX_INPUT + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(format!("it is larger than {} MiB", MAX_INPUT >> 20));
    }
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_refused_and_not_cut() {
        let read = |size: u64| whole(std::io::repeat(b'x').take(size));
        assert_eq!(read(MAX_INPUT).map(|bytes| bytes.len() as u64), Ok(MAX_INPUT));
        assert_eq!(read(MAX_INPUT + 1).unwrap_err(), "it is larger than 32 MiB");
    }
}
