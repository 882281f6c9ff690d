//! A federation's list of nodes and their identity keys, signed by k of its n consortium keys.
//!
//! One TOML file, with detached minisign signatures beside it ([`crate::packages`]). It says all about itself, so a signature is over its
//! bytes and nothing else; whose signatures count, and how many it takes, is in each node's policy. Signatures are verified before
//! anything of the file is parsed.
//!
//! ```toml
//! format = 1
//! federation = "heart-eu"
//! version = 7                                 # only ever goes up
//! issued = 2026-11-20T08:00:00Z
//! expires = 2027-05-31T00:00:00Z
//! minimum-suite = 2                           # optional
//!
//! [[node]]
//! id = "hospital-a"
//! site = "Hospital A, Bordeaux"               # for people
//! key = "p256:02…"                            # from `backchannel identity export`
//! minimum-suite = 1                           # optional, for this node
//! ```
//!
//! A version only ever goes up, so that an old roster cannot come back with a key that was lost; it expires, so that a relay that
//! keeps new ones away does so for a while only.

mod error;
mod parse;

use std::time::SystemTime;

use time::{Duration, OffsetDateTime};

pub use error::RosterError;

use crate::identity::{Identity, IdentityKey};
use crate::message::{FederationId, NodeId};
use crate::packages::{Signature, Trust, signers};

/// The longest roster that is read, in bytes: some 5000 nodes.
pub const LONGEST: usize = 1 << 20;

/// The lowest suite that a node is talked to in, where its roster does not say.
pub const MINIMUM_SUITE: u8 = 2;

/// By how much a machine's clock may be behind that of whoever made the roster.
const BEHIND: Duration = Duration::DAY;

/// What a roster says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// Of which federation.
    pub federation: FederationId,
    /// From 1 on.
    pub version: u64,
    /// When it was made, by the clock of whoever did.
    pub issued: OffsetDateTime,
    /// It does not count from then on.
    pub expires: OffsetDateTime,
    /// Sorted by id; no id and no key is there twice.
    pub members: Vec<Member>,
}

/// A node of a federation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub node: NodeId,
    /// Where it is, for people.
    pub site: String,
    /// By what it is known.
    pub key: IdentityKey,
    /// No lower suite is spoken with it.
    pub minimum_suite: u8,
}

/// A roster that enough consortium keys have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What it says.
    pub roster: Roster,
    /// The names of the keys.
    pub by: Vec<String>,
}

impl Roster {
    /// Reads a roster that was verified before, or that is about to be signed.
    pub fn parse(text: &str) -> Result<Self, RosterError> {
        parse::roster(text)
    }

    /// The member of this id.
    pub fn member(&self, node: &NodeId) -> Option<&Member> {
        let found = self
            .members
            .binary_search_by(|member| member.node.cmp(node));
        self.members.get(found.ok()?)
    }

    /// Whether it counts at this time: `now` is neither before it was made, by more than a day, nor after its end.
    pub fn is_in_time(&self, now: SystemTime) -> Result<(), RosterError> {
        let now = OffsetDateTime::from(now);
        if now.saturating_add(BEHIND) < self.issued {
            return Err(RosterError::NotYet {
                issued: self.issued,
                now,
            });
        }
        if now >= self.expires {
            return Err(RosterError::Expired {
                expires: self.expires,
                now,
            });
        }
        Ok(())
    }
}

impl Member {
    /// The node and its key.
    pub fn identity(&self) -> Identity {
        Identity {
            node: self.node.clone(),
            key: self.key,
        }
    }
}

impl Signed {
    /// Verifies that as many keys as `trust` requires have signed the file, then reads it. Whether it counts at this time and at this node is
    /// not looked at.
    pub fn read(file: &[u8], signatures: &[Signature], trust: &Trust) -> Result<Self, RosterError> {
        if trust.keys().is_empty() || trust.require() == 0 {
            return Err(RosterError::NoKeys);
        }
        let by = signers(file, signatures, trust)?;
        Ok(Self {
            roster: Roster::parse(text(file)?)?,
            by,
        })
    }
}

/// The text of a roster's file.
pub fn text(file: &[u8]) -> Result<&str, RosterError> {
    if file.len() > LONGEST {
        return Err(RosterError::TooLong(file.len()));
    }
    std::str::from_utf8(file).map_err(|_| RosterError::NotText)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::packages::{NotVouched, SigningKey};

    const ISSUED: OffsetDateTime = datetime!(2026-11-20 8:00 UTC);
    const EXPIRES: OffsetDateTime = datetime!(2027-05-31 0:00 UTC);

    fn text_of(version: u64) -> String {
        format!(
            "format = 1\nfederation = \"f\"\nversion = {version}\nissued = 2026-11-20T08:00:00Z\nexpires = 2027-05-31T00:00:00Z\n"
        )
    }

    #[test]
    fn the_clock_decides_and_is_named() {
        let roster = Roster::parse(&text_of(1)).expect("a roster");
        let at = |time: OffsetDateTime| roster.is_in_time(time.into());
        for a_year_off in [ISSUED - Duration::days(365), ISSUED - Duration::days(2)] {
            let error = at(a_year_off).expect_err("too early");
            assert!(matches!(error, RosterError::NotYet { .. }), "{error}");
            assert!(error.advice().contains("clock"), "{}", error.advice());
        }
        for late in [EXPIRES, EXPIRES + Duration::days(365)] {
            assert!(matches!(at(late), Err(RosterError::Expired { .. })));
        }
        for in_time in [
            ISSUED - Duration::hours(23),
            ISSUED,
            EXPIRES - Duration::SECOND,
        ] {
            assert_eq!(at(in_time), Ok(()));
        }
    }

    #[test]
    fn nothing_is_parsed_that_too_few_have_signed() {
        let keys = ["kim", "lee"].map(|name| {
            let (file, public) = SigningKey::create("x").expect("a key");
            (name, SigningKey::unlock(&file, "x").expect("a key"), public)
        });
        let named = keys
            .iter()
            .map(|(name, _, public)| ((*name).to_owned(), public.clone()));
        let trust = Trust::new(2, named.collect()).expect("two of two");
        let sign = |file: &[u8], key: usize| {
            Signature::of_file(file, "f 1", &keys[key].1).expect("signed")
        };
        let read = |file: &[u8], signatures: &[Signature]| Signed::read(file, signatures, &trust);

        let file = text_of(1).into_bytes();
        let one = sign(&file, 0);
        for hostile in [&b"\xff = ["[..], b"", &file] {
            let few = read(hostile, &[]).expect_err("nobody");
            assert!(
                matches!(few, RosterError::NotSigned(NotVouched::TooFew { .. })),
                "{few}"
            );
        }
        assert!(matches!(
            read(&file, &[one.clone(), one.clone()]),
            Err(RosterError::NotSigned(_))
        ));
        let swapped = sign(text_of(2).as_bytes(), 1);
        assert!(matches!(
            read(&file, &[one.clone(), swapped]),
            Err(RosterError::NotSigned(NotVouched::Wrong { .. }))
        ));
        let nobody = Trust::default();
        assert_eq!(
            Signed::read(&file, std::slice::from_ref(&one), &nobody),
            Err(RosterError::NoKeys)
        );

        let signed = read(&file, &[one, sign(&file, 1)]).expect("signed by both");
        assert_eq!(
            (signed.roster.version, signed.by),
            (1, vec!["kim".to_owned(), "lee".to_owned()])
        );
    }
}
