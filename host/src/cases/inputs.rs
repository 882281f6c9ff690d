//! The data that a case grants the plugin.

use std::path::Path;

use toml::Spanned;

use super::CasesError;
use super::read::{Reader, one_of};
use super::written::Written;
use crate::inputs::{Input, InputName, Inputs, Kind, Source};

impl Reader<'_> {
    /// What is under `inputs`. Files are beside the file of cases.
    pub(super) fn inputs(
        &self,
        at: &Spanned<Written>,
        folder: &Path,
    ) -> Result<Inputs, CasesError> {
        let mut inputs = Inputs::new();
        for at in self.list(at, "inputs")? {
            let (name, input) = self.input(at, folder)?;
            if inputs.insert(name.clone(), input).is_some() {
                let why = format!("there is an input {name} already");
                return Err(self.wrong(&at.span(), why, "give it another name"));
            }
        }
        Ok(inputs)
    }

    fn input(
        &self,
        at: &Spanned<Written>,
        folder: &Path,
    ) -> Result<(InputName, Input), CasesError> {
        let what = "an input";
        let names = ["name", "kind", "values", "file", "column", "min-rows"];
        let [name, kind, values, file, column, least] = self.keys(at, what, names)?;
        let kind = self.kind(self.required(kind, at, what, "kind")?)?;
        let file = file.map(|at| self.text(at, "file")).transpose()?;
        let column = column.map(|at| self.text(at, "column")).transpose()?;
        let source = match (values, file, column) {
            (Some(values), None, None) => self.values(kind, values)?,
            (None, Some(file), None) => Source::Vector(folder.join(file)),
            (None, Some(file), Some(column)) => Source::Column {
                file: folder.join(file),
                column: column.to_owned(),
            },
            _ => {
                let why = "an input has values or a file";
                let todo = "write either `values = […]` or `file = \"PATH\"`, of a CSV file with `column = \"NAME\"`";
                return Err(self.wrong(&at.span(), why, todo));
            }
        };
        let name = self.required(name, at, what, "name")?;
        let least = least.map(|at| self.number(at, "min-rows")).transpose()?;
        let input = Input::new(source, kind, least).map_err(|error| {
            self.wrong(
                &at.span(),
                error.to_string(),
                "choose a value in that range",
            )
        })?;
        Ok((self.parsed(name, "name")?, input))
    }

    fn kind(&self, at: &Spanned<Written>) -> Result<Kind, CasesError> {
        let word = self.text(at, "kind")?;
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == word);
        found.ok_or_else(|| {
            let why = format!("an input holds no {word:?}");
            self.wrong(&at.span(), why, one_of(&Kind::ALL.map(Kind::name)))
        })
    }

    fn values(&self, kind: Kind, at: &Spanned<Written>) -> Result<Source, CasesError> {
        let value = |at: &Spanned<Written>| match (kind, at.as_ref()) {
            (Kind::Ids, Written::Text(text)) => Ok(text.clone()),
            (Kind::Numbers, Written::Whole(number)) => Ok(number.to_string()),
            (Kind::Numbers, Written::Real(number)) if number.is_finite() => {
                Ok(format!("{number:?}"))
            }
            (_, other) => {
                let why = format!("one of the {kind} is {}", other.kind());
                let todo = "write ids as texts, numbers as numbers";
                Err(self.wrong(&at.span(), why, todo))
            }
        };
        let values = self.list(at, "values")?.iter().map(value);
        values.collect::<Result<_, _>>().map(Source::Values)
    }
}

#[cfg(test)]
mod tests {
    use crate::cases::CaseFile;
    use std::path::Path;

    const CASE: &str = "[[case]]\nname = \"one\"\nmessage = { kind = \"K\" }\n[[case.inputs]]\nname = \"patients\"\nkind = \"ids\"\nvalues = [\"7\", \"007\"]\nmin-rows = 2\n";

    fn parse(text: &str) -> Result<CaseFile, String> {
        let parsed = CaseFile::parse(Path::new("/cases/all.toml"), text.to_owned());
        parsed.map_err(|error| error.to_string())
    }

    #[test]
    fn names_the_line_of_what_is_no_input() {
        let again = CASE.split_once("[[case.inputs]]").expect("an input").1;
        for (text, line) in [
            (CASE.replace("\"007\"", "7"), 7),
            (CASE.replace("ids", "names"), 6),
            (CASE.replace("patients", "a b"), 5),
            (CASE.replace("= 2", "= 0"), 4),
            (CASE.replace("values = [\"7\", \"007\"]\n", ""), 4),
            (CASE.replace("min-rows", "column = \"a\"\nmin-rows"), 4),
            (CASE.replace("min-rows", "minrows"), 8),
            (format!("{CASE}[[case.inputs]]{again}"), 9),
        ] {
            let error = parse(&text).expect_err("refused");
            assert!(
                error.starts_with(&format!("/cases/all.toml:{line}:")),
                "{error}: {text}"
            );
        }
    }

    #[test]
    fn values_stand_there_or_in_a_file_beside_the_cases() {
        let text = format!(
            "{CASE}[[case.inputs]]\nname = \"ages\"\nkind = \"numbers\"\nvalues = [1, 2.5]\nmin-rows = 1\n\
             [[case.inputs]]\nname = \"model\"\nkind = \"numbers\"\nfile = \"m.csv\"\ncolumn = \"w\"\n"
        );
        let file = parse(&text).expect("cases");
        let inputs = &file.cases[0].inputs;
        assert_eq!(inputs["patients"].ids().expect("ids"), ["7", "007"]);
        assert_eq!(inputs["ages"].numbers().expect("numbers"), [1.0, 2.5]);
        assert_eq!(
            inputs["model"].to_string(),
            "numbers, column w of /cases/m.csv, at least 20 rows"
        );
    }
}
