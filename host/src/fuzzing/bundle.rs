use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use serde_json::{Value as Json, json};
use tar::{Builder, EntryType, Header};

use super::change::Change;
use crate::packages::{Digest, Package, PublicKey, Trust, unpack};

/// A bundle, signed by a key that the node trusts.
const SIGNED: &[u8] = include_bytes!("../../../tests/fuzz/corpus/bundle/signed.tar");

/// The key that signed it.
const KEY: &str = "RWTk7BxvSVhF1RneBTtEQWskMNo1772WLJqiS8h33yGYKWIKg6TJjtms";

/// A bundle, as it arrives.
///
/// An input that begins as a tar archive is one; of any other the first byte says with 1 that the bundle's list is to be made
/// anew, and the rest is changes of the files of a signed bundle, to be put into an archive.
///
/// What must hold: what was taken from a bundle is what its list says, by name, size and SHA-256, and is all there is; and a bundle
/// that a trusted key vouches for is the one that it signed. `true` when the bundle was taken.
pub fn bundle(input: &[u8]) -> bool {
    if input.get(257..262) == Some(b"ustar") {
        return is_what_its_list_says(input);
    }
    let Some((list_anew, changes)) = input.split_first() else {
        return false;
    };
    let mut files = files(SIGNED);
    for change in Change::read(changes) {
        change_files(&change, &mut files);
    }
    if list_anew % 2 == 1 {
        list(&mut files);
    }
    match archive(&files) {
        Some(bytes) => is_what_its_list_says(&bytes),
        None => false,
    }
}

type File = (Vec<u8>, Vec<u8>);

fn is_what_its_list_says(bytes: &[u8]) -> bool {
    let Ok(package) = unpack(bytes) else {
        return false;
    };
    let files = files(bytes);
    let [(_, index), _, listed @ ..] = files.as_slice() else {
        panic!("a bundle without its list");
    };
    let index: Json = serde_json::from_slice(index).expect("JSON");
    let expected: Vec<Json> = listed.iter().map(listing).collect();
    assert_eq!(index["files"], Json::Array(expected));
    is_all_there_is(&package, listed);
    if package.vouch(&TRUST, now()).is_ok() {
        let signed = unpack(SIGNED).expect("a bundle");
        assert!(package.component == signed.component, "it was changed");
        assert_eq!(package.signatures, signed.signatures);
        assert_eq!(package.notes, signed.notes);
    }
    true
}

fn is_all_there_is(package: &Package, listed: &[File]) {
    let mut listed: BTreeMap<&[u8], &[u8]> = listed
        .iter()
        .map(|(name, content)| (name.as_slice(), content.as_slice()))
        .collect();
    let mut take = |name: &[u8]| listed.remove(name);
    assert_eq!(take(b"component.wasm"), Some(package.component.as_slice()));
    assert_eq!(
        take(b"notes.md"),
        package.notes.as_ref().map(String::as_bytes)
    );
    let mut signatures: Vec<_> = package.signatures.iter().map(ToString::to_string).collect();
    let mut found: Vec<_> = listed
        .values()
        .map(|content| String::from_utf8_lossy(content).into_owned())
        .collect();
    signatures.sort();
    found.sort();
    assert_eq!(signatures, found);
}

/// Names and contents of an archive that was taken, read in the simplest way.
fn files(mut bytes: &[u8]) -> Vec<File> {
    let mut files = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<512>()
        && header[0] != 0
    {
        let name = header[..100].split(|byte| *byte == 0).next();
        let size = std::str::from_utf8(&header[124..135]).expect("octal digits");
        let size = usize::from_str_radix(size, 8).expect("octal digits");
        let name = name.unwrap_or_default().to_vec();
        files.push((name, rest[..size].to_vec()));
        bytes = &rest[size.next_multiple_of(512)..];
    }
    files
}

fn change_files(change: &Change, files: &mut Vec<File>) {
    if files.is_empty() {
        return;
    }
    let at = change.part(files.len());
    // A third of the changes is to a file as a whole.
    match change.part(256) / 64 {
        0 => drop(files.remove(at)),
        1 => files.swap(0, at),
        2 => change.apply(&mut files[at].0),
        _ => change.apply(&mut files[at].1),
    }
}

/// Makes the list say what is there, if there still is one.
fn list(files: &mut [File]) {
    let Some(((_, index), others)) = files.split_first_mut() else {
        return;
    };
    if let Ok(Json::Object(mut list)) = serde_json::from_slice(index) {
        let listed = others.iter().skip(1).map(listing);
        list.insert("files".into(), listed.collect());
        *index = serde_json::to_vec_pretty(&list).expect("JSON");
    }
}

fn listing((name, content): &File) -> Json {
    let name = String::from_utf8_lossy(name);
    json!({ "name": name, "bytes": content.len(), "digest": Digest::of(content) })
}

/// `None` if no archive can hold such names.
fn archive(files: &[File]) -> Option<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        // Past the crate's own checks, as an attacker would.
        let field = &mut header.as_old_mut().name;
        field.get_mut(..name.len())?.copy_from_slice(name);
        header.set_cksum();
        archive.append(&header, content.as_slice()).ok()?;
    }
    archive.into_inner().ok()
}

static TRUST: LazyLock<Trust> = LazyLock::new(|| {
    let key: PublicKey = KEY.parse().expect("a key");
    Trust::new(1, [("signer".into(), key)].into()).expect("one of one")
});

/// A moment in the time for which it was signed: 2026-06-01.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_272_000)
}
