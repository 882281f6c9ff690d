//! Protocols that several parties run, and what must come of them.

use std::collections::BTreeSet;

use toml::Spanned;

use super::Reading;
use crate::message::{NodeId, Value};
use crate::sandbox::scenario::tables::{ExpectRunTable, RunTable};
use crate::sandbox::scenario::values;
use crate::sandbox::scenario::{ExpectedRun, Run, ScenarioError};

impl Reading<'_> {
    pub(super) fn run_of_protocol(&self, run: RunTable) -> Result<Run, ScenarioError> {
        Ok(Run {
            at: self.source.time(&run.at)?,
            protocol: run.protocol,
            name: self.source.value(&run.run, "write another name")?,
            parties: self.parties(run.parties)?,
            params: self.fields(run.params)?,
        })
    }

    /// Only of runs that are begun.
    pub(super) fn expected_run(
        &self,
        expect: ExpectRunTable,
        runs: &[Run],
    ) -> Result<ExpectedRun, ScenarioError> {
        let begun = runs
            .iter()
            .find(|run| run.name.as_str() == expect.run.as_ref());
        let Some(run) = begun else {
            let why = format!("no run {:?} is begun", expect.run.as_ref());
            return Err(self
                .source
                .wrong(&expect.run, why, "name that of a [[run]]"));
        };
        Ok(ExpectedRun {
            name: run.name.clone(),
            done: self.some_nodes(expect.done)?,
            failed: self.some_nodes(expect.failed)?,
            blamed: self.some_nodes(expect.blamed)?,
            result: self.fields(expect.result)?,
            alike: expect.alike,
        })
    }

    fn fields(&self, fields: Option<Spanned<toml::Table>>) -> Result<Value, ScenarioError> {
        let Some(fields) = fields else {
            return Ok(Value::Map(Vec::new()));
        };
        values::map(fields.as_ref())
            .map_err(|why| self.source.wrong(&fields, why, values::EXPECTED))
    }

    /// At least two, each once; `None` for all.
    pub(super) fn parties(
        &self,
        names: Option<Spanned<Vec<Spanned<String>>>>,
    ) -> Result<Option<Vec<NodeId>>, ScenarioError> {
        let Some(names) = names else {
            return Ok(None);
        };
        let nodes: Result<Vec<_>, _> = names.as_ref().iter().map(|name| self.node(name)).collect();
        let nodes = nodes?;
        let different: BTreeSet<_> = nodes.iter().collect();
        if nodes.len() < 2 || different.len() < nodes.len() {
            let todo = "name two parties or more, each once";
            return Err(self.source.wrong(&names, "these are no parties", todo));
        }
        Ok(Some(nodes))
    }
}
