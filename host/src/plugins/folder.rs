//! Installed files: components under their digests, and the signatures that came with them. Being here allows nothing.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Refusal;
use crate::files::write_whole;
use crate::handlers::Limit;
use crate::packages::{Digest, Signature};

/// Its name in the data directory.
const FOLDER: &str = "plugins";
/// Signatures of one component; more are of no use to anybody.
const MOST_SIGNATURES: usize = 64;

/// The folder of installed files.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// An installed file, as it was installed.
pub struct Installed {
    /// Its digest, verified.
    pub digest: Digest,
    /// The component: bytes, of which nothing was looked at.
    pub component: Vec<u8>,
    /// The signatures beside it, not verified.
    pub signatures: Vec<Signature>,
}

impl Installed {
    /// What is about to be installed.
    pub fn new(component: Vec<u8>, signatures: Vec<Signature>) -> Self {
        Self {
            digest: Digest::of(&component),
            component,
            signatures,
        }
    }
}

impl Folder {
    /// That of a data directory, there or not.
    pub fn of(data: &Path) -> Self {
        Self(data.join(FOLDER))
    }

    /// The data directory that it is in, where the policy is too.
    pub fn data(&self) -> &Path {
        self.0.parent().unwrap_or(&self.0)
    }

    /// Keeps a component with its signatures. What is there already is written again: it may have been damaged.
    pub fn install(&self, component: &[u8], signatures: &[Signature]) -> Result<Digest, Refusal> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Refusal::Io { path, source }
        };
        std::fs::create_dir_all(&self.0).map_err(failed(&self.0))?;
        let digest = Digest::of(component);
        for signature in signatures {
            let path = self
                .0
                .join(format!("{}.{}.minisig", digest.hex(), signature.key()));
            write_whole(&path, signature.to_string().as_bytes(), 0o644).map_err(failed(&path))?;
        }
        // Last: whoever finds the component finds its signatures.
        let path = self.component(digest);
        write_whole(&path, component, 0o644).map_err(failed(&path))?;
        Ok(digest)
    }

    /// Reads an installed file, and holds it against its digest.
    pub fn read(&self, digest: Digest) -> Result<Installed, Refusal> {
        let path = self.component(digest);
        let component = read_component(&path).map_err(|error| match error {
            Refusal::Io { path, source } if source.kind() == io::ErrorKind::NotFound => {
                Refusal::Missing { digest, path }
            }
            other => other,
        })?;
        let found = Digest::of(&component);
        if found != digest {
            return Err(Refusal::Changed { digest, found });
        }
        Ok(Installed {
            digest,
            component,
            signatures: self.signatures(digest)?,
        })
    }

    /// The digests of all that is installed.
    pub fn digests(&self) -> Result<BTreeSet<Digest>, Refusal> {
        let names = self.names()?;
        let hex = names.iter().filter_map(|name| name.strip_suffix(".wasm"));
        Ok(hex.filter_map(|hex| hex.parse().ok()).collect())
    }

    /// Removes a component with its signatures; one that is not there is gone already.
    pub fn remove(&self, digest: Digest) -> Result<(), Refusal> {
        for name in self.names()? {
            if name.starts_with(&digest.hex()) {
                let path = self.0.join(name);
                std::fs::remove_file(&path).map_err(|source| Refusal::Io { path, source })?;
            }
        }
        Ok(())
    }

    fn component(&self, digest: Digest) -> PathBuf {
        self.0.join(format!("{}.wasm", digest.hex()))
    }

    fn signatures(&self, digest: Digest) -> Result<Vec<Signature>, Refusal> {
        let mut signatures = Vec::new();
        for name in self.names()? {
            if !name.starts_with(&digest.hex()) || !name.ends_with(".minisig") {
                continue;
            }
            let path = self.0.join(name);
            let text = std::fs::read_to_string(&path).map_err(|source| Refusal::Io {
                path: path.clone(),
                source,
            })?;
            let signature = text.parse();
            signatures.push(signature.map_err(|source| Refusal::Signature { path, source })?);
        }
        signatures.truncate(MOST_SIGNATURES);
        Ok(signatures)
    }

    /// The files' names, sorted; none where there is no folder.
    fn names(&self) -> Result<BTreeSet<String>, Refusal> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(source) => {
                let path = self.0.clone();
                return Err(Refusal::Io { path, source });
            }
        };
        Ok(entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect())
    }
}

/// Reads a component's file, unless no limit could allow its size.
fn read_component(path: &Path) -> Result<Vec<u8>, Refusal> {
    let failed = |source| Refusal::Io {
        path: path.to_owned(),
        source,
    };
    let most = Limit::FileKib.range().end() << 10;
    let file = File::open(path).map_err(failed)?;
    let mut component = Vec::new();
    // One more than allowed tells what is too large, whatever the file grows to meanwhile.
    let read = file.take(most + 1).read_to_end(&mut component);
    let size = read.map_err(failed)? as u64;
    if size > most {
        let path = path.to_owned();
        return Err(Refusal::TooLarge { path, size });
    }
    Ok(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_changed_is_not_what_was_installed() {
        let data = tempfile::tempdir().expect("a folder");
        let folder = Folder::of(data.path());
        let digest = folder.install(b"component", &[]).expect("installed");
        assert_eq!(folder.read(digest).expect("there").component, b"component");

        std::fs::write(folder.component(digest), b"Component").expect("changed");
        assert!(matches!(folder.read(digest), Err(Refusal::Changed { .. })));
        std::fs::remove_file(folder.component(digest)).expect("removed");
        assert!(matches!(folder.read(digest), Err(Refusal::Missing { .. })));
    }

    #[test]
    fn lists_components_only_and_removes_all_of_one() {
        let data = tempfile::tempdir().expect("a folder");
        let folder = Folder::of(data.path());
        assert!(folder.digests().expect("no folder").is_empty());
        let digest = folder.install(b"component", &[]).expect("installed");
        let beside = data.path().join("plugins/notes.wasm");
        std::fs::write(&beside, "ours").expect("written");
        let signature = data
            .path()
            .join(format!("plugins/{}.key.minisig", digest.hex()));
        std::fs::write(&signature, "damaged").expect("written");

        assert!(matches!(
            folder.read(digest),
            Err(Refusal::Signature { .. })
        ));
        assert_eq!(folder.digests().expect("listed"), [digest].into());
        folder.remove(digest).expect("removed");

        assert!(folder.digests().expect("listed").is_empty());
        assert!(beside.exists() && !signature.exists());
    }
}
