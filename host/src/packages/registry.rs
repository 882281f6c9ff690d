//! Packages in OCI registries: an image manifest whose layers are the component, its signatures and its notes.
//!
//! What is pulled is named by the SHA-256 of its manifest. A tag only says where to look: whoever runs the registry can move it.

use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use oci_client::client::{
    Certificate, CertificateEncoding, Client, ClientConfig, ClientProtocol, Config, ImageLayer,
};
use oci_client::errors::{DigestError, OciDistributionError, OciError, OciErrorCode};
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{ParseError, Reference};
use tokio::io::AsyncWrite;

use super::package::{LONGEST_NOTES, MOST_SIGNATURES, largest_component};
use super::signature::LONGEST_FILE;
use super::{Digest, NotASignature, Package};
use crate::handlers::Manifest;

/// What an image of ours is, and what its layers are.
const ARTIFACT: &str = "application/vnd.backchannel.plugin.v1";
const MANIFEST: &str = "application/vnd.backchannel.plugin.manifest.v1+json";
const COMPONENT: &str = "application/wasm";
const SIGNATURE: &str = "application/vnd.backchannel.plugin.minisig.v1";
const NOTES: &str = "text/markdown";

/// The longest manifest of an image, in bytes. Registries take no longer ones.
const LONGEST_MANIFEST: usize = 4 << 20;

/// A registry that says nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a registry is reached.
#[derive(Default)]
pub struct Access {
    /// Without TLS. For a registry of this machine.
    pub plain_http: bool,
    /// A further certificate authority, as PEM.
    pub authority: Option<Vec<u8>>,
    /// User and password.
    pub credentials: Option<(String, String)>,
}

/// A repository of a registry, such as `registry.example.org/plugins/overlap:1.0.0`.
pub struct Registry {
    client: Client,
    reference: Reference,
    auth: RegistryAuth,
}

/// Why a package did not get to a registry, or from it.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A reference that names no repository.
    #[error("{reference:?} is not the name of a package in a registry: {source}")]
    Reference {
        /// As it was given.
        reference: String,
        /// What is wrong.
        source: ParseError,
    },
    /// No client could be made.
    #[error("TLS cannot be used: {0}")]
    Tls(String),
    /// The registry cannot be reached, or stopped answering.
    #[error("the registry does not answer: {0}")]
    Unreachable(String),
    /// The registry wants to know who asks.
    #[error("the registry does not allow it: {0}")]
    Denied(String),
    /// There is no such package.
    #[error("the registry has no {0}")]
    Missing(String),
    /// What came is not what was asked for.
    #[error("what came is not {expected}, but {actual}")]
    OtherDigest {
        /// The digest asked for.
        expected: String,
        /// The digest of what came.
        actual: String,
    },
    /// The download ended early.
    #[error("the download of {0} ended too early")]
    Truncated(String),
    /// Another image, or one that no `plugin push` made.
    #[error("it is no plugin: {0}")]
    NotAPlugin(String),
    /// A signature in it is none.
    #[error("a signature in it cannot be read: {0}")]
    Signature(#[from] NotASignature),
    /// The registry's answer makes no sense.
    #[error("the registry answers with {0}")]
    Odd(String),
}

impl RegistryError {
    /// What can be done about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Reference { .. } => "write it as `registry.example.org/plugins/overlap:1.0.0`",
            Self::Tls(_) => {
                "install the system's CA certificates (ca-certificates), and check the file given with --ca"
            }
            Self::Unreachable(_) => {
                "check the name, the port and the network; --ca takes the certificate of a registry's own authority, --plain-http speaks to one without TLS"
            }
            Self::Denied(_) => {
                "give --user, and the password in BACKCHANNEL_REGISTRY_PASSWORD or --password-file"
            }
            Self::Missing(_) => "check the name and the digest with whoever pushed it",
            Self::OtherDigest { .. } => {
                "do not use it: the registry, or something on the way, serves other bytes; compare the digest with the author's"
            }
            Self::Truncated(_) => "pull again",
            Self::NotAPlugin(_) => {
                "check the name; plugins are pushed with `backchannel plugin push`"
            }
            Self::Signature(_) => "ask whoever pushed it to push it again with whole signatures",
            Self::Odd(_) => "check that the name is that of an OCI registry",
        }
    }

    /// Whether the network is to blame, not what came over it.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Tls(_) | Self::Odd(_))
    }

    fn of(error: OciDistributionError, wanted: &str) -> Self {
        use OciDistributionError as Oci;
        use OciErrorCode::{
            BlobUnknown, Denied, ManifestUnknown, NameUnknown, NotFound, Unauthorized,
        };
        let wanted = wanted.to_owned();
        match error {
            Oci::DigestError(DigestError::VerificationError { expected, actual }) => {
                Self::OtherDigest { expected, actual }
            }
            Oci::AuthenticationFailure(why) => Self::Denied(why),
            Oci::UnauthorizedError { url } => Self::Denied(url),
            Oci::ImageManifestNotFoundError(_) => Self::Missing(wanted),
            Oci::ServerError { code: 404, .. } => Self::Missing(wanted),
            Oci::RegistryError { envelope, .. } => match envelope.errors.first() {
                Some(OciError {
                    code: BlobUnknown | ManifestUnknown | NameUnknown | NotFound,
                    ..
                }) => Self::Missing(wanted),
                Some(OciError {
                    code: Unauthorized | Denied,
                    message,
                    ..
                }) => Self::Denied(message.clone()),
                _ => Self::Odd(envelope.to_string()),
            },
            Oci::RequestError(error) if error.is_body() || error.is_decode() => {
                Self::Truncated(wanted)
            }
            Oci::RequestError(error) => Self::Unreachable(innermost(&error)),
            Oci::IoError(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(TooLong(limit)) => {
                    Self::NotAPlugin(format!("{wanted} is larger than {limit} bytes"))
                }
                None => Self::Truncated(wanted),
            },
            other => Self::Odd(other.to_string()),
        }
    }
}

impl Registry {
    /// The repository that `reference` names. Nothing is sent yet.
    pub fn new(reference: &str, access: Access) -> Result<Self, RegistryError> {
        let parsed = reference.parse().map_err(|source| {
            let reference = reference.chars().take(200).collect();
            RegistryError::Reference { reference, source }
        })?;
        // The client takes the process's provider; one that is set already is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authorities = access.authority.map(|data| Certificate {
            encoding: CertificateEncoding::Pem,
            data,
        });
        // The client panics without any, even where another authority is given.
        if rustls_native_certs::load_native_certs().certs.is_empty() {
            return Err(RegistryError::Tls(
                "this machine has no CA certificates".into(),
            ));
        }
        let protocol = match access.plain_http {
            true => ClientProtocol::Http,
            false => ClientProtocol::Https,
        };
        let client = Client::try_from(ClientConfig {
            protocol,
            extra_root_certificates: authorities.into_iter().collect(),
            platform_resolver: None,
            read_timeout: Some(PATIENCE),
            connect_timeout: Some(PATIENCE),
            user_agent: concat!("backchannel/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        });
        let client = client.map_err(|error| RegistryError::Tls(error.to_string()))?;
        let auth = match access.credentials {
            Some((user, password)) => RegistryAuth::Basic(user, password),
            None => RegistryAuth::Anonymous,
        };
        Ok(Self {
            client,
            reference: parsed,
            auth,
        })
    }

    /// The digest in the reference, if it has one.
    pub fn pinned(&self) -> Option<Digest> {
        self.reference.digest()?.parse().ok()
    }

    /// The name under which a package of this digest is pulled.
    pub fn pinned_to(&self, digest: Digest) -> String {
        self.reference
            .clone_with_digest(digest.to_string())
            .to_string()
    }

    /// A file name for the component: the repository's last word, with `.wasm`.
    pub fn file_name(&self) -> PathBuf {
        let repository = self.reference.repository();
        let last = repository.rsplit('/').next().unwrap_or(repository);
        format!("{last}.wasm").into()
    }

    /// What the tag stands for now.
    pub async fn resolve(&self) -> Result<Digest, RegistryError> {
        let digest = self
            .client
            .fetch_manifest_digest(&self.reference, &self.auth)
            .await;
        let digest = digest.map_err(|error| RegistryError::of(error, &self.to_string()))?;
        digest
            .parse()
            .map_err(|_| RegistryError::Odd(format!("the digest {digest:?}")))
    }

    /// Pushes a package, whose component has `manifest` inside; gives the digest to pull it by.
    pub async fn push(
        &self,
        package: &Package,
        manifest: &Manifest,
    ) -> Result<Digest, RegistryError> {
        let layer =
            |data: Vec<u8>, media_type: &str| ImageLayer::new(data, media_type.to_owned(), None);
        let mut layers = vec![layer(package.component.clone(), COMPONENT)];
        for signature in &package.signatures {
            layers.push(layer(signature.to_string().into_bytes(), SIGNATURE));
        }
        if let Some(notes) = &package.notes {
            layers.push(layer(notes.clone().into_bytes(), NOTES));
        }
        let config = serde_json::to_vec(manifest)
            .map_err(|error| RegistryError::NotAPlugin(error.to_string()))?;
        let config = Config::new(config, MANIFEST.to_owned(), None);
        let mut image = OciImageManifest::build(&layers, &config, None);
        image.artifact_type = Some(ARTIFACT.into());
        image.media_type = Some(OCI_IMAGE_MEDIA_TYPE.into());
        let name = self.to_string();
        let pushed = self
            .client
            .push(&self.reference, &layers, config, &self.auth, Some(image))
            .await;
        pushed.map_err(|error| RegistryError::of(error, &name))?;
        self.resolve().await
    }

    /// Pulls the package of this digest. Every layer is held against its own digest, which the manifest names.
    pub async fn pull(&self, digest: Digest) -> Result<Package, RegistryError> {
        let reference = self.reference.clone_with_digest(digest.to_string());
        let name = reference.to_string();
        let failed = |error| RegistryError::of(error, &name);
        let pulled = self
            .client
            .pull_manifest_raw(&reference, &self.auth, &[OCI_IMAGE_MEDIA_TYPE]);
        let (bytes, _) = pulled.await.map_err(failed)?;
        let actual = Digest::of(&bytes);
        if actual != digest {
            let (expected, actual) = (digest.to_string(), actual.to_string());
            return Err(RegistryError::OtherDigest { expected, actual });
        }
        if bytes.len() > LONGEST_MANIFEST {
            return Err(RegistryError::NotAPlugin("its manifest is too long".into()));
        }
        let image: OciImageManifest = serde_json::from_slice(&bytes)
            .map_err(|_| RegistryError::NotAPlugin("it is not a single image".into()))?;
        if image.artifact_type.as_deref() != Some(ARTIFACT) {
            return Err(RegistryError::NotAPlugin(
                "its artifact type is another".into(),
            ));
        }
        self.client
            .store_auth_if_needed(reference.resolve_registry(), &self.auth)
            .await;

        let of = |media_type| {
            image
                .layers
                .iter()
                .filter(move |layer| layer.media_type == media_type)
        };
        let [component] = of(COMPONENT).collect::<Vec<_>>()[..] else {
            return Err(RegistryError::NotAPlugin(
                "it does not have one component".into(),
            ));
        };
        if of(SIGNATURE).count() > MOST_SIGNATURES {
            return Err(RegistryError::NotAPlugin(
                "it has too many signatures".into(),
            ));
        }
        let component = self
            .layer(&reference, component, largest_component())
            .await?;
        let mut signatures = Vec::new();
        for layer in of(SIGNATURE) {
            let bytes = self.layer(&reference, layer, LONGEST_FILE).await?;
            let text = String::from_utf8(bytes).map_err(|_| NotASignature::NOT_TEXT)?;
            signatures.push(text.parse()?);
        }
        let notes = match of(NOTES).next() {
            Some(layer) => {
                let bytes = self.layer(&reference, layer, LONGEST_NOTES).await?;
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
            None => None,
        };
        Ok(Package::new(component, signatures, notes))
    }

    async fn layer(
        &self,
        reference: &Reference,
        layer: &OciDescriptor,
        limit: usize,
    ) -> Result<Vec<u8>, RegistryError> {
        let name = format!("layer {}", layer.digest);
        let mut capped = Capped {
            bytes: Vec::new(),
            limit,
        };
        let pulled = self.client.pull_blob(reference, layer, &mut capped).await;
        pulled.map_err(|error| RegistryError::of(error, &name))?;
        Ok(capped.bytes)
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reference.fmt(f)
    }
}

/// Takes what is downloaded, up to a limit: a registry's word on sizes counts for nothing.
struct Capped {
    bytes: Vec<u8>,
    limit: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("longer than {0} bytes")]
struct TooLong(usize);

impl AsyncWrite for Capped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Poll::Ready(Err(io::Error::other(TooLong(self.limit))));
        }
        self.bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The innermost cause: the outer ones repeat the address.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
