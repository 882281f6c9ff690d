//! Results as JUnit XML: a suite for each file, a test case for each case.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Tested;
use super::report::Difference;
use crate::cases::{Case, Outcome};

/// Writes the results of all files.
pub(super) fn write(out: &mut dyn Write, tested: &[Tested]) -> io::Result<()> {
    let mut report = Report::new("backchannel test");
    for tested in tested {
        let mut suite = TestSuite::new(tested.file.path().display().to_string());
        let cases = tested.file.cases().iter().zip(&tested.outcomes);
        suite.add_test_cases(cases.map(|(case, outcome)| of_case(&tested.plugin, case, outcome)));
        report.add_test_suite(suite);
    }
    report.serialize(out).map_err(io::Error::other)
}

fn of_case(plugin: &str, case: &Case, outcome: &Outcome) -> TestCase {
    let status = if outcome.passed() {
        TestCaseStatus::success()
    } else {
        let differences: Vec<_> = Difference::all(outcome)
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
        failure
            .set_message("it did not do what is expected (- was expected, + came)")
            .set_description(differences.concat());
        failure
    };
    let mut of_case = TestCase::new(case.name(), status);
    of_case.set_classname(plugin).set_time(outcome.took);
    of_case
}
