//! TLS to the server with rustls, by libpq's rules.
//!
//! - a root certificate file that exists is used whatever `sslmode` says, as libpq does; without one only the
//!   `verify-*` modes fail, the others encrypt without knowing the server;
//! - `sslrootcert=system` takes the operating system's roots and implies `verify-full`;
//! - a server certificate that is itself in the root file is accepted, so a self-signed one works.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::server_check::{Check, ServerCheck};
use super::settings::{Settings, SslMode};
use crate::{Error, ErrorKind, Result};

/// The client side of TLS for these settings.
///
/// # Errors
/// [`ErrorKind::Config`] naming the certificate, key or revocation file that is missing or malformed.
pub(super) fn client_config(settings: &Settings) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (roots, check) = roots(settings)?;
    let verifier = Arc::new(server_check(settings, roots, check, &provider)?);
    let versions = versions(settings)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|e| {
            Error::config("no TLS protocol version is left between the minimum and the maximum")
                .with_source(e)
        })?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match client_certificate(settings)? {
        Some((chain, key, path)) => builder.with_client_auth_cert(chain, key).map_err(|e| {
            Error::config(format!("client certificate {} and its key cannot be used", path.display()))
                .with_source(e)
        })?,
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = settings.get("sslsni") != Some("0");
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(config)
}

/// The mode in force: `sslrootcert=system` means `verify-full` unless something weaker was asked for, an error.
///
/// # Errors
/// [`ErrorKind::Config`] for a weak mode with the system's roots.
pub(super) fn effective_mode(settings: &Settings) -> Result<SslMode> {
    if settings.get("sslrootcert") != Some("system") || settings.sslmode == SslMode::VerifyFull {
        return Ok(settings.sslmode);
    }
    if settings.get("sslmode").is_some() {
        return Err(Error::config("connect string: sslrootcert=system needs sslmode=verify-full").hint(
            "With the system's roots anybody can have a certificate: only its name tells servers apart.",
        ));
    }
    Ok(SslMode::VerifyFull)
}

fn versions(settings: &Settings) -> Result<Vec<&'static rustls::SupportedProtocolVersion>> {
    let rank = |name: &str, default: u8| match settings.get(name).map(str::to_ascii_lowercase).as_deref() {
        None => Ok(default),
        Some("tlsv1" | "tlsv1.1" | "tlsv1.2") => Ok(2),
        Some("tlsv1.3") => Ok(3),
        Some(_) => Err(Error::config(format!("connect string: invalid value of {name}"))
            .hint("It is one of: TLSv1.2, TLSv1.3.")),
    };
    let (low, high) = (rank("ssl_min_protocol_version", 2)?, rank("ssl_max_protocol_version", 3)?);
    Ok([(2, &rustls::version::TLS12), (3, &rustls::version::TLS13)]
        .into_iter()
        .filter(|(n, _)| (low..=high).contains(n))
        .map(|(_, v)| v)
        .collect())
}

fn default_file(settings: &Settings, name: &str) -> Option<PathBuf> {
    settings.home.as_ref().map(|home| home.join(".postgresql").join(name)).filter(|path| path.exists())
}

fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let bad = || Error::config(format!("cannot read {what} {}", path.display()));
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|e| bad().with_source(e))?;
    if found.is_empty() { Err(bad().hint("The file holds no PEM certificate.")) } else { Ok(found) }
}

/// The trusted roots, and how much is checked with them.
fn roots(settings: &Settings) -> Result<(Vec<CertificateDer<'static>>, Check)> {
    let mode = effective_mode(settings)?;
    let check = if mode == SslMode::VerifyFull { Check::ChainAndName } else { Check::Chain };
    if settings.get("sslrootcert") == Some("system") {
        let loaded = rustls_native_certs::load_native_certs();
        if loaded.certs.is_empty() {
            let error = Error::config("the operating system has no root certificates (sslrootcert=system)")
                .hint("Install the package ca-certificates.");
            return Err(match loaded.errors.into_iter().next() {
                Some(cause) => error.with_source(cause),
                None => error,
            });
        }
        return Ok((loaded.certs, check));
    }
    let wanted = settings.path("sslrootcert");
    match wanted.clone().filter(|p| p.exists()).or_else(|| match &wanted {
        Some(_) => None,
        None => default_file(settings, "root.crt"),
    }) {
        Some(path) => Ok((certificates(&path, "root certificate file")?, check)),
        None if matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull) => {
            let place = wanted.map_or("~/.postgresql/root.crt".to_owned(), |p| p.display().to_string());
            Err(Error::config(format!("root certificate file {place} does not exist"))
                .hint("Name it as sslrootcert=FILE, use sslrootcert=system, or lower sslmode."))
        }
        None => Ok((Vec::new(), Check::Nothing)),
    }
}

type ClientCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, PathBuf);

fn client_certificate(settings: &Settings) -> Result<Option<ClientCertificate>> {
    let mode = settings.get("sslcertmode").unwrap_or("allow");
    if mode == "disable" {
        return Ok(None);
    }
    let Some(path) = settings.path("sslcert").or_else(|| default_file(settings, "postgresql.crt")) else {
        return if mode == "require" {
            Err(Error::config("sslcertmode=require, and there is no client certificate")
                .hint("Name it as sslcert=FILE."))
        } else {
            Ok(None)
        };
    };
    let chain = certificates(&path, "client certificate")?;
    let key_path =
        settings.path("sslkey").or_else(|| default_file(settings, "postgresql.key")).ok_or_else(|| {
            Error::config("there is a client certificate and no key").hint("Name it as sslkey=FILE.")
        })?;
    check_private(&key_path)?;
    let key = PrivateKeyDer::from_pem_file(&key_path).map_err(|e| {
        Error::config(format!("cannot read client key {}", key_path.display()))
            .with_source(e)
            .hint("It has to be a PEM key without a passphrase.")
    })?;
    Ok(Some((chain, key, path)))
}

/// libpq's rule: nobody else may read the key; root's may be readable by a group.
fn check_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path)
        .map_err(|e| Error::config(format!("cannot read client key {}", path.display())).with_source(e))?;
    let others = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & others != 0 {
        return Err(Error::config(format!("client key {} has group or world access", path.display()))
            .hint(format!("Run: chmod 600 {}", path.display())));
    }
    Ok(())
}

/// The verifier for these roots, with the revocation list if there is one.
fn server_check(
    settings: &Settings,
    roots: Vec<CertificateDer<'static>>,
    check: Check,
    provider: &Arc<CryptoProvider>,
) -> Result<ServerCheck> {
    let chain = if check == Check::Nothing {
        None
    } else {
        let mut store = RootCertStore::empty();
        // A file may hold certificates that are no roots; one usable root is enough.
        let (usable, _) = store.add_parsable_certificates(roots.iter().cloned());
        if usable == 0 {
            return Err(Error::config("none of the root certificates can be used")
                .hint("They have to be X.509 version 3; make them with: openssl req -x509."));
        }
        let mut builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone());
        if let Some(path) = settings.path("sslcrl").or_else(|| default_file(settings, "root.crl")) {
            let lists: Vec<CertificateRevocationListDer<'static>> =
                CertificateRevocationListDer::pem_file_iter(&path).and_then(Iterator::collect).map_err(
                    |e| {
                        Error::config(format!("cannot read revocation list {}", path.display()))
                            .with_source(e)
                    },
                )?;
            builder = builder.with_crls(lists).allow_unknown_revocation_status();
        }
        Some(
            builder
                .build()
                .map_err(|e| Error::config("the root certificates cannot be used").with_source(e))?,
        )
    };
    Ok(ServerCheck { chain, roots, check, provider: provider.clone() })
}

/// What to do about a failed handshake.
pub(super) fn hint(error: &rustls::Error) -> Option<&'static str> {
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Some(
                "Connect by a name that the certificate lists as subjectAltName (a common name alone does not count), or use sslmode=verify-ca.",
            ),
            CertificateError::UnknownIssuer => {
                Some("Name the certificate of the authority that signed the server's as sslrootcert=FILE.")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Some("The server needs a new certificate.")
            }
            _ => Some(
                "A self-signed certificate has to be named itself as sslrootcert=FILE; every certificate has to be X.509 version 3.",
            ),
        },
        rustls::Error::AlertReceived(_) => {
            Some("The server refused; its log says why (a client certificate, a protocol version).")
        }
        _ => None,
    }
}

/// So that callers need not name [`ErrorKind`] for a failed handshake.
pub(super) const HANDSHAKE_FAILED: ErrorKind = ErrorKind::Connection;
