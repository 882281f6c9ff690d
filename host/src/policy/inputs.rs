//! What the policy grants a plugin to read: `[[plugin.NAME.inputs]]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::PolicyError;
use super::parse::Lines;
use crate::inputs::{Input, InputName, Inputs, Kind, Source};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct InputTable {
    name: Spanned<String>,
    file: Spanned<String>,
    column: Option<Spanned<String>>,
    kind: Spanned<String>,
    min_rows: Option<Spanned<u64>>,
}

/// What is granted, and on which line each begins.
type Read = (Inputs, BTreeMap<InputName, usize>);

impl Lines<'_> {
    pub(super) fn inputs(&self, tables: Vec<InputTable>) -> Result<Read, PolicyError> {
        let (mut inputs, mut lines) = (Inputs::new(), BTreeMap::new());
        for table in tables {
            let (at, name) = (table.name.span(), self.name::<InputName>(&table.name)?);
            let input = self.input(table)?;
            if inputs.insert(name.clone(), input).is_some() {
                let why = format!("there is an input {name} already");
                return Err(self.wrong(&at, why, "give each input of a plugin a name of its own"));
            }
            lines.insert(name, self.of(&at));
        }
        Ok((inputs, lines))
    }

    fn input(&self, table: InputTable) -> Result<Input, PolicyError> {
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == table.kind.as_ref());
        let kind = kind.ok_or_else(|| {
            let why = format!("{:?} is no kind of input", table.kind.as_ref());
            let todo = "write \"numbers\", which the plugin reads, or \"ids\", of which it sees blinded points only";
            self.wrong(&table.kind.span(), why, todo)
        })?;
        let file = PathBuf::from(self.text(table.file)?);
        let source = match table.column {
            Some(column) => Source::Column {
                file,
                column: self.text(column)?,
            },
            None => Source::Vector(file),
        };
        let least = table.min_rows.as_ref();
        Input::new(source, kind, least.map(|least| *least.as_ref())).map_err(|error| {
            let at = least.map(Spanned::span).unwrap_or_default();
            self.wrong(&at, error.to_string(), "choose a value in that range")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::policy::Policy;

    const INPUT: &str = "version = 1\n[plugin.key-request]\n[[plugin.key-request.inputs]]\nname = \"patients\"\nfile = \"cohort.csv\"\n\
                         column = \"mrn\"\nkind = \"ids\"\nmin-rows = 50\n";

    fn wrong(text: &str) -> (usize, String) {
        match Policy::parse(text) {
            Err(PolicyError::Line { line, why, todo }) => {
                assert!(!todo.is_empty(), "{why}");
                (line, why)
            }
            other => panic!("{other:?}: {text}"),
        }
    }

    #[test]
    fn names_the_line_of_what_is_no_input() {
        for (from, to, line) in [
            ("name = \"patients\"", "name = \"a b\"", 4),
            ("cohort.csv", "", 5),
            ("cohort.csv", "a\\nb", 5),
            ("\"mrn\"", "\"\"", 6),
            ("\"mrn\"", "7", 6),
            ("\"ids\"", "\"names\"", 7),
            ("50", "0", 8),
            ("50", "4194305", 8),
            ("50", "-1", 8),
            ("min-rows", "minrows", 8),
        ] {
            let (found, why) = wrong(&INPUT.replace(from, to));
            assert_eq!(found, line, "{to}: {why}");
        }
        for missing in ["name", "file", "kind"] {
            let kept = INPUT.lines().filter(|line| !line.starts_with(missing));
            let (_, why) = wrong(&kept.collect::<Vec<_>>().join("\n"));
            assert!(why.contains(missing), "{why}");
        }
    }

    #[test]
    fn refuses_a_name_that_is_there_twice() {
        let again = INPUT.split_once("[[").expect("an input").1;
        let (line, why) = wrong(&format!("{INPUT}[[{again}"));
        assert!(line == 10 && why.contains("patients"), "{line}: {why}");
    }

    #[test]
    fn an_input_is_taken_from_the_policys_folder_and_has_a_line() {
        let policy = Policy::parse(INPUT).expect("a policy");
        let entry = policy.entry("key-request").expect("an entry");

        let name: InputName = "patients".parse().expect("a name");
        let input = entry.inputs[&name].within(Path::new("/data"));
        assert_eq!(
            input.to_string(),
            "ids, column mrn of /data/cohort.csv, at least 50 rows"
        );
        assert_eq!(entry.input_line(&name), Some(4));
    }

    #[test]
    fn a_file_without_columns_and_a_minimum_that_is_not_said() {
        let kept = INPUT
            .lines()
            .filter(|line| !line.starts_with("column") && !line.starts_with("min-rows"));
        let text = kept
            .collect::<Vec<_>>()
            .join("\n")
            .replace("ids", "numbers");
        let text = text.replace("cohort.csv", "/model/update.json");
        let policy = Policy::parse(&text).expect("a policy");
        let entry = policy.entry("key-request").expect("an entry");
        let input = entry.inputs["patients"].within(Path::new("/data"));
        assert_eq!(
            input.to_string(),
            "numbers, /model/update.json, at least 20 rows"
        );
    }
}
