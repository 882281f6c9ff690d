//! Names of plugins and of trusted keys: checked where they enter.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// No longer than this, in bytes. Names become parts of file names and headings.
const LONGEST_NAME: usize = 64;

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name: it is made of {1}, 64 at most")]
pub struct NotAName(String, &'static str);

/// A plugin's name: lower-case letters, digits and hyphens, as in its manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PluginName(String);

/// What the operator calls a trusted key: letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

macro_rules! name {
    ($name:ident, $words:literal, $allowed:expr) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAName;
            fn try_from(text: String) -> Result<Self, NotAName> {
                let allowed: fn(char) -> bool = $allowed;
                if text.is_empty() || text.len() > LONGEST_NAME || !text.chars().all(allowed) {
                    return Err(NotAName(text, $words));
                }
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = NotAName;
            fn from_str(text: &str) -> Result<Self, NotAName> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(PluginName, "lower-case letters, digits and hyphens", |c| {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
});
name!(KeyName, "letters, digits and hyphens", |c| {
    c.is_ascii_alphanumeric() || c == '-'
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_would_leave_a_folder_or_a_heading() {
        for bad in ["", "../x", "a/b", "a.b", "a b", "A", "a\n", &"x".repeat(65)] {
            assert!(bad.parse::<PluginName>().is_err(), "{bad:?}");
        }
        for bad in ["", "../x", "a.b", "a\u{1b}"] {
            assert!(bad.parse::<KeyName>().is_err(), "{bad:?}");
        }
        assert!("key-request2".parse::<PluginName>().is_ok());
        assert!("Dr-Lee".parse::<KeyName>().is_ok());
    }
}
