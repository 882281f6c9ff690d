//! A file that may become a plugin: what is found out about it before anybody decides.

use std::collections::BTreeSet;
use std::time::SystemTime;

use semver::Version;

use super::{Difference, Folder, Installed, Refusal};
use crate::handlers::{BUILT_IN, Capability, Limits, Manifest, Plugin, Runtime, Surface, Terms};
use crate::packages::{Digest, Trust, Vouched, vouch};
use crate::policy::{Entry, Policy};

/// A file whose signatures and digest were verified.
pub struct Verified {
    /// Its digest.
    pub digest: Digest,
    /// The bytes.
    pub component: Vec<u8>,
    /// Whose signatures count, and which do not.
    pub vouched: Vouched,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// A verified file that would load, if it were granted what it asks for.
pub struct Candidate {
    /// The file.
    pub verified: Verified,
    /// What it asks for.
    pub asks: BTreeSet<Capability>,
    /// Its version.
    pub version: Version,
}

impl Verified {
    /// Verifies what can be without parsing the file; only then reads its manifest.
    pub fn verify(installed: Installed, trust: &Trust) -> Result<Self, Refusal> {
        let Installed {
            digest,
            component,
            signatures,
        } = installed;
        let vouched = vouch(&component, &signatures, trust, SystemTime::now())?;
        let manifest = Plugin::inspect(&component, &Limits::for_reading())?;
        vouched.confirm(&manifest)?;
        Ok(Self {
            digest,
            component,
            vouched,
            manifest,
        })
    }
}

impl Candidate {
    /// Checks that the file fits the contract and that its name is free to be used. Compiles it; nothing of it runs.
    pub fn examine(verified: Verified, runtime: &Runtime) -> Result<Self, Refusal> {
        let name = &verified.manifest.name;
        if BUILT_IN.iter().any(|built_in| built_in.name == name) {
            return Err(Refusal::BuiltInName(name.clone()));
        }
        let version = version(&verified.manifest)?;
        let asks = Surface::read(&verified.component, &Limits::for_reading())?.asks_for();
        let mut terms = Terms::granting(&asks.iter().copied().collect::<Vec<_>>());
        terms.limits = Limits::for_reading();
        Plugin::load(runtime, &verified.component, terms)?;
        Ok(Self {
            verified,
            asks,
            version,
        })
    }

    /// What it could do that the approved version of its name cannot; `None` where none was approved. Refused: a version
    /// older than the approved one.
    pub fn against(&self, policy: &Policy, folder: &Folder) -> Result<Option<Difference>, Refusal> {
        let Some((entry, approval)) = self.approved(policy) else {
            return Ok(None);
        };
        if approval.digest == self.verified.digest {
            return Ok(Some(Difference::default()));
        }
        let approved = folder.read(approval.digest)?;
        let approved = Plugin::inspect(&approved.component, &Limits::for_reading())?;
        let than = version(&approved)?;
        if self.version < than {
            return Err(Refusal::Older {
                plugin: entry.name.to_string(),
                version: self.version.clone(),
                approved: than,
            });
        }
        Ok(Some(Difference::between(
            &approved,
            &approval.grants,
            &self.verified.manifest,
            &self.asks,
        )))
    }

    fn approved<'p>(&self, policy: &'p Policy) -> Option<(&'p Entry, &'p crate::policy::Approval)> {
        let entry = policy.entry(&self.verified.manifest.name)?;
        Some((entry, entry.approved.as_ref()?))
    }
}

fn version(manifest: &Manifest) -> Result<Version, Refusal> {
    Version::parse(&manifest.version).map_err(|_| Refusal::Version(manifest.version.clone()))
}
