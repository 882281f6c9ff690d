use std::fmt;
use std::ops::Deref;

use zeroize::Zeroizing;

/// Bytes that a guest hands on: a key, a share. Shown as their number only, and wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(Zeroizing<Vec<u8>>);

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl Body {
    /// The bytes, still to be wiped.
    pub fn into_inner(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}
