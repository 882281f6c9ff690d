use std::fmt;
use std::str::FromStr;

/// A name that a plugin, a Cargo package and the kinds of its messages can have: lower-case words of letters and digits, with hyphens
/// between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectName(String);

/// A name that cannot be one of a project.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not made of lower-case words of letters and digits with hyphens between them, such as key-request, of up to 64"
)]
pub struct WrongName(String);

/// The longest, in bytes.
const LONGEST: usize = 64;

impl FromStr for ProjectName {
    type Err = WrongName;

    fn from_str(name: &str) -> Result<Self, WrongName> {
        let is_word = |word: &str| {
            let first = word.chars().next();
            first.is_some_and(|first| first.is_ascii_lowercase())
                && word
                    .chars()
                    .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit())
        };
        if name.len() > LONGEST || !name.split('-').all(is_word) {
            return Err(WrongName(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ProjectName {
    /// A template's text with this name in the place of the template's own, `my-handler`.
    pub(super) fn put_into(&self, text: &str) -> String {
        let camel: String = self.0.split('-').map(capitalised).collect();
        text.replace("my-handler", &self.0)
            .replace("MyHandler", &camel)
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_name_of_a_package_or_a_kind() {
        for wrong in [
            "", "-", "a-", "9lives", "a--b", "Hello", "../up", "a b", "ä",
        ] {
            assert!(wrong.parse::<ProjectName>().is_err(), "{wrong:?}");
        }
        assert!("a".repeat(65).parse::<ProjectName>().is_err());
    }

    #[test]
    fn stands_where_the_templates_name_stood() {
        let name: ProjectName = "vote-2-count".parse().unwrap_or(ProjectName("v2".into()));
        let put = name.put_into("my-handler treats MyHandlerRequest");
        assert_eq!(put, format!("{name} treats V2Request"));
    }
}
