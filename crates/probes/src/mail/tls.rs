//! TLS as a client: only the node's own authorities are trusted.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

use super::types::{Failure, Stage};
use crate::Env;

/// A configuration that trusts the node's authorities and nobody else.
pub(super) fn config(env: &Env) -> Result<Arc<ClientConfig>, Failure> {
    let fail = |message: String| Failure::new(Stage::Tls, message);
    let mut roots = RootCertStore::empty();
    for pem in &env.trust {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate
                .map_err(|error| fail(format!("a trusted certificate is not PEM: {error}")))?;
            roots
                .add(certificate)
                .map_err(|error| fail(format!("a trusted certificate cannot be used: {error}")))?;
        }
    }
    if roots.is_empty() {
        return Err(fail(
            "this node trusts no certificate authority, so TLS cannot be checked".into(),
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.key_log = crate::tls::key_log(env);
    Ok(Arc::new(config))
}

/// The name that the server's certificate must hold.
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, Failure> {
    ServerName::try_from(host.trim_end_matches('.').to_owned()).map_err(|_| {
        Failure::new(Stage::Tls, format!("{host} cannot be the name in a certificate"))
    })
}
