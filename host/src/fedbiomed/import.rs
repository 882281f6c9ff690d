//! Channel keys and secagg contexts, brought over from the reference's database into a key store.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::imported::{Entry, Imported, NotTaken, Outcome};
use super::tiny_db::{ChannelRow, ContextRow, TinyDb, TinyDbError};
use crate::key_store::records::{ChannelRecord, ContextRecord, ContextSecret, Secret32};
use crate::key_store::{KeyStore, StoreError};
use crate::message::{ExperimentId, IdError, NodeId, SecaggId};
use crate::primitives::parse_secret_key_pem;
use crate::secure_sum::{ServerKey, joye_libert};

/// Version of channel rows (`__n2n_channel_element_version__`), up to the first point.
const CHANNEL_VERSION: &str = "1";

/// Version of secagg rows (`__secagg_element_version__`), up to the first point.
const CONTEXT_VERSION: &str = "2";

/// Why nothing, or not everything, could be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source's fault.
    #[error(transparent)]
    Source(#[from] TinyDbError),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Brings over what `source` has of the node `own` into its store. What is there already stays as it is, so doing it twice
/// changes nothing.
///
/// The reference does not record which rounds of a context served. `last_round`, if given, is taken as used in all of
/// them, so that no round serves twice.
///
/// Errors: a source that is not laid out as the reference's, a store that fails. What was taken until then is kept.
pub fn import(
    source: &TinyDb,
    own: &NodeId,
    store: &KeyStore,
    last_round: Option<u64>,
) -> Result<Imported, ImportError> {
    let tables = source.tables()?;
    let mut imported = Imported {
        others: tables.others,
        ..Imported::default()
    };
    let mut channels: BTreeMap<_, _> = store.channels()?.into_iter().collect();
    for row in tables.channels {
        let (id, read) = match row {
            Ok(row) => (row.peer.to_string(), channel(&row, own)),
            Err(why) => (String::new(), Err(NotTaken::Row(why))),
        };
        let outcome = match read {
            Ok((peer, record)) => match channels.get(&peer) {
                Some(there) if there.own == record.own => Outcome::AlreadyThere,
                Some(_) => Outcome::NotTaken(NotTaken::Another),
                None => {
                    store.put_channel(&peer, &record)?;
                    channels.insert(peer, record);
                    Outcome::Taken
                }
            },
            Err(why) => Outcome::NotTaken(why),
        };
        imported.channels.push(Entry { id, outcome });
    }
    let mut seen = BTreeMap::<_, usize>::new();
    for row in tables.contexts.iter().flatten() {
        *seen.entry(row.secagg_id.to_string()).or_default() += 1;
    }
    for row in tables.contexts {
        let (id, read) = match row {
            Ok(row) if seen.get(&*row.secagg_id).is_some_and(|count| *count > 1) => {
                (row.secagg_id.to_string(), Err(NotTaken::Twice))
            }
            Ok(row) => (row.secagg_id.to_string(), context(&row, own, last_round)),
            Err(why) => (String::new(), Err(NotTaken::Row(why))),
        };
        let outcome = match read {
            Ok((secagg_id, record)) => match store.context(&secagg_id)? {
                Some(there) if there.secret == record.secret => Outcome::AlreadyThere,
                Some(_) => Outcome::NotTaken(NotTaken::Another),
                None => {
                    store.put_context(&secagg_id, &record)?;
                    Outcome::Taken
                }
            },
            Err(why) => Outcome::NotTaken(why),
        };
        imported.contexts.push(Entry { id, outcome });
    }
    Ok(imported)
}

fn channel(row: &ChannelRow<'_>, own: &NodeId) -> Result<(NodeId, ChannelRecord), NotTaken> {
    check_version(&row.version, CHANNEL_VERSION)?;
    let peer: NodeId = name(&row.peer)?;
    if peer == *own {
        return Err(NotTaken::Itself);
    }
    let pem = BASE64_STANDARD.decode(row.local_key.as_bytes());
    let pem = Zeroizing::new(pem.map_err(|_| NotTaken::Key)?);
    let key = parse_secret_key_pem(&pem).map_err(|_| NotTaken::Key)?;
    let own = Secret32::from(<[u8; 32]>::from(key.to_bytes()));
    Ok((peer, ChannelRecord { own, peer: None }))
}

fn context(
    row: &ContextRow<'_>,
    own: &NodeId,
    last_round: Option<u64>,
) -> Result<(SecaggId, ContextRecord), NotTaken> {
    check_version(&row.version, CONTEXT_VERSION)?;
    let id: SecaggId = name(&row.secagg_id)?;
    let experiment: ExperimentId = name(&row.experiment)?;
    let parties: BTreeSet<NodeId> = row
        .parties
        .iter()
        .map(|party| name(party))
        .collect::<Result<_, _>>()?;
    if parties.len() < 2 || parties.len() != row.parties.len() || !parties.contains(own) {
        return Err(NotTaken::Parties);
    }
    let secret = match row.element {
        0 => server_key(row.context)?,
        1 => pairs(row.context, &parties, own)?,
        element => return Err(NotTaken::Element(element)),
    };
    let record = ContextRecord {
        researcher: None,
        experiment: experiment.to_string(),
        parties: row.parties.clone(),
        secret,
        last_round,
    };
    Ok((id, record))
}

fn server_key(context: &RawValue) -> Result<ContextSecret, NotTaken> {
    /// Integers of 2040 and 1024 bits: JSON numbers that no number type of JSON libraries holds.
    #[derive(Deserialize)]
    struct Context<'a> {
        #[serde(borrow)]
        server_key: &'a RawValue,
        #[serde(borrow)]
        biprime: &'a RawValue,
    }
    let context: Context<'_> =
        serde_json::from_str(context.get()).map_err(|_| NotTaken::ServerKey)?;
    if context.biprime.get() != joye_libert::biprime() {
        return Err(NotTaken::Biprime);
    }
    let key = ServerKey::from_decimal(context.server_key.get());
    let key = key.map_err(|_| NotTaken::ServerKey)?.to_integer();
    Ok(ContextSecret::ServerKey(key.to_signed_bytes_be().to_vec()))
}

fn pairs(
    context: &RawValue,
    parties: &BTreeSet<NodeId>,
    own: &NodeId,
) -> Result<ContextSecret, NotTaken> {
    let encoded: BTreeMap<String, Zeroized> =
        serde_json::from_str(context.get()).map_err(|_| NotTaken::Pairs)?;
    let others = parties.iter().filter(|party| *party != own);
    if !others.map(NodeId::as_str).eq(encoded.keys()) {
        return Err(NotTaken::Pairs);
    }
    let mut secrets = BTreeMap::new();
    for (peer, Zeroized(text)) in encoded {
        let bytes = BASE64_STANDARD.decode(text.as_bytes());
        let bytes = Zeroizing::new(bytes.map_err(|_| NotTaken::Pairs)?);
        let secret = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| NotTaken::Pairs)?;
        secrets.insert(peer, Secret32::from(secret));
    }
    Ok(ContextSecret::Pairs(secrets))
}

/// A text that is wiped when dropped.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Zeroized(Zeroizing<String>);

impl From<String> for Zeroized {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

fn check_version(version: &str, known: &str) -> Result<(), NotTaken> {
    if version.split('.').next() == Some(known) {
        Ok(())
    } else {
        Err(NotTaken::Version(version.to_owned()))
    }
}

fn name<'a, T: TryFrom<&'a str, Error = IdError>>(text: &'a str) -> Result<T, NotTaken> {
    T::try_from(text).map_err(|why| NotTaken::Name(text.to_owned(), why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::public_key_pem;
    use crate::randomness::Randomness;

    const DATABASE: &str =
        include_str!("../../../tests/fixtures/fedbiomed-node/component/var/db_hospital-a.json");

    fn own() -> NodeId {
        NodeId::try_from("hospital-a").expect("a name")
    }

    fn store() -> KeyStore {
        KeyStore::in_memory(&own(), &Randomness::from_seed(1)).expect("a store")
    }

    fn import_text(text: &str, store: &KeyStore) -> Imported {
        import(&TinyDb::from_text(text), &own(), store, None).expect("imported")
    }

    /// What becomes of the only row of a table.
    fn outcome_of(table: &str, row: &str) -> Outcome {
        let imported = import_text(&format!(r#"{{"{table}": {{"1": {row}}}}}"#), &store());
        let mut entries = imported.channels.into_iter().chain(imported.contexts);
        entries.next().expect("an entry").outcome
    }

    fn context_row(context: &str, element: &str, parties: &str) -> Outcome {
        let row = format!(
            r#"{{"secagg_version": "2", "secagg_id": "s", "experiment_id": "e",
            "parties": {parties}, "secagg_elem": {element}, "context": {context}}}"#
        );
        outcome_of("SecaggManager", &row)
    }

    #[test]
    fn refuses_channel_rows_that_are_none() {
        let row = |version: &str, peer: &str, key: &str| {
            let row = format!(
                r#"{{"n2n_channel_version": "{version}", "distant_node_id": "{peer}", "local_key": "{key}"}}"#
            );
            outcome_of("ChannelManager", &row)
        };
        let refused = |why| Outcome::NotTaken(why);
        assert_eq!(row("2", "b", ""), refused(NotTaken::Version("2".into())));
        assert_eq!(
            row("1", "", ""),
            refused(NotTaken::Name(String::new(), IdError::Empty))
        );
        assert_eq!(row("1", "hospital-a", ""), refused(NotTaken::Itself));
        // No base64; base64 of no PEM.
        for key in ["", "?", "bm8ga2V5"] {
            assert_eq!(row("1", "b", key), refused(NotTaken::Key));
        }
    }

    #[test]
    fn refuses_contexts_whose_parties_or_secrets_make_no_sense() {
        let secret = BASE64_STANDARD.encode([7; 32]);
        let short = BASE64_STANDARD.encode([7; 31]);
        let of_b = format!(r#"{{"b": "{secret}"}}"#);
        let both = r#"["hospital-a", "b"]"#;
        assert_eq!(context_row(&of_b, "1", both), Outcome::Taken);
        for parties in [
            "[]",
            r#"["hospital-a"]"#,
            r#"["b", "c"]"#,
            r#"["hospital-a", "b", "b"]"#,
        ] {
            let refused = context_row(&of_b, "1", parties);
            assert_eq!(refused, Outcome::NotTaken(NotTaken::Parties), "{parties}");
        }
        for context in [
            "{}".to_owned(),
            "7".to_owned(),
            format!(r#"{{"c": "{secret}"}}"#),
            format!(r#"{{"b": "{secret}", "c": "{secret}"}}"#),
            format!(r#"{{"b": "{short}"}}"#),
            r#"{"b": 7}"#.to_owned(),
        ] {
            let refused = context_row(&context, "1", both);
            assert_eq!(refused, Outcome::NotTaken(NotTaken::Pairs), "{context}");
        }
        assert_eq!(
            context_row("{}", "2", both),
            Outcome::NotTaken(NotTaken::Element(2))
        );
    }

    #[test]
    fn refuses_server_keys_that_are_none_or_of_another_biprime() {
        let both = r#"["hospital-a", "b"]"#;
        let biprime = joye_libert::biprime();
        let row = |key: &str, biprime: &str| {
            let context = format!(r#"{{"server_key": {key}, "biprime": {biprime}}}"#);
            context_row(&context, "0", both)
        };
        assert_eq!(row("5", &biprime), Outcome::Taken);
        assert_eq!(row("5", "15"), Outcome::NotTaken(NotTaken::Biprime));
        for key in ["1.5", "1e3", "\"5\"", "null", &"9".repeat(5000)] {
            assert_eq!(
                row(key, &biprime),
                Outcome::NotTaken(NotTaken::ServerKey),
                "{key}"
            );
        }
    }

    #[test]
    fn takes_neither_of_two_contexts_with_one_id() {
        let secret = BASE64_STANDARD.encode([7; 32]);
        let row = format!(
            r#"{{"secagg_version": "2", "secagg_id": "s", "experiment_id": "e",
            "parties": ["hospital-a", "b"], "secagg_elem": 1, "context": {{"b": "{secret}"}}}}"#
        );
        let store = store();
        let text = format!(r#"{{"SecaggManager": {{"1": {row}, "2": {row}}}}}"#);
        for entry in import_text(&text, &store).contexts {
            assert_eq!(entry.outcome, Outcome::NotTaken(NotTaken::Twice));
        }
        assert!(store.contexts().expect("read").is_empty());
    }

    #[test]
    fn keeps_what_the_store_has() {
        let store = store();
        import_text(DATABASE, &store);
        let (peer, mut channel) = store.channels().expect("read").remove(0);
        channel.own = Secret32::from([1; 32]);
        store.put_channel(&peer, &channel).expect("kept");
        let (id, mut context) = store.contexts().expect("read").remove(0);
        context.last_round = Some(9);
        store.put_context(&id, &context).expect("kept");

        let again = import_text(DATABASE, &store);

        assert_eq!(
            again.channels[0].outcome,
            Outcome::NotTaken(NotTaken::Another)
        );
        assert_eq!(again.contexts[0].outcome, Outcome::AlreadyThere);
        assert_eq!(store.channels().expect("read")[0].1, channel);
        assert_eq!(
            store.context(&id).expect("read"),
            Some(context),
            "with its rounds"
        );
    }

    #[test]
    fn the_keys_are_those_that_the_peers_know() {
        let expected = include_str!("../../../tests/fixtures/fedbiomed-node/expected.json");
        let expected: serde_json::Value = serde_json::from_str(expected).expect("JSON");
        let store = store();
        import_text(DATABASE, &store);

        let channels = store.channels().expect("read");
        assert_eq!(channels.len(), 2);
        for (peer, record) in channels {
            let own = p256::SecretKey::from_slice(record.own.as_bytes()).expect("a key");
            let pem = public_key_pem(&own.public_key()).expect("a key");
            assert_eq!(expected["channel_public_keys"][peer.as_str()], pem);
            assert_eq!(record.peer, None);
        }
    }
}
