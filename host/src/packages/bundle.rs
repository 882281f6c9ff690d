//! One file for a hospital without internet: a tar archive of the component, its signatures and notes, and a signed index of
//! these.
//!
//! A bundle has one form: the bytes that [`pack`] writes. Whatever else a tar archive could hold (links, folders, other names, long
//! names, holes, bytes after the end) is refused, and nothing is ever written by a name that the archive gives.

use std::collections::BTreeMap;
use std::io::Read;

use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, EntryType, Header};
use time::OffsetDateTime;

use super::package::{LONGEST_NOTES, MOST_SIGNATURES, largest_component};
use super::signature::LONGEST_FILE;
use super::{BundleError, Digest, NotBundled, Package, Role, Signature, SigningKey, Statement};
use crate::handlers::Manifest;

const INDEX: &str = "index.json";
const INDEX_SIGNATURE: &str = "index.json.minisig";
const COMPONENT: &str = "component.wasm";
const NOTES: &str = "notes.md";
const SIGNATURES: &str = "signatures/";

/// The longest index, in bytes: a manifest, and a line for each file.
const LONGEST_INDEX: usize = 1 << 20;

/// Says what the index is, and in which version.
const FORMAT: &str = "backchannel bundle 1";

/// The list of a bundle's files, which its signature covers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    format: String,
    manifest: Manifest,
    files: Vec<Listed>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    name: String,
    bytes: u64,
    digest: Digest,
}

/// The index as it was found, with its signature.
#[derive(Clone, Debug)]
pub(super) struct SignedIndex {
    pub(super) json: Vec<u8>,
    pub(super) signature: Signature,
    pub(super) manifest: Manifest,
}

/// Whether the file begins as a tar archive does, and not as a component.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar") && !bytes.starts_with(b"\0asm")
}

/// Makes a bundle of `package`, whose component has `manifest` inside. The index is signed by `key` as valid from and until then.
pub fn pack(
    package: &Package,
    manifest: &Manifest,
    (from, until): (OffsetDateTime, OffsetDateTime),
    key: &SigningKey,
) -> Result<Vec<u8>, NotBundled> {
    let mut files = vec![(COMPONENT.to_owned(), package.component.clone())];
    for (number, signature) in package.signatures.iter().enumerate() {
        let name = format!("{SIGNATURES}{number}-{}.minisig", signature.key());
        files.push((name, signature.to_string().into_bytes()));
    }
    if let Some(notes) = &package.notes {
        files.push((NOTES.to_owned(), notes.clone().into_bytes()));
    }
    let index = Index {
        format: FORMAT.into(),
        manifest: manifest.clone(),
        files: files
            .iter()
            .map(|(name, bytes)| Listed::of(name, bytes))
            .collect(),
    };
    let json =
        serde_json::to_vec_pretty(&index).map_err(|error| BundleError::Index(error.to_string()))?;
    let statement = Statement {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        sha256: Digest::of(&json),
        from,
        until,
        role: Role::Bundler,
        checks: vec![],
    };
    let signature = Signature::sign(&json, &statement, key)?.to_string();
    let mut all = vec![
        (INDEX.to_owned(), json),
        (INDEX_SIGNATURE.to_owned(), signature.into_bytes()),
    ];
    all.append(&mut files);
    let bytes = archive(&all)?;
    unpack(&bytes)?;
    Ok(bytes)
}

/// Reads a bundle: every file is what its index says, and nothing else is there. Whose index it is, [`Package::vouch`] says.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Package, BundleError> {
    let entries = entries(bytes)?;
    // Everything that a tar archive can say beyond names and contents is in the bytes, and would show here.
    let canonical = archive(&entries)?;
    if canonical != bytes {
        return Err(
            match (canonical.starts_with(bytes), bytes.starts_with(&canonical)) {
                (true, _) => BundleError::Truncated,
                (_, true) => BundleError::Trailing,
                _ => BundleError::Form,
            },
        );
    }
    let order: Vec<String> = entries.iter().map(|(name, _)| name.clone()).collect();
    let mut files: BTreeMap<String, Vec<u8>> = entries.into_iter().collect();
    let mut take = |name: &str| {
        let removed = || BundleError::Removed {
            name: name.to_owned(),
        };
        files.remove(name).ok_or_else(removed)
    };
    let json = take(INDEX)?;
    let signature = read_signature(INDEX_SIGNATURE, take(INDEX_SIGNATURE)?)?;
    let index: Index =
        serde_json::from_slice(&json).map_err(|error| BundleError::Index(error.to_string()))?;
    if index.format != FORMAT {
        return Err(BundleError::Index(format!("its format is not {FORMAT:?}")));
    }
    let manifest = index
        .manifest
        .checked()
        .map_err(|error| BundleError::Index(error.to_string()))?;
    compare(&index.files, &files)?;
    if !order[..2]
        .iter()
        .map(String::as_str)
        .eq([INDEX, INDEX_SIGNATURE])
        || !order[2..]
            .iter()
            .eq(index.files.iter().map(|listed| &listed.name))
    {
        return Err(BundleError::Form);
    }

    let component = files.remove(COMPONENT);
    let component =
        component.ok_or_else(|| BundleError::Index(format!("it names no {COMPONENT}")))?;
    let notes = files
        .remove(NOTES)
        .map(String::from_utf8)
        .transpose()
        .map_err(|_| BundleError::Content {
            name: NOTES.into(),
            why: "it is not UTF-8 text".into(),
        })?;
    // In the order of the index: their names begin with their numbers.
    let listed = index
        .files
        .into_iter()
        .filter_map(|listed| files.remove_entry(&listed.name));
    let signatures = listed.map(|(name, bytes)| read_signature(&name, bytes));
    Ok(Package {
        component,
        signatures: signatures.collect::<Result<_, _>>()?,
        notes,
        index: Some(SignedIndex {
            json,
            signature,
            manifest,
        }),
    })
}

/// Names and contents, each name once, and only such as a bundle can have.
fn entries(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, BundleError> {
    let broken = |error: std::io::Error| BundleError::NotAnArchive(error.to_string());
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    let mut archive = Archive::new(bytes);
    // Raw: an entry that would only describe another is one that no bundle has.
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(|_| BundleError::Truncated)?;
        let name: String = String::from_utf8_lossy(&entry.path_bytes())
            .chars()
            .take(100)
            .collect();
        if entry.header().entry_type() != EntryType::Regular {
            return Err(BundleError::NotAFile { name });
        }
        let Some(limit) = longest(&name) else {
            return Err(BundleError::Name { name });
        };
        let size = entry.header().size().map_err(broken)?;
        if size > limit as u64 {
            return Err(BundleError::TooLarge { name, size, limit });
        }
        if found.iter().any(|(earlier, _)| *earlier == name) {
            return Err(BundleError::Twice { name });
        }
        // The index and the component, with room for their signatures and the notes.
        if found.len() > MOST_SIGNATURES + 4 {
            return Err(BundleError::Index("there are too many files".into()));
        }
        let mut content = Vec::new();
        entry
            .read_to_end(&mut content)
            .map_err(|_| BundleError::Truncated)?;
        if content.len() as u64 != size {
            return Err(BundleError::Truncated);
        }
        found.push((name, content));
    }
    Ok(found)
}

/// How long a file of this name may be; `None` for a name that no file of a bundle has.
fn longest(name: &str) -> Option<usize> {
    match name {
        INDEX => Some(LONGEST_INDEX),
        INDEX_SIGNATURE => Some(LONGEST_FILE),
        COMPONENT => Some(largest_component()),
        NOTES => Some(LONGEST_NOTES),
        _ => {
            let (number, key) = name
                .strip_prefix(SIGNATURES)?
                .strip_suffix(".minisig")?
                .split_once('-')?;
            let digits = |text: &str| {
                !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_hexdigit())
            };
            (digits(number) && digits(key)).then_some(LONGEST_FILE)
        }
    }
}

/// Holds the files against the index.
fn compare(index: &[Listed], files: &BTreeMap<String, Vec<u8>>) -> Result<(), BundleError> {
    let added = files
        .iter()
        .find(|(name, _)| index.iter().all(|listed| listed.name != **name));
    if let Some((name, bytes)) = added {
        let was = index
            .iter()
            .find(|listed| !files.contains_key(&listed.name) && listed.digest == Digest::of(bytes));
        return Err(match was {
            Some(was) => BundleError::Renamed {
                from: was.name.clone(),
                to: name.clone(),
            },
            None => BundleError::Added { name: name.clone() },
        });
    }
    for (at, listed) in index.iter().enumerate() {
        let name = listed.name.clone();
        if index[..at].iter().any(|earlier| earlier.name == name) {
            return Err(BundleError::Twice { name });
        }
        match files.get(&name) {
            None => return Err(BundleError::Removed { name }),
            Some(bytes) if Listed::of(&name, bytes) != *listed => {
                return Err(BundleError::Changed { name });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn read_signature(name: &str, bytes: Vec<u8>) -> Result<Signature, BundleError> {
    let content = |why: String| BundleError::Content {
        name: name.to_owned(),
        why,
    };
    let text = String::from_utf8(bytes).map_err(|_| content("it is not text".into()))?;
    text.parse()
        .map_err(|error: super::NotASignature| content(error.to_string()))
}

/// The one tar archive of these files: no owner, no time, mode 644.
fn archive(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>, BundleError> {
    let broken = |error: std::io::Error| BundleError::NotAnArchive(error.to_string());
    let mut archive = Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        archive
            .append_data(&mut header, name, bytes.as_slice())
            .map_err(broken)?;
    }
    archive.into_inner().map_err(broken)
}

impl Listed {
    fn of(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            digest: Digest::of(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use time::macros::datetime;

    use super::*;

    static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
        let (file, _) = SigningKey::create("x").unwrap();
        SigningKey::unlock(&file, "x").unwrap()
    });

    fn files() -> Vec<(String, Vec<u8>)> {
        let component = backchannel_artifacts::CHANNEL_SETUP.to_vec();
        let manifest = Manifest::read(&component).unwrap();
        let valid = (
            datetime!(2026-01-01 0:00 UTC),
            datetime!(2027-01-01 0:00 UTC),
        );
        let statement = Statement {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            sha256: Digest::of(&component),
            from: valid.0,
            until: valid.1,
            role: Role::Author,
            checks: vec![],
        };
        let signature = Signature::sign(&component, &statement, &KEY).unwrap();
        let package = Package::new(component, vec![signature], Some("Notes".into()));
        entries(&pack(&package, &manifest, valid, &KEY).unwrap()).unwrap()
    }

    /// What is said of the bundle when its files are changed so.
    fn refused(change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) -> BundleError {
        let mut files = files();
        change(&mut files);
        unpack(&archive(&files).unwrap()).expect_err("refused")
    }

    fn at(files: &[(String, Vec<u8>)], name: &str) -> usize {
        files
            .iter()
            .position(|(one, _)| one == name)
            .expect("there")
    }

    #[test]
    fn holds_what_was_packed() {
        let bytes = archive(&files()).unwrap();
        assert!(is_one(&bytes));
        let package = unpack(&bytes).unwrap();
        assert_eq!(package.component, backchannel_artifacts::CHANNEL_SETUP);
        assert_eq!(
            (package.signatures.len(), package.notes.as_deref()),
            (1, Some("Notes"))
        );
    }

    #[test]
    fn refuses_a_removed_file_whichever_it_is() {
        for name in [INDEX, INDEX_SIGNATURE, COMPONENT, NOTES] {
            let error = refused(|files| drop(files.remove(at(files, name))));
            assert!(
                matches!(error, BundleError::Removed { .. }),
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn refuses_an_added_a_renamed_and_a_swapped_file() {
        let more = || (format!("{SIGNATURES}7-AB.minisig"), b"x".to_vec());
        let error = refused(|files| files.push(more()));
        assert!(matches!(error, BundleError::Added { .. }), "{error}");
        let error = refused(|files| {
            let at = at(files, NOTES);
            files[at].0 = more().0;
        });
        assert!(matches!(error, BundleError::Renamed { .. }), "{error}");
        let error = refused(|files| {
            let at = at(files, COMPONENT);
            files[at].1 = backchannel_artifacts::KEY_REQUEST.to_vec();
        });
        assert!(matches!(error, BundleError::Changed { .. }), "{error}");
    }

    #[test]
    fn refuses_two_files_of_one_name() {
        let error = refused(|files| {
            let again = files[at(files, COMPONENT)].clone();
            files.push(again);
        });
        assert!(matches!(error, BundleError::Twice { .. }), "{error}");
    }

    #[test]
    fn refuses_names_that_lead_out_of_the_bundle() {
        for name in [
            "../../etc/cron.d/x",
            "/etc/passwd",
            "signatures/../x.minisig",
            "component.wasm/",
            "plugin.toml",
        ] {
            let mut archive = Builder::new(Vec::new());
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::Regular);
            header.set_size(1);
            // Past the crate's own checks, as an attacker would.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            archive.append(&header, &b"x"[..]).unwrap();
            let error = unpack(&archive.into_inner().unwrap()).expect_err("refused");
            assert!(matches!(error, BundleError::Name { .. }), "{name}: {error}");
        }
    }

    #[test]
    fn refuses_links_folders_and_entries_that_describe_others() {
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Directory,
            EntryType::GNULongName,
            EntryType::XHeader,
            EntryType::GNUSparse,
        ] {
            let mut archive = Builder::new(Vec::new());
            let mut header = Header::new_ustar();
            header.set_entry_type(kind);
            header.set_size(0);
            archive
                .append_data(&mut header, COMPONENT, &b""[..])
                .unwrap();
            let error = unpack(&archive.into_inner().unwrap()).expect_err("refused");
            assert!(
                matches!(error, BundleError::NotAFile { .. }),
                "{kind:?}: {error}"
            );
        }
    }

    #[test]
    fn refuses_a_size_that_no_file_has_before_it_reads_it() {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_path(COMPONENT).unwrap();
        header.set_size(1 << 40);
        header.set_cksum();
        let error = unpack(header.as_bytes()).expect_err("refused");
        assert!(matches!(error, BundleError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn refuses_a_bundle_cut_anywhere_and_bytes_after_its_end() {
        let bytes = archive(&files()).unwrap();
        for part in [
            300,
            512,
            600,
            bytes.len() / 2,
            bytes.len() - 1024,
            bytes.len() - 1,
        ] {
            assert!(unpack(&bytes[..part]).is_err(), "{part} bytes");
        }
        let error = unpack(&[&bytes[..], &[0; 512]].concat()).expect_err("refused");
        assert!(matches!(error, BundleError::Trailing), "{error}");
    }

    #[test]
    fn refuses_the_same_files_in_another_form() {
        let error = refused(|files| files.swap(2, 3));
        assert!(matches!(error, BundleError::Form), "{error}");
        let mut bytes = archive(&files()).unwrap();
        // The owner's name, and the header's checksum with it.
        bytes[265] = b'r';
        let mut header = Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&bytes[..512]);
        header.set_cksum();
        bytes[..512].copy_from_slice(header.as_bytes());
        let error = unpack(&bytes).expect_err("refused");
        assert!(matches!(error, BundleError::Form), "{error}");
    }

    #[test]
    fn refuses_an_index_with_a_field_that_is_not_known() {
        let error = refused(|files| {
            let json = String::from_utf8(files[0].1.clone()).unwrap();
            files[0].1 = json.replacen('{', "{\"only-for\": 1,", 1).into_bytes();
        });
        assert!(matches!(error, BundleError::Index(_)), "{error}");
    }
}
