//! Which protocols of several parties are run, and what must come of them.

use toml::Spanned;

use super::Reading;
use crate::message::Value;
use crate::sandbox::scenario::tables::RunTable;
use crate::sandbox::scenario::values;
use crate::sandbox::scenario::{Outcome, Outcomes, Run, ScenarioError, Wanted};

impl Reading<'_> {
    pub(super) fn protocol_run(&self, table: RunTable) -> Result<Run, ScenarioError> {
        let outcome = table.outcome.as_ref().map(|outcome| self.outcomes(outcome));
        let result = match &table.result {
            Some(result) => self.fields(result)?,
            None => Vec::new(),
        };
        let sum_of = table.sum_of.as_ref();
        let sum_of = sum_of.map(|input| self.source.value(input, "write the name of an input"));
        let blames = table
            .blames
            .map(|blames| blames.iter().map(|name| self.node(name)).collect());
        let params = match &table.params {
            Some(params) => values::map(params.as_ref())
                .map_err(|why| self.source.wrong(params, why, values::EXPECTED))?,
            None => Value::Map(Vec::new()),
        };
        Ok(Run {
            at: self.source.time(&table.at)?,
            protocol: table.protocol,
            run: self.source.value(&table.run, "write another name")?,
            parties: self.parties(table.parties)?,
            params,
            expect: Wanted {
                outcome: outcome.transpose()?.unwrap_or_default(),
                result,
                alike: table.alike,
                sum_of: sum_of.transpose()?,
                blames: blames.transpose()?,
            },
        })
    }

    fn outcomes(&self, written: &Spanned<toml::Value>) -> Result<Outcomes, ScenarioError> {
        let outcome = |value: &toml::Value| {
            let mut all = Outcome::ALL.into_iter();
            let found = all.find(|outcome| value.as_str() == Some(outcome.name()));
            found.ok_or_else(|| {
                let todo = "write \"done\" or \"failed\", or a table that says so for each party";
                self.source
                    .wrong(written, format!("{value} is no outcome"), todo)
            })
        };
        let toml::Value::Table(outcomes) = written.as_ref() else {
            return outcome(written.as_ref()).map(Outcomes::All);
        };
        let outcomes = outcomes.iter().map(|(name, value)| {
            let name = Spanned::new(written.span(), name.clone());
            Ok((self.node(&name)?, outcome(value)?))
        });
        outcomes.collect::<Result<_, _>>().map(Outcomes::Of)
    }

    /// The fields of a table, each with its value.
    fn fields(&self, table: &Spanned<toml::Table>) -> Result<Vec<(String, Value)>, ScenarioError> {
        let fields = table.as_ref().iter().map(|(name, value)| {
            let value = values::read(value)
                .map_err(|why| self.source.wrong(table, why, values::EXPECTED))?;
            Ok((name.clone(), value))
        });
        fields.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::sandbox::scenario::Scenario;

    const RUN: &str = r#"nodes = 3
[[run]]
at = "1s"
protocol = "secure-aggregation"
run = "sum-0"
parties = ["node-0", "node-1"]
outcome = { node-0 = "done" }
result.sum = [1.0]
sum-of = "values"
blames = ["node-2"]
params = { input = "values" }
"#;

    fn parse(text: &str) -> Result<Scenario, String> {
        Scenario::parse(text, Path::new("")).map_err(|error| error.to_string())
    }

    #[test]
    fn names_the_line_of_what_is_no_run() {
        parse(RUN).expect("a scenario");
        for (right, wrong, line) in [
            ("\"1s\"", "\"soon\"", 3),
            ("\"sum-0\"", "\"\"", 5),
            (", \"node-1\"]", "]", 6),
            ("\"done\"", "\"won\"", 7),
            ("{ node-0 = \"done\" }", "\"won\"", 7),
            ("{ node-0", "{ node-7", 7),
            ("[1.0]", "2026-01-01", 8),
            ("\"values\"\nb", "\"a b\"\nb", 9),
            ("[\"node-2\"]", "[\"node-7\"]", 10),
            ("{ input = \"values\" }", "{ input = 2026-01-01 }", 11),
        ] {
            assert!(RUN.contains(right), "{right}");
            let error = parse(&RUN.replace(right, wrong)).expect_err(wrong);
            assert!(
                error.starts_with(&format!("line {line}:")),
                "{error}: {wrong}"
            );
        }
    }
}
