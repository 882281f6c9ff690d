//! The file in which a node's public identity goes to its peers and to whoever makes a roster.

use serde::Deserialize;

use super::Identity;
use crate::message::NodeId;

/// The format that this program reads and writes.
const VERSION: i64 = 1;

/// The longest file that is read, in bytes. Ours have less than 600, and ids at most 256.
const LONGEST: usize = 4096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    version: i64,
    node: String,
    key: String,
}

/// A text that is no identity file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not an identity file: {0}")]
pub struct NotAnIdentityFile(String);

impl Identity {
    /// A small TOML file. The fingerprint is not in it: it would only be compared with itself.
    pub fn to_file(&self) -> String {
        let mut lines = toml_edit::DocumentMut::new();
        lines["version"] = toml_edit::value(VERSION);
        lines["node"] = toml_edit::value(self.node.as_str());
        lines["key"] = toml_edit::value(self.key.to_string());
        format!(
            "# Which key a backchannel node is known by. Nothing in it is secret. Believe it when the node's operator has read\n\
             # the fingerprint out to you, by telephone: backchannel peer pin NODE FILE --fingerprint …\n{lines}"
        )
    }

    /// Reads such a file.
    pub fn from_file(text: &str) -> Result<Self, NotAnIdentityFile> {
        let wrong =
            |why: &dyn ToString| NotAnIdentityFile(why.to_string().trim().replace('\n', " "));
        if text.len() > LONGEST {
            return Err(wrong(&format!("it is longer than {LONGEST} bytes")));
        }
        let table: FileTable = toml::from_str(text).map_err(|error| wrong(&error.message()))?;
        if table.version != VERSION {
            let why = format!("version = {}, this program reads {VERSION}", table.version);
            return Err(wrong(&why));
        }
        Ok(Self {
            node: NodeId::try_from(table.node).map_err(|error| wrong(&format!("node: {error}")))?,
            key: table
                .key
                .parse()
                .map_err(|error| wrong(&format!("key: {error}")))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::derive_secret_key;

    fn identity(node: &str) -> Identity {
        Identity {
            node: node.parse().expect("an id"),
            key: derive_secret_key(&[1; 32], b"test").public_key().into(),
        }
    }

    #[test]
    fn refuses_what_it_would_not_write() {
        let text = identity("a").to_file();
        for (from, to) in [
            ("version = 1", "version = 2"),
            ("version = 1\n", ""),
            ("node = \"a\"", "node = \"\""),
            ("node = \"a\"", "node = \"a\\nb\""),
            ("node = \"a\"", "node = \"a\"\nnode = \"b\""),
            ("node = \"a\"", "node = 1"),
            ("p256:0", "p256:1"),
            ("key = ", "kee = "),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let error = Identity::from_file(&changed).expect_err(to);
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
        assert!(Identity::from_file("").is_err());
        assert!(Identity::from_file(&format!("{text}{}", "#".repeat(LONGEST))).is_err());
    }

    #[test]
    fn reads_what_it_writes_whatever_the_nodes_name() {
        for node in [
            "hospital-a",
            "a\"b\\c",
            "Zoë = '",
            "[x]",
            "#",
            &"x".repeat(256),
        ] {
            let identity = identity(node);
            assert_eq!(Identity::from_file(&identity.to_file()), Ok(identity));
        }
    }

    #[test]
    fn the_file_does_not_hold_what_confirms_it() {
        let identity = identity("a");
        let group = identity.fingerprint().to_string();
        assert!(!identity.to_file().contains(&group[..5]));
    }
}
