//! What `tests/fuzz` holds our parsers to: one function for each, which takes any bytes and panics where a promise is broken.
//!
//! Compiled for tests and with the feature `fuzzing`, so that the parsers themselves can stay private. To add a target: a function in
//! a file here, a row in [`TARGETS`], a program in `tests/fuzz/src/bin` and seeds in `seeds`; a test names what is missing.

mod bundle;
mod change;
mod channel;
mod chunk_reassembly;
mod inner_message;
mod manifest;
mod outer_message;
mod overlay_open;
mod policy;
mod roster;
#[cfg(test)]
mod seeds;
mod sessions;
mod trace;

pub use bundle::bundle;
pub use chunk_reassembly::chunk_reassembly;
pub use inner_message::inner_message;
pub use manifest::manifest;
pub use outer_message::outer_message;
pub use overlay_open::overlay_open;
pub use policy::policy;
pub use roster::roster;
pub use sessions::{first_handshake, second_handshake, session_close, session_data};
pub use trace::trace;

/// A target: whether it got something out of the input that it could hold to the promise.
pub type Target = fn(&[u8]) -> bool;

/// All targets, by name.
pub const TARGETS: [(&str, Target); 13] = [
    ("bundle", bundle),
    ("chunk_reassembly", chunk_reassembly),
    ("first_handshake", first_handshake),
    ("inner_message", inner_message),
    ("manifest", manifest),
    ("outer_message", outer_message),
    ("overlay_open", overlay_open),
    ("policy", policy),
    ("roster", roster),
    ("second_handshake", second_handshake),
    ("session_close", session_close),
    ("session_data", session_data),
    ("trace", trace),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::panic::catch_unwind;
    use std::path::{Path, PathBuf};

    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    use super::change::Change;
    use super::*;

    /// Of all seeds of a target together.
    const MUTATIONS: usize = 2000;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz")
    }

    /// Names and contents of a folder's files.
    fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(folder);
        let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .filter(|path| path.is_file())
            .map(|path| {
                let name = path.file_name().expect("a name").to_string_lossy();
                (name.into_owned(), fs::read(&path).expect("a file"))
            })
            .collect()
    }

    fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
        let files = files(&folder().join("corpus").join(target));
        assert!(!files.is_empty(), "{target} has no seeds");
        files.into_iter().collect()
    }

    /// One to four changes: a byte, a bit, a stretch cut out, repeated, or taken over from another seed.
    fn mutated(seed: &[u8], other: &[u8], rng: &mut ChaCha20Rng) -> Vec<u8> {
        let mut input = seed.to_vec();
        for _ in 0..=rng.next_u32() % 4 {
            let mut below = |end: usize| rng.next_u32() as usize % (end + 1);
            match below(5) {
                0 if !input.is_empty() => {
                    let at = below(input.len() - 1);
                    input[at] ^= 1 << below(7);
                }
                1 => {
                    let start = below(input.len());
                    let end = start + below((input.len() - start).min(16));
                    drop(input.drain(start..end));
                }
                2 => {
                    let start = below(input.len());
                    let end = start + below((input.len() - start).min(64));
                    let again = input[start..end].to_vec();
                    let at = below(input.len());
                    drop(input.splice(at..at, again));
                }
                3 => {
                    let at = below(input.len().min(other.len()));
                    input.truncate(at);
                    input.extend_from_slice(&other[at..]);
                }
                _ => {
                    let mut change = [0; 5];
                    rng.fill_bytes(&mut change);
                    Change::read(&change).for_each(|change| change.apply(&mut input));
                }
            }
        }
        input
    }

    #[test]
    fn the_promises_hold_for_the_corpus_and_what_is_near_it() {
        for (name, target) in TARGETS {
            let seeds = corpus(name);
            let run = |input: &[u8], what: &str| {
                let result = catch_unwind(|| target(input));
                result.unwrap_or_else(|_| panic!("{name}: {what}: {}", hex::encode(input)))
            };
            let accepted = seeds.iter().filter(|(file, seed)| run(seed, file)).count();
            assert_ne!(accepted, 0, "{name}: no seed reaches the promise");

            let mut rng = ChaCha20Rng::seed_from_u64(1);
            for (at, (file, seed)) in seeds.iter().cycle().take(MUTATIONS).enumerate() {
                let (_, other) = &seeds[(at + rng.next_u32() as usize) % seeds.len()];
                run(&mutated(seed, other, &mut rng), file);
            }
        }
    }

    #[test]
    fn each_target_has_a_program_and_a_corpus_of_its_own() {
        let targets: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        let programs = files(&folder().join("src/bin"));
        let programs = programs
            .iter()
            .map(|(file, text)| (file.trim_end_matches(".rs"), String::from_utf8_lossy(text)));
        let mut named = Vec::new();
        for (name, text) in programs {
            assert!(
                text.contains(&format!("fuzzing::{name}(")),
                "{name}: {text}"
            );
            named.push(name.to_owned());
        }
        let folders = fs::read_dir(folder().join("corpus")).expect("a folder");
        let mut corpora: Vec<_> = folders
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        corpora.sort();
        assert_eq!((&named, &corpora), (&targets, &targets));
    }
}
