//! DKIM signatures of own mail, and SPF, DKIM and DMARC results of mail from outside.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::{DkimSigner, Done};
use mail_auth::dmarc::Policy;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    AuthenticatedMessage, AuthenticationResults, DmarcResult, DnsError, MessageAuthenticator,
    Parameters, ResolverCache, Txt,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

use crate::config::{Config, Dkim};
use crate::delivery::Incoming;
use crate::headers;
use crate::server::Server;
use crate::store::Body;

/// Fields that a signature covers where they are there (RFC 6376, 5.4.1).
const SIGNED: [&str; 12] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// A key could not be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot use the DKIM key {path} of {domain}: {reason}; it must be PEM, RSA or Ed25519 (PKCS 8)"
)]
pub struct Error {
    /// The file.
    path: PathBuf,
    /// For which domain.
    domain: String,
    /// Why.
    reason: String,
}

enum Signer {
    Rsa(DkimSigner<RsaKey<Sha256>, Done>),
    Ed25519(DkimSigner<Ed25519Key, Done>),
}

/// Keys, and the resolver for checks.
pub struct Authentication {
    signers: Vec<(String, Signer)>,
    /// Made at the first check: it costs memory.
    checker: OnceLock<Option<MessageAuthenticator>>,
}

/// What the checks found.
#[derive(Default)]
pub struct Verdict {
    /// Authentication-Results (RFC 8601).
    pub header: String,
    /// The sender's domain asks to reject.
    pub reject: bool,
}

impl Authentication {
    /// Reads the keys.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let signers = config
            .dkim
            .iter()
            .map(|dkim| Ok((dkim.domain.to_lowercase(), signer(dkim)?)))
            .collect::<Result<_, Error>>()?;
        Ok(Self { signers, checker: OnceLock::new() })
    }

    /// A DKIM-Signature for a message whose From is in a domain with a key; else nothing.
    /// `completed` are the fields that stand above the body's own.
    pub fn sign(&self, fields: &[(String, String)], completed: &str, body: &mut Body) -> String {
        let Some(domain) = headers::from_domain(fields) else { return String::new() };
        let Some((_, signer)) = self.signers.iter().find(|(known, _)| *known == domain) else {
            return String::new();
        };
        let Ok(message) = bytes(body) else { return String::new() };
        let chunks = [completed.as_bytes(), message.as_slice()];
        let signed = match signer {
            Signer::Rsa(signer) => signer.sign_chained(chunks),
            Signer::Ed25519(signer) => signer.sign_chained(chunks),
        };
        match signed {
            Ok(signature) => signature.to_header(),
            Err(error) => {
                tracing::warn!("a message of {domain} is not signed: {error}");
                String::new()
            }
        }
    }

    /// Checks a message from outside.
    pub async fn verify(&self, server: &Server, incoming: &mut Incoming) -> Verdict {
        let checker = self.checker.get_or_init(|| checker(server));
        let (Some(checker), Ok(message)) = (checker, bytes(&mut incoming.body)) else {
            return Verdict::default();
        };
        let hostname = server.config.hostname.as_str();
        let sender = incoming.transaction.sender.as_str();
        let domain = sender.rsplit_once('@').map_or(incoming.helo.as_str(), |(_, domain)| domain);
        let mut results = AuthenticationResults::new(hostname);
        let spf = SpfParameters::verify_mail_from(incoming.peer, &incoming.helo, hostname, sender);
        let spf = checker.verify_spf(spf).await;
        results = results.with_spf_mailfrom_result(&spf, incoming.peer, sender, &incoming.helo);
        let mut reject = false;
        if let Some(message) = AuthenticatedMessage::parse(&message) {
            let dkim = checker.verify_dkim(&message).await;
            results = results.with_dkim_results(&dkim, message.from());
            let asked = || DmarcParameters::new(&message, &dkim, domain, &spf);
            let mut dmarc = checker.verify_dmarc(asked()).await;
            if matches!(dmarc.result(), DmarcResult::TempError(_)) {
                let signers =
                    dkim.iter().filter_map(|one| one.signature()).map(|one| one.d.as_str());
                let known =
                    NoRecord::at_the_top([dmarc.domain(), domain].into_iter().chain(signers));
                dmarc = checker.verify_dmarc(Parameters::new(asked()).with_txt_cache(&known)).await;
            }
            reject =
                matches!(dmarc.result(), DmarcResult::Fail(_)) && dmarc.policy() == Policy::Reject;
            results = results.with_dmarc_result(&dmarc);
        }
        Verdict { header: results.to_header(), reject }
    }
}

/// Names that are taken to have no DMARC record, whatever their servers say.
///
/// A policy is looked for up to the top-level domain (RFC 9989, 4.10), which few labs have a server
/// for. Where the search fails, it is made once more without that last step: what a registry says
/// for all of its domains is lost, what the sender's domain says is not.
struct NoRecord(HashMap<Box<str>, Txt>);

impl NoRecord {
    fn at_the_top<'a>(domains: impl Iterator<Item = &'a str>) -> Self {
        let top = domains.filter_map(|domain| domain.rsplit('.').find(|label| !label.is_empty()));
        let none = || Txt::Error(mail_auth::Error::Dns(DnsError::InvalidRecordType));
        Self(
            top.map(|label| {
                (format!("_dmarc.{}.", label.to_ascii_lowercase()).into_boxed_str(), none())
            })
            .collect(),
        )
    }
}

impl ResolverCache<Box<str>, Txt> for NoRecord {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        self.0.get(name).cloned()
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

fn checker(server: &Server) -> Option<MessageAuthenticator> {
    let servers = server.resolver.servers();
    let servers: Vec<NameServerConfig> = servers
        .iter()
        .map(|address| {
            let mut one = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut one.connections {
                connection.port = address.port();
            }
            one
        })
        .collect();
    let config = ResolverConfig::from_name_servers(servers);
    let mut options = ResolverOpts::default();
    options.timeout = Duration::from_secs(2);
    options.attempts = 1;
    // The crate's own constructor reads the system's authorities, which a node has none of; DNS is
    // asked in the clear.
    let made = pki::client_config([]).map_err(|error| error.to_string()).and_then(|tls| {
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .with_tls_config(Arc::unwrap_or_clone(tls))
            .build()
            .map_err(|error| error.to_string())
    });
    match made {
        Ok(resolver) => Some(MessageAuthenticator(resolver)),
        Err(error) => {
            tracing::error!("mail from outside is not checked: {error}");
            None
        }
    }
}

fn signer(dkim: &Dkim) -> Result<Signer, Error> {
    let failed =
        |reason: String| Error { path: dkim.key.clone(), domain: dkim.domain.clone(), reason };
    let pem = std::fs::read(&dkim.key).map_err(|error| failed(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| failed(error.to_string()))?;
    if let PrivateKeyDer::Pkcs8(der) = &key
        && let Ok(key) = Ed25519Key::from_pkcs8_maybe_unchecked_der(der.secret_pkcs8_der())
    {
        let signer =
            DkimSigner::from_key(key).domain(&dkim.domain).selector(&dkim.selector).headers(SIGNED);
        return Ok(Signer::Ed25519(signer));
    }
    let key = RsaKey::<Sha256>::from_key_der(key).map_err(|error| failed(error.to_string()))?;
    let signer =
        DkimSigner::from_key(key).domain(&dkim.domain).selector(&dkim.selector).headers(SIGNED);
    Ok(Signer::Rsa(signer))
}

/// The whole message: a long one is read from its file, for this moment only.
fn bytes(body: &mut Body) -> std::io::Result<Vec<u8>> {
    match body {
        Body::Memory(bytes) => Ok(bytes.clone()),
        Body::File(file) => {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0))?;
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        }
    }
}
