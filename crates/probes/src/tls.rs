//! TLS as a client that trusts the node's certificates and nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::http::Certificate;
use crate::{Env, Error, Layer};

/// Shakes hands; what the certificate is. With `insecure` an untrusted one is told, not refused.
///
/// # Errors
/// [`Layer::Banner`], stage `tls`: code `certificate` when it is not trusted, `handshake` else.
pub async fn connect(
    stream: TcpStream,
    name: &str,
    env: &Env,
    insecure: bool,
) -> Result<(TlsStream<TcpStream>, Certificate), Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Judge::new(env, &provider));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(Layer::Probe, error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    config.key_log = key_log(env);
    let server = ServerName::try_from(name.trim_end_matches('.').to_owned())
        .map_err(|_| Error::new(Layer::Probe, format!("{name} cannot be a server's name")))?;
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(server, stream)
        .await
        .map_err(|error| {
        Error::new(Layer::Banner, format!("{name} does not speak TLS here: {error}"))
            .stage("tls")
            .code("handshake")
    })?;
    let (_, session) = stream.get_ref();
    let problem = verifier.problem.lock().unwrap_or_else(PoisonError::into_inner).take();
    let certificate = Certificate {
        trusted: problem.is_none(),
        problem,
        sha256: session.peer_certificates().and_then(<[_]>::first).map_or_else(
            String::new,
            |certificate| {
                Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
            },
        ),
        protocol: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".into(),
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".into(),
            other => format!("{other:?}"),
        },
    };
    if let Some(problem) = certificate.problem.as_ref().filter(|_| !insecure) {
        return Err(Error::new(
            Layer::Banner,
            format!("the certificate of {name} is not trusted: {problem}"),
        )
        .stage("tls")
        .code("certificate")
        .evidence(format!("SHA-256 {}", certificate.sha256)));
    }
    Ok((stream, certificate))
}

/// Where the secrets of connections go, so that a capture can be read: the node's key log where the
/// lab keeps one, else the file that SSLKEYLOGFILE names, else nowhere.
pub(crate) fn key_log(env: &Env) -> Arc<dyn rustls::KeyLog> {
    let own = env.keylog.as_ref().and_then(|path| pki::key_log(path).ok());
    own.unwrap_or_else(|| Arc::new(rustls::KeyLogFile::new()))
}

/// Verifies as usual, but keeps what is wrong instead of ending the handshake, so that a client
/// can tell a bad certificate from no TLS at all. [`connect`] sends nothing before it has looked.
#[derive(Debug)]
struct Judge {
    real: Result<Arc<WebPkiServerVerifier>, String>,
    provider: Arc<rustls::crypto::CryptoProvider>,
    problem: Mutex<Option<String>>,
}

impl Judge {
    fn new(env: &Env, provider: &Arc<rustls::crypto::CryptoProvider>) -> Self {
        let mut roots = RootCertStore::empty();
        for pem in &env.trust {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()).flatten() {
                let _ = roots.add(certificate);
            }
        }
        let real = if roots.is_empty() {
            Err("this node trusts no authority".to_owned())
        } else {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| error.to_string())
        };
        Self { real, provider: provider.clone(), problem: Mutex::new(None) }
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = match &self.real {
            Ok(real) => real
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map_err(|error| error.to_string()),
            Err(problem) => Err(problem.clone()),
        };
        if let Err(problem) = verdict {
            *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
