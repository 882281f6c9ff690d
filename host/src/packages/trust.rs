use std::collections::BTreeMap;

use super::PublicKey;

/// Whom a node's operator trusts to vouch for something, plugins or rosters, and how many of them it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    require: usize,
    keys: BTreeMap<String, PublicKey>,
}

/// Why a rule of trust makes no sense. The operator's to mend.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TrustError {
    /// More signatures required than keys that could make them.
    #[error(
        "{require} signatures are required, and {keys} keys are trusted: nothing can ever have them"
    )]
    OutOfReach {
        /// The signatures required.
        require: usize,
        /// The keys trusted.
        keys: usize,
    },
    /// One key under two names would count as two people.
    #[error("{first} and {second} are one key: it would count twice")]
    OneKeyTwice {
        /// A name.
        first: String,
        /// Another.
        second: String,
    },
}

impl TrustError {
    /// What the operator can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::OutOfReach { .. } => "trust more keys, or require fewer signatures".into(),
            Self::OneKeyTwice { second, .. } => {
                format!("ask {second} for their own key, or leave the name out")
            }
        }
    }
}

impl Trust {
    /// `require` of these keys, by the names the operator gave them. 0: signatures are shown, not demanded.
    pub fn new(require: usize, keys: BTreeMap<String, PublicKey>) -> Result<Self, TrustError> {
        if require > keys.len() {
            let keys = keys.len();
            return Err(TrustError::OutOfReach { require, keys });
        }
        let mut names = BTreeMap::new();
        for (name, key) in &keys {
            if let Some(first) = names.insert(key.point(), name) {
                let (first, second) = (first.clone(), name.clone());
                return Err(TrustError::OneKeyTwice { first, second });
            }
        }
        Ok(Self { require, keys })
    }

    /// How many of the keys must have signed.
    pub fn require(&self) -> usize {
        self.require
    }

    /// The keys by name.
    pub fn keys(&self) -> &BTreeMap<String, PublicKey> {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::SigningKey;

    #[test]
    fn refuses_one_key_under_two_names_even_with_another_id() {
        let key = SigningKey::create("x").unwrap().1;
        let mut other_id = key.clone();
        other_id = {
            let mut bytes = base64_of(&other_id);
            bytes[5] ^= 1;
            encoded(&bytes).parse().unwrap()
        };
        assert_ne!(key.id(), other_id.id());
        let keys = [("dr-kim".to_owned(), key), ("dr-lee".to_owned(), other_id)];
        let error = Trust::new(2, keys.into()).unwrap_err();
        assert_eq!(
            error,
            TrustError::OneKeyTwice {
                first: "dr-kim".into(),
                second: "dr-lee".into()
            }
        );
    }

    #[test]
    fn refuses_a_rule_that_nothing_can_meet() {
        let error = Trust::new(1, BTreeMap::new()).unwrap_err();
        assert_eq!(
            error,
            TrustError::OutOfReach {
                require: 1,
                keys: 0
            }
        );
    }

    fn base64_of(key: &PublicKey) -> Vec<u8> {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD
            .decode(key.to_string())
            .unwrap()
    }

    fn encoded(bytes: &[u8]) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }
}
