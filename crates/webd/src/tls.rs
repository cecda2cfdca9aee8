//! The certificate of HTTPS.

use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;

/// What shakes hands with the configured certificate.
///
/// # Errors
/// One sentence about the file or text that cannot be used.
pub fn acceptor(tls: &Tls) -> Result<TlsAcceptor, String> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&pem(&tls.certificate)?)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("the certificate is not PEM: {error}"))?;
    if chain.is_empty() {
        return Err("the certificate's file holds no certificate".into());
    }
    let key = PrivateKeyDer::from_pem_slice(&pem(&tls.key)?)
        .map_err(|error| format!("the certificate's key is not PEM: {error}"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("certificate and key do not work together: {error}"))?;
    if let Some(path) = &tls.keylog {
        config.key_log = pki::key_log(path)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The text itself, or the file's.
fn pem(text: &str) -> Result<Vec<u8>, String> {
    if text.trim_start().starts_with("-----BEGIN") {
        return Ok(text.as_bytes().to_vec());
    }
    std::fs::read(text).map_err(|error| format!("cannot read {text}: {error}"))
}
