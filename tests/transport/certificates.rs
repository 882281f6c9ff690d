//! Whom a node trusts, and what a relay says when it cannot start.

use std::sync::Arc;

use backchannel::relay::RelayError;
use backchannel::transport::connect::connect;
use backchannel::transport::{
    CertificateError, ConnectError, Link, LinkError, ServerAddress, ServerIdentity,
    fetch_certificate,
};
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::harness::{Node, address_of, researcher, start_relay};

#[tokio::test]
async fn refuses_another_certificate_and_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    // Same host, same researcher, other key.
    let other = ServerIdentity::make("localhost", &researcher()).unwrap();
    let pinned = other.certificate();

    let refused = connect(&address_of(&relay), pinned).await.unwrap_err();

    let text = refused.to_string();
    let ConnectError::WrongCertificate { expected, seen, .. } = refused else {
        panic!("unexpected: {text}");
    };
    assert_eq!(
        (expected, seen),
        (pinned.fingerprint(), relay.certificate().fingerprint())
    );
    assert!(text.contains(&expected.to_string()) && text.contains(&seen.to_string()));
}

#[tokio::test]
async fn a_node_says_why_it_is_not_connected() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    let other = ServerIdentity::make("localhost", &researcher()).unwrap();
    let node = Node::start_with("a", address_of(&relay), other.certificate().clone());

    let state = node
        .until(|state| matches!(state.link, Link::Disconnected { .. }))
        .await;

    let Link::Disconnected { error, .. } = state.link else {
        unreachable!()
    };
    assert!(
        matches!(
            *error,
            LinkError::Connect(ConnectError::WrongCertificate { .. })
        ),
        "{error}"
    );
    assert!(relay.nodes().is_empty());
}

#[tokio::test]
async fn fetches_the_certificate_that_a_relay_shows() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start_relay(folder.path(), 0).await.unwrap();
    assert_eq!(
        &fetch_certificate(&address_of(&relay)).await.unwrap(),
        relay.certificate()
    );
}

#[tokio::test]
async fn refuses_a_certificate_that_names_no_researcher() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![certificate.der().clone()], key.into())
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = ServerAddress::new("127.0.0.1", listener.local_addr().unwrap().port()).unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(config)).accept(stream).await
    });

    let refused = fetch_certificate(&address).await.unwrap_err();

    let ConnectError::BadCertificate {
        source: CertificateError::NoResearcher { .. },
        ..
    } = refused
    else {
        panic!("unexpected: {refused}");
    };
    let _ = server.await.unwrap();
}

#[tokio::test]
async fn says_when_its_port_is_in_use() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let relay = start_relay(one.path(), 0).await.unwrap();

    let refused = start_relay(other.path(), relay.local_addr().port())
        .await
        .err()
        .unwrap();

    assert!(
        matches!(refused, RelayError::PortInUse { listen } if listen == relay.local_addr()),
        "{refused}"
    );
}

#[tokio::test]
async fn refuses_to_start_under_the_certificate_of_another_researcher() {
    let folder = tempfile::tempdir().unwrap();
    ServerIdentity::load_or_make(folder.path(), "localhost", &"another".parse().unwrap()).unwrap();

    let refused = start_relay(folder.path(), 0).await.err().unwrap();

    assert!(
        matches!(refused, RelayError::OtherResearcher { found, .. } if found.as_str() == "another")
    );
}

#[tokio::test]
async fn refuses_to_start_under_a_certificate_made_for_another_host() {
    let folder = tempfile::tempdir().unwrap();
    ServerIdentity::load_or_make(folder.path(), "relay.example.org", &researcher()).unwrap();

    let refused = start_relay(folder.path(), 0).await.err().unwrap();

    assert!(matches!(&refused, RelayError::OtherHost { host, path }
            if host == "localhost" && path.ends_with("relay-certificate.pem")));
    let advice = refused.advice();
    for file in ["relay-certificate.pem", "relay-key.pem"] {
        assert!(advice.contains(file), "{advice}");
        assert!(folder.path().join(file).exists(), "deleted by nobody");
    }
}

#[tokio::test]
async fn never_says_that_the_certificate_of_another_researcher_may_be_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let another = "another".parse().unwrap();
    ServerIdentity::load_or_make(folder.path(), "relay.example.org", &another).unwrap();

    let refused = start_relay(folder.path(), 0).await.err().unwrap();

    assert!(matches!(refused, RelayError::OtherResearcher { .. }));
    assert!(!refused.advice().contains("delete"));
}

#[tokio::test]
async fn says_what_to_do_apart_from_what_happened() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let relay = start_relay(one.path(), 0).await.unwrap();
    let in_use = start_relay(other.path(), relay.local_addr().port())
        .await
        .err()
        .unwrap();
    let stranger = ServerIdentity::make("localhost", &researcher()).unwrap();
    let wrong = connect(&address_of(&relay), stranger.certificate())
        .await
        .unwrap_err();

    assert!(!in_use.to_string().contains("port"), "{in_use}");
    assert!(in_use.advice().contains("another port"));
    assert!(!wrong.to_string().contains("ask"), "{wrong}");
    assert!(wrong.advice().contains("ask the researcher"));
}
