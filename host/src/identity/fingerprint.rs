use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::Identity;
use crate::primitives::put;

/// What is hashed begins with this: no other hash of this program is of such a text.
const DOMAIN: &[u8] = b"backchannel identity fingerprint 1";

/// How many groups are read out.
const GROUPS: usize = 10;

/// The first 160 bits of SHA-256 over domain, node id and public key, each after its length: what two people compare by telephone.
/// Written as 10 groups of 5 decimal digits, each a number of 16 bits: digits are said and heard in every language, and letters of
/// hexadecimal are not told from each other (B, D, E).
///
/// It takes 2¹⁶⁰ trials to make another key with the same fingerprint; what two people must not do is compare a part of it.
///
/// The node's id is in it, so that what was read out for one node does not confirm the same key under the name of another. The federation is
/// not: a node has its identity before it joins one, peers are pinned without any, and the handshake has the federation in its
/// prologue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u16; GROUPS]);

/// A text that is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAFingerprint {
    /// It has too few groups or too many, or other signs than digits.
    #[error("a fingerprint is {GROUPS} groups of 5 digits")]
    Form,
    /// One of the groups is none.
    #[error("group {0} of {GROUPS} was misheard: no group is more than 65535")]
    Group(usize),
}

impl Fingerprint {
    pub(super) fn of(identity: &Identity) -> Self {
        let mut text = Vec::with_capacity(128);
        put(&mut text, DOMAIN);
        put(&mut text, identity.node.as_str().as_bytes());
        put(&mut text, &identity.key.to_bytes());
        let hash = Sha256::digest(text);
        let mut groups = [0; GROUPS];
        for (group, bytes) in groups.iter_mut().zip(hash.chunks_exact(2)) {
            *group = u16::from_be_bytes([bytes[0], bytes[1]]);
        }
        Self(groups)
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// Reads 50 digits, whatever of spaces and hyphens is between them: people write down what they hear.
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let mut digits = Vec::with_capacity(GROUPS * 5);
        for sign in text
            .chars()
            .filter(|sign| !sign.is_whitespace() && *sign != '-')
        {
            digits.push(sign.to_digit(10).ok_or(NotAFingerprint::Form)?);
        }
        if digits.len() != GROUPS * 5 {
            return Err(NotAFingerprint::Form);
        }
        let mut groups = [0; GROUPS];
        for (at, (group, digits)) in groups.iter_mut().zip(digits.chunks_exact(5)).enumerate() {
            let number = digits.iter().fold(0, |number, digit| number * 10 + digit);
            *group = u16::try_from(number).map_err(|_| NotAFingerprint::Group(at + 1))?;
        }
        Ok(Self(groups))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, group) in self.0.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{group:05}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::derive_secret_key;

    fn identity(node: &str, seed: u8) -> Identity {
        Identity {
            node: node.parse().expect("an id"),
            key: derive_secret_key(&[seed; 32], b"test").public_key().into(),
        }
    }

    #[test]
    fn another_node_or_another_key_has_another() {
        let fingerprint = identity("a", 1).fingerprint();
        assert_ne!(identity("b", 1).fingerprint(), fingerprint);
        assert_ne!(identity("a", 2).fingerprint(), fingerprint);
        assert_eq!(identity("a", 1).fingerprint(), fingerprint);
    }

    #[test]
    fn refuses_what_was_misheard_or_not_said_to_the_end() {
        let shown = identity("a", 1).fingerprint().to_string();
        for bad in [
            "",
            "12345",
            &shown[..58],
            &format!("{shown} 0"),
            &shown.replace('1', "l"),
        ] {
            assert_eq!(
                bad.parse::<Fingerprint>(),
                Err(NotAFingerprint::Form),
                "{bad}"
            );
        }
        let too_much = format!("{} 65536", &shown[..53]);
        assert_eq!(
            too_much.parse::<Fingerprint>(),
            Err(NotAFingerprint::Group(10))
        );
    }

    #[test]
    fn is_read_as_people_write_it_down() {
        let fingerprint = identity("a", 1).fingerprint();
        let shown = fingerprint.to_string();
        assert_eq!(shown.len(), 59);
        for written in [
            &shown,
            &shown.replace(' ', "-"),
            &shown.replace(' ', "\n"),
            &shown.replace(' ', ""),
        ] {
            assert_eq!(written.parse(), Ok(fingerprint), "{written}");
        }
    }

    #[test]
    fn is_the_beginning_of_a_hash_that_anyone_can_compute() {
        let identity = identity("hospital-a", 1);
        let key = identity.key.to_bytes();
        let text = [
            &[0, 0, 0, 34][..],
            DOMAIN,
            &[0, 0, 0, 10],
            b"hospital-a",
            &[0, 0, 0, 33],
            &key,
        ]
        .concat();
        let hash = Sha256::digest(text);
        let shown = identity.fingerprint().to_string();
        let groups = shown
            .split(' ')
            .map(|group| group.parse::<u16>().expect("16 bits").to_be_bytes());
        assert_eq!(groups.flatten().collect::<Vec<_>>(), hash[..20]);
    }
}
