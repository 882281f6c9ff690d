//! Which data nodes grant a plugin.

use std::collections::BTreeSet;

use toml::Spanned;

use super::Reading;
use crate::inputs::{Input, InputName, Kind, Source};
use crate::message::NodeId;
use crate::sandbox::scenario::tables::InputTable;
use crate::sandbox::scenario::{Holding, ScenarioError};

impl Reading<'_> {
    /// The inputs of a plugin: at each node, of each name one.
    pub(super) fn inputs(
        &self,
        tables: Vec<Spanned<InputTable>>,
    ) -> Result<Vec<Holding>, ScenarioError> {
        let mut taken: BTreeSet<(InputName, NodeId)> = BTreeSet::new();
        let mut holdings = Vec::new();
        for table in tables {
            let holding = self.holding(&table)?;
            let here = self.nodes.iter().filter(|node| holding.is_at(node));
            for node in here {
                if !taken.insert((holding.name.clone(), node.clone())) {
                    let why = format!("{node} has an input {} already", holding.name);
                    let todo = "give it another name, or say at which `nodes` each is";
                    return Err(self.source.wrong(&table, why, todo));
                }
            }
            holdings.push(holding);
        }
        Ok(holdings)
    }

    fn holding(&self, at: &Spanned<InputTable>) -> Result<Holding, ScenarioError> {
        let table = at.as_ref();
        let kinds = Kind::ALL.map(|kind| (kind.name(), kind));
        let kind = self.source.word(&table.kind, "an input", kinds)?;
        let source = match (&table.values, table.ramp, &table.file, &table.column) {
            (Some(values), None, None, None) => self.values(kind, values)?,
            (None, Some(count), None, None) => Source::Ramp { from: 0, count },
            (None, None, Some(file), None) => Source::Vector(self.folder.join(file)),
            (None, None, Some(file), Some(column)) => Source::Column {
                file: self.folder.join(file),
                column: column.clone(),
            },
            _ => {
                let why = "an input has values, a ramp or a file";
                let todo = "write values = […], ramp = COUNT or file = \"PATH\", of a CSV file with column = \"NAME\"";
                return Err(self.source.wrong(at, why, todo));
            }
        };
        let input = Input::new(source, kind, table.min_rows);
        Ok(Holding {
            name: self.source.value(&table.name, "write another name")?,
            nodes: self.some_nodes(table.nodes.clone())?,
            input: input
                .map_err(|error| self.source.wrong(at, error, "choose a value in that range"))?,
        })
    }

    fn values(&self, kind: Kind, values: &[Spanned<toml::Value>]) -> Result<Source, ScenarioError> {
        let values = values.iter().map(|value| match (kind, value.as_ref()) {
            (Kind::Ids, toml::Value::String(text)) => Ok(text.clone()),
            (Kind::Numbers, toml::Value::Integer(number)) => Ok(number.to_string()),
            (Kind::Numbers, toml::Value::Float(number)) if number.is_finite() => {
                Ok(format!("{number:?}"))
            }
            (_, other) => {
                let why = format!("{other} is none of the {kind}");
                let todo = "write ids as texts, numbers as numbers";
                Err(self.source.wrong(value, why, todo))
            }
        });
        values.collect::<Result<_, _>>().map(Source::Values)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::sandbox::scenario::Scenario;

    fn parse(inputs: &str) -> Result<Scenario, String> {
        let text = format!("nodes = 2\n[[plugin]]\nfile = \"overlap.wasm\"\n{inputs}");
        Scenario::parse(&text, Path::new("/scenarios")).map_err(|error| error.to_string())
    }

    const PATIENTS: &str = "[[plugin.inputs]]\nname = \"patients\"\nkind = \"ids\"\nvalues = [\"7\", \"007\"]\nnodes = [\"node-0\"]\nmin-rows = 2\n";

    #[test]
    fn names_the_line_of_what_is_no_input() {
        for (inputs, line) in [
            (PATIENTS.replace("\"007\"", "7"), 7),
            (PATIENTS.replace("ids", "names"), 6),
            (PATIENTS.replace("ids", "numbers"), 7),
            (
                PATIENTS
                    .replace("ids", "numbers")
                    .replace("\"7\", \"007\"", "nan"),
                7,
            ),
            (PATIENTS.replace("node-0", "node-7"), 8),
            (PATIENTS.replace("patients", "a b"), 5),
            (PATIENTS.replace("= 2", "= 0"), 4),
            (PATIENTS.replace("values = [\"7\", \"007\"]\n", ""), 4),
            (PATIENTS.replace("nodes", "file = \"a\"\nnodes"), 4),
            (PATIENTS.replace("nodes", "ramp = 3\nnodes"), 4),
            (PATIENTS.to_owned() + PATIENTS, 10),
        ] {
            let error = parse(&inputs).expect_err("refused");
            assert!(
                error.starts_with(&format!("line {line}:")),
                "{error}: {inputs}"
            );
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let more = "[[plugin.inputs]]\nname = \"patients\"\nkind = \"ids\"\nfile = \"b.csv\"\ncolumn = \"mrn\"\nnodes = [\"node-1\"]\n\
                    [[plugin.inputs]]\nname = \"ages\"\nkind = \"numbers\"\nvalues = [1, -2.5, 1e300]\n\
                    [[plugin.inputs]]\nname = \"model\"\nkind = \"numbers\"\nfile = \"/m.json\"\n\
                    [[plugin.inputs]]\nname = \"rises\"\nkind = \"numbers\"\nramp = 30\n";
        let scenario = parse(&(PATIENTS.to_owned() + more)).expect("a scenario");

        let again = Scenario::parse(&scenario.to_string(), Path::new(""));

        assert_eq!(again.expect("what was written"), scenario);
        let holdings = &scenario.plugins[0].inputs;
        assert_eq!(holdings.len(), 5);
        assert_eq!(
            holdings[1].input.to_string(),
            "ids, column mrn of /scenarios/b.csv, at least 20 rows"
        );
        assert_eq!(
            holdings[2].input.numbers().err().map(|e| e.to_string()),
            Some("it has fewer rows than min-rows = 20".into())
        );
        let node = &scenario.nodes[1];
        let rises = scenario.inputs_at(&scenario.plugins[0], node);
        let rises = rises["rises"].numbers();
        assert_eq!(rises.expect("numbers")[..2], [1.0, 2.0]);
    }
}
