//! The authority: one key, one self-signed certificate, any number of leaves.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use crate::Error;

/// Clocks of a lab's machines may differ by as much.
const LEEWAY: Duration = Duration::from_secs(86_400);
/// How long an authority is good.
const CA_LIFE: Duration = Duration::from_secs(20 * 365 * 86_400);
/// How long a leaf is good: some clients refuse more than 825 days.
const LEAF_LIFE: Duration = Duration::from_secs(820 * 86_400);
/// The line before the certificate that carries the name.
const MARK: &str = "# labctl authority: ";

/// A certificate authority.
pub struct Authority {
    name: String,
    now: SystemTime,
    cert_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The certificate, then the authority's, PEM.
    pub cert_pem: String,
    /// The private key, PEM (PKCS 8).
    pub key_pem: String,
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf").field("cert_pem", &self.cert_pem).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority called `name` that is good from the day before `now` on.
    pub fn generate(name: &str, now: SystemTime) -> Result<Self, Error> {
        let make = |error| Error::Make { subject: name.to_owned(), error };
        // The name is written into a one-line mark.
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        let key = KeyPair::generate().map_err(make)?;
        let params = ca_params(&name, now);
        let cert_pem = params.self_signed(&key).map_err(make)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), name, now, cert_pem })
    }

    /// Reads what [`Authority::to_pem`] wrote; leaves are good from the day before `now` on.
    pub fn from_pem(text: &str, now: SystemTime) -> Result<Self, Error> {
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix(MARK))
            .ok_or(Error::NotAnAuthority("it does not say its name"))?
            .to_owned();
        let cert_pem =
            block(text, "CERTIFICATE").ok_or(Error::NotAnAuthority("it holds no certificate"))?;
        let key_pem =
            block(text, "PRIVATE KEY").ok_or(Error::NotAnAuthority("it holds no private key"))?;
        let key = KeyPair::from_pem(&key_pem)
            .map_err(|error| Error::Make { subject: name.clone(), error })?;
        let params = ca_params(&name, now);
        Ok(Self { issuer: Issuer::new(params, key), name, now, cert_pem })
    }

    /// Its name, certificate and private key, for [`Authority::from_pem`]. Keep it secret.
    pub fn to_pem(&self) -> String {
        format!("{MARK}{}\n{}{}", self.name, self.cert_pem, self.issuer.key().serialize_pem())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its certificate, PEM: what clients trust.
    pub fn ca_pem(&self) -> &str {
        &self.cert_pem
    }

    /// Issues a certificate for a server with these names and addresses.
    pub fn issue(&self, names: &[&str], addresses: &[IpAddr]) -> Result<Leaf, Error> {
        let subject = names
            .first()
            .map(|name| (*name).to_owned())
            .or_else(|| addresses.first().map(ToString::to_string))
            .unwrap_or_else(|| self.name.clone());
        let make = |error| Error::Make { subject: subject.clone(), error };
        let mut params = CertificateParams::default();
        for name in names {
            let name = (*name).trim_end_matches('.').to_ascii_lowercase();
            params.subject_alt_names.push(SanType::DnsName(name.try_into().map_err(make)?));
        }
        params.subject_alt_names.extend(addresses.iter().map(|a| SanType::IpAddress(*a)));
        let mut common = DistinguishedName::new();
        common.push(DnType::CommonName, subject.as_str());
        params.distinguished_name = common;
        params.not_before = (self.now - LEEWAY).into();
        params.not_after = (self.now + LEAF_LIFE).into();
        params.use_authority_key_identifier_extension = true;
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        let key = KeyPair::generate().map_err(make)?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(make)?;
        Ok(Leaf {
            cert_pem: format!("{}{}", leaf.pem(), self.cert_pem),
            key_pem: key.serialize_pem(),
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("name", &self.name).finish_non_exhaustive()
    }
}

fn ca_params(name: &str, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, format!("{name} authority"));
    subject.push(DnType::OrganizationName, "labctl");
    params.distinguished_name = subject;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - LEEWAY).into();
    params.not_after = (now + CA_LIFE).into();
    params
}

/// The first PEM block with that label, its frame included.
fn block(text: &str, label: &str) -> Option<String> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let start = text.find(&begin)?;
    let stop = start + text[start..].find(&end)? + end.len();
    Some(format!("{}\n", &text[start..stop]))
}
