//! Signatures held against a node's trust, before anything of the component is parsed.

use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Digest, KeyId, PublicKey, Role, Signature, Statement, Trust};
use crate::handlers::Manifest;

/// A component that the node's trust vouches for. Only [`vouch`] makes one.
#[derive(Clone, Debug)]
pub struct Vouched {
    digest: Digest,
    by: Vec<Signed>,
    rejected: Vec<Rejected>,
}

/// A signature that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Whose key it is, by the name the operator gave it.
    pub signer: String,
    /// The key's id.
    pub key: KeyId,
    /// What they say.
    pub statement: Statement,
}

/// A signature that does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{signer}: {why}")]
pub struct Rejected {
    /// The name of its key where that is trusted, else its id.
    pub signer: String,
    /// Why it does not count.
    pub why: Rejection,
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Its key is none of the trusted ones.
    #[error("this key is not trusted")]
    UnknownKey,
    /// Signed with minisign alone, or by a later version of this program.
    #[error("the signature says nothing that could count: {0}")]
    NoStatement(String),
    /// It may count later.
    #[error("the signature is not valid before {}", date(*.0))]
    NotYetValid(OffsetDateTime),
    /// It counted once.
    #[error("the signature expired at {}", date(*.0))]
    Expired(OffsetDateTime),
    /// The same key signed twice.
    #[error("this key has signed already, and counts once")]
    Repeated,
    /// It speaks of a bundle's list of files, or the other way round.
    #[error("the signature was given as {}, which does not count here", .0.name())]
    OtherRole(Role),
}

/// Why a component is not vouched for. None of these had anything of it parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotVouched {
    /// A trusted key's signature, over other bytes: the file or the signature was changed or swapped.
    #[error(
        "the signature of {signer} is not over this file: the file, or the signature, was changed or swapped"
    )]
    Wrong {
        /// Whose key it claims to be of.
        signer: String,
    },
    /// The signer names another digest than that of the bytes they signed.
    #[error("{signer} signed this file but names another digest in it")]
    OtherDigest {
        /// Who.
        signer: String,
    },
    /// Two signers speak of one file as of two plugins.
    #[error("{first} signed it as {first_says}, {second} as {second_says}")]
    Disagreement {
        /// One signer.
        first: String,
        /// Name and version as they say it.
        first_says: String,
        /// Another.
        second: String,
        /// Name and version as they say it.
        second_says: String,
    },
    /// Not enough of the trusted keys have signed.
    #[error("{}", too_few(*.required, .counted, .rejected))]
    TooFew {
        /// How many the policy requires.
        required: usize,
        /// Whose signatures count.
        counted: Vec<String>,
        /// Those that do not, and why.
        rejected: Vec<Rejected>,
    },
    /// No trusted key signed the list of the bundle's files.
    #[error("no trusted key signed the bundle's list of files: {0}")]
    Bundle(Rejected),
    /// The manifest inside names another plugin than the signatures.
    #[error("it was signed as {signed}, and calls itself {found}")]
    OtherManifest {
        /// Name and version as signed.
        signed: String,
        /// Name and version as in the manifest.
        found: String,
    },
}

impl NotVouched {
    /// What the operator can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Wrong { .. } => {
                "get the file and its signatures anew from the author, and compare the SHA-256"
                    .into()
            }
            Self::OtherDigest { signer } => format!("ask {signer} to sign the file again"),
            Self::Disagreement { .. } | Self::OtherManifest { .. } => {
                "ask the signers which plugin they looked at, and to sign it again".into()
            }
            Self::Bundle(rejected) => rejected.why.advice().into(),
            Self::TooFew { rejected, .. } => match rejected.first() {
                Some(rejected) => rejected.why.advice().into(),
                None => Rejection::Repeated.advice().into(),
            },
        }
    }
}

impl Rejection {
    fn advice(&self) -> &'static str {
        match self {
            Self::UnknownKey => {
                "if you know the signer, check the key with them and add it under [trust.keys]; else ask for a signature by a key you trust"
            }
            Self::NoStatement(_) => "ask the signer to use `backchannel plugin sign`",
            Self::NotYetValid(_) => "wait until then, or check this machine's clock",
            Self::Expired(_) => "ask the signer for a new signature",
            Self::Repeated => {
                "ask another of the trusted signers to look at it: `backchannel plugin sign --role reviewer`"
            }
            Self::OtherRole(_) => {
                "ask the signer to sign the component itself, or to make the bundle anew"
            }
        }
    }
}

impl Vouched {
    /// The digest of the component.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The signatures that count, one for each key.
    pub fn by(&self) -> &[Signed] {
        &self.by
    }

    /// Those that do not, and why.
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// Holds the component's manifest, which may be read now, against what the signers called it.
    pub fn confirm(&self, manifest: &Manifest) -> Result<(), NotVouched> {
        let found = format!("{} {}", manifest.name, manifest.version);
        match self.by.first() {
            Some(signed) if signed.says() != found => Err(NotVouched::OtherManifest {
                signed: signed.says(),
                found,
            }),
            _ => Ok(()),
        }
    }
}

impl Signed {
    fn says(&self) -> String {
        format!("{} {}", self.statement.name, self.statement.version)
    }
}

/// Whether as many trusted keys as `trust` requires have signed `component`, validly at `now`.
///
/// `component` is hashed, and nothing else is done with it. One wrong signature of a trusted key refuses the component even where enough
/// others count: someone changed something. A signature of an unknown key, or one out of its time, only does not count.
pub fn vouch(
    component: &[u8],
    signatures: &[Signature],
    trust: &Trust,
    now: SystemTime,
) -> Result<Vouched, NotVouched> {
    let digest = Digest::of(component);
    let mut by: Vec<(&PublicKey, Signed)> = Vec::new();
    let mut rejected = Vec::new();
    for signature in signatures {
        match examine(component, digest, signature, trust, now)? {
            Ok((key, signed)) => {
                let signer = signed.signer.clone();
                if signed.statement.role == Role::Bundler {
                    let why = Rejection::OtherRole(Role::Bundler);
                    rejected.push(Rejected { signer, why });
                } else if by.iter().any(|(earlier, _)| *earlier == key) {
                    let why = Rejection::Repeated;
                    rejected.push(Rejected { signer, why });
                } else {
                    by.push((key, signed));
                }
            }
            Err(why) => rejected.push(why),
        }
    }
    let by: Vec<Signed> = by.into_iter().map(|(_, signed)| signed).collect();
    if let Some((first, rest)) = by.split_first()
        && let Some(second) = rest.iter().find(|other| other.says() != first.says())
    {
        return Err(NotVouched::Disagreement {
            first: first.signer.clone(),
            first_says: first.says(),
            second: second.signer.clone(),
            second_says: second.says(),
        });
    }
    if by.len() < trust.require() {
        return Err(NotVouched::TooFew {
            required: trust.require(),
            counted: by.into_iter().map(|signed| signed.signer).collect(),
            rejected,
        });
    }
    Ok(Vouched {
        digest,
        by,
        rejected,
    })
}

/// One signature over `file`: the key and what it says; or why it does not count; or that something was changed.
pub(super) fn examine<'t>(
    file: &[u8],
    digest: Digest,
    signature: &Signature,
    trust: &'t Trust,
    now: SystemTime,
) -> Result<Result<(&'t PublicKey, Signed), Rejected>, NotVouched> {
    let (signer, trusted) = match key_of(file, signature, trust)? {
        Ok((signer, trusted)) => (signer.clone(), trusted),
        Err(rejected) => return Ok(Err(rejected)),
    };
    let key = signature.key();
    let reject = |why| {
        Ok(Err(Rejected {
            signer: signer.clone(),
            why,
        }))
    };
    let statement = match signature.claim() {
        Ok(statement) => statement,
        Err(error) => return reject(Rejection::NoStatement(error.to_string())),
    };
    if statement.sha256 != digest {
        return Err(NotVouched::OtherDigest { signer });
    }
    let now = OffsetDateTime::from(now);
    if now < statement.from {
        return reject(Rejection::NotYetValid(statement.from));
    }
    if now >= statement.until {
        return reject(Rejection::Expired(statement.until));
    }
    Ok(Ok((
        trusted,
        Signed {
            signer,
            key,
            statement,
        },
    )))
}

/// The trusted key that made a signature over `file`, with its name.
fn key_of<'t>(
    file: &[u8],
    signature: &Signature,
    trust: &'t Trust,
) -> Result<Result<(&'t String, &'t PublicKey), Rejected>, NotVouched> {
    let key = signature.key();
    // Ids are not unique by force: every trusted key of this id is tried.
    let candidates = || {
        let keys = trust.keys().iter();
        keys.filter(|(_, trusted)| trusted.id() == key)
    };
    let Some((first, _)) = candidates().next() else {
        let signer = format!("key {key}");
        let why = Rejection::UnknownKey;
        return Ok(Err(Rejected { signer, why }));
    };
    match candidates().find(|(_, trusted)| signature.is_by(trusted, file)) {
        Some(found) => Ok(Ok(found)),
        None => Err(NotVouched::Wrong {
            signer: first.clone(),
        }),
    }
}

/// The names, sorted, of the trusted keys that have signed a file which says all about itself, such as a roster; as many as `trust` requires, each
/// once. What a signature's comment says does not count, so minisign's own do as well. Nothing of the file is parsed.
pub fn signers(
    file: &[u8],
    signatures: &[Signature],
    trust: &Trust,
) -> Result<Vec<String>, NotVouched> {
    let (mut counted, mut rejected) = (Vec::new(), Vec::new());
    for signature in signatures {
        match key_of(file, signature, trust)? {
            Ok((signer, _)) if counted.contains(signer) => rejected.push(Rejected {
                signer: signer.clone(),
                why: Rejection::Repeated,
            }),
            Ok((signer, _)) => counted.push(signer.clone()),
            Err(why) => rejected.push(why),
        }
    }
    if counted.len() < trust.require() {
        return Err(NotVouched::TooFew {
            required: trust.require(),
            counted,
            rejected,
        });
    }
    counted.sort();
    Ok(counted)
}

fn date(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

fn too_few(required: usize, counted: &[String], rejected: &[Rejected]) -> String {
    let mut text = match required {
        1 => "no trusted key has signed it, and 1 signature is required".to_owned(),
        _ => format!("{} of {required} required signatures count", counted.len()),
    };
    if !counted.is_empty() {
        text += &format!(" (of {})", counted.join(", "));
    }
    for rejected in rejected {
        text += &format!("; {rejected}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use time::Duration;
    use time::macros::datetime;

    use super::*;
    use crate::packages::SigningKey;

    const COMPONENT: &[u8] = b"not even wasm: nothing looks inside";
    const NOW: OffsetDateTime = datetime!(2026-06-01 0:00 UTC);

    static KEYS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
        let key = |_| {
            let (file, _) = SigningKey::create("x").unwrap();
            SigningKey::unlock(&file, "x").unwrap()
        };
        (0..3).map(key).collect()
    });

    /// dr-kim and dr-lee are trusted; the third key is a stranger's.
    fn trust(require: usize) -> Trust {
        let keys = ["dr-kim", "dr-lee"].into_iter().zip(&*KEYS);
        let keys = keys.map(|(name, key)| (name.to_owned(), key.public_key().unwrap()));
        Trust::new(require, keys.collect()).unwrap()
    }

    fn statement() -> Statement {
        Statement {
            name: "overlap".into(),
            version: "1.0.0".into(),
            sha256: Digest::of(COMPONENT),
            from: NOW - Duration::days(1),
            until: NOW + Duration::days(1),
            role: Role::Author,
            checks: vec![],
        }
    }

    fn signed(key: usize, change: impl FnOnce(&mut Statement)) -> Signature {
        let mut statement = statement();
        change(&mut statement);
        Signature::sign(COMPONENT, &statement, &KEYS[key]).unwrap()
    }

    fn vouched(signatures: &[Signature], require: usize) -> Result<Vouched, NotVouched> {
        vouch(COMPONENT, signatures, &trust(require), NOW.into())
    }

    /// Why the last of the signatures did not count.
    fn rejection(signatures: &[Signature], require: usize) -> Rejection {
        match vouched(signatures, require).expect_err("not vouched for") {
            NotVouched::TooFew { rejected, .. } => rejected.last().expect("one").why.clone(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn counts_one_for_each_trusted_key() {
        let both = [signed(0, |_| ()), signed(1, |s| s.role = Role::Reviewer)];
        let vouched = vouched(&both, 2).unwrap();
        let signers: Vec<_> = vouched.by().iter().map(|s| s.signer.as_str()).collect();
        assert_eq!(signers, ["dr-kim", "dr-lee"]);
        assert_eq!(vouched.digest(), Digest::of(COMPONENT));
    }

    #[test]
    fn refuses_a_missing_second_signature() {
        let error = vouched(&[signed(0, |_| ())], 2).unwrap_err();
        let NotVouched::TooFew {
            required: 2,
            counted,
            rejected,
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(
            (counted.as_slice(), rejected.as_slice()),
            (&["dr-kim".to_owned()][..], &[][..])
        );
        assert_eq!(
            error.to_string(),
            "1 of 2 required signatures count (of dr-kim)"
        );
        assert!(vouched(&[], 1).is_err());
    }

    #[test]
    fn counts_a_key_that_signed_twice_once() {
        let twice = [signed(0, |_| ()), signed(0, |s| s.role = Role::Reviewer)];
        assert_eq!(rejection(&twice, 2), Rejection::Repeated);
    }

    #[test]
    fn counts_no_strangers() {
        let stranger = [signed(0, |_| ()), signed(2, |_| ())];
        assert_eq!(rejection(&stranger, 2), Rejection::UnknownKey);
        assert_eq!(vouched(&stranger, 1).unwrap().rejected().len(), 1);
    }

    #[test]
    fn counts_no_signature_out_of_its_time() {
        let early = signed(0, |s| s.from = NOW + Duration::seconds(1));
        assert_eq!(
            rejection(&[early], 1),
            Rejection::NotYetValid(NOW + Duration::seconds(1))
        );
        let late = signed(0, |s| s.until = NOW);
        assert_eq!(rejection(&[late], 1), Rejection::Expired(NOW));
        assert!(vouched(&[signed(0, |s| s.from = NOW)], 1).is_ok());
    }

    #[test]
    fn refuses_a_changed_component_though_enough_others_would_count() {
        let changed = [COMPONENT, b"!"].concat();
        let error = vouch(&changed, &[signed(0, |_| ())], &trust(0), NOW.into()).unwrap_err();
        assert_eq!(
            error,
            NotVouched::Wrong {
                signer: "dr-kim".into()
            }
        );
    }

    #[test]
    fn refuses_a_changed_statement() {
        let text = signed(0, |_| ())
            .to_string()
            .replace("2026-06-02", "2036-06-02");
        let error = vouched(&[text.parse().unwrap()], 1).unwrap_err();
        assert_eq!(
            error,
            NotVouched::Wrong {
                signer: "dr-kim".into()
            }
        );
    }

    #[test]
    fn refuses_a_signer_who_names_another_digest() {
        let other = signed(0, |s| s.sha256 = Digest::of(b"other"));
        let error = vouched(&[other], 1).unwrap_err();
        assert_eq!(
            error,
            NotVouched::OtherDigest {
                signer: "dr-kim".into()
            }
        );
    }

    #[test]
    fn refuses_signers_who_speak_of_two_plugins() {
        let two = [signed(0, |_| ()), signed(1, |s| s.version = "2.0.0".into())];
        assert!(matches!(
            vouched(&two, 1),
            Err(NotVouched::Disagreement { .. })
        ));
    }

    #[test]
    fn counts_no_plain_minisign_signature_and_no_bundlers() {
        let plain = KEYS[0].sign(COMPONENT, "timestamp:1\tfile:overlap.wasm\thashed", "x");
        let plain = plain.unwrap().parse().unwrap();
        assert!(matches!(rejection(&[plain], 1), Rejection::NoStatement(_)));
        let bundler = signed(0, |s| s.role = Role::Bundler);
        assert_eq!(
            rejection(&[bundler], 1),
            Rejection::OtherRole(Role::Bundler)
        );
    }

    #[test]
    fn holds_the_manifest_against_what_was_signed() {
        let manifest = Manifest::read(backchannel_artifacts::KEY_REQUEST).unwrap();
        let vouched = vouched(&[signed(0, |_| ())], 1).unwrap();
        assert!(matches!(
            vouched.confirm(&manifest),
            Err(NotVouched::OtherManifest { .. })
        ));
    }

    #[test]
    fn reads_no_damaged_signature_file() {
        let text = signed(0, |_| ()).to_string();
        let lines: Vec<_> = text.lines().collect();
        let short = &lines[3][..20];
        for bad in [
            "",
            "{}",
            &lines[..3].join("\n"),
            &format!("{text}{text}"),
            &[lines[0], lines[1], lines[2], short].join("\n"),
            &[lines[0], &lines[1][..40], lines[2], lines[3]].join("\n"),
            &text.replacen("trusted", "trusty", 2),
            &format!("{}{text}", " ".repeat(30_000)),
        ] {
            assert!(bad.parse::<Signature>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_that_says_all_is_signed_by_as_many_different_keys_as_required() {
        let signed = |key: usize, file: &[u8]| {
            Signature::of_file(file, "heart-eu 7", &KEYS[key]).expect("signed")
        };
        let file = &b"version = 7"[..];
        let (kim, lee, stranger) = (signed(0, file), signed(1, file), signed(2, file));
        let names = |signatures: &[Signature]| signers(file, signatures, &trust(2));

        let twice = names(&[kim.clone(), kim.clone(), stranger]).expect_err("one key");
        let rejected = match twice {
            NotVouched::TooFew { rejected, .. } => rejected,
            other => panic!("{other}"),
        };
        let why: Vec<_> = rejected.into_iter().map(|rejected| rejected.why).collect();
        assert_eq!(why, [Rejection::Repeated, Rejection::UnknownKey]);
        let other = signed(1, b"version = 8");
        assert!(
            matches!(names(&[kim.clone(), other]), Err(NotVouched::Wrong { signer }) if signer == "dr-lee")
        );
        assert_eq!(
            names(&[lee, kim]),
            Ok(vec!["dr-kim".to_owned(), "dr-lee".to_owned()])
        );
    }
}
