//! What goes wrong: faults that the seed draws, accidents, and messages that are hit.

use std::collections::BTreeMap;
use std::str::FromStr;

use toml::Spanned;

use super::Reading;
use crate::sandbox::faults::{Accident, Fate, Faults, Planned};
use crate::sandbox::hits::{Hit, Which};
use crate::sandbox::scenario::ScenarioError;
use crate::sandbox::scenario::tables::{FaultTable, HitTable};

impl Reading<'_> {
    pub(super) fn faults(
        &self,
        faults: BTreeMap<Spanned<String>, Spanned<toml::Value>>,
    ) -> Result<Faults, ScenarioError> {
        let mut parts = Vec::new();
        for (name, value) in faults {
            let shown = match value.as_ref() {
                toml::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let part = format!("{}={shown}", name.as_ref());
            let todo = "`backchannel sim --help` lists the faults";
            Faults::from_str(&part).map_err(|error| self.source.wrong(&name, error, todo))?;
            parts.push(part);
        }
        // Each part was read alone before.
        Faults::from_str(&parts.join(",")).map_err(|error| ScenarioError::new(1, error, ""))
    }

    pub(super) fn accident(&self, n: u64, fault: FaultTable) -> Result<Planned, ScenarioError> {
        let known = Accident::ALL.map(|accident| (accident.name(), accident));
        let accident = self
            .source
            .word(&fault.kind, "the kind of a fault", known)?;
        let node = match (&fault.node, accident.is_of_relay()) {
            (Some(node), false) => self.place(node)?,
            (None, true) => 0,
            (Some(node), true) => {
                let why = format!("{} is of the relay", accident.name());
                return Err(self.source.wrong(node, why, "take this line away"));
            }
            (None, false) => {
                let why = format!("{} is of a node", accident.name());
                return Err(self.source.wrong(&fault.kind, why, "add node = \"NAME\""));
            }
        };
        let draw = fault.draw.map(|draw| {
            u64::from_str_radix(draw.as_ref(), 16).map_err(|_| {
                let why = format!("{:?} is no hexadecimal number", draw.as_ref());
                self.source
                    .wrong(&draw, why, "write up to 16 of 0-9 and a-f")
            })
        });
        Ok(Planned {
            at: self.source.time(&fault.at)?,
            accident,
            node,
            lasting: self.source.time(&fault.r#for)?,
            draw: draw.transpose()?.unwrap_or(n),
        })
    }

    pub(super) fn hit(&self, hit: Spanned<HitTable>) -> Result<Hit, ScenarioError> {
        let table = hit.as_ref();
        let node = |name: &Option<Spanned<String>>| {
            let node = name.as_ref().map(|name| self.node(name));
            node.transpose()
        };
        let like = (&table.from, &table.to, &table.nth);
        let which = match (table.message, &table.kind, like) {
            (Some(n), None, (None, None, None)) => Which::Number(n),
            (None, Some(kind), (from, to, nth)) => Which::Like {
                kind: kind.clone(),
                from: node(from)?,
                to: node(to)?,
                nth: match nth {
                    Some(nth) if *nth.as_ref() == 0 => {
                        let todo = "count from 1";
                        return Err(self.source.wrong(nth, "no message is the nth 0", todo));
                    }
                    Some(nth) => *nth.as_ref(),
                    None => 1,
                },
            },
            _ => {
                let why = "it is not said which message is hit";
                let todo =
                    "write either message = NUMBER alone or kind = \"KIND\", with from, to, nth";
                return Err(self.source.wrong(&hit, why, todo));
            }
        };
        let later = match &table.later {
            Some(later) => Some(self.source.time(later)?),
            None => None,
        };
        let kind = table.fault.as_ref().as_str();
        let fate = match (kind, later, table.byte, table.add, table.behind) {
            ("drop", None, None, None, None) => Fate::Dropped,
            ("dup", Some(later), None, None, None) => Fate::Duplicated(later),
            ("delay", Some(later), None, None, None) => Fate::Delayed(later),
            ("corrupt", None, Some(at), Some(by), None) if by > 0 => Fate::Corrupted { at, by },
            ("reorder", None, None, None, Some(by)) if by > 0 => Fate::Overtaken { by },
            _ => {
                let why = format!("{kind:?} with these keys is no fault of a message");
                let todo = "write drop; dup or delay with later = TIME; corrupt with byte = N, add = N; or reorder with behind = N";
                return Err(self.source.wrong(&table.fault, why, todo));
            }
        };
        Ok(Hit { which, fate })
    }
}
