//! Trusting a researcher's new certificate: an operator's step, never the node's own.

use super::{NodeConfig, NodeError, open_store};
use crate::audit::{self, Event};
use crate::randomness::Randomness;
use crate::transport::{Certificate, Fingerprint, fetch_certificate};

/// What has been trusted.
pub struct Trusted {
    /// The certificate that the node accepts from now on.
    pub certificate: Certificate,
    /// The one it knew before, if another.
    pub before: Option<Fingerprint>,
}

/// Has a node that is stopped accept, from now on, the certificate that its researcher's server shows, if that has the
/// fingerprint `given`. The operator has this from the researcher, on another way than the one that it protects.
pub async fn trust(config: &NodeConfig, given: Fingerprint) -> Result<Trusted, NodeError> {
    let randomness = Randomness::from_system()?;
    let store = open_store(&config.data, &config.id, &randomness)?;
    let failed = |source| NodeError::store(&config.data, source);
    let address = config.researcher.to_string();
    let shown = fetch_certificate(&config.researcher).await?;
    if shown.fingerprint() != given {
        return Err(NodeError::NotAsGiven {
            address,
            seen: shown.fingerprint(),
            given,
        });
    }
    let known = store.researcher_certificate(&address).map_err(failed)?;
    let before = known.map(|der| Fingerprint::of(&der));
    let before = before.filter(|before| *before != given);
    let researcher_id = shown.researcher_id().to_string();
    audit::append(
        &config.data,
        match before {
            Some(before) => Event::ResearcherCertificateChanged {
                address: address.clone(),
                researcher_id,
                before: before.to_string(),
                certificate: given.to_string(),
            },
            None => Event::ResearcherMet {
                address: address.clone(),
                researcher_id,
                certificate: given.to_string(),
            },
        },
    )?;
    store
        .put_researcher_certificate(&address, shown.der())
        .map_err(failed)?;
    Ok(Trusted {
        certificate: shown,
        before,
    })
}
