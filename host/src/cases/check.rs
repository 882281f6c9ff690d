//! What came of a case: each expectation with what came in its place.

use std::time::Duration;

use super::Turn;
use super::case::Place;
use super::form::Form;
use super::meet::{Names, meet};
use super::show;
use crate::handlers::{FIXED_LIMITS, Limit};
use crate::message::{LONGEST_LINE, one_line};
use crate::trace::{Plugin, Session};

/// What came of a case.
#[derive(Debug)]
pub struct Outcome {
    /// The case's place in its file, counted from 0.
    pub(super) number: usize,
    /// Each expectation.
    pub checks: Vec<Check>,
    /// What the plugin did, with what it was as it did it.
    pub sessions: Vec<(Plugin, Session)>,
    /// What the plugin took, in the order in which its turns ended.
    pub turns: Vec<Turn>,
    /// What it took of real time.
    pub took: Duration,
}

impl Outcome {
    /// Whether all came as expected.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.fits)
    }
}

/// An expectation, and what came.
#[derive(Debug)]
pub struct Check {
    /// What it is of.
    pub place: Place,
    /// Whether that came and nothing else.
    pub fits: bool,
    /// The difference, line by line: `-` was expected, `+` came, a space both.
    pub difference: Vec<String>,
    /// What should have been expected; none where nothing came at all.
    pub(super) instead: Option<Form>,
}

impl Check {
    /// Holds what is expected against what came. Where a case expects nothing yet, nothing fits.
    pub(super) fn of(place: Place, expected: Option<&Form>, got: &Form, names: &mut Names) -> Self {
        let Some(expected) = expected else {
            return Self {
                place,
                fits: false,
                difference: show::difference(None, got),
                instead: Some(shortened(got.clone())),
            };
        };
        let met = meet(expected, got, names);
        Self {
            place,
            fits: met.fits,
            difference: if met.fits {
                Vec::new()
            } else {
                show::difference(Some(&met.shown), got)
            },
            instead: (!met.fits).then(|| shortened(met.kept)),
        }
    }

    /// An expectation that nothing came for, and why.
    pub(super) fn of_nothing(place: Place, why: &str) -> Self {
        Self {
            place,
            fits: false,
            difference: vec![
                format!("- {place}"),
                format!("+ {}", one_line(why, LONGEST_LINE)),
            ],
            instead: None,
        }
    }
}

/// Of a limit that was hit its name is enough to expect it again.
fn shortened(form: Form) -> Form {
    let Form::Table(entries) = &form else {
        return form;
    };
    let [(end, Form::Leaf(why))] = entries.as_slice() else {
        return form;
    };
    let limits = Limit::ALL.into_iter().map(Limit::name);
    let mut limits = limits.chain(FIXED_LIMITS.iter().map(|limit| limit.name));
    let hit = limits.find(|name| {
        let hit = format!("limit {name} = ");
        why.as_str().is_some_and(|why| why.contains(&hit))
    });
    match hit {
        Some(name) if end == "stopped" => Form::stopped(name),
        _ => form,
    }
}
