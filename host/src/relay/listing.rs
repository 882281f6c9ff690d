//! The roster by which a relay knows its nodes: read, verified, and never an older one than before.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::files::write_whole;
use crate::message::FederationId;
use crate::packages::{NotVouched, PackageError, Rejection, Trust, read_file, signatures_beside};
use crate::roster::{LONGEST, Roster, RosterError, Signed};

/// In a relay's data directory: version, SHA-256 and federation of the roster that it used last, a line each.
const NOTE: &str = "relay.roster";

/// No note is longer, in bytes.
const LONGEST_NOTE: u64 = 4096;

/// By which roster a relay knows its nodes.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The roster's file, with its signatures beside it.
    pub file: PathBuf,
    /// Whose signatures count, and how many it takes.
    pub trust: Trust,
    /// Whether nodes that it does not list are refused. Otherwise they are served as by a relay without a roster, and prove nothing.
    pub only_listed: bool,
}

/// Why a roster is not used.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// It, or a signature, cannot be read.
    #[error("{0}")]
    File(#[from] PackageError),
    /// It is not signed by enough keys, is no roster, or does not count at this time.
    #[error("the roster {}: {source}", file.display())]
    Roster {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        source: RosterError,
    },
    /// It is older than the one before.
    #[error("the roster has version {version}, and version {highest} was used here before")]
    Rollback {
        /// Its version.
        version: u64,
        /// That of the one before.
        highest: u64,
    },
    /// It differs from the one before, of the same version.
    #[error("another roster of version {0} was used here: somebody signed two")]
    Equivocation(u64),
    /// It is of another federation than the one before.
    #[error("it is a roster of {found}, and this relay had one of {own}")]
    OtherFederation {
        /// Of the one before.
        own: FederationId,
        /// Of this one.
        found: FederationId,
    },
    /// The note of the one before cannot be read or written.
    #[error("{}: {source}", path.display())]
    Note {
        /// Its file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The note of the one before is not what a relay writes.
    #[error("{} is damaged, which says what roster was used before", .0.display())]
    DamagedNote(PathBuf),
}

impl ListingError {
    /// What the operator can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::File(error) => error.advice().into(),
            Self::Roster { source: RosterError::NotSigned(NotVouched::TooFew { rejected, .. }), .. }
                if rejected.first().map(|first| &first.why) == Some(&Rejection::UnknownKey) =>
            {
                "if you know the signer, check the key with them and name it with --roster-key; else ask the consortium for signatures by the keys that are named".into()
            }
            Self::Roster { source, .. } => source.advice(),
            Self::Rollback { highest, .. } => format!(
                "ask the consortium for its present roster: version {highest}, or a later one; an older one names keys that may have been lost"
            ),
            Self::Equivocation(_) => {
                "ask the consortium, by telephone, which of the two is right; it has to make a new one with a higher version".into()
            }
            Self::OtherFederation { .. } => {
                "ask the consortium for the right roster; a relay of another federation has a data directory of its own".into()
            }
            Self::Note { .. } => "see that the relay may read and write its data directory".into(),
            Self::DamagedNote(path) => format!(
                "compare the roster's version with the consortium, by telephone, and only then delete {}",
                path.display()
            ),
        }
    }

    /// Whether something does not match what is trusted; otherwise it cannot be read or used.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Roster { source, .. } => matches!(
                source,
                RosterError::NotSigned(_)
                    | RosterError::NotYet { .. }
                    | RosterError::Expired { .. }
            ),
            Self::Rollback { .. } | Self::Equivocation(_) | Self::OtherFederation { .. } => true,
            Self::File(_) | Self::Note { .. } | Self::DamagedNote(_) => false,
        }
    }
}

impl Listing {
    /// Reads the roster if it counts `now` and is no older than the one used before with this data directory, and notes that it is used. Blocks.
    pub(super) fn read(&self, data_dir: &Path, now: SystemTime) -> Result<Roster, ListingError> {
        let file = read_file(&self.file, LONGEST)?;
        let signatures = signatures_beside(&self.file)?;
        let wrong = |source| ListingError::Roster {
            file: self.file.clone(),
            source,
        };
        let roster = Signed::read(&file, &signatures, &self.trust)
            .map_err(wrong)?
            .roster;
        roster.is_in_time(now).map_err(wrong)?;
        let path = data_dir.join(NOTE);
        let note = Note {
            version: roster.version,
            digest: Sha256::digest(&file).into(),
            federation: roster.federation.clone(),
        };
        let before = Note::read(&path)?;
        if let Some(before) = &before {
            note.follows(before)?;
        }
        if before.as_ref() != Some(&note) {
            let written = write_whole(&path, note.text().as_bytes(), 0o600);
            written.map_err(|source| ListingError::Note { path, source })?;
        }
        Ok(roster)
    }
}

/// What is remembered of a roster that is used.
#[derive(Debug, PartialEq, Eq)]
struct Note {
    version: u64,
    digest: [u8; 32],
    federation: FederationId,
}

impl Note {
    fn read(path: &Path) -> Result<Option<Self>, ListingError> {
        let failed = |source| ListingError::Note {
            path: path.to_owned(),
            source,
        };
        let damaged = || ListingError::DamagedNote(path.to_owned());
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
            Ok(about) if about.len() > LONGEST_NOTE => return Err(damaged()),
            Ok(_) => {}
        }
        let text = fs::read(path).map_err(failed)?;
        let text = String::from_utf8(text).map_err(|_| damaged())?;
        Self::parse(&text).map(Some).ok_or_else(damaged)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let version = lines.next()?.parse().ok()?;
        let mut digest = [0; 32];
        hex::decode_to_slice(lines.next()?, &mut digest).ok()?;
        let federation = lines.next()?.parse().ok()?;
        let note = Self {
            version,
            digest,
            federation,
        };
        lines.next().is_none().then_some(note)
    }

    fn text(&self) -> String {
        let (version, federation) = (self.version, self.federation.as_str());
        format!("{version}\n{}\n{federation}\n", hex::encode(self.digest))
    }

    /// Whether it may come after another one.
    fn follows(&self, before: &Self) -> Result<(), ListingError> {
        if self.federation != before.federation {
            return Err(ListingError::OtherFederation {
                own: before.federation.clone(),
                found: self.federation.clone(),
            });
        }
        if self.version < before.version {
            return Err(ListingError::Rollback {
                version: self.version,
                highest: before.version,
            });
        }
        if self.version == before.version && self.digest != before.digest {
            return Err(ListingError::Equivocation(self.version));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(version: u64, digest: u8, federation: &str) -> Note {
        Note {
            version,
            digest: [digest; 32],
            federation: federation.parse().expect("an id"),
        }
    }

    #[test]
    fn versions_only_go_up_and_one_version_is_one_file_of_one_federation() {
        let before = note(2, 1, "f");
        assert!(note(2, 1, "f").follows(&before).is_ok());
        assert!(note(3, 2, "f").follows(&before).is_ok());
        assert!(matches!(
            note(1, 2, "f").follows(&before),
            Err(ListingError::Rollback {
                version: 1,
                highest: 2
            })
        ));
        assert!(matches!(
            note(2, 2, "f").follows(&before),
            Err(ListingError::Equivocation(2))
        ));
        assert!(matches!(
            note(3, 2, "g").follows(&before),
            Err(ListingError::OtherFederation { .. })
        ));
    }

    #[test]
    fn refuses_a_note_that_it_would_not_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(NOTE);
        assert_eq!(Note::read(&path).expect("none"), None);
        let written = note(7, 3, "heart-eu");
        fs::write(&path, written.text()).expect("written");
        assert_eq!(Note::read(&path).expect("a note"), Some(written));
        let text = note(7, 3, "heart-eu").text();
        for damaged in [
            "",
            "7\n",
            text.trim_end(),
            &text.replace('7', "seven"),
            &text.replacen("03", "0", 1),
            &format!("{text}more\n"),
            &"x".repeat(5000),
        ] {
            fs::write(&path, damaged).expect("written");
            let read = Note::read(&path);
            assert!(
                matches!(read, Err(ListingError::DamagedNote(_))),
                "{damaged:?}"
            );
        }
    }
}
