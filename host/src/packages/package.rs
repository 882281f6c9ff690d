//! A component with what travels beside it: as files in a folder, in a bundle, or in a registry.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::bundle::{self, SignedIndex};
use super::vouch::examine;
use super::{
    Digest, NotASignature, NotVouched, PackageError, Rejected, Rejection, Role, Signature, Trust,
    Vouched, vouch,
};
use crate::files::write_whole;
use crate::handlers::{Limit, Manifest};

/// The end of a signature file's name, as minisign has it.
pub const SIGNATURE: &str = "minisig";

/// How many signatures a package may carry. Each costs a verification of the whole component.
pub(super) const MOST_SIGNATURES: usize = 64;

/// The longest notes, in bytes.
pub(super) const LONGEST_NOTES: usize = 1 << 20;

/// A component with its signatures and notes, as it was found: nobody has vouched for it yet.
#[derive(Clone, Debug)]
pub struct Package {
    /// The component file.
    pub component: Vec<u8>,
    /// Signatures over it.
    pub signatures: Vec<Signature>,
    /// What its author tells operators, in Markdown.
    pub notes: Option<String>,
    pub(super) index: Option<SignedIndex>,
}

impl Package {
    /// A component with these signatures.
    pub fn new(component: Vec<u8>, signatures: Vec<Signature>, notes: Option<String>) -> Self {
        Self {
            component,
            signatures,
            notes,
            index: None,
        }
    }

    /// Reads a bundle, or a component with the signatures beside it: `FILE.minisig` and `FILE.*.minisig`. Nothing of the component is
    /// parsed.
    pub fn read(file: &Path) -> Result<Self, PackageError> {
        let bytes = read_file(file, largest_component() + LONGEST_NOTES)?;
        if bundle::is_one(&bytes) {
            return Ok(bundle::unpack(&bytes)?);
        }
        Ok(Self::new(bytes, signatures_beside(file)?, None))
    }

    /// Writes the component to `file`, and its signatures and notes beside it; gives all their paths. A component that is there is not
    /// replaced by another.
    pub fn write(&self, file: &Path) -> Result<Vec<PathBuf>, PackageError> {
        write_new(file, &self.component)?;
        let mut paths = vec![file.to_owned()];
        for signature in &self.signatures {
            paths.push(write_signature(file, signature)?);
        }
        if let Some(notes) = &self.notes {
            let path = beside(file, "notes.md");
            write_new(&path, notes.as_bytes())?;
            paths.push(path);
        }
        Ok(paths)
    }

    /// Whether this came as a bundle.
    pub fn is_bundle(&self) -> bool {
        self.index.is_some()
    }

    /// The digest of the component.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.component)
    }

    /// Whether the trusted keys vouch for the component ([`vouch()`]), and one of them for the bundle it came in. Nothing is parsed.
    pub fn vouch(&self, trust: &Trust, now: SystemTime) -> Result<Vouched, NotVouched> {
        if let Some(index) = &self.index {
            let digest = Digest::of(&index.json);
            let rejected = match examine(&index.json, digest, &index.signature, trust, now)? {
                Ok((_, signed)) if signed.statement.role == Role::Bundler => None,
                Ok((_, signed)) => Some(Rejected {
                    signer: signed.signer,
                    why: Rejection::OtherRole(signed.statement.role),
                }),
                Err(rejected) => Some(rejected),
            };
            if let Some(rejected) = rejected
                && trust.require() > 0
            {
                return Err(NotVouched::Bundle(rejected));
            }
        }
        vouch(&self.component, &self.signatures, trust, now)
    }

    /// Holds the manifest inside the component, which may be read once it is vouched for, against what the signers and the bundle
    /// call it.
    pub fn confirm(&self, vouched: &Vouched, manifest: &Manifest) -> Result<(), NotVouched> {
        vouched.confirm(manifest)?;
        match &self.index {
            Some(index) if index.manifest != *manifest => Err(NotVouched::OtherManifest {
                signed: format!(
                    "{} {} in the bundle's list",
                    index.manifest.name, index.manifest.version
                ),
                found: format!(
                    "{} {}, or says other things of itself",
                    manifest.name, manifest.version
                ),
            }),
            _ => Ok(()),
        }
    }
}

/// The largest component that any operator can allow, in bytes.
pub(super) fn largest_component() -> usize {
    usize::try_from(*Limit::FileKib.range().end()).map_or(usize::MAX, |kib| kib << 10)
}

/// Writes a signature beside `file`: to `FILE.minisig`, where minisign looks for it, or to `FILE.KEY.minisig` when another key's is there.
pub fn write_signature(file: &Path, signature: &Signature) -> Result<PathBuf, PackageError> {
    let first = beside(file, SIGNATURE);
    let path = match read_signature(&first) {
        Ok(there) if there.key() == signature.key() => first,
        Err(PackageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => first,
        Ok(_) => beside(file, &format!("{}.{SIGNATURE}", signature.key())),
        Err(error) => return Err(error),
    };
    write_whole(&path, signature.to_string().as_bytes(), 0o644).map_err(|source| {
        PackageError::Io {
            path: path.clone(),
            source,
        }
    })?;
    Ok(path)
}

/// Reads a file, and gives up beyond `limit` bytes.
pub fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>, PackageError> {
    let io = |source| PackageError::Io {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    file.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() > limit {
        return Err(PackageError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(bytes)
}

/// Reads a signature file.
pub fn read_signature(path: &Path) -> Result<Signature, PackageError> {
    let bytes = read_file(path, super::signature::LONGEST_FILE)?;
    let text = String::from_utf8(bytes).map_err(|_| NotASignature::NOT_TEXT);
    let signature = text.and_then(|text| text.parse());
    signature.map_err(|source| PackageError::Signature {
        path: path.to_owned(),
        source,
    })
}

/// Reads the signatures beside a file: `FILE.minisig` and `FILE.*.minisig`.
pub fn signatures_beside(file: &Path) -> Result<Vec<Signature>, PackageError> {
    let paths = signature_files(file)?;
    if paths.len() > MOST_SIGNATURES {
        return Err(PackageError::TooManySignatures(paths.len()));
    }
    paths.iter().map(|path| read_signature(path)).collect()
}

/// Reads notes.
pub fn read_notes(path: &Path) -> Result<String, PackageError> {
    let bytes = read_file(path, LONGEST_NOTES)?;
    String::from_utf8(bytes).map_err(|_| PackageError::Io {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"),
    })
}

/// Writes a file that is not there yet, or holds the same already.
pub fn write_new(path: &Path, content: &[u8]) -> Result<(), PackageError> {
    let io = |source| PackageError::Io {
        path: path.to_owned(),
        source,
    };
    match std::fs::read(path) {
        Ok(there) if there == content => return Ok(()),
        Ok(_) => return Err(io(io::ErrorKind::AlreadyExists.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    write_whole(path, content, 0o644).map_err(io)
}

/// `FILE.minisig` and `FILE.*.minisig`, in the order of their names.
fn signature_files(file: &Path) -> Result<Vec<PathBuf>, PackageError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let io = |source| PackageError::Io {
        path: folder.to_owned(),
        source,
    };
    let prefix = format!(
        "{}.",
        file.file_name().unwrap_or_default().to_string_lossy()
    );
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(&prefix) && path.extension().is_some_and(|end| end == SIGNATURE) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    name.into()
}
