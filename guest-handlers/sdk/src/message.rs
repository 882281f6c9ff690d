use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Assurance, Entry, Envelope, Failure, Message, Outgoing, fields};

impl Envelope {
    /// Passes when the sender's name rests on a key that it alone holds.
    ///
    /// # Errors
    ///
    /// [`Failure::Refused`] when it rests on the published key only: then anyone can have sent the message.
    pub fn authenticated(&self) -> Result<(), Failure> {
        match self.assurance {
            Assurance::PublishedKey => Err(Failure::refused(
                "the sender is assured by the published key only",
            )),
            Assurance::ChannelKey | Assurance::IdentityKey => Ok(()),
        }
    }
}

impl Message {
    /// The kind's own fields, as `T` describes them. Give `T` the attribute `#[serde(deny_unknown_fields)]` unless
    /// a peer may say more than the kind calls for.
    ///
    /// # Errors
    ///
    /// [`Failure::Malformed`] when they are anything else than one MessagePack map of what `T` names.
    pub fn fields<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        fields::decode(&self.fields)
    }

    /// The failure for a kind that the handler does not know. The host brings only kinds of the manifest, so this
    /// says that manifest and handler differ.
    pub fn unknown_kind(&self) -> Failure {
        Failure::refused(format!("no handler for the kind {}", self.kind))
    }
}

impl Outgoing {
    /// A message of `kind` with the fields of the struct or map `fields`, in the order it declares them.
    ///
    /// # Errors
    ///
    /// [`Failure::Unavailable`] when `fields` is not a struct or map, or serde cannot write it.
    pub fn new<T: Serialize>(kind: &str, fields: &T) -> Result<Self, Failure> {
        Ok(Self {
            kind: kind.to_owned(),
            fields: fields::encode(fields)?,
        })
    }
}

impl Entry {
    /// `value` under `key`, in place of what was there.
    pub fn keep(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }

    /// Nothing under `key` any more.
    pub fn remove(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: None,
        }
    }
}

impl Failure {
    /// What the peer sent is not what its kind calls for.
    pub fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed(why.into())
    }

    /// What the work needs is not there (yet).
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable(why.into())
    }

    /// The work was possible and is declined.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}
