//! From places in the text to lines, and from texts to values.

use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;

use super::ScenarioError;
use crate::sandbox::times;

/// The text of a scenario.
#[derive(Clone, Copy)]
pub(super) struct Source<'a>(pub(super) &'a str);

impl Source<'_> {
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        let before = self.0.get(..span.start).unwrap_or(self.0);
        before.matches('\n').count() + 1
    }

    pub(super) fn wrong<T>(
        &self,
        at: &Spanned<T>,
        why: impl std::fmt::Display,
        todo: impl std::fmt::Display,
    ) -> ScenarioError {
        ScenarioError::new(self.line(&at.span()), why, todo)
    }

    pub(super) fn time(&self, text: &Spanned<String>) -> Result<Duration, ScenarioError> {
        times::read(text.as_ref()).ok_or_else(|| {
            let why = format!("{:?} is no time", text.as_ref());
            self.wrong(text, why, times::EXPECTED)
        })
    }

    /// A value that reads itself.
    pub(super) fn value<T: FromStr<Err: ToString>>(
        &self,
        text: &Spanned<String>,
        todo: &str,
    ) -> Result<T, ScenarioError> {
        let read = text.as_ref().parse();
        read.map_err(|error: T::Err| self.wrong(text, error.to_string(), todo))
    }

    /// One of a few words.
    pub(super) fn word<'w, T: Copy>(
        &self,
        text: &Spanned<String>,
        what: &str,
        words: impl AsRef<[(&'w str, T)]>,
    ) -> Result<T, ScenarioError> {
        let words = words.as_ref();
        let found = words.iter().find(|(word, _)| *word == text.as_ref());
        found.map(|(_, meant)| *meant).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let why = format!("{what} cannot be {:?}", text.as_ref());
            self.wrong(text, why, format!("write one of {}", words.join(", ")))
        })
    }
}
