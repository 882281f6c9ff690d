//! One encrypted connection to a researcher's server whose certificate is pinned.

use std::error::Error;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::certificate::{Certificate, CertificateError};
use super::fingerprint::Fingerprint;
use super::silence::give_up_on_silence;

/// How long the network may take to connect, and then the server to shake hands.
const STEP_LIMIT: Duration = Duration::from_secs(10);

/// How often an idle connection is tested: the reference's 60 s.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How long the server may take to answer such a test.
const KEEP_ALIVE_LIMIT: Duration = Duration::from_secs(10);

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    host: String,
    port: u16,
    name: ServerName<'static>,
}

impl ServerAddress {
    /// An address. Fails if `host` is neither a DNS name nor an IP address.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| AddressError(host.to_owned()))?;
        Ok(Self {
            host: host.to_owned(),
            port,
            name,
        })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            ServerName::IpAddress(rustls_pki_types::IpAddr::V6(_)) => {
                write!(f, "[{}]:{}", self.host, self.port)
            }
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    /// Reads `host:port`; an IPv6 address stands in brackets.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match bare {
            None if host.contains(':') => Err(wrong()),
            _ => Self::new(bare.unwrap_or(host), port).map_err(|_| wrong()),
        }
    }
}

/// A text that is not a server's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a server's address: write HOST:PORT, an IPv6 address as [ADDRESS]:PORT")]
pub struct AddressError(String);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host's name cannot be resolved.
    #[error("{address}: the host name cannot be resolved: {source}")]
    Name {
        /// The server.
        address: ServerAddress,
        /// What the system says.
        source: io::Error,
    },
    /// The host is there, nothing listens on the port.
    #[error("{address} refuses connections")]
    Refused {
        /// The server.
        address: ServerAddress,
    },
    /// No answer in time.
    #[error("{address} gave no answer within {} s", STEP_LIMIT.as_secs())]
    TimedOut {
        /// The server.
        address: ServerAddress,
    },
    /// The network failed otherwise.
    #[error("{address} cannot be reached: {source}")]
    Network {
        /// The server.
        address: ServerAddress,
        /// What the system says.
        source: io::Error,
    },
    /// The server shows another certificate than the pinned one.
    #[error("{address} shows the certificate {seen}, expected was {expected}")]
    WrongCertificate {
        /// The server.
        address: ServerAddress,
        /// The pinned one.
        expected: Fingerprint,
        /// The one it shows.
        seen: Fingerprint,
    },
    /// The server's certificate is of no use to anyone.
    #[error("{address} shows a certificate that cannot be used: {source}")]
    BadCertificate {
        /// The server.
        address: ServerAddress,
        /// What is wrong with it.
        source: CertificateError,
    },
    /// What listens there speaks no TLS, or shook hands wrongly.
    #[error("{address} and we found no common TLS: {source}")]
    Tls {
        /// The server.
        address: ServerAddress,
        /// What rustls says.
        source: io::Error,
    },
    /// What listens there speaks TLS but not HTTP/2.
    #[error("{address} speaks no gRPC: {source}")]
    Protocol {
        /// The server.
        address: ServerAddress,
        /// What tonic says.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ConnectError {
    /// What the operator of the node can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Name { .. } => "check the host name, and that this machine's name server answers",
            Self::Refused { .. } => "check host and port, and that the researcher's server runs",
            Self::TimedOut { .. } | Self::Network { .. } => {
                "check host, port and firewall, and that the researcher's server runs"
            }
            Self::WrongCertificate { .. } => "ask the researcher which certificate is right",
            Self::BadCertificate { .. } => {
                "ask the researcher for a certificate whose O= is the researcher's id"
            }
            Self::Tls { .. } | Self::Protocol { .. } => {
                "check that host and port are those of the researcher's server, and of no proxy or other program"
            }
        }
    }
}

/// Fetches the certificate that a server shows, believing it: for a first contact, whose outcome a person or a policy
/// must then judge.
pub async fn fetch_certificate(address: &ServerAddress) -> Result<Certificate, ConnectError> {
    let (_, certificate) = dial(address, None).await?;
    Ok(certificate)
}

/// Connects to a server that shows exactly the pinned certificate and proves that it has its key. Host name and
/// validity are not looked at: the pin is stronger than both.
///
/// A channel is one connection. When that is lost all its calls fail, and the caller connects anew.
pub async fn connect(
    address: &ServerAddress,
    pinned: &Certificate,
) -> Result<Channel, ConnectError> {
    let (stream, _) = dial(address, Some(pinned)).await?;
    let mut stream = Some(TokioIo::new(stream));
    let connector = service_fn(move |_| {
        let stream = stream
            .take()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
        async move { stream }
    });
    let protocol = |source: tonic::transport::Error| ConnectError::Protocol {
        address: address.clone(),
        source: source.into(),
    };
    // Encryption is done by `dial`, which tonic must not do again; the server sees the scheme of the origin.
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(protocol)?;
    let origin = Endpoint::from_shared(format!("https://{address}")).map_err(protocol)?;
    endpoint
        .origin(origin.uri().clone())
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_LIMIT)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await
        .map_err(protocol)
}

/// Opens a TCP connection and shakes hands. `pinned` is the only certificate accepted; any that parses when `None`.
async fn dial(
    address: &ServerAddress,
    pinned: Option<&Certificate>,
) -> Result<(TlsStream<TcpStream>, Certificate), ConnectError> {
    let timed_out = |_| ConnectError::TimedOut {
        address: address.clone(),
    };
    let targets: Vec<_> = timeout(
        STEP_LIMIT,
        lookup_host((address.host.as_str(), address.port)),
    )
    .await
    .map_err(timed_out)?
    .map_err(|source| ConnectError::Name {
        address: address.clone(),
        source,
    })?
    .collect();
    let tcp = timeout(STEP_LIMIT, TcpStream::connect(targets.as_slice()))
        .await
        .map_err(timed_out)?
        .map_err(|source| match source.kind() {
            io::ErrorKind::ConnectionRefused => ConnectError::Refused {
                address: address.clone(),
            },
            io::ErrorKind::TimedOut => ConnectError::TimedOut {
                address: address.clone(),
            },
            _ => ConnectError::Network {
                address: address.clone(),
                source,
            },
        })?;
    let tls_failed = |source| ConnectError::Tls {
        address: address.clone(),
        source,
    };
    tcp.set_nodelay(true)
        .and_then(|()| give_up_on_silence(&tcp))
        .map_err(tls_failed)?;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Verifier {
        pinned: pinned.map(|certificate| certificate.der().clone()),
        shown: OnceLock::new(),
        provider: Arc::clone(&provider),
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| tls_failed(io::Error::other(e)))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let handshake = TlsConnector::from(Arc::new(config)).connect(address.name.clone(), tcp);
    let outcome = timeout(STEP_LIMIT, handshake).await.map_err(timed_out)?;

    // The certificate first: that it is the wrong one is the better reason for a handshake that failed.
    if let Some(der) = verifier.shown.get() {
        let shown =
            Certificate::from_der(der.clone()).map_err(|source| ConnectError::BadCertificate {
                address: address.clone(),
                source,
            })?;
        if let Some(expected) = pinned.filter(|expected| *expected != &shown) {
            return Err(ConnectError::WrongCertificate {
                address: address.clone(),
                expected: expected.fingerprint(),
                seen: shown.fingerprint(),
            });
        }
        return Ok((outcome.map_err(tls_failed)?, shown));
    }
    Err(tls_failed(outcome.err().unwrap_or_else(|| {
        io::Error::from(io::ErrorKind::InvalidData)
    })))
}

/// Accepts the pinned certificate or, without one, any; remembers what was shown. That the server has the
/// certificate's key is verified in either case.
#[derive(Debug)]
struct Verifier {
    pinned: Option<CertificateDer<'static>>,
    shown: OnceLock<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.shown.get_or_init(|| end_entity.clone().into_owned());
        if self
            .pinned
            .as_ref()
            .is_none_or(|pinned| pinned == end_entity)
        {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
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
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn address(text: &str) -> ServerAddress {
        text.parse().unwrap()
    }

    #[test]
    fn refuses_texts_that_are_no_address() {
        for text in [
            "",
            "host",
            "host:",
            "host:99999",
            "::1:80",
            "a b:80",
            ":80",
            "[::1]",
            "[::1:80",
        ] {
            assert!(text.parse::<ServerAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_reads_back_as_it_is_shown() {
        for text in ["localhost:50051", "127.0.0.1:1", "[::1]:50051"] {
            assert_eq!(address(text).to_string(), text);
        }
    }

    #[tokio::test]
    async fn says_when_nothing_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let free = address(&listener.local_addr().unwrap().to_string());
        drop(listener);

        assert!(matches!(
            fetch_certificate(&free).await,
            Err(ConnectError::Refused { .. })
        ));
    }

    #[tokio::test]
    async fn says_when_the_server_speaks_no_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = address(&listener.local_addr().unwrap().to_string());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 mail.example.org ESMTP\r\n")
                .await
                .unwrap();
            stream
        });

        assert!(matches!(
            fetch_certificate(&there).await,
            Err(ConnectError::Tls { .. })
        ));
        drop(server.await.unwrap());
    }

    #[tokio::test]
    async fn says_when_a_name_is_unknown() {
        let unknown = address("no-such-host.invalid:1");
        assert!(matches!(
            fetch_certificate(&unknown).await,
            Err(ConnectError::Name { .. })
        ));
    }
}
