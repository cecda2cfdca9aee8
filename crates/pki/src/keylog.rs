//! The key log of NSS (`SSLKEYLOGFILE`, draft-ietf-tls-keylogfile): one secret of a connection a
//! line. Who has it can read the connections; it is written only where somebody asked for it.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A log that has grown to so many bytes begins anew: about a thousand connections.
const MAX_LOG: u64 = 1 << 20;

/// What writes the secrets of connections to a file that nobody else may read; several programs may
/// append to the same file. For `key_log` of a rustls configuration.
///
/// # Errors
/// Where the file cannot be opened.
pub fn key_log(path: &Path) -> io::Result<Arc<dyn rustls::KeyLog>> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    Ok(Arc::new(Log(Mutex::new(options.open(path)?))))
}

struct Log(Mutex<File>);

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl rustls::KeyLog for Log {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut line = format!("{label} ");
        for (at, bytes) in [client_random, secret].into_iter().enumerate() {
            for byte in bytes {
                let _ = write!(line, "{byte:02x}");
            }
            line.push(if at == 0 { ' ' } else { '\n' });
        }
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if file.metadata().is_ok_and(|meta| meta.len() > MAX_LOG) {
            let _ = file.set_len(0);
        }
        // A dialogue must not fail because it cannot be recorded.
        let _ = file.write_all(line.as_bytes());
    }
}
