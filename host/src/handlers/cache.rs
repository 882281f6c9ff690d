//! Compiled code on disk: loading it takes 0.1 ms where compiling takes 20 ms and more.
//!
//! Compiled code is native code. So each file carries a MAC under a key that derives from the seed of this node, or of the user who
//! tries plugins; and only what was compiled with that seed is ever loaded: a file from elsewhere, or a changed one, is compiled anew.
#![allow(unsafe_code)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::LoadError;
use crate::key_store::records::Seed;

const TAG: usize = 32;

/// The folder of compiled code of one node, or of one user.
pub struct CompiledCode {
    folder: PathBuf,
    mac: Hmac<Sha256>,
}

impl CompiledCode {
    /// Uses `folder`, which is made when needed.
    pub fn new(folder: &Path, seed: &Seed) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut derive =
            Hmac::<Sha256>::new_from_slice(seed.as_bytes()).map_err(std::io::Error::other)?;
        derive.update(b"backchannel compiled code 1");
        let key = derive.finalize().into_bytes();
        Ok(Self {
            folder: folder.to_owned(),
            mac: Hmac::new_from_slice(&key).map_err(std::io::Error::other)?,
        })
    }

    /// The compiled form of the component with this digest: from disk, or from `compile` and then kept. A cache that cannot
    /// be written costs time, not service.
    pub(super) fn get_or_compile(
        &self,
        engine: &Engine,
        digest: &[u8; 32],
        compile: impl FnOnce() -> Result<Component, LoadError>,
    ) -> Result<Component, LoadError> {
        let path = self.path(engine, digest);
        if let Some(component) = self.load(engine, digest, &path) {
            return Ok(component);
        }
        let component = compile()?;
        if let Err(error) = self.keep(&component, digest, &path) {
            tracing::warn!(path = %path.display(), "compiled code was not kept: {error}");
        }
        Ok(component)
    }

    /// By digest of the component, and engine version and settings.
    fn path(&self, engine: &Engine, digest: &[u8; 32]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.folder.join(format!(
            "{}-{:016x}.cwasm",
            hex::encode(digest),
            hasher.finish()
        ))
    }

    fn load(&self, engine: &Engine, digest: &[u8; 32], path: &Path) -> Option<Component> {
        let file = std::fs::read(path).ok()?;
        let (tag, code) = file.split_at_checked(TAG)?;
        if self.tag(digest, code).verify_slice(tag).is_err() {
            tracing::warn!(path = %path.display(), "compiled code that this node did not make is ignored");
            return None;
        }
        // SAFETY: `code` came out of `Component::serialize` on this node, for this very component: only this node knows
        // the MAC's key, and the tag covers the digest and every byte. The engine itself refuses another version or
        // other settings.
        unsafe { Component::deserialize(engine, code) }.ok()
    }

    fn keep(
        &self,
        component: &Component,
        digest: &[u8; 32],
        path: &Path,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let code = component.serialize()?;
        let tag = self.tag(digest, &code).finalize().into_bytes();
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&tag)?;
        file.write_all(&code)?;
        drop(file);
        std::fs::rename(new, path)?;
        Ok(())
    }

    fn tag(&self, digest: &[u8; 32], code: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(digest);
        mac.update(code);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::{PluginSet, Runtime};
    use crate::randomness::Randomness;

    #[test]
    fn ignores_code_that_another_node_made_or_that_was_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = Runtime::new().expect("an engine");
        let seed = |n| Seed::draw(&Randomness::from_seed(n));
        let cache = |n| CompiledCode::new(folder.path(), &seed(n)).expect("a cache");
        let keeping = runtime.clone().keeping(Some(cache(1)));
        PluginSet::built_in(&keeping).expect("loaded");
        let files: Vec<_> = std::fs::read_dir(folder.path())
            .expect("readable")
            .flatten()
            .collect();
        assert_eq!(files.len(), 3);
        let path = files[0].path();
        let mut digest = [0; 32];
        hex::decode_to_slice(
            &path.file_name().expect("a name").to_string_lossy()[..64],
            &mut digest,
        )
        .expect("hex");

        assert!(
            cache(2).load(runtime.engine(), &digest, &path).is_none(),
            "another node's"
        );
        assert!(cache(1).load(runtime.engine(), &digest, &path).is_some());
        let mut file = std::fs::read(&path).expect("read");
        let middle = file.len() / 2;
        file[middle] ^= 1;
        std::fs::write(&path, file).expect("written");
        assert!(
            cache(1).load(runtime.engine(), &digest, &path).is_none(),
            "changed"
        );
        PluginSet::built_in(&keeping).expect("compiled anew");
    }
}
