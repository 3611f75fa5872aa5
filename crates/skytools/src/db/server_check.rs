//! What is checked of a server's certificate, where rustls and libpq differ.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use x509_cert::Certificate;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// How much of the server's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Nothing,
    Chain,
    ChainAndName,
}

/// A verifier with libpq's rules.
#[derive(Debug)]
pub(super) struct ServerCheck {
    pub(super) chain: Option<Arc<WebPkiServerVerifier>>,
    pub(super) roots: Vec<CertificateDer<'static>>,
    pub(super) check: Check,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ServerCheck {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Chain || is_common_name(end_entity, server_name) => {
                Ok(ServerCertVerified::assertion())
            }
            // A self-signed certificate made by `openssl req -x509` says that it is an authority. The times have
            // been checked when the chain check stumbles over that.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_)))
                if self.roots.iter().any(|root| root.as_ref() == end_entity.as_ref()) =>
            {
                if self.check == Check::ChainAndName {
                    let named = verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name);
                    if !is_common_name(end_entity, server_name) {
                        named?;
                    }
                }
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let checked = rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms);
        // A version 1 certificate, as the recipe in PostgreSQL's documentation made it for years, is not even read.
        // Where nothing else of it is checked, its key is enough.
        match (checked, self.check, public_key(cert)) {
            (Err(rustls::Error::InvalidCertificate(_)), Check::Nothing, Some(key)) => {
                rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, dss, algorithms)
            }
            (checked, ..) => checked,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn public_key(cert: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let parsed = Certificate::from_der(cert).ok()?;
    parsed.tbs_certificate.subject_public_key_info.to_der().ok().map(SubjectPublicKeyInfoDer::from)
}

/// Whether the host is the certificate's common name. It counts, as in libpq, only when the certificate lists no
/// DNS name or address as alternative name.
fn is_common_name(cert: &CertificateDer<'_>, server_name: &ServerName<'_>) -> bool {
    let Ok(parsed) = Certificate::from_der(cert) else { return false };
    match parsed.tbs_certificate.get::<SubjectAltName>() {
        Ok(None) => {}
        Ok(Some((_, names)))
            if !names.0.iter().any(|n| matches!(n, GeneralName::DnsName(_) | GeneralName::IpAddress(_))) => {}
        _ => return false,
    }
    let subject = &parsed.tbs_certificate.subject;
    let names = subject.0.iter().flat_map(|part| part.0.iter()).filter(|a| a.oid == COMMON_NAME);
    let mut texts = names.filter_map(|a| {
        let utf8 = a.value.decode_as::<Utf8StringRef<'_>>().map(|s| s.as_str().to_owned());
        utf8.or_else(|_| a.value.decode_as::<PrintableStringRef<'_>>().map(|s| s.as_str().to_owned())).ok()
    });
    let host = server_name.to_str();
    texts.next_back().is_some_and(|name| name_matches(&name, &host))
}

/// Compares without case; `*.` stands for one label.
fn name_matches(pattern: &str, host: &str) -> bool {
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(parent), Some((_, rest))) => parent.contains('.') && parent.eq_ignore_ascii_case(rest),
        _ => pattern.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names() {
        for (pattern, host, same) in [
            ("db.example.org", "DB.example.org", true),
            ("*.example.org", "db.example.org", true),
            ("*.example.org", "a.db.example.org", false),
            ("*.example.org", "example.org", false),
            ("*.org", "example.org", false),
            ("db", "db2", false),
        ] {
            assert_eq!(super::name_matches(pattern, host), same, "{pattern} {host}");
        }
    }
}
