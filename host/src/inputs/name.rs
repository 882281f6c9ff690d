use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// No longer than this, in bytes: names stand in the log and in the audit log.
const LONGEST: usize = 64;

/// What a plugin asks for an input by: letters, digits, hyphens and underscores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputName(String);

/// Why a text is no name of an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name: it is made of letters, digits, hyphens and underscores, 64 at most")]
pub struct NotAnInputName(String);

impl InputName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InputName {
    type Err = NotAnInputName;

    fn from_str(text: &str) -> Result<Self, NotAnInputName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if text.is_empty() || text.len() > LONGEST || !text.chars().all(allowed) {
            return Err(NotAnInputName(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Borrow<str> for InputName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_would_break_a_line() {
        for bad in ["", "a b", "a\n", "a/b", "\u{e9}", &"x".repeat(65)] {
            assert!(bad.parse::<InputName>().is_err(), "{bad:?}");
        }
        assert!("Patients_2026-11".parse::<InputName>().is_ok());
    }
}
