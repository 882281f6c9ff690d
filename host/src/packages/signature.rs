//! One signature: minisign's detached file, whose signed comment holds a [`Statement`].

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::statement::NotAStatement;
use super::{KeyError, KeyId, PublicKey, SigningKey, Statement};

/// The longest signature file, in bytes. minisign's own have at most 8 KiB for each comment.
pub(super) const LONGEST_FILE: usize = 20 << 10;

/// A signature that was read, and not yet verified: [`vouch`](super::vouch) does that.
#[derive(Clone)]
pub struct Signature {
    text: String,
    key: KeyId,
    parsed: minisign_verify::Signature,
}

/// A text that is no signature file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("this is not a minisign signature file: {0}")]
pub struct NotASignature(&'static str);

impl NotASignature {
    pub(super) const NOT_TEXT: Self = Self("it is not text");
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum NotSigned {
    /// The statement cannot be written.
    #[error(transparent)]
    Statement(#[from] NotAStatement),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What was signed cannot be read back.
    #[error(transparent)]
    Signature(#[from] NotASignature),
}

impl Signature {
    /// Signs `file` and what `statement` says of it.
    pub fn sign(file: &[u8], statement: &Statement, key: &SigningKey) -> Result<Self, NotSigned> {
        let comment = format!(
            "{} {}, signed by its {}",
            statement.name,
            statement.version,
            statement.role.name()
        );
        let text = key.sign(file, &statement.write()?, &comment)?;
        Ok(text.parse()?)
    }

    /// Signs a file that says all about itself, such as a roster; `comment` is for people.
    pub fn of_file(file: &[u8], comment: &str, key: &SigningKey) -> Result<Self, NotSigned> {
        let text = key.sign(file, comment, comment)?;
        Ok(text.parse()?)
    }

    /// The id of the key that made it, as it says itself.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// What it says, whether or not it is true: to be shown, and for nothing else.
    pub fn claim(&self) -> Result<Statement, NotAStatement> {
        Statement::read(self.parsed.trusted_comment())
    }

    /// Whether `key` made it over `file` and over its comment.
    pub(super) fn is_by(&self, key: &PublicKey, file: &[u8]) -> bool {
        key.verifier().verify(file, &self.parsed, false).is_ok()
    }
}

impl FromStr for Signature {
    type Err = NotASignature;

    fn from_str(text: &str) -> Result<Self, NotASignature> {
        if text.len() > LONGEST_FILE {
            return Err(NotASignature("it is too long"));
        }
        if text.lines().count() != 4 {
            return Err(NotASignature("it does not have four lines"));
        }
        if !text.starts_with("untrusted comment: ") {
            return Err(NotASignature("it does not begin with a comment"));
        }
        let parsed = minisign_verify::Signature::decode(text)
            .map_err(|_| NotASignature("a line of it is damaged"))?;
        let signature = text
            .lines()
            .nth(1)
            .and_then(|line| BASE64.decode(line).ok());
        let key = signature
            .as_deref()
            .and_then(|bytes| bytes.get(2..10)?.try_into().ok());
        Ok(Self {
            text: text.to_owned(),
            key: KeyId(key.ok_or(NotASignature("it names no key"))?),
            parsed,
        })
    }
}

impl PartialEq for Signature {
    /// Whether their files are the same.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Signature {}

impl fmt::Display for Signature {
    /// The file's content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature by {}", self.key)
    }
}
