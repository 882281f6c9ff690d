use std::fmt;

use serde::Serialize;

use super::Tested;
use super::record::Recorded;
use crate::cli::output::foreign;
use crate::cli::{Exit, Problem};

/// What came of all cases.
#[derive(Serialize)]
pub(super) struct Report {
    ok: bool,
    passed: usize,
    failed: usize,
    files: Vec<OfFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Recorded>,
}

#[derive(Serialize)]
struct OfFile {
    file: String,
    plugin: String,
    cases: Vec<OfCase>,
    /// What the file expects otherwise now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rewritten: Vec<String>,
}

#[derive(Serialize)]
struct OfCase {
    name: String,
    line: usize,
    passed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<Difference>,
}

/// What is not as expected: lines that begin with `-` were expected, with `+` came, with a space both.
#[derive(Serialize)]
pub(super) struct Difference {
    at: String,
    lines: Vec<String>,
}

impl Report {
    pub(super) fn of(tested: &[Tested], recorded: Option<Recorded>) -> Self {
        let files: Vec<_> = tested.iter().map(OfFile::of).collect();
        let cases = || files.iter().flat_map(|file| &file.cases);
        let passed = cases().filter(|case| case.passed).count();
        let failed = cases().count() - passed;
        Self {
            ok: failed == 0,
            passed,
            failed,
            files,
            recorded,
        }
    }

    /// Whether all is well; if not, as a problem.
    pub(super) fn verdict(&self) -> Result<(), Problem> {
        let failed = |case: &&OfCase| !case.passed;
        let mut names = self
            .files
            .iter()
            .flat_map(|file| &file.cases)
            .filter(failed)
            .map(|case| case.name.as_str());
        let Some(first) = names.next() else {
            return Ok(());
        };
        let why = match names.count() {
            0 => format!("{first:?}"),
            others => format!("{first:?}, and {others} more"),
        };
        Err(Problem::new(
            Exit::Failed,
            format!(
                "{} of {} cases failed",
                self.failed,
                self.failed + self.passed
            ),
            why,
            "mend the plugin; or, if what came is right, have it written with --update",
        )
        .beside_result())
    }
}

impl OfFile {
    fn of(tested: &Tested) -> Self {
        let cases = tested.file.cases().iter().zip(&tested.outcomes);
        let cases = cases.map(|(case, outcome)| OfCase {
            name: foreign(case.name()),
            line: case.line(),
            passed: outcome.passed(),
            differences: Difference::all(outcome),
        });
        Self {
            file: tested.file.path().display().to_string(),
            plugin: tested.plugin.clone(),
            cases: cases.collect(),
            rewritten: tested.rewritten.clone(),
        }
    }
}

impl Difference {
    /// All of a case.
    pub(super) fn all(outcome: &crate::cases::Outcome) -> Vec<Self> {
        let checks = outcome.checks.iter().filter(|check| !check.fits);
        let differences = checks.map(|check| Self {
            at: check.place.to_string(),
            lines: check.difference.clone(),
        });
        differences.collect()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", self.at)?;
        for line in &self.lines {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    /// A line for each case, then what is not as expected, then the numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            writeln!(f, "{} ({})", file.file, file.plugin)?;
            for case in &file.cases {
                let verdict = if case.passed { "ok  " } else { "FAIL" };
                writeln!(f, "  {verdict}  {}", case.name)?;
            }
        }
        for file in &self.files {
            for case in file.cases.iter().filter(|case| !case.passed) {
                writeln!(f, "\n{}:{} {}", file.file, case.line, case.name)?;
                for difference in &case.differences {
                    write!(f, "{difference}")?;
                }
            }
        }
        if self.failed > 0 {
            writeln!(f, "\n- was expected, + came")?;
        }
        for file in &self.files {
            for rewritten in &file.rewritten {
                writeln!(f, "rewritten  {}: {rewritten}", file.file)?;
            }
        }
        if let Some(recorded) = &self.recorded {
            write!(
                f,
                "recorded   {}, {} sessions",
                recorded.file.display(),
                recorded.sessions
            )?;
            match recorded.left_out {
                0 => writeln!(f)?,
                more => writeln!(
                    f,
                    "; {more} with limits or grants of their own are left out"
                )?,
            }
        }
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}
