//! Cases, run again and again.

use std::time::{Duration, Instant};

use super::{Cost, Costs, LeftOut, Most, Samples, Suggested};
use crate::cases::{Bench, Case, CaseFile, CasesError, Outcome, Repeated, Turn};
use crate::handlers::{CallError, Limit, Limits, LoadError, OutOfRange, Runtime, Surface};

/// Even where one takes long, a case is run so often.
const FEWEST: u32 = 5;

/// How much work a measurement may be.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How often each case is run, to be timed.
    pub times: u32,
    /// For how long, then: none is begun later, once there are five.
    pub at_most: Duration,
}

/// A plugin on both engines: the one that counts instructions, and the one that nodes have.
pub struct Meter {
    counting: Bench,
    as_on_a_node: Bench,
    effort: Effort,
}

impl Meter {
    /// A meter for `component`, which is granted all that it declares. `counting` is [metered](Runtime::metered), `as_on_a_node` is
    /// [not](Runtime::new).
    pub fn new(
        counting: &Runtime,
        as_on_a_node: &Runtime,
        component: Vec<u8>,
        effort: Effort,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            counting: Bench::new(counting, component.clone())?,
            as_on_a_node: Bench::new(as_on_a_node, component)?,
            effort,
        })
    }

    /// Measures the cases of `files`. One that does not do what it expects, or in which the host stops the plugin, is left out.
    ///
    /// Blocks, and has a runtime of its own: not to be called within another.
    pub fn measure(&self, files: &[CaseFile]) -> Result<Costs, CasesError> {
        let component = self.counting.component();
        let mut costs = Costs {
            plugin: String::new(),
            version: String::new(),
            file_bytes: component.len(),
            instances: instances(component),
            tables: 0,
            cases: Vec::new(),
            left_out: Vec::new(),
            sandbox: Samples::default(),
        };
        for (file, case) in cases(files) {
            let measured = match self.count(file, case)? {
                Ok(most) => self.time(file, case, most)?,
                Err(why) => Err(why),
            };
            match measured {
                Ok(cost) => costs.cases.push(cost),
                Err(why) => costs.left_out.push(why.of(file, case)),
            }
        }
        let measured = cases(files).find(|(file, case)| costs.of(file, case).is_some());
        if let Some((file, case)) = measured.or_else(|| cases(files).next()) {
            let repeated = self.as_on_a_node.repeated(file, case)?;
            let plugin = repeated.plugin();
            costs.plugin = plugin.name().to_owned();
            costs.version = plugin.manifest().version.clone();
            costs.tables = plugin.tables();
            match self.instances_alone(&repeated)? {
                Ok(sandbox) => costs.sandbox = sandbox,
                // As each case is, then.
                Err(error) => costs
                    .left_out
                    .push(Why::wrong(error.to_string()).of(file, case)),
            }
        }
        Ok(costs)
    }

    /// The cases of `files` that have a cost among `costs` and do not do what they expect once the plugin is limited so.
    pub fn fail_under(
        &self,
        suggested: &[Suggested],
        files: &[CaseFile],
        costs: &Costs,
    ) -> Result<Vec<String>, CasesError> {
        let limits = suggested.iter().map(|it| (it.limit, it.value));
        let limited = self.counting.limited(limits);
        let limited =
            limited.map_err(|error: OutOfRange| CasesError::Machine(error.to_string()))?;
        let mut failing = Vec::new();
        for (file, case) in cases(files) {
            if costs.of(file, case).is_some() && !limited.run_case(file, case, None)?.passed() {
                failing.push(case.name().to_owned());
            }
        }
        Ok(failing)
    }

    /// What a case takes of what is the same each time.
    fn count(&self, file: &CaseFile, case: &Case) -> Result<Result<Most, Why>, CasesError> {
        let outcome = self.counting.run_case(file, case, None)?;
        if !outcome.passed() {
            return Ok(Err(Why::of_failed(&outcome)));
        }
        Ok(match stopped(&outcome.turns) {
            Some(why) => Err(Why::of_no_fault(format!("stopped, as it expects: {why}"))),
            None => Ok(Most::of(&outcome.turns)),
        })
    }

    /// What it takes of time.
    fn time(
        &self,
        file: &CaseFile,
        case: &Case,
        most: Most,
    ) -> Result<Result<Cost, Why>, CasesError> {
        // The first looks whether it is the same here, and leaves the engine warm, as a node's is.
        let first = self.as_on_a_node.run_case(file, case, None)?;
        if let Some(why) = out_of_time(&first.turns) {
            return Ok(Err(why));
        }
        if !first.passed() {
            return Ok(Err(Why::of_failed(&first).on_a_node()));
        }
        let repeated = self.as_on_a_node.repeated(file, case)?;
        let mut times: [Vec<Duration>; 3] = Default::default();
        let mut more = self.effort.begin();
        while more() {
            let turns = repeated.run()?;
            if let Some(why) = out_of_time(&turns) {
                return Ok(Err(why));
            }
            if let Some(why) = stopped(&turns) {
                return Ok(Err(Why::wrong(why.to_owned()).on_a_node()));
            }
            let longest = |of: fn(&Turn) -> Option<Duration>| turns.iter().filter_map(of).max();
            times[0].push(turns.iter().map(|turn| turn.usage().computing).sum());
            times[1].extend(longest(|turn| Some(turn.first.computing)));
            times[2].extend(longest(|turn| Some(turn.last.as_ref()?.computing)));
        }
        let [time, handle, finalize] = times.map(Samples::from_iter);
        Ok(Ok(Cost {
            file: file.path().to_owned(),
            case: case.name().to_owned(),
            instances: first.turns.iter().filter(|turn| turn.fresh).count(),
            time,
            handle,
            finalize,
            most,
        }))
    }

    fn instances_alone(
        &self,
        repeated: &Repeated<'_>,
    ) -> Result<Result<Samples, CallError>, CasesError> {
        // The first is not counted, as for the cases.
        if let Err(error) = repeated.instance_alone()? {
            return Ok(Err(error));
        }
        let mut times = Vec::new();
        let mut more = self.effort.begin();
        while more() {
            match repeated.instance_alone()? {
                Ok(usage) => times.push(usage.computing),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(times.into_iter().collect()))
    }
}

impl Effort {
    /// Says, each time it is asked, whether there is to be one more.
    fn begin(self) -> impl FnMut() -> bool {
        let until = Instant::now() + self.at_most;
        let mut done = 0;
        move || {
            let more = done < self.times && (done < FEWEST || Instant::now() < until);
            done += 1;
            more
        }
    }
}

/// Why a case has no cost.
struct Why {
    text: String,
    fault: bool,
}

impl Why {
    fn wrong(text: String) -> Self {
        Self { text, fault: true }
    }

    fn of_no_fault(text: String) -> Self {
        Self { text, fault: false }
    }

    fn of_failed(outcome: &Outcome) -> Self {
        let failed = outcome.checks.iter().find(|check| !check.fits);
        let different = failed.map(|check| {
            let lines = check.difference.iter().map(|line| line.trim());
            let lines: Vec<_> = lines.filter(|line| line.starts_with(['-', '+'])).collect();
            format!("{}: {}", check.place, lines.join("; "))
        });
        let why = stopped(&outcome.turns).map(str::to_owned).or(different);
        Self::wrong(why.unwrap_or_default())
    }

    fn on_a_node(self) -> Self {
        Self {
            text: format!("on the engine of a node: {}", self.text),
            ..self
        }
    }

    fn of(self, file: &CaseFile, case: &Case) -> LeftOut {
        LeftOut {
            file: file.path().to_owned(),
            line: case.line(),
            case: case.name().to_owned(),
            why: self.text,
            fault: self.fault,
        }
    }
}

fn cases(files: &[CaseFile]) -> impl Iterator<Item = (&CaseFile, &Case)> {
    let files = files.iter();
    files.flat_map(|file| file.cases().iter().map(move |case| (file, case)))
}

/// Time is virtual: who has none left has waited for all of it. On the engine that counts it can still say what became of that; on a
/// node's, only if no tick comes in between, and so there is nothing that could be measured.
fn out_of_time(turns: &[Turn]) -> Option<Why> {
    let mut hits = turns.iter().flat_map(|turn| turn.usage().hits);
    let wall = hits.find(|hit| matches!(hit.limit, Limit::HandleWallMs | Limit::FinalWallMs))?;
    Some(Why::of_no_fault(format!(
        "it waits until its time is up, and is stopped on a node: {wall}"
    )))
}

fn stopped(turns: &[Turn]) -> Option<&str> {
    turns.iter().find_map(|turn| turn.stopped.as_deref())
}

/// Core instances; none of what is no component, which does not come so far.
fn instances(component: &[u8]) -> u64 {
    Surface::read(component, &Limits::for_reading()).map_or(0, |surface| surface.instances())
}
