//! `etc/config.ini` of a node's component folder, and the environment variables that override it.
//!
//! The file is written by Python's `configparser`: values may go on in indented lines, `#` within a value is no
//! comment, and a percent sign is doubled.

use std::path::{Path, PathBuf};

use configparser::ini::{Ini, IniDefault};

/// Versions of the file that the reference takes have this before the first point (`__node_config_version__`).
const VERSION: &str = "2";

/// What the file and the environment say of a node. Each value may be missing: the command line may have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigIni {
    /// `id` of `[default]`.
    pub id: Option<String>,
    /// `name` of `[default]`.
    pub name: Option<String>,
    /// `ip` and `port` of `[researcher]`, as HOST:PORT.
    pub researcher: Option<String>,
    /// `certificate` of `[researcher]`, which hardly anybody sets; relative to the folder of the file.
    pub certificate: Option<PathBuf>,
    /// `db` of `[default]`: the TinyDB file; relative to the folder of the file.
    pub database: Option<PathBuf>,
}

/// Why a component folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigIniError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not an INI file.
    #[error("{path}: {why}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
    /// It is a researcher's, or of something else.
    #[error("{path} is of a component {component:?}, not of a NODE")]
    NotANode {
        /// The file.
        path: PathBuf,
        /// What it says.
        component: String,
    },
    /// A Fed-BioMed other than 6 wrote it.
    #[error("{path} has version {version:?}, this program reads {VERSION}.x")]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        version: String,
    },
    /// A value refers to another, which the reference's own files never do.
    #[error("{path}: the value of `{key}` in [{section}] has a single percent sign")]
    Reference {
        /// The file.
        path: PathBuf,
        /// Where.
        section: &'static str,
        /// Which.
        key: &'static str,
    },
}

impl ConfigIniError {
    /// What the operator can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Io { .. } => {
                "name the component folder of a Fed-BioMed node, which has etc/config.ini, and check its permissions"
            }
            Self::Malformed { .. } => "correct that line",
            Self::NotANode { .. } => "name the component folder of a node",
            Self::Version { .. } => {
                "update that node to Fed-BioMed 6.4 first, or give the settings as flags"
            }
            Self::Reference { .. } => "write the value out, a percent sign as %%",
        }
    }
}

impl ConfigIni {
    /// Reads `etc/config.ini` below `folder`. `variable` looks up an environment variable: `FBM_SECTION_KEY` goes before
    /// the file's value, as in the reference.
    ///
    /// Errors: no such file, not a node's, of a version that the reference would refuse as well.
    pub fn read(
        folder: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigIniError> {
        let etc = folder.join("etc");
        let file = File::read(etc.join("config.ini"))?;
        file.check()?;
        let value = |section: &'static str, key: &'static str| {
            let name = format!("FBM_{}_{}", section.to_uppercase(), key.to_uppercase());
            match variable(&name) {
                Some(value) => Ok(Some(value)),
                None => file.value(section, key),
            }
        };
        let path = |path: Option<String>| path.map(|path| etc.join(path));
        let researcher = match (value("researcher", "ip")?, value("researcher", "port")?) {
            (Some(host), Some(port)) if host.contains(':') => Some(format!("[{host}]:{port}")),
            (Some(host), Some(port)) => Some(format!("{host}:{port}")),
            _ => None,
        };
        Ok(Self {
            id: value("default", "id")?,
            name: value("default", "name")?,
            researcher,
            certificate: path(value("researcher", "certificate")?),
            database: path(value("default", "db")?),
        })
    }
}

/// The file alone.
struct File {
    path: PathBuf,
    ini: Ini,
}

impl File {
    fn read(path: PathBuf) -> Result<Self, ConfigIniError> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(ConfigIniError::Io { path, source }),
        };
        // As Python's: keys in any case, sections as written, comments on lines of their own.
        let mut style = IniDefault::default();
        style.default_section = "DEFAULT".into();
        style.multiline = true;
        style.enable_inline_comments = false;
        let mut ini = Ini::new_from_defaults(style);
        match ini.read(text) {
            Ok(_) => Ok(Self { path, ini }),
            Err(why) => Err(ConfigIniError::Malformed { path, why }),
        }
    }

    fn check(&self) -> Result<(), ConfigIniError> {
        let component = self.value("default", "component")?.unwrap_or_default();
        if component != "NODE" {
            let path = self.path.clone();
            return Err(ConfigIniError::NotANode { path, component });
        }
        let version = self.value("default", "version")?.unwrap_or_default();
        if version.split('.').next() != Some(VERSION) {
            let path = self.path.clone();
            return Err(ConfigIniError::Version { path, version });
        }
        Ok(())
    }

    fn value(
        &self,
        section: &'static str,
        key: &'static str,
    ) -> Result<Option<String>, ConfigIniError> {
        let Some(value) = self.ini.get(section, key) else {
            return Ok(None);
        };
        let literal = value.replace("%%", "");
        if literal.contains('%') {
            let path = self.path.clone();
            return Err(ConfigIniError::Reference { path, section, key });
        }
        Ok(Some(value.replace("%%", "%")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[default]\nid = NODE_1\ncomponent = NODE\nversion = 2.3.0\n";

    fn read_with(
        text: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<ConfigIni, ConfigIniError> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("etc")).expect("made");
        std::fs::write(folder.path().join("etc/config.ini"), text).expect("written");
        let read = ConfigIni::read(folder.path(), variable)?;
        let relative = |path: PathBuf| {
            let path = path.strip_prefix(folder.path()).expect("below");
            path.to_owned()
        };
        Ok(ConfigIni {
            certificate: read.certificate.map(relative),
            database: read.database.map(relative),
            ..read
        })
    }

    fn read(text: &str) -> Result<ConfigIni, ConfigIniError> {
        read_with(text, |_| None)
    }

    #[test]
    fn refuses_what_is_not_a_nodes_file() {
        let missing = ConfigIni::read(Path::new("/nonexistent"), |_| None);
        assert!(matches!(missing, Err(ConfigIniError::Io { .. })));
        let unclosed = read("[default\nid = x\n");
        assert!(
            matches!(&unclosed, Err(ConfigIniError::Malformed { why, .. }) if why.contains("line 1"))
        );
        let researcher = read("[default]\ncomponent = RESEARCHER\nversion = 3.1.0\n");
        assert!(
            matches!(&researcher, Err(ConfigIniError::NotANode { component, .. }) if component == "RESEARCHER")
        );
        for other in ["", "id = NODE_1\n", "{\"json\": 1}"] {
            let other = read(other);
            assert!(matches!(other, Err(ConfigIniError::NotANode { .. })));
        }
    }

    #[test]
    fn refuses_other_versions() {
        for version in ["1.0", "3.0.0", "22.1", ""] {
            let text = format!("[default]\ncomponent = NODE\nversion = {version}\n");
            let refused = read(&text);
            assert!(
                matches!(refused, Err(ConfigIniError::Version { .. })),
                "{version}"
            );
        }
    }

    #[test]
    fn refuses_references_and_takes_doubled_percent_signs() {
        let reference = read(&format!("{HEAD}name = %(id)s\n"));
        assert!(matches!(
            reference,
            Err(ConfigIniError::Reference { key: "name", .. })
        ));
        let doubled = read(&format!("{HEAD}name = 100%% #1; A\n")).expect("read");
        assert_eq!(doubled.name.as_deref(), Some("100% #1; A"));
    }

    #[test]
    fn variables_go_before_the_file() {
        let text = format!("{HEAD}name = A\n[researcher]\nip = localhost\nport = 50051\n");
        let variable = |name: &str| match name {
            "FBM_DEFAULT_ID" => Some("NODE_2".to_owned()),
            "FBM_RESEARCHER_IP" => Some("::1".to_owned()),
            _ => None,
        };

        let config = read_with(&text, variable).expect("read");

        assert_eq!(config.id.as_deref(), Some("NODE_2"));
        assert_eq!(config.name.as_deref(), Some("A"));
        assert_eq!(config.researcher.as_deref(), Some("[::1]:50051"));
    }

    #[test]
    fn paths_are_relative_to_the_files_folder() {
        let config = read(&format!(
            "{HEAD}db = ../var/db_1.json\n[researcher]\nCertificate: server.pem\n"
        ));
        let config = config.expect("read");
        assert_eq!(config.database, Some("etc/../var/db_1.json".into()));
        assert_eq!(config.certificate, Some("etc/server.pem".into()));
        assert_eq!((config.name, config.researcher), (None, None));
    }
}
