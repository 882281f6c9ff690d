//! Names: of nodes, researchers, federations, requests, runs and experiments.
//!
//! An id is any text that is not empty, not longer than [`MAX_ID_BYTES`] and holds no control
//! character, so that it can be logged and used as a key as it is. Ids sort by code point, which for UTF-8 is byte
//! order: the order in which the reference sorts them to derive keys and signs of masks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::MAX_ID_BYTES;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// It is empty.
    #[error("an id cannot be empty")]
    Empty,
    /// It is longer than [`MAX_ID_BYTES`].
    #[error("an id has at most {MAX_ID_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// It holds a control character, such as a line break.
    #[error("an id cannot hold control characters")]
    ControlCharacter,
}

/// Checks the rule above.
pub(super) fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        Err(IdError::Empty)
    } else if text.len() > MAX_ID_BYTES {
        Err(IdError::TooLong(text.len()))
    } else if text.chars().any(char::is_control) {
        Err(IdError::ControlCharacter)
    } else {
        Ok(())
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                check(&text)?;
                Ok(Self(text))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;
            fn try_from(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_from(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// The name of a node.
    NodeId
}
id! {
    /// The name of a researcher. Its server's certificate carries it as `O=`.
    ResearcherId
}
id! {
    /// The name of a federation: of the nodes that know each other's identity keys from one list.
    FederationId
}

/// Of nodes whose peers are known one by one, and from no list.
impl Default for FederationId {
    fn default() -> Self {
        Self("unlisted".to_owned())
    }
}

id! {
    /// What a reply carries to be matched to its request.
    RequestId
}
id! {
    /// The name of a run: one agreement among parties on the keys of a secure sum (`secagg_id` on the wire).
    SecaggId
}
id! {
    /// The name of a run of a plugin's protocol among several parties.
    RunId
}
id! {
    /// The name of the experiment that a run is for.
    ExperimentId
}

impl RequestId {
    /// A new one: `request_` and a random UUID (RFC 9562, version 4), as the reference makes it.
    pub fn fresh(rng: &mut (impl rand_core::Rng + ?Sized)) -> Self {
        let mut random = [0; 16];
        rng.fill_bytes(&mut random);
        let uuid = uuid::Builder::from_random_bytes(random).into_uuid();
        Self(format!("request_{uuid}"))
    }
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn refuses_texts_that_could_not_be_logged_as_they_are() {
        assert_eq!(NodeId::try_from(""), Err(IdError::Empty));
        assert_eq!(NodeId::try_from("a\nb"), Err(IdError::ControlCharacter));
        assert_eq!(NodeId::try_from("a\u{85}"), Err(IdError::ControlCharacter));
        assert_eq!(
            NodeId::try_from("x".repeat(257)),
            Err(IdError::TooLong(257))
        );
        assert!(NodeId::try_from("x".repeat(256)).is_ok());
    }

    #[test]
    fn sorts_by_code_point_also_beyond_the_basic_plane() {
        let below = NodeId::try_from("\u{ffff}").unwrap();
        let above = NodeId::try_from("\u{10000}").unwrap();
        assert!(below < above);
    }

    #[test]
    fn a_fresh_request_id_is_a_prefix_and_a_version_4_uuid() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let id = RequestId::fresh(&mut rng);
        let uuid = id.as_str().strip_prefix("request_").unwrap();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert_ne!(id, RequestId::fresh(&mut rng));
    }
}
