//! A lab's certificate authority, and the rustls configurations made from it.
//!
//! Each lab has one [`Authority`]. It issues one certificate for each node that speaks TLS, with
//! the node's names and addresses in it, and the nodes' clients trust it and nothing else.
//!
//! ```
//! # fn main() -> Result<(), pki::Error> {
//! let authority = pki::Authority::generate("lab06", std::time::SystemTime::now())?;
//! let leaf = authority.issue(&["mail.com"], &["192.168.1.2".parse().unwrap()])?;
//! let server = pki::server_config(&leaf.cert_pem, &leaf.key_pem)?;
//! let client = pki::client_config([authority.ca_pem()])?;
//! # Ok(()) }
//! ```

mod authority;
mod keylog;
mod tls;

pub use authority::{Authority, Leaf};
pub use keylog::key_log;
pub use tls::{client_config, client_config_unverified, server_config};

/// Why a certificate could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not what [`Authority::to_pem`] wrote.
    #[error(
        "this is not an authority that labctl wrote: {0}; remove the file and a new one is made"
    )]
    NotAnAuthority(&'static str),
    /// A name or key could not be put into a certificate.
    #[error("cannot make a certificate for {subject}: {error}")]
    Make {
        /// For whom.
        subject: String,
        /// What rcgen said.
        error: rcgen::Error,
    },
    /// A PEM text holds no certificate or no key.
    #[error("cannot read {what} from PEM: {error}")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// What the reader said.
        error: String,
    },
    /// rustls refused the certificate or key.
    #[error("TLS cannot use this certificate: {0}")]
    Tls(#[from] rustls::Error),
}
