//! New projects: the files of `templates/`, which are whole and readable as they stand, under a name of the author's.
//!
//! A project has all it needs beside the registries of its language: the contract (`wit/`), and for Rust the SDK, which is on no
//! registry, with the versions it was tested with.

mod files;
mod name;
mod sdk;

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub use files::Template;
pub use name::{ProjectName, WrongName};

use crate::authoring::Language;
use std::io::Write;

/// A file that is to be written, from the project's folder.
struct Embedded {
    path: &'static str,
    text: &'static str,
}

/// Writes a project into a folder that is new or empty; gives the paths of what was written, from that folder, sorted.
///
/// # Errors
///
/// When the folder holds something, or cannot be written to.
pub fn scaffold(
    folder: &Path,
    name: &ProjectName,
    language: Language,
    template: Template,
) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    if fs::read_dir(folder)?.next().is_some() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the folder is not empty",
        ));
    }
    let mut written = Vec::new();
    for file in files::of(language, template) {
        let text = name.put_into(file.text);
        written.push(write(folder, &name.put_into(file.path), &text)?);
    }
    for file in sdk::CONTRACT {
        written.push(write(folder, file.path, file.text)?);
    }
    if language == Language::Rust {
        let manifest = sdk::manifest().map_err(io::Error::other)?;
        written.push(write(folder, sdk::MANIFEST, &manifest)?);
        written.push(write(folder, "Cargo.lock", sdk::LOCK)?);
        for file in sdk::SOURCES {
            written.push(write(folder, file.path, file.text)?);
        }
    }
    written.sort();
    Ok(written)
}

fn write(folder: &Path, path: &str, text: &str) -> io::Result<PathBuf> {
    let file = folder.join(path);
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
    let mut options = fs::OpenOptions::new();
    let mut opened = options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&file)?;
    opened.write_all(text.as_bytes())?;
    Ok(path.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum;

    use super::*;
    use crate::authoring::Project;

    /// The files below a folder of this repository, from there.
    fn there(folder: &Path) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.insert(path.strip_prefix(folder).expect("below").to_owned());
                }
            }
        }
        found
    }

    fn templates() -> impl Iterator<Item = Template> {
        Template::value_variants().iter().copied()
    }

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn no_file_of_the_sdk_and_the_contract_is_forgotten() {
        let sources = sdk::SOURCES.iter().map(|file| file.path);
        let sdk: BTreeSet<PathBuf> = sources
            .chain([sdk::MANIFEST])
            .map(|path| path.trim_start_matches("vendor/backchannel-sdk/").into())
            .collect();
        assert_eq!(sdk, there(&repository().join("guest-handlers/sdk")));
        let contract = sdk::CONTRACT.iter();
        let contract: BTreeSet<PathBuf> = contract
            .map(|file| file.path.trim_start_matches("wit/").into())
            .collect();
        let mut wit = there(&repository().join("wit"));
        wit.remove(Path::new("README.md"));
        assert_eq!(contract, wit);
    }

    #[test]
    fn no_file_of_the_templates_is_forgotten() {
        let mut taken = 0;
        let mut texts = BTreeSet::new();
        for language in [Language::Rust, Language::Python, Language::Js] {
            for template in templates() {
                for file in files::of(language, template) {
                    taken += 1;
                    texts.insert(file.text);
                }
            }
        }
        assert!(taken > 0);
        let templates = repository().join("host/src/scaffold/templates");
        for path in there(&templates) {
            let text = fs::read_to_string(templates.join(&path)).expect("a text");
            assert!(texts.contains(text.as_str()), "{}", path.display());
        }
    }

    #[test]
    fn the_manifest_of_the_sdk_needs_no_workspace() {
        let manifest = sdk::manifest().expect("written");
        assert!(!manifest.contains("workspace"), "{manifest}");
        assert!(manifest.contains("version = \"0.1.0\""), "{manifest}");
    }

    #[test]
    fn every_project_says_what_a_host_takes_under_the_name_that_was_asked_for() {
        let name: ProjectName = "hello-there".parse().expect("a name");
        for language in [Language::Rust, Language::Python, Language::Js] {
            for template in templates() {
                let folder = tempfile::tempdir().expect("a folder");
                let written = scaffold(folder.path(), &name, language, template).expect("written");

                let project = Project::read(folder.path()).expect("a project");
                assert_eq!(project.name(), "hello-there");
                assert_eq!(project.language(), language);
                let manifest = project.manifest("0.1.0".into());
                match template {
                    Template::MultiParty => assert_eq!(manifest.protocols, ["hello-there"]),
                    _ => assert_eq!(manifest.kinds[0], "HelloThereRequest"),
                }
                for path in written {
                    let text = fs::read_to_string(folder.path().join(&path)).expect("a text");
                    let left =
                        ["my-handler", "MyHandler", "my_handler"].map(|it| text.contains(it));
                    let ours = path.starts_with("vendor") && language == Language::Rust;
                    assert!(ours || !left.contains(&true), "{}", path.display());
                }
            }
        }
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("thesis.tex"), "years of work").expect("written");
        let name: ProjectName = "hello".parse().expect("a name");
        let refused = scaffold(folder.path(), &name, Language::Rust, Template::Handler);
        assert!(refused.is_err());
        assert_eq!(there(folder.path()).len(), 1);
    }
}
