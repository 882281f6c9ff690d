use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::packages::{NotVouched, Rejection};

/// Why a roster is refused before it is held against what a node knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// The policy names nobody.
    #[error("policy.toml names no consortium keys whose signatures would count")]
    NoKeys,
    /// Not enough of the consortium keys have signed it, or one has signed something else.
    #[error("{0}")]
    NotSigned(#[from] NotVouched),
    /// Larger than any roster.
    #[error("it has {0} bytes, and {longest} at most are read", longest = super::LONGEST)]
    TooLong(usize),
    /// Not UTF-8.
    #[error("it is not text")]
    NotText,
    /// A line of it.
    #[error("line {line}: {why}")]
    Line {
        /// Which, counted from 1.
        line: usize,
        /// What is wrong there.
        why: String,
        /// What whoever makes the roster can do about it.
        todo: String,
    },
    /// It is of the future.
    #[error("it was made at {}, and by this machine's clock it is {} only", date(*.issued), date(*.now))]
    NotYet {
        /// When it was made.
        issued: OffsetDateTime,
        /// What this machine's clock says.
        now: OffsetDateTime,
    },
    /// It is of the past.
    #[error("it expired at {}, and by this machine's clock it is {}", date(*.expires), date(*.now))]
    Expired {
        /// When.
        expires: OffsetDateTime,
        /// What this machine's clock says.
        now: OffsetDateTime,
    },
}

impl RosterError {
    /// What the operator can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::NoKeys => {
                "write `threshold` under [roster] and the consortium's public keys under [roster.keys] in policy.toml".into()
            }
            Self::NotSigned(NotVouched::Wrong { .. }) => {
                "get the roster and its signatures anew from the consortium, and compare the SHA-256".into()
            }
            Self::NotSigned(NotVouched::TooFew { rejected, .. }) => match rejected.first().map(|first| &first.why) {
                Some(Rejection::UnknownKey) => {
                    "if you know the signer, check the key with them and add it under [roster.keys] in policy.toml; else ask the consortium for signatures by the keys that stand there".into()
                }
                Some(_) => "ask another of the consortium to sign it: `backchannel roster sign`".into(),
                None => "put the signatures (ROSTER.minisig, ROSTER.KEY.minisig) beside the roster, or ask the consortium for them".into(),
            },
            Self::NotSigned(other) => other.advice(),
            Self::TooLong(_) | Self::NotText => "check that it is the right file".into(),
            Self::Line { todo, .. } => todo.clone(),
            Self::NotYet { .. } => {
                "set this machine's clock; if it is right, ask the consortium for a roster with the right date".into()
            }
            Self::Expired { .. } => {
                "ask the consortium for its present roster; if this one is, set this machine's clock".into()
            }
        }
    }
}

fn date(time: OffsetDateTime) -> String {
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole.format(&Rfc3339).unwrap_or_else(|_| whole.to_string())
}
