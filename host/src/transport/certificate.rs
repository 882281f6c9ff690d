//! The certificate of a researcher's server: made, kept, read and recognised.
//!
//! Fed-BioMed has no authority that signs servers. A node takes one certificate as *the* server's and accepts no other:
//! we call it pinned. Its subject carries `O=` with the researcher's id, without which a node of the reference dies.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::fingerprint::Fingerprint;
use crate::files::write_whole;
use crate::message::{IdError, ResearcherId};

/// How long a certificate we make is valid: five years, as the reference's.
const VALIDITY: Duration = Duration::from_secs(5 * 365 * 24 * 3600);

/// A certificate is valid from an hour before it is made, for nodes whose clock is behind.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(3600);

/// Under these names a data directory keeps a server's certificate and key.
pub(crate) const KEPT_CERTIFICATE: &str = "relay-certificate.pem";
pub(crate) const KEPT_KEY: &str = "relay-key.pem";

/// A server's certificate that parses and names a researcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    fingerprint: Fingerprint,
    researcher_id: ResearcherId,
}

impl Certificate {
    /// Reads a certificate. Fails if it is not one, or has no `O=` that can be a researcher's id.
    pub fn from_der(der: CertificateDer<'_>) -> Result<Self, CertificateError> {
        let (rest, parsed) = X509Certificate::from_der(&der)
            .map_err(|e| CertificateError::Unreadable(e.to_string()))?;
        if !rest.is_empty() {
            return Err(CertificateError::Unreadable("bytes follow it".to_owned()));
        }
        let fingerprint = Fingerprint::of(&der);
        let organization = parsed
            .subject()
            .iter_organization()
            .next()
            .and_then(|name| name.as_str().ok())
            .ok_or(CertificateError::NoResearcher { fingerprint })?;
        let researcher_id = ResearcherId::try_from(organization).map_err(|source| {
            CertificateError::BadResearcher {
                fingerprint,
                source,
            }
        })?;
        Ok(Self {
            der: der.clone().into_owned(),
            fingerprint,
            researcher_id,
        })
    }

    /// Reads the first certificate of a PEM text. Fails as [`Certificate::from_der`], or if there is none.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateError> {
        let der = CertificateDer::from_pem_slice(pem)
            .map_err(|e| CertificateError::Unreadable(e.to_string()))?;
        Self::from_der(der)
    }

    /// The certificate as PEM text.
    pub fn to_pem(&self) -> String {
        let body = STANDARD.encode(&self.der);
        let lines: Vec<&str> = body
            .as_bytes()
            .chunks(64)
            .filter_map(|line| std::str::from_utf8(line).ok())
            .collect();
        format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            lines.join("\n")
        )
    }

    /// The certificate as DER bytes.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// What people compare.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether it was made for `host`, a DNS name or an IP address. Nodes of ours do not ask, as the pin is stronger; nodes of
    /// the reference do.
    pub fn covers(&self, host: &str) -> bool {
        let (Ok(name), Ok(parsed)) = (
            ServerName::try_from(host),
            rustls::server::ParsedCertificate::try_from(&self.der),
        ) else {
            return false;
        };
        rustls::client::verify_server_name(&parsed, &name).is_ok()
    }

    /// The researcher whose server shows this certificate: its `O=`.
    pub fn researcher_id(&self) -> &ResearcherId {
        &self.researcher_id
    }
}

/// A certificate with its private key: what a server shows and proves. The key is zeroized and never printed.
pub struct ServerIdentity {
    certificate: Certificate,
    certificate_pem: Vec<u8>,
    key_pem: Zeroizing<Vec<u8>>,
}

impl ServerIdentity {
    /// Makes a self-signed certificate for `host` (a DNS name or an IP address) with a fresh P-256 key.
    pub fn make(host: &str, researcher: &ResearcherId) -> Result<Self, CertificateError> {
        let cannot = |reason: String| CertificateError::CannotMake {
            host: host.to_owned(),
            reason,
        };
        let refused = |e: rcgen::Error| cannot(e.to_string());
        ServerName::try_from(host).map_err(|e| cannot(e.to_string()))?;
        let key = KeyPair::generate().map_err(refused)?;
        let mut params = CertificateParams::new([host.to_owned()]).map_err(refused)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, host);
        params
            .distinguished_name
            .push(DnType::OrganizationName, researcher.as_str());
        // No key usage: a client that takes the certificate as its root, as nodes of the reference do, would then ask
        // for the right to sign certificates.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = SystemTime::now();
        params.not_before = (now - CLOCK_TOLERANCE).into();
        params.not_after = (now + VALIDITY).into();
        let certificate = params.self_signed(&key).map_err(refused)?;
        Self::new(
            certificate.pem().into_bytes(),
            Zeroizing::new(key.serialize_pem().into_bytes()),
        )
    }

    /// Reads certificate and key from two PEM files. Fails if either cannot be read, or the key is not the
    /// certificate's.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| CertificateError::File {
                path: path.to_owned(),
                source,
            })
        };
        Self::new(read(certificate)?, Zeroizing::new(read(key)?))
    }

    /// Loads what an earlier start left in `folder`, or makes it and leaves it there. Nodes have pinned the certificate,
    /// so it must survive a restart: one whose key is gone is an error, never silently replaced.
    pub fn load_or_make(
        folder: &Path,
        host: &str,
        researcher: &ResearcherId,
    ) -> Result<Self, CertificateError> {
        let certificate_path = folder.join(KEPT_CERTIFICATE);
        let key_path = folder.join(KEPT_KEY);
        // Not `exists`, which says no to a link whose volume is not mounted, and when it may not look.
        match certificate_path.symlink_metadata() {
            Ok(_) => return Self::load(&certificate_path, &key_path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(CertificateError::File {
                    path: certificate_path,
                    source,
                });
            }
        }
        let identity = Self::make(host, researcher)?;
        let written = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .and_then(|()| write_whole(&key_path, &identity.key_pem, 0o600))
            // Last: a certificate on disk means that its key is there too.
            .and_then(|()| write_whole(&certificate_path, &identity.certificate_pem, 0o644));
        match written {
            Ok(()) => Ok(identity),
            Err(source) => Err(CertificateError::File {
                path: folder.to_owned(),
                source,
            }),
        }
    }

    fn new(
        certificate_pem: Vec<u8>,
        key_pem: Zeroizing<Vec<u8>>,
    ) -> Result<Self, CertificateError> {
        let certificate = Certificate::from_pem(&certificate_pem)?;
        let key = PrivateKeyDer::from_pem_slice(&key_pem)
            .map_err(|e| CertificateError::BadKey(e.to_string()))?;
        rustls::sign::CertifiedKey::from_der(
            vec![certificate.der().clone()],
            key,
            &rustls::crypto::ring::default_provider(),
        )
        .map_err(|e| CertificateError::BadKey(e.to_string()))?;
        Ok(Self {
            certificate,
            certificate_pem,
            key_pem,
        })
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Both as tonic's TLS server takes them.
    pub(crate) fn for_tonic(&self) -> tonic::transport::Identity {
        tonic::transport::Identity::from_pem(&self.certificate_pem, &*self.key_pem)
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerIdentity")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// Why a certificate is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It is not an X.509 certificate.
    #[error("this is not a certificate: {0}")]
    Unreadable(String),
    /// It has no `O=` in its subject.
    #[error("the certificate {fingerprint} names no researcher: its subject has no O=")]
    NoResearcher {
        /// Which certificate.
        fingerprint: Fingerprint,
    },
    /// Its `O=` cannot be a researcher's id.
    #[error("the certificate {fingerprint} has an O= that cannot be a researcher's id: {source}")]
    BadResearcher {
        /// Which certificate.
        fingerprint: Fingerprint,
        /// What is wrong with the `O=`.
        source: IdError,
    },
    /// The private key cannot be used, or is another certificate's.
    #[error("the private key does not go with the certificate: {0}")]
    BadKey(String),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No certificate can be made for this host.
    #[error("no certificate can be made for the host {host:?}: {reason}")]
    CannotMake {
        /// The host asked for.
        host: String,
        /// Why.
        reason: String,
    },
}

impl CertificateError {
    /// What the operator of the server can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "give a certificate in PEM form",
            Self::NoResearcher { .. } | Self::BadResearcher { .. } => {
                "make the certificate with O= the researcher's id"
            }
            Self::BadKey(_) => "give the key that the certificate was made with",
            Self::File { .. } => {
                "check the path and its permissions; restore a missing key from a backup, or delete the certificate too to have another made"
            }
            Self::CannotMake { .. } => {
                "give a DNS name or an IP address, without port, with --host"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn researcher() -> ResearcherId {
        ResearcherId::try_from("RESEARCHER_1").unwrap()
    }

    #[test]
    fn covers_the_host_it_was_made_for_and_no_other() {
        for (host, other) in [
            ("relay.example.org", "example.org"),
            ("127.0.0.1", "127.0.0.2"),
            ("::1", "::2"),
            ("localhost", "127.0.0.1"),
        ] {
            let made = ServerIdentity::make(host, &researcher()).unwrap();
            assert!(made.certificate().covers(host), "{host}");
            assert!(!made.certificate().covers(other), "{host} {other}");
            assert!(!made.certificate().covers("no host"));
        }
    }

    #[test]
    fn refuses_to_make_a_certificate_for_what_is_no_host() {
        for host in ["", "a b", "relay.example.org:50051", "https://relay"] {
            assert!(
                matches!(
                    ServerIdentity::make(host, &researcher()),
                    Err(CertificateError::CannotMake { .. })
                ),
                "{host}"
            );
        }
    }

    #[test]
    fn refuses_a_certificate_without_a_researcher() {
        let key = KeyPair::generate().unwrap();
        let made = CertificateParams::new(["localhost".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();

        let refused = Certificate::from_der(made.der().clone());

        assert!(matches!(
            refused,
            Err(CertificateError::NoResearcher { .. })
        ));
    }

    #[test]
    fn refuses_what_is_not_a_certificate() {
        for bytes in [
            &b""[..],
            b"\x30",
            b"hello",
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(matches!(
                Certificate::from_der(bytes.into()),
                Err(CertificateError::Unreadable(_))
            ));
        }
        assert!(matches!(
            Certificate::from_pem(b"no PEM"),
            Err(CertificateError::Unreadable(_))
        ));
    }

    #[test]
    fn refuses_the_key_of_another_certificate() {
        let (one, other) = (
            ServerIdentity::make("a", &researcher()).unwrap(),
            ServerIdentity::make("a", &researcher()).unwrap(),
        );

        let mixed = ServerIdentity::new(one.certificate_pem, other.key_pem);

        assert!(matches!(mixed, Err(CertificateError::BadKey(_))));
    }

    #[test]
    fn refuses_to_replace_a_certificate_whose_key_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        ServerIdentity::load_or_make(folder.path(), "localhost", &researcher()).unwrap();
        fs::remove_file(folder.path().join("relay-key.pem")).unwrap();

        let again = ServerIdentity::load_or_make(folder.path(), "localhost", &researcher());

        assert!(
            matches!(again, Err(CertificateError::File { path, .. }) if path.ends_with("relay-key.pem"))
        );
    }

    #[test]
    fn refuses_to_replace_a_link_to_a_certificate_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join(KEPT_CERTIFICATE);
        std::os::unix::fs::symlink("not/mounted.pem", &link).unwrap();

        let refused = ServerIdentity::load_or_make(folder.path(), "localhost", &researcher());

        assert!(matches!(refused, Err(CertificateError::File { path, .. }) if path == link));
        assert!(link.is_symlink());
    }

    #[test]
    fn is_the_same_after_a_restart_and_its_key_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("new/folder");

        let first = ServerIdentity::load_or_make(&place, "localhost", &researcher()).unwrap();
        let second = ServerIdentity::load_or_make(&place, "localhost", &researcher()).unwrap();

        assert_eq!(first.certificate(), second.certificate());
        let key = fs::metadata(place.join("relay-key.pem")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_without_a_certificate_was_never_shown_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("relay-key.pem"), "half written").unwrap();

        assert!(ServerIdentity::load_or_make(folder.path(), "localhost", &researcher()).is_ok());
    }

    #[test]
    fn names_host_and_researcher() {
        for host in ["relay.example.org", "127.0.0.1", "::1"] {
            let made = ServerIdentity::make(host, &researcher()).unwrap();
            let (_, parsed) = X509Certificate::from_der(made.certificate().der()).unwrap();

            assert_eq!(
                parsed.subject().to_string(),
                format!("CN={host}, O=RESEARCHER_1")
            );
            assert_eq!(
                parsed
                    .subject_alternative_name()
                    .unwrap()
                    .unwrap()
                    .value
                    .general_names
                    .len(),
                1
            );
            assert!(parsed.validity().is_valid());
            assert_eq!(made.certificate().researcher_id(), &researcher());
        }
    }

    #[test]
    fn reads_back_the_pem_it_writes() {
        let made = ServerIdentity::make("localhost", &researcher()).unwrap();
        let pem = made.certificate().to_pem();
        assert_eq!(
            &Certificate::from_pem(pem.as_bytes()).unwrap(),
            made.certificate()
        );
        assert_eq!(
            made.certificate().fingerprint().to_string().len(),
            32 * 3 - 1
        );
    }

    #[test]
    fn never_prints_its_key() {
        let made = ServerIdentity::make("localhost", &researcher()).unwrap();
        let key = String::from_utf8(made.key_pem.to_vec()).unwrap();
        let line = key.lines().nth(1).unwrap();
        assert!(!format!("{made:?}").contains(line));
    }
}
