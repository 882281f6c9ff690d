//! One figure of the table.

use std::fmt;
use std::time::Duration;

/// What was measured and what came out.
pub struct Row {
    /// By which the table finds it.
    pub key: String,
    /// In this unit: `us`, `ms`, `s`, `MiB`, `/s`, or none for ratios.
    pub unit: &'static str,
    pub value: f64,
    /// Of what, how often.
    pub how: String,
}

impl Row {
    pub fn new(
        key: impl Into<String>,
        value: f64,
        unit: &'static str,
        how: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            unit,
            value,
            how: how.into(),
        }
    }

    /// The same in milliseconds.
    pub fn ms(key: impl Into<String>, value: Duration, how: impl Into<String>) -> Self {
        Self::new(key, value.as_secs_f64() * 1e3, "ms", how)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            unit,
            value,
            how,
        } = self;
        let row = serde_json::json!({ "row": key, "value": value, "unit": unit, "how": how });
        write!(f, "{row}")
    }
}

/// The value that a share `q` of the measured ones is below.
pub fn quantile(measured: &mut [Duration], q: f64) -> Duration {
    measured.sort_unstable();
    let at = (measured.len() as f64 * q) as usize;
    measured[at.min(measured.len() - 1)]
}
