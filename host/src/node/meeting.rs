//! Meeting the researcher: which certificate its server must show.

use super::{NodeConfig, NodeError};
use crate::audit::{Audit, Event};
use crate::key_store::{KeyStore, StoreError};
use crate::transport::{Certificate, CertificateError, fetch_certificate};

/// The certificate to expect: the operator's file, or the one met first, or, the very first time, the one shown now.
/// A file is remembered in place of what was met before: giving it is how an operator trusts a researcher's new certificate.
pub(super) async fn meet_researcher(
    config: &NodeConfig,
    store: &KeyStore,
    audit: &Audit,
) -> Result<Certificate, NodeError> {
    let address = config.researcher.to_string();
    let failed = |source| NodeError::store(&config.data, source);
    if let Some(path) = &config.certificate {
        let pem = std::fs::read(path).map_err(|source| {
            NodeError::Certificate(CertificateError::File {
                path: path.clone(),
                source,
            })
        })?;
        let given = Certificate::from_pem(&pem).map_err(NodeError::Certificate)?;
        let given = still_shown(config, given).await?;
        remember(store, &address, &given, audit).map_err(failed)?;
        return Ok(given);
    }
    let Some(der) = store.researcher_certificate(&address).map_err(failed)? else {
        let seen = fetch_certificate(&config.researcher).await?;
        store
            .put_researcher_certificate(&address, seen.der())
            .map_err(failed)?;
        audit.record(met(&address, &seen));
        tracing::warn!(
            researcher = %seen.researcher_id(), fingerprint = %seen.fingerprint(),
            "first contact: this certificate is trusted from now on; compare its fingerprint with the researcher"
        );
        return Ok(seen);
    };
    let damaged = || failed(StoreError::Damaged("the researcher's certificate".into()));
    still_shown(
        config,
        Certificate::from_der(der.as_slice().into()).map_err(|_| damaged())?,
    )
    .await
}

/// `known`, unless the server shows another. One that cannot be reached right now is met later, by the transport.
async fn still_shown(config: &NodeConfig, known: Certificate) -> Result<Certificate, NodeError> {
    match fetch_certificate(&config.researcher).await {
        Ok(seen) if seen.der() != known.der() => Err(NodeError::OtherCertificate {
            address: config.researcher.to_string(),
            seen: seen.fingerprint(),
            known: known.fingerprint(),
        }),
        Ok(_) => Ok(known),
        Err(error) => {
            tracing::warn!("{error}; trying again");
            Ok(known)
        }
    }
}

fn remember(
    store: &KeyStore,
    address: &str,
    given: &Certificate,
    audit: &Audit,
) -> Result<(), StoreError> {
    match store.researcher_certificate(address)? {
        Some(known) if known == **given.der() => Ok(()),
        Some(known) => {
            audit.record(Event::ResearcherCertificateChanged {
                address: address.to_owned(),
                researcher_id: given.researcher_id().to_string(),
                before: Certificate::from_der(known.as_slice().into()).map_or_else(
                    |_| "unreadable".into(),
                    |before| before.fingerprint().to_string(),
                ),
                certificate: given.fingerprint().to_string(),
            });
            tracing::warn!(
                researcher = %given.researcher_id(), fingerprint = %given.fingerprint(),
                "the certificate given is trusted from now on, in place of the one remembered"
            );
            store.put_researcher_certificate(address, given.der())
        }
        None => {
            audit.record(met(address, given));
            store.put_researcher_certificate(address, given.der())
        }
    }
}

fn met(address: &str, certificate: &Certificate) -> Event {
    Event::ResearcherMet {
        address: address.to_owned(),
        researcher_id: certificate.researcher_id().to_string(),
        certificate: certificate.fingerprint().to_string(),
    }
}
