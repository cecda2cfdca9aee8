//! A terminal for tests: labctl in a session of its own, what is on its screen, and its keys.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::{LABCTL, Labctl};

/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// labctl at a terminal of its own.
pub struct Terminal {
    child: Child,
    keys: File,
    screen: Receiver<Vec<u8>>,
    /// What came since the last text that was waited for.
    pub seen: String,
    /// Its path on this machine.
    pub path: String,
}

impl Terminal {
    /// Runs labctl with these arguments, with `home` for what it keeps.
    pub fn open(lab: &Labctl, home: &Path, args: &[&str]) -> Self {
        let size = nix::pty::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(&size, None).unwrap();
        let path = nix::unistd::ttyname(&pty.slave).unwrap().display().to_string();
        let copy = || Stdio::from(pty.slave.try_clone().unwrap());
        let like = lab.command(args);
        // A session of its own, of which this is the controlling terminal.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", LABCTL]).args(args);
        command.current_dir(like.get_current_dir().unwrap());
        for (name, value) in like.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("XDG_STATE_HOME", home).env("TERM", "xterm");
        let child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().unwrap();
        drop(pty.slave);
        let keys = File::from(pty.master);
        let mut master = keys.try_clone().unwrap();
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n) = master.read(&mut buffer) {
                if n == 0 || sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, screen, seen: String::new(), path }
    }

    /// Types.
    pub fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until a text has come; what was on the screen up to it.
    pub fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(_) => panic!("{text:?} did not come: {:?}", self.seen),
            }
        }
    }

    /// Waits for its end; its exit code.
    pub fn code(mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(Instant::now() < deadline, "it does not end: {:?}", self.seen);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
