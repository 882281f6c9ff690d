//! The end of a set-up: the secrets are computed here, stored, and only then does the researcher hear of success.

use super::{Outcome, SetupError, Setups};
use crate::handlers::{Body, Entry, Plugin, Run, SecaggResult, Setup};
use crate::key_store::StoreError;
use crate::key_store::records::{ContextRecord, ContextSecret, Secret32};
use crate::message::{Integer, NodeId};
use crate::primitives;
use crate::secure_sum::additive::Share;
use crate::tasks::blocking;

impl Setups {
    pub(super) async fn establish(
        &self,
        run: &Run,
        setup: &Setup,
        result: SecaggResult,
        entries: Vec<Entry>,
    ) -> Result<Outcome, SetupError> {
        let (secret, established) = match result {
            SecaggResult::PairSecrets(keys) => {
                (pair_secrets(run, setup, &keys)?, Outcome::PairSecrets)
            }
            SecaggResult::ServerKey(shares) => server_key(run, &shares)?,
        };
        let record = ContextRecord {
            researcher: Some(setup.researcher.to_string()),
            experiment: setup.experiment.to_string(),
            parties: setup.parties.iter().map(ToString::to_string).collect(),
            secret,
            last_round: None,
        };
        let (store, id) = (self.store.clone(), setup.run.clone());
        let researcher = setup.researcher.to_string();
        let (plugin, changes) = (run.plugin().clone(), run.plugin().changes(entries));
        let kept = blocking(move || match store.context(&id)? {
            // A researcher may run a set-up again under its id, say after a node failed; nobody else may.
            Some(taken) if !taken.is_of(&researcher) => Err(SetupError::TakenId(id)),
            _ => store
                .put_context_and_entries(&id, &record, &changes)
                .map_err(|error| not_stored(&plugin, error)),
        });
        kept.await.ok_or(SetupError::Stopping)??;
        Ok(established)
    }

    /// Stores entries of a plugin's own; a run whose plugin has no room for them fails.
    pub(super) async fn store(
        &self,
        plugin: &Plugin,
        entries: Vec<Entry>,
    ) -> Result<(), SetupError> {
        if entries.is_empty() {
            return Ok(());
        }
        let (store, changes) = (self.store.clone(), plugin.changes(entries));
        let stored = blocking(move || store.change_plugin_entries(&changes)).await;
        stored
            .ok_or(SetupError::Stopping)?
            .map_err(|error| not_stored(plugin, error))
    }
}

fn not_stored(plugin: &Plugin, error: StoreError) -> SetupError {
    match plugin.over_quota(&error) {
        Some(over) => over.into(),
        None => error.into(),
    }
}

/// ConcatKDF(ECDH(own, peer), secagg_id ‖ sorted ids) with each peer, as the reference's `DHKeyAgreement`.
fn pair_secrets(
    run: &Run,
    setup: &Setup,
    keys: &[(NodeId, Body)],
) -> Result<ContextSecret, SetupError> {
    let own = run.agreement().ok_or_else(|| SetupError::Plugin {
        plugin: run.plugin().name().into(),
        why: "pair secrets without a key of the run",
    })?;
    let mut secrets = std::collections::BTreeMap::new();
    for (peer, pem) in keys {
        let public =
            primitives::parse_public_key_pem(pem).map_err(|_| SetupError::BadContribution {
                peer: peer.clone(),
                what: "something that is not a P-256 public key (FB629)",
            })?;
        let shared = primitives::ecdh(own, &public);
        let ids = primitives::sorted_ids(setup.own.as_str(), peer.as_str());
        let secret = primitives::concat_kdf(&*shared, &[setup.run.as_str().as_bytes(), &ids]);
        secrets.insert(peer.to_string(), Secret32::from(*secret));
    }
    Ok(ContextSecret::Pairs(secrets))
}

/// Own share + received shares is the reply; the researcher's key is minus the sum of all replies.
fn server_key(
    run: &Run,
    shares: &[(NodeId, Body)],
) -> Result<(ContextSecret, Outcome), SetupError> {
    let (key, kept) = run.sharing().ok_or_else(|| SetupError::Plugin {
        plugin: run.plugin().name().into(),
        why: "a server key without a split of the run",
    })?;
    let mut received = Vec::with_capacity(shares.len());
    for (peer, bytes) in shares {
        let bad = || SetupError::BadContribution {
            peer: peer.clone(),
            what: "a share that is too long",
        };
        let share = Integer::from_signed_bytes_be(bytes).map_err(|_| bad())?;
        received.push(Share::from_integer(&share).map_err(|_| bad())?);
    }
    let reply_share = Share::sum(received.iter().chain([kept])).to_integer();
    let key = key.to_integer().to_signed_bytes_be().to_vec();
    Ok((
        ContextSecret::ServerKey(key),
        Outcome::ServerKey { reply_share },
    ))
}
