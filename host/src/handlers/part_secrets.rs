//! What this node holds for its part in a run, and a guest sees a sliver of: the inputs that its operator grants, and the secret that
//! blinds ids.

use std::sync::Arc;

use super::{Plugin, bindings::backchannel::n2n::types::Failure};
use crate::curve::{Blind, Domain};
use crate::inputs::{Input, Inputs};
use crate::randomness::Randomness;

/// Held by the state of a part, and gone with it.
pub(super) struct PartSecrets {
    inputs: Inputs,
    domain: Domain,
    blind: Option<Arc<Blind>>,
}

impl PartSecrets {
    /// For a part of `plugin` in the run called `run` of `protocol`.
    pub(super) fn new(plugin: &Plugin, protocol: &str, run: &str) -> Self {
        Self {
            inputs: plugin.terms().inputs.clone(),
            domain: Domain::of_run(protocol, run),
            blind: None,
        }
    }

    /// The input of that name. What a guest asks for is not repeated: it may be long.
    pub(super) fn input(&self, name: &str) -> Result<Input, Failure> {
        let input = self.inputs.get(name).cloned();
        input.ok_or_else(|| Failure::Unavailable("there is no input of this name".into()))
    }

    /// What makes points of ids in this run.
    pub(super) fn domain(&self) -> Domain {
        self.domain.clone()
    }

    /// The scalar of this run, drawn at the first use.
    pub(super) fn blind(&mut self, randomness: &mut Randomness) -> Arc<Blind> {
        let blind = &mut self.blind;
        blind
            .get_or_insert_with(|| Arc::new(Blind::random(randomness)))
            .clone()
    }
}
