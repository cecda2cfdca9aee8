//! SMTP as a client (RFC 5321, 3207 STARTTLS, 4954 AUTH, 2034 enhanced codes).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::compose::Draft;
use super::connection::{Connection, Transcript};
use super::types::{Failure, Outcome, Protocol, Security, Send, Server, Stage};
use crate::Env;
use crate::env::Deadline;

/// The most lines taken of one reply.
const MAX_REPLY_LINES: usize = 200;
/// Lines of a message's text that the dialogue shows.
const SHOWN_LINES: usize = 40;

/// A reply: its code and the texts of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// One text a line.
    pub lines: Vec<String>,
}

impl Reply {
    /// Whether the command succeeded (2xx, 3xx).
    pub fn positive(&self) -> bool {
        (200..400).contains(&self.code)
    }

    /// The enhanced status code at the head of the text.
    pub fn enhanced(&self) -> Option<String> {
        let word = self.lines.first()?.split(' ').next()?;
        let mut parts = word.split('.');
        let class = parts.next()?;
        let rest: Vec<&str> = parts.collect();
        let digits =
            |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        (matches!(class, "2" | "4" | "5") && rest.len() == 2 && rest.iter().all(digits))
            .then(|| word.to_owned())
    }

    /// Code and last line as the server sent them.
    pub fn text(&self) -> String {
        format!("{} {}", self.code, self.lines.last().map_or("", String::as_str))
    }

    fn failure(&self, stage: Stage, message: String) -> Failure {
        let mut failure = Failure::new(stage, message).reply(self.text());
        failure.code = Some(self.code);
        failure.enhanced = self.enhanced();
        failure
    }
}

/// A session.
#[derive(Debug)]
pub struct Smtp {
    connection: Connection,
    /// The capabilities of the last EHLO, upper case, keyword first.
    capabilities: Vec<String>,
}

impl Smtp {
    /// Connects, greets, and turns to TLS where the server is so set up.
    ///
    /// # Errors
    /// Where it failed.
    pub async fn open(
        server: &Server,
        env: &Env,
        by: Deadline,
        transcript: &Transcript,
    ) -> Result<Self, Failure> {
        let connection = Connection::open(server, Protocol::Smtp, env, by, transcript).await?;
        let mut smtp = Self { connection, capabilities: Vec::new() };
        let greeting = smtp.reply(Stage::Banner).await?;
        if greeting.code != 220 {
            let message = format!("the server does not serve: {}", greeting.text());
            return Err(greeting.failure(Stage::Banner, message));
        }
        smtp.hello(env).await?;
        if server.security == Security::Starttls {
            if !smtp.offers("STARTTLS") {
                return Err(Failure::new(Stage::Tls, "the server does not offer STARTTLS"));
            }
            let reply = smtp.command("STARTTLS", Stage::Tls).await?;
            if reply.code != 220 {
                return Err(reply
                    .failure(Stage::Tls, format!("STARTTLS was refused: {}", reply.text()))
                    .command("STARTTLS"));
            }
            smtp.connection.start_tls(env).await?;
            smtp.hello(env).await?;
        }
        Ok(smtp)
    }

    /// The connection beneath.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether the server offers an extension.
    pub fn offers(&self, keyword: &str) -> bool {
        self.capabilities.iter().any(|line| line.split(' ').next() == Some(keyword))
    }

    async fn hello(&mut self, env: &Env) -> Result<(), Failure> {
        let name = if env.node.is_empty() { "localhost" } else { &env.node };
        let reply = self.command(&format!("EHLO {name}"), Stage::Banner).await?;
        if reply.code == 250 {
            self.capabilities =
                reply.lines.iter().skip(1).map(|l| l.to_ascii_uppercase()).collect();
            return Ok(());
        }
        self.capabilities.clear();
        let reply = self.command(&format!("HELO {name}"), Stage::Banner).await?;
        if reply.code == 250 {
            return Ok(());
        }
        Err(reply
            .failure(Stage::Banner, format!("the server did not greet back: {}", reply.text())))
    }

    /// Sends a command and reads its reply.
    ///
    /// # Errors
    /// `stage` when the connection is gone.
    pub async fn command(&mut self, line: &str, stage: Stage) -> Result<Reply, Failure> {
        self.connection.send(line).await?;
        self.reply(stage).await
    }

    async fn reply(&mut self, stage: Stage) -> Result<Reply, Failure> {
        let mut reply = Reply::default();
        loop {
            let line = self.connection.line(stage).await?;
            let code = line.get(..3).and_then(|digits| digits.parse::<u16>().ok());
            let (Some(code @ 200..=599), true) = (code, reply.lines.len() < MAX_REPLY_LINES) else {
                let shown: String = line.chars().take(80).collect();
                return Err(Failure::new(
                    stage,
                    format!("this is not an SMTP server: it said `{shown}`"),
                )
                .reply(shown));
            };
            reply.code = code;
            reply.lines.push(line.get(4..).unwrap_or("").to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(reply);
            }
        }
    }

    /// Logs in by AUTH PLAIN or LOGIN, whichever is offered.
    ///
    /// # Errors
    /// [`Stage::Login`].
    pub async fn login(&mut self, user: &str, password: &str) -> Result<(), Failure> {
        let offered = self
            .capabilities
            .iter()
            .find_map(|line| line.strip_prefix("AUTH "))
            .unwrap_or_default()
            .to_owned();
        let offers = |name: &str| offered.split(' ').any(|mechanism| mechanism == name);
        let reply = if offers("PLAIN") {
            let secret = BASE64.encode(format!("\0{user}\0{password}"));
            self.connection.send_as(&format!("AUTH PLAIN {secret}"), "AUTH PLAIN ********").await?;
            self.reply(Stage::Login).await?
        } else if offers("LOGIN") {
            let mut reply = self.command("AUTH LOGIN", Stage::Login).await?;
            for secret in [user, password] {
                if reply.code != 334 {
                    break;
                }
                self.connection.send_as(&BASE64.encode(secret), "********").await?;
                reply = self.reply(Stage::Login).await?;
            }
            reply
        } else {
            let why = if self.connection.tls().is_none() && self.offers("STARTTLS") {
                "the server offers no login before STARTTLS"
            } else {
                "the server offers no login by AUTH PLAIN or LOGIN"
            };
            return Err(Failure::new(Stage::Login, why));
        };
        if reply.code == 235 {
            return Ok(());
        }
        let message = format!("the server refused user {user} or the password: {}", reply.text());
        Err(reply.failure(Stage::Login, message).command("AUTH"))
    }

    /// Hands over one message.
    ///
    /// # Errors
    /// [`Stage::Command`] with the reply of the first command that was refused.
    pub async fn deliver(
        &mut self,
        from: &str,
        to: &[String],
        message: &[u8],
    ) -> Result<Reply, Failure> {
        let mut mail = format!("MAIL FROM:<{from}>");
        if self.offers("SIZE") {
            mail.push_str(&format!(" SIZE={}", message.len()));
        }
        if self.offers("8BITMIME") && !message.is_ascii() {
            mail.push_str(" BODY=8BITMIME");
        }
        let international = !from.is_ascii() || to.iter().any(|address| !address.is_ascii());
        if self.offers("SMTPUTF8") && international {
            mail.push_str(" SMTPUTF8");
        }
        let reply = self.command(&mail, Stage::Command).await?;
        if !reply.positive() {
            let message = format!("the sender <{from}> was refused: {}", reply.text());
            return Err(reply.failure(Stage::Command, message).command("MAIL"));
        }
        for address in to {
            let reply = self.command(&format!("RCPT TO:<{address}>"), Stage::Command).await?;
            if !reply.positive() {
                let what = match reply.enhanced().as_deref() {
                    Some("5.1.1" | "5.1.0" | "5.1.10") => "user unknown",
                    Some("5.1.2") => "domain unknown",
                    Some("5.7.0" | "5.7.1") => "not accepted from here",
                    Some("5.2.2" | "4.2.2") => "mailbox full",
                    _ => "refused",
                };
                let message = format!("<{address}>: {what}: {}", reply.text());
                return Err(reply.failure(Stage::Command, message).command("RCPT"));
            }
        }
        let reply = self.command("DATA", Stage::Command).await?;
        if reply.code != 354 {
            let message = format!("DATA was refused: {}", reply.text());
            return Err(reply.failure(Stage::Command, message).command("DATA"));
        }
        let mut shown: Vec<String> =
            String::from_utf8_lossy(message).lines().take(SHOWN_LINES).map(str::to_owned).collect();
        if message.iter().filter(|b| **b == b'\n').count() > SHOWN_LINES {
            shown.push(format!("… ({} bytes)", message.len()));
        }
        shown.push(".".into());
        self.connection.send_bytes(&stuffed(message), &shown).await?;
        let reply = self.reply(Stage::Command).await?;
        if reply.code != 250 {
            let message = format!("the message was refused: {}", reply.text());
            return Err(reply.failure(Stage::Command, message).command("message"));
        }
        Ok(reply)
    }

    /// Says goodbye; what the server answers does not matter any more.
    pub async fn quit(mut self) {
        let _ = self.command("QUIT", Stage::Command).await;
    }
}

/// The message with CRLF line ends, dots doubled, and the end mark.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    for line in lines(message) {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// The lines of a text, whatever ends them.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Sends one message and says goodbye, also after a refusal.
pub(super) async fn send(
    request: &Send,
    env: &Env,
    transcript: &Transcript,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let by = Deadline::after(std::time::Duration::from_millis(request.timeout_ms));
    if request.to.is_empty() {
        return Err(Failure::new(Stage::Command, "the message has no recipient"));
    }
    let draft = Draft::from_request(request, env);
    let message = match &request.raw {
        Some(raw) => {
            outcome.message_id = super::letter::parse(raw.as_bytes()).message_id;
            let mut crlf = Vec::with_capacity(raw.len() + 64);
            for line in lines(raw.as_bytes()) {
                crlf.extend_from_slice(line);
                crlf.extend_from_slice(b"\r\n");
            }
            crlf
        }
        None => {
            outcome.message_id = Some(draft.message_id.clone());
            draft.write()
        }
    };
    let mut smtp = Smtp::open(&request.server, env, by, transcript).await?;
    outcome.peer = Some(smtp.connection().peer());
    outcome.tls = smtp.connection().tls().map(str::to_owned);
    let result = async {
        if let Some((user, password)) = &request.login {
            smtp.login(user, password).await?;
        }
        smtp.deliver(&request.from, &request.to, &message).await
    }
    .await;
    smtp.quit().await;
    let reply = result?;
    outcome.code = Some(reply.code);
    outcome.enhanced = reply.enhanced();
    outcome.reply = Some(reply.text());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_doubled_and_line_ends_are_made_right() {
        assert_eq!(stuffed(b"a\n.\r\n..x\n"), b"a\r\n..\r\n...x\r\n.\r\n");
        assert_eq!(stuffed(b"no end"), b"no end\r\n.\r\n");
    }

    #[test]
    fn an_enhanced_code_is_read_only_where_there_is_one() {
        let reply = |text: &str| Reply { code: 550, lines: vec![text.into()] };
        assert_eq!(reply("5.1.1 no such user").enhanced().as_deref(), Some("5.1.1"));
        assert_eq!(reply("no such user").enhanced(), None);
        assert_eq!(reply("5.1 x").enhanced(), None);
        assert_eq!(reply("5.1.1234 x").enhanced(), None);
    }
}
