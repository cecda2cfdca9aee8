//! The server's certificate: from disk, or of an own authority made at the first start.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::TlsAcceptor;

use crate::config::Config;

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error("cannot read or write {path}: {error}; check `tls` in the configuration")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The certificate.
    #[error(transparent)]
    Pki(#[from] pki::Error),
}

/// Makes the acceptor.
pub fn acceptor(config: &Config) -> Result<TlsAcceptor, Error> {
    let (cert, key) = match &config.tls {
        Some(tls) => (read(&tls.cert)?, read(&tls.key)?),
        None => own(config)?,
    };
    let mut server = Arc::unwrap_or_clone(pki::server_config(&cert, &key)?);
    if let Some(path) = config.tls.as_ref().and_then(|tls| tls.keylog.as_ref()) {
        server.key_log =
            pki::key_log(path).map_err(|error| Error::File { path: path.into(), error })?;
    }
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// Issues a certificate of the authority in the state folder, which is made if it is not there.
/// Its certificate alone is in `ca.pem`, for clients.
fn own(config: &Config) -> Result<(String, String), Error> {
    let secret = config.state.join("authority.pem");
    let now = SystemTime::now();
    let authority = if secret.exists() {
        pki::Authority::from_pem(&read(&secret)?, now)?
    } else {
        let made = pki::Authority::generate(&config.hostname, now)?;
        write(&secret, &made.to_pem(), 0o600)?;
        made
    };
    write(&config.state.join("ca.pem"), authority.ca_pem(), 0o644)?;
    let mut names = vec![config.hostname.as_str()];
    for domain in &config.domains {
        let all = std::iter::once(&domain.name).chain(&domain.aliases).map(String::as_str);
        names.extend(all.filter(|name| name.is_ascii()));
    }
    names.push("localhost");
    names.sort_unstable();
    names.dedup();
    let mut addresses: Vec<IpAddr> = vec![[127, 0, 0, 1].into()];
    if !config.listen.is_unspecified() {
        addresses.push(config.listen);
    }
    let leaf = authority.issue(&names, &addresses)?;
    Ok((leaf.cert_pem, leaf.key_pem))
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::File { path: path.into(), error })
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let open = OpenOptions::new().create(true).truncate(true).write(true).mode(mode).open(path);
    open.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Error::File { path: path.into(), error })
}
