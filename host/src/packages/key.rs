//! Keys in minisign's format: Ed25519, a random id of eight bytes, the secret half encrypted under a passphrase (scrypt).

use std::fmt;
use std::io::Cursor;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// minisign's limit of a passphrase, in bytes.
const LONGEST_PASSPHRASE: usize = 1024;

/// The first two bytes of a key: Ed25519.
const ALGORITHM: [u8; 2] = *b"Ed";

/// The public half: `RW` and 54 more characters of base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey {
    id: KeyId,
    point: [u8; 32],
    verifier: minisign_verify::PublicKey,
}

/// A key's id: drawn at random with the key, and carried by its signatures. A hint at the key, not a proof of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(super) [u8; 8]);

/// A text that is no public key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("this is not a minisign public key (`RW` and 54 more characters of base64)")]
pub struct NotAKey;

/// Why a secret key cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// An empty passphrase, or one longer than minisign takes.
    #[error("the passphrase is empty or longer than {LONGEST_PASSPHRASE} bytes")]
    Passphrase,
    /// The key opens with another passphrase.
    #[error("the passphrase is not that of the key")]
    WrongPassphrase,
    /// The file holds no secret key that a passphrase protects.
    #[error("the file holds no minisign secret key that a passphrase protects: {0}")]
    NotASecretKey(String),
    /// The machine's randomness failed, or the key derivation did.
    #[error("no key could be made: {0}")]
    NotMade(String),
}

impl KeyError {
    /// What the key's owner can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Passphrase => "choose a passphrase of 1 to 1024 bytes",
            Self::WrongPassphrase => {
                "try again; without its passphrase a key is lost, and `plugin key new` makes another"
            }
            Self::NotASecretKey(_) => {
                "give the secret key (not the .pub file) that `plugin key new` or `minisign -G` made; `minisign -C` puts a passphrase on a key that has none"
            }
            Self::NotMade(_) => {
                "try again; the operating system gave no randomness or too little memory"
            }
        }
    }
}

impl PublicKey {
    /// Its id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The point on the curve: two keys with one point are one key, whatever their ids.
    pub(super) fn point(&self) -> &[u8; 32] {
        &self.point
    }

    pub(super) fn verifier(&self) -> &minisign_verify::PublicKey {
        &self.verifier
    }

    /// The file that minisign reads: a comment and the key.
    pub fn to_file(&self) -> String {
        format!(
            "untrusted comment: minisign public key {}\n{self}\n",
            self.id
        )
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;

    /// Reads the key alone, or the file it is in with its comment.
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let mut lines = text.trim().lines();
        let mut line = lines.next().ok_or(NotAKey)?;
        if line.starts_with("untrusted comment:") {
            line = lines.next().ok_or(NotAKey)?;
        }
        let line = line.trim();
        let bytes = BASE64.decode(line).map_err(|_| NotAKey)?;
        let (algorithm, rest) = bytes.split_first_chunk().ok_or(NotAKey)?;
        let (id, point) = rest.split_first_chunk().ok_or(NotAKey)?;
        if *algorithm != ALGORITHM || lines.next().is_some() {
            return Err(NotAKey);
        }
        Ok(Self {
            id: KeyId(*id),
            point: point.try_into().map_err(|_| NotAKey)?,
            verifier: minisign_verify::PublicKey::from_base64(line).map_err(|_| NotAKey)?,
        })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&ALGORITHM[..], &self.id.0, &self.point].concat();
        f.write_str(&BASE64.encode(bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = NotAKey;

    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for KeyId {
    /// As minisign shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The secret half, unlocked. It cannot be printed: minisign's own type could, so it stays in here.
pub struct SigningKey(minisign::SecretKey);

impl SigningKey {
    /// Draws a key; gives the content of its file, locked with `passphrase`, and its public half.
    pub fn create(passphrase: &str) -> Result<(Zeroizing<String>, PublicKey), KeyError> {
        let passphrase = checked(passphrase)?;
        let not_made = |error: minisign::PError| KeyError::NotMade(error.to_string());
        let pair =
            minisign::KeyPair::generate_encrypted_keypair(Some(passphrase)).map_err(not_made)?;
        let file = pair
            .sk
            .to_box(Some("minisign encrypted secret key"))
            .map_err(not_made)?;
        let public = pair.pk.to_base64().parse();
        let public = public.map_err(|error: NotAKey| KeyError::NotMade(error.to_string()))?;
        Ok((Zeroizing::new(file.into_string()), public))
    }

    /// Draws a key that is never written down.
    pub fn draw() -> Result<Self, KeyError> {
        let pair = minisign::KeyPair::generate_unencrypted_keypair();
        pair.map(|pair| Self(pair.sk))
            .map_err(|error| KeyError::NotMade(error.to_string()))
    }

    /// Unlocks the key in a file's content.
    pub fn unlock(file: &str, passphrase: &str) -> Result<Self, KeyError> {
        let passphrase = checked(passphrase)?;
        minisign::SecretKeyBox::from_string(file)
            .and_then(|locked| locked.into_secret_key(Some(passphrase)))
            .map(Self)
            .map_err(|error| match error.kind() {
                minisign::ErrorKind::Verify => KeyError::WrongPassphrase,
                _ => KeyError::NotASecretKey(error.to_string()),
            })
    }

    /// Its public half.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        let public = minisign::PublicKey::from_secret_key(&self.0)
            .map_err(|error| KeyError::NotASecretKey(error.to_string()))?;
        let public = public.to_base64().parse();
        public.map_err(|error: NotAKey| KeyError::NotASecretKey(error.to_string()))
    }

    /// The signature file over `bytes`, with the two comments that go into it.
    pub(super) fn sign(
        &self,
        bytes: &[u8],
        trusted: &str,
        untrusted: &str,
    ) -> Result<String, KeyError> {
        minisign::sign(
            None,
            &self.0,
            Cursor::new(bytes),
            Some(trusted),
            Some(untrusted),
        )
        .map(minisign::SignatureBox::into_string)
        .map_err(|error| KeyError::NotMade(error.to_string()))
    }
}

fn checked(passphrase: &str) -> Result<String, KeyError> {
    if passphrase.is_empty() || passphrase.len() > LONGEST_PASSPHRASE {
        return Err(KeyError::Passphrase);
    }
    Ok(passphrase.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_with_its_passphrase_and_no_other() {
        let (file, public) = SigningKey::create("correct horse").unwrap();

        let opened = SigningKey::unlock(&file, "correct horse").unwrap();
        assert_eq!(opened.public_key().unwrap(), public);
        let wrong = SigningKey::unlock(&file, "battery staple").err();
        assert!(
            matches!(wrong, Some(KeyError::WrongPassphrase)),
            "{wrong:?}"
        );
        let empty = SigningKey::unlock(&file, "").err();
        assert!(matches!(empty, Some(KeyError::Passphrase)), "{empty:?}");
    }

    #[test]
    fn refuses_files_that_hold_no_locked_secret_key() {
        let public = SigningKey::create("x").unwrap().1.to_file();
        let open = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let open = open.sk.to_box(None).unwrap().into_string();
        for file in [
            "",
            "one line",
            "untrusted comment: x\n!!!\n",
            &public,
            &open,
        ] {
            let error = SigningKey::unlock(file, "x").err();
            assert!(
                matches!(error, Some(KeyError::NotASecretKey(_))),
                "{file}: {error:?}"
            );
        }
    }

    #[test]
    fn reads_a_public_key_alone_and_in_its_file() {
        let key = SigningKey::create("x").unwrap().1;
        assert_eq!(key.to_string().parse(), Ok(key.clone()));
        assert_eq!(key.to_file().parse(), Ok(key.clone()));
        assert_eq!(key.to_string().len(), 56);
        let text = key.to_string();
        for bad in [
            "",
            "RWQ",
            &text[1..],
            &format!("{text}\n{text}"),
            &text.replacen("RW", "RX", 1),
        ] {
            assert_eq!(bad.parse::<PublicKey>(), Err(NotAKey), "{bad}");
        }
    }
}
