use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::change::wrong_policy;
use super::key::read_text;
use super::{Exit, Problem};
use crate::packages::{PublicKey, Trust};
use crate::policy::Policy;

/// Against whose keys signatures are held.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(in crate::cli) struct TrustSource {
    /// A public key: its file, or the key itself. Can be given again.
    #[arg(long, value_name = "FILE|RW…", conflicts_with = "data")]
    key: Vec<String>,
    /// How many of the keys must have signed [default: all that are given].
    #[arg(long, value_name = "NUMBER", requires = "key")]
    require: Option<usize>,
    /// The data directory of a node, whose policy.toml says whom it trusts.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
}

impl TrustSource {
    /// The keys that are given, or those that a policy trusts with plugins.
    pub(super) fn get(&self, what: &str) -> Result<Trust, Problem> {
        self.get_for(what, |policy| policy.trust)
    }

    /// The keys that are given, or those of a policy that `trusted` says.
    pub(in crate::cli) fn get_for(
        &self,
        what: &str,
        trusted: impl FnOnce(Policy) -> Trust,
    ) -> Result<Trust, Problem> {
        if let Some(data) = &self.data {
            let policy = Policy::read(data).map_err(|error| wrong_policy(what, error))?;
            return Ok(trusted(policy));
        }
        trust_in(what, &self.key, self.require)
    }
}

/// The keys, each its file or the key itself, of which `require` must have signed, or all.
pub(in crate::cli) fn trust_in(
    what: &str,
    given: &[String],
    require: Option<usize>,
) -> Result<Trust, Problem> {
    let mut keys = BTreeMap::new();
    for key in given {
        let (name, public) = match key.parse::<PublicKey>() {
            Ok(public) => (public.id().to_string(), public),
            Err(_) => read_key(what, Path::new(key))?,
        };
        if keys.insert(name.clone(), public).is_some() {
            let why = format!("two keys are named {name}");
            return Err(Problem::new(
                Exit::Input,
                what,
                why,
                "give each key once, in files of different names",
            ));
        }
    }
    let require = require.unwrap_or(keys.len());
    Trust::new(require, keys).map_err(|error| {
        let todo = error.advice();
        Problem::new(Exit::Input, what, error, todo)
    })
}

/// A key file's key, named as the file is.
fn read_key(what: &str, file: &Path) -> Result<(String, PublicKey), Problem> {
    let text = read_text(what, file)?;
    let public = text.parse().map_err(|error| {
        let why = format!("{}: {error}", file.display());
        Problem::new(
            Exit::Input,
            what,
            why,
            "give the public half of a key: the .pub file",
        )
    })?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_end_matches(".pub").trim_end_matches(".key");
    Ok((name.to_owned(), public))
}
