//! What must come of a scenario.

use toml::Spanned;

use super::Reading;
use crate::sandbox::scenario::tables::ExpectTable;
use crate::sandbox::scenario::values;
use crate::sandbox::scenario::{Expected, ScenarioError, SetUps, Stored};

impl Reading<'_> {
    pub(super) fn expected(&self, expect: ExpectTable) -> Result<Expected, ScenarioError> {
        let set_ups = match &expect.set_ups {
            Some(set_ups) => self.set_ups(set_ups)?,
            None => SetUps::default(),
        };
        let run = |name| self.source.value(name, "write the name of a run");
        let store = expect.store.into_iter().map(|entry| {
            let value = entry.value.map(|value| {
                values::bytes(value.as_ref())
                    .map_err(|why| self.source.wrong(&value, why, values::EXPECTED_BYTES))
            });
            Ok(Stored {
                node: self.node(&entry.node)?,
                plugin: entry.plugin,
                key: entry.key,
                value: value.transpose()?,
            })
        });
        let refuse = expect.refuses_to_start.iter().map(|name| self.node(name));
        Ok(Expected {
            set_ups,
            failed: expect.failed.iter().map(run).collect::<Result<_, _>>()?,
            refuses_to_start: refuse.collect::<Result<_, _>>()?,
            store: store.collect::<Result<_, _>>()?,
        })
    }

    fn set_ups(&self, set_ups: &Spanned<toml::Value>) -> Result<SetUps, ScenarioError> {
        let wrong = |why: String| {
            let todo = "write \"all\", \"healed\" or a list of runs";
            self.source.wrong(set_ups, why, todo)
        };
        match set_ups.as_ref() {
            toml::Value::String(word) if word == "all" => Ok(SetUps::All),
            toml::Value::String(word) if word == "healed" => Ok(SetUps::Healed),
            toml::Value::Array(names) => {
                let names = names.iter().map(|name| {
                    let name = name
                        .as_str()
                        .ok_or_else(|| wrong(format!("{name} is no name")))?;
                    name.parse()
                        .map_err(|error| wrong(format!("{name:?}: {error}")))
                });
                Ok(SetUps::Named(names.collect::<Result<_, _>>()?))
            }
            other => Err(wrong(format!("{other} names no set-ups"))),
        }
    }
}
