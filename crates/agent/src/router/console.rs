//! The consoles of a router: sessions, each in a mode of its own, on one running configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use ios::{Console, Names};
use node::request::{Error, Output};
use serde_json::{Value, json};

use super::Router;
use super::system::Live;
use crate::agent::Agent;

/// The name by which sessions are asked for.
pub(crate) const SERVICE: &str = "console";
/// Sessions kept; the one that was used least lately goes first.
const MAX_SESSIONS: usize = 32;

/// The sessions, by the name their user gave them, with when they were used last.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: BTreeMap<String, (u64, Console)>,
    used: u64,
}

impl Agent {
    /// The console's router, or why there is none.
    pub(crate) fn console_of(&self) -> Result<&Router, Error> {
        self.router.as_ref().ok_or_else(|| {
            let node = &self.config.node;
            Error::new("no-console", format!("{node} is not a router: it has no console"))
                .help(format!("`labctl shell {node}` opens a shell in it"))
        })
    }

    fn new_console(&self, router: &Router) -> Console {
        let links: Vec<&str> = self.config.links.iter().map(|link| link.name.as_str()).collect();
        Console::new(router.config(), Names::new(&links))
    }

    /// Runs lines in a privileged session of their own; the first that is refused ends them.
    pub(crate) async fn console(self: &Arc<Self>, lines: &str) -> Result<Output, Error> {
        let router = self.console_of()?;
        let system = Live(self.clone());
        let mut console = self.new_console(router);
        let mut output = Output::default();
        let lines: Vec<&str> = lines.lines().filter(|line| !line.trim().is_empty()).collect();
        if let [line] = lines[..] {
            let done = console.once(line, &system).await;
            (output.code, output.stdout) = (i32::from(done.failed), done.text);
            return Ok(output);
        }
        console.line("enable", &system).await;
        for line in lines {
            console.follow(router.config());
            let done = console.line(line, &system).await;
            output.stdout.push_str(&done.text);
            if done.failed || done.closed {
                output.code = i32::from(done.failed);
                break;
            }
        }
        Ok(output)
    }

    /// `{"op": "line" | "prompt" | "end", "session": NAME, "line": TEXT}` ->
    /// `{"text", "prompt", "closed", "failed"}`.
    pub(crate) async fn console_session(self: &Arc<Self>, request: &Value) -> Result<Value, Error> {
        let router = self.console_of()?;
        let word = |key: &str| request.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = word("session").to_owned();
        let mut sessions = router.sessions.lock().await;
        if word("op") == "end" {
            sessions.open.remove(&name);
            return Ok(Value::Null);
        }
        sessions.used += 1;
        let now = sessions.used;
        if !sessions.open.contains_key(&name) && sessions.open.len() >= MAX_SESSIONS {
            let oldest = sessions.open.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                sessions.open.remove(&oldest);
            }
        }
        let fresh = || (now, self.new_console(router));
        let mut console = sessions.open.remove(&name).unwrap_or_else(fresh).1;
        // A ping may take long: other sessions go on meanwhile.
        drop(sessions);
        console.follow(router.config());
        let answer = match word("op") {
            "line" => {
                let done = console.line(word("line"), &Live(self.clone())).await;
                json!({
                    "text": done.text,
                    "prompt": done.prompt,
                    "closed": done.closed,
                    "failed": done.failed,
                })
            }
            "prompt" => {
                json!({"text": "", "prompt": console.prompt(), "closed": false, "failed": false})
            }
            _ => return Err(Error::new("bad-request", "the operation is not line, prompt or end")),
        };
        router.sessions.lock().await.open.insert(name, (now, console));
        Ok(answer)
    }
}
